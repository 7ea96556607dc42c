#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include <alidade/index/flat_index.hpp>

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
