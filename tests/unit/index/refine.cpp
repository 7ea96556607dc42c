#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_pool_synchronized.hpp>

#include "../../support.hpp"

namespace {

using namespace alidade;

struct refine_rows {
  std::size_t dimension;
  std::vector<float> values;
  std::vector<std::uint64_t> keys;

  refine_rows(std::size_t count, std::size_t d, std::uint32_t seed = 1) : dimension(d), values(count * d) {
    test::random r(seed);
    for (float& x : values) x = r.normal();
    for (std::size_t i = 0; i < count; ++i) keys.push_back(i);
  }
  matrix_view<float> some(std::size_t first, std::size_t count) const {
    return {values.data() + first * dimension, count, dimension};
  }
  template <class Index>
  void add_to(Index& index, std::size_t first, std::size_t count) const {
    index.add(std::span(keys).subspan(first, count), some(first, count));
  }
};

/// Of the ten true neighbours of every seventh row, how many are found.
template <class Index>
double refine_recall(const Index& index, const refine_rows& rows, std::size_t ef) {
  flat_index<float> flat(rows.dimension);
  flat.add(rows.keys, rows.some(0, rows.keys.size()));
  std::size_t found = 0, all = 0;
  for (std::size_t i = 0; i < rows.keys.size(); i += 7) {
    const auto query = rows.some(i, 1)[0];
    const auto truth = flat.search(query, {.k = 10});
    for (const auto& answer : index.search(query, {.k = 10, .ef = ef}))
      found += static_cast<std::size_t>(answer.distance <= truth.back().distance);
    all += 10;
  }
  return static_cast<double>(found) / static_cast<double>(all);
}

constexpr hnsw_options refine_graph{.M = 6, .ef_construction = 40};

}  // namespace

TEST_CASE("a graph that is refined finds more, and goes on") {
  const refine_rows rows(5000, 16);
  const auto check = [&](auto index, std::size_t ef) {
    rows.add_to(index, 0, 5000);
    const double before = refine_recall(index, rows, ef);
    std::vector<std::size_t> told;
    index.refine({.threads = 2, .progress = [&](std::size_t done, std::size_t all) {
                    CHECK(all == 5000);
                    told.push_back(done);
                    return true;
                  }});
    CHECK(told == std::vector<std::size_t>{4096, 5000});
    CHECK(refine_recall(index, rows, ef) > before);
    const graph_stats stats = index.stats();
    CHECK(stats.max_degree <= 12);
    CHECK(stats.nodes_per_level[0] == 5000);
    const refine_rows more(6000, 16);
    more.add_to(index, 5000, 1000);
    CHECK(index.search(more.some(5999, 1)[0], {.k = 1})[0].key == 5999);
  };
  check(hnsw_index<float>(16, refine_graph), 10);
  check(hnsw_index<float, metrics::l2_squared, codecs::pca4>(16, refine_graph), 2);
}

TEST_CASE("a refined graph is the same for any number of threads") {
  const refine_rows rows(4200, 8);  // more than are linked at once
  const auto check = [&](auto make) {
    auto one = make(), other = make();
    rows.add_to(one, 0, 4200);
    rows.add_to(other, 0, 4200);
    const std::uint64_t before = one.graph_checksum();
    one.refine({.threads = 1});
    other.refine({.threads = 3});
    CHECK(one.graph_checksum() != before);
    CHECK(one.graph_checksum() == other.graph_checksum());
  };
  constexpr hnsw_options sparse{.M = 4, .ef_construction = 12};
  check([&] { return hnsw_index<float>(8, sparse); });
  check([&] { return hnsw_index<float, metrics::l2_squared, codecs::pca4>(8, sparse); });
}

TEST_CASE("every vector is found after refining: equal ones, clusters, few") {
  refine_rows equal(700, 4);
  for (std::size_t i = 0; i < 600 * 4; ++i) equal.values[i] = 1.0f;
  refine_rows clusters(900, 4);
  for (std::size_t i = 0; i < clusters.values.size(); ++i)
    clusters.values[i] += 200.0f * static_cast<float>(i / 4 % 30);
  for (const refine_rows* rows : {&equal, &clusters}) {
    hnsw_index<float> index(4, {.M = 4, .ef_construction = 20});
    rows->add_to(index, 0, rows->keys.size());
    index.refine();
    index.refine({.threads = 2});
    // A search as wide as the index reaches all.
    for (const std::size_t query : {0u, 650u, 699u})
      CHECK(index.search(rows->some(query, 1)[0], {.k = rows->keys.size(), .ef = rows->keys.size()}).size() ==
            rows->keys.size());
  }
  for (const std::size_t count : {0u, 1u, 2u, 3u, 9u}) {
    const refine_rows few(count, 3);
    hnsw_index<float> index(3, refine_graph);
    few.add_to(index, 0, count);
    index.refine({.threads = 4});
    for (std::size_t i = 0; i < count; ++i) CHECK(index.search(few.some(i, 1)[0])[0].key == i);
  }
}

TEST_CASE("refining that is cancelled or runs out of memory leaves the graph as it was") {
  const refine_rows rows(4500, 8);  // more than are linked at once
  for (const std::size_t threads : {1u, 2u}) {
    synchronized_memory_pool pool({.byte_limit = 8'000'000});
    hnsw_options options = refine_graph;
    options.memory = &pool;
    hnsw_index<float> index(8, options);
    rows.add_to(index, 0, 4500);
    const std::uint64_t before = index.graph_checksum();
    std::error_code ec;
    const auto at_once = [](std::size_t, std::size_t) { return false; };
    index.refine({.threads = threads, .progress = at_once}, ec);
    CHECK(ec == errc::cancelled);
    CHECK(index.graph_checksum() == before);
    CHECK_THROWS_AS(index.refine({.threads = threads, .progress = at_once}), error);
    CHECK(index.graph_checksum() == before);
    {
      // Nothing is left.
      std::vector<void*> taken;
      try {
        while (true) taken.push_back(pool.allocate(8192));
      } catch (const memory_pool_exhausted&) {}
      index.refine({.threads = threads}, ec);
      CHECK(ec == errc::budget_exceeded);
      CHECK(index.graph_checksum() == before);
      for (void* block : taken) pool.deallocate(block, 8192);
    }
    index.refine({.threads = threads}, ec);
    CHECK_FALSE(ec);
    CHECK(index.graph_checksum() != before);
  }
}
