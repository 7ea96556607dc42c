#include "commands.hpp"
#include "contest.hpp"
#include "exact.hpp"
#include "failure.hpp"
#include "json_lines.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace bench {
namespace {

void check(exact_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  if (command.source.distance == metric::cosine) throw input_error("--metric: exact compares l2 and ip");
  if (command.source.base.empty() && command.source.synthetic.empty()) {
    command.source.synthetic = {command.rows, command.dimension};
  }
  start_json(command.json);
}

/// Distances of the answers in double precision, sorted.
std::vector<double> distances_of(const workload& data, std::size_t query,
                                 std::span<const std::uint64_t> ids) {
  std::vector<double> result;
  for (const std::uint64_t id : ids) {
    result.push_back(
        exact_distance(data.distance, data.queries.row(query), data.base.row(static_cast<std::size_t>(id))));
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// The k smallest distances of a query.
std::vector<double> true_distances(const workload& data, std::size_t query, std::size_t k) {
  std::vector<double> all;
  for (std::size_t row = 0; row < data.size(); ++row) {
    all.push_back(exact_distance(data.distance, data.queries.row(query), data.base.row(row)));
  }
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k), all.end());
  all.resize(k);
  return all;
}

/// By how much an answer's distances exceed the true ones at most, relative to them; of some queries, spread evenly.
double largest_excess(const workload& data, const matrix<std::uint64_t>& found) {
  const std::size_t checked = std::min<std::size_t>(16, found.rows);
  double largest = 0;
  for (std::size_t i = 0; i < checked; ++i) {
    const std::size_t query = i * found.rows / checked;
    const std::vector<double> truth = true_distances(data, query, found.columns);
    const std::vector<double> answer = distances_of(data, query, found.row(query));
    for (std::size_t j = 0; j < truth.size(); ++j) {
      largest = std::max(largest, (answer[j] - truth[j]) / std::max(std::abs(truth[j]), 1e-30));
    }
  }
  return largest;
}

std::vector<exact_contestant> make_contestants(const exact_command& command, const workload& data) {
  std::vector<exact_contestant> contestants{exact_alidade(data, command.k)};
  contestants.push_back(exact_distances(data));
  for (const std::string& peer : command.peers) {
    if (peer != "faiss" && peer != "openblas") {
      throw input_error("--peer " + peer + ": the peers are faiss and openblas");
    }
    contestants.push_back(peer == "faiss" ? exact_faiss(data, command.k) : exact_sgemm(data));
  }
  return contestants;
}

json base_row(const exact_command& command, const workload& data, const exact_contestant& c) {
  return {{"kind", "exact"},
          {"library", c.name},
          {"arch", c.arch},
          {"dataset", data.name},
          {"n", data.size()},
          {"dim", data.dimension()},
          {"queries", data.queries.rows},
          {"metric", name_of(data.distance)},
          {"type", name_of(data.type)},
          {"k", command.k},
          {"threads", 1},
          {"rounds", command.rounds}};
}

/// Prints contestant i and returns its JSON row. It is set against those of ours before it.
json report_one(const exact_command& command, const workload& data,
                const std::vector<exact_contestant>& contestants, const contest& timed, std::size_t i) {
  const exact_contestant& c = contestants[i];
  const auto queries = static_cast<double>(data.queries.rows);
  const double operations =
      2 * queries * static_cast<double>(data.size()) * static_cast<double>(data.dimension());
  const spread seconds = timed.time(i);
  const spread qps{queries / seconds.median, queries / seconds.max, queries / seconds.min};
  const double gflops = 1e-9 * operations / seconds.median;
  json row = base_row(command, data, c);
  put(row, "qps", qps);
  row["gflops"] = gflops;
  row["ns_rounds"] = timed.rounds(i, 1e9 / queries);
  std::printf("%-13s %-12s %9.0f (%.0f .. %.0f) %8.1f", c.name.c_str(), c.arch.c_str(), qps.median, qps.min,
              qps.max, gflops);
  for (std::size_t ours = 0; ours < i && contestants[ours].ours; ++ours) {
    const spread times = timed.ratio(i, ours);
    const std::string& name = contestants[ours].name;
    put(row, name + "_times_as_fast", times);
    std::printf("   %s %.2fx as fast (%.2f .. %.2f)", name.c_str(), times.median, times.min, times.max);
  }
  if (c.found) {
    const double excess = largest_excess(data, *c.found);
    row["largest_excess_over_truth"] = excess;
    std::printf("   above the true distances by %.1e at most", excess);
  }
  std::putchar('\n');
  return row;
}

}  // namespace

int run(exact_command command) {
  check(command);
  const workload data = load_workload(command.source, true);
  if (command.k == 0 || command.k > data.size()) {
    throw input_error("--k: must be between 1 and the " + std::to_string(data.size()) + " rows");
  }
  const std::vector<exact_contestant> contestants = make_contestants(command, data);
  contest_options options;
  options.rounds = command.rounds;
  options.warm_up = false;
  contest timed(options);
  for (const exact_contestant& c : contestants) {
    timed.add(c.name, [&c](std::size_t repetitions) {
      for (std::size_t i = 0; i < repetitions; ++i) c.run();
    });
  }
  timed.run();

  std::printf("%s %s, %zu rows, %zu queries, d %zu, k %zu, one thread, %zu rounds\n", name_of(data.type),
              name_of(data.distance), data.size(), data.queries.rows, data.dimension(), command.k,
              command.rounds);
  std::printf("%-13s %-12s %9s (min .. max)  GFLOP/s\n", "", "kernels", "QPS");
  std::vector<json> rows;
  for (std::size_t i = 0; i < contestants.size(); ++i) {
    rows.push_back(report_one(command, data, contestants, timed, i));
  }
  if (!command.json.empty()) {
    json_file file(command.json);
    for (const json& row : rows) file.write(row);
    file.finish();
  }
  // Nearest by sums in single precision: equal to nearest in double precision but for rounding.
  const bool right = rows.front().at("largest_excess_over_truth").get<double>() <= 1e-4;
  if (!right) std::fprintf(stderr, "alidade_bench: the neighbours found are not the nearest\n");
  return right ? 0 : 1;
}

}  // namespace bench
