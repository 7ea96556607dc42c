#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <alidade/quantize/hadamard_rotation.hpp>

#include "../../support.hpp"
#include "quantize_support.hpp"

TEST_CASE("the rotation leaves lengths and products as they are, in any number of dimensions") {
  test::random r(1);
  for (std::size_t d = 1; d <= 1100; d += d < 70 ? 1 : 103) {
    const std::vector<float> a = r.vector<float>(d), b = r.vector<float>(d);
    std::vector<float> x = a, y = b;
    alidade::detail::hadamard_rotate(x);
    alidade::detail::hadamard_rotate(y);
    CAPTURE(d);
    const double within = 2e-6 * static_cast<double>(d) + 1e-6;
    CHECK(std::abs(test::product_of(x, x) - test::product_of(a, a)) < within);
    CHECK(std::abs(test::product_of(x, y) - test::product_of(a, b)) < within);
    std::vector<float> again = a;
    alidade::detail::hadamard_rotate(again);
    CHECK(again == x);
    alidade::detail::hadamard_rotate_back(again);
    double most = 0;
    for (std::size_t i = 0; i < d; ++i) most = std::max(most, std::abs(double{again[i]} - double{a[i]}));
    CHECK(most < 2e-6);
  }
}

TEST_CASE("the rotation spreads every axis, and pairs of them, over all components") {
  for (const std::size_t d : {64u, 100u, 128u, 384u, 768u, 1000u}) {
    float largest = 0;
    for (std::size_t axis = 0; axis < d; axis += 7) {
      for (const float other : {0.0f, 1.0f, -1.0f}) {
        std::vector<float> x(d);
        x[axis] = 1;
        x[(axis * 31 + 5) % d] += other;
        alidade::detail::hadamard_rotate(x);
        for (const float v : x) largest = std::max(largest, std::abs(v));
      }
    }
    CAPTURE(d);
    CHECK(largest * std::sqrt(static_cast<float>(d)) < 9.0f);
  }
}

TEST_CASE("the largest numbers that the rotation takes have no sum that overflows") {
  for (const std::size_t d : {1u, 3u, 33u, 1000u, 1u << 20}) {
    std::vector<float> x(d, 1e30f);
    for (std::size_t i = 0; i < d; i += 3) x[i] = -1e30f;
    alidade::detail::hadamard_rotate(x);
    CHECK(std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); }));
  }
}
