#include "adaptive_cycle.hpp"

#include "failure.hpp"
#include "parallel.hpp"
#include "statistics.hpp"
#include "synthetic.hpp"

#include <alidade/cache/lru_cache.hpp>
#include <alidade/config/arch.hpp>
#include <alidade/core/random.hpp>
#include <alidade/core/xxhash64.hpp>
#include <alidade/engine/adaptive_search.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/ops/aggregate.hpp>
#include <alidade/ops/validate.hpp>
#include <alidade/perf/clock.hpp>
#include <alidade/perf/monitor.hpp>
#include <alidade/rl/q_learner.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace bench {
namespace {

#if defined(__EMSCRIPTEN__)
constexpr double target_ms = 5;
#else
constexpr double target_ms = 1;
#endif

constexpr std::size_t rows = 10'000, dimension = 128, k = 10;
constexpr std::size_t warm_up = 2'000, cycles = 10'000;

using index_type = alidade::hnsw_index<float>;

struct answer {
  std::array<index_type::neighbor_type, k> found;
  std::uint32_t count = 0;
};

/// Which query each request is; a third are one of the last thousand requests again.
std::vector<std::uint32_t> make_requests() {
  alidade::splitmix64 random(1);
  std::vector<std::uint32_t> requests;
  std::uint32_t queries = 0;
  for (std::size_t i = 0; i < warm_up + cycles; ++i) {
    const bool again = i > 0 && random() % 3 == 0;
    const std::size_t back = 1 + static_cast<std::size_t>(random() % std::clamp<std::size_t>(i, 1, 1000));
    requests.push_back(again ? requests[i - back] : queries++);
  }
  return requests;
}

/// What is between a request and its answer, and what is learnt from it.
class service {
 public:
  explicit service(const index_type& index)
      : engine_(index, {.k = k, .warm_up = warm_up}),
        cache_({.max_entries = 4096}),
        learner_(spreads, 2),
        series_(monitor_.add_series("cycle")) {}

  /// False: the query is refused.
  bool handle(std::span<const float> query) {
    const alidade::perf::tick begin = alidade::perf::tick_clock::now();
    if (!alidade::ops::is_in_range(alidade::matrix_view<float>(query.data(), 1, query.size()), lower_,
                                   upper_)) {
      return false;
    }
    const std::uint64_t key = alidade::detail::xxhash64::of(query.data(), query.size_bytes());
    const answer* known = cache_.get(key);
    const bool was_known = known != nullptr;
    answer own;
    if (!was_known) {
      std::error_code error;
      own.count = static_cast<std::uint32_t>(engine_.search(query, own.found, error));
      if (error) return false;
      cache_.put(key, own);
      known = &own;
    }
    std::array<float, k> distances;
    for (std::size_t i = 0; i < known->count; ++i) distances[i] = known->found[i].distance;
    const auto summary = alidade::ops::aggregate(std::span<const float>(distances).first(known->count));
    const auto ns = alidade::perf::tick_clock::ns_between(begin, alidade::perf::tick_clock::now());
    learn(static_cast<double>(summary.min) / summary.mean, was_known, static_cast<double>(ns));
    series_.record(ns);
    return true;
  }

  [[nodiscard]] double hit_rate() const { return cache_.stats().hit_rate(); }
  [[nodiscard]] alidade::adaptive_search_stats engine_stats() const { return engine_.stats(); }

 private:
  static constexpr std::uint32_t spreads = 8;

  /// What an answer costs: of which spread, and whether from the cache.
  void learn(double nearness, bool was_known, double ns) {
    const std::uint32_t state =
        nearness > 0 ? std::min(static_cast<std::uint32_t>(spreads * nearness), spreads - 1) : 0;
    const std::uint32_t action = was_known ? 1 : 0;
    const auto reward = static_cast<float>(-1e-6 * ns);
    constexpr std::uint8_t terminated = 1;
    std::error_code error;
    learner_.update({.states = {&state, 1},
                     .actions = {&action, 1},
                     .rewards = {&reward, 1},
                     .next_states = {&state, 1},
                     .terminated = {&terminated, 1}},
                    error);
  }

  alidade::adaptive_search<index_type> engine_;
  alidade::lru_cache<std::uint64_t, answer> cache_;
  alidade::q_learner<float> learner_;
  alidade::perf::monitor monitor_{{.threads = 1}};
  alidade::perf::monitor::series series_;
  std::vector<float> lower_ = std::vector<float>(dimension, -1000.0F);
  std::vector<float> upper_ = std::vector<float>(dimension, 1000.0F);
};

}  // namespace

void measure_full_cycle(json_file* file) {
  const std::vector<std::uint32_t> requests = make_requests();
  const std::size_t queries = *std::max_element(requests.begin(), requests.end()) + 1;
  const synthetic_set data = make_synthetic(rows, queries, dimension);
  index_type index(dimension);
  std::vector<std::uint64_t> keys(rows);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  index.add(keys, alidade::matrix_view<float>(data.base.values.data(), rows, dimension),
            {.threads = have_threads ? 2U : 1U});

  service all(index);
  std::vector<double> us;
  us.reserve(requests.size());
  for (const std::uint32_t query : requests) {
    const auto start = std::chrono::steady_clock::now();
    const bool is_answered = all.handle(data.queries.row(query));
    us.push_back(1e6 * seconds_since(start));
    if (!is_answered) throw input_error("adaptive: a generated query is refused");
  }
  us.erase(us.begin(), us.begin() + warm_up);
  const double mean = std::accumulate(us.begin(), us.end(), 0.0) / static_cast<double>(cycles);
  std::sort(us.begin(), us.end());
  const double p50 = percentile(us, 0.5), p95 = percentile(us, 0.95), p99 = percentile(us, 0.99);
  const alidade::adaptive_search_stats stats = all.engine_stats();

  std::printf(
      "full cycle, %zu x %zu: check, cache, search, aggregate, learn, record; %zu requests after %zu\n", rows,
      dimension, cycles, warm_up);
  std::printf("mean %.1f us, p50 %.1f, p95 %.1f, p99 %.1f, most %.1f; %.1f %% from the cache, %llu studies",
              mean, p50, p95, p99, us.back(), 100 * all.hit_rate(),
              static_cast<unsigned long long>(stats.studies));
  std::printf("   p95 %s %g ms\n", p95 < 1000 * target_ms ? "within" : "ABOVE", target_ms);
  if (file == nullptr) return;
  file->write({{"kind", "full_cycle"},
               {"n", rows},
               {"dim", dimension},
               {"cycles", cycles},
               {"us", mean},
               {"p50_us", p50},
               {"p95_us", p95},
               {"p99_us", p99},
               {"max_us", us.back()},
               {"hit_rate", all.hit_rate()},
               {"studies", stats.studies}});
}

}  // namespace bench
