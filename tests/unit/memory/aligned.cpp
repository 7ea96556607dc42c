#include <doctest/doctest.h>

#include <cstdint>
#include <utility>

#include <alidade/memory/aligned.hpp>

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
