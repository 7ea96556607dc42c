#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <alidade/core/portable_math.hpp>
#include <alidade/core/random.hpp>

using namespace alidade;

TEST_CASE("powers of two are near the truth, exact of integers, and never fall") {
  CHECK(detail::two_to_the(0) == 1);
  for (int n = -1074; n < 1024; ++n) CHECK(detail::two_to_the(n) == std::ldexp(1.0, n));
  for (const double x : {-1076.0, -1e300, -std::numeric_limits<double>::infinity()})
    CHECK(detail::two_to_the(x) == 0);
  CHECK(detail::two_to_the(1024) == std::numeric_limits<double>::infinity());
  CHECK(detail::two_to_the(-1e-300) == 1);
  splitmix64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const double x = (detail::uniform_unit(random) - 0.5) * (i % 2 == 0 ? 2000 : 4);
    const double y = detail::two_to_the(x);
    CHECK(std::abs(y / std::exp2(x) - 1) < 0x1p-51);
    CHECK(detail::two_to_the(std::nextafter(x, 2000)) >= y);
    CHECK(detail::two_to_the(std::floor(x) + 1 - 0x1p-40) <= detail::two_to_the(std::floor(x) + 1));
  }
}

TEST_CASE("binary logarithms are near the truth, and exact of powers of two") {
  for (int n = -1074; n < 1024; ++n) CHECK(detail::log2_of(std::ldexp(1.0, n)) == n);
  splitmix64 random(8);
  for (int i = 0; i < 20'000; ++i) {
    const double x = i % 2 == 0 ? detail::two_to_the((detail::uniform_unit(random) - 0.5) * 2000)
                                : 0.5 + detail::uniform_unit(random);
    const double y = std::log2(x);
    CHECK(std::abs(detail::log2_of(x) - y) <= 0x1p-50 * std::abs(y));
  }
  const double subnormal = 123 * std::numeric_limits<double>::denorm_min();
  CHECK(detail::log2_of(subnormal) == doctest::Approx(std::log2(123.0) - 1074).epsilon(1e-15));
  CHECK(detail::power_of(10, 0) == 1);
  CHECK(detail::power_of(2.5, 1.5) == doctest::Approx(std::pow(2.5, 1.5)).epsilon(1e-15));
}

TEST_CASE("powers and logarithms are the same on every platform") {
  CHECK(detail::two_to_the(0.3) == 0x1.3b2c47bff8329p+0);
  CHECK(detail::two_to_the(-77.7) == 0x1.3b2c47bff831ep-78);
  CHECK(detail::log2_of(3) == 0x1.95c01a39fbd69p+0);
  CHECK(detail::log2_of(1e-9) == -0x1.de5b8eaa8d7ep+4);
  CHECK(detail::power_of(0.123456789, 0.6) == 0x1.23e2128697991p-2);
}
