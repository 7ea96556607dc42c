#include "commands.hpp"
#include "failure.hpp"
#include "indexes.hpp"
#include "parallel.hpp"
#include "stopwatch.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace bench {
namespace {

template <class T, class Index>
class turnover {
 public:
  turnover(const workload& data, const turnover_command& command)
      : command_(command),
        index_(make_index<Index>(data.dimension(), command.graph)),
        rows_(elements<T>::base(data)),
        queries_(elements<T>::queries(data)) {}

  int run() {
    std::printf("%-6s %10s %10s %10s %9s %9s %12s %12s", "turn", "remove us", "most us", "add us", "removed",
                "cut off", "bytes", "checksum");
    for (const std::size_t ef : command_.efs) std::printf("   ef %-4zu", ef);
    std::printf("\n");
    add_rows(index_, rows_, command_.build_threads);
    for (std::size_t q = 0; q < queries_.rows; ++q) radius_.push_back(radius_of(q));
    const std::vector<double> fresh = recalls();
    show("fresh", {}, {}, fresh);

    std::vector<std::uint64_t> order(rows_.rows);
    std::iota(order.begin(), order.end(), std::uint64_t{0});
    std::mt19937_64 random(command_.graph.seed);
    bool is_good = true;
    for (std::size_t turn = 1; turn <= command_.turns; ++turn) {
      std::shuffle(order.begin(), order.end(), random);
      std::vector<double> removals, additions;
      for (const std::uint64_t key : order) {
        removals.push_back(microseconds([&] { index_.remove(key); }));
        additions.push_back(microseconds([&] { index_.add(key, rows_.row(key)); }));
      }
      const std::vector<double> now = recalls();
      show(std::to_string(turn), removals, additions, now);
      is_good = is_good && index_.stats().unreachable == 0;
      for (std::size_t i = 0; i < now.size(); ++i) is_good = is_good && now[i] >= fresh[i] - most_lost;
    }
    const double seconds = microseconds([&] { index_.compact(command_.build_threads); }) / 1e6;
    show("compact", {}, {}, recalls());
    std::printf("compacted in %.2f s; %s\n", seconds,
                is_good ? "recall stayed within half a point of the fresh graph's, and nothing was cut off"
                        : "recall FELL by more than half a point, or vectors were CUT OFF");
    return is_good ? 0 : 1;
  }

 private:
  static constexpr double most_lost = 0.005;

  typename Index::distance_type radius_of(std::size_t q) const {
    std::vector<typename Index::neighbor_type> exact(std::min(k, index_.size()));
    std::error_code ec;
    index_.search_exact(queries_.row(q), k, exact, ec);
    return exact.back().distance;
  }

  std::vector<double> recalls() const {
    std::vector<double> all;
    for (const std::size_t ef : command_.efs) {
      std::size_t found = 0;
      for (std::size_t q = 0; q < queries_.rows; ++q) {
        for (const auto& n : index_.search(queries_.row(q), {.k = k, .ef = ef}))
          found += static_cast<std::size_t>(!(radius_[q] < n.distance));
      }
      all.push_back(static_cast<double>(found) / static_cast<double>(k * queries_.rows));
    }
    return all;
  }

  void show(const std::string& name, const std::vector<double>& removals,
            const std::vector<double>& additions, const std::vector<double>& recall) const {
    const auto mean = [](const std::vector<double>& v) {
      return v.empty() ? 0.0 : std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
    };
    const auto stats = index_.stats();
    std::printf("%-6s %10.1f %10.1f %10.1f %9zu %9zu %12zu %12llx", name.c_str(), mean(removals),
                removals.empty() ? 0.0 : *std::max_element(removals.begin(), removals.end()), mean(additions),
                stats.removed_nodes, stats.unreachable, index_.memory_bytes(),
                static_cast<unsigned long long>(index_.graph_checksum() >> 16));
    for (const double r : recall) std::printf("   %.4f ", r);
    std::printf("\n");
    std::fflush(stdout);
  }

  static constexpr std::size_t k = 10;

  const turnover_command& command_;
  Index index_;
  const matrix<T>& rows_;
  const matrix<T>& queries_;
  std::vector<typename Index::distance_type> radius_;  // of each query, the distance of its k-th neighbour
};

}  // namespace

int run(const turnover_command& command) {
  if (!have_threads && command.build_threads != 1)
    throw input_error("this build has no threads: use --build-threads 1");
  if (command.efs.empty()) throw input_error("--ef needs at least one number");
  const workload data = load_workload(command.source, true);
  std::printf("%s, %zu x %zu %s, M %zu, %zu queries, recall@10\n", data.name.c_str(), data.size(),
              data.dimension(), name_of(data.type), command.graph.M, data.queries.rows);
  return with_index_type(data.type, data.distance, index_kind::hnsw, command.graph.codec,
                         [&]<class T, class Index>() -> int {
                           if constexpr (is_graph<Index>) {
                             return turnover<T, Index>(data, command).run();
                           } else {
                             throw input_error("a flat index has no graph");
                           }
                         });
}

}  // namespace bench
