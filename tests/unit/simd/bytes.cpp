#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <alidade/simd/ops/bytes.hpp>

#include "../../support.hpp"

using namespace alidade::simd;

TEST_CASE_TEMPLATE("operations on registers of bytes are those of the bytes", S, byte_sums_scalar,
                   byte_sums) {
  using bytes = typename S::bytes;
  test::random r(1);
  for (int round = 0; round < 100; ++round) {
    const auto a = r.vector<std::uint8_t>(bytes::size + 1), b = r.vector<std::uint8_t>(bytes::size + 1);
    const bytes x = bytes::load(a.data() + 1), y = bytes::load(b.data() + 1);
    typename S::unsigned_product_sum products;
    typename S::signed_product_sum signed_products;
    typename S::difference_sum differences, signed_differences, flipped;
    std::uint32_t product = 0, signed_product = 0, difference = 0, signed_difference = 0, flips = 0;
    std::uint8_t largest = 0;
    for (std::size_t i = 1; i <= bytes::size; ++i) {
      product += static_cast<std::uint32_t>(a[i] * b[i]);
      signed_product +=
          static_cast<std::uint32_t>(static_cast<std::int8_t>(a[i]) * static_cast<std::int8_t>(b[i]));
      difference += static_cast<std::uint32_t>(a[i] < b[i] ? b[i] - a[i] : a[i] - b[i]);
      signed_difference += static_cast<std::uint32_t>(
          std::abs(static_cast<std::int8_t>(a[i]) - static_cast<std::int8_t>(b[i])));
      flips += static_cast<std::uint32_t>(a[i] ^ 0x80);
      largest = std::max({largest, a[i], b[i]});
    }
    products.add(x, y);
    signed_products.add(x, y);
    differences.add(x, y);
    signed_differences.add_signed(x, y);
    flipped.add(flip_sign(x), bytes::zero());
    CHECK(products.total() == product);
    CHECK(signed_products.total() == signed_product);
    CHECK(differences.total() == difference);
    CHECK(signed_differences.total() == signed_difference);
    CHECK(flipped.total() == flips);
    CHECK(reduce_max(max(x, y)) == largest);
    CHECK(reduce_max(absolute_difference(x, x)) == 0);
    auto twice = products;
    twice.merge(products);
    CHECK(twice.total() == 2 * product);
  }
}

TEST_CASE_TEMPLATE("a partial load of bytes reads what it is asked for and no more", S, byte_sums_scalar,
                   byte_sums) {
  for (std::size_t count = 0; count < S::bytes::size; ++count) {
    std::vector<std::uint8_t> exact(
        count);  // under the address sanitizer, reading past the end ends the test
    std::uint32_t expected = 0;
    for (std::size_t i = 0; i < count; ++i) expected += exact[i] = static_cast<std::uint8_t>(i + 1);
    typename S::difference_sum sum;
    sum.add(S::bytes::zero(), S::bytes::load_partial(exact.data(), count));
    CHECK(sum.total() == expected);
  }
  for (std::size_t count = 0; count < S::bit_block::size; ++count) {
    const std::vector<std::uint8_t> exact(count, 0x81);
    typename S::bit_count bits;
    bits.add(S::bit_block::load_partial(exact.data(), count));
    CHECK(bits.total() == 2 * count);
  }
}

TEST_CASE_TEMPLATE("every byte's bits are counted", S, byte_sums_scalar, byte_sums) {
  for (unsigned value = 0; value < 256; ++value) {
    const std::vector<std::uint8_t> equal(S::bit_block::size, static_cast<std::uint8_t>(value));
    unsigned bits = 0;
    for (unsigned v = value; v != 0; v /= 2) bits += v % 2;
    typename S::bit_count count;
    count.add(S::bit_block::load(equal.data()));
    CHECK(count.total() == bits * S::bit_block::size);
  }
}

TEST_CASE_TEMPLATE("sums over bytes are exact at their largest", S, byte_sums_scalar, byte_sums) {
  const std::vector<std::uint8_t> full(S::bytes::size, 255), lowest(S::bytes::size, 0x80);
  typename S::unsigned_product_sum product;
  typename S::signed_product_sum signed_product;
  const auto blocks = static_cast<std::uint32_t>(66'051 / S::bytes::size);
  for (std::uint32_t i = 0; i < blocks; ++i) {
    product.add(S::bytes::load(full.data()), S::bytes::load(full.data()));
    signed_product.add(S::bytes::load(lowest.data()), S::bytes::load(lowest.data()));
  }
  const std::uint32_t bytes = blocks * static_cast<std::uint32_t>(S::bytes::size);
  CHECK(product.total() == 255u * 255u * bytes);
  CHECK(signed_product.total() == 128u * 128u * bytes);
}
