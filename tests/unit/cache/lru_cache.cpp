#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/cache/lru_cache.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using namespace alidade;
using namespace std::chrono_literals;

namespace {

/// Weighs a value as what it says.
struct by_value {
  std::size_t operator()(int, std::uint32_t value) const noexcept { return value; }
};
template <class Policy = cache_policies::lru>
using weighed = lru_cache<int, std::uint32_t, std::hash<int>, std::equal_to<int>, by_value, Policy>;

cache_options only_weights(std::size_t max_bytes) {
  return {.max_bytes = max_bytes, .count_overhead = false};
}

/// Least recently used, in the plainest way.
class model {
 public:
  model(std::size_t bytes, std::size_t entries) : bytes_(bytes), entries_(entries) {}

  bool get(int key) {
    const auto found = find(key);
    if (found == used_.end()) return false;
    used_.splice(used_.begin(), used_, found);
    return true;
  }
  bool put(int key, std::uint32_t weight, std::vector<int>& gone) {
    if (weight > bytes_) return false;
    if (const auto found = find(key); found != used_.end()) remove(found);
    while (total_ + weight > bytes_ || used_.size() >= entries_) {
      gone.push_back(used_.back().first);
      remove(std::prev(used_.end()));
    }
    used_.emplace_front(key, weight);
    total_ += weight;
    return true;
  }
  bool erase(int key) {
    const auto found = find(key);
    if (found == used_.end()) return false;
    remove(found);
    return true;
  }
  std::size_t size() const { return used_.size(); }
  std::size_t total() const { return total_; }

 private:
  using list = std::list<std::pair<int, std::uint32_t>>;
  list::iterator find(int key) {
    return std::find_if(used_.begin(), used_.end(), [key](const auto& e) { return e.first == key; });
  }
  void remove(list::iterator at) {
    total_ -= at->second;
    used_.erase(at);
  }
  list used_;
  std::size_t bytes_, entries_, total_ = 0;
};

std::chrono::steady_clock::time_point fake_time;
std::chrono::steady_clock::time_point fake_now() { return fake_time; }

struct transparent_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
};

}  // namespace

TEST_CASE("a cache evicts what a plain list of recent use evicts, in that order") {
  struct budget {
    std::size_t bytes, entries;
  };
  for (const budget b : {budget{1000, 1'000'000}, {1'000'000, 40}, {700, 25}}) {
    const std::size_t bytes = b.bytes, entries = b.entries;
    CAPTURE(bytes);
    CAPTURE(entries);
    weighed<> cache({.max_bytes = bytes, .max_entries = entries, .count_overhead = false});
    model plain(bytes, entries);
    std::vector<int> gone, expected;
    cache.on_eviction([&](int key, std::uint32_t, eviction_cause cause) {
      if (cause == eviction_cause::budget) gone.push_back(key);
    });
    test::random r(7);
    for (int i = 0; i < 20'000; ++i) {
      const int key = static_cast<int>(r.below(120));
      const auto action = r.below(10);
      if (action < 5) {
        CHECK((cache.get(key) != nullptr) == plain.get(key));
      } else if (action < 9) {
        const auto weight = static_cast<std::uint32_t>(r.below(r.below(50) == 0 ? 1200 : 60));
        std::error_code ec;
        cache.put(key, weight, ec);
        CHECK(!ec == plain.put(key, weight, expected));
        if (ec) CHECK(ec == errc::budget_exceeded);
      } else {
        CHECK(cache.erase(key) == plain.erase(key));
      }
      REQUIRE(gone == expected);
      REQUIRE(cache.size() == plain.size());
      REQUIRE(cache.bytes() == plain.total());
    }
  }
}

TEST_CASE("peek and contains do not promote, get and get_pinned do") {
  lru_cache<int, int> cache({.max_entries = 3});
  for (int i = 0; i < 3; ++i) cache.put(i, 10 * i);
  CHECK(*cache.peek(0) == 0);
  CHECK(cache.contains(0));
  cache.put(3, 30);
  CHECK_FALSE(cache.contains(0));
  CHECK(*cache.get(1) == 10);
  cache.put(4, 40);
  CHECK(cache.contains(1));
  CHECK_FALSE(cache.contains(2));
  CHECK(*cache.get_pinned(3) == 30);
  cache.put(5, 50);
  CHECK(cache.contains(3));
  CHECK_FALSE(cache.contains(1));
  const cache_stats s = cache.stats();
  CHECK(s.hits == 2);
  CHECK(s.misses == 0);
  CHECK(cache.get(0) == nullptr);
  CHECK(cache.stats().misses == 1);
  CHECK(s.evicted(eviction_cause::budget) == 3);
  CHECK(s.entries == 3);
}

TEST_CASE("an entry larger than the budget is refused and evicts nothing") {
  weighed<> cache(only_weights(100));
  cache.put(1, 60);
  cache.put(2, 40);
  std::error_code ec;
  cache.put(3, 101, ec);
  CHECK(ec == errc::budget_exceeded);
  cache.put(1, 101, ec);
  CHECK(ec == errc::budget_exceeded);
  CHECK(*cache.peek(1) == 60);
  CHECK(cache.size() == 2);
  cache.put(3, 100, ec);
  CHECK_FALSE(ec);
  CHECK(cache.size() == 1);
#if ALIDADE_HAS_EXCEPTIONS
  CHECK_THROWS_AS(cache.put(4, 101), alidade::error);
#endif
}

TEST_CASE("options out of range are refused") {
#if ALIDADE_HAS_EXCEPTIONS
  using cache = lru_cache<int, int>;
  CHECK_THROWS_AS(cache({.max_bytes = 0}), alidade::error);
  CHECK_THROWS_AS(cache({.max_entries = 0}), alidade::error);
  CHECK_THROWS_AS(cache({.max_entries = ~std::size_t{0}}), alidade::error);
  CHECK_THROWS_AS(cache({.time_to_live = -1ns}), alidade::error);
  CHECK_THROWS_AS(cache({.now = nullptr}), alidade::error);
#endif
  lru_cache<int, int> fine;
  std::error_code ec;
  fine.put(1, 2, -1ns, ec);
  CHECK(ec == errc::invalid_option);
  CHECK(fine.empty());
}

TEST_CASE("callbacks say why, when the entry is no longer there") {
  lru_cache<int, std::string> cache({.max_entries = 2});
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
  cache.put(2, "b");
  cache.put(2, "c");
  cache.put(3, "d");
  CHECK(cache.erase(2));
  CHECK_FALSE(cache.erase(2));
  CHECK(cache.evict(1.0).finished);
  cache.put(4, "e");
  cache.clear();
  CHECK(said == std::vector<std::string>{"2breplaced", "1abudget", "2cerased", "3dpressure", "4eerased"});
}

TEST_CASE("a callback may call the cache") {
  lru_cache<int, int> cache({.max_entries = 3});
  int depth = 0;
  cache.on_eviction([&](int key, int, eviction_cause cause) {
    if (cause != eviction_cause::budget || key >= 1000)
      return;  // each eviction that puts one in needs another
    ++depth;
    cache.put(key + 1000, 0);  // evicts another
    cache.erase(key + 998);
    CHECK(cache.size() <= 3);
    CHECK(depth < 10);
    --depth;
  });
  for (int i = 0; i < 200; ++i) cache.put(i, i);
  CHECK(cache.size() <= 3);
  CHECK(cache.contains(199));

  // It may put in the very key that is being put in, or erase it.
  lru_cache<int, int> same({.max_entries = 1});
  same.on_eviction([&](int, int, eviction_cause cause) {
    if (cause == eviction_cause::budget && !same.contains(7)) same.put(7, 70);
  });
  same.put(1, 1);
  same.put(7, 71);
  CHECK(same.size() == 1);
  CHECK(*same.peek(7) == 71);
}

#if ALIDADE_HAS_EXCEPTIONS
TEST_CASE("what a callback throws passes, and leaves the cache as good as before") {
  lru_cache<int, std::string> cache({.max_entries = 4});
  bool throws = true;
  cache.on_eviction([&](int, const std::string&, eviction_cause) {
    if (throws) throw std::runtime_error("no");
  });
  for (int i = 0; i < 4; ++i) cache.put(i, std::string(100, 'x'));
  CHECK_THROWS_AS(cache.put(10, "y"), std::runtime_error);
  CHECK(cache.size() == 3);
  CHECK_FALSE(cache.contains(0));
  CHECK_FALSE(cache.contains(10));
  CHECK_THROWS_AS(cache.put(3, "z"), std::runtime_error);  // replaced: the new value is in
  CHECK(*cache.peek(3) == "z");
  CHECK_THROWS_AS(cache.erase(3), std::runtime_error);
  CHECK(cache.size() == 2);
  CHECK_FALSE(cache.contains(3));
  throws = false;
  for (int i = 0; i < 10; ++i) cache.put(i, "w");
  CHECK(cache.size() == 4);
}

TEST_CASE("an allocation that fails changes nothing") {
  lru_cache<int, std::vector<int>> cache;
  for (int i = 0; i < 500; ++i) cache.put(i, std::vector<int>(10, i));
  for (std::size_t n = 1; n < 40; ++n) {
    const std::size_t before = cache.size();
    const int key = 1000 + static_cast<int>(n);
    std::vector<int> value(10, key);
    bool failed = false;
    try {
      const test::failing_allocation fails(n);
      cache.put(key, std::move(value), 1h);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    CHECK(cache.size() == before + (failed ? 0 : 1));
    CHECK(cache.contains(key) != failed);
  }
  for (int i = 0; i < 500; ++i) CHECK(*cache.get(i) == std::vector<int>(10, i));
}
#endif

TEST_CASE("pinned entries stay, wherever the cache goes") {
  lru_cache<int, std::string> cache({.max_entries = 3});
  int calls = 0;
  cache.on_eviction([&](int, const std::string&, eviction_cause) { ++calls; });
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
  CHECK(*one == "one");
  const int before = calls;
  one.release();
  uno = {};
  again = std::move(one);
  CHECK_FALSE(again);
  CHECK(calls == before);  // they were said to have left when they left
  CHECK_FALSE(cache.get_pinned(1));

  // All is pinned: nothing can make room.
  lru_cache<int, std::string>::pin pins[3];
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

TEST_CASE("a value is loaded when it is missing, and only then") {
  lru_cache<int, std::string> cache({.max_entries = 2});
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
}

TEST_CASE("entries expire, when they are asked for or swept") {
  fake_time = {};
  lru_cache<int, int> cache({.time_to_live = 10s, .now = fake_now});
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
  CHECK(cache.peek(1) == nullptr);
  CHECK(cache.size() == 4);
  CHECK(cache.get(1) == nullptr);
  CHECK(cache.size() == 3);
  CHECK(expired == std::vector<int>{1});
  CHECK(cache.sweep(1000) == 0);
  fake_time += 10s;
  CHECK(cache.sweep(1000) == 1);
  CHECK(expired == std::vector<int>{1, 2});
  fake_time += 1000h;
  CHECK(cache.sweep(1000) == 0);
  CHECK(cache.contains(3));
  CHECK(cache.contains(4));
  cache.put(3, 33);  // with the default now
  fake_time += 11s;
  CHECK_FALSE(cache.contains(3));

  // Swept a little at a time, all are found.
  for (int i = 0; i < 5000; ++i) cache.put(i, i, i % 2 == 0 ? 1s : 3h);
  fake_time += 2s;
  std::size_t swept = 0;
  for (int i = 0; i < 1000; ++i) swept += cache.sweep(1);
  CHECK(swept == 2500);
  CHECK(cache.size() == 2500);
}

TEST_CASE("keys are looked up by other types where hash and equality allow") {
  lru_cache<std::string, int, transparent_hash, std::equal_to<>> cache;
  cache.put("alpha", 1);
  CHECK(*cache.get(std::string_view("alpha")) == 1);
  CHECK(cache.contains("alpha"));
  CHECK(cache.erase(std::string_view("alpha")));
  CHECK(cache.empty());
}

TEST_CASE("values that can only be moved, or not even that without throwing, are values") {
  lru_cache<int, std::unique_ptr<int>, std::hash<int>, std::equal_to<int>,
            decltype([](int, const auto&) { return std::size_t{16}; })>
      cache({.max_entries = 100});
  for (int i = 0; i < 1000; ++i) cache.put(i, std::make_unique<int>(i));
  cache.trim();
  for (int i = 900; i < 1000; ++i) CHECK(**cache.get(i) == i);
}

TEST_CASE("bytes are those that were allocated") {
  for (const std::size_t length : {0u, 10u, 300u, 3072u}) {
    CAPTURE(length);
    const std::size_t before = test::allocations().bytes;
    {
      lru_cache<std::string, std::vector<char>> cache({.max_bytes = 2'000'000});
      test::random r(4);
      for (int i = 0; i < 30'000; ++i) {
        cache.put("key number " + std::to_string(r.below(100'000)), std::vector<char>(length));
        if (i % 1000 == 0) {
          const auto taken = static_cast<double>(test::allocations().bytes - before);
          const auto counted = static_cast<double>(cache.bytes());
          CHECK(counted <= 2'000'000);
          CHECK(std::abs(taken - counted) <= 0.05 * taken + 2000);
        }
      }
      CHECK(cache.stats().peak_bytes <= 2'000'000);
      CHECK(cache.stats().peak_bytes >= 1'900'000);
    }
    CHECK(test::allocations().bytes == before);
  }
}

TEST_CASE("an entry costs 40 bytes beside its key and value, or fewer") {
  lru_cache<std::uint64_t, std::uint64_t> recent;
  lru_cache<std::uint64_t, std::uint64_t, std::hash<std::uint64_t>, std::equal_to<std::uint64_t>, heap_bytes,
            cache_policies::s3_fifo>
      queues;
  for (std::uint64_t i = 1; i <= 60'000; ++i) {
    recent.put(i, i);
    queues.put(i, i);
    if (i >= 20'000) {
      CHECK(recent.bytes() <= i * (16 + 32) + 70'000);
      CHECK(queues.bytes() <= i * (16 + 40) + 70'000);
    }
  }
}

TEST_CASE("evicting goes in steps, coldest first, and gives memory back") {
  lru_cache<int, std::array<char, 100>> cache;
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
  for (int i = 0; i < 20'000; ++i) CHECK(cache.contains(i) == (i >= 10'000));
  cache.trim();
  CHECK(cache.bytes() <= before / 2 + 100'000);
  for (int i = 10'000; i < 20'000; ++i) CHECK(cache.contains(i));
  CHECK(cache.stats().evicted(eviction_cause::pressure) == 10'000);
  CHECK(cache.evict(0).entries == 0);

  struct monitor {
    double fraction_to_evict() const { return 0.1; }
  };
  while (!cache.relieve(monitor{}).finished) {}
  CHECK(cache.size() == 9'000);
  CHECK(cache.contains(19'999));

  const std::size_t budget = cache.bytes() / 2;
  while (!cache.resize_budget(budget).finished) {}
  CHECK(cache.bytes() <= budget);
  CHECK(cache.contains(19'999));
  CHECK(cache.size() > 3'000);
}

TEST_CASE("a small budget that was full of small entries has room for a large one") {
  lru_cache<int, std::vector<char>> cache({.max_bytes = 1'000'000});
  for (int i = 0; i < 50'000; ++i) cache.put(i, {});
  cache.put(-1, std::vector<char>(900'000));
  CHECK(cache.size() >= 1);
  CHECK(cache.contains(-1));
  CHECK(cache.bytes() <= 1'000'000);
}

TEST_CASE_TEMPLATE("what fits in an empty cache fits in a full one, and nothing goes for what does not",
                   Policy, cache_policies::lru, cache_policies::s3_fifo) {
  constexpr std::size_t budget = 300'000;
  for (const auto time_to_live : {0s, 3600s}) {
    const auto filled = [&](int count, std::size_t size, auto&& check) {
      lru_cache<int, std::vector<char>, std::hash<int>, std::equal_to<int>, heap_bytes, Policy> cache(
          {.max_bytes = budget, .time_to_live = time_to_live});
      for (int i = 0; i < count; ++i) cache.put(i, {});
      const std::size_t entries = cache.size(), bytes = cache.bytes();
      std::error_code ec;
      const int key = count % 2 == 0
                          ? -1
                          : count - 1;  // a new one, or that of the last entry, which is in the last chunk
      cache.put(key, std::vector<char>(size), ec);
      check(cache, ec, key);
      if (ec) CHECK(cache.size() == entries);
      if (ec) CHECK(cache.bytes() == bytes);
      return !ec;
    };
    std::size_t most = 0;
    for (std::size_t step = budget; step > 0; step /= 2) {
      while (filled(0, most + step, [](auto&, auto, int) {})) most += step;
    }
    CAPTURE(most);
    CHECK(most > budget * 9 / 10);
    for (const int count : {2'000, 2'001, 20'000, 20'001}) {
      CAPTURE(count);
      filled(count, most, [&](auto& cache, std::error_code ec, int key) {
        CHECK(!ec);
        CHECK(cache.peek(key)->size() == most);
        CHECK(cache.bytes() <= budget);
      });
      filled(count, most + 1, [](auto&, std::error_code ec, int) { CHECK(ec == errc::budget_exceeded); });
    }
  }
}

TEST_CASE_TEMPLATE("room for entries that have left goes before further ones do", Policy, cache_policies::lru,
                   cache_policies::s3_fifo) {
  using cache_type = lru_cache<int, int, std::hash<int>, std::equal_to<int>, heap_bytes, Policy>;
  constexpr std::size_t budget = 1'000'000;
  cache_type fresh({.max_bytes = budget});
  for (int i = 0; fresh.stats().evicted(eviction_cause::budget) == 0; ++i) fresh.put(i, i);
  cache_type cache;
  for (int i = 0; i < 200'000; ++i) cache.put(i, i);
  while (!cache.resize_budget(budget).finished) {}
  CHECK(cache.bytes() <= budget);
  CHECK(cache.size() >= fresh.size() * 8 / 10);

  const double part = 0.8;
  cache_type relieved;
  for (int i = 0; i < 100'000; ++i) relieved.put(i, i);
  while (!relieved.evict(part).finished) {}
  const std::size_t bytes = relieved.bytes();
  relieved.trim();
  CHECK(bytes <= relieved.bytes() * 5 / 4);
}

TEST_CASE("a callback may take out what a load has just put in, and set another callback") {
  lru_cache<int, std::string> cache;
  cache.on_eviction(
      [&cache, once = std::string(100, 'q')](int key, const std::string&, eviction_cause cause) {
        cache.on_eviction([](int, const std::string&, eviction_cause) {});
        if (cause == eviction_cause::replaced) cache.erase(key);
        CHECK(once == std::string(100, 'q'));
      });
  auto loaded = cache.get_or_load(1, [&](int key) {
    cache.put(key, std::string(100, 'a'));
    return std::string(100, 'b');
  });
  CHECK(*loaded == std::string(100, 'b'));
  CHECK(cache.empty());
  loaded.release();
  cache.put(2, std::string(100, 'x'));
  cache.put(3, std::string(100, 'y'));
  CHECK(*cache.get(2) == std::string(100, 'x'));
  CHECK(*cache.get(3) == std::string(100, 'y'));
}

TEST_CASE("a callback that makes a cache grow does not take the room of an entry that expires") {
  lru_cache<int, std::uint32_t, std::hash<int>, std::equal_to<int>, by_value> cache({.max_bytes = 1'100'000});
  cache.on_eviction([&](int key, std::uint32_t, eviction_cause cause) {
    if (cause != eviction_cause::budget || key != 0) return;
    for (int i = 1000; i < 1511; ++i) cache.put(i, 1);
    cache.erase(1000);
    cache.erase(1510);
  });
  cache.put(0, 1'000'000);
  cache.put(1, 300'000, 1h);
  CHECK(cache.contains(1));
  CHECK(cache.bytes() <= 1'100'000);
}

/// May throw when it is moved, for all that a cache knows.
struct copied {
  explicit copied(std::uint32_t w) : weight(w) {}
  copied(const copied& other) : weight(other.weight) {}
  operator std::uint32_t() const { return weight; }
  std::uint32_t weight;
};

TEST_CASE_TEMPLATE("a pin keeps one chunk, and no more", Value, std::uint32_t, copied) {
  lru_cache<int, Value, std::hash<int>, std::equal_to<int>, by_value> cache({.max_bytes = 1'000'000});
  for (int i = 0; i < 15'000; ++i) cache.put(i, Value(1));
  const auto held = cache.get_pinned(14'999);
  while (!cache.evict(1).finished) {}
  CHECK(cache.size() == 1);
  CHECK(cache.evict(1).entries == 0);
  cache.trim();
  CHECK(cache.bytes() < 200'000);
  for (int i = 0; i < 14'999; ++i) cache.put(i, Value(1));
  CHECK(cache.size() == 15'000);
  for (int i = 0; i < 15'000; ++i) CHECK(cache.contains(i));

  cache.put(-1, Value(700'000));
  CHECK(cache.contains(-1));
  CHECK(cache.bytes() <= 1'000'000);
  const std::size_t entries = cache.size();
  std::error_code ec;
  cache.put(-2, Value(990'000), ec);  // too large beside the chunk of what is pinned
  CHECK(ec == errc::budget_exceeded);
  CHECK(cache.size() == entries);
}

TEST_CASE("memory of large values goes as they do") {
  struct large {
    float numbers[768];
  };
  lru_cache<int, large> cache;
  for (int i = 0; i < 5'000; ++i) cache.put(i, {});
  CHECK(cache.bytes() <= 5'000 * (sizeof(large) + sizeof(int) + 40));
  const std::size_t before = cache.bytes();
  while (!cache.evict(0.5).finished) {}
  CHECK(cache.size() == 2'500);
  CHECK(cache.bytes() <= before * 52 / 100);
}

TEST_CASE("a budget of a few chunks is kept when it is lowered") {
  lru_cache<int, int> cache({.max_bytes = 1'000'000});
  for (int i = 0; i < 768; ++i) cache.put(i, i);
  while (!cache.resize_budget(20'000).finished) {}
  CHECK(cache.bytes() <= 20'000);
  CHECK(cache.size() >= 200);
}

TEST_CASE("a callback that evicts, or changes the budget, has its way") {
  weighed<> cache(only_weights(1'000'000));
  for (int i = 0; i < 100; ++i) cache.put(i, 100);
  cache.on_eviction([&](int, std::uint32_t, eviction_cause) { cache.evict(0); });
  while (!cache.evict(0.5).finished) {}
  CHECK(cache.size() == 50);
  cache.on_eviction([&](int, std::uint32_t, eviction_cause) { cache.resize_budget(1'000'000); });
  CHECK(cache.resize_budget(1'000).finished);
  CHECK(cache.size() == 49);
  CHECK(cache.options().max_bytes == 1'000'000);
}

TEST_CASE_TEMPLATE("bytes are counted as they are asked of a resource, and none elsewhere", Policy,
                   cache_policies::lru, cache_policies::s3_fifo) {
  class counting final : public memory_resource {
   public:
    std::size_t used = 0;

   private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
      void* const block = new_delete_resource()->allocate(bytes, alignment);
      used += bytes;
      return block;
    }
    void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
      used -= bytes;
      new_delete_resource()->deallocate(block, bytes, alignment);
    }
    bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
  } memory;
  const std::size_t elsewhere = test::allocations().bytes;
  {
    lru_cache<int, int, std::hash<int>, std::equal_to<int>, heap_bytes, Policy> cache(
        {.time_to_live = 1h, .memory = &memory});
    for (int i = 0; i < 20'000; ++i) {
      cache.put(i, i);
      CHECK(cache.bytes() == memory.used);
    }
    while (!cache.evict(0.9).finished) CHECK(cache.bytes() == memory.used);
    cache.trim();
    CHECK(cache.bytes() == memory.used);
    CHECK(test::allocations().bytes - elsewhere >= memory.used);
    CHECK(test::allocations().bytes - elsewhere <= memory.used + 1000);
  }
  CHECK(memory.used == 0);
}

TEST_CASE("a pool that is exhausted takes nothing from a cache") {
  memory_pool pool({.byte_limit = 4 << 20});
  {
    lru_cache<int, int> cache({.memory = &pool});
    int put = 0;
    CHECK_THROWS_AS(for (;; ++put) cache.put(put, put), memory_pool_exhausted);
    CHECK(put > 40'000);
    CHECK(cache.size() == static_cast<std::size_t>(put));
    for (int i = 0; i < put; ++i) CHECK(*cache.get(i) == i);
    cache.erase(7);
    cache.put(-1, -1);
    CHECK(*cache.get(-1) == -1);
  }
  CHECK(pool.stats().used_bytes == 0);
}

TEST_CASE_TEMPLATE("policies keep their order on every architecture", Policy, cache_policies::lru,
                   cache_policies::s3_fifo) {
  weighed<Policy> cache(only_weights(5000));
  std::uint64_t digest = 0xcbf29ce484222325u;
  std::uint64_t hits = 0;
  cache.on_eviction([&](int key, std::uint32_t, eviction_cause cause) {
    digest = (digest ^ static_cast<std::uint64_t>(key * 8 + static_cast<int>(cause))) * 0x100000001b3u;
  });
  test::random r(12);
  for (int i = 0; i < 30'000; ++i) {
    // Some keys come often, others once.
    const int key = static_cast<int>(r.below(3) != 0 ? r.below(60) : 1000 + r.below(100'000));
    if (cache.get(key) != nullptr) {
      ++hits;
    } else {
      cache.put(key, 10 + static_cast<std::uint32_t>(key % 90));
    }
    if (r.below(500) == 0) cache.erase(static_cast<int>(r.below(60)));
    if (r.below(2000) == 0) cache.evict(0.25);
  }
  CAPTURE(hits);
  CHECK(digest ==
        (std::is_same_v<Policy, cache_policies::lru> ? 17135258517090101851u : 15739236166639911441u));
}

TEST_CASE("a scan does not flush s3_fifo") {
  const auto survivors = [](auto& cache) {
    for (int turn = 0; turn < 5; ++turn) {
      for (int i = 0; i < 500; ++i) {
        if (cache.get(i) == nullptr) cache.put(i, i);
      }
    }
    for (int i = 10'000; i < 20'000; ++i) cache.put(i, i);
    int left = 0;
    for (int i = 0; i < 500; ++i) left += cache.contains(i);
    return left;
  };
  lru_cache<int, int> recent({.max_entries = 1000});
  lru_cache<int, int, std::hash<int>, std::equal_to<int>, heap_bytes, cache_policies::s3_fifo> queues(
      {.max_entries = 1000});
  CHECK(survivors(recent) == 0);
  CHECK(survivors(queues) >= 450);
}
