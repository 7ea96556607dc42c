#pragma once

#include <cstdint>

#include <alidade/config/arch.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
#include <wasm_simd128.h>
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
#include <arm_neon.h>
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
#include <emmintrin.h>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// Bit i is set where byte i of the 16 at p, at a multiple of 16, is `tag`.
inline std::uint32_t matching_bytes_scalar(const std::uint8_t* p, std::uint8_t tag) noexcept {
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < 16; ++i) found |= static_cast<std::uint32_t>(p[i] == tag) << i;
  return found;
}

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_scalar

inline std::uint32_t matching_bytes(const std::uint8_t* p, std::uint8_t tag) noexcept {
  return matching_bytes_scalar(p, tag);
}

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

ALIDADE_FORCE_INLINE std::uint32_t matching_bytes(const std::uint8_t* p, std::uint8_t tag) noexcept {
  const v128_t same = wasm_i8x16_eq(wasm_v128_load(p), wasm_i8x16_splat(static_cast<std::int8_t>(tag)));
  return static_cast<std::uint32_t>(wasm_i8x16_bitmask(same));
}

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64

ALIDADE_FORCE_INLINE std::uint32_t matching_bytes(const std::uint8_t* p, std::uint8_t tag) noexcept {
  // Each byte keeps its own bit of eight; neighbours are added until a half of the register is one byte.
  const std::uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vandq_u8(vceqq_u8(vld1q_u8(p), vdupq_n_u8(tag)), vld1q_u8(weights));
  uint8x8_t sums = vpadd_u8(vget_low_u8(bits), vget_high_u8(bits));
  sums = vpadd_u8(sums, sums);
  sums = vpadd_u8(sums, sums);
  return vget_lane_u16(vreinterpret_u16_u8(sums), 0);
}

#else

ALIDADE_FORCE_INLINE std::uint32_t matching_bytes(const std::uint8_t* p, std::uint8_t tag) noexcept {
  const __m128i same = _mm_cmpeq_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(p)),
                                      _mm_set1_epi8(static_cast<char>(tag)));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(same));
}

#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
