#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include <alidade/index/flat_index.hpp>

#include "../../failing_resource.hpp"
#include "../../support.hpp"

using namespace alidade;

TEST_CASE_TEMPLATE("exact search is a sort by distance, then key", T, float, std::uint8_t) {
  const test::dataset<T> data(500, 20, 1), queries(40, 20, 2);
  flat_index<T> index(20);
  // Twice the same rows under other keys: every distance is tied.
  auto twins = data.keys;
  for (auto& key : twins) key += 5000;
  index.add(data.keys, data.view());
  index.add(twins, data.view());
  for (const std::size_t k : {1u, 7u, 10u, 1000u, 5000u}) {
    const auto found = index.search(queries.view(), {.k = k, .threads = 2});
    REQUIRE(found.size() == queries.rows);
    for (std::size_t q = 0; q < queries.rows; ++q) {
      std::vector<typename flat_index<T>::neighbor_type> all;
      for (std::size_t i = 0; i < data.rows; ++i) {
        const auto distance = l2_squared(queries.view()[q], data.view()[i]);
        all.push_back({data.keys[i], distance});
        all.push_back({twins[i], distance});
      }
      std::sort(all.begin(), all.end());
      REQUIRE(found[q].size() == std::min<std::size_t>(k, all.size()));
      for (std::size_t i = 0; i < found[q].size(); ++i) {
        if constexpr (std::is_same_v<T, float>) {
          CHECK(found[q][i].distance == doctest::Approx(all[i].distance).epsilon(1e-5));
        } else {
          CHECK(found[q][i] == all[i]);
        }
      }
      const auto single = index.search(queries.view()[q], {.k = k});
      CHECK(std::equal(single.begin(), single.end(), found[q].begin(), found[q].end()));
    }
  }
}

TEST_CASE("what is removed from an exact index is found no more, and its room is used again") {
  const test::dataset<float> data(300, 20, 3), others(300, 20, 4), queries(20, 20, 5);
  flat_index<float> index(20), expected(20);
  index.add(data.keys, data.view());
  CHECK_FALSE(index.remove(999'999));
  for (std::size_t i = 0; i < 200; ++i) {
    CHECK(index.remove(data.keys[i]));
    CHECK_FALSE(index.contains(data.keys[i]));
  }
  const std::size_t bytes = index.memory_bytes();
  for (std::size_t i = 0; i < 150; ++i) index.add(data.keys[i], others.view()[i]);
  for (std::size_t i = 200; i < 250; ++i) index.update(data.keys[i], others.view()[i]);
  CHECK(index.memory_bytes() == bytes);
  std::error_code ec;
  index.update(data.keys[160], others.view()[0], ec);
  CHECK(ec == errc::unknown_key);
  std::vector<float> bad(20, std::numeric_limits<float>::infinity());
  index.update(data.keys[299], bad, ec);
  CHECK(ec == errc::not_finite);
  index.update(data.keys[298], std::span<const float>(bad).first(3), ec);
  CHECK(ec == errc::dimension_mismatch);
  CHECK_THROWS_AS(index.update(data.keys[160], others.view()[0]), error);
  for (std::size_t i = 0; i < 300; ++i) {
    if (i >= 150 && i < 200) continue;
    expected.add(data.keys[i], (i < 250 ? others : data).view()[i]);
  }
  CHECK(index.size() == 250);
  for (const std::size_t k : {1u, 10u, 400u}) {
    // One by one, and by way of a matrix product.
    const auto all = index.search(queries.view(), {.k = k});
    for (std::size_t q = 0; q < 20; ++q) {
      const auto found = expected.search(queries.view()[q], {.k = k});
      CHECK(index.search(queries.view()[q], {.k = k}) == found);
      CHECK(std::equal(found.begin(), found.end(), all[q].begin(), all[q].end()));
    }
  }
}

TEST_CASE("an update of an exact index that runs out of memory leaves it as it was") {
  const test::dataset<float> data(65, 3, 6);
  for (std::size_t n = 1;; ++n) {
    test::failing_resource memory;
    flat_index<float> index(3, {.memory = &memory});
    index.add(std::span(data.keys).first(64), data.view(0, 64));
    memory.fail_at(n);
    std::error_code ec;
    index.update(data.keys[5], data.view()[64], ec);
    memory.fail_at(0);
    CHECK(index.size() == 64);
    CHECK(index.search(data.view()[ec ? 5 : 64], {.k = 1})[0].key == data.keys[5]);
    CHECK(index.search(data.view()[ec ? 5 : 64], {.k = 1})[0].distance == 0);
    if (!ec) {
      CHECK(n > 2);
      break;
    }
    CHECK(ec == errc::budget_exceeded);
  }
}

TEST_CASE("exact search under inner product and cosine") {
  const std::vector<float> rows{1, 0, 0, 2, 3, 3};
  const std::vector<std::uint64_t> keys{10, 20, 30};
  flat_index<float, metrics::inner_product> ip(2);
  flat_index<float, metrics::cosine> by_angle(2);
  ip.add(keys, {rows.data(), 3, 2});
  by_angle.add(keys, {rows.data(), 3, 2});
  const std::vector<float> query{0, 1};
  const auto by_ip = ip.search(query, {.k = 2});
  CHECK(by_ip[0].key == 30);
  CHECK(by_ip[0].distance == -3.0f);
  CHECK(by_ip[1].key == 20);
  const auto by_cosine = by_angle.search(query, {.k = 3});
  CHECK(by_cosine[0].key == 20);
  CHECK(by_cosine[0].distance == doctest::Approx(0.0));
  CHECK(by_cosine[1].key == 30);
  CHECK(by_cosine[2].distance == doctest::Approx(1.0));
}

TEST_CASE("the empty exact index answers with nothing, and bad input with an error") {
  flat_index<float> index(3);
  CHECK(index.search(std::vector<float>{1, 2, 3}).empty());
  CHECK_THROWS_AS(flat_index<float>(0), error);
  std::error_code ec;
  const flat_index<float> bad(0, {}, ec);
  CHECK(ec == errc::invalid_option);
  CHECK_THROWS_AS(index.search(std::vector<float>{1, 2}), error);
  CHECK(index.search(std::vector<float>{1, 2}, {}, ec).empty());
  CHECK(ec == errc::dimension_mismatch);
  CHECK_THROWS_AS(index.search(std::vector<float>{1, 2, 3}, {.k = 0}), error);
}
