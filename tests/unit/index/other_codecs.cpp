#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../support.hpp"

using namespace alidade;

// Searches by codes as such are tested with codecs::pca4 in coded_search.cpp: here is what the other codecs make different.

namespace {

constexpr hnsw_options other_graph{.M = 8, .ef_construction = 40};
constexpr hnsw_options other_thin{.M = 2, .ef_construction = 3};
constexpr std::size_t other_least = 512;  // vectors from which on sq8 has codes

template <class T>
struct other_data {
  std::size_t rows, columns;
  std::vector<T> values;
  std::vector<std::uint64_t> keys;

  other_data(std::size_t rows_, std::size_t columns_, std::uint32_t seed, float mean = 0)
      : rows(rows_), columns(columns_), keys(rows_) {
    for (const float v : test::dataset<float>(rows, columns, seed).values) {
      if constexpr (std::is_integral_v<T>) {
        const float least = std::is_signed_v<T> ? -128.0f : 0.0f;
        values.push_back(static_cast<T>(std::clamp(least + 128.0f + 50.0f * v, least, least + 255.0f)));
      } else {
        values.push_back(T(v + mean));
      }
    }
    for (std::size_t i = 0; i < rows; ++i) keys[i] = (i * 7919 + 5) % 100'003;
  }
  matrix_view<T> view() const { return {values.data(), rows, columns}; }
  matrix_view<T> view(std::size_t first, std::size_t count) const {
    return {values.data() + first * columns, count, columns};
  }
  std::span<const std::uint64_t> some_keys(std::size_t first, std::size_t count) const {
    return std::span(keys).subspan(first, count);
  }
  std::span<T> row(std::size_t i) { return std::span(values).subspan(i * columns, columns); }
};

template <class Index, class T>
void other_add(Index& index, const other_data<T>& data, std::size_t first, std::size_t count,
               std::size_t threads = 1) {
  index.add(data.some_keys(first, count), data.view(first, count), {.threads = threads});
}

template <class Index, class T>
auto other_answers(const Index& index, const other_data<T>& data, const search_options& options) {
  std::vector<typename Index::neighbor_type> all;
  for (std::size_t i = 0; i < data.rows; i += 8) {
    const auto found = index.search(data.view()[i], options);
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

template <class Index, class T>
std::size_t other_lost(const Index& index, const other_data<T>& data, std::size_t first, std::size_t count,
                       const search_options& options = {.k = 1, .ef = 50}, std::size_t step = 1) {
  std::size_t lost = 0;
  for (std::size_t i = first; i < first + count; i += step) {
    const auto found = index.search(data.view()[i], options);
    lost +=
        static_cast<std::size_t>(found.empty() || (found[0].key != data.keys[i] && found[0].distance > 0));
  }
  return lost;
}

template <class Answers, class Flat, class T>
bool other_are_true(const Answers& found, const Flat& flat, std::span<const T> query) {
  const auto truth = flat.search(query, {.k = flat.size()});
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto same = [&](const auto& n) { return n.key == found[i].key; };
    const auto real = std::find_if(truth.begin(), truth.end(), same);
    if (real == truth.end() ||
        std::memcmp(&real->distance, &found[i].distance, sizeof(found[i].distance)) != 0)
      return false;
    if (i != 0 && !(found[i - 1] < found[i])) return false;
  }
  return true;
}

/// At a wide search no recall is lost against vectors themselves, at a narrow one little, and answers are true.
template <class T, class Metric, class Codec>
void other_check_quality(std::size_t dimension, float mean = 0) {
  const std::size_t rows = 600, count = 40;
  const other_data<T> data(rows + count, dimension, 601, mean);
  hnsw_index<T, Metric, Codec> index(dimension, other_graph);
  hnsw_index<T, Metric> plain(dimension, other_graph);
  flat_index<T, Metric> flat(dimension);
  other_add(index, data, 0, rows);
  other_add(plain, data, 0, rows);
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
    all_true = all_true && narrow[q].size() == 10 && other_are_true(narrow[q], flat, queries[q]);
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
  const other_data<T> data(700, 19, 602);
  hnsw_index<T, Metric, Codec> index(19, other_graph);
  hnsw_index<T, Metric> plain(19, other_graph);
  for (const std::size_t first : {0u, 300u}) {
    other_add(index, data, first, first == 0 ? 300 : 400);
    other_add(plain, data, first, first == 0 ? 300 : 400);
  }
  for (const search_options& options : {search_options{.k = 1, .ef = 1}, search_options{.k = 10, .ef = 3},
                                        search_options{.k = 7, .ef = 30, .rerank = 9}})
    CHECK(other_answers(index, data, options) == other_answers(plain, data, options));
  CHECK(index.memory_bytes() - sizeof(index) == plain.memory_bytes() - sizeof(plain));
}

/// At the n-th allocation from now is exhausted.
class other_resource final : public memory_resource {
 public:
  void fail_at(std::size_t n) { until_failure_ = n; }
  std::size_t bytes() const { return bytes_; }
  std::size_t allocations() const { return allocations_; }

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (until_failure_ != 0 && until_failure_.fetch_sub(1) == 1) throw memory_pool_exhausted();
    alignment = std::max(alignment, sizeof(void*));
    void* const block = std::aligned_alloc(
        alignment, (std::max<std::size_t>(size, 1) + alignment - 1) / alignment * alignment);
    if (block == nullptr) throw std::bad_alloc();
    std::memset(block, 0x5b, size);
    bytes_ += size;
    ++allocations_;
    return block;
  }
  void do_deallocate(void* block, std::size_t size, std::size_t) override {
    std::memset(block, 0xa7, size);
    bytes_ -= size;
    std::free(block);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::atomic<std::size_t> until_failure_{0}, bytes_{0}, allocations_{0};
};

struct other_image {
  std::size_t size;
  std::uint64_t checksum;
  std::vector<neighbor<float>> narrow, wide;

  template <class Index>
  other_image(const Index& index, const other_data<float>& data)
      : size(index.size()),
        checksum(index.graph_checksum()),
        narrow(other_answers(index, data, {.k = 3, .ef = 2, .rerank = 3})),
        wide(index.search(data.view()[0], {.k = 20, .ef = 100})) {}
  bool operator==(const other_image&) const = default;
};

template <class Codec>
void other_run_out(std::size_t before, std::size_t more, std::size_t threads, std::size_t patience) {
  CAPTURE(before);
  const std::size_t columns = 5;
  const other_data<float> data(before + more, columns, 603);
  const other_data<float> some(400, columns, 604);
  hnsw_index<float, metrics::l2_squared, Codec> expected(columns, other_thin);
  other_resource memory;
  hnsw_options options = other_thin;
  options.memory = &memory;
  hnsw_index<float, metrics::l2_squared, Codec> index(columns, options);
  if (before != 0) {
    other_add(expected, data, 0, before);
    other_add(index, data, 0, before);
  }
  const other_image as_it_was(expected, some);
  CHECK(other_image(index, some) == as_it_was);
  std::error_code ec = errc::budget_exceeded;
  std::size_t failures = 0;
  for (std::size_t n = 1; ec; n += 1 + n / patience) {
    index.trim();
    memory.fail_at(n);
    const std::size_t result =
        index.add(data.some_keys(before, more), data.view(before, more), {.threads = threads}, ec);
    memory.fail_at(0);
    CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
    if (!ec) break;
    ++failures;
    CHECK(ec == errc::budget_exceeded);
    CHECK(result == error::no_row);
    const bool same = other_image(index, some) == as_it_was;
    CHECK(same);
    if (!same) return;
  }
  CHECK(failures > 5);
  other_add(expected, data, before, more);
  CHECK(other_image(index, some) == other_image(expected, some));
}

template <class Codec>
void other_check_sizes(float largest) {
  for (const float far : {1e18f, 3e38f}) {
    for (const std::size_t dimension : {4u, 115u}) {
      other_data<float> data(560, dimension, 605);
      for (std::size_t i = 0; i < data.rows; i += 70)
        std::fill_n(data.row(i).begin(), dimension, i % 20 == 0 ? far : -far);
      for (float& x : data.row(7)) x *= far / 8;
      for (float& x : data.row(9)) x *= 1e-42f;
      hnsw_index<float, metrics::l2_squared, Codec> index(dimension, other_graph);
      hnsw_index<float, metrics::inner_product, Codec> products(dimension, other_graph);
      flat_index<float> flat(dimension);
      flat_index<float, metrics::inner_product> flat_products(dimension);
      flat.add(data.keys, data.view());
      flat_products.add(data.keys, data.view());
      other_add(index, data, 0, data.rows);
      other_add(products, data, 0, data.rows);
      for (const std::size_t q : {0u, 1u, 7u, 9u, 70u, 300u}) {
        const auto query = data.view()[q];
        const auto found = index.search(query, {.k = 10, .ef = 30});
        const auto multiplied = products.search(query, {.k = 10, .ef = 30});
        CHECK(found.size() == 10);
        CHECK(multiplied.size() == 10);
        CHECK(other_are_true(found, flat, query));
        CHECK(other_are_true(multiplied, flat_products, query));
        CHECK(index.search(query, {.k = 560, .ef = 560, .rerank = 560}) == flat.search(query, {.k = 560}));
      }
      CHECK(other_lost(index, data, 0, data.rows) <= 70);
    }
  }
  // Numbers of one size, up to the largest that the codec tells apart.
  for (const float size : {1e-3f, largest / 4}) {
    other_data<float> data(560, 16, 606);
    for (float& x : data.values) x *= size;
    hnsw_index<float, metrics::l2_squared, Codec> index(16, other_graph);
    other_add(index, data, 0, data.rows);
    CHECK(other_lost(index, data, 0, data.rows) <= 2);
  }
  // More than a float has.
  other_data<double> data(540, 5, 607);
  for (double& x : data.values) x *= 1e200;
  if constexpr (!std::is_same_v<Codec, codecs::f16>) {
    hnsw_index<double, metrics::l2_squared, Codec> index(5, other_graph);
    flat_index<double> flat(5);
    other_add(index, data, 0, data.rows);
    flat.add(data.keys, data.view());
    for (std::size_t q = 0; q < data.rows; q += 60) {
      const auto found = index.search(data.view()[q], {.k = 10, .ef = 30});
      CHECK(found.size() == 10);
      CHECK(other_are_true(found, flat, data.view()[q]));
    }
  }
}

template <class Codec>
void other_check_equal_vectors() {
  for (const float value : {0.0f, 3.1f, -1e20f}) {
    other_data<float> data(600, 7, 608);
    std::fill(data.values.begin(), data.values.end(), value);
    hnsw_index<float, metrics::l2_squared, Codec> index(7, other_graph);
    other_add(index, data, 0, 600);
    const auto all = index.search(data.view()[0], {.k = 600, .ef = 600});
    REQUIRE(all.size() == 600);
    CHECK(std::is_sorted(all.begin(), all.end()));
    CHECK(all.back().distance == 0.0f);
    const other_data<float> others(60, 7, 609);
    for (std::size_t i = 0; i < others.rows; ++i) index.add(200'000 + i, others.view()[i]);
    std::size_t lost = 0;
    for (std::size_t i = 0; i < others.rows; ++i)
      lost += static_cast<std::size_t>(index.search(others.view()[i], {.k = 1})[0].distance > 0);
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
  const other_data<float> data(300, 16, 610);
  hnsw_index<float, metrics::l2_squared, codecs::f16> index(16, other_graph);
  hnsw_index<float, metrics::cosine, codecs::bf16> by_angle(16, other_graph);
  CHECK(index.search(data.view()[0]).empty());
  std::size_t lost = 0;
  for (std::size_t i = 0; i < data.rows; ++i) {
    index.add(data.keys[i], data.view()[i]);
    by_angle.add(data.keys[i], data.view()[i]);
    lost += other_lost(index, data, i, 1) + other_lost(index, data, i / 2, 1);
    CHECK(by_angle.search(data.view()[i], {.k = 1})[0].key == data.keys[i]);
  }
  CHECK(lost == 0);
  // Codes of one call or of many are the same.
  hnsw_index<float, metrics::l2_squared, codecs::f16> together(16, other_graph);
  hnsw_index<float> plain(16, other_graph);
  other_add(together, data, 0, data.rows);
  other_add(plain, data, 0, data.rows);
  CHECK(together.memory_bytes() >= plain.memory_bytes() + data.rows * 32);
  CHECK(together.memory_bytes() <= plain.memory_bytes() + data.rows * 48 + 8192 + 20'000);
}

TEST_CASE("what bytes are calibrated by is learnt anew when it does not serve what comes") {
  // The first vectors are around one point, all others around another far away: steps of the way between are too long.
  const std::size_t rows = 8 * other_least;
  other_data<float> data(rows, 8, 611);
  for (std::size_t i = 0; i < rows; ++i) {
    for (float& x : data.row(i)) x += i < other_least ? 0.0f : 3000.0f;
  }
  hnsw_index<float, metrics::l2_squared, codecs::sq8> index(8, other_graph);
  other_add(index, data, 0, other_least);
  CHECK(index.code_stats().learnt_from == other_least);
  const std::size_t held = index.memory_bytes();
  other_add(index, data, other_least, rows - 1 - other_least);
  CHECK(index.code_stats().learnt_from == rows - 1);
  const search_options narrow{.k = 1, .ef = 24, .rerank = 24};
  CHECK(other_lost(index, data, other_least, rows - 1 - other_least, narrow, 16) < 10);
  index.add(data.keys[rows - 1], data.view()[rows - 1]);
  CHECK(other_lost(index, data, other_least, rows - other_least, narrow, 16) < 10);
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
  const other_data<float> data(900, 20, 612);
  const search_options narrow{.k = 5, .ef = 4, .rerank = 6};
  const auto check = [&](auto codec) {
    std::vector<neighbor<float>> expected;
    for (const std::size_t threads : {1u, 2u, 5u}) {
      hnsw_index<float, metrics::l2_squared, decltype(codec)> index(20, other_graph);
      other_add(index, data, 0, 600, threads);
      other_add(index, data, 600, 300, threads);
      if (expected.empty()) expected = other_answers(index, data, narrow);
      CHECK(other_answers(index, data, narrow) == expected);
    }
  };
  check(codecs::sq8{});
  check(codecs::f16{});
}

TEST_CASE("an index with codes of bytes or halves has all of its memory from its resource, and moves") {
  const other_data<float> data(700, 20, 613);
  const auto check = [&](auto codec, std::size_t code_bytes) {
    using index_type = hnsw_index<float, metrics::l2_squared, decltype(codec)>;
    other_resource memory;
    hnsw_options options = other_graph;
    options.memory = &memory;
    {
      index_type index(20, options);
      other_add(index, data, 0, 700);
      std::vector<neighbor<float>> out(10);
      std::error_code ec;
      index.search(data.view()[3], {.ef = 200}, out, ec);
      CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
      const std::size_t allocations = memory.allocations();
      for (std::size_t i = 0; i < 100; ++i) index.search(data.view()[i], {.ef = 1 + 2 * i}, out, ec);
      CHECK(memory.allocations() == allocations);
      const other_image before(index, data);
      index_type moved(std::move(index));
      CHECK(other_image(moved, data) == before);
      CHECK(moved.trim() > 0);
      CHECK(memory.bytes() == moved.memory_bytes() - sizeof(moved));
      hnsw_index<float> plain(20, other_graph);
      other_add(plain, data, 0, 700);
      plain.trim();
      CHECK(moved.memory_bytes() <= plain.memory_bytes() + 700 * code_bytes * 9 / 8 + 20'000);
    }
    CHECK(memory.bytes() == 0);
  };
  check(codecs::sq8{}, 32);
  check(codecs::f16{}, 64);
}

TEST_CASE("codes of bytes and halves are packed, opened, and checked") {
  const other_data<float> data(600, 24, 614);
  const search_options narrow{.k = 5, .ef = 4, .rerank = 6};
  const auto check = [&](auto codec, std::size_t least) {
    using codec_type = decltype(codec);
    using packed = packed_index<float, metrics::l2_squared, codec_type>;
    hnsw_index<float, metrics::l2_squared, codec_type> index(24, other_graph);
    for (const std::size_t rows : {std::size_t{0}, std::size_t{100}, std::size_t{600}}) {
      if (rows != 0) other_add(index, data, index.size(), rows - index.size());
      const packed copy = index.pack({.order = node_order::as_given});
      CHECK(other_answers(copy, data, narrow) == other_answers(index, data, narrow));
      const packed opened = packed::open(copy.image());
      CHECK(other_answers(opened, data, narrow) == other_answers(index, data, narrow));
      std::error_code ec;
      static_cast<void>(
          packed_index<float, metrics::l2_squared, codecs::pca4>::open(copy.image(), {}, {}, ec));
      CHECK((ec == errc::wrong_format) == (rows >= least));
    }
  };
  check(codecs::sq8{}, other_least);
  check(codecs::f16{}, 1);
  // What is its own code is packed as it is.
  const other_data<std::uint8_t> bytes(600, 24, 615);
  hnsw_index<std::uint8_t, metrics::l2_squared, codecs::sq8> index(24, other_graph);
  other_add(index, bytes, 0, 600);
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
