#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include <alidade/memory/memory_pool.hpp>
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

TEST_CASE("what was reserved since can be given back, and reserved anew") {
  alidade::memory_pool pool;
  row_storage<float> rows(24, &pool);
  rows.shrink(0);
  rows.reserve(100);
  const std::size_t capacity = rows.capacity(), used = pool.stats().used_bytes;
  for (std::size_t i = 0; i < capacity; ++i) rows[i][5] = static_cast<float>(i);
  for (const std::size_t more : {capacity + 1, 3 * capacity, 40 * capacity}) {
    rows.reserve(more);
    rows.reserve(2 * more);
    rows.shrink(capacity);
    CHECK(rows.capacity() == capacity);
    CHECK(pool.stats().used_bytes == rows.memory_bytes());
    CHECK(pool.stats().used_bytes < used + 4096);
  }
  bool same = true;
  for (std::size_t i = 0; i < capacity; ++i) same = same && rows[i][5] == static_cast<float>(i);
  CHECK(same);
  rows.shrink(0);
  CHECK(rows.capacity() == 0);
  rows.reserve(50'000);  // with granules of another size
  rows[49'999][23] = 1.0f;
  CHECK(rows.capacity() >= 50'000);
}
