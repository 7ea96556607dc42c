#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>
#include <alidade/index/search_filter.hpp>

#include "../../failing_resource.hpp"
#include "../../index_support.hpp"
#include "../../support.hpp"

namespace {

using namespace alidade;

/// One choice of vectors, in all forms of filters. Keys are 3 i + 1.
struct filter_choice {
  std::vector<char> is_allowed;  // of row i
  std::vector<std::uint64_t> list, bits;

  explicit filter_choice(std::size_t rows) : is_allowed(rows, 0), bits((3 * rows) / 64 + 1, 0) {}
  void allow(std::size_t row) {
    const std::uint64_t key = 3 * row + 1;
    is_allowed[row] = 1;
    list.push_back(key);
    bits[static_cast<std::size_t>(key / 64)] |= std::uint64_t{1} << (key % 64);
  }
  bool operator()(std::uint64_t key) const {
    return key % 3 == 1 && key / 3 < is_allowed.size() && is_allowed[static_cast<std::size_t>(key / 3)] != 0;
  }
};

/// Rows in clusters, with queries beside them.
struct filter_data {
  std::size_t rows, columns;
  test::dataset<float> all;
  std::vector<std::uint64_t> keys;

  filter_data(std::size_t rows_, std::size_t columns_, std::uint32_t seed)
      : rows(rows_), columns(columns_), all(rows_ + 30, columns_, seed) {
    for (std::size_t i = 0; i < rows; ++i) keys.push_back(3 * i + 1);
  }
  matrix_view<float> base() const { return all.view(0, rows); }
  std::span<const float> query(std::size_t i) const { return all.view()[rows + i]; }

  float distance(std::size_t row, std::size_t q) const {
    return metrics::l2_squared{}(all.view()[row], query(q));
  }
  /// Of the allowed rows the ten nearest.
  std::vector<neighbor<float>> truth(const filter_choice& choice, std::size_t q) const {
    std::vector<neighbor<float>> found;
    for (std::size_t i = 0; i < rows; ++i) {
      if (choice.is_allowed[i] != 0) found.push_back({keys[i], distance(i, q)});
    }
    std::sort(found.begin(), found.end());
    found.resize(std::min<std::size_t>(found.size(), 10));
    return found;
  }
};

enum class filter_kind { random, near, far };

filter_choice filter_choose(const filter_data& data, std::size_t q, std::size_t count, filter_kind kind,
                            test::random& r) {
  std::vector<std::size_t> order(data.rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<float> rank(data.rows);
  for (std::size_t i = 0; i < data.rows; ++i) {
    const float noise = 0.5f + static_cast<float>(r.below(1000)) / 1000.0f;
    rank[i] = kind == filter_kind::random ? noise
              : kind == filter_kind::near ? noise * data.distance(i, q)
                                          : -noise * data.distance(i, q);
  }
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return rank[a] < rank[b]; });
  filter_choice choice(data.rows);
  for (std::size_t i = 0; i < count; ++i) choice.allow(order[i]);
  return choice;
}

/// Answers of all forms of a filter: as many as there are to be, allowed, and with true distances. Returns how many of them are right.
template <class Index>
std::size_t filter_check(const Index& index, const filter_data& data, const filter_choice& choice,
                         std::size_t q, const std::vector<neighbor<float>>& truth, std::size_t& all) {
  std::size_t right = 0;
  const search_filter forms[] = {choice, search_filter::keys(choice.list), search_filter::bits(choice.bits)};
  for (const search_filter& form : forms) {
    const auto found = index.search(data.query(q), {.k = 10, .ef = 40, .filter = form});
    CHECK(found.size() == truth.size());
    bool are_true = std::is_sorted(found.begin(), found.end());
    for (const auto& n : found) {
      are_true = are_true && choice(n.key) &&
                 std::abs(n.distance - data.distance(static_cast<std::size_t>(n.key / 3), q)) <=
                     1e-4f * (1 + n.distance);
      right += static_cast<std::size_t>(n.distance <= truth.back().distance * 1.00001f);
    }
    CHECK(are_true);
    all += truth.size();
  }
  return right;
}

template <class Codec>
void filter_check_shares(std::size_t rows, std::size_t columns) {
  const filter_data data(rows, columns, 901);
  hnsw_index<float, metrics::l2_squared, Codec> index(columns, {.M = 12, .ef_construction = 80});
  index.add(data.keys, data.base());
  const auto packed = index.pack();
  flat_index<float> flat(columns);
  flat.add(data.keys, data.base());
  test::random r(902);
  for (const filter_kind kind : {filter_kind::random, filter_kind::near, filter_kind::far}) {
    for (const double share : {1.0, 0.5, 0.3, 0.1, 0.01, 0.001}) {
      std::size_t right = 0, all = 0;
      for (std::size_t q = 0; q < 8; ++q) {
        const auto count = static_cast<std::size_t>(share * static_cast<double>(rows));
        const filter_choice choice = filter_choose(data, q, count, kind, r);
        const auto truth = data.truth(choice, q);
        right += filter_check(index, data, choice, q, truth, all);
        right += filter_check(packed, data, choice, q, truth, all);
        const auto exact = flat.search(data.query(q), {.k = 10, .filter = choice});
        CHECK(exact == flat.search(data.query(q), {.k = 10, .filter = search_filter::keys(choice.list)}));
        CHECK(exact == flat.search(data.query(q), {.k = 10, .filter = search_filter::bits(choice.bits)}));
        REQUIRE(exact.size() == truth.size());
        for (std::size_t i = 0; i < truth.size(); ++i) CHECK(exact[i].key == truth[i].key);
        std::vector<neighbor<float>> out(10);
        std::error_code ec;
        out.resize(index.search_exact(data.query(q), 10, out, ec, choice));
        CHECK(out == exact);
      }
      CAPTURE(share);
      CHECK(static_cast<double>(right) >= 0.95 * static_cast<double>(all));
    }
  }
}

}  // namespace

TEST_CASE("of what a filter allows the nearest are found, wherever they are and however few") {
  SUBCASE("vectors") { filter_check_shares<codecs::none>(6000, 12); }
  SUBCASE("codes") { filter_check_shares<codecs::pca4>(6000, 24); }
}

TEST_CASE("a filter that allows fewer than k gives all of them, one that allows none gives none") {
  const filter_data data(700, 6, 903);
  hnsw_index<float> index(6, {.M = 6, .ef_construction = 40});
  std::error_code ec;
  std::size_t all = 0;
  for (const std::size_t rows : {0u, 1u, 700u}) {
    if (rows != 0)
      index.add(std::span(data.keys).first(rows).last(rows == 700 ? 699 : 1),
                data.all.view(rows == 700 ? 1 : 0, rows == 700 ? 699 : 1));
    for (const std::size_t count : {0u, 1u, 3u, 9u}) {
      filter_choice choice(700);
      for (std::size_t i = 0; i < count; ++i) choice.allow(i * 77 % 700);
      filter_choice there(700);
      for (std::size_t i = 0; i < rows; ++i) {
        if (choice.is_allowed[i] != 0) there.allow(i);
      }
      const auto truth = data.truth(there, 3);
      CHECK(filter_check(index, data, choice, 3, truth, all) == 3 * truth.size());
    }
  }
  // Keys that are not there, keys twice, bits beyond all keys, and no list at all.
  const std::vector<std::uint64_t> list{1, 999'999'999, 1, 2, 4};
  const auto found = index.search(data.query(0), {.k = 5, .filter = search_filter::keys(list)});
  CHECK(found.size() == 2);
  CHECK(index.search(data.query(0), {.k = 5, .filter = search_filter::keys({})}).empty());
  CHECK(index.search(data.query(0), {.k = 5, .filter = search_filter::bits({})}).empty());
  CHECK(index.search(data.query(0), {.k = 700, .filter = [](std::uint64_t) { return true; }}).size() == 700);
  CHECK(index.search(data.query(0), {.k = 5, .filter = search_filter()}) ==
        index.search(data.query(0), {.k = 5}));
  std::vector<neighbor<float>> out(5);
  index.search_in_steps(data.query(0), {.k = 5, .ef = 60, .filter = search_filter::keys(list)}, out,
                        test::growing_width{}, ec);
  CHECK(ec == errc::invalid_option);
}

TEST_CASE("filters go with batches, removed vectors and searches that run out of memory") {
  const filter_data data(3000, 10, 904);
  test::failing_resource memory;
  hnsw_index<float> index(10, test::in_memory(memory, {.M = 8, .ef_construction = 50}));
  index.add(data.keys, data.base());
  test::random r(905);
  for (const std::size_t count : {2900u, 1200u, 500u, 40u}) {
    filter_choice choice = filter_choose(data, 0, count, filter_kind::random, r);
    const auto results =
        index.search(data.all.view(3000, 30), {.k = 10, .ef = 40, .threads = 2, .filter = choice});
    std::size_t right = 0;
    for (std::size_t q = 0; q < 30; ++q) {
      // Whatever was searched for before.
      const auto alone = index.search(data.query(q), {.k = 10, .ef = 40, .filter = choice});
      CHECK(std::equal(alone.begin(), alone.end(), results[q].begin(), results[q].end()));
      const auto truth = data.truth(choice, q);
      CHECK(results[q].size() == truth.size());
      for (const auto& n : results[q]) {
        CHECK(choice(n.key));
        right += static_cast<std::size_t>(n.distance <= truth.back().distance * 1.00001f);
      }
    }
    CHECK(right >= 285);
    const search_options options{.k = 10, .ef = 40, .filter = choice};
    CHECK(test::check_search_out_of_memory(index, memory, data.all.view(3000, 20), options) > 2);
  }
  for (std::size_t i = 0; i < 3000; i += 4) index.remove(data.keys[i]);
  for (const std::size_t count : {3000u, 1500u, 200u}) {
    filter_choice choice = filter_choose(data, 1, count, filter_kind::near, r), left(3000);
    for (std::size_t i = 0; i < 3000; ++i) {
      if (choice.is_allowed[i] != 0 && i % 4 != 0) left.allow(i);
    }
    for (const search_filter& form :
         {search_filter(choice), search_filter::keys(choice.list), search_filter::bits(choice.bits)}) {
      const auto found = index.search(data.query(1), {.k = 10, .ef = 40, .filter = form});
      const auto truth = data.truth(left, 1);
      REQUIRE(found.size() == 10);
      for (const auto& n : found) CHECK(left(n.key));
      CHECK(found[4].distance <= truth[9].distance);
    }
  }
}
