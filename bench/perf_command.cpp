#include "perf_command.hpp"

#include "contest.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "synthetic.hpp"

#include <alidade/index/hnsw_index.hpp>
#include <alidade/perf/counter.hpp>
#include <alidade/perf/latency_histogram.hpp>
#include <alidade/perf/monitor.hpp>
#include <alidade/perf/null_monitor.hpp>
#include <alidade/perf/scoped_timer.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace bench {
namespace {

namespace perf = alidade::perf;

/// What the steps below record into.
struct instruments {
  perf::plain_counter plain;
  perf::counter atomic;
  perf::latency_histogram histogram;
  perf::monitor monitor{{.threads = 1}};
  perf::monitor::series series = monitor.add_series("series");
  perf::basic_latency_histogram<perf::counter> shared;
  perf::series_snapshot snapshot;
};

using step = void (*)(instruments&, std::uint64_t);

struct measured_step {
  const char* name;
  step run;
  double target_ns;  ///< 0: none
};

volatile std::uint64_t kept;  // results go here, so that nothing is left out

/// A timer with nothing in it, and yet not an empty block.
template <class Sink>
void time_nothing(Sink& sink) {
  const perf::scoped_timer timer(sink);
}

constexpr std::array steps{
    measured_step{"empty call", [](instruments&, std::uint64_t) {}, 0},
    measured_step{"plain_counter::add", [](instruments& in, std::uint64_t) { in.plain.add(); }, 0},
    measured_step{"counter::add", [](instruments& in, std::uint64_t) { in.atomic.add(); }, 0},
    measured_step{"latency_histogram::record",
                  [](instruments& in, std::uint64_t ns) { in.histogram.record(ns); }, 2},
    measured_step{"monitor::series::record", [](instruments& in, std::uint64_t ns) { in.series.record(ns); },
                  0},
    measured_step{"record, shared block", [](instruments& in, std::uint64_t ns) { in.shared.record(ns); }, 0},
    measured_step{
        "tick_clock::now",
        [](instruments&, std::uint64_t) { kept = static_cast<std::uint64_t>(perf::tick_clock::now()); }, 0},
    measured_step{"scoped_timer, histogram",
                  [](instruments& in, std::uint64_t) { time_nothing(in.histogram); }, 25},
    measured_step{"scoped_timer, series", [](instruments& in, std::uint64_t) { time_nothing(in.series); },
                  25},
    measured_step{"latency_histogram::quantile",
                  [](instruments& in, std::uint64_t) { kept = in.histogram.quantile(0.99); }, 0},
    measured_step{"monitor::snapshot",
                  [](instruments& in, std::uint64_t) { in.monitor.snapshot(in.series, in.snapshot); }, 0},
    measured_step{"monitor::evaluate",
                  [](instruments& in, std::uint64_t) { static_cast<void>(in.monitor.evaluate()); }, 0},
};

/// Latencies of 20 to 36 us in no order, as searches have them.
std::vector<std::uint64_t> make_latencies() {
  std::vector<std::uint64_t> values(1024);
  std::uint64_t state = 1;
  for (std::uint64_t& v : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = 20'000 + (state >> 50);
  }
  return values;
}

/// By a pointer that the compiler cannot see through.
contest::work repeat(step function, instruments& in, const std::vector<std::uint64_t>& latencies) {
  return [function, &in, &latencies](std::size_t repetitions) {
    volatile step opaque = function;
    const step call = opaque;
    for (std::size_t i = 0; i < repetitions; ++i) call(in, latencies[i % 1024]);
  };
}

/// The targets are those of native programs.
bool counts_cycles() {
  const perf::clock_source source = perf::tick_clock::calibration().source;
  return source == perf::clock_source::tsc || source == perf::clock_source::cntvct;
}

void measure_steps(const perf_command& command, json_file* file) {
  const auto in = std::make_unique<instruments>();
  const std::vector<std::uint64_t> latencies = make_latencies();
  contest timed({.rounds = command.rounds});
  for (const measured_step& s : steps) timed.add(s.name, repeat(s.run, *in, latencies));
  timed.run();

  std::printf("%-28s %10s   above an empty call (min .. max)   target\n", "ns a call", "call");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    std::vector<double> above(command.rounds);
    for (std::size_t r = 0; r < command.rounds; ++r)
      above[r] = 1e9 * (timed.seconds(i)[r] - timed.seconds(0)[r]);
    const spread own = spread_of(above);
    const double call = 1e9 * timed.time(i).median;
    std::printf("%-28s %10.2f   %10.2f (%.2f .. %.2f)", steps[i].name, call, own.median, own.min, own.max);
    if (steps[i].target_ns > 0 && counts_cycles()) {
      std::printf("   %s %g", own.median <= steps[i].target_ns ? "within" : "ABOVE", steps[i].target_ns);
    }
    std::putchar('\n');
    if (file == nullptr) continue;
    json row{{"kind", "perf"}, {"name", steps[i].name}, {"call_ns", call}};
    put(row, "ns", own);
    row["rounds"] = command.rounds;
    row["ns_rounds"] = timed.rounds(i, 1e9);
    file->write(row);
  }
}

using index_type = alidade::hnsw_index<float>;

/// All queries one by one; what the results are made of is returned, so that they cannot be left out.
template <perf::latency_monitor Monitor>
std::uint64_t search_all(const index_type& index, const matrix<float>& queries,
                         const typename Monitor::series& series,
                         std::vector<index_type::neighbor_type>& found) {
  std::uint64_t sum = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const perf::scoped_timer timer(series);
    std::error_code error;
    sum += index.search(queries.row(q), {.k = found.size(), .ef = 64}, found, error);
    sum += found.front().key;
  }
  return sum;
}

/// No monitor, not even a null one.
std::uint64_t search_all(const index_type& index, const matrix<float>& queries,
                         std::vector<index_type::neighbor_type>& found) {
  std::uint64_t sum = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    std::error_code error;
    sum += index.search(queries.row(q), {.k = found.size(), .ef = 64}, found, error);
    sum += found.front().key;
  }
  return sum;
}

void measure_searches(const perf_command& command, json_file* file) {
  const synthetic_set data = make_synthetic(command.rows, 500, command.dimension);
  index_type index(command.dimension, {});
  std::vector<std::uint64_t> keys(command.rows);
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = i;
  index.add(keys, alidade::matrix_view<float>(data.base.values.data(), command.rows, command.dimension),
            {.threads = 0});

  perf::monitor monitor({.threads = 1});
  const perf::monitor::series series = monitor.add_series("search");
  perf::null_monitor null;
  const perf::null_monitor::series nothing = null.add_series("search");
  std::vector<index_type::neighbor_type> found(10);
  const auto times = [](std::size_t n, const auto& body) {
    for (std::size_t i = 0; i < n; ++i) kept = body();
  };
  contest timed({.rounds = command.rounds, .slice_s = 0.02});
  const std::size_t plain = timed.add(
      "none", [&](std::size_t n) { times(n, [&] { return search_all(index, data.queries, found); }); });
  const std::size_t with_null = timed.add("null_monitor", [&](std::size_t n) {
    times(n, [&] { return search_all<perf::null_monitor>(index, data.queries, nothing, found); });
  });
  const std::size_t with_monitor = timed.add("monitor", [&](std::size_t n) {
    times(n, [&] { return search_all<perf::monitor>(index, data.queries, series, found); });
  });
  timed.run();

  std::printf("\nsearches of %zu x %zu, k 10, ef 64, with a scoped_timer around each\n", command.rows,
              command.dimension);
  std::printf("%-28s %10s   more than without (quartiles; min .. max)\n", "", "us");
  for (const std::size_t i : {plain, with_null, with_monitor}) {
    const double us = 1e6 * timed.time(i).median / static_cast<double>(data.queries.rows);
    std::vector<double> percent(command.rounds);
    for (std::size_t r = 0; r < command.rounds; ++r) {
      percent[r] = 100 * (timed.seconds(i)[r] / timed.seconds(plain)[r] - 1);
    }
    std::sort(percent.begin(), percent.end());
    const spread more = spread_of(percent);
    std::printf("%-28s %10.2f   %+9.2f %% (%+.2f .. %+.2f; %+.2f .. %+.2f)", timed.name(i).c_str(), us,
                more.median, percentile(percent, 0.25), percentile(percent, 0.75), more.min, more.max);
    if (i == with_monitor) std::printf("   %s 2 %%", more.median < 2 ? "within" : "ABOVE");
    std::putchar('\n');
    if (file == nullptr) continue;
    json row{{"kind", "perf"},
             {"name", "search, " + timed.name(i)},
             {"n", command.rows},
             {"dim", command.dimension}};
    row["us"] = us;
    put(row, "more_percent", more);
    row["rounds"] = command.rounds;
    row["ns_rounds"] = timed.rounds(i, 1e9 / static_cast<double>(data.queries.rows));
    file->write(row);
  }
}

}  // namespace

int run(const perf_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  if (command.rows < 10) throw input_error("--rows is at least 10");
  if (command.dimension == 0) throw input_error("--dim is at least 1");
  start_json(command.json);
  std::optional<json_file> file;
  if (!command.json.empty()) file.emplace(command.json);
  json_file* const to = file ? &*file : nullptr;

  const perf::clock_calibration& clock = perf::tick_clock::calibration();
  std::printf("%s, clock %s, %.9g ns a tick, to %.1e; %zu rounds\n", alidade::arch_name(),
              name_of(clock.source), clock.ns_per_tick, clock.relative_error, command.rounds);
  measure_steps(command, to);
  measure_searches(command, to);
  if (file) file->finish();
  return 0;
}

}  // namespace bench
