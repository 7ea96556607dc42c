#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <alidade/ops/elementwise.hpp>

#include "../../support.hpp"
#include "placed.hpp"

using namespace alidade;

namespace {

template <class T>
std::vector<T> numbers(test::random& r, std::size_t n) {
  std::vector<T> v(n);
  for (T& x : v) x = static_cast<T>(r.uniform());
  return v;
}

}  // namespace

TEST_CASE_TEMPLATE("element by element at every length and misalignment", T, float, double) {
  constexpr double unit = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
  test::random r(8);
  for (const std::size_t n : test::lengths()) {
    const std::vector<T> a = numbers<T>(r, n), b = numbers<T>(r, n), c = numbers<T>(r, n);
    for (const std::size_t offset : {0u, 1u, 3u}) {
      const test::placed<T> x(a, offset), y(b, offset + 1), z(c, 2);
      test::placed<T> sum(n, offset), scaled(n, 1), fused(n, offset), axpy(n, 0), positive(n, offset);
      const T factor = static_cast<T>(-1.7);
      ops::add(x.span(), y.span(), sum.span());
      ops::scale(factor, x.span(), scaled.span());
      ops::multiply_add(x.span(), y.span(), z.span(), fused.span());
      ops::multiply_add(factor, x.span(), y.span(), axpy.span());
      ops::relu(x.span(), positive.span());
      for (std::size_t i = 0; i < n; ++i) {
        REQUIRE(sum.span()[i] == a[i] + b[i]);
        REQUIRE(scaled.span()[i] == factor * a[i]);
        REQUIRE(positive.span()[i] == (a[i] > 0 ? a[i] : 0));
        // One rounding or two.
        const double product = static_cast<double>(a[i]) * static_cast<double>(b[i]);
        const double wanted = product + static_cast<double>(c[i]);
        const double bound = unit * (std::abs(wanted) + 3 * std::abs(product));
        REQUIRE(std::abs(static_cast<double>(fused.span()[i]) - wanted) <= bound);
        const double term = static_cast<double>(factor) * static_cast<double>(a[i]);
        const double line = term + static_cast<double>(b[i]);
        REQUIRE(std::abs(static_cast<double>(axpy.span()[i]) - line) <=
                unit * (std::abs(line) + 3 * std::abs(term)));
      }
      test::placed<T> own(a, offset);
      ops::add(own.span(), y.span(), own.span());
      CHECK(own.storage == sum.storage);
      own = test::placed<T>(a, offset);
      ops::multiply_add(own.span(), y.span(), z.span(), own.span());
      CHECK(own.storage == fused.storage);
      own = test::placed<T>(a, offset);
      ops::relu(own.span(), own.span());
      CHECK(own.storage == positive.storage);
    }
  }
}

TEST_CASE_TEMPLATE("relu keeps NaN and infinity", T, float, double) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  std::vector<T> x{std::numeric_limits<T>::quiet_NaN(), infinity, -infinity, T(-0.0), T(-1), T(2)};
  ops::relu(x, x);
  CHECK(std::isnan(x[0]));
  CHECK(x[1] == infinity);
  CHECK(x[2] == 0);
  CHECK(x[3] == 0);
  CHECK(x[4] == 0);
  CHECK(x[5] == 2);
}
