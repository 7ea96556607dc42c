#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
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
      pool.insert(distance, slot);
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
  pool.insert(1e30f, 3);
  CHECK(pool.slot(0) == 2);
  CHECK(pool.slot(1) == 3);
  pool.insert(std::numeric_limits<float>::quiet_NaN(), 4);
  CHECK(pool.slot(1) == 3);
}

TEST_CASE("insert tells the place that an entry takes, or the capacity") {
  test::random r(8);
  for (const std::size_t capacity : {1u, 2u, 3u, 16u, 33u}) {
    candidate_pool<float> pool;
    pool.reset(capacity);
    std::vector<std::pair<float, std::uint32_t>> kept;
    std::size_t wrong = 0, refused = 0;
    for (std::uint32_t i = 0; i < 400; ++i) {
      const std::pair<float, std::uint32_t> entry{static_cast<float>(r.below(60)), (i * 7919) % 400};
      std::size_t expected = capacity;
      if (kept.size() < capacity || entry.first < kept.back().first) {
        const auto place = std::lower_bound(kept.begin(), kept.end(), entry);
        expected = static_cast<std::size_t>(place - kept.begin());
        kept.insert(place, entry);
        if (kept.size() > capacity) kept.pop_back();
      }
      wrong += static_cast<std::size_t>(pool.insert(entry.first, entry.second) != expected);
      refused += static_cast<std::size_t>(expected == capacity);
      if (pool.size() != kept.size()) ++wrong;
    }
    CHECK(wrong == 0);
    CHECK(refused > 0);
  }
}

TEST_CASE("a full pool refuses what is as far as its last entry, whatever the slots") {
  candidate_pool<float> pool;
  pool.reset(3);
  for (const std::uint32_t slot : {9u, 8u, 7u}) CHECK(pool.insert(1.0f, slot) == 0);
  CHECK(pool.insert(1.0f, 1) == 3);
  CHECK(pool.slot(2) == 9);
  const float distances[] = {1.0f, 0.5f, 1.0f};
  const std::uint32_t slots[] = {2, 5, 3};
  CHECK(pool.insert(distances, slots, 3) == 0);
  CHECK(pool.slot(0) == 5);
  CHECK(pool.slot(1) == 7);
  CHECK(pool.slot(2) == 8);
}

TEST_CASE_TEMPLATE("points that come together are taken as one after the other", D, float, std::int32_t,
                   std::uint32_t) {
  test::random r(10);
  const D largest = std::numeric_limits<D>::has_infinity ? std::numeric_limits<D>::infinity()
                                                         : std::numeric_limits<D>::max();
  for (const std::size_t capacity : {1u, 5u, 8u, 40u, 64u, 100u, 500u}) {
    candidate_pool<D> together, alone;
    together.reset(capacity);
    alone.reset(capacity);
    std::size_t wrong = 0;
    std::uint32_t next = 0;
    for (int round = 0; round < 60; ++round) {
      std::vector<D> distances;
      std::vector<std::uint32_t> slots;
      for (std::uint32_t left = r.below(round % 10 == 0 ? 200 : 40); left > 0; --left) {
        distances.push_back(r.below(16) == 0 ? largest : static_cast<D>(r.below(200)));  // many ties
        slots.push_back((next++ * 7919) % 8192);
      }
      std::size_t first = capacity;
      for (std::size_t i = 0; i < slots.size(); ++i) {
        first = std::min(first, alone.insert(distances[i], slots[i]));
      }
      wrong +=
          static_cast<std::size_t>(together.insert(distances.data(), slots.data(), slots.size()) != first);
      wrong += static_cast<std::size_t>(together.next_unexpanded() != alone.next_unexpanded());
      std::uint32_t a = 0, b = 0;
      wrong += static_cast<std::size_t>(together.pop_unexpanded(a) != alone.pop_unexpanded(b) || a != b);
    }
    REQUIRE(together.size() == alone.size());
    for (std::size_t i = 0; i < alone.size(); ++i) {
      wrong += static_cast<std::size_t>(together.slot(i) != alone.slot(i));
      wrong += static_cast<std::size_t>(together.distance(i) != alone.distance(i));
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("a pool that is widened goes on as if it had been as wide before, of what it still has") {
  test::random r(9);
  for (int round = 0; round < 50; ++round) {
    candidate_pool<float> narrow, wide;
    std::size_t capacity = 1 + r.below(10);
    wide.reset(200);
    narrow.reset(capacity, 200);
    std::size_t wrong = 0;
    std::uint32_t slot = 0, popped = 0, also_popped = 0;
    // While the narrow one is not full it refuses nothing.
    for (int step = 0; step < 20; ++step) {
      for (; narrow.size() < capacity; ++slot) {
        const float distance = r.uniform();
        wrong += static_cast<std::size_t>(narrow.insert(distance, slot) != wide.insert(distance, slot));
        if (r.below(4) == 0) {
          wrong += static_cast<std::size_t>(narrow.next_unexpanded() != wide.next_unexpanded());
          wrong +=
              static_cast<std::size_t>(narrow.pop_unexpanded(popped) != wide.pop_unexpanded(also_popped));
          wrong += static_cast<std::size_t>(popped != also_popped);
        }
      }
      CHECK(narrow.insert(narrow.distance(capacity - 1) + 1, 100'000) == capacity);
      capacity += r.below(10);  // by none too
      narrow.widen(capacity);
    }
    REQUIRE(narrow.size() == wide.size());
    for (std::size_t i = 0; i < wide.size(); ++i) {
      wrong += static_cast<std::size_t>(narrow.slot(i) != wide.slot(i));
      wrong += static_cast<std::size_t>(narrow.distance(i) != wide.distance(i));
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("what was pushed out of a pool does not come back when it is widened") {
  candidate_pool<float> pool;
  pool.reset(2, 4);
  pool.insert(1, 1);
  pool.insert(2, 2);
  pool.insert(0, 0);  // pushes 2 out
  CHECK(pool.size() == 2);
  pool.widen(4);
  CHECK(pool.size() == 2);
  CHECK(pool.insert(100, 9) == 2);
  CHECK(pool.insert(50, 5) == 2);
  CHECK(pool.size() == 4);
  CHECK(pool.insert(101, 8) == 4);
  CHECK(pool.insert(60, 6) == 3);
  const std::vector<std::uint32_t> slots{0, 1, 5, 6};
  for (std::size_t i = 0; i < 4; ++i) CHECK(pool.slot(i) == slots[i]);
}

TEST_CASE("the place of the nearest that is not expanded is that of the next to pop") {
  candidate_pool<std::uint32_t> pool;
  pool.reset(8);
  std::uint32_t slot = 0;
  CHECK(pool.next_unexpanded() == 0);  // none: as many as there are
  CHECK_FALSE(pool.pop_unexpanded(slot));
  for (const std::uint32_t i : {4u, 2u, 6u}) pool.insert(i, i);
  CHECK(pool.next_unexpanded() == 0);
  CHECK(pool.next_unexpanded() == 0);  // to ask changes nothing
  CHECK(pool.pop_unexpanded(slot));
  CHECK(slot == 2);
  CHECK(pool.next_unexpanded() == 1);
  pool.insert(1, 1);  // nearer than all
  CHECK(pool.next_unexpanded() == 0);
  CHECK(pool.pop_unexpanded(slot));
  CHECK(slot == 1);
  CHECK(pool.next_unexpanded() == 2);  // 1 and 2 are expanded
  CHECK(pool.pop_unexpanded(slot));
  CHECK(slot == 4);
  CHECK(pool.pop_unexpanded(slot));
  CHECK(slot == 6);
  CHECK(pool.next_unexpanded() == 4);
  CHECK_FALSE(pool.pop_unexpanded(slot));
  pool.reset(3);
  CHECK(pool.size() == 0);
  CHECK(pool.next_unexpanded() == 0);
}

TEST_CASE("a pool that was reset for more than before has room, and for less keeps less") {
  candidate_pool<float> pool;
  for (const std::size_t capacity : {3u, 100u, 1u, 50u}) {
    pool.reset(capacity, capacity + 5);
    for (std::uint32_t slot = 0; slot < 200; ++slot) pool.insert(static_cast<float>(300 - slot), slot);
    CHECK(pool.size() == capacity);
    CHECK(pool.slot(0) == 199);
    pool.widen(capacity + 5);
    for (std::uint32_t slot = 200; slot < 300; ++slot) pool.insert(static_cast<float>(300 - slot), slot);
    CHECK(pool.size() == capacity + 5);
    CHECK(pool.slot(0) == 299);
  }
}
