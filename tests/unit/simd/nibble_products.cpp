#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <alidade/memory/aligned.hpp>
#include <alidade/simd/ops/float_bytes.hpp>
#include <alidade/simd/ops/nibble_products.hpp>

#include "../../support.hpp"

namespace {

constexpr std::size_t nibble_rows = alidade::simd::nibble_group;

/// Rows and the two rows of signed bytes, each aligned and in an allocation of its own size, so that the address sanitizer sees what
/// is read behind one.
struct nibble_operands {
  std::size_t bytes;
  std::vector<alidade::detail::aligned_bytes> blocks;
  std::vector<const std::uint8_t*> rows;

  explicit nibble_operands(std::size_t bytes_) : bytes(bytes_) {
    for (std::size_t i = 0; i < nibble_rows + 2; ++i) {
      blocks.emplace_back(bytes);
      std::memset(blocks.back().data(), 0, bytes);
    }
    for (std::size_t i = 0; i < nibble_rows; ++i) rows.push_back(row(i));
  }

  std::uint8_t* row(std::size_t i) { return reinterpret_cast<std::uint8_t*>(blocks[i].data()); }
  std::int8_t* low() { return reinterpret_cast<std::int8_t*>(blocks[nibble_rows].data()); }
  std::int8_t* high() { return reinterpret_cast<std::int8_t*>(blocks[nibble_rows + 1].data()); }

  void fill(test::random& r) {
    for (std::size_t j = 0; j < nibble_rows; ++j) {
      for (std::size_t i = 0; i < bytes; ++i) row(j)[i] = static_cast<std::uint8_t>(r.below(256));
    }
    for (std::size_t i = 0; i < bytes; ++i) {
      low()[i] = static_cast<std::int8_t>(static_cast<int>(r.below(255)) - 127);
      high()[i] = static_cast<std::int8_t>(static_cast<int>(r.below(255)) - 127);
    }
  }

  std::vector<std::int32_t> products() {
    std::vector<std::int32_t> out(nibble_rows + 1, 4711);
    alidade::simd::nibble_products(low(), high(), bytes, rows.data(), out.data());
    CHECK(out.back() == 4711);
    out.pop_back();
    return out;
  }

  /// As the comment says, in another way than the header's.
  std::vector<std::int32_t> expected() {
    std::vector<std::int32_t> sums;
    for (const std::uint8_t* const x : rows) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < bytes; ++i)
        sum += std::int64_t{low()[i]} * (x[i] % 16) + std::int64_t{high()[i]} * (x[i] / 16);
      CHECK(alidade::simd::nibble_product_generic(low(), high(), bytes, x) == sum);
      sums.push_back(static_cast<std::int32_t>(sum));
    }
    return sums;
  }
};

constexpr std::size_t nibble_lengths[] = {64, 128, 192, 256, 320, 448, 512};

}  // namespace

TEST_CASE("products of nibbles are the integers that they are") {
  CHECK((nibble_rows == 8 || nibble_rows == 16));
  CHECK(!std::string(alidade::simd::nibble_instruction).empty());
  test::random r(61);
  for (const std::size_t bytes : nibble_lengths) {
    CAPTURE(bytes);
    nibble_operands x(bytes);
    for (int round = 0; round < 10; ++round) {
      x.fill(r);
      CHECK(x.products() == x.expected());
      // The same row several times, and rows in another order.
      for (const std::uint8_t*& row : x.rows) row = x.row(r.below(nibble_rows));
      CHECK(x.products() == x.expected());
    }
  }
}

TEST_CASE("products of nibbles do not overflow, whatever the signs") {
  for (const std::size_t bytes : nibble_lengths) {
    CAPTURE(bytes);
    const auto n = static_cast<std::int32_t>(bytes);
    for (const auto& [a, b] : std::vector<std::pair<int, int>>{
             {127, 127}, {-127, -127}, {127, -127}, {-127, 127}, {0, -127}, {127, 0}}) {
      nibble_operands x(bytes);
      std::memset(x.low(), a, bytes);
      std::memset(x.high(), b, bytes);
      for (std::size_t j = 0; j < nibble_rows; ++j)
        std::memset(x.row(j), j % 3 == 0 ? 0xff : j % 3 == 1 ? 0x0f : 0xf0, bytes);
      const std::vector<std::int32_t> found = x.products();
      CHECK(found == x.expected());
      CHECK(found[0] == n * 15 * (a + b));
      CHECK(found[1] == n * 15 * a);
      CHECK(found[2] == n * 15 * b);
    }
    // Signs that alternate in steps of all widths: sums of neighbours that would saturate, or cancel.
    for (std::size_t step = 1; step <= 32; step *= 2) {
      nibble_operands x(bytes);
      for (std::size_t i = 0; i < bytes; ++i) {
        x.low()[i] = i / step % 2 == 0 ? 127 : -127;
        x.high()[i] = i / step % 2 == 0 ? -127 : 127;
      }
      for (std::size_t j = 0; j < nibble_rows; ++j) {
        for (std::size_t i = 0; i < bytes; ++i)
          x.row(j)[i] = i / step % 2 == j % 2 ? 0x0f : static_cast<std::uint8_t>(j < 4 ? 0xf0 : 0xff);
      }
      CAPTURE(step);
      CHECK(x.products() == x.expected());
    }
  }
}

TEST_CASE("each number of a nibble's row meets its own byte") {
  for (const std::size_t bytes : nibble_lengths) {
    nibble_operands x(bytes);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      for (std::size_t j = 0; j < nibble_rows; ++j)
        x.row(j)[i] = static_cast<std::uint8_t>((j + 1) % 16 | (15 - j) * 16);
      for (const int upper : {0, 1}) {
        (upper == 0 ? x.low() : x.high())[i] = -101;
        std::vector<std::int32_t> out(nibble_rows);
        alidade::simd::nibble_products(x.low(), x.high(), bytes, x.rows.data(), out.data());
        for (std::size_t j = 0; j < nibble_rows; ++j) {
          const std::size_t nibble = upper == 0 ? (j + 1) % 16 : 15 - j;
          wrong += static_cast<std::size_t>(out[j] != -101 * static_cast<std::int32_t>(nibble));
        }
        (upper == 0 ? x.low() : x.high())[i] = 0;
      }
      for (std::size_t j = 0; j < nibble_rows; ++j) x.row(j)[i] = 0;
    }
    CAPTURE(bytes);
    CHECK(wrong == 0);
  }
}

TEST_CASE("bytes of a nibble's row that meet zeros do not matter, and eight of them are a pair of floats") {
  test::random r(62);
  for (const std::size_t bytes : nibble_lengths) {
    CAPTURE(bytes);
    nibble_operands x(bytes);
    x.fill(r);
    for (std::size_t at = 0; at < bytes; at += bytes - 8) {  // the first eight bytes, the last ones
      nibble_operands y = std::move(x);
      for (std::size_t j = 0; j < nibble_rows; ++j) y.rows[j] = y.row(j);
      std::memset(y.low() + at, 0, 8);
      std::memset(y.high() + at, 0, 8);
      const std::vector<std::int32_t> before = y.products();
      std::vector<float> first(nibble_rows), second(nibble_rows);
      for (std::size_t j = 0; j < nibble_rows; ++j) {
        const float pair[] = {100.0f + static_cast<float>(j), -0.25f * static_cast<float>(j)};
        std::memcpy(y.row(j) + at, pair, sizeof(pair));
        first[j] = pair[0];
        second[j] = pair[1];
      }
      CHECK(y.products() == before);
      for (const std::size_t other : {0u, 1u, 5u}) {  // rows in another order, and again and again
        std::vector<float> expected_first, expected_second;
        for (std::size_t j = 0; j < nibble_rows; ++j) {
          const std::size_t from = other == 5 ? 5 : (j + other) % nibble_rows;
          y.rows[j] = y.row(from);
          expected_first.push_back(first[from]);
          expected_second.push_back(second[from]);
        }
        std::vector<float> a(nibble_rows + 2, -1.5f), b = a;
        alidade::simd::load_pairs(y.rows.data(), at, a.data() + 1, b.data() + 1);
        for (std::vector<float>* found : {&a, &b}) {
          CHECK(found->front() == -1.5f);
          CHECK(found->back() == -1.5f);
          found->erase(found->begin());
          found->pop_back();
        }
        CHECK(a == expected_first);
        CHECK(b == expected_second);
      }
      x = std::move(y);
    }
  }
}

TEST_CASE("pairs of floats of nibbles' rows come bit for bit") {
  test::random r(63);
  nibble_operands x(64);
  x.fill(r);  // NaN and subnormals among them
  for (std::size_t at = 0; at + 8 <= 64; at += 8) {
    std::vector<float> first(nibble_rows), second(nibble_rows);
    alidade::simd::load_pairs(x.rows.data(), at, first.data(), second.data());
    for (std::size_t j = 0; j < nibble_rows; ++j) {
      CHECK(std::memcmp(&first[j], x.row(j) + at, 4) == 0);
      CHECK(std::memcmp(&second[j], x.row(j) + at + 4, 4) == 0);
    }
  }
}

TEST_CASE_TEMPLATE("integers below 2^24 are loaded as the floats that they are", V, alidade::simd::f32_scalar,
                   alidade::simd::f32) {
  constexpr std::int32_t end = 1 << 24;
  std::vector<std::int32_t> numbers{0,       1,        -1,     127,   -128,    255,      256,      32767,
                                    32768,   -32768,   -32769, 65535, 65536,   1950720,  -1950720, end / 2,
                                    end - 1, -end + 1, end,    -end,  8388609, -8388609, 12582912, 4711};
  test::random r(64);
  while (numbers.size() < 512) numbers.push_back(static_cast<std::int32_t>(r.below(2 * end - 1)) - (end - 1));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i + V::lanes <= numbers.size(); ++i) {  // at every misalignment
    const std::vector<std::int32_t> some(
        numbers.begin() + static_cast<std::ptrdiff_t>(i),
        numbers.begin() + static_cast<std::ptrdiff_t>(i + V::lanes));  // what is read behind it, is seen
    std::vector<float> out(V::lanes);
    store(out.data(), alidade::simd::load_integers<V>(some.data()));
    for (std::size_t j = 0; j < V::lanes; ++j) {
      wrong += static_cast<std::size_t>(static_cast<double>(out[j]) != static_cast<double>(some[j]));
    }
    store(out.data(), alidade::simd::load_integers<V>(numbers.data() + i));
    for (std::size_t j = 0; j < V::lanes; ++j) {
      wrong += static_cast<std::size_t>(static_cast<double>(out[j]) != static_cast<double>(numbers[i + j]));
    }
  }
  CHECK(wrong == 0);
}
