#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/simd/vec.hpp>

/// Vectors of floats to and from signed bytes:
///
/// - `store_low_bytes(p, x)`: the lowest byte of the bits of each lane, V::lanes bytes. Of 1.5 * 2^23 + q it is q, for
///   integral q from -128 to 127;
/// - `load_bytes<V>(p)`, `load_integers<V>(p)`: V::lanes signed bytes, or 32-bit integers below 2^24, as floats.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

ALIDADE_FORCE_INLINE void store_low_bytes(std::int8_t* p, f32_scalar x) noexcept {
  *p = static_cast<std::int8_t>(static_cast<std::uint8_t>(alidade::detail::bit_cast<std::uint32_t>(x.value)));
}

template <class V>
V load_bytes(const std::int8_t* p) noexcept;
template <class V>
V load_integers(const std::int32_t* p) noexcept;

template <>
ALIDADE_FORCE_INLINE f32_scalar load_bytes<f32_scalar>(const std::int8_t* p) noexcept {
  return {static_cast<float>(*p)};
}
template <>
ALIDADE_FORCE_INLINE f32_scalar load_integers<f32_scalar>(const std::int32_t* p) noexcept {
  return {static_cast<float>(*p)};
}

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

ALIDADE_FORCE_INLINE void store_low_bytes(std::int8_t* p, f32 x) noexcept {
  const v128_t bytes =
      wasm_i8x16_shuffle(x.value, x.value, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  wasm_v128_store32_lane(p, bytes, 0);
}

template <>
ALIDADE_FORCE_INLINE f32 load_bytes<f32>(const std::int8_t* p) noexcept {
  const v128_t words = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p));
  return {wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(words))};
}

template <>
ALIDADE_FORCE_INLINE f32 load_integers<f32>(const std::int32_t* p) noexcept {
  return {wasm_f32x4_convert_i32x4(wasm_v128_load(p))};
}

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

ALIDADE_FORCE_INLINE void store_low_bytes(std::int8_t* p, f32 x) noexcept {
  const f32::native v = x.value;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(v)));
}

template <>
ALIDADE_FORCE_INLINE f32 load_bytes<f32>(const std::int8_t* p) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {f32::batch(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)))};
}

template <>
ALIDADE_FORCE_INLINE f32 load_integers<f32>(const std::int32_t* p) noexcept {
  return {f32::batch(_mm512_cvtepi32_ps(_mm512_loadu_si512(p)))};
}

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

ALIDADE_FORCE_INLINE void store_low_bytes(std::int8_t* p, f32 x) noexcept {
  const f32::native v = x.value;
  const __m256i low = _mm256_shuffle_epi8(
      _mm256_castps_si256(v), _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                                               4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), both);
}

template <>
ALIDADE_FORCE_INLINE f32 load_bytes<f32>(const std::int8_t* p) noexcept {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return {f32::batch(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)))};
}

template <>
ALIDADE_FORCE_INLINE f32 load_integers<f32>(const std::int32_t* p) noexcept {
  return {f32::batch(_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))))};
}

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1

ALIDADE_FORCE_INLINE void store_low_bytes(std::int8_t* p, f32 x) noexcept {
  const f32::native v = x.value;
  const __m128i low = _mm_and_si128(_mm_castps_si128(v), _mm_set1_epi32(0xff));
  const __m128i words = _mm_packs_epi32(low, low);
  const int four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(p, &four, 4);
}

template <>
ALIDADE_FORCE_INLINE f32 load_bytes<f32>(const std::int8_t* p) noexcept {
  int four;
  std::memcpy(&four, p, 4);
  __m128i x = _mm_cvtsi32_si128(four);
  x = _mm_unpacklo_epi8(x, x);
  x = _mm_unpacklo_epi16(x, x);  // each byte four times: the uppermost, shifted down, brings its sign
  return {f32::batch(_mm_cvtepi32_ps(_mm_srai_epi32(x, 24)))};
}

template <>
ALIDADE_FORCE_INLINE f32 load_integers<f32>(const std::int32_t* p) noexcept {
  return {f32::batch(_mm_cvtepi32_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}

#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar

ALIDADE_FORCE_INLINE void store_low_bytes(std::int8_t* p, f32 x) noexcept {
  const f32::native v = x.value;
  const uint16x4_t words = vmovn_u32(vreinterpretq_u32_f32(v));
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
  const std::uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
  std::memcpy(p, &four, 4);
}

template <>
ALIDADE_FORCE_INLINE f32 load_bytes<f32>(const std::int8_t* p) noexcept {
  std::uint32_t four;
  std::memcpy(&four, p, 4);
  const int8x8_t bytes = vreinterpret_s8_u32(vdup_n_u32(four));
  return {f32::batch(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes)))))};
}

template <>
ALIDADE_FORCE_INLINE f32 load_integers<f32>(const std::int32_t* p) noexcept {
  return {f32::batch(vcvtq_f32_s32(vld1q_s32(p)))};
}

#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
