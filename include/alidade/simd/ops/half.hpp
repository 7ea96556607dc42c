#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/half.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
#include <wasm_simd128.h>
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
#include <arm_neon.h>
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
#include <immintrin.h>
#endif

/// Half floats widened to a native register of floats, exactly. `widen(p)` reads as many as it has lanes;
/// `widen_partial(p, count)` reads count, fewer than that, the other lanes zero.
///
/// Without an instruction for f16: its exponent and mantissa, shifted to their places in a float, are the number times
/// 2^-112, subnormal ones too, and infinity and NaN what they are by setting every bit of the exponent. The product with 2^112
/// makes NaN quiet. The sign comes last: a factor at the end would be taken out of sums by -ffast-math, and overflow there. (The
/// shift of a signed number fills four places with the sign.) Where a program makes the processor take subnormal factors for
/// zero (DAZ), those of f16 are; 32-bit NEON always does, and there they get their leading bit by adding and subtracting 2^-14.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// What numbers of type T are loaded by: of f16 the instruction that widens, of the others the architecture's own loads.
template <class T>
inline constexpr const char* load_instruction = ALIDADE_ARCH_NAME;
#if ALIDADE_HAS_F16C
template <>
inline constexpr const char* load_instruction<f16> = "vcvtph2ps";
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
template <>
inline constexpr const char* load_instruction<f16> = "fcvtl";
#endif

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

namespace half_detail {
ALIDADE_FORCE_INLINE __m512 widen_f16(__m256i h) noexcept { return _mm512_cvtph_ps(h); }
ALIDADE_FORCE_INLINE __m512 widen_bf16(__m256i h) noexcept {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
template <class Half>
ALIDADE_FORCE_INLINE __m256i load_halves(const Half* p) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
template <class Half>
ALIDADE_FORCE_INLINE __m256i load_halves(const Half* p, std::size_t count) noexcept {
  return _mm512_castsi512_si256(_mm512_maskz_loadu_epi16((1u << count) - 1u, p));
}
}  // namespace half_detail
#define ALIDADE_DETAIL_NATIVE_F32 __m512

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

namespace half_detail {
ALIDADE_FORCE_INLINE __m256 widen_f16(__m128i h) noexcept {
#if ALIDADE_HAS_F16C
  return _mm256_cvtph_ps(h);
#else
  const __m256i shifted = _mm256_slli_epi32(_mm256_cvtepi16_epi32(h), 13);
  const __m256 sign = _mm256_and_ps(_mm256_castsi256_ps(shifted), _mm256_set1_ps(-0.0f));
  const __m256 x = _mm256_castsi256_ps(_mm256_and_si256(shifted, _mm256_set1_epi32(0x0fffffff)));
  const __m256 is_special = _mm256_cmp_ps(x, _mm256_set1_ps(0x1p-96f), _CMP_GE_OQ);
  const __m256 special = _mm256_and_ps(is_special, _mm256_set1_ps(std::numeric_limits<float>::infinity()));
  return _mm256_or_ps(_mm256_mul_ps(_mm256_or_ps(x, special), _mm256_set1_ps(0x1p112f)), sign);
#endif
}
ALIDADE_FORCE_INLINE __m256 widen_bf16(__m128i h) noexcept {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
template <class Half>
ALIDADE_FORCE_INLINE __m128i load_halves(const Half* p) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
template <class Half>
ALIDADE_FORCE_INLINE __m128i load_halves(const Half* p, std::size_t count) noexcept {
  const std::uint64_t first = detail::load_bytes(p, count < 4 ? 2 * count : 8);
  const std::uint64_t second = count > 4 ? detail::load_bytes(p + 4, 2 * count - 8) : 0;
  return _mm_set_epi64x(static_cast<long long>(second), static_cast<long long>(first));
}
}  // namespace half_detail
#define ALIDADE_DETAIL_NATIVE_F32 __m256

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1

namespace half_detail {
ALIDADE_FORCE_INLINE __m128 widen_f16(__m128i h) noexcept {
  const __m128i shifted = _mm_srai_epi32(_mm_unpacklo_epi16(_mm_setzero_si128(), h), 3);
  const __m128 sign = _mm_and_ps(_mm_castsi128_ps(shifted), _mm_set1_ps(-0.0f));
  const __m128 x = _mm_castsi128_ps(_mm_and_si128(shifted, _mm_set1_epi32(0x0fffffff)));
  const __m128 special =
      _mm_and_ps(_mm_cmpge_ps(x, _mm_set1_ps(0x1p-96f)), _mm_set1_ps(std::numeric_limits<float>::infinity()));
  return _mm_or_ps(_mm_mul_ps(_mm_or_ps(x, special), _mm_set1_ps(0x1p112f)), sign);
}
ALIDADE_FORCE_INLINE __m128 widen_bf16(__m128i h) noexcept {
  return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), h));
}
template <class Half>
ALIDADE_FORCE_INLINE __m128i load_halves(const Half* p) noexcept {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
}
template <class Half>
ALIDADE_FORCE_INLINE __m128i load_halves(const Half* p, std::size_t count) noexcept {
  return _mm_set_epi64x(0, static_cast<long long>(detail::load_bytes(p, 2 * count)));
}
}  // namespace half_detail
#define ALIDADE_DETAIL_NATIVE_F32 __m128

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64

namespace half_detail {
ALIDADE_FORCE_INLINE float32x4_t widen_f16(uint16x4_t h) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
  return vcvt_f32_f16(vreinterpret_f16_u16(h));
#else
  const uint32x4_t x = vmovl_u16(h), magnitude = vandq_u32(x, vdupq_n_u32(0x7fff));
  const uint32x4_t sign = vshlq_n_u32(vandq_u32(x, vdupq_n_u32(0x8000)), 16);
  const uint32x4_t normal = vaddq_u32(vshlq_n_u32(magnitude, 13), vdupq_n_u32(0x38000000));
  const uint32x4_t subnormal = vreinterpretq_u32_f32(
      vsubq_f32(vreinterpretq_f32_u32(vaddq_u32(normal, vdupq_n_u32(0x00800000))), vdupq_n_f32(0x1p-14f)));
  const uint32x4_t special = vandq_u32(vcgtq_u32(magnitude, vdupq_n_u32(0x7bff)), vdupq_n_u32(0x38000000));
  const uint32x4_t quiet = vandq_u32(vcgtq_u32(magnitude, vdupq_n_u32(0x7c00)), vdupq_n_u32(0x00400000));
  const uint32x4_t is_subnormal = vcltq_u32(magnitude, vdupq_n_u32(0x0400));
  const uint32x4_t finite = vbslq_u32(is_subnormal, subnormal, vaddq_u32(normal, special));
  return vreinterpretq_f32_u32(vorrq_u32(vorrq_u32(finite, quiet), sign));
#endif
}
ALIDADE_FORCE_INLINE float32x4_t widen_bf16(uint16x4_t h) noexcept {
  return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}
template <class Half>
ALIDADE_FORCE_INLINE uint16x4_t load_halves(const Half* p) noexcept {
  return vld1_u16(reinterpret_cast<const std::uint16_t*>(p));
}
template <class Half>
ALIDADE_FORCE_INLINE uint16x4_t load_halves(const Half* p, std::size_t count) noexcept {
  return vcreate_u16(detail::load_bytes(p, 2 * count));
}
}  // namespace half_detail
#define ALIDADE_DETAIL_NATIVE_F32 float32x4_t

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

namespace half_detail {
ALIDADE_FORCE_INLINE v128_t widen_f16(v128_t h) noexcept {
  const v128_t shifted = wasm_i32x4_shl(wasm_i32x4_extend_low_i16x8(h), 13);
  const v128_t sign = wasm_v128_and(shifted, wasm_f32x4_splat(-0.0f));
  const v128_t x = wasm_v128_and(shifted, wasm_i32x4_splat(0x0fffffff));
  const v128_t special = wasm_v128_and(wasm_f32x4_ge(x, wasm_f32x4_splat(0x1p-96f)),
                                       wasm_f32x4_splat(std::numeric_limits<float>::infinity()));
  return wasm_v128_or(wasm_f32x4_mul(wasm_v128_or(x, special), wasm_f32x4_splat(0x1p112f)), sign);
}
ALIDADE_FORCE_INLINE v128_t widen_bf16(v128_t h) noexcept {
  return wasm_i32x4_shl(wasm_u32x4_extend_low_u16x8(h), 16);
}
template <class Half>
ALIDADE_FORCE_INLINE v128_t load_halves(const Half* p) noexcept {
  return wasm_v128_load64_zero(p);
}
template <class Half>
ALIDADE_FORCE_INLINE v128_t load_halves(const Half* p, std::size_t count) noexcept {
  return wasm_i64x2_make(static_cast<long long>(detail::load_bytes(p, 2 * count)), 0);
}
}  // namespace half_detail
#define ALIDADE_DETAIL_NATIVE_F32 v128_t

#endif

#if ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
ALIDADE_FORCE_INLINE ALIDADE_DETAIL_NATIVE_F32 widen(const f16* p) noexcept {
  return half_detail::widen_f16(half_detail::load_halves(p));
}
ALIDADE_FORCE_INLINE ALIDADE_DETAIL_NATIVE_F32 widen(const bf16* p) noexcept {
  return half_detail::widen_bf16(half_detail::load_halves(p));
}
ALIDADE_FORCE_INLINE ALIDADE_DETAIL_NATIVE_F32 widen_partial(const f16* p, std::size_t count) noexcept {
  return half_detail::widen_f16(half_detail::load_halves(p, count));
}
ALIDADE_FORCE_INLINE ALIDADE_DETAIL_NATIVE_F32 widen_partial(const bf16* p, std::size_t count) noexcept {
  return half_detail::widen_bf16(half_detail::load_halves(p, count));
}
#undef ALIDADE_DETAIL_NATIVE_F32
#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
