#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
#include <wasm_simd128.h>
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
#include <arm_neon.h>
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
#include <immintrin.h>
#endif

/// Sums over bytes that xsimd has no operation for: squared differences and products of unsigned bytes.
///
/// A type of this header accumulates blocks of `block` bytes: `add_squared_difference(a, b)` and `add_product(a, b)` add
/// sum (a_i - b_i)^2 and sum a_i b_i over one block; `total()` is the sum so far. All arithmetic is exact and wraps
/// modulo 2^32, so a total is right as long as it is below 2^32: up to 66,051 bytes of any value.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// Portable form, and the reference.
struct u8_sum_scalar {
  static constexpr std::size_t block = 1;
  std::uint32_t sum = 0;

  void add_squared_difference(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const int difference = *a - *b;
    sum += static_cast<std::uint32_t>(difference * difference);
  }
  void add_product(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    sum += static_cast<std::uint32_t>(*a) * *b;
  }
  std::uint32_t total() const noexcept { return sum; }
};

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

/// AVX-512 BW: bytes widened to 16 bits, then pmaddwd into 32-bit lanes. A difference is at most 255 in size, so a
/// pair's sum of squares is at most 130,050; a product of widened bytes is never negative.
struct u8_sum_native {
  static constexpr std::size_t block = 32;
  __m512i sum = _mm512_setzero_si512();

  static ALIDADE_FORCE_INLINE __m512i widen(const std::uint8_t* p) noexcept {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  ALIDADE_FORCE_INLINE void add_squared_difference(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const __m512i difference = _mm512_sub_epi16(widen(a), widen(b));
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(difference, difference));
  }
  ALIDADE_FORCE_INLINE void add_product(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(widen(a), widen(b)));
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    const __m256i s8 = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
    __m128i s4 = _mm_add_epi32(_mm256_castsi256_si128(s8), _mm256_extracti128_si256(s8, 1));
    s4 = _mm_add_epi32(s4, _mm_shuffle_epi32(s4, 0x4e));
    s4 = _mm_add_epi32(s4, _mm_shuffle_epi32(s4, 0xb1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(s4));
  }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

/// AVX2: as AVX-512's, 16 bytes at a time.
struct u8_sum_native {
  static constexpr std::size_t block = 16;
  __m256i sum = _mm256_setzero_si256();

  static ALIDADE_FORCE_INLINE __m256i widen(const std::uint8_t* p) noexcept {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  ALIDADE_FORCE_INLINE void add_squared_difference(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const __m256i difference = _mm256_sub_epi16(widen(a), widen(b));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(difference, difference));
  }
  ALIDADE_FORCE_INLINE void add_product(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(widen(a), widen(b)));
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    __m128i s4 = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    s4 = _mm_add_epi32(s4, _mm_shuffle_epi32(s4, 0x4e));
    s4 = _mm_add_epi32(s4, _mm_shuffle_epi32(s4, 0xb1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(s4));
  }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1

/// SSE2: bytes widened by interleaving with zero, then pmaddwd.
struct u8_sum_native {
  static constexpr std::size_t block = 16;
  __m128i sum = _mm_setzero_si128();

  static ALIDADE_FORCE_INLINE __m128i load(const std::uint8_t* p) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  ALIDADE_FORCE_INLINE void add_squared_difference(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const __m128i x = load(a), y = load(b), zero = _mm_setzero_si128();
    // |x - y| in bytes: one of the two saturated differences is zero.
    const __m128i difference = _mm_or_si128(_mm_subs_epu8(x, y), _mm_subs_epu8(y, x));
    const __m128i low = _mm_unpacklo_epi8(difference, zero), high = _mm_unpackhi_epi8(difference, zero);
    sum = _mm_add_epi32(sum, _mm_add_epi32(_mm_madd_epi16(low, low), _mm_madd_epi16(high, high)));
  }
  ALIDADE_FORCE_INLINE void add_product(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const __m128i x = load(a), y = load(b), zero = _mm_setzero_si128();
    const __m128i low = _mm_madd_epi16(_mm_unpacklo_epi8(x, zero), _mm_unpacklo_epi8(y, zero));
    const __m128i high = _mm_madd_epi16(_mm_unpackhi_epi8(x, zero), _mm_unpackhi_epi8(y, zero));
    sum = _mm_add_epi32(sum, _mm_add_epi32(low, high));
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    __m128i s4 = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    s4 = _mm_add_epi32(s4, _mm_shuffle_epi32(s4, 0xb1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(s4));
  }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64

/// NEON: 8-bit products widen to 16 bits (at most 65,025), pairs of them add into 32-bit lanes; with the dot product
/// extension one instruction does both.
struct u8_sum_native {
  static constexpr std::size_t block = 16;
  uint32x4_t sum = vdupq_n_u32(0);

  ALIDADE_FORCE_INLINE void add(uint8x16_t x, uint8x16_t y) noexcept {
#if defined(__ARM_FEATURE_DOTPROD)
    sum = vdotq_u32(sum, x, y);
#else
    sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(x), vget_low_u8(y)));
    sum = vpadalq_u16(sum, vmull_u8(vget_high_u8(x), vget_high_u8(y)));
#endif
  }
  ALIDADE_FORCE_INLINE void add_squared_difference(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const uint8x16_t difference = vabdq_u8(vld1q_u8(a), vld1q_u8(b));
    add(difference, difference);
  }
  ALIDADE_FORCE_INLINE void add_product(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    add(vld1q_u8(a), vld1q_u8(b));
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    const uint32x2_t halves = vadd_u32(vget_low_u32(sum), vget_high_u32(sum));
    return vget_lane_u32(vpadd_u32(halves, halves), 0);
  }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

/// WebAssembly: bytes widened to 16 bits, then i32x4.dot_i16x8_s.
struct u8_sum_native {
  static constexpr std::size_t block = 16;
  v128_t sum = wasm_i32x4_splat(0);

  ALIDADE_FORCE_INLINE void add_squared_difference(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const v128_t x = wasm_v128_load(a), y = wasm_v128_load(b);
    const v128_t difference = wasm_v128_or(wasm_u8x16_sub_sat(x, y), wasm_u8x16_sub_sat(y, x));
    const v128_t low = wasm_u16x8_extend_low_u8x16(difference),
                 high = wasm_u16x8_extend_high_u8x16(difference);
    sum =
        wasm_i32x4_add(sum, wasm_i32x4_add(wasm_i32x4_dot_i16x8(low, low), wasm_i32x4_dot_i16x8(high, high)));
  }
  ALIDADE_FORCE_INLINE void add_product(const std::uint8_t* a, const std::uint8_t* b) noexcept {
    const v128_t x = wasm_v128_load(a), y = wasm_v128_load(b);
    const v128_t low = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(x), wasm_u16x8_extend_low_u8x16(y));
    const v128_t high =
        wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(x), wasm_u16x8_extend_high_u8x16(y));
    sum = wasm_i32x4_add(sum, wasm_i32x4_add(low, high));
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    return static_cast<std::uint32_t>(wasm_i32x4_extract_lane(sum, 0)) +
           static_cast<std::uint32_t>(wasm_i32x4_extract_lane(sum, 1)) +
           static_cast<std::uint32_t>(wasm_i32x4_extract_lane(sum, 2)) +
           static_cast<std::uint32_t>(wasm_i32x4_extract_lane(sum, 3));
  }
};

#else

using u8_sum_native = u8_sum_scalar;

#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
