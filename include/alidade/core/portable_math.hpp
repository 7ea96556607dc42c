#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

// Functions that are the same bits on every platform, as those of <cmath> are not: what is drawn by probabilities made of them
// is the same too.

/// x, rounded before it goes into a sum: what a product is passed through where it must not be fused.
template <class T>
ALIDADE_FORCE_INLINE T unfused(T x) noexcept {
  ALIDADE_KEEP_SCALAR(x);
  return x;
}

/// ln(2)^k / k!.
inline constexpr std::array<double, 17> exponential_series = [] {
  std::array<double, 17> c{1.0};
  for (std::size_t k = 1; k < c.size(); ++k) c[k] = c[k - 1] * 0x1.62e42fefa39efp-1 / static_cast<double>(k);
  return c;
}();

/// 2^x, within 2^-51 of itself; x is not NaN. 0 below -1100, infinity above 1100. Exact where x is an integer. It nowhere
/// falls: the sum's terms are products of non-negative factors that rise, and rounding keeps the order.
inline double two_to_the(double x) noexcept {
  const double bounded = std::min(std::max(x, -1100.0), 1100.0), whole = std::floor(bounded);
  const double fraction = bounded - whole;
  double p = exponential_series.back();
  for (std::size_t k = exponential_series.size() - 1; k-- > 0;)
    p = unfused(p * fraction) + exponential_series[k];
  const auto power = [](int n) { return bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52); };
  const int n = static_cast<int>(whole), half = n / 2;
  return std::min(p, 2.0) * power(half) * power(n - half);  // rounded in the last product alone
}

/// The binary logarithm of x, within 2^-50 of itself or better; x is positive and finite. Exact of powers of two.
inline double log2_of(double x) noexcept {
  const bool subnormal = x < std::numeric_limits<double>::min();
  const auto bits = bit_cast<std::uint64_t>(subnormal ? x * 0x1p54 : x);
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s).
  const std::int64_t e = static_cast<std::int64_t>(bits - 0x3fe6a09e667f3bcdu) >> 52;
  const auto m = bit_cast<double>(bits - (static_cast<std::uint64_t>(e) << 52));
  const double s = (m - 1) / (m + 1), square = s * s;
  double p = 1.0 / 21;
  for (int k = 19; k > 0; k -= 2) p = unfused(p * square) + 1.0 / k;
  return static_cast<double>(subnormal ? e - 54 : e) + unfused(s * p * 0x1.71547652b82fep+1);
}

/// x^y; x is positive and finite. Within 2^-50 (1 + |y log2 x|) of itself.
inline double power_of(double x, double y) noexcept { return two_to_the(y * log2_of(x)); }

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
