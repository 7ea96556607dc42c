#include <doctest/doctest.h>

#include <array>
#include <vector>

#include <alidade/simd/ops/u8.hpp>
#include <alidade/simd/vec.hpp>

#include "../../support.hpp"

using namespace alidade::simd;

TEST_CASE_TEMPLATE("operations on vectors of floats are those of their lanes", V, f32_scalar, f32) {
  // Small integers, so that every sum is exact in any order.
  std::vector<float> a(V::lanes + 1), b(V::lanes + 1);
  float sum = 0, difference = 0, fused = 0;
  for (std::size_t i = 1; i <= V::lanes; ++i) {
    a[i] = static_cast<float>(i);
    b[i] = static_cast<float>(3 * i % 7);
    sum += a[i] + b[i];
    difference += a[i] - b[i];
    fused += a[i] * b[i] + a[i];
  }
  const V x = V::load(a.data() + 1), y = V::load(b.data() + 1);  // unaligned
  CHECK(reduce_add(x + y) == sum);
  CHECK(reduce_add(x - y) == difference);
  CHECK(reduce_add(multiply_add(x, y, x)) == fused);
  CHECK(reduce_add(V::zero()) == 0.0f);
}

TEST_CASE_TEMPLATE("a partial load reads what it is asked for and no more", V, f32_scalar, f32) {
  for (std::size_t count = 0; count < V::lanes; ++count) {
    std::vector<float> exact(count);  // under the address sanitizer, reading past the end ends the test
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += exact[i] = static_cast<float>(i + 1);
    CHECK(reduce_add(V::load_partial(exact.data(), count)) == sum);
  }
}

TEST_CASE_TEMPLATE("sums over bytes are exact at their largest", Sum, u8_sum_scalar, u8_sum_native) {
  const std::vector<std::uint8_t> zero(Sum::block, 0), full(Sum::block, 255);
  Sum difference, product;
  const std::uint32_t blocks = 66051 / static_cast<std::uint32_t>(Sum::block);
  for (std::uint32_t i = 0; i < blocks; ++i) {
    difference.add_squared_difference(i % 2 == 0 ? zero.data() : full.data(),
                                      i % 2 == 0 ? full.data() : zero.data());
    product.add_product(full.data(), full.data());
  }
  const std::uint32_t expected = 255u * 255u * blocks * static_cast<std::uint32_t>(Sum::block);
  CHECK(difference.total() == expected);
  CHECK(product.total() == expected);
}
