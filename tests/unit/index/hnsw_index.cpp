#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using namespace alidade;

namespace {

constexpr std::size_t test_rows = 2000;
constexpr std::size_t test_queries = 100;

template <class T, class Metric>
double recall_of(std::size_t dimension, std::size_t ef) {
  const test::dataset<T> data(test_rows + test_queries, dimension, 11);
  const auto keys = std::span(data.keys).first(test_rows);
  hnsw_index<T, Metric> index(dimension);
  flat_index<T, Metric> exact(dimension);
  index.add(keys, data.view(0, test_rows), {.threads = 2});
  exact.add(keys, data.view(0, test_rows));
  const auto queries = data.view(test_rows, test_queries);
  return test::recall(index.search(queries, {.k = 10, .ef = ef}), exact.search(queries, {.k = 10}),
                      test_queries);
}

}  // namespace

TEST_CASE("a graph search finds what exact search finds, for every element type and metric") {
  CHECK(recall_of<float, metrics::l2_squared>(24, 64) >= 0.97);
  CHECK(recall_of<float, metrics::cosine>(24, 64) >= 0.97);
  CHECK(recall_of<float, metrics::inner_product>(24, 64) >= 0.97);
  CHECK(recall_of<std::uint8_t, metrics::l2_squared>(24, 64) >= 0.97);
  CHECK(recall_of<std::uint8_t, metrics::inner_product>(24, 64) >= 0.97);
  CHECK(recall_of<float, metrics::l2_squared>(3, 64) >= 0.99);
  CHECK(recall_of<float, metrics::l2_squared>(101, 64) >= 0.95);
}

TEST_CASE("a search as wide as the index is exact") {
  const test::dataset<float> data(700, 8, 3);
  hnsw_index<float> index(8, {.M = 6, .ef_construction = 40});
  flat_index<float> exact(8);
  index.add(data.keys, data.view());
  exact.add(data.keys, data.view());
  const auto found = index.search(data.view(), {.k = 20, .ef = 700});
  const auto truth = exact.search(data.view(), {.k = 20});
  for (std::size_t q = 0; q < data.rows; ++q) {
    CHECK(std::equal(found[q].begin(), found[q].end(), truth[q].begin(), truth[q].end()));
  }
}

TEST_CASE("the graph does not depend on the number of threads, nor on the run") {
  const test::dataset<float> data(1500, 16, 4);
  std::vector<std::uint64_t> checksums;
  for (const std::size_t threads : {1u, 1u, 2u, 3u, 8u, 0u}) {
    hnsw_index<float> index(16, {.M = 8, .ef_construction = 60});
    index.add(data.keys, data.view(), {.threads = threads});
    checksums.push_back(index.graph_checksum());
  }
  for (const std::uint64_t checksum : checksums) CHECK(checksum == checksums.front());

  hnsw_index<float> reseeded(16, {.M = 8, .ef_construction = 60, .seed = 1});
  reseeded.add(data.keys, data.view());
  CHECK(reseeded.graph_checksum() != checksums.front());
}

TEST_CASE("vectors added one by one are found like those added together") {
  const test::dataset<float> data(600, 12, 5);
  hnsw_index<float> index(12, {.M = 8, .ef_construction = 60});
  for (std::size_t i = 0; i < data.rows; ++i) index.add(data.keys[i], data.view()[i]);
  CHECK(index.size() == data.rows);
  const auto found = index.search(data.view(), {.k = 1, .ef = 40});
  std::size_t hits = 0;
  for (std::size_t i = 0; i < data.rows; ++i)
    hits += static_cast<std::size_t>(found[i][0].key == data.keys[i]);
  CHECK(hits >= data.rows - 3);
}

TEST_CASE("answers are sorted, ties by key, and fewer than k when there are fewer") {
  hnsw_index<float> index(2);
  CHECK(index.search(std::vector<float>{0, 0}).empty());
  CHECK(index.search(matrix_view<float>(), {.k = 3}).size() == 0);
  const std::vector<float> rows{1, 0, 0, 1, -1, 0, 0, -1, 3, 3};
  const std::vector<std::uint64_t> keys{50, 40, 30, 20, 10};
  index.add(keys, {rows.data(), 5, 2});
  const auto found = index.search(std::vector<float>{0, 0}, {.k = 10, .ef = 1});
  REQUIRE(found.size() == 5);
  CHECK(found[0] == neighbor<float>{20, 1.0f});
  CHECK(found[1] == neighbor<float>{30, 1.0f});
  CHECK(found[2] == neighbor<float>{40, 1.0f});
  CHECK(found[3] == neighbor<float>{50, 1.0f});
  CHECK(found[4] == neighbor<float>{10, 18.0f});
}

TEST_CASE("bad rows are refused by name, in both forms, and change nothing") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  infinity = std::numeric_limits<float>::infinity();
  const test::dataset<float> data(100, 4, 6);
  hnsw_index<float, metrics::cosine> index(4);
  index.add(std::span(data.keys).first(50), data.view(0, 50));
  const auto before = index.graph_checksum();

  struct bad_case {
    errc code;
    float first, second;
  };
  for (const bad_case& bad : {bad_case{errc::not_finite, nan, 1}, bad_case{errc::not_finite, 1, infinity},
                              bad_case{errc::not_finite, -infinity, 0}, bad_case{errc::zero_norm, 0, 0}}) {
    auto rows = data.values;
    rows[60 * 4] = bad.first;
    rows[60 * 4 + 1] = bad.second;
    rows[60 * 4 + 2] = rows[60 * 4 + 3] = 0.0f;
    const matrix_view<float> view(rows.data() + 50 * 4, 50, 4);
    const auto keys = std::span(data.keys).last(50);
    std::error_code ec;
    CHECK(index.add(keys, view, {}, ec) == 10);
    CHECK(ec == bad.code);
    try {
      index.add(keys, view);
      FAIL("it was accepted");
    } catch (const error& e) {
      CHECK(e.code() == bad.code);
      CHECK(e.row() == 10);
      CHECK(std::string(e.what()).find("row 10") != std::string::npos);
    }
    CHECK(index.size() == 50);
    CHECK(index.graph_checksum() == before);
    CHECK_FALSE(index.contains(data.keys[55]));
  }

  std::error_code ec;
  auto keys = data.keys;
  SUBCASE("a key that is in the index") {
    keys[70] = keys[3];
    CHECK(index.add(std::span(keys).last(50), data.view(50, 50), {}, ec) == 20);
    CHECK(ec == errc::duplicate_key);
  }
  SUBCASE("a key that comes twice") {
    keys[80] = keys[51];
    CHECK(index.add(std::span(keys).last(50), data.view(50, 50), {}, ec) == 30);
    CHECK(ec == errc::duplicate_key);
  }
  SUBCASE("a wrong dimension") {
    CHECK(index.add(std::span(keys).last(10), {data.values.data(), 10, 3}, {}, ec) == 0);
    CHECK(ec == errc::dimension_mismatch);
    index.add(7, std::vector<float>{1, 2, 3, 4, 5}, ec);
    CHECK(ec == errc::dimension_mismatch);
  }
  SUBCASE("more keys than rows") {
    index.add(std::span(keys).last(11), data.view(50, 10), {}, ec);
    CHECK(ec == errc::size_mismatch);
  }
  CHECK(index.size() == 50);
  CHECK(index.graph_checksum() == before);

  // And the index still takes what is right.
  index.add(std::span(data.keys).last(50), data.view(50, 50), {}, ec);
  CHECK_FALSE(ec);
  CHECK(index.size() == 100);
}

TEST_CASE("bad queries are refused") {
  const test::dataset<float> data(50, 4, 6);
  hnsw_index<float, metrics::cosine> index(4);
  index.add(data.keys, data.view());
  std::error_code ec;
  CHECK(index.search(std::vector<float>{1, 2, 3}, {}, ec).empty());
  CHECK(ec == errc::dimension_mismatch);
  CHECK(index.search(std::vector<float>{0, 0, 0, 0}, {}, ec).empty());
  CHECK(ec == errc::zero_norm);
  CHECK_THROWS_AS(index.search(std::vector<float>{1, 2, 3, std::numeric_limits<float>::infinity()}), error);
  CHECK_THROWS_AS(index.search(data.view()[0], {.k = 0}), error);
  std::vector<neighbor<float>> out(3);
  CHECK(index.search(data.view()[0], {.k = 4}, out, ec) == 0);
  CHECK(ec == errc::size_mismatch);
  auto queries = data.values;
  queries[9 * 4] = std::numeric_limits<float>::quiet_NaN();
  try {
    static_cast<void>(index.search(matrix_view<float>(queries.data(), 50, 4), {.k = 2}));
    FAIL("it was accepted");
  } catch (const error& e) {
    CHECK(e.row() == 9);
  }
}

TEST_CASE("options out of range are refused") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (const hnsw_options& options :
       {hnsw_options{.M = 1}, hnsw_options{.M = 513}, hnsw_options{.ef_construction = 0},
        hnsw_options{.ef_construction = 65536}, hnsw_options{.alpha = 0.9f}, hnsw_options{.alpha = 4.1f},
        hnsw_options{.alpha = nan}}) {
    CHECK_THROWS_AS(hnsw_index<float>(3, options), error);
    std::error_code ec;
    const hnsw_index<float> index(3, options, {}, ec);
    CHECK(ec == errc::invalid_option);
  }
  CHECK_THROWS_AS(hnsw_index<float>(0), error);
}

TEST_CASE("every vector can be reached, equal ones by the thousand included") {
  test::dataset<float> data(3000, 8, 16);
  for (std::size_t i = 0; i < data.rows; ++i) {
    // A third is one vector, in the middle of all; a third comes in pairs.
    if (i % 3 == 0) std::fill_n(data.values.begin() + static_cast<std::ptrdiff_t>(i * 8), 8, 0.0f);
    if (i % 6 == 4) {
      const auto row = data.values.begin() + static_cast<std::ptrdiff_t>(i * 8);
      std::copy_n(row - 24, 8, row);
    }
  }
  for (const bool fill : {true, false}) {
    hnsw_index<float> index(8, {.M = 4, .ef_construction = 30, .fill = fill});
    index.add(data.keys, data.view());
    CHECK(index.search(data.view()[0], {.k = data.rows, .ef = data.rows}).size() == data.rows);
  }
}

TEST_CASE("thousands of equal vectors do not break the graph") {
  test::dataset<float> data(2000, 8, 8);
  for (std::size_t i = 0; i < 1500; ++i)
    std::copy_n(data.values.begin(), 8, data.values.begin() + static_cast<std::ptrdiff_t>(i * 8));
  hnsw_index<float> index(8);
  index.add(data.keys, data.view(), {.threads = 2});
  const auto equal = index.search(data.view()[0], {.k = 10, .ef = 50});
  REQUIRE(equal.size() == 10);
  CHECK(equal.back().distance == 0.0f);
  const auto others = index.search(data.view(1500, 500), {.k = 1, .ef = 64});
  std::size_t hits = 0;
  for (std::size_t i = 0; i < 500; ++i) hits += static_cast<std::size_t>(others[i][0].distance == 0.0f);
  CHECK(hits >= 495);
}

TEST_CASE("a search among equal vectors ends when as many as it is wide are found") {
  const std::vector<float> values(2000 * 8, 1.0f);
  std::vector<std::uint64_t> keys(2000);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  for (const std::size_t calls : {1u, 40u}) {
    hnsw_index<float> index(8, {.ef_construction = 60});
    const std::size_t rows = keys.size() / calls;
    for (std::size_t call = 0; call < calls; ++call) {
      index.add(std::span(keys).subspan(call * rows, rows),
                matrix_view<float>(values.data() + call * rows * 8, rows, 8));
    }
    counting_observer counts;
    std::vector<neighbor<float>> out(10);
    std::error_code ec;
    CHECK(index.search(std::span(values).first(8), {.k = 10, .ef = 150}, out, ec, counts) == 10);
    CHECK(counts.hops < 200);  // 2,000 where ties take the place of ties
  }
}

TEST_CASE("data that comes sorted by cluster, in one call or in several, is found") {
  const std::size_t clusters = 8, size = 300, dimension = 16;
  test::random r(15);
  std::vector<float> values;
  for (std::size_t c = 0; c < clusters; ++c) {
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < dimension; ++j) values.push_back((j == c ? 50.0f : 0.0f) + r.uniform());
    }
  }
  std::vector<std::uint64_t> keys(clusters * size);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  const matrix_view<float> all(values.data(), keys.size(), dimension);
  for (const std::size_t calls : {std::size_t{1}, clusters, 3 * clusters}) {
    hnsw_index<float> index(dimension, {.ef_construction = 60});
    const std::size_t rows = keys.size() / calls;
    for (std::size_t call = 0; call < calls; ++call) {
      index.add(std::span(keys).subspan(call * rows, rows), {all[call * rows].data(), rows, dimension});
    }
    const auto found = index.search(all, {.k = 1, .ef = 30});
    std::size_t hits = 0;
    for (std::size_t i = 0; i < keys.size(); ++i)
      hits += static_cast<std::size_t>(found[i][0].key == keys[i]);
    CHECK(hits >= keys.size() * 99 / 100);
  }
}

TEST_CASE("finite vectors whose distances overflow give answers, sorted") {
  hnsw_index<float> index(4);
  for (std::uint64_t key = 0; key < 40; ++key) {
    const float x = (key % 2 == 0 ? 1.0f : -1.0f) * 3e38f;
    index.add(key, std::vector<float>{x, -x, static_cast<float>(key), x});
  }
  const auto found = index.search(std::vector<float>{3e38f, -3e38f, 4, 3e38f}, {.k = 40});
  CHECK(found.size() == 40);
  CHECK(found[0].key == 4);
  CHECK(std::is_sorted(found.begin(), found.end()));
}

TEST_CASE("the degree options hold") {
  const test::dataset<float> data(800, 10, 9);
  hnsw_index<float> filled(10, {.M = 5, .ef_construction = 50});
  hnsw_index<float> pruned(10, {.M = 5, .ef_construction = 50, .fill = false});
  filled.add(data.keys, data.view());
  pruned.add(data.keys, data.view());
  CHECK(filled.stats().max_degree == 10);
  CHECK(filled.stats().mean_degree > 9.9);
  CHECK(pruned.stats().mean_degree < filled.stats().mean_degree);
  CHECK(pruned.stats().max_degree <= 10);
  CHECK(filled.stats().nodes_per_level[0] == 800);
  CHECK(filled.stats().levels == filled.stats().nodes_per_level.size());
  CHECK(hnsw_index<float>(3).stats().levels == 0);
}

TEST_CASE("an observer sees the hops and distances of a search") {
  const test::dataset<float> data(1000, 10, 10);
  hnsw_index<float> index(10);
  index.add(data.keys, data.view());
  std::vector<neighbor<float>> out(5);
  std::error_code ec;
  counting_observer narrow, wide;
  index.search(data.view()[7], {.k = 5, .ef = 10}, out, ec, narrow);
  index.search(data.view()[7], {.k = 5, .ef = 100}, out, ec, wide);
  CHECK(narrow.hops >= 10);
  CHECK(wide.hops > narrow.hops);
  CHECK(wide.distances > narrow.distances);
  CHECK(wide.distances < 1000 + 100);
}

TEST_CASE("a search allocates nothing") {
  const test::dataset<float> data(1000, 10, 12);
  hnsw_index<float> index(10);
  index.add(data.keys, data.view());
  std::vector<neighbor<float>> out(10);
  std::error_code ec;
  for (std::size_t i = 0; i < 100; ++i)
    index.search(data.view()[i], {.k = 10, .ef = 200}, out, ec);  // warm up
  const auto before = test::allocations();
  for (std::size_t i = 0; i < 100; ++i) index.search(data.view()[i], {.k = 10, .ef = 200}, out, ec);
  CHECK(test::allocations().calls == before.calls);
}

TEST_CASE("memory_bytes is what the index allocates, and small") {
  for (const std::size_t rows : {std::size_t{1000}, std::size_t{10000}}) {
    const std::size_t dimension = 128;
    const test::dataset<float> data(rows, dimension, 13);
    const auto before = test::allocations();
    hnsw_index<float> index(dimension, {.ef_construction = 20});
    index.add(data.keys, data.view());
    static_cast<void>(index.search(data.view()[0]));
    CHECK(index.memory_bytes() == test::allocations().bytes - before.bytes + sizeof(index));
    if (rows == 10000) {
      CHECK(index.memory_bytes() < 10'000'000);
      CHECK(index.memory_bytes() / rows < 1000);
    }
  }
}

TEST_CASE("an index moves") {
  const test::dataset<float> data(100, 4, 14);
  hnsw_index<float> index(4);
  index.add(data.keys, data.view());
  const auto checksum = index.graph_checksum();
  hnsw_index<float> moved(std::move(index));
  CHECK(moved.graph_checksum() == checksum);
  index = std::move(moved);
  CHECK(index.search(data.view()[3], {.k = 1})[0].key == data.keys[3]);
}
