#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include <alidade/storage/row_storage.hpp>

using alidade::detail::row_storage;

TEST_CASE("rows never move while the storage grows one by one") {
  row_storage<float> rows(24);
  std::vector<const float*> addresses;
  for (std::size_t i = 0; i < 5000; ++i) {
    rows.reserve(i + 1);
    addresses.push_back(rows[i]);
    rows[i][0] = static_cast<float>(i);
    rows[i][23] = -1.0f;
  }
  bool same = true;
  for (std::size_t i = 0; i < 5000; ++i)
    same = same && rows[i] == addresses[i] && rows[i][0] == static_cast<float>(i);
  CHECK(same);
}

TEST_CASE("strides are powers of two below a cache line and whole lines above") {
  CHECK(row_storage<float>(1).stride() == 1);
  CHECK(row_storage<float>(3).stride() == 4);
  CHECK(row_storage<float>(16).stride() == 16);
  CHECK(row_storage<float>(17).stride() == 32);
  CHECK(row_storage<float>(100).stride() == 112);
  CHECK(row_storage<std::uint8_t>(100).stride() == 128);
}

TEST_CASE("rows of whole lines are aligned to them, and capacity is what was asked for") {
  for (const std::size_t count : {1u, 10u, 1000u, 10000u, 40000u}) {
    row_storage<float> rows(128);
    rows.reserve(count);
    CHECK(rows.capacity() >= count);
    CHECK(reinterpret_cast<std::uintptr_t>(rows[0]) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(rows[count - 1]) % 64 == 0);
    CHECK(rows.memory_bytes() <= count * 512 + count * 512 / 50 + 17000);
  }
}
