#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/simd/ops/float_bytes.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

/// Numbers to bytes. Adding 1.5 * 2^23 to a float below 2^22 rounds it to an integer, ties to even as every addition in the
/// default rounding mode, and leaves that in the lowest bits; the zero point is added with it.
template <simd::real_vector V>
struct to_int8 {
  V inverse, least, most, magic;

  to_int8(float inverse_scale, std::int32_t zero_point, std::int32_t lowest) noexcept
      : inverse(V::broadcast(inverse_scale)),
        least(V::broadcast(static_cast<float>(lowest - zero_point))),
        most(V::broadcast(static_cast<float>(127 - zero_point))),
        magic(V::broadcast(12582912.0f + static_cast<float>(zero_point))) {}

  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept {
    return min(most, max(least, rounded(x * inverse))) + magic;
  }
};

/// Whether all were finite: codes of others are unspecified.
template <simd::real_vector V>
inline bool quantize(const to_int8<V>& convert, const float* x, std::size_t n, std::int8_t* out) noexcept {
  const V largest = V::broadcast(std::numeric_limits<float>::max());
  typename V::mask finite = !V::no_lanes();
  std::size_t i = 0;
  for (; i + V::lanes <= n; i += V::lanes) {
    const V v = V::load(x + i);
    finite = finite & (abs(v) <= largest);
    simd::store_low_bytes(out + i, convert(v));
  }
  if (i < n) {
    const V v = V::load_partial(x + i, n - i);
    finite = finite & (abs(v) <= largest);
    std::int8_t last[V::lanes];
    simd::store_low_bytes(last, convert(v));
    for (std::size_t j = 0; i + j < n; ++j) out[i + j] = last[j];
  }
  return !any(!finite);
}

template <simd::real_vector V, std::size_t... J>
ALIDADE_FORCE_INLINE void dequantize_step(std::index_sequence<J...>, V factor, V zero, const std::int8_t* q,
                                          float* out) noexcept {
  const V reals[] = {simd::load_bytes<V>(q + J * V::lanes)...};
  (store(out + J * V::lanes, factor * (reals[J] - zero)), ...);
}

/// scale * (q - zero_point)
template <simd::real_vector V>
inline void dequantize(float scale, std::int32_t zero_point, const std::int8_t* q, std::size_t n,
                       float* out) noexcept {
  const V factor = V::broadcast(scale), zero = V::broadcast(static_cast<float>(zero_point));
  std::size_t i = 0;
  for (; i + 4 * V::lanes <= n; i += 4 * V::lanes) {
    dequantize_step<V>(std::make_index_sequence<4>{}, factor, zero, q + i, out + i);
  }
  for (; i + V::lanes <= n; i += V::lanes) {
    dequantize_step<V>(std::index_sequence<0>{}, factor, zero, q + i, out + i);
  }
  if (i < n) {
    std::int8_t last[V::lanes] = {};
    for (std::size_t j = 0; i + j < n; ++j) last[j] = q[i + j];
    store_partial(out + i, n - i, factor * (simd::load_bytes<V>(last) - zero));
  }
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
