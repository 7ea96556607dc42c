#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/aggregation.hpp>
#include <alidade/ops/detail/int8_kernels.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// No step is smaller, so that its inverse is a number.
inline constexpr float least_step = 1e-30f;

inline float largest_magnitude(std::span<const float> x) noexcept {
  const auto extremes = ops::detail::extremes_of(x.data(), x.size());
  return std::max(std::abs(extremes.low), std::abs(extremes.high));
}

/// out[i] = round(x[i] / step), ties to even, within -127..127.
inline void to_signed_bytes(std::span<const float> x, float step, std::int8_t* out) noexcept {
  const ops::detail::to_int8<simd::f32> convert(1 / step, 0, -127);
  ops::detail::quantize(convert, x.data(), x.size(), out);
}

/// Of which the largest number is `most`.
inline float step_of(std::span<const float> x, float most) noexcept {
  return std::max(largest_magnitude(x) / most, least_step);
}

/// The same by that step, which is returned.
inline float to_signed_bytes_of(std::span<const float> x, float most, std::int8_t* out) noexcept {
  const float step = step_of(x, most);
  to_signed_bytes(x, step, out);
  return step;
}

/// The largest byte of a query such that no sum of its products with bytes of 127 exceeds 31 bits: up to 133,143 dimensions 127, at
/// 1,048,576 it is 16.
inline float most_query_byte(std::size_t dimension) noexcept {
  return static_cast<float>(std::min<std::size_t>(127, ((std::size_t{1} << 31) - 1) / (127 * dimension)));
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
