#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <system_error>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using namespace alidade;

namespace {

constexpr hnsw_options exact_graph{.M = 4, .ef_construction = 10};

/// Whether both are the same answers, to the bit.
template <class A, class B>
bool exact_are_same(const A& a, const B& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].key != b[i].key || std::memcmp(&a[i].distance, &b[i].distance, sizeof(a[i].distance)) != 0)
      return false;
  }
  return true;
}

/// Whether for all queries, by themselves and together, and for all k, the graph's exact search is that of flat_index.
template <class T, class Metric>
bool exact_is_as_flat(const test::dataset<T>& data, std::size_t rows) {
  hnsw_index<T, Metric> index(data.columns, exact_graph);
  flat_index<T, Metric> flat(data.columns);
  index.add(std::span(data.keys).first(rows), data.view(0, rows));
  flat.add(std::span(data.keys).first(rows), data.view(0, rows));
  bool same = true;
  for (const std::size_t k :
       {std::size_t{1}, std::size_t{2}, std::size_t{10}, std::size_t{65}, rows, rows + 7}) {
    const auto together = flat.search(data.view(), {.k = k});
    for (std::size_t q = 0; q < data.rows; q += 11) {
      std::vector<typename decltype(index)::neighbor_type> out(std::min(k, rows) + 3, {77, {}});
      std::error_code ec = errc::not_finite;
      const std::size_t found = index.search_exact(data.view()[q], k, out, ec);
      same = same && !ec && found == std::min(k, rows);
      same = same && out[found].key == 77 && out.back().key == 77;  // nothing is written behind them
      out.resize(found);
      same = same && exact_are_same(out, flat.search(data.view()[q], {.k = k})) &&
             exact_are_same(out, together[q]);
    }
  }
  return same;
}

}  // namespace

TEST_CASE("an exact search of a graph's vectors is that of an exact index, to the bit") {
  const test::dataset<float> floats(230, 19, 81);
  const test::dataset<std::uint8_t> bytes(230, 19, 82);
  for (const std::size_t rows : {1u, 63u, 64u, 65u, 200u}) {
    CHECK(exact_is_as_flat<float, metrics::l2_squared>(floats, rows));
    CHECK(exact_is_as_flat<float, metrics::inner_product>(floats, rows));
    CHECK(exact_is_as_flat<float, metrics::cosine>(floats, rows));
    CHECK(exact_is_as_flat<std::uint8_t, metrics::l2_squared>(bytes, rows));
    CHECK(exact_is_as_flat<std::uint8_t, metrics::inner_product>(bytes, rows));
  }
}

TEST_CASE("an exact search breaks ties by key, whatever the order of the vectors") {
  // Bytes of two values in four dimensions, and keys that fall and rise: five distances for 300 vectors.
  test::random r(83);
  test::dataset<std::uint8_t> data(300, 4, 84);
  for (auto& x : data.values) x = static_cast<std::uint8_t>(r.below(2));
  for (std::size_t i = 0; i < data.rows; ++i) data.keys[i] = (i * 7919 + 5) % 1009;
  CHECK(exact_is_as_flat<std::uint8_t, metrics::l2_squared>(data, 300));
  CHECK(exact_is_as_flat<std::uint8_t, metrics::l2_squared>(data, 150));

  hnsw_index<std::uint8_t> index(4, exact_graph);
  index.add(data.keys, data.view());
  for (std::size_t q = 0; q < 30; ++q) {
    std::vector<neighbor<std::uint32_t>> truth;
    for (std::size_t i = 0; i < data.rows; ++i) {
      std::uint32_t distance = 0;
      for (std::size_t j = 0; j < 4; ++j) {
        const int d = int{data.view()[i][j]} - int{data.view()[q][j]};
        distance += static_cast<std::uint32_t>(d * d);
      }
      truth.push_back({data.keys[i], distance});
    }
    std::sort(truth.begin(), truth.end());
    truth.resize(20);
    std::vector<neighbor<std::uint32_t>> out(20);
    std::error_code ec;
    CHECK(index.search_exact(data.view()[q], 20, out, ec) == 20);
    CHECK(out == truth);
  }
}

TEST_CASE("an exact search finds what a narrow search misses") {
  const test::dataset<float> data(900, 24, 85);
  hnsw_index<float> index(24, {.M = 2, .ef_construction = 2});
  flat_index<float> flat(24);
  index.add(data.keys, data.view());
  flat.add(data.keys, data.view());
  std::size_t missed = 0;
  bool same = true;
  for (std::size_t q = 0; q < 60; ++q) {
    std::array<neighbor<float>, 10> out;
    std::error_code ec;
    index.search_exact(data.view()[q], 10, out, ec);
    same = same && exact_are_same(out, flat.search(data.view()[q]));
    missed += static_cast<std::size_t>(!exact_are_same(out, index.search(data.view()[q], {.ef = 10})));
  }
  CHECK(same);
  CHECK(missed > 30);
}

TEST_CASE("an exact search refuses what a search refuses, and writes nothing") {
  const test::dataset<float> data(40, 6, 86);
  hnsw_index<float, metrics::cosine> index(6, exact_graph);
  index.add(data.keys, data.view());
  const std::vector<neighbor<float>> before(10, {5, 5.0f});
  auto out = before;
  std::error_code ec;
  const auto refused = [&](std::span<const float> query, std::size_t k, std::size_t room, errc code) {
    std::error_code other;
    ec.clear();
    CHECK(index.search_exact(query, k, std::span(out).first(room), ec) == 0);
    CHECK(ec == code);
    CHECK(out == before);
    index.search(query, {.k = k}, std::span(out).first(room), other);
    CHECK(other == ec);
    CHECK(out == before);
  };
  refused(data.view()[0], 0, 10, errc::invalid_option);
  refused(data.view()[0], 10, 9, errc::size_mismatch);
  refused(data.view()[0], 1, 0, errc::size_mismatch);
  refused(data.view()[0].first(5), 10, 10, errc::dimension_mismatch);
  refused({}, 10, 10, errc::dimension_mismatch);
  for (std::size_t place = 0; place < 6; ++place) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      std::vector<float> query(6, 1);
      query[place] = bad;
      refused(query, 10, 10, errc::not_finite);
    }
  }
  refused(std::vector<float>(6, 0.0f), 10, 10, errc::zero_norm);
  // The error before is forgotten.
  ec = errc::zero_norm;
  CHECK(index.search_exact(data.view()[7], 10, out, ec) == 10);
  CHECK_FALSE(ec);
  CHECK(out[0].key == data.keys[7]);
}

TEST_CASE("an exact search of nothing finds nothing") {
  hnsw_index<float> index(3);
  std::error_code ec = errc::not_finite;
  const std::vector<float> query{1, 2, 3};
  CHECK(index.search_exact(query, 10, {}, ec) == 0);
  CHECK_FALSE(ec);
  CHECK(index.search_exact(query, 0, {}, ec) == 0);
  CHECK(ec == errc::invalid_option);
  CHECK(index.search_exact(std::span(query).first(2), 10, {}, ec) == 0);
  CHECK(ec == errc::dimension_mismatch);
}

TEST_CASE("an exact search allocates nothing after the first, and leaves others as they were") {
  const test::dataset<float> data(500, 12, 87);
  hnsw_index<float> index(12, exact_graph);
  index.add(data.keys, data.view());
  std::vector<neighbor<float>> out(500), searched(10), again(10);
  std::error_code ec;
  index.trim();
  index.search(data.view()[3], {}, searched, ec);
  index.search_exact(data.view()[3], 500, out, ec);
  const std::size_t before = test::allocations().calls;
  for (std::size_t q = 0; q < 50; ++q) CHECK(index.search_exact(data.view()[q], 500, out, ec) == 500);
  index.search(data.view()[3], {}, again, ec);
  CHECK(test::allocations().calls == before);
  CHECK(searched == again);
}

TEST_CASE("an exact search that finds the pool exhausted says so") {
  const test::dataset<float> data(300, 12, 88);
  std::vector<neighbor<float>> out(10, {5, 5.0f});
  const auto unchanged = out;
  memory_pool pool;
  hnsw_index<float> index(12, {.M = 4, .ef_construction = 10, .memory = &pool});
  index.add(data.keys, data.view());
  index.trim();
  std::error_code ec;
  std::vector<void*> rest;
  for (std::size_t size = std::size_t{1} << 20; size >= 8; size /= 2) {
    while (void* const block = pool.allocate(size, 8, ec)) rest.push_back(block);
    rest.push_back(nullptr);
  }
  ec.clear();
  CHECK(index.search_exact(data.view()[0], 10, out, ec) == 0);
  CHECK(ec == errc::budget_exceeded);
  CHECK(out == unchanged);
  std::size_t size = std::size_t{1} << 20;
  for (void* const block : rest) {
    if (block == nullptr) {
      size /= 2;
    } else {
      pool.deallocate(block, size, 8);
    }
  }
  CHECK(index.search_exact(data.view()[0], 10, out, ec) == 10);
  CHECK_FALSE(ec);
}
