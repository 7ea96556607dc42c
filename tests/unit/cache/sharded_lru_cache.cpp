#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/cache/lru_cache.hpp>
#include <alidade/cache/sharded_lru_cache.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/memory_pool_synchronized.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using namespace alidade;
using namespace std::chrono_literals;

namespace {

/// Weighs a value as what it says.
struct by_value {
  std::size_t operator()(int, std::uint32_t value) const noexcept { return value; }
};
template <class Hash = std::hash<int>, class Policy = cache_policies::lru>
using weighed = sharded_lru_cache<int, std::uint32_t, Hash, std::equal_to<int>, by_value, Policy>;

/// Of sixteen shards: the one that the thousands of the key say.
struct by_thousand {
  std::size_t operator()(int key) const noexcept {
    std::uint64_t hash = 0;
    for (int in_front = key / 1000; in_front >= 0; ++hash) {
      if ((detail::mix64(hash) & 15) == static_cast<std::uint64_t>(key / 1000)) --in_front;
    }
    return static_cast<std::size_t>(hash - 1);
  }
};

std::chrono::steady_clock::time_point fake_time;
std::chrono::steady_clock::time_point fake_now() { return fake_time; }

struct transparent_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
};

/// What weights and entries there are, counted one by one.
template <class Cache>
std::pair<std::size_t, std::size_t> recount(const Cache& cache, int keys) {
  std::size_t bytes = 0, entries = 0;
  for (int key = 0; key < keys; ++key) {
    if (const auto value = cache.peek(key)) {
      bytes += *value;
      ++entries;
    }
  }
  return {bytes, entries};
}

#if ALIDADE_HAS_THREADS
/// Runs body(0) .. body(count - 1) at the same time.
template <class Body>
void on_threads(int count, const Body& body) {
  std::vector<std::thread> team;
  std::atomic<int> ready{0};
  for (int i = 0; i < count; ++i) {
    team.emplace_back([&, i] {
      ++ready;
      while (ready != count) std::this_thread::yield();
      body(i);
    });
  }
  for (std::thread& t : team) t.join();
}
#endif

}  // namespace

TEST_CASE_TEMPLATE("one shard evicts what an lru_cache evicts, in that order", Policy, cache_policies::lru,
                   cache_policies::s3_fifo) {
  struct budget {
    std::size_t bytes, entries;
    bool overhead;
  };
  for (const budget b : {budget{1000, 1'000'000, false},
                         {1'000'000, 40, false},
                         {700, 25, false},
                         {60'000, 1'000'000, true},
                         {200'000, 1'000'000, true}}) {
    CAPTURE(b.bytes);
    CAPTURE(b.entries);
    if (b.overhead && std::is_same_v<Policy, cache_policies::s3_fifo>)
      continue;  // which remembers before it evicts
    weighed<std::hash<int>, Policy> cache(
        {.max_bytes = b.bytes, .max_entries = b.entries, .count_overhead = b.overhead, .shards = 1});
    lru_cache<int, std::uint32_t, std::hash<int>, std::equal_to<int>, by_value, Policy> plain(
        {.max_bytes = b.bytes, .max_entries = b.entries, .count_overhead = b.overhead});
    std::vector<std::pair<int, eviction_cause>> gone, expected;
    cache.on_eviction([&](int key, std::uint32_t, eviction_cause cause) { gone.emplace_back(key, cause); });
    plain.on_eviction(
        [&](int key, std::uint32_t, eviction_cause cause) { expected.emplace_back(key, cause); });
    test::random r(7);
    const std::uint32_t scale = b.overhead ? 50 : 1;
    for (int i = 0; i < 20'000; ++i) {
      const int key = static_cast<int>(r.below(150));
      const auto action = r.below(10);
      if (action < 5) {
        CHECK(cache.get(key).has_value() == (plain.get(key) != nullptr));
      } else if (action < 9) {
        const std::uint32_t weight = scale * r.below(r.below(50) == 0 ? 1200 : 60);
        std::error_code ec, expected_ec;
        cache.put(key, weight, ec);
        plain.put(key, weight, expected_ec);
        CHECK(ec == expected_ec);
      } else {
        CHECK(cache.erase(key) == plain.erase(key));
      }
      REQUIRE(gone == expected);
      REQUIRE(cache.size() == plain.size());
      REQUIRE(cache.bytes() == plain.bytes());
    }
    const cache_stats here = cache.stats(), there = plain.stats();
    CHECK(here.hits == there.hits);
    CHECK(here.misses == there.misses);
    CHECK(here.evictions == there.evictions);
    CHECK(here.peak_bytes <= b.bytes);
  }
}

TEST_CASE("an entry may use any part of the budget, in whichever shard it is") {
  // All in one shard of sixteen.
  weighed<by_thousand> cache({.max_bytes = 1000, .count_overhead = false, .shards = 16});
  for (int key = 0; key < 100; ++key) cache.put(key, 10);
  CHECK(cache.size() == 100);
  CHECK(cache.bytes() == 1000);
  // Others take from it, one after the other, what they need.
  for (int key = 1000; key < 16'000; key += 1000) {
    cache.put(key, 10);
    cache.put(key + 1, 10);
    CHECK(cache.contains(key));
    CHECK(cache.contains(key + 1));
    CHECK(cache.bytes() == 1000);
  }
  CHECK(cache.size() == 100);
  for (int key = 0; key < 30; ++key) CHECK_FALSE(cache.contains(key));
  for (int key = 30; key < 100; ++key) CHECK(cache.contains(key));
  cache.put(2001, 999);
  CHECK(cache.size() == 1);
  CHECK(cache.bytes() == 999);
  cache.put(3001, 1);
  CHECK(cache.size() == 2);
  cache.put(4001, 1000);
  CHECK(cache.size() == 1);
  CHECK(*cache.get(4001) == 1000);

  weighed<by_thousand> few({.max_entries = 50, .shards = 16});
  for (int key = 0; key < 60; ++key) few.put(key, 10);
  CHECK(few.size() == 50);
  for (int key = 1000; key < 16'000; key += 1000) few.put(key, 10);
  CHECK(few.size() == 50);
  for (int key = 1000; key < 16'000; key += 1000) CHECK(few.contains(key));
}

TEST_CASE("shards that count their overhead lend each other whole chunks") {
  sharded_lru_cache<int, std::array<char, 100>, by_thousand> cache({.max_bytes = 1'000'000, .shards = 16});
  for (int key = 0; key < 1000; ++key) cache.put(key, {});
  for (int turn = 0; turn < 10; ++turn) {
    for (int key = 0; key < 16'000; ++key) cache.put(key, {});
  }
  CHECK(cache.size() > 4'000);
  CHECK(cache.stats().peak_bytes <= 1'000'000);
  // Each has a part of it: the average is 300 or so.
  for (int thousand = 0; thousand < 16; ++thousand) {
    int has = 0;
    for (int i = 0; i < 1000; ++i) has += cache.contains(1000 * thousand + i);
    CHECK(has >= 100);
  }
}

TEST_CASE("shards are filled evenly, and together evict nearly what is least recent") {
  weighed<> cache({.max_entries = 16'000, .shards = 16});
  for (int key = 0; key < 16'000; ++key) cache.put(key, 1);
  CHECK(cache.size() == 16'000);
  for (int key = 16'000; key < 100'000; ++key) cache.put(key, 1);
  CHECK(cache.size() == 16'000);
  int recent = 0, newest = 0;
  for (int key = 84'000; key < 100'000; ++key) recent += cache.contains(key);
  for (int key = 92'000; key < 100'000; ++key) newest += cache.contains(key);
  CHECK(recent >= 14'400);
  CHECK(newest == 8000);
}

TEST_CASE("peek and contains neither promote nor count, get and get_pinned do both") {
  sharded_lru_cache<int, int> cache({.max_entries = 3, .shards = 1});
  for (int i = 0; i < 3; ++i) cache.put(i, 10 * i);
  CHECK(*cache.peek(0) == 0);
  CHECK(cache.contains(0));
  cache.put(3, 30);
  CHECK_FALSE(cache.contains(0));
  CHECK_FALSE(cache.peek(0));
  CHECK(*cache.get(1) == 10);
  cache.put(4, 40);
  CHECK(cache.contains(1));
  CHECK_FALSE(cache.contains(2));
  CHECK(*cache.get_pinned(3) == 30);
  cache.put(5, 50);
  CHECK(cache.contains(3));
  CHECK_FALSE(cache.contains(1));
  CHECK(cache.get(0) == std::nullopt);
  const cache_stats s = cache.stats();
  CHECK(s.hits == 2);
  CHECK(s.misses == 1);
  CHECK(s.evicted(eviction_cause::budget) == 3);
  CHECK(s.entries == 3);
  CHECK(s.bytes == cache.bytes());
}

TEST_CASE("what is larger than the whole budget is refused and evicts nothing") {
  weighed<> cache({.max_bytes = 100, .count_overhead = false, .shards = 4});
  cache.put(1, 60);
  cache.put(2, 40);
  std::error_code ec;
  cache.put(3, 101, ec);
  CHECK(ec == errc::budget_exceeded);
  cache.put(1, 101, ec);
  CHECK(ec == errc::budget_exceeded);
  CHECK(*cache.peek(1) == 60);
  CHECK(cache.size() == 2);
#if ALIDADE_HAS_EXCEPTIONS
  CHECK_THROWS_AS(cache.put(4, 101), alidade::error);
#endif
  {
    // Nor what is larger than what is not pinned.
    const auto held = cache.get_pinned(1);
    cache.put(3, 41, ec);
    CHECK(ec == errc::budget_exceeded);
    CHECK(cache.size() == 2);
    cache.put(3, 40, ec);
    CHECK_FALSE(ec);
    CHECK(cache.contains(1));
  }
  cache.put(3, 100, ec);
  CHECK_FALSE(ec);
  CHECK(cache.size() == 1);
  CHECK(cache.bytes() == 100);

  // With overhead, whatever there was before: what is accepted once is accepted always.
  for (const std::size_t shards : {1u, 8u}) {
    CAPTURE(shards);
    std::size_t largest = 0;
    for (std::size_t length = 150'000; length < 200'000; length += 1000) {
      sharded_lru_cache<int, std::vector<char>> fresh({.max_bytes = 200'000, .shards = shards}),
          used({.max_bytes = 200'000, .shards = shards});
      for (int key = 0; key < 5000; ++key) used.put(key, {});
      const std::size_t before = used.size();
      fresh.put(-1, std::vector<char>(length), ec);
      std::error_code used_ec;
      used.put(-1, std::vector<char>(length), used_ec);
      CHECK(ec == used_ec);
      CHECK(used.contains(-1) == !ec);
      if (ec) CHECK(used.size() == before);
      if (!ec) largest = length;
      CHECK(used.bytes() <= 200'000);
      CHECK(used.stats().peak_bytes <= 200'000);
    }
    CHECK(largest >= 150'000);
  }
}

TEST_CASE("options of a sharded cache out of range are refused") {
#if ALIDADE_HAS_EXCEPTIONS
  using cache = sharded_lru_cache<int, int>;
  CHECK_THROWS_AS(cache({.max_bytes = 0}), alidade::error);
  CHECK_THROWS_AS(cache({.max_entries = 0}), alidade::error);
  CHECK_THROWS_AS(cache({.max_entries = ~std::size_t{0}}), alidade::error);
  CHECK_THROWS_AS(cache({.time_to_live = -1ns}), alidade::error);
  CHECK_THROWS_AS(cache({.now = nullptr}), alidade::error);
  CHECK_THROWS_AS(cache({.shards = 3}), alidade::error);
  CHECK_THROWS_AS(cache({.shards = 2048}), alidade::error);
#endif
  sharded_lru_cache<int, int> fine;
  std::error_code ec;
  fine.put(1, 2, -1ns, ec);
  CHECK(ec == errc::invalid_option);
  CHECK(fine.empty());
  const std::size_t shards = fine.options().shards;
  CHECK(std::has_single_bit(shards));
  if (!ALIDADE_HAS_THREADS) CHECK(shards == 1);
  CHECK(sharded_lru_cache<int, int>({.max_bytes = 1'500'000}).options().shards == 1);
  CHECK(sharded_lru_cache<int, int>({.max_entries = 127}).options().shards == 1);
  CHECK(sharded_lru_cache<int, int>({.shards = 1024}).options().shards == 1024);
}

TEST_CASE("a sharded cache's callbacks say why, when the entry is no longer there") {
  sharded_lru_cache<int, std::string> cache({.max_entries = 2, .shards = 2});
  std::vector<std::string> said;
  cache.on_eviction([&](int key, const std::string& value, eviction_cause cause) {
    const char* const names[] = {"budget", "pressure", "expired", "replaced", "erased"};
    said.push_back(std::to_string(key) + value + names[static_cast<int>(cause)]);
    if (cause == eviction_cause::replaced) {
      CHECK(*cache.peek(key) != value);
    } else {
      CHECK_FALSE(cache.contains(key));
    }
  });
  cache.put(1, "a");
  cache.put(1, "b");
  CHECK(cache.erase(1));
  CHECK_FALSE(cache.erase(1));
  cache.put(2, "c");
  CHECK(cache.evict(1.0).finished);
  cache.put(3, "d");
  cache.clear();
  CHECK(said == std::vector<std::string>{"1areplaced", "1berased", "2cpressure", "3derased"});
  cache.on_eviction(nullptr);
  cache.put(4, "e");
  cache.clear();
  CHECK(said.size() == 4);
  CHECK(cache.stats().evicted(eviction_cause::erased) == 3);
}

TEST_CASE("a sharded cache's callback may call all of it") {
  sharded_lru_cache<int, int> cache({.max_entries = 30, .shards = 4});
  int told = 0;
  cache.on_eviction([&](int key, int value, eviction_cause cause) {
    ++told;
    CHECK(value == key % 1000);
    if (cause != eviction_cause::budget || key >= 1000)
      return;  // each eviction that puts one in needs another
    CHECK_FALSE(cache.contains(key));
    cache.put(key + 1000, key);
    cache.get(key);
    cache.erase(key + 998);
    cache.get_or_load(key, [](int k) { return k; });
    CHECK(cache.size() <= 30);
    cache.erase(key);
    cache.sweep(3);
    if (key % 10 == 0) cache.evict(0.1);
    if (key % 50 == 0) cache.trim();
    if (key % 77 == 0) cache.clear();
    static_cast<void>(cache.stats());
  });
  for (int i = 0; i < 1000; ++i) {
    cache.put(i, i);
    cache.resize_budget(500'000'000);
    CHECK(cache.size() <= 30);
  }
  CHECK(told >= 1000);
}

#if ALIDADE_HAS_EXCEPTIONS
TEST_CASE("what a sharded cache's callback throws passes when the call has done its work") {
  sharded_lru_cache<int, std::string> cache({.max_entries = 4, .shards = 1});
  int told = 0;
  bool throws = true;
  cache.on_eviction([&](int, const std::string&, eviction_cause) {
    ++told;
    if (throws) throw std::runtime_error(std::to_string(told));
  });
  for (int i = 0; i < 4; ++i) cache.put(i, std::string(100, 'x'));
  CHECK_THROWS_AS(cache.put(10, "y"), std::runtime_error);
  CHECK(cache.size() == 4);
  CHECK_FALSE(cache.contains(0));
  CHECK(*cache.peek(10) == "y");
  CHECK_THROWS_AS(cache.put(3, "z"), std::runtime_error);
  CHECK(*cache.peek(3) == "z");
  CHECK_THROWS_AS(cache.erase(3), std::runtime_error);
  CHECK(cache.size() == 3);
  told = 0;
  CHECK_THROWS_WITH(cache.clear(), "1");  // the first, though all are told
  CHECK(told == 3);
  CHECK(cache.empty());
  throws = false;
  for (int i = 0; i < 10; ++i) cache.put(i, "w");
  CHECK(cache.size() == 4);
}

TEST_CASE("an allocation that fails changes nothing in a sharded cache") {
  sharded_lru_cache<int, std::vector<int>> cache({.max_bytes = 100'000, .shards = 4});
  int left = 0;
  cache.on_eviction([&](int, const std::vector<int>&, eviction_cause) { ++left; });
  int in = 0;
  for (int i = 0; i < 2000; ++i, ++in) cache.put(i, std::vector<int>(10, i));
  for (std::size_t n = 1; n < 60; ++n) {
    const int key = 10'000 + static_cast<int>(n);
    std::vector<int> value(n % 2 == 0 ? 10 : 5000, key);
    bool failed = false;
    try {
      const test::failing_allocation fails(n / 2);
      cache.put(key, std::move(value), 1h);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    CHECK(cache.contains(key) != failed);
    if (!failed) ++in;
    CHECK(static_cast<std::size_t>(in - left) == cache.size());
    CHECK(cache.bytes() <= 100'000);
  }
  cache.clear();
  cache.trim();
  CHECK(cache.bytes() <= 4 * 4096);
  CHECK(left == in);
}
#endif

TEST_CASE("pinned entries of a sharded cache stay, wherever it goes") {
  sharded_lru_cache<int, std::string> cache({.max_entries = 3, .shards = 2});
  int calls = 0;
  cache.on_eviction([&](int, const std::string& value, eviction_cause) {
    ++calls;
    CHECK_FALSE(value.empty());
  });
  cache.put(1, "one");
  cache.put(2, "two");
  auto one = cache.get_pinned(1);
  for (int i = 10; i < 30; ++i) cache.put(i, "x");
  CHECK(cache.contains(1));
  CHECK(*one == "one");
  CHECK(cache.size() == 3);

  cache.put(1, "uno");
  CHECK(*one == "one");
  CHECK(*cache.get(1) == "uno");
  auto uno = cache.get_pinned(1), again = cache.get_pinned(1);
  CHECK(cache.erase(1));
  CHECK_FALSE(cache.contains(1));
  CHECK(*uno == "uno");
  cache.clear();
  cache.trim();
  CHECK(*again == "uno");
  CHECK(one->size() == 3);
  const int before = calls;
  one.release();
  uno = {};
  again = std::move(one);
  CHECK_FALSE(again);
  CHECK(calls == before);  // they were said to have left when they left
  CHECK_FALSE(cache.get_pinned(1));

  // All is pinned: nothing can make room.
  sharded_lru_cache<int, std::string>::pin pins[3];
  for (int i = 0; i < 3; ++i) {
    cache.put(i, "p");
    pins[i] = cache.get_pinned(i);
  }
  std::error_code ec;
  cache.put(4, "q", ec);
  CHECK(ec == errc::budget_exceeded);
  CHECK(cache.size() == 3);
  pins[1] = {};
  cache.put(4, "q", ec);
  CHECK_FALSE(ec);
  CHECK_FALSE(cache.contains(1));
}

TEST_CASE("bytes of entries that left while they were pinned count until they are let go") {
  weighed<> cache({.max_bytes = 100, .count_overhead = false, .shards = 2});
  cache.put(1, 60);
  auto held = cache.get_pinned(1);
  cache.erase(1);
  CHECK(cache.empty());
  CHECK(cache.bytes() == 60);
  std::error_code ec;
  cache.put(2, 41, ec);
  CHECK(ec == errc::budget_exceeded);
  held.release();
  CHECK(cache.bytes() == 0);
  cache.put(2, 100, ec);
  CHECK_FALSE(ec);
}

TEST_CASE("a sharded cache loads what is missing, and only then") {
  sharded_lru_cache<int, std::string> cache({.max_entries = 2, .shards = 1});
  int loads = 0;
  const auto load = [&](int key) {
    ++loads;
    return std::to_string(key);
  };
  CHECK(*cache.get_or_load(5, load) == "5");
  CHECK(*cache.get_or_load(5, load) == "5");
  CHECK(loads == 1);
  CHECK(cache.stats().hits == 1);
  CHECK(cache.stats().misses == 1);
  // A load may load.
  const std::function<std::string(int)> sum = [&](int key) {
    return key == 0 ? std::string() : *cache.get_or_load(key - 1, sum) + "+";
  };
  cache.clear();
  CHECK(*cache.get_or_load(10, sum) == "++++++++++");
  CHECK(cache.size() == 2);

  // Not what it is loading itself.
  std::error_code ec, outer;
  CHECK(*cache.get_or_load(
            20,
            [&](int key) {
              CHECK_FALSE(cache.get_or_load(key, load, ec));
              return std::string("x");
            },
            outer) == "x");
  CHECK(ec == std::errc::resource_deadlock_would_occur);
  CHECK_FALSE(outer);
  CHECK(loads == 1);

  // What is put meanwhile stays; what is erased meanwhile does not come back.
  CHECK(*cache.get_or_load(30, [&](int key) {
    cache.put(key, "newer");
    return std::string("older");
  }) == "newer");
  CHECK(*cache.get(30) == "newer");
  CHECK(*cache.get_or_load(31, [&](int key) {
    cache.put(key, "newer");
    cache.erase(key);
    return std::string("older");
  }) == "older");
  CHECK_FALSE(cache.contains(31));
  CHECK(*cache.get_or_load(32, [&](int) {
    cache.clear();
    return std::string("older");
  }) == "older");
  CHECK_FALSE(cache.contains(32));
  CHECK(cache.empty());

  weighed<> small({.max_bytes = 100, .count_overhead = false, .shards = 2});
  CHECK_FALSE(small.get_or_load(
      1, [](int) { return 101u; }, ec));
  CHECK(ec == errc::budget_exceeded);
  CHECK(*small.get_or_load(
            1, [](int) { return 100u; }, ec) == 100);
  CHECK_FALSE(ec);
#if ALIDADE_HAS_EXCEPTIONS
  CHECK_THROWS_AS(small.get_or_load(2, [](int) { return 101u; }), alidade::error);
  CHECK_THROWS_AS(small.get_or_load(2, [](int) -> std::uint32_t { throw std::runtime_error("no"); }),
                  std::runtime_error);
  CHECK(*small.get_or_load(2, [](int) { return 1u; }) == 1);
  CHECK_THROWS_AS(cache.get_or_load(7, [&](int key) { return *cache.get_or_load(key, load); }),
                  alidade::error);
#endif
}

TEST_CASE("entries of a sharded cache expire, when they are asked for or swept") {
  fake_time = {};
  sharded_lru_cache<int, int> cache({.time_to_live = 10s, .now = fake_now, .shards = 8});
  std::vector<int> expired;
  cache.on_eviction([&](int key, int, eviction_cause cause) {
    if (cause == eviction_cause::expired) expired.push_back(key);
  });
  cache.put(1, 1);
  cache.put(2, 2, 20s);
  cache.put(3, 3, 0s);  // for ever
  cache.put(4, 4, std::chrono::nanoseconds::max());
  fake_time += 10s - 1ns;
  CHECK(cache.contains(1));
  fake_time += 1ns;
  CHECK_FALSE(cache.contains(1));
  CHECK(cache.peek(1) == std::nullopt);
  CHECK(cache.size() == 4);
  CHECK(cache.get(1) == std::nullopt);
  CHECK(cache.size() == 3);
  CHECK(expired == std::vector<int>{1});
  CHECK(cache.sweep(1000) == 0);
  fake_time += 10s;
  CHECK(cache.sweep(1000) == 1);
  CHECK(expired == std::vector<int>{1, 2});
  cache.put(5, 5, 1s);
  fake_time += 2s;
  CHECK(*cache.get_or_load(5, [](int) { return 55; }) == 55);
  CHECK(*cache.get(5) == 55);
  cache.erase(5);
  fake_time += 1000h;
  CHECK(cache.sweep(1000) == 0);
  CHECK(cache.contains(3));
  CHECK(cache.contains(4));

  // Swept a little at a time, all are found.
  for (const std::size_t step : {1u, 5u, 30u}) {
    cache.clear();
    for (int i = 0; i < 5000; ++i) cache.put(i, i, i % 2 == 0 ? 1s : 3h);
    fake_time += 2s;
    std::size_t swept = 0;
    for (std::size_t i = 0; i < 2000; i += step) swept += cache.sweep(step);
    CHECK(swept == 2500);
    CHECK(cache.size() == 2500);
  }
}

TEST_CASE("a sharded cache is looked up by other types where hash and equality allow") {
  sharded_lru_cache<std::string, int, transparent_hash, std::equal_to<>> cache;
  cache.put("alpha", 1);
  CHECK(*cache.get(std::string_view("alpha")) == 1);
  CHECK(*cache.peek(std::string_view("alpha")) == 1);
  CHECK(*cache.get_pinned(std::string_view("alpha")) == 1);
  CHECK(cache.contains("alpha"));
  CHECK(cache.erase(std::string_view("alpha")));
  CHECK(cache.empty());
}

TEST_CASE("a sharded cache holds values that can only be moved") {
  sharded_lru_cache<int, std::unique_ptr<int>, std::hash<int>, std::equal_to<int>,
                    decltype([](int, const auto&) { return std::size_t{16}; })>
      cache({.max_entries = 100, .shards = 4});
  int left = 0;
  cache.on_eviction([&](int key, const std::unique_ptr<int>& value, eviction_cause) {
    ++left;
    CHECK(*value == key);
  });
  for (int i = 0; i < 1000; ++i) cache.put(i, std::make_unique<int>(i));
  cache.trim();
  CHECK(left == 900);
  CHECK(**cache.get_pinned(999) == 999);
  CHECK(**cache.get_or_load(1, [](int key) { return std::make_unique<int>(key); }) == 1);
}

TEST_CASE("bytes of a sharded cache are those that were allocated") {
  for (const std::size_t length : {0u, 10u, 300u, 3072u}) {
    CAPTURE(length);
    const std::size_t before = test::allocations().bytes;
    {
      sharded_lru_cache<std::string, std::vector<char>> cache({.max_bytes = 4'000'000, .shards = 4});
      const std::size_t empty = test::allocations().bytes - before;
      test::random r(4);
      for (int i = 0; i < 60'000; ++i) {
        cache.put("key number " + std::to_string(r.below(200'000)), std::vector<char>(length));
        if (i % 1000 == 0) {
          const auto taken = static_cast<double>(test::allocations().bytes - before - empty);
          const auto counted = static_cast<double>(cache.bytes());
          CHECK(counted <= 4'000'000);
          CHECK(std::abs(taken - counted) <= 0.05 * taken + 2000);
        }
      }
      CHECK(cache.stats().peak_bytes <= 4'000'000);
      CHECK(cache.stats().peak_bytes >= 3'800'000);
    }
    CHECK(test::allocations().bytes == before);
  }
}

TEST_CASE("evicting from a sharded cache goes in steps, and gives memory back") {
  for (const std::size_t shards : {1u, 16u, 256u}) {
    CAPTURE(shards);
    sharded_lru_cache<int, std::array<char, 100>> cache({.shards = shards});
    for (int i = 0; i < 20'000; ++i) cache.put(i, {});
    const std::size_t before = cache.bytes();
    std::size_t calls = 0, gone = 0;
    for (bool finished = false; !finished; ++calls) {
      const eviction_progress step = cache.evict(0.5);
      CHECK(step.entries <= 512);
      gone += step.entries;
      finished = step.finished;
    }
    CHECK(gone == 10'000);
    CHECK(calls >= 20);
    CHECK(cache.size() == 10'000);
    for (int i = 19'000; i < 20'000; ++i) CHECK(cache.contains(i));
    cache.trim();
    CHECK(cache.bytes() <= before / 2 + 20'000 * (shards + 5));
    CHECK(cache.size() == 10'000);
    CHECK(cache.stats().evicted(eviction_cause::pressure) == 10'000);
    CHECK(cache.evict(0).entries == 0);

    struct monitor {
      double fraction_to_evict() const { return 0.1; }
    };
    while (!cache.relieve(monitor{}).finished) {}
    CHECK(cache.size() == 9'000);
    CHECK(cache.contains(19'999));

    const std::size_t budget = cache.bytes() / 2;
    std::size_t steps = 0;
    for (bool finished = false; !finished; ++steps) {
      const eviction_progress step = cache.resize_budget(budget);
      CHECK(step.entries <= 512);
      finished = step.finished;
    }
    CHECK(steps > 1);
    CHECK(cache.options().max_bytes == budget);
    CHECK(cache.bytes() <= budget);
    if (shards <= 16) CHECK(cache.size() > 3'000);
    while (!cache.evict(1).finished) {}
    CHECK(cache.empty());
  }
}

TEST_CASE("what entries of shards held goes as they do") {
  for (const std::size_t shards : {1u, 16u}) {
    sharded_lru_cache<int, int> cache({.shards = shards});
    for (int i = 0; i < 100'000; ++i) cache.put(i, i);
    while (!cache.evict(0.9).finished) {}
    CHECK(cache.size() == 10'000);
    const std::size_t bytes = cache.bytes();
    cache.trim();
    CHECK(bytes <= cache.bytes() * 5 / 4);
    CHECK(cache.sweep(std::numeric_limits<std::size_t>::max()) == 0);
  }
}

TEST_CASE("shards that are not used yet take nothing of the budget") {
  sharded_lru_cache<int, std::vector<char>> cache({.max_bytes = 100'000, .shards = 1024});
  cache.put(1, std::vector<char>(70'000));
  CHECK(cache.contains(1));
}

TEST_CASE("what a lowered budget leaves over goes before something is put in") {
  weighed<> cache({.max_bytes = 10'000, .count_overhead = false, .shards = 8});
  for (int key = 0; key < 5000; ++key) cache.put(key, 2);
  CHECK_FALSE(cache.resize_budget(1000).finished);
  CHECK(cache.bytes() == 10'000 - 2 * 512);
  std::error_code ec;
  cache.put(1, 2000, ec);
  CHECK(ec == errc::budget_exceeded);
  CHECK(cache.bytes() == 10'000 - 2 * 512);
  cache.put(10'000, 10, ec);
  CHECK_FALSE(ec);
  CHECK(cache.bytes() <= 1000);
  CHECK(cache.bytes() >= 900);
  CHECK(cache.contains(10'000));
}

TEST_CASE("a small budget of many shards has room for each of them, one after the other") {
  // Each shard needs a chunk, and all of these together would be more than the budget.
  sharded_lru_cache<int, std::array<char, 100>> cache({.max_bytes = 60'000, .shards = 64});
  for (int i = 0; i < 2000; ++i) {
    std::error_code ec;
    cache.put(i, {}, ec);
    CHECK_FALSE(ec);
    CHECK(cache.contains(i));
    CHECK(cache.bytes() <= 60'000);
  }
  CHECK(cache.stats().peak_bytes <= 60'000);
}

TEST_CASE("shards give room though their entries cannot be moved together") {
  struct may_throw {
    may_throw() = default;
    may_throw(const may_throw&) {}
    may_throw& operator=(const may_throw&) { return *this; }
    std::array<char, 100> bytes{};
  };
  struct none {
    std::size_t operator()(int, const may_throw&) const noexcept { return 0; }
  };
  sharded_lru_cache<int, may_throw, by_thousand, std::equal_to<int>, none> cache({.shards = 16});
  for (int key = 0; key < 1000; ++key) cache.put(key, {});
  cache.resize_budget(cache.bytes());
  for (int key = 0; key < 1000; key += 2) cache.erase(key);
  std::error_code ec;
  cache.put(1000, {}, ec);
  CHECK_FALSE(ec);
  CHECK(cache.contains(1000));
}

TEST_CASE("shards that cannot give anything, for what is pinned in them, are left alone") {
  sharded_lru_cache<int, std::array<char, 100>, by_thousand> cache({.shards = 16});
  using pin = decltype(cache)::pin;
  for (int key = 1000; key < 2000; ++key) cache.put(key, {});
  for (int key = 3000; key < 3900; ++key) cache.put(key, {});
  std::vector<pin> pins;
  for (int key = 1000; key < 2000; key += 25) pins.push_back(cache.get_pinned(key));
  cache.resize_budget(cache.bytes());
  std::error_code ec;
  for (int key = 2000; key < 2300; ++key) {
    cache.put(key, {}, ec);
    CHECK_FALSE(ec);
  }
  int left = 0;
  for (int key = 1000; key < 2000; ++key) left += cache.contains(key);
  CHECK(left >= 700);
  pins.clear();
  for (int key = 3000; key < 3900; ++key) cache.erase(key);
  for (int key = 2300; key < 2900; ++key) cache.put(key, {}, ec);
  CHECK_FALSE(ec);
}

#if ALIDADE_HAS_THREADS

TEST_CASE("a concurrent thread in one shard does not hold up another in another") {
  static std::atomic<int> stage{0};
  stage = 0;
  struct slow {
    slow() = default;
    slow(slow&&) = default;
    slow& operator=(slow&&) = default;
    /// A copy, made under the lock, waits for the other thread.
    slow(const slow&) {
      stage = 1;
      for (int i = 0; i < 100'000'000 && stage != 2; ++i) std::this_thread::yield();
    }
  };
  struct none {
    std::size_t operator()(int, const slow&) const noexcept { return 0; }
  };
  sharded_lru_cache<int, slow, by_thousand, std::equal_to<int>, none> cache({.shards = 16});
  for (int key = 0; key < 16'000; key += 1000) cache.put(key, {});
  std::thread slow_one([&] { CHECK(cache.get(0).has_value()); });
  while (stage != 1) std::this_thread::yield();
  for (int key = 1000; key < 16'000; key += 1000) {
    CHECK(cache.contains(key));
    CHECK(cache.erase(key));
  }
  CHECK(stage == 1);
  stage = 2;
  slow_one.join();
}

TEST_CASE("concurrent threads that ask for a key load it once, and all get it") {
  constexpr int threads = 6;
  for (int round = 0; round < 20; ++round) {
    sharded_lru_cache<int, std::string> cache({.shards = 2});
    std::atomic<int> loads{0}, got{0};
    on_threads(threads, [&](int) {
      const auto value = cache.get_or_load(7, [&](int key) {
        ++loads;
        while (cache.stats().misses != threads) std::this_thread::yield();
        return std::to_string(key);
      });
      cache.erase(7);
      if (*value == "7") ++got;
    });
    CHECK(loads == 1);
    CHECK(got == threads);
    CHECK(cache.empty());
    CHECK(cache.stats().hits == 0);
  }
}

TEST_CASE("concurrent threads that wait for a load get its error") {
  constexpr int threads = 4;
  weighed<> cache({.max_bytes = 100, .count_overhead = false, .shards = 2});
  std::atomic<int> loads{0}, refused{0};
  on_threads(threads, [&](int) {
    std::error_code ec;
    const auto value = cache.get_or_load(
        7,
        [&](int) {
          ++loads;
          while (cache.stats().misses != threads) std::this_thread::yield();
          return 101u;
        },
        ec);
    if (!value && ec == errc::budget_exceeded) ++refused;
  });
  CHECK(loads == 1);
  CHECK(refused == threads);
#if ALIDADE_HAS_EXCEPTIONS
  loads = refused = 0;
  on_threads(threads, [&](int) {
    try {
      cache.get_or_load(8, [&](int) -> std::uint32_t {
        ++loads;
        while (cache.stats().misses != 2 * threads) std::this_thread::yield();
        throw std::runtime_error("no");
      });
    } catch (const std::runtime_error& e) {
      if (std::string_view(e.what()) == "no") ++refused;
    }
  });
  CHECK(loads == 1);
  CHECK(refused == threads);
  CHECK(*cache.get_or_load(8, [](int) { return 3u; }) == 3);
#endif
}

TEST_CASE("concurrent loads that ask for each other's keys do not wait for ever") {
  constexpr int threads = 3;
  for (int round = 0; round < 20; ++round) {
    sharded_lru_cache<int, int> cache({.shards = 2});
    std::atomic<int> begun{0}, refused{0}, right{0};
    on_threads(threads, [&](int i) {
      const auto value = cache.get_or_load(i, [&](int key) {
        ++begun;
        while (begun != threads) std::this_thread::yield();
        std::error_code ec;
        const auto next = cache.get_or_load((key + 1) % threads, [](int) { return -1; }, ec);
        if (ec == std::errc::resource_deadlock_would_occur) {
          ++refused;
        } else {
          CHECK(*next == (key + 1) % threads);
        }
        return key;
      });
      if (*value == i) ++right;
    });
    CHECK(refused == 1);
    CHECK(right == threads);
  }
}

TEST_CASE("a concurrent thread that asks after an erase does not get what was loaded before") {
  sharded_lru_cache<int, std::string> cache({.shards = 1});
  std::atomic<int> step{0}, loads{0};
  std::string first, waiting, late;
  std::thread loader([&] {
    first = *cache.get_or_load(1, [&](int) {
      ++loads;
      step = 1;
      while (cache.stats().misses != 3) std::this_thread::yield();
      return std::string("old");
    });
  });
  while (step != 1) std::this_thread::yield();
  std::thread waits([&] { waiting = *cache.get_or_load(1, [&](int) { return std::string("?"); }); });
  while (cache.stats().misses != 2) std::this_thread::yield();
  CHECK_FALSE(cache.erase(1));
  std::thread later([&] {
    late = *cache.get_or_load(1, [&](int) {
      ++loads;
      return std::string("new");
    });
  });
  loader.join();
  waits.join();
  later.join();
  CHECK(first == "old");
  CHECK(waiting == "old");
  CHECK(late == "new");
  CHECK(loads == 2);
  CHECK(*cache.get(1) == "new");
}

TEST_CASE("concurrent threads pin, and let go of, what others erase and replace") {
  sharded_lru_cache<int, std::vector<int>> cache({.max_bytes = 200'000, .shards = 4});
  std::atomic<int> wrong{0};
  on_threads(4, [&](int i) {
    test::random r(static_cast<std::uint32_t>(i));
    std::vector<sharded_lru_cache<int, std::vector<int>>::pin> held(5);
    for (int n = 0; n < 5000; ++n) {
      const int key = static_cast<int>(r.below(100));
      auto& mine = held[r.below(5)];
      switch (r.below(4)) {
        case 0:
          cache.put(key, std::vector<int>(r.below(300) + 1, key));
          break;
        case 1:
          cache.erase(key);
          break;
        case 2:
          if (mine) {
            for (const int x : *mine) wrong += x != mine->front();
          }
          mine = cache.get_pinned(key);
          if (mine && mine->front() != key) ++wrong;
          break;
        default:
          mine = cache.get_or_load(key, [&](int k) { return std::vector<int>(3, k); });
          if (mine->front() != key) ++wrong;
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(cache.stats().peak_bytes <= 200'000);
  cache.clear();
  cache.trim();
  CHECK(cache.bytes() < 10'000);
}

namespace {

/// Threads that do everything to a cache whose values tell of which key they are and what they weigh.
template <class Policy>
void stress(bool overhead, std::size_t max_bytes, std::size_t max_entries, std::size_t shards,
            bool callback) {
  CAPTURE(overhead);
  CAPTURE(shards);
  constexpr int keys = 400, threads = 5, operations = 15'000;
  const auto value_of = [](int key, std::uint32_t weight) {
    return weight * keys + static_cast<std::uint32_t>(key);
  };
  struct weigher {
    std::size_t operator()(int, std::uint32_t value) const noexcept { return value / keys; }
  };
  using cache_type =
      sharded_lru_cache<int, std::uint32_t, std::hash<int>, std::equal_to<int>, weigher, Policy>;
  cache_type cache(
      {.max_bytes = max_bytes, .max_entries = max_entries, .count_overhead = overhead, .shards = shards});
  std::atomic<int> wrong{0}, twice{0}, above{0}, refused{0};
  std::atomic<std::int64_t> in{0}, out{0};
  std::array<std::atomic<int>, keys> loading{};
  if (callback) {
    cache.on_eviction([&](int key, std::uint32_t value, eviction_cause) {
      ++out;
      if (static_cast<int>(value % keys) != key) ++wrong;
      if (key % 64 == 0 &&
          cache.get(key + 1).value_or(value_of(key + 1, 0)) % keys != static_cast<std::uint32_t>(key) + 1)
        ++wrong;
    });
  }
  on_threads(threads, [&](int i) {
    test::random r(static_cast<std::uint32_t>(100 + i));
    for (int n = 0; n < operations; ++n) {
      const int key = static_cast<int>(r.below(keys));
      const auto weight = r.below(r.below(40) == 0 ? static_cast<std::uint32_t>(max_bytes / 3) : 60);
      std::error_code ec;
      switch (r.below(12)) {
        case 0:
        case 1:
        case 2:
          if (const auto value = cache.get(key); value && static_cast<int>(*value % keys) != key) ++wrong;
          break;
        case 3:
        case 4:
        case 5:
          cache.put(key, value_of(key, weight), ec);
          if (ec) {
            ++refused;
          } else {
            ++in;
          }
          break;
        case 6:
          cache.erase(key);
          break;
        case 7:
        case 8: {
          const auto pin = cache.get_or_load(
              key,
              [&](int k) {
                if (loading[static_cast<std::size_t>(k)]++ != 0) ++twice;
                if (k % 7 == 0) std::this_thread::yield();
                --loading[static_cast<std::size_t>(k)];
                return value_of(k, weight % 50);
              },
              ec);
          if (pin && static_cast<int>(*pin % keys) != key) ++wrong;
          if (!pin && ec != errc::budget_exceeded) ++wrong;
          break;
        }
        case 9:
          if (const auto pin = cache.get_pinned(key); pin && static_cast<int>(*pin % keys) != key) ++wrong;
          break;
        case 10:
          if (cache.bytes() > max_bytes || cache.size() > max_entries) ++above;
          cache.sweep(1);
          break;
        default:
          if (n % 16 == 0) cache.evict(0.2);
          if (n % 512 == 0) cache.trim();
          if (n % 2048 == 0) cache.clear();
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(twice == 0);
  CHECK(above == 0);
  CHECK(cache.stats().peak_bytes <= max_bytes);
  const auto counted = [&] {
    std::size_t bytes = 0, entries = 0;
    for (int key = 0; key < keys; ++key) {
      if (const auto value = cache.peek(key)) {
        bytes += *value / keys;
        ++entries;
      }
    }
    return std::pair(bytes, entries);
  }();
  if (!overhead) CHECK(cache.bytes() == counted.first);
  CHECK(cache.size() == counted.second);
  CHECK(cache.stats().entries == counted.second);
  while (!cache.evict(0).finished) {}  // with what a thread has left unfinished
  while (!cache.evict(1).finished) {}
  CHECK(cache.empty());
  // All budgets are free again.
  std::error_code ec;
  const std::size_t most = overhead ? max_bytes / 2 : max_bytes;
  cache.put(1, value_of(1, static_cast<std::uint32_t>(most)), ec);
  CHECK_FALSE(ec);
  if (!overhead) CHECK(cache.bytes() == most);
}

}  // namespace

TEST_CASE_TEMPLATE("concurrent threads do everything, and all adds up", Policy, cache_policies::lru,
                   cache_policies::s3_fifo) {
  for (const std::size_t shards : {1u, 4u, 64u}) {
    stress<Policy>(false, 5000, cache_options::any_number, shards, shards == 4);
    stress<Policy>(false, 50'000, 60, shards, true);
    stress<Policy>(true, 150'000, cache_options::any_number, shards, shards != 4);
  }
}

TEST_CASE("concurrent threads fill a cache whose memory is a synchronized pool, which runs out of it") {
  synchronized_memory_pool pool({.byte_limit = 1'000'000});
  {
    sharded_lru_cache<int, std::array<char, 200>> cache({.memory = &pool, .shards = 8});
    std::atomic<std::int64_t> in{0}, out{0}, refused{0};
    cache.on_eviction([&](int, const std::array<char, 200>&, eviction_cause) { ++out; });
    on_threads(4, [&](int i) {
      for (int n = 0; n < 3000; ++n) {
        const int key = 10'000 * i + n;
#if ALIDADE_HAS_EXCEPTIONS
        try {
          cache.put(key, {});
          ++in;
        } catch (const std::bad_alloc&) {
          ++refused;
          cache.erase(key - 1);
        } catch (const alidade::error&) {
          ++refused;
          cache.erase(key - 1);
        }
#else
        if (n < 500) cache.put(key, {}), ++in;
#endif
      }
    });
    CHECK(in - out == static_cast<std::int64_t>(cache.size()));
#if ALIDADE_HAS_EXCEPTIONS
    CHECK(refused > 0);
#endif
    CHECK(pool.stats().used_bytes <= 1'000'000);
    while (!cache.evict(1).finished) {}
    CHECK(cache.empty());
  }
  CHECK(pool.stats().used_bytes == 0);
}

TEST_CASE("concurrent threads put in what just fits, with budgets that change") {
  for (const std::size_t shards : {2u, 16u}) {
    weighed<> cache({.max_bytes = 1000, .count_overhead = false, .shards = shards});
    std::atomic<std::int64_t> in{0}, out{0};
    cache.on_eviction([&](int, std::uint32_t, eviction_cause) { ++out; });
    std::atomic<int> refused{0};
    on_threads(5, [&](int i) {
      test::random r(static_cast<std::uint32_t>(i));
      for (int n = 0; n < 3000; ++n) {
        std::error_code ec;
        // Nothing is pinned and nothing is larger than the budget: all have room in the end.
        cache.put(static_cast<int>(r.below(500)), r.below(10) == 0 ? 400 + r.below(400) : r.below(20), ec);
        if (ec) {
          ++refused;
        } else {
          ++in;
        }
        if (i == 0 && n % 100 == 0) cache.resize_budget(n % 200 == 0 ? 800 : 1000);
      }
    });
    CHECK(refused == 0);
    CHECK(in - out == static_cast<std::int64_t>(cache.size()));
    const auto [bytes, entries] = recount(cache, 500);
    CHECK(cache.bytes() == bytes);
    CHECK(cache.size() == entries);
    CHECK(cache.stats().peak_bytes <= 1000);
  }
}

TEST_CASE("concurrent threads change the callback, and each departure is told to one at most") {
  weighed<> cache({.max_entries = 50, .shards = 4});
  std::atomic<std::int64_t> told{0};
  on_threads(3, [&](int i) {
    for (int n = 0; n < 3000; ++n) {
      if (i == 0 && n % 10 == 0) {
        cache.on_eviction(n % 20 == 0 ? weighed<>::callback()
                                      : [&](int, std::uint32_t, eviction_cause) { ++told; });
      }
      cache.put(1000 * i + n % 1000, 1);
    }
  });
  std::int64_t left = 0;
  for (const std::uint64_t n : cache.stats().evictions) left += static_cast<std::int64_t>(n);
  CHECK(told <= left);
  CHECK(cache.size() == 50);
}

#endif
