#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <new>

#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_pool.hpp>

using alidade::detail::buffer;

TEST_CASE("a buffer grows, keeps what it holds, adds zeros, and fails without a change") {
  alidade::memory_pool pool({.byte_limit = 100'000});
  {
    buffer<std::uint32_t> numbers(&pool);
    CHECK(numbers.size() == 0);
    CHECK(pool.stats().used_bytes == 0);
    numbers.grow(3);
    for (std::size_t i = 0; i < 3; ++i) numbers[i] = static_cast<std::uint32_t>(i + 7);
    numbers.grow(2);
    CHECK(numbers.size() == 3);
    numbers.grow(1000);
    for (std::size_t i = 0; i < 1000; ++i) CHECK(numbers[i] == (i < 3 ? i + 7 : 0));
    CHECK_THROWS_AS(numbers.grow(40'000), alidade::memory_pool_exhausted);
    CHECK_THROWS_AS(numbers.grow(std::numeric_limits<std::size_t>::max() / 2), std::bad_array_new_length);
    CHECK(numbers.size() == 1000);
    CHECK(numbers[2] == 9);
    CHECK(numbers.memory_bytes() == 4000);
    CHECK(pool.stats().used_bytes == 4000);
  }
  CHECK(pool.stats().used_bytes == 0);
}
