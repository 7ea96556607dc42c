#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <alidade/distance/distance.hpp>

#include "../../oracle.hpp"
#include "../../support.hpp"

using alidade::bf16;
using alidade::bits8;
using alidade::f16;

namespace {

/// A vector that ends where its allocation ends and starts at a chosen misalignment, so that the address sanitizer sees
/// every read out of bounds.
template <class T>
struct placed {
  std::vector<T> storage;
  std::span<const T> span;
  placed(std::span<const T> values, std::size_t offset) : storage(offset + values.size()) {
    if (!values.empty()) std::memcpy(storage.data() + offset, values.data(), values.size_bytes());
    span = std::span<const T>(storage).subspan(offset);
  }
};

/// 0..300, and lengths about multiples of every register's lanes.
std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 0; n <= 300; ++n) all.push_back(n);
  for (std::size_t n : {383u, 384u, 511u, 513u, 514u, 768u, 784u, 1023u, 1026u, 1536u}) all.push_back(n);
  return all;
}

template <class T>
inline constexpr double unit_roundoff = std::is_same_v<T, double> ? 0x1p-53 : 0x1p-24;

/// The documented bound.
template <class T>
double bound(std::size_t n, double size_of_terms) {
  return (static_cast<double>(n) / 4 + 8) * unit_roundoff<T> * size_of_terms;
}

template <class T>
T convert(double x) {
  if constexpr (sizeof(T) == 2) {
    return T(static_cast<float>(x));
  } else {
    return static_cast<T>(x);
  }
}

enum class values { uniform, of_all_sizes, nearly_equal };

template <class T>
std::pair<std::vector<T>, std::vector<T>> vectors_of(values kind, std::size_t n, test::random& r) {
  auto a = r.vector<T>(n), b = r.vector<T>(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double x = test::to_double(a[i]);
    if (kind == values::of_all_sizes) {
      a[i] = convert<T>(std::ldexp(x, static_cast<int>(r.below(20)) - 8));
      b[i] = convert<T>(std::ldexp(test::to_double(b[i]), static_cast<int>(r.below(20)) - 8));
    } else if (kind == values::nearly_equal) {
      b[i] = convert<T>(x * (1 + 0.01 * r.uniform()));
    }
  }
  return {a, b};
}

}  // namespace

TEST_CASE_TEMPLATE(
    "distances of real numbers stay within the documented bound at every length and misalignment", T, float,
    double, f16, bf16) {
  test::random r(1);
  for (const std::size_t n : lengths()) {
    for (const values kind : {values::uniform, values::of_all_sizes, values::nearly_equal}) {
      const auto [x, y] = vectors_of<T>(kind, n, r);
      const test::exact exact{std::span<const T>(x), std::span<const T>(y)};
      for (const std::size_t offset : {0u, 1u, 3u}) {
        const placed<T> a(x, offset), b(y, offset + 1);
        const auto check = [&](auto policy) {
          CHECK(std::abs(alidade::l2_squared(policy, a.span, b.span) - exact.l2) <= bound<T>(n, exact.l2));
          CHECK(std::abs(alidade::inner_product(policy, a.span, b.span) - exact.ip) <=
                bound<T>(n, exact.ip_size));
          CHECK(std::abs(alidade::l1(policy, a.span, b.span) - exact.l1) <= bound<T>(n, exact.l1));
          CHECK(std::abs(alidade::cosine(policy, a.span, b.span) - exact.cosine) <=
                2 * bound<T>(n, 1.0) + 4 * unit_roundoff<T>);
        };
        check(alidade::fast);
        check(alidade::reproducible);
        CHECK(std::abs(alidade::chebyshev(a.span, b.span) - exact.chebyshev) <=
              2 * unit_roundoff<T> * exact.chebyshev);
      }
    }
  }
}

TEST_CASE_TEMPLATE("distances of bytes are exact at every length and misalignment", T, std::int8_t,
                   std::uint8_t) {
  test::random r(2);
  for (const std::size_t n : lengths()) {
    const auto x = r.vector<T>(n), y = r.vector<T>(n);
    const test::exact exact{std::span<const T>(x), std::span<const T>(y)};
    for (const std::size_t offset : {0u, 1u, 7u}) {
      const placed<T> a(x, offset), b(y, offset + 1);
      CHECK(static_cast<double>(alidade::l2_squared(a.span, b.span)) == exact.l2);
      CHECK(static_cast<double>(alidade::inner_product(a.span, b.span)) == exact.ip);
      CHECK(static_cast<double>(alidade::l1(a.span, b.span)) == exact.l1);
      CHECK(static_cast<double>(alidade::chebyshev(a.span, b.span)) == exact.chebyshev);
      CHECK(alidade::cosine(a.span, b.span) == doctest::Approx(exact.cosine).epsilon(1e-6));
      CHECK(alidade::l2_squared(alidade::reproducible, a.span, b.span) ==
            alidade::l2_squared(a.span, b.span));
    }
  }
}

TEST_CASE("distances of bits are exact at every length and misalignment") {
  test::random r(3);
  for (const std::size_t n : lengths()) {
    for (const bool sparse : {false, true}) {
      auto x = r.vector<bits8>(n), y = r.vector<bits8>(n);
      std::uint32_t different = 0, both = 0, either = 0;
      for (std::size_t i = 0; i < n; ++i) {
        if (sparse) {
          x[i] = static_cast<bits8>(static_cast<unsigned>(x[i]) & r.below(256) & r.below(256));
          y[i] = static_cast<bits8>(static_cast<unsigned>(y[i]) & r.below(256) & r.below(256));
        }
        for (unsigned bit = 1; bit < 256; bit *= 2) {
          const bool p = (static_cast<unsigned>(x[i]) & bit) != 0,
                     q = (static_cast<unsigned>(y[i]) & bit) != 0;
          different += p != q;
          both += p && q;
          either += p || q;
        }
      }
      const double expected = either == 0 ? 0.0 : 1.0 - static_cast<double>(both) / either;
      for (const std::size_t offset : {0u, 1u, 7u}) {
        const placed<bits8> a(x, offset), b(y, offset + 1);
        CHECK(alidade::hamming(a.span, b.span) == different);
        CHECK(alidade::jaccard(a.span, b.span) == static_cast<float>(expected));
      }
    }
  }
}

TEST_CASE("distances of bytes are right up to the stated length") {
  const std::vector<std::uint8_t> zero(66'051, 0), full(66'051, 255);
  const std::uint32_t largest = 4'294'966'275u;  // 255 * 255 * 66,051; one byte more would not fit
  CHECK(alidade::l2_squared(zero, full) == largest);
  CHECK(alidade::inner_product(full, full) == largest);
  CHECK(alidade::cosine(full, full) == 0.0f);
  const std::vector<std::int8_t> low(131'071, -128), high(66'051, 127), low_too(66'051, -128);
  CHECK(alidade::inner_product(low, low) == 2'147'467'264);  // 128 * 128 * 131,071
  CHECK(alidade::cosine(low, low) == 0.0f);
  CHECK(alidade::l2_squared(high, low_too) == largest);
  const std::vector<std::uint8_t> zeros(16'843'009, 0), full_too(16'843'009, 255);
  CHECK(alidade::l1(zeros, full_too) == 4'294'967'295u);  // 255 * 16,843,009 = 2^32 - 1
  const std::vector<std::int8_t> lows(16'843'009, -128), highs(16'843'009, 127);
  CHECK(alidade::l1(lows, highs) == 4'294'967'295u);
}

TEST_CASE_TEMPLATE("every pair of bytes, alone in a vector", T, std::int8_t, std::uint8_t) {
  for (unsigned pair = 0; pair < 65'536; ++pair) {
    const T p = static_cast<T>(pair / 256), q = static_cast<T>(pair % 256);
    const std::size_t n = 64 + pair % 67;
    std::vector<T> a(n, 0), b(n, 0);
    a[pair % n] = p;
    b[pair % n] = q;
    const int product = p * q, difference = p - q;
    const bool right = static_cast<int>(alidade::inner_product(a, b)) == product &&
                       static_cast<int>(alidade::l2_squared(a, b)) == difference * difference &&
                       static_cast<int>(alidade::l1(a, b)) == std::abs(difference) &&
                       static_cast<int>(alidade::chebyshev(a, b)) == std::abs(difference);
    if (!right) FAIL_CHECK("wrong for " << static_cast<int>(p) << " and " << static_cast<int>(q));
  }
}

TEST_CASE_TEMPLATE("cosine at its edges", T, float, double, f16, bf16) {
  const auto of = [](std::initializer_list<double> list) {
    std::vector<T> v;
    for (const double x : list) v.push_back(convert<T>(x));
    return v;
  };
  const auto zero = of({0, 0, 0, 0, 0}), x = of({1, 2, 3, 4, 5}), minus = of({-1, -2, -3, -4, -5});
  const auto empty = of({});
  const auto check = [&](auto policy) {
    CHECK(alidade::cosine(policy, zero, x) == 1);
    CHECK(alidade::cosine(policy, x, zero) == 1);
    CHECK(alidade::cosine(policy, zero, zero) == 1);
    CHECK(alidade::cosine(policy, empty, empty) == 1);
    CHECK(alidade::cosine(policy, x, x) == doctest::Approx(0.0).epsilon(1e-6));
    CHECK(alidade::cosine(policy, x, minus) == doctest::Approx(2.0));
    CHECK(alidade::cosine(policy, x, x) >= 0);
    CHECK(alidade::cosine(policy, x, minus) <= 2);
    for (const double scale :
         {1e-320, 1e-300, 1e-160, 1e-38, 1e-30, 1e-15, 1e-7, 1e4, 1e15, 1e30, 1e160, 1e300}) {
      const T one = convert<T>(scale);
      const double size = test::to_double(one);
      if (size == 0 || !(size <= 1e307)) continue;
      const std::vector<T> a{one, T{}, T{}}, b{one, one, T{}};
      CHECK(alidade::cosine(policy, a, b) == doctest::Approx(1.0 - std::sqrt(0.5)).epsilon(1e-5));
      CHECK(alidade::cosine(policy, b, of({1, 0, 0})) == doctest::Approx(1.0 - std::sqrt(0.5)).epsilon(1e-5));
    }
  };
  check(alidade::fast);
  check(alidade::reproducible);
}

TEST_CASE_TEMPLATE("the cosine of bytes at its edges", T, std::int8_t, std::uint8_t) {
  const std::vector<T> zero(40, 0), ones(40, 1), many(40, 100), empty;
  CHECK(alidade::cosine(zero, ones) == 1.0f);
  CHECK(alidade::cosine(zero, zero) == 1.0f);
  CHECK(alidade::cosine(empty, empty) == 1.0f);
  CHECK(alidade::cosine(ones, many) == 0.0f);
  if constexpr (std::is_signed_v<T>) {
    const std::vector<T> minus(40, -100);
    CHECK(alidade::cosine(ones, minus) == 2.0f);
  }
}

TEST_CASE("Jaccard of empty sets is 0, of disjoint ones 1") {
  const std::vector<bits8> none(9, bits8{0}), some(9, bits8{0x11}), others(9, bits8{0x22}), empty;
  CHECK(alidade::jaccard(none, none) == 0.0f);
  CHECK(alidade::jaccard(empty, empty) == 0.0f);
  CHECK(alidade::jaccard(none, some) == 1.0f);
  CHECK(alidade::jaccard(some, others) == 1.0f);
  CHECK(alidade::jaccard(some, some) == 0.0f);
}

TEST_CASE_TEMPLATE("NaN and infinity propagate as in the formulas", T, float, double, f16, bf16) {
  const T nan = convert<T>(std::numeric_limits<double>::quiet_NaN());
  const T infinity = convert<T>(std::numeric_limits<double>::infinity());
  const T minus_infinity = convert<T>(-std::numeric_limits<double>::infinity());
  for (const std::size_t n : {1u, 4u, 17u, 64u, 100u}) {
    for (std::size_t at = 0; at < n; ++at) {
      std::vector<T> a(n, convert<T>(1)), b(n, convert<T>(2));
      const auto check = [&](auto policy) {
        a[at] = nan;
        CHECK(std::isnan(alidade::l2_squared(policy, a, b)));
        CHECK(std::isnan(alidade::inner_product(policy, a, b)));
        CHECK(std::isnan(alidade::cosine(policy, a, b)));
        CHECK(std::isnan(alidade::l1(policy, a, b)));
        CHECK(std::isnan(alidade::chebyshev(policy, a, b)));
        CHECK(std::isnan(alidade::cosine(policy, a, std::vector<T>(n, T{}))));
        a[at] = infinity;
        CHECK(std::isinf(alidade::l2_squared(policy, a, b)));
        CHECK(std::isinf(alidade::inner_product(policy, a, b)));
        CHECK(std::isnan(alidade::cosine(policy, a, b)));
        CHECK(std::isinf(alidade::l1(policy, a, b)));
        CHECK(std::isinf(alidade::chebyshev(policy, a, b)));
        CHECK(alidade::inner_product(policy, a, b) > 0);
        a[at] = minus_infinity;
        CHECK(alidade::inner_product(policy, a, b) < 0);
        CHECK(alidade::l1(policy, a, b) > 0);
        b[at] = minus_infinity;  // their difference is NaN
        CHECK(std::isnan(alidade::l2_squared(policy, a, b)));
        CHECK(std::isnan(alidade::l1(policy, a, b)));
        CHECK(std::isnan(alidade::chebyshev(policy, a, b)));
        b[at] = convert<T>(2);
      };
      check(alidade::fast);
      check(alidade::reproducible);
    }
  }
}
