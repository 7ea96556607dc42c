#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include <alidade/config/compiler.hpp>
#include <alidade/perf/counter.hpp>

using namespace alidade::perf;

TEST_CASE_TEMPLATE("counters add, saturate, raise and reset", Counter, plain_counter, owned_counter,
                   counter) {
  static_assert(counting<Counter>);
  static_assert(sizeof(Counter) == 8);
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  Counter c;
  CHECK(c.value() == 0);
  c.add();
  c.add(41);
  c.publish(2);
  CHECK(c.value() == 44);
  c.raise(43);
  CHECK(c.value() == 44);
  c.raise(100);
  CHECK(c.value() == 100);
  c.add_saturating(most - 101);
  CHECK(c.value() == most - 1);
  c.add_saturating(1);
  CHECK(c.value() == most);
  c.add_saturating(most);
  CHECK(c.value() == most);
  c.add(2);  // modulo 2^64
  CHECK(c.value() == 1);
  c.reset();
  CHECK(c.value() == 0);
}

#if ALIDADE_HAS_THREADS
TEST_CASE("a counter loses nothing of concurrent additions") {
  counter sum, most;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 5000; ++i) {
        sum.add();
        sum.add_saturating(2);
        most.raise(4 * i + t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sum.value() == 4 * 5000 * 3);
  CHECK(most.value() == 4 * 4999 + 3);
}

TEST_CASE("an owned counter is seen to grow by other threads, with what was done before") {
  owned_counter published;
  std::uint64_t plain = 0;
  std::thread owner([&] {
    plain = 7;
    published.publish(1);
  });
  while (published.value() == 0) std::this_thread::yield();
  CHECK(plain == 7);
  owner.join();
}
#endif
