#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/simd/ops/maximum.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The vectors of 32-bit NEON would take subnormal values for zero.
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon
template <class T>
using q_vector = simd::vec_scalar<T>;
#else
template <class T>
using q_vector = std::conditional_t<std::is_same_v<T, float>, simd::f32, simd::f64>;
#endif

/// What the entries have that a state has no action for, those that fill a row up among them.
template <class T>
inline constexpr T no_value = -std::numeric_limits<T>::infinity();

/// By bits, which -ffast-math leaves alone.
template <class T>
inline bool is_no_value(T x) noexcept {
  return !is_finite(x) && x < 0;
}

/// Elements from the start of a row of a table to the start of the next: rows of 16 bytes, of 32, or of whole cache lines.
template <class T>
constexpr std::size_t q_row_stride(std::size_t actions) noexcept {
  const std::size_t bytes = actions * sizeof(T);
  return (bytes <= 16 ? 16 : bytes <= 32 ? 32 : round_up(bytes, cache_line)) / sizeof(T);
}

/// Rows whose size the compiler knows.
template <class T, std::size_t Bytes>
struct short_rows {
  static constexpr std::size_t stride() noexcept { return Bytes / sizeof(T); }
  static ALIDADE_FORCE_INLINE T maximum(const T* row) noexcept {
    return simd::maximum<q_vector<T>, Bytes>(row);
  }
};

/// Rows of several cache lines.
template <class T>
struct long_rows {
  std::size_t elements;

  std::size_t stride() const noexcept { return elements; }
  ALIDADE_FORCE_INLINE T maximum(const T* row) const noexcept {
    using V = q_vector<T>;
    V even = V::load(row), odd = V::load(row + V::lanes);
    std::size_t i = 2 * V::lanes;
    for (; i + V::lanes < elements; i += 2 * V::lanes) {
      even = max(even, V::load(row + i));
      odd = max(odd, V::load(row + i + V::lanes));
    }
    if (i < elements) even = max(even, V::load(row + i));
    return reduce_max(max(even, odd));
  }
};

/// Calls body with the kind of rows that have this stride.
template <class T, class Body>
ALIDADE_FORCE_INLINE decltype(auto) with_rows(std::size_t stride, const Body& body) {
  switch (stride * sizeof(T)) {
    case 16:
      return body(short_rows<T, 16>{});
    case 32:
      return body(short_rows<T, 32>{});
    case 64:
      return body(short_rows<T, 64>{});
    default:
      return body(long_rows<T>{stride});
  }
}

/// How many bytes from the start of any row a table has to have: lowest_action_with reads whole vectors.
inline constexpr std::size_t readable_bytes = 64;

/// The lowest action of a row of `stride` elements whose value is `value`; 0 where none is, as with NaN.
template <class T>
inline std::uint32_t lowest_action_with(const T* row, std::size_t stride, T value) noexcept {
  using V = q_vector<T>;
  const V wanted = V::broadcast(value);
  for (std::size_t i = 0; i < stride; i += V::lanes) {
    if (const std::uint32_t equal = bits(V::load(row + i) == wanted); equal != 0) {
      return static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(std::countr_zero(equal));
    }
  }
  return 0;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
