#pragma once

#include <cstddef>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/simd/vec.hpp>

/// `maximum<V, Bytes>(p)`: the largest of the numbers in Bytes bytes at p, which is aligned to them; Bytes is 16, 32 or 64. None
/// of them is NaN. Where a vector V is as long as that or longer, a shorter one will do.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
inline constexpr bool has_half_vectors = true;

ALIDADE_FORCE_INLINE float maximum_of_16_bytes(__m128 v) noexcept {
  v = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)));
}
ALIDADE_FORCE_INLINE double maximum_of_16_bytes(__m128d v) noexcept {
  return _mm_cvtsd_f64(_mm_max_sd(v, _mm_unpackhi_pd(v, v)));
}
ALIDADE_FORCE_INLINE float maximum_of_32_bytes(__m256 v) noexcept {
  return maximum_of_16_bytes(_mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)));
}
ALIDADE_FORCE_INLINE double maximum_of_32_bytes(__m256d v) noexcept {
  return maximum_of_16_bytes(_mm_max_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1)));
}
// As single numbers: no slower, and a number that was just stored is at hand for such a load, not for one of a vector.
ALIDADE_FORCE_INLINE float maximum_of_16_bytes(const float* p) noexcept {
  const float a = p[0] > p[1] ? p[0] : p[1], b = p[2] > p[3] ? p[2] : p[3];
  return a > b ? a : b;
}
ALIDADE_FORCE_INLINE double maximum_of_16_bytes(const double* p) noexcept {
  return p[0] > p[1] ? p[0] : p[1];
}
ALIDADE_FORCE_INLINE float maximum_of_32_bytes(const float* p) noexcept {
  return maximum_of_32_bytes(_mm256_load_ps(p));
}
ALIDADE_FORCE_INLINE double maximum_of_32_bytes(const double* p) noexcept {
  return maximum_of_32_bytes(_mm256_load_pd(p));
}
#else
inline constexpr bool has_half_vectors = false;

template <class T>
T maximum_of_16_bytes(const T*) noexcept;
template <class T>
T maximum_of_32_bytes(const T*) noexcept;
#endif

template <real_vector V, std::size_t Bytes>
ALIDADE_FORCE_INLINE typename V::value_type maximum(const typename V::value_type* p) noexcept {
  constexpr std::size_t count = Bytes / sizeof(typename V::value_type);
  if constexpr (has_half_vectors && V::lanes >= count && Bytes == 16) {
    return maximum_of_16_bytes(p);
  } else if constexpr (has_half_vectors && V::lanes >= count && Bytes == 32) {
    return maximum_of_32_bytes(p);
  } else {
    static_assert(count % V::lanes == 0);
    V largest = V::load(p);
    for (std::size_t i = V::lanes; i < count; i += V::lanes) largest = max(largest, V::load(p + i));
    return reduce_max(largest);
  }
}

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
