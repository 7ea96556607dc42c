#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <alidade/index/detail/candidate_pool.hpp>

#include "../../support.hpp"

using namespace alidade::detail;

TEST_CASE("ordered distances keep the order and come back") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> ascending{-infinity, -3.4e38f, -1.0f,   -1e-45f, 0.0f,
                                     1e-45f,    1.0f,     3.4e38f, infinity};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    CHECK(from_ordered<float>(to_ordered(ascending[i])) == ascending[i]);
    if (i > 0) CHECK(to_ordered(ascending[i - 1]) < to_ordered(ascending[i]));
  }
  CHECK(to_ordered(-0.0f) == to_ordered(0.0f));
  CHECK(to_ordered(std::abs(std::numeric_limits<float>::quiet_NaN())) > to_ordered(infinity));
  CHECK(to_ordered(std::int32_t{-5}) < to_ordered(std::int32_t{3}));
  CHECK(from_ordered<std::int32_t>(to_ordered(std::int32_t{-2147483647})) == -2147483647);
  CHECK(from_ordered<std::uint32_t>(to_ordered(4000000000u)) == 4000000000u);
}

TEST_CASE("a pool keeps the nearest, sorted, and pops each once") {
  test::random r(7);
  for (const std::size_t capacity : {1u, 2u, 10u, 64u}) {
    candidate_pool<float> pool;
    pool.reset(capacity);
    std::vector<std::pair<float, std::uint32_t>> all;
    std::uint32_t popped = 0;
    std::vector<std::uint32_t> seen;
    for (std::uint32_t slot = 0; slot < 300; ++slot) {
      const float distance = static_cast<float>(r.below(100)) - 50.0f;  // many ties
      all.emplace_back(distance, slot);
      const bool admitted = pool.admits(distance);
      const std::size_t size = pool.size();
      const float worst = size == 0 ? 0.0f : pool.distance(size - 1);
      pool.insert(distance, slot);
      if (!admitted) CHECK((pool.size() == size && pool.distance(size - 1) == worst));
      if (r.below(3) == 0 && pool.pop_unexpanded(popped)) seen.push_back(popped);
    }
    while (pool.pop_unexpanded(popped)) seen.push_back(popped);
    std::sort(all.begin(), all.end());
    REQUIRE(pool.size() == std::min<std::size_t>(capacity, all.size()));
    for (std::size_t i = 0; i < pool.size(); ++i) {
      CHECK(pool.distance(i) == all[i].first);
      CHECK(pool.slot(i) == all[i].second);
      CHECK(std::count(seen.begin(), seen.end(), pool.slot(i)) == 1);
    }
  }
}

TEST_CASE("a NaN leaves a full pool before any number does") {
  candidate_pool<float> pool;
  pool.reset(2);
  pool.insert(std::numeric_limits<float>::quiet_NaN(), 1);
  pool.insert(5.0f, 2);
  CHECK(pool.admits(1e30f));
  pool.insert(1e30f, 3);
  CHECK(pool.slot(0) == 2);
  CHECK(pool.slot(1) == 3);
  pool.insert(std::numeric_limits<float>::quiet_NaN(), 4);
  CHECK(pool.slot(1) == 3);
}
