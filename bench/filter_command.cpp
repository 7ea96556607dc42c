#include "commands.hpp"
#include "failure.hpp"
#include "indexes.hpp"
#include "parallel.hpp"
#include "statistics.hpp"
#include "stopwatch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace bench {
namespace {

/// Which vectors a filter allows, given a query.
enum class chosen { at_random, near_it, far_from_it };

template <class T, class Metric, class Index>
class filtering {
  using D = typename Index::distance_type;
  using neighbor = typename Index::neighbor_type;

 public:
  filtering(const workload& data, const filter_command& command)
      : command_(command),
        index_(make_index<Index>(data.dimension(), command.graph)),
        rows_(elements<T>::base(data)),
        queries_(elements<T>::queries(data)),
        count_(std::min<std::size_t>(queries_.rows, command.queries)),
        random_(command.graph.seed) {}

  int run() {
    add_rows(index_, rows_, command_.build_threads);
    std::vector<double> plain;
    for (std::size_t round = 0; round < command_.rounds; ++round) {
      for (std::size_t q = 0; q < count_; ++q)
        plain.push_back(microseconds([&] { index_.search(queries_.row(q), {.k = k, .ef = command_.ef}); }));
    }
    std::printf("without a filter, ef %zu: %.1f us\n", command_.ef, spread_of(plain).median);
    std::printf("%-7s %10s %9s %12s %12s %12s %12s\n", "chosen", "share", "recall", "bits us", "list us",
                "predicate us", "exact us");
    for (const auto& [how, name] :
         {std::pair{chosen::at_random, "random"}, std::pair{chosen::near_it, "near"},
          std::pair{chosen::far_from_it, "far"}}) {
      for (const double share : {1.0, 0.5, 0.1, 0.01, 0.001, 0.0001}) measure(how, name, share);
    }
    return is_good_ ? 0 : 1;
  }

 private:
  static constexpr std::size_t k = 10;

  /// The keys that are allowed, in rising order.
  std::vector<std::uint64_t> choose(std::size_t q, chosen how, std::size_t count) {
    std::vector<std::uint64_t> keys(rows_.rows);
    std::iota(keys.begin(), keys.end(), std::uint64_t{0});
    if (how == chosen::at_random) {
      std::shuffle(keys.begin(), keys.end(), random_);
    } else {
      // By places, so that distances of any sign will do; each may be off by a tenth of all.
      std::vector<D> distances(rows_.rows);
      for (std::size_t i = 0; i < rows_.rows; ++i)
        distances[i] = static_cast<D>(Metric{}(queries_.row(q), rows_.row(i)));
      std::sort(keys.begin(), keys.end(), [&](auto a, auto b) { return distances[a] < distances[b]; });
      if (how == chosen::far_from_it) std::reverse(keys.begin(), keys.end());
      std::vector<double> places(rows_.rows);
      std::uniform_real_distribution<double> noise(0, 0.1 * static_cast<double>(rows_.rows));
      for (std::size_t i = 0; i < keys.size(); ++i) places[keys[i]] = static_cast<double>(i) + noise(random_);
      std::sort(keys.begin(), keys.end(), [&](auto a, auto b) { return places[a] < places[b]; });
    }
    keys.resize(count);
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  /// A plain loop over what is allowed.
  std::vector<neighbor> exact(std::size_t q, const std::vector<std::uint64_t>& keys) const {
    std::vector<neighbor> best;
    for (const std::uint64_t key : keys) {
      const neighbor n{key, static_cast<D>(Metric{}(queries_.row(q), rows_.row(key)))};
      if (best.size() == k && !(n < best.front())) continue;
      if (best.size() == k) {
        std::pop_heap(best.begin(), best.end());
        best.pop_back();
      }
      best.push_back(n);
      std::push_heap(best.begin(), best.end());
    }
    std::sort_heap(best.begin(), best.end());
    return best;
  }

  void measure(chosen how, const char* name, double share) {
    const auto allowed = static_cast<std::size_t>(std::ceil(share * static_cast<double>(rows_.rows)));
    std::vector<double> times[4];
    std::size_t found = 0, all = 0;
    for (std::size_t q = 0; q < count_; ++q) {
      const std::vector<std::uint64_t> keys = choose(q, how, allowed);
      std::vector<std::uint64_t> bits(rows_.rows / 64 + 1, 0);
      for (const std::uint64_t key : keys) bits[key / 64] |= std::uint64_t{1} << (key % 64);
      const auto is_allowed = [&](std::uint64_t key) { return (bits[key / 64] >> (key % 64) & 1) != 0; };
      const alidade::search_filter filters[] = {alidade::search_filter::bits(bits),
                                                alidade::search_filter::keys(keys), is_allowed};
      std::vector<double> rounds[4];
      std::vector<neighbor> truth, answers;
      for (std::size_t round = 0; round < command_.rounds; ++round) {
        for (std::size_t i = 0; i < 3; ++i) {
          rounds[i].push_back(microseconds([&] {
            answers = index_.search(queries_.row(q), {.k = k, .ef = command_.ef, .filter = filters[i]});
          }));
        }
        rounds[3].push_back(microseconds([&] { truth = exact(q, keys); }));
      }
      for (std::size_t i = 0; i < 4; ++i) times[i].push_back(spread_of(rounds[i]).median);
      for (const neighbor& n : answers)
        found += static_cast<std::size_t>(!(truth.back().distance < n.distance));
      all += truth.size();
    }
    const double recall = static_cast<double>(found) / static_cast<double>(all);
    is_good_ = is_good_ && recall >= 0.95;
    std::printf("%-7s %8.2f %% %9.4f %12.1f %12.1f %12.1f %12.1f\n", name, 100 * share, recall,
                spread_of(times[0]).median, spread_of(times[1]).median, spread_of(times[2]).median,
                spread_of(times[3]).median);
    std::fflush(stdout);
  }

  const filter_command& command_;
  Index index_;
  const matrix<T>& rows_;
  const matrix<T>& queries_;
  std::size_t count_;
  std::mt19937_64 random_;
  bool is_good_ = true;
};

}  // namespace

int run(const filter_command& command) {
  if (!have_threads && command.build_threads != 1)
    throw input_error("this build has no threads: use --build-threads 1");
  if (command.source.distance == metric::cosine) throw input_error("--metric is l2 or ip here");
  if (command.rounds == 0) throw input_error("--rounds must be at least 1");
  const workload data = load_workload(command.source, true);
  std::printf("%s, %zu x %zu %s, M %zu\n", data.name.c_str(), data.size(), data.dimension(),
              name_of(data.type), command.graph.M);
  return with_metric_type(data.type, data.distance, [&]<class T, class Metric>() -> int {
    if (command.graph.codec == codec_kind::none)
      return filtering<T, Metric, alidade::hnsw_index<T, Metric>>(data, command).run();
    if (command.graph.codec == codec_kind::pca4)
      return filtering<T, Metric, alidade::hnsw_index<T, Metric, alidade::codecs::pca4>>(data, command).run();
    throw input_error("--codec is none or pca4 here");
  });
}

}  // namespace bench
