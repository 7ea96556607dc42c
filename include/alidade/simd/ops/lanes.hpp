#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
#include <arm_neon.h>
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar && ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_wasm_simd128
#include <immintrin.h>
#endif

/// What moves across the lanes of a native register: halves swapped, the first lane, a bit for each lane of a comparison.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64

/// Swaps neighbouring groups of `Bytes` bytes.
template <std::size_t Bytes, class Native>
ALIDADE_FORCE_INLINE Native swap_groups(Native v) noexcept {
  const uint32x4_t x = detail::bit_cast<uint32x4_t>(v);
  if constexpr (Bytes == 8) {
    return detail::bit_cast<Native>(vextq_u32(x, x, 2));
  } else {
    return detail::bit_cast<Native>(vrev64q_u32(x));
  }
}

template <class T, class Native>
ALIDADE_FORCE_INLINE T first_lane(Native v) noexcept {
  if constexpr (sizeof(T) == 4) {
    return detail::bit_cast<T>(vgetq_lane_u32(detail::bit_cast<uint32x4_t>(v), 0));
  } else {
    return detail::bit_cast<T>(vgetq_lane_u64(detail::bit_cast<uint64x2_t>(v), 0));
  }
}

/// Bit i is set where lane i of a comparison's result, all ones or all zeros, is.
template <class T, class Native>
ALIDADE_FORCE_INLINE std::uint32_t lane_bits(Native v) noexcept {
  if constexpr (sizeof(T) == 4) {
    const uint16x4_t narrow = vmovn_u32(detail::bit_cast<uint32x4_t>(v));
    const std::uint64_t x = vget_lane_u64(vreinterpret_u64_u16(narrow), 0) & 0x0008000400020001u;
    return static_cast<std::uint32_t>((x | x >> 16 | x >> 32 | x >> 48) & 0xfu);
  } else {
    const uint32x2_t narrow = vmovn_u64(detail::bit_cast<uint64x2_t>(v));
    return (vget_lane_u32(narrow, 0) & 1u) | (vget_lane_u32(narrow, 1) & 2u);
  }
}

#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar && ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_wasm_simd128

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

template <std::size_t Bytes, class Native>
ALIDADE_FORCE_INLINE Native swap_groups(Native v) noexcept {
  const __m512i x = detail::bit_cast<__m512i>(v);
  if constexpr (Bytes == 32) return detail::bit_cast<Native>(_mm512_shuffle_i64x2(x, x, 0x4e));
  if constexpr (Bytes == 16) return detail::bit_cast<Native>(_mm512_shuffle_i64x2(x, x, 0xb1));
  if constexpr (Bytes == 8) return detail::bit_cast<Native>(_mm512_shuffle_epi32(x, _MM_PERM_BADC));
  if constexpr (Bytes == 4) return detail::bit_cast<Native>(_mm512_shuffle_epi32(x, _MM_PERM_CDAB));
}

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

template <std::size_t Bytes, class Native>
ALIDADE_FORCE_INLINE Native swap_groups(Native v) noexcept {
  const __m256i x = detail::bit_cast<__m256i>(v);
  if constexpr (Bytes == 16) return detail::bit_cast<Native>(_mm256_permute2x128_si256(x, x, 1));
  if constexpr (Bytes == 8) return detail::bit_cast<Native>(_mm256_shuffle_epi32(x, 0x4e));
  if constexpr (Bytes == 4) return detail::bit_cast<Native>(_mm256_shuffle_epi32(x, 0xb1));
}

#else

template <std::size_t Bytes, class Native>
ALIDADE_FORCE_INLINE Native swap_groups(Native v) noexcept {
  const __m128i x = detail::bit_cast<__m128i>(v);
  if constexpr (Bytes == 8) return detail::bit_cast<Native>(_mm_shuffle_epi32(x, 0x4e));
  if constexpr (Bytes == 4) return detail::bit_cast<Native>(_mm_shuffle_epi32(x, 0xb1));
}

#endif

template <class T, class Native>
ALIDADE_FORCE_INLINE T first_lane(Native v) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
  const __m128i x = _mm512_castsi512_si128(detail::bit_cast<__m512i>(v));
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
  const __m128i x = _mm256_castsi256_si128(detail::bit_cast<__m256i>(v));
#else
  const __m128i x = detail::bit_cast<__m128i>(v);
#endif
  if constexpr (sizeof(T) == 4) {
    return detail::bit_cast<T>(_mm_cvtsi128_si32(x));
  } else {
    return detail::bit_cast<T>(_mm_cvtsd_f64(_mm_castsi128_pd(x)));
  }
}

/// Bit i is set where lane i of a comparison's result is; with AVX-512 such a result is bits already.
template <class T, class Native>
ALIDADE_FORCE_INLINE std::uint32_t lane_bits(Native v) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
  return v;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
  if constexpr (sizeof(T) == 4) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(detail::bit_cast<__m256>(v)));
  } else {
    return static_cast<std::uint32_t>(_mm256_movemask_pd(detail::bit_cast<__m256d>(v)));
  }
#else
  if constexpr (sizeof(T) == 4) {
    return static_cast<std::uint32_t>(_mm_movemask_ps(detail::bit_cast<__m128>(v)));
  } else {
    return static_cast<std::uint32_t>(_mm_movemask_pd(detail::bit_cast<__m128d>(v)));
  }
#endif
}

#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
