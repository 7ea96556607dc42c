// The whole cycle of a query in a server: the request is checked, looked up in a cache and, if it is new, searched for
// with a width that is chosen while the search runs. What comes out is summed up, now and then a search teaches the engine
// (Q-learning), and a monitor has the latency. Then memory gets short, and what was learnt goes into a file and back.
//
// Vectors and requests are made up: clusters, and queries of which some lie in the middle of one and some between two.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <alidade/alidade.hpp>

namespace {

constexpr std::size_t dim = 32, vectors = 10'000, clusters = 100, k = 10;

using index_type = alidade::hnsw_index<float>;
using results = std::vector<alidade::neighbor<float>>;

bool all_good = true;

void expect(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "not as it should be: %s\n", what);
  all_good = false;
}

class world {
 public:
  world() : centres_(clusters * dim) {
    for (float& x : centres_) x = uniform();
  }

  // A vector of some cluster, or one between two.
  std::vector<float> draw(bool between) {
    const std::size_t a = random_() % clusters, b = between ? random_() % clusters : a;
    std::vector<float> v(dim);
    for (std::size_t j = 0; j < dim; ++j) {
      v[j] =
          (centres_[a * dim + j] + centres_[b * dim + j]) / 2 + 0.15F * (uniform() + uniform() + uniform());
    }
    return v;
  }
  bool one_in(std::uint32_t n) { return random_() % n == 0; }
  std::size_t below(std::size_t n) { return random_() % n; }

 private:
  float uniform() { return static_cast<float>(random_()) / 2147483648.0F - 1.0F; }

  std::mt19937 random_{1};
  std::vector<float> centres_;
};

std::string key_of(std::span<const float> query) {
  return {reinterpret_cast<const char*>(query.data()), query.size_bytes()};
}

}  // namespace

int main() {
  world w;
  index_type index(dim);
  for (std::uint64_t key = 0; key < vectors; ++key) index.add(key, w.draw(false));

  // At least 95 of 100 true neighbours, with as little work as that takes; 10,000 searches to learn from.
  const alidade::adaptive_search_options options{
      .target = alidade::search_target::recall_at_least(0.95), .k = k, .max_ef = 256, .warm_up = 10'000};
  alidade::adaptive_search engine(index, options);
  alidade::lru_cache<std::string, results> cache({.max_bytes = 1'000'000});
  alidade::memory_monitor<alidade::manual_memory_source> memory;
  alidade::perf::monitor monitor;
  const auto cycles = monitor.add_series("query cycle");

  const std::vector<float> lower(dim, -3.0F), upper(dim, 3.0F);
  std::size_t refused = 0;
  double nearest = 0;
  const auto answer = [&](std::span<const float> query) -> double {
    const alidade::perf::scoped_timer timer(cycles);
    if (!alidade::ops::is_in_range(alidade::matrix_view<float>(query.data(), 1, dim), lower, upper)) {
      ++refused;
      return 0;
    }
    const auto found = cache.get_or_load(
        key_of(query), [&](const std::string&) { return engine.search(query, memory.pressure()); });
    float distances[k];
    for (std::size_t i = 0; i < found->size(); ++i) distances[i] = (*found)[i].distance;
    return alidade::ops::aggregate(std::span(distances, found->size())).mean;
  };

  std::vector<std::vector<float>> asked;
  for (std::size_t i = 0; i < 20'000; ++i) {
    if (i >= 15'000) memory.source().set_usage(0.97);  // memory gets short
    if (i % 500 == 0) {
      memory.sample();
      while (!cache.relieve(memory).finished) {}
    }
    if (!asked.empty() && w.one_in(4)) {
      nearest += answer(asked[asked.size() - 1 - w.below(std::min<std::size_t>(asked.size(), 1000))]);
      continue;
    }
    asked.push_back(w.draw(w.one_in(4)));
    if (w.one_in(1000)) asked.back()[0] = 1e9F;  // a request that makes no sense
    nearest += answer(asked.back());
  }
  const alidade::adaptive_search_stats stats = engine.stats();
  std::printf("%llu searches, of which %llu taught; %zu requests refused; cache: %.0f %% hits\n",
              static_cast<unsigned long long>(stats.searches), static_cast<unsigned long long>(stats.studies),
              refused, 100 * cache.stats().hit_rate());
  std::printf("engine: recall %.3f with %.0f distances a search; mean distance of neighbours %.2f\n\n%s\n",
              stats.recall, stats.distances, nearest / 20'000, alidade::perf::to_text(monitor).c_str());
  expect(stats.is_tuned, "the engine has learnt");
  expect(refused > 0 && refused < 100, "one request in a thousand is refused");

  // What was learnt goes into a file, and a new engine goes on from there.
  std::stringstream file;
  engine.save(file);
  alidade::adaptive_search restored(index, options);
  restored.load(file);

  // Whether it is true: new queries, each compared with its true neighbours, and with a search of fixed width.
  std::size_t hits = 0, fixed_hits = 0, fixed_distances = 0;
  const double before = restored.stats().total_distances;
  constexpr std::size_t checks = 1000, fixed_ef = 32;
  results truth(k), fixed(k);
  for (std::size_t i = 0; i < checks; ++i) {
    const std::vector<float> query = w.draw(w.one_in(4));
    std::error_code error;
    const results found = restored.search(query, 0.97);  // under pressure nothing is studied
    index.search_exact(query, k, truth, error);
    alidade::counting_observer counts;
    index.search(query, {.k = k, .ef = fixed_ef}, fixed, error, counts);
    expect(!error, "searches succeed");
    fixed_distances += counts.distances;
    for (const auto& n : found) hits += n.distance <= truth.back().distance ? 1 : 0;
    for (const auto& n : fixed) fixed_hits += n.distance <= truth.back().distance ? 1 : 0;
  }
  const double recall = static_cast<double>(hits) / (checks * k);
  std::printf("checked: recall %.3f with %.0f distances; with ef %zu always, %.3f with %.0f\n", recall,
              (restored.stats().total_distances - before) / checks, fixed_ef,
              static_cast<double>(fixed_hits) / (checks * k), static_cast<double>(fixed_distances) / checks);
  expect(recall > 0.93, "the recall is as asked");
  return all_good ? 0 : 1;
}
