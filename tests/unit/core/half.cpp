#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <alidade/core/half.hpp>

#include "../../support.hpp"

using alidade::bf16;
using alidade::f16;

namespace {

/// What the bits of a format with the given widths stand for, by its definition.
double value_of(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  const double sign = (bits >> (exponent_bits + mantissa_bits)) & 1u ? -1.0 : 1.0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double mantissa =
      std::ldexp(static_cast<double>(bits & ((1u << mantissa_bits) - 1u)), -mantissa_bits);
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias);
  return sign * std::ldexp(1.0 + mantissa, exponent - bias);
}

template <class Half>
void check_all(int exponent_bits, int mantissa_bits) {
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 65'536; ++bits) {
    const Half half = Half::from_bits(static_cast<std::uint16_t>(bits));
    const double expected = value_of(bits, exponent_bits, mantissa_bits);
    const auto x = static_cast<float>(half);
    if (std::isnan(expected)) {
      wrong += !std::isnan(x) || !std::isnan(static_cast<float>(Half(x)));
      continue;
    }
    wrong += static_cast<double>(x) != expected || std::signbit(x) != std::signbit(expected);
    wrong += Half(x).bits != bits;
    // Halfway to the next in size, and the floats beside that: the even one, this one, the next one.
    const double next = value_of(bits + 1, exponent_bits, mantissa_bits);
    if ((bits & 0x7fffu) == 0x7fffu || std::isnan(next)) continue;
    const double beyond =
        std::isinf(next) ? expected + (expected - value_of(bits - 1, exponent_bits, mantissa_bits)) : next;
    const auto middle = static_cast<float>((expected + beyond) / 2);
    if (std::isinf(middle) || std::isinf(expected)) continue;
    const float towards = std::nextafter(middle, 0.0f);
    const float away = std::nextafter(middle, std::copysign(std::numeric_limits<float>::infinity(), middle));
    wrong += Half(middle).bits != bits + (bits & 1u);
    wrong += Half(towards).bits != bits;
    wrong += Half(away).bits != bits + 1;
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("every f16 is the number that its bits say, and floats round to the nearest") {
  check_all<f16>(5, 10);
  CHECK(f16(65'504.0f).bits == 0x7bff);
  CHECK(f16(65'519.996f).bits == 0x7bff);
  CHECK(f16(65'520.0f).bits == 0x7c00);
  CHECK(f16(-1e30f).bits == 0xfc00);
  CHECK(f16(0x1p-25f).bits == 0);
  CHECK(f16(0x1.000002p-25f).bits == 1);
  CHECK(f16(-1e-30f).bits == 0x8000);
}

TEST_CASE("every bf16 is the number that its bits say, and floats round to the nearest") {
  check_all<bf16>(8, 7);
  CHECK(bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bf16(-std::numeric_limits<float>::infinity()).bits == 0xff80);
}

TEST_CASE("NaN stays NaN whatever its payload, and keeps its sign") {
  for (const std::uint32_t bits : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffc00001u}) {
    const auto nan = alidade::detail::bit_cast<float>(bits);
    CHECK((f16(nan).bits & 0x7fffu) > 0x7c00u);
    CHECK((bf16(nan).bits & 0x7fffu) > 0x7f80u);
    CHECK((f16(nan).bits >> 15) == (bits >> 31));
    CHECK((bf16(nan).bits >> 15) == (bits >> 31));
  }
}
