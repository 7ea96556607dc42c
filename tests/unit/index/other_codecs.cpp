#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>

#include "../../failing_resource.hpp"
#include "../../index_support.hpp"
#include "../../support.hpp"

using namespace alidade;
using test::add_rows;
using test::answers_are_true;
using test::answers_of;
using test::count_lost;
using test::failing_resource;
using test::index_image;
using test::keyed_rows;

// Searches by codes as such are tested with codecs::pca4 in coded_search.cpp: here is what the other codecs make different.

namespace {

constexpr hnsw_options other_graph{.M = 8, .ef_construction = 40};
constexpr std::size_t other_least = 512;  // vectors from which on sq8 has codes

/// At a wide search no recall is lost against vectors themselves, at a narrow one little, and answers are true.
template <class T, class Metric, class Codec>
void other_check_quality(std::size_t dimension, float mean = 0) {
  const std::size_t rows = 600, count = 40;
  const keyed_rows<T> data(rows + count, dimension, 601, mean);
  hnsw_index<T, Metric, Codec> index(dimension, other_graph);
  hnsw_index<T, Metric> plain(dimension, other_graph);
  flat_index<T, Metric> flat(dimension);
  add_rows(index, data, 0, rows);
  add_rows(plain, data, 0, rows);
  CHECK(index.stats().mean_kept_degree == doctest::Approx(plain.stats().mean_kept_degree).epsilon(0.05));
  flat.add(data.some_keys(0, rows), data.view(0, rows));
  const auto queries = data.view(rows, count);
  const auto truth = flat.search(queries, {.k = 10});
  const auto narrow = index.search(queries, {.k = 10, .ef = 40});
  CHECK(test::recall(narrow, truth, count) >=
        test::recall(plain.search(queries, {.k = 10, .ef = 40}), truth, count) - 0.03);
  CHECK(test::recall(index.search(queries, {.k = 10, .ef = 300}), truth, count) >=
        test::recall(plain.search(queries, {.k = 10, .ef = 300}), truth, count) - 0.001);
  bool all_true = true;
  for (std::size_t q = 0; q < count; ++q)
    all_true = all_true && narrow[q].size() == 10 && answers_are_true(narrow[q], flat, queries[q]);
  CHECK(all_true);
  // As wide as the index it is exact search.
  for (const std::size_t k : {std::size_t{1}, std::size_t{10}, rows}) {
    CHECK(index.search(queries[3], {.k = k, .ef = 2 * rows, .rerank = rows}) ==
          flat.search(queries[3], {.k = k}));
  }
}

template <class Codec>
void other_check_all_metrics() {
  for (const std::size_t d : {7u, 24u, 130u}) {
    other_check_quality<float, metrics::l2_squared, Codec>(d);
    other_check_quality<float, metrics::inner_product, Codec>(d);
    other_check_quality<float, metrics::cosine, Codec>(d);
  }
  other_check_quality<float, metrics::inner_product, Codec>(24, 3);
  other_check_quality<float, metrics::l2_squared, Codec>(24, 3);
}

/// Vectors that are no longer than codes are their own: an index with the codec is the one without.
template <class T, class Metric, class Codec>
void other_check_own_codes() {
  const keyed_rows<T> data(700, 19, 602);
  hnsw_index<T, Metric, Codec> index(19, other_graph);
  hnsw_index<T, Metric> plain(19, other_graph);
  for (const std::size_t first : {0u, 300u}) {
    add_rows(index, data, first, first == 0 ? 300 : 400);
    add_rows(plain, data, first, first == 0 ? 300 : 400);
  }
  for (const search_options& options : {search_options{.k = 1, .ef = 1}, search_options{.k = 10, .ef = 3},
                                        search_options{.k = 7, .ef = 30, .rerank = 9}})
    CHECK(answers_of(index, data, options) == answers_of(plain, data, options));
  CHECK(index.memory_bytes() - sizeof(index) == plain.memory_bytes() - sizeof(plain));
}

template <class Codec>
void other_run_out(std::size_t before, std::size_t more, std::size_t threads, std::size_t patience) {
  test::check_addition_out_of_memory<Codec>(603, 5, before, more, threads, patience);
}

template <class Codec>
void other_check_sizes(float largest) {
  for (const float far : {1e18f, 3e38f}) {
    for (const std::size_t dimension : {4u, 115u}) {
      keyed_rows<float> data(560, dimension, 605);
      for (std::size_t i = 0; i < data.rows; i += 70)
        std::fill_n(data.row(i).begin(), dimension, i % 20 == 0 ? far : -far);
      for (float& x : data.row(7)) x *= far / 8;
      for (float& x : data.row(9)) x *= 1e-42f;
      const auto index = test::check_true_answers<Codec>(data, {0, 1, 7, 9, 70, 300}, other_graph);
      CHECK(count_lost(index, data, 0, data.rows) <= 70);
    }
  }
  // Numbers of one size, up to the largest that the codec tells apart.
  for (const float size : {1e-3f, largest / 4}) {
    keyed_rows<float> data(560, 16, 606);
    for (float& x : data.values) x *= size;
    hnsw_index<float, metrics::l2_squared, Codec> index(16, other_graph);
    add_rows(index, data, 0, data.rows);
    CHECK(count_lost(index, data, 0, data.rows) <= 2);
  }
  if constexpr (!std::is_same_v<Codec, codecs::f16>) test::check_wide_doubles<Codec>(607, other_graph);
}

template <class Codec>
void other_check_equal_vectors() {
  for (const float value : {0.0f, 3.1f, -1e20f}) {
    keyed_rows<float> data(600, 7, 608);
    std::fill(data.values.begin(), data.values.end(), value);
    hnsw_index<float, metrics::l2_squared, Codec> index(7, other_graph);
    add_rows(index, data, 0, 600);
    const auto all = index.search(data.view()[0], {.k = 600, .ef = 600});
    REQUIRE(all.size() == 600);
    CHECK(std::is_sorted(all.begin(), all.end()));
    CHECK(all.back().distance == 0.0f);
    const keyed_rows<float> others(60, 7, 609);
    const std::size_t lost = test::count_lost_of_added(index, others);
    if (value > -1e10f) CHECK(lost <= 2);
  }
}

}  // namespace

TEST_CASE("searches by bytes and halves lose no recall that a wider one does not find") {
  SUBCASE("sq8") { other_check_all_metrics<codecs::sq8>(); }
  SUBCASE("f16") { other_check_all_metrics<codecs::f16>(); }
  SUBCASE("bf16") { other_check_all_metrics<codecs::bf16>(); }
  SUBCASE("of halves and doubles") {
    other_check_quality<f16, metrics::cosine, codecs::sq8>(24);
    other_check_quality<double, metrics::l2_squared, codecs::sq8>(24);
    other_check_quality<double, metrics::l2_squared, codecs::bf16>(24);
  }
}

TEST_CASE("vectors no longer than codes would be are their own, exactly") {
  other_check_own_codes<std::uint8_t, metrics::l2_squared, codecs::sq8>();
  other_check_own_codes<std::int8_t, metrics::cosine, codecs::bf16>();
  other_check_own_codes<f16, metrics::l2_squared, codecs::f16>();
}

TEST_CASE("halves are searched from the first vector on, and nothing is learnt") {
  const keyed_rows<float> data(300, 16, 610);
  hnsw_index<float, metrics::l2_squared, codecs::f16> index(16, other_graph);
  hnsw_index<float, metrics::cosine, codecs::bf16> by_angle(16, other_graph);
  CHECK(index.search(data.view()[0]).empty());
  std::size_t lost = 0;
  for (std::size_t i = 0; i < data.rows; ++i) {
    index.add(data.keys[i], data.view()[i]);
    by_angle.add(data.keys[i], data.view()[i]);
    lost += count_lost(index, data, i, 1) + count_lost(index, data, i / 2, 1);
    CHECK(by_angle.search(data.view()[i], {.k = 1})[0].key == data.keys[i]);
  }
  CHECK(lost == 0);
  // Codes of one call or of many are the same.
  hnsw_index<float, metrics::l2_squared, codecs::f16> together(16, other_graph);
  hnsw_index<float> plain(16, other_graph);
  add_rows(together, data, 0, data.rows);
  add_rows(plain, data, 0, data.rows);
  CHECK(together.memory_bytes() >= plain.memory_bytes() + data.rows * 32);
  CHECK(together.memory_bytes() <= plain.memory_bytes() + data.rows * 48 + 8192 + 20'000);
}

TEST_CASE("what bytes are calibrated by is learnt anew when it does not serve what comes") {
  // The first vectors are around one point, all others around another far away: steps of the way between are too long.
  const std::size_t rows = 8 * other_least;
  keyed_rows<float> data(rows, 8, 611);
  for (std::size_t i = 0; i < rows; ++i) {
    for (float& x : data.row(i)) x += i < other_least ? 0.0f : 3000.0f;
  }
  hnsw_index<float, metrics::l2_squared, codecs::sq8> index(8, other_graph);
  add_rows(index, data, 0, other_least);
  CHECK(index.code_stats().learnt_from == other_least);
  const std::size_t held = index.memory_bytes();
  add_rows(index, data, other_least, rows - 1 - other_least);
  CHECK(index.code_stats().learnt_from == rows - 1);
  const search_options narrow{.k = 1, .ef = 24, .rerank = 24};
  CHECK(count_lost(index, data, other_least, rows - 1 - other_least, narrow, 16) < 10);
  index.add(data.keys[rows - 1], data.view()[rows - 1]);
  CHECK(count_lost(index, data, other_least, rows - other_least, narrow, 16) < 10);
  CHECK(index.memory_bytes() < 9 * held);
}

TEST_CASE("whichever allocation of an addition fails, codes of bytes and halves are as they were") {
  other_run_out<codecs::sq8>(0, other_least, 1, 3);
  other_run_out<codecs::sq8>(other_least - 1, 1, 1, 2);
  other_run_out<codecs::sq8>(other_least + 40, 300, 3, 8);
  other_run_out<codecs::sq8>(other_least, 7 * other_least, 2, 3);  // learnt anew
  other_run_out<codecs::f16>(0, 200, 1, 4);
  other_run_out<codecs::f16>(100, 300, 2, 4);
  other_run_out<codecs::bf16>(1, 1, 1, 4);
}

TEST_CASE("numbers of any size give answers by bytes and halves, sorted and true") {
  SUBCASE("sq8") { other_check_sizes<codecs::sq8>(1e18f); }
  SUBCASE("f16") { other_check_sizes<codecs::f16>(6e4f); }
  SUBCASE("bf16") { other_check_sizes<codecs::bf16>(1e18f); }
}

TEST_CASE("equal vectors are found by bytes and halves") {
  other_check_equal_vectors<codecs::sq8>();
  other_check_equal_vectors<codecs::f16>();
  other_check_equal_vectors<codecs::bf16>();
}

TEST_CASE("answers by bytes and halves depend on no number of threads") {
  const keyed_rows<float> data(900, 20, 612);
  const search_options narrow{.k = 5, .ef = 4, .rerank = 6};
  const auto check = [&](auto codec) {
    std::vector<neighbor<float>> expected;
    for (const std::size_t threads : {1u, 2u, 5u}) {
      hnsw_index<float, metrics::l2_squared, decltype(codec)> index(20, other_graph);
      add_rows(index, data, 0, 600, threads);
      add_rows(index, data, 600, 300, threads);
      if (expected.empty()) expected = answers_of(index, data, narrow);
      CHECK(answers_of(index, data, narrow) == expected);
    }
  };
  check(codecs::sq8{});
  check(codecs::f16{});
}

TEST_CASE("an index with codes of bytes or halves has all of its memory from its resource, and moves") {
  const keyed_rows<float> data(700, 20, 613);
  const auto check = [&](auto codec, std::size_t code_bytes) {
    using index_type = hnsw_index<float, metrics::l2_squared, decltype(codec)>;
    failing_resource memory;
    {
      index_type index(20, test::in_memory(memory, other_graph));
      add_rows(index, data, 0, 700);
      std::vector<neighbor<float>> out(10);
      std::error_code ec;
      index.search(data.view()[3], {.ef = 200}, out, ec);
      CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
      const std::size_t allocations = memory.allocations();
      for (std::size_t i = 0; i < 100; ++i) index.search(data.view()[i], {.ef = 1 + 2 * i}, out, ec);
      CHECK(memory.allocations() == allocations);
      const index_image before(index, data);
      index_type moved(std::move(index));
      CHECK(index_image(moved, data) == before);
      CHECK(moved.trim() > 0);
      CHECK(memory.bytes() == moved.memory_bytes() - sizeof(moved));
      hnsw_index<float> plain(20, other_graph);
      add_rows(plain, data, 0, 700);
      plain.trim();
      CHECK(moved.memory_bytes() <= plain.memory_bytes() + 700 * code_bytes * 9 / 8 + 20'000);
    }
    CHECK(memory.bytes() == 0);
  };
  check(codecs::sq8{}, 32);
  check(codecs::f16{}, 64);
}

TEST_CASE("codes of bytes and halves are packed, opened, and checked") {
  const keyed_rows<float> data(600, 24, 614);
  const search_options narrow{.k = 5, .ef = 4, .rerank = 6};
  const auto check = [&](auto codec, std::size_t least) {
    using codec_type = decltype(codec);
    using packed = packed_index<float, metrics::l2_squared, codec_type>;
    hnsw_index<float, metrics::l2_squared, codec_type> index(24, other_graph);
    for (const std::size_t rows : {std::size_t{0}, std::size_t{100}, std::size_t{600}}) {
      if (rows != 0) add_rows(index, data, index.size(), rows - index.size());
      const packed copy = index.pack({.order = node_order::as_given});
      CHECK(answers_of(copy, data, narrow) == answers_of(index, data, narrow));
      const packed opened = packed::open(copy.image());
      CHECK(answers_of(opened, data, narrow) == answers_of(index, data, narrow));
      std::error_code ec;
      static_cast<void>(
          packed_index<float, metrics::l2_squared, codecs::pca4>::open(copy.image(), {}, {}, ec));
      CHECK((ec == errc::wrong_format) == (rows >= least));
    }
  };
  check(codecs::sq8{}, other_least);
  check(codecs::f16{}, 1);
  // What is its own code is packed as it is.
  const keyed_rows<std::uint8_t> bytes(600, 24, 615);
  hnsw_index<std::uint8_t, metrics::l2_squared, codecs::sq8> index(24, other_graph);
  add_rows(index, bytes, 0, 600);
  const auto copy = index.pack();
  CHECK(copy.search(bytes.view()[7], {.k = 1})[0].key == bytes.keys[7]);
  const auto plain = packed_index<std::uint8_t>::open(copy.image());
  CHECK(plain.search(bytes.view()[7]) == copy.search(bytes.view()[7]));
}

TEST_CASE("options of codes of bytes that are out of range are refused") {
  for (const codecs::sq8& codec :
       {codecs::sq8{.quantile = 0.5}, codecs::sq8{.quantile = 1.5},
        codecs::sq8{.quantile = std::numeric_limits<double>::quiet_NaN()}, codecs::sq8{.train_rows = 0}}) {
    std::error_code ec;
    const hnsw_index<float, metrics::l2_squared, codecs::sq8> index(3, {}, {}, codec, ec);
    CHECK(ec == errc::invalid_option);
    const hnsw_index<std::uint8_t, metrics::l2_squared, codecs::sq8> of_bytes(3, {}, {}, codec, ec);
    CHECK(ec == errc::invalid_option);
    CHECK_THROWS_AS((hnsw_index<float, metrics::l2_squared, codecs::sq8>(3, {}, {}, codec)), error);
  }
  std::error_code ec = errc::not_finite;
  const hnsw_index<float, metrics::cosine, codecs::sq8> good(3, {}, {}, {.quantile = 1, .train_rows = 1}, ec);
  CHECK_FALSE(ec);
}
