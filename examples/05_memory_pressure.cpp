// A search that lives within its memory: an index whose memory comes from a pool with a limit, results kept in a cache,
// and a monitor of how full memory is, which says how much of the cache to give up before the system has to take it.
// Latencies of hits and misses are recorded beside.
//
// Queries and vectors are made up. How full memory is, is set by hand; a server would say system_memory_source, which
// asks the control group and /proc, or the heap in a browser.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <random>
#include <vector>

#include <alidade/alidade.hpp>

namespace {

constexpr std::size_t dim = 64, vectors = 5'000, distinct_queries = 20'000, k = 10;

using results = std::vector<alidade::neighbor<float>>;
using result_cache = alidade::lru_cache<std::uint32_t, results>;

bool all_good = true;

void expect(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "not as it should be: %s\n", what);
  all_good = false;
}

std::vector<float> random_vectors(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> all(count * dim);
  for (float& x : all) x = static_cast<float>(random()) / 4294967296.0F - 0.5F;
  return all;
}

// Some queries come often and most are rare, as with people: the square of a uniform number, once more squared.
std::uint32_t next_query(std::mt19937& random) {
  const double u = static_cast<double>(random()) / 4294967296.0;
  return static_cast<std::uint32_t>(u * u * u * u * distinct_queries);
}

}  // namespace

int main() {
  // One thread uses the pool; several would take a synchronized_memory_pool.
  alidade::memory_pool pool({.byte_limit = 50'000'000});
  alidade::hnsw_index<float> index(dim, {.memory = &pool});
  const std::vector<float> rows = random_vectors(vectors, 1);
  std::vector<std::uint64_t> keys(vectors);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  index.add(keys, alidade::matrix_view<float>(rows.data(), vectors, dim));
  std::printf("index: %zu vectors, %zu bytes\n", index.size(), index.memory_bytes());

  result_cache cache({.max_bytes = 1'000'000});
  alidade::perf::monitor monitor;
  const auto hits = monitor.add_series("hit"), misses = monitor.add_series("miss");

  const std::vector<float> queries = random_vectors(distinct_queries, 2);
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint32_t query = next_query(random);
    const alidade::perf::scoped_timer timer(cache.contains(query) ? hits : misses);
    const auto found = cache.get_or_load(query, [&](std::uint32_t q) {
      return index.search({queries.data() + q * dim, dim}, {.k = k});
    });
    expect(found->size() == k, "ten neighbours, remembered or searched for");
  }
  std::printf("cache: %.0f %% hits, %zu entries in %zu bytes\n\n%s\n", 100 * cache.stats().hit_rate(),
              cache.size(), cache.bytes(), alidade::perf::to_text(monitor).c_str());
  expect(cache.bytes() <= 1'000'000, "the budget holds");

  // Memory fills up. Each time it is looked at, the cache gives up what the tier of pressure asks for, in short steps
  // between which a program can do other things.
  alidade::memory_monitor<alidade::manual_memory_source> memory;
  for (const double usage : {0.50, 0.72, 0.88, 0.97}) {
    memory.source().set_usage(usage);
    memory.sample();
    const std::size_t before = cache.size();
    while (!cache.relieve(memory).finished) {}
    std::printf("memory %2.0f %% full: pressure %.2f, %2.0f %% to evict, %zu of %zu entries left\n",
                100 * usage, memory.pressure(), 100 * memory.fraction_to_evict(), cache.size(), before);
    expect(cache.size() < before, "entries have gone");
  }

  // What no search needs just now goes back to the pool, and from there to the system.
  const std::size_t idle = index.trim();
  pool.trim();
  std::printf(
      "\npool: %zu bytes of searches given back, %zu in use, %.1f %% of blocks had been used before\n", idle,
      pool.stats().used_bytes, 100 * pool.stats().hit_rate());
  expect(pool.stats().used_bytes + sizeof(index) == index.memory_bytes(), "all that is in use is the index");
  return all_good ? 0 : 1;
}
