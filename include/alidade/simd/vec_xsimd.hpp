#pragma once

#if !__has_include(<xsimd/xsimd.hpp>)
#error "alidade needs xsimd 8.1 or newer for this architecture: install it, or define ALIDADE_ARCH=scalar"
#endif

#include <cstddef>
#include <cstring>

#include <xsimd/xsimd.hpp>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
using xsimd_arch = xsimd::avx512bw;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
using xsimd_arch = xsimd::fma3<xsimd::avx2>;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1
using xsimd_arch = xsimd::sse4_1;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2
using xsimd_arch = xsimd::sse2;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
using xsimd_arch = xsimd::neon64;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon
using xsimd_arch = xsimd::neon;
#endif

/// The vector abstraction over xsimd's batch of the chosen architecture. What xsimd 8.1 lacks or spells differently in
/// later versions (masked loads, sums across lanes) is done with the architecture's own instructions.
struct f32_xsimd {
  using batch = xsimd::batch<float, xsimd_arch>;
  static constexpr std::size_t lanes = batch::size;
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
  static constexpr std::size_t registers = 32;
#else
  static constexpr std::size_t registers = 16;
#endif
  batch value;

  static ALIDADE_FORCE_INLINE f32_xsimd zero() noexcept { return {batch(0.0f)}; }
  static ALIDADE_FORCE_INLINE f32_xsimd load(const float* p) noexcept { return {batch::load_unaligned(p)}; }

  static ALIDADE_FORCE_INLINE f32_xsimd load_partial(const float* p, std::size_t count) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
    return {batch(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), p))};
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {
        batch(_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane)))};
#else
    alignas(64) float padded[lanes] = {};
    std::memcpy(padded, p, count * sizeof(float));
    return {batch::load_aligned(padded)};
#endif
  }

  friend ALIDADE_FORCE_INLINE f32_xsimd operator+(f32_xsimd a, f32_xsimd b) noexcept {
    return {a.value + b.value};
  }
  friend ALIDADE_FORCE_INLINE f32_xsimd operator-(f32_xsimd a, f32_xsimd b) noexcept {
    return {a.value - b.value};
  }

  friend ALIDADE_FORCE_INLINE f32_xsimd multiply_add(f32_xsimd a, f32_xsimd b, f32_xsimd c) noexcept {
    return {xsimd::fma(a.value, b.value, c.value)};
  }

  friend ALIDADE_FORCE_INLINE float reduce_add(f32_xsimd a) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
    const __m512 v = a.value;
    const __m256 v8 = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return reduce_add128(_mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1)));
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
    const __m256 v8 = a.value;
    return reduce_add128(_mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1)));
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1
    return reduce_add128(a.value);
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
    return vaddvq_f32(a.value);
#else
    const float32x2_t halves = vadd_f32(vget_low_f32(a.value), vget_high_f32(a.value));
    return vget_lane_f32(vpadd_f32(halves, halves), 0);
#endif
  }

 private:
#if defined(__SSE2__) || defined(_M_X64)
  static ALIDADE_FORCE_INLINE float reduce_add128(__m128 v) noexcept {
    const __m128 pairs = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
  }
#endif
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
