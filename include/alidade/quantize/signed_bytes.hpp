#pragma once

#include <algorithm>
#include <cmath>
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

/// The same by the step of which the largest is `most`, which is returned.
inline float to_signed_bytes_of(std::span<const float> x, float most, std::int8_t* out) noexcept {
  const float step = std::max(largest_magnitude(x) / most, least_step);
  to_signed_bytes(x, step, out);
  return step;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
