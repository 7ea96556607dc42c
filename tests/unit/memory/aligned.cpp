#include <doctest/doctest.h>

#include <cstdint>
#include <utility>

#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../counting_new.hpp"

using alidade::detail::aligned_bytes;

TEST_CASE("blocks are aligned, large ones to a huge page") {
  for (std::size_t size : {std::size_t{1}, std::size_t{100}, std::size_t{5} << 20}) {
    aligned_bytes block(size);
    const std::size_t alignment = size >= 2 * alidade::detail::huge_page ? alidade::detail::huge_page : 64;
    CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % alignment == 0);
    block.data()[size - 1] = std::byte{1};
    CHECK(block.size() == size);
  }
}

TEST_CASE("moving leaves nothing behind") {
  aligned_bytes a(64), b(128);
  std::byte* const data = a.data();
  b = std::move(a);
  CHECK(b.data() == data);
  CHECK(b.size() == 64);
  const aligned_bytes c(std::move(b));
  CHECK(c.data() == data);
  CHECK(aligned_bytes{}.size() == 0);
}

TEST_CASE("they come from a resource, and go back to it wherever they have moved") {
  alidade::memory_pool pool, other;
  {
    aligned_bytes a(1000, &pool);
    aligned_bytes b(2 * alidade::detail::huge_page, &pool), c(500, &other), d(30);
    CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(b.data()) % alidade::detail::huge_page == 0);
    CHECK(pool.stats().used_bytes == 1000 + 2 * alidade::detail::huge_page);
    CHECK(other.stats().used_bytes == 500);
    c = std::move(a);
    CHECK(other.stats().used_bytes == 0);
    b = std::move(d);
    CHECK(pool.stats().used_bytes == 1000);
    const aligned_bytes e(std::move(c));
    CHECK(pool.stats().used_bytes == 1000);
  }
  CHECK(pool.stats().used_bytes == 0);
  CHECK_THROWS_AS(aligned_bytes(std::size_t{1} << 30, &pool), alidade::memory_pool_exhausted);
}

TEST_CASE("without a resource they come from operator new, as do the blocks of a null resource's allocator") {
  const auto before = test::allocations();
  {
    const aligned_bytes bytes(1000, nullptr);
    CHECK(test::allocations().bytes == before.bytes + 1000);
    struct alignas(64) line {
      char bytes[64];
    };
    alidade::detail::resource_vector<line> lines(3, nullptr);
    CHECK(test::allocations().bytes == before.bytes + 1000 + 3 * 64);
    const auto copy = lines;
    alidade::detail::resource_vector<char> characters(100, nullptr);
    CHECK(test::allocations().bytes == before.bytes + 1000 + 2 * 3 * 64 + 100);
    lines = alidade::detail::resource_vector<line>(nullptr);
    CHECK(test::allocations().bytes == before.bytes + 1000 + 3 * 64 + 100);
  }
  CHECK(test::allocations().bytes == before.bytes);
}
