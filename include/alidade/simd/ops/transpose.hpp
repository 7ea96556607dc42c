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

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// Four rows of four 32-bit units become four columns: out[k * stride + j] = rows[j][k].
ALIDADE_FORCE_INLINE void transpose4(const std::uint32_t* const* rows, std::uint32_t* out,
                                     std::size_t stride) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
  const v128_t a = wasm_v128_load(rows[0]), b = wasm_v128_load(rows[1]);
  const v128_t c = wasm_v128_load(rows[2]), d = wasm_v128_load(rows[3]);
  const v128_t ab0 = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab2 = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
  const v128_t cd0 = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd2 = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
  wasm_v128_store(out, wasm_i64x2_shuffle(ab0, cd0, 0, 2));
  wasm_v128_store(out + stride, wasm_i64x2_shuffle(ab0, cd0, 1, 3));
  wasm_v128_store(out + 2 * stride, wasm_i64x2_shuffle(ab2, cd2, 0, 2));
  wasm_v128_store(out + 3 * stride, wasm_i64x2_shuffle(ab2, cd2, 1, 3));
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
  const uint32x4x2_t ab = vtrnq_u32(vld1q_u32(rows[0]), vld1q_u32(rows[1]));
  const uint32x4x2_t cd = vtrnq_u32(vld1q_u32(rows[2]), vld1q_u32(rows[3]));
  vst1q_u32(out, vcombine_u32(vget_low_u32(ab.val[0]), vget_low_u32(cd.val[0])));
  vst1q_u32(out + stride, vcombine_u32(vget_low_u32(ab.val[1]), vget_low_u32(cd.val[1])));
  vst1q_u32(out + 2 * stride, vcombine_u32(vget_high_u32(ab.val[0]), vget_high_u32(cd.val[0])));
  vst1q_u32(out + 3 * stride, vcombine_u32(vget_high_u32(ab.val[1]), vget_high_u32(cd.val[1])));
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_scalar
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::size_t j = 0; j < 4; ++j) out[k * stride + j] = rows[j][k];
  }
#else
  const auto load = [](const std::uint32_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  };
  const auto store = [](std::uint32_t* p, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); };
  const __m128i a = load(rows[0]), b = load(rows[1]), c = load(rows[2]), d = load(rows[3]);
  const __m128i ab0 = _mm_unpacklo_epi32(a, b), ab2 = _mm_unpackhi_epi32(a, b);
  const __m128i cd0 = _mm_unpacklo_epi32(c, d), cd2 = _mm_unpackhi_epi32(c, d);
  store(out, _mm_unpacklo_epi64(ab0, cd0));
  store(out + stride, _mm_unpackhi_epi64(ab0, cd0));
  store(out + 2 * stride, _mm_unpacklo_epi64(ab2, cd2));
  store(out + 3 * stride, _mm_unpackhi_epi64(ab2, cd2));
#endif
}

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
