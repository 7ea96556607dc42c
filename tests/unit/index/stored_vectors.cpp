#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>

#include "../../failing_resource.hpp"
#include "../../index_support.hpp"

using namespace alidade;
using test::add_rows;
using test::failing_resource;
using test::keyed_rows;

namespace {

template <class Metric, class Codec = codecs::none>
using stored_bytes = hnsw_index<float, Metric, Codec, storage::sq8>;
template <class Metric, class Codec = codecs::none>
using stored_halves = hnsw_index<float, Metric, Codec, storage::f16>;
using stored_l2 = stored_bytes<metrics::l2_squared>;

constexpr hnsw_options stored_graph{.M = 8, .ef_construction = 40};

template <class Index>
std::vector<neighbor<float>> stored_exact(const Index& index, std::span<const float> query, std::size_t k) {
  std::vector<neighbor<float>> out(std::min(k, index.size()));
  std::error_code ec;
  CHECK(index.search_exact(query, k, out, ec) == out.size());
  CHECK_FALSE(ec);
  return out;
}

/// The stored distances are near the true ones, a wide search has those of exact search, and both find the true neighbours.
template <class Index, class Metric>
void stored_check(std::size_t d, double recall, double error, float mean = 0) {
  const std::size_t rows = 700, count = 40;
  const keyed_rows<float> data(rows + count, d, 701, mean);
  Index index(d, stored_graph);
  flat_index<float, Metric> flat(d);
  add_rows(index, data, 0, 400);
  add_rows(index, data, 400, rows - 400, 2);
  flat.add(data.some_keys(0, rows), data.view(0, rows));
  CAPTURE(d);
  std::size_t hits = 0, searched = 0, wrong = 0;
  double squares = 0, all_squares = 0;
  for (std::size_t q = 0; q < count; ++q) {
    const auto query = data.view()[rows + q];
    const auto truth = flat.search(query, {.k = rows});
    const auto all = stored_exact(index, query, rows);
    const auto found = index.search(query, {.k = 10, .ef = 200});
    wrong += static_cast<std::size_t>(!std::is_sorted(all.begin(), all.end()) || found.size() != 10);
    for (std::size_t i = 0; i < 10; ++i) {
      const auto is_near = [&](std::uint64_t key) {
        return std::any_of(truth.begin(), truth.begin() + 10, [&](const auto& n) { return n.key == key; });
      };
      hits += static_cast<std::size_t>(is_near(all[i].key));
      searched += static_cast<std::size_t>(is_near(found[i].key));
      const auto same = [&](const auto& n) { return n.key == found[i].key; };
      wrong +=
          static_cast<std::size_t>(std::find_if(all.begin(), all.end(), same)->distance != found[i].distance);
    }
    for (const auto& n : all) {
      const auto same = [&](const auto& other) { return other.key == n.key; };
      const double exact = static_cast<double>(std::find_if(truth.begin(), truth.end(), same)->distance);
      squares += (static_cast<double>(n.distance) - exact) * (static_cast<double>(n.distance) - exact);
      all_squares += exact * exact;
    }
    CHECK(index.search(query, {.k = rows, .ef = rows, .rerank = rows}) == all);
  }
  CHECK(wrong == 0);
  CHECK(static_cast<double>(hits) >= recall * 10 * static_cast<double>(count));
  CHECK(static_cast<double>(searched) >= (recall - 0.01) * 10 * static_cast<double>(count));
  CHECK(std::sqrt(squares / all_squares) < error);
}

struct stored_image {
  std::size_t size, clamped;
  std::uint64_t checksum;
  std::vector<neighbor<float>> nearest;

  stored_image(const stored_l2& index, std::span<const float> query)
      : size(index.size()),
        clamped(index.clamped_components()),
        checksum(index.graph_checksum()),
        nearest(stored_exact(index, query, 50)) {}
  bool operator==(const stored_image&) const = default;
};

}  // namespace

TEST_CASE("vectors in signed bytes have nearly the distances of floats, and the same neighbours") {
  for (const std::size_t d : {3u, 8u, 24u, 63u, 130u}) {
    const double recall = d < 10 ? 0.9 : 0.96;
    stored_check<stored_l2, metrics::l2_squared>(d, recall, 0.02);
    stored_check<stored_bytes<metrics::inner_product>, metrics::inner_product>(d, recall - 0.02, 0.03);
    stored_check<stored_bytes<metrics::cosine>, metrics::cosine>(d, recall, 0.02);
  }
  // A mean is taken off, where a distance is left as it is by that.
  stored_check<stored_l2, metrics::l2_squared>(24, 0.96, 0.02, 100);
  stored_check<stored_bytes<metrics::cosine>, metrics::cosine>(24, 0.93, 0.03, 1);
}

TEST_CASE("vectors in signed bytes are searched by codes as others are") {
  stored_check<stored_bytes<metrics::l2_squared, codecs::pca4>, metrics::l2_squared>(130, 0.96, 0.02);
  stored_check<stored_bytes<metrics::inner_product, codecs::pca4>, metrics::inner_product>(24, 0.94, 0.03);
  // Bytes are their own codes of sq8.
  const keyed_rows<float> data(600, 20, 702);
  stored_bytes<metrics::l2_squared, codecs::sq8> coded(20, stored_graph);
  stored_l2 index(20, stored_graph);
  add_rows(coded, data, 0, 600);
  add_rows(index, data, 0, 600);
  CHECK(coded.memory_bytes() == index.memory_bytes());
  CHECK(coded.search(data.view()[3]) == index.search(data.view()[3]));
}

TEST_CASE("dimensions of their own scale are no trouble for signed bytes") {
  keyed_rows<float> data(740, 64, 703);
  for (std::size_t i = 0; i < data.rows; ++i) {
    data.row(i)[5] *= 30;
    data.row(i)[60] += 200;
  }
  stored_l2 index(64, stored_graph);
  flat_index<float> flat(64);
  add_rows(index, data, 0, 700);
  flat.add(data.some_keys(0, 700), data.view(0, 700));
  std::size_t hits = 0;
  for (std::size_t q = 700; q < 740; ++q) {
    const auto truth = flat.search(data.view()[q], {.k = 10});
    for (const auto& n : stored_exact(index, data.view()[q], 10))
      hits += static_cast<std::size_t>(
          std::any_of(truth.begin(), truth.end(), [&](const auto& t) { return t.key == n.key; }));
  }
  CHECK(hits >= 375);
}

TEST_CASE("an index that stores halves is the one of halves, and takes floats") {
  const keyed_rows<float> data(700, 20, 704);
  std::vector<f16> halves;
  for (const float x : data.values) halves.push_back(f16(x));
  const matrix_view<f16> half_rows(halves.data(), data.rows, data.columns);
  stored_halves<metrics::l2_squared> index(20, stored_graph);
  hnsw_index<f16> of_halves(20, stored_graph);
  add_rows(index, data, 0, data.rows);
  of_halves.add(data.keys, half_rows);
  CHECK(index.graph_checksum() == of_halves.graph_checksum());
  bool same = true;
  for (std::size_t q = 0; q < data.rows; q += 10)
    same = same && index.search(data.view()[q]) == of_halves.search(half_rows[q]);
  CHECK(same);
  CHECK(index.memory_bytes() == of_halves.memory_bytes());
  stored_check<stored_halves<metrics::l2_squared>, metrics::l2_squared>(24, 0.99, 0.001);
  stored_check<stored_halves<metrics::cosine>, metrics::cosine>(24, 0.99, 0.001, 3);
  stored_check<stored_halves<metrics::inner_product, codecs::pca4>, metrics::inner_product>(24, 0.97, 0.002);
  stored_check<hnsw_index<float, metrics::l2_squared, codecs::none, storage::bf16>, metrics::l2_squared>(
      24, 0.96, 0.01);
}

TEST_CASE("a component that no half float holds is an error that names the row") {
  keyed_rows<float> data(100, 6, 705);
  stored_halves<metrics::l2_squared> index(6, stored_graph);
  add_rows(index, data, 0, 50);
  const std::uint64_t checksum = index.graph_checksum();
  for (const float far : {65520.0f, -65520.0f, 1e30f, std::numeric_limits<float>::max()}) {
    keyed_rows<float> bad = data;
    bad.row(70)[4] = far;
    std::error_code ec;
    CHECK(index.add(bad.some_keys(50, 50), bad.view(50, 50), ec) == 20);
    CHECK(ec == errc::not_representable);
    try {
      add_rows(index, bad, 50, 50);
      FAIL("it was accepted");
    } catch (const error& e) {
      CHECK(e.code() == errc::not_representable);
      CHECK(e.row() == 20);
    }
    CHECK(index.search(bad.view()[70], {}, ec).empty());
    CHECK(ec == errc::not_representable);
    CHECK(index.size() == 50);
    CHECK(index.graph_checksum() == checksum);
    // Directions have no size; bfloat16 has the range of floats.
    stored_halves<metrics::cosine> by_angle(6, stored_graph);
    add_rows(by_angle, bad, 50, 50);
    CHECK(by_angle.search(bad.view()[70], {.k = 1})[0].key == bad.keys[70]);
    if (std::abs(far) > 3.39e38f) continue;
    hnsw_index<float, metrics::l2_squared, codecs::none, storage::bf16> wide(6, stored_graph);
    add_rows(wide, bad, 50, 50);
    CHECK(wide.size() == 50);
  }
  data.row(0)[0] = 65504.0f;
  data.row(1)[1] = 65519.0f;  // which is rounded down
  index.add(200'000, data.row(0));
  index.add(200'001, data.row(1));
  CHECK(index.size() == 52);
}

TEST_CASE("bad vectors are refused by indexes that store other forms as by others") {
  keyed_rows<float> data(200, 6, 706);
  stored_l2 index(6, stored_graph);
  stored_bytes<metrics::cosine> by_angle(6, stored_graph);
  const auto refuse = [&](auto& to, auto spoil, errc code) {
    for (const std::size_t before : {0u, 100u}) {
      if (to.size() < before) add_rows(to, data, 0, before);
      keyed_rows<float> bad = data;
      spoil(bad, before + 40);
      const std::size_t held = to.memory_bytes(), clamped = to.clamped_components();
      std::error_code ec;
      CHECK(to.add(bad.some_keys(before, 100), bad.view(before, 100), ec) == 40);
      CHECK(ec == code);
      CHECK_THROWS_AS(add_rows(to, bad, before, 100), error);
      CHECK(to.size() == before);
      CHECK(to.clamped_components() == clamped);
      CHECK(to.memory_bytes() < held + 4096);
      if (code == errc::duplicate_key) continue;
      CHECK(to.search(bad.view()[before + 40], {}, ec).empty());
      CHECK(ec == code);
    }
  };
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  infinity = std::numeric_limits<float>::infinity();
  const auto restart = [&] {
    index = stored_l2(6, stored_graph);
    by_angle = stored_bytes<metrics::cosine>(6, stored_graph);
  };
  refuse(
      index, [&](auto& bad, std::size_t i) { bad.row(i)[2] = nan; }, errc::not_finite);
  restart();
  refuse(
      index, [&](auto& bad, std::size_t i) { bad.row(i)[5] = -infinity; }, errc::not_finite);
  restart();
  refuse(
      index, [&](auto& bad, std::size_t i) { bad.keys[i] = bad.keys[i - 1]; }, errc::duplicate_key);
  refuse(
      by_angle, [&](auto& bad, std::size_t i) { std::fill_n(bad.row(i).begin(), 6, 0.0f); }, errc::zero_norm);
  std::error_code ec;
  CHECK(index.add(data.some_keys(0, 10), matrix_view<float>(data.values.data(), 10, 5), ec) == 0);
  CHECK(ec == errc::dimension_mismatch);
  CHECK(index.search(std::vector<float>{1, 2}, {}, ec).empty());
  CHECK(ec == errc::dimension_mismatch);
  CHECK(index.add({}, {}, {}, ec) == 0);
  CHECK_FALSE(ec);
  CHECK(stored_l2(6).search(data.view()[0]).empty());
}

TEST_CASE("what is beyond the range of signed bytes is clamped and counted") {
  keyed_rows<float> data(1000, 16, 707);
  stored_l2 index(16, stored_graph);
  add_rows(index, data, 0, 500);
  CHECK(index.clamped_components() < 500 * 16 / 500);
  const std::size_t before = index.clamped_components();
  for (std::size_t i = 500; i < 600; ++i) {
    for (float& x : data.row(i)) x *= 50;
  }
  add_rows(index, data, 500, 100);
  const std::size_t after = index.clamped_components();
  CHECK(after > before + 100 * 16 / 2);
  CHECK(after <= before + 100 * 16);
  // Queries are not counted, and what is refused is not.
  static_cast<void>(index.search(data.view()[550]));
  std::error_code ec;
  CHECK(index.add(data.some_keys(500, 100), data.view(500, 100), ec) == 0);
  CHECK(ec == errc::duplicate_key);
  CHECK(index.clamped_components() == after);
  // One by one they count the same.
  stored_l2 other(16, stored_graph);
  add_rows(other, data, 0, 500);
  for (std::size_t i = 500; i < 600; ++i) other.add(data.keys[i], data.view()[i]);
  CHECK(other.clamped_components() == after);
}

TEST_CASE("signed bytes are calibrated by the first addition, or before it") {
  const keyed_rows<float> data(800, 12, 708);
  const std::span<const float> query = data.view()[5];
  stored_l2 first(12, stored_graph), calibrated(12, stored_graph), twice(12, stored_graph);
  add_rows(first, data, 0, 800);
  calibrated.calibrate_storage(data.view());
  twice.calibrate_storage(data.view(0, 3));
  twice.calibrate_storage(data.view());
  for (auto* const index : {&calibrated, &twice}) {
    for (std::size_t i = 0; i < 800; i += 100) add_rows(*index, data, i, 100);
    CHECK(stored_exact(*index, query, 800) == stored_exact(first, query, 800));
    CHECK(index->clamped_components() == first.clamped_components());
  }
  // One by one, with nothing known before.
  stored_l2 one_by_one(12, stored_graph);
  flat_index<float> flat(12);
  flat.add(data.keys, data.view());
  for (std::size_t i = 0; i < 800; ++i) one_by_one.add(data.keys[i], data.view()[i]);
  std::size_t hits = 0;
  for (std::size_t q = 0; q < 800; q += 20) {
    const auto truth = flat.search(data.view()[q], {.k = 10});
    for (const auto& n : one_by_one.search(data.view()[q], {.k = 10, .ef = 100}))
      hits += static_cast<std::size_t>(
          std::any_of(truth.begin(), truth.end(), [&](const auto& t) { return t.key == n.key; }));
  }
  CHECK(hits >= 360);

  std::error_code ec;
  stored_l2 empty(12, stored_graph);
  CHECK(empty.calibrate_storage({}, ec) == error::no_row);
  CHECK(ec == errc::invalid_option);
  first.calibrate_storage(data.view(), ec);
  CHECK(ec == errc::invalid_option);
  CHECK_THROWS_AS(first.calibrate_storage(data.view()), error);
  auto values = data.values;
  values[7 * 12] = std::numeric_limits<float>::quiet_NaN();
  CHECK(empty.calibrate_storage(matrix_view<float>(values.data(), 800, 12), ec) == 7);
  CHECK(ec == errc::not_finite);
  empty.calibrate_storage(matrix_view<float>(values.data(), 3, 11), ec);
  CHECK(ec == errc::dimension_mismatch);
  CHECK(empty.calibrate_storage(data.view(), ec) == 800);
  CHECK_FALSE(ec);
}

TEST_CASE("whichever allocation fails, an index of signed bytes is as it was, with what it had learnt") {
  const keyed_rows<float> data(500, 5, 709), others(100, 5, 710, 40);
  const std::span<const float> query = data.view()[9];
  for (const std::size_t before : {0u, 1u, 200u}) {
    failing_resource memory;
    constexpr hnsw_options options{.M = 2, .ef_construction = 3};
    stored_l2 expected(5, options), index(5, test::in_memory(memory, options));
    if (before != 0) {
      add_rows(expected, data, 0, before);
      add_rows(index, data, 0, before);
    }
    const stored_image as_it_was(expected, query);
    std::size_t result = 0;
    const auto attempt = [&](std::error_code& ec) {
      result = index.add(data.some_keys(before, 300), data.view(before, 300), {.threads = 2}, ec);
    };
    const std::size_t failures = test::run_out_of_memory(index, memory, 4, attempt, [&] {
      CHECK(result == error::no_row);
      const bool same = stored_image(index, query) == as_it_was;
      CHECK(same);
      return same;
    });
    CHECK(failures > 5);
    add_rows(expected, data, before, 300);
    CHECK(stored_image(index, query) == stored_image(expected, query));
  }
  // After a first addition that failed late another one is learnt from, as though it were the first; calibrations before it stay.
  for (const bool calibrated : {false, true}) {
    failing_resource memory;
    constexpr hnsw_options options{.M = 2, .ef_construction = 3};
    stored_l2 expected(5, options), index(5, test::in_memory(memory, options));
    if (calibrated) {
      expected.calibrate_storage(data.view());
      index.calibrate_storage(data.view());
    }
    std::error_code ec;
    std::size_t failed_at = 0;
    for (std::size_t n = 10; n < 40; n += 5) {
      memory.fail_at(n);
      index.add(data.keys, data.view(), {}, ec);
      memory.fail_at(0);
      if (!ec) break;
      failed_at = n;
      index.trim();
    }
    REQUIRE(ec);
    CHECK(failed_at == 35);
    add_rows(index, others, 0, 100);
    add_rows(expected, others, 0, 100);
    CHECK(stored_image(index, query) == stored_image(expected, query));
    CHECK((index.clamped_components() > 100) == calibrated);
  }
  stored_l2 empty(5);
  failing_resource memory;
  stored_l2 index(5, {.memory = &memory});
  std::error_code ec = errc::budget_exceeded;
  for (std::size_t n = 1; ec; ++n) {
    memory.fail_at(n);
    index.calibrate_storage(data.view(), ec);
    memory.fail_at(0);
    CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
  }
  add_rows(index, data, 0, 100);
}

TEST_CASE("numbers of any size are stored in signed bytes, and answers are sorted") {
  for (const float size : {1e-42f, 1e-30f, 1e-18f, 1e-6f, 1e6f, 1e17f, 1e25f, 1e30f, 3e38f}) {
    keyed_rows<float> data(300, 10, 711);
    for (float& x : data.values) x = std::clamp(x, -1.0f, 1.0f) * size;
    stored_l2 index(10, stored_graph);
    stored_bytes<metrics::inner_product> products(10, stored_graph);
    stored_bytes<metrics::cosine> by_angle(10, stored_graph);
    add_rows(index, data, 0, 200);
    add_rows(products, data, 0, 200);
    add_rows(by_angle, data, 0, 200);
    CAPTURE(size);
    for (std::size_t q = 0; q < 300; q += 9) {
      const auto check = [&](const auto& found) {
        CHECK(found.size() == 10);
        CHECK(std::is_sorted(found.begin(), found.end()));
        for (const auto& n : found) CHECK_FALSE(std::isnan(n.distance));
      };
      check(index.search(data.view()[q]));
      check(products.search(data.view()[q]));
      check(by_angle.search(data.view()[q]));
      if (q < 200) {
        CHECK(by_angle.search(data.view()[q], {.k = 1, .ef = 100})[0].key == data.keys[q]);
        if (size > 1e-17f && size < 1e18f)
          CHECK(index.search(data.view()[q], {.k = 1, .ef = 100})[0].key == data.keys[q]);
      }
    }
  }
  // Some far out among the first ones; others far out later.
  for (const float far : {1e6f, 1e30f, 3e38f}) {
    keyed_rows<float> data(620, 16, 712);
    for (const std::size_t i : {13u, 600u, 601u}) data.row(i)[3] = i % 2 == 0 ? far : -far;
    stored_l2 index(16, stored_graph);
    add_rows(index, data, 0, 600);
    add_rows(index, data, 600, 20);
    std::size_t lost = 0;
    for (std::size_t q = 0; q < 600; ++q) {
      const auto found = index.search(data.view()[q], {.k = 1, .ef = 100});
      lost += static_cast<std::size_t>(found[0].key != data.keys[q] && found[0].distance > 0);
    }
    CHECK(lost <= 2);
    CHECK(index.clamped_components() > 0);
    CHECK(index.search(data.view()[600], {.k = 620, .ef = 620}).size() == 620);
  }
}

TEST_CASE("products of small numbers and large ones are right in signed bytes, and of zeros zero") {
  // Vectors of one size and queries of another: the products are of the order of 1, or beyond what s^2 could be.
  for (const auto& sizes :
       {std::pair{1e22f, 1e-22f}, {1e28f, 1e-28f}, {1e-24f, 1e24f}, {1e-28f, 1e28f}, {1e22f, 1.0f}}) {
    const float size = sizes.first, query_size = sizes.second;
    keyed_rows<float> data(300, 10, 723);
    stored_bytes<metrics::inner_product> index(10, stored_graph);
    std::vector<float> query(data.row(290).begin(), data.row(290).end());
    for (float& x : query) x *= query_size;
    for (float& x : data.values) x *= size;
    add_rows(index, data, 0, 200);
    double length = 0, longest = 0;
    for (const float x : query) length += static_cast<double>(x) * static_cast<double>(x);
    const auto exact = stored_exact(index, query, 200);
    CHECK(index.search(query, {.k = 1, .ef = 100})[0] == exact[0]);
    std::vector<double> truth(200);
    for (std::size_t i = 0; i < 200; ++i) {
      double squares = 0;
      for (std::size_t j = 0; j < 10; ++j) {
        const auto x = static_cast<double>(data.row(i)[j]);
        squares += x * x;
        truth[i] -= x * static_cast<double>(query[j]);
      }
      longest = std::max(longest, squares);
    }
    const double most_off = 0.03 * std::sqrt(length) * std::sqrt(longest);
    CAPTURE(size);
    for (const auto& n : exact) {
      const auto slot =
          static_cast<std::size_t>(std::find(data.keys.begin(), data.keys.end(), n.key) - data.keys.begin());
      CHECK(std::abs(static_cast<double>(n.distance) - truth[slot]) <= most_off);
    }
  }
  stored_bytes<metrics::inner_product> zeros(4, stored_graph);
  const std::vector<float> none(4 * 40), query{1e12f, -1e30f, 3, 4};
  std::vector<std::uint64_t> keys(40);
  for (std::size_t i = 0; i < 40; ++i) keys[i] = i;
  zeros.add(keys, {none.data(), 40, 4});
  for (const auto& n : zeros.search(query, {.k = 40})) CHECK(n.distance == 0.0f);
}

TEST_CASE("equal vectors, and zeros, are stored in signed bytes") {
  for (const float value : {0.0f, 3.1f, -1e20f, 1e-40f}) {
    for (const std::size_t count : {1u, 31u, 32u, 600u}) {
      keyed_rows<float> data(count, 7, 713);
      std::fill(data.values.begin(), data.values.end(), value);
      stored_l2 index(7, stored_graph);
      stored_bytes<metrics::inner_product> products(7, stored_graph);
      add_rows(index, data, 0, count);
      add_rows(products, data, 0, count);
      const auto all = index.search(data.view()[0], {.k = count, .ef = count});
      REQUIRE(all.size() == count);
      CHECK(std::is_sorted(all.begin(), all.end()));
      CHECK(all.back().distance == 0.0f);
      CHECK(products.search(std::vector<float>(7), {.k = count, .ef = count}).size() == count);
      CHECK(index.clamped_components() == 0);
    }
  }
}

TEST_CASE("an index of signed bytes is the same for any number of threads, in batches and in steps") {
  const keyed_rows<float> data(900, 20, 714);
  stored_l2 one(20, stored_graph);
  add_rows(one, data, 0, 600);
  add_rows(one, data, 600, 300);
  for (const std::size_t threads : {2u, 5u}) {
    stored_l2 other(20, stored_graph);
    add_rows(other, data, 0, 600, threads);
    add_rows(other, data, 600, 300, threads);
    CHECK(other.graph_checksum() == one.graph_checksum());
  }
  const auto batch = one.search(data.view(), {.k = 10, .ef = 900, .threads = 3});
  std::vector<neighbor<float>> out(10);
  std::error_code ec;
  bool same = true;
  for (std::size_t q = 0; q < data.rows; q += 30) {
    const auto query = data.view()[q];
    const auto exact = stored_exact(one, query, 10);
    same = same && std::equal(batch[q].begin(), batch[q].end(), exact.begin(), exact.end());
    same = same && one.search_in_steps(query, {.k = 10, .ef = 64}, out, test::growing_width{}, ec) == 10 &&
           std::is_sorted(out.begin(), out.end()) && out[0].key == data.keys[q];
  }
  CHECK(same);
}

TEST_CASE("an index of signed bytes and 4-bit codes takes less than 0.4 of hnswlib's memory") {
  const std::size_t rows = 3000, d = 512;
  const keyed_rows<float> data(rows, d, 715);
  for (const std::size_t code_bytes : {64u, 192u}) {
    stored_bytes<metrics::l2_squared, codecs::pca4> index(d, {.M = 16, .ef_construction = 16}, {},
                                                          {.code_bytes = code_bytes});
    add_rows(index, data, 0, rows);
    index.trim();
    // But for the projection, which is the same for any number of vectors: a matrix of floats, and of bytes.
    const std::size_t of_model = 2 * (code_bytes - 8) * (d + 1) * 5 + 3 * d * sizeof(float);
    CHECK(index.memory_bytes() - of_model <= rows * (4 * d + 144) * 4 / 10);
  }
}

TEST_CASE(
    "an index of signed bytes has all of its memory from its resource, moves, and searches without "
    "allocations") {
  const keyed_rows<float> data(700, 20, 716);
  failing_resource memory;
  {
    stored_l2 index(20, test::in_memory(memory, stored_graph));
    add_rows(index, data, 0, 700);
    std::vector<neighbor<float>> out(10);
    std::error_code ec;
    index.search(data.view()[3], {.ef = 200}, out, ec);
    index.search_exact(data.view()[3], 10, out, ec);
    const std::size_t allocations = memory.allocations();
    for (std::size_t i = 0; i < 100; ++i) index.search(data.view()[i], {.ef = 1 + 2 * i}, out, ec);
    index.search_exact(data.view()[4], 10, out, ec);
    CHECK(memory.allocations() == allocations);
    CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
    const stored_image before(index, data.view()[1]);
    stored_l2 moved(std::move(index));
    CHECK(stored_image(moved, data.view()[1]) == before);
    moved.trim();
    CHECK(memory.bytes() == moved.memory_bytes() - sizeof(moved));
  }
  CHECK(memory.bytes() == 0);
}

TEST_CASE("doubles are stored in signed bytes too, and options out of range are refused") {
  const keyed_rows<float> data(300, 9, 717);
  const std::vector<double> wide(data.values.begin(), data.values.end());
  hnsw_index<double, metrics::l2_squared, codecs::none, storage::sq8> index(9, stored_graph);
  stored_l2 narrow(9, stored_graph);
  index.add(data.keys, matrix_view<double>(wide.data(), 300, 9));
  add_rows(narrow, data, 0, 300);
  CHECK(index.graph_checksum() == narrow.graph_checksum());
  CHECK(index.search(std::span(wide).first(9)) == narrow.search(data.view()[0]));
  const std::vector<double> huge(9, 1e300);
  CHECK(index.search(huge).size() == 10);
  index.add(200'000, huge);
  CHECK(index.clamped_components() >= 1);

  for (const storage::sq8& form :
       {storage::sq8{.quantile = 0.5}, storage::sq8{.quantile = 1.1}, storage::sq8{.headroom = 0.9},
        storage::sq8{.headroom = 101}, storage::sq8{.headroom = std::numeric_limits<double>::quiet_NaN()}}) {
    std::error_code ec;
    const stored_l2 bad(3, {}, {}, {}, form, ec);
    CHECK(ec == errc::invalid_option);
    CHECK_THROWS_AS(stored_l2(3, {}, {}, {}, form), error);
  }
  std::error_code ec = errc::not_finite;
  const stored_l2 good(3, {}, {}, {}, {.quantile = 1, .headroom = 1}, ec);
  CHECK_FALSE(ec);
}
