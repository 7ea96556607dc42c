#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/half.hpp>
#include <alidade/simd/vec.hpp>

#if ALIDADE_HAS_AVX512_BF16

#include <immintrin.h>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// 32 bf16 for vdpbf16ps, which adds the products of two pairs to each lane of floats. It rounds to nearest whatever the
/// rounding mode says, and takes subnormal numbers for zero.
struct bf16_block {
  static constexpr std::size_t lanes = 32;
  static constexpr const char* instruction = "vdpbf16ps";
  __m512i value;

  static ALIDADE_FORCE_INLINE bf16_block load(const bf16* p) noexcept { return {_mm512_loadu_si512(p)}; }
  static ALIDADE_FORCE_INLINE bf16_block load_partial(const bf16* p, std::size_t count) noexcept {
    return {_mm512_maskz_loadu_epi16((std::uint32_t{1} << count) - 1, p)};
  }
  friend ALIDADE_FORCE_INLINE bf16_block loaded_once(bf16_block a) noexcept {
    ALIDADE_KEEP_SIMD(a.value);
    return a;
  }
  friend ALIDADE_FORCE_INLINE f32 multiply_add(const bf16_block& a, const bf16_block& b, f32 sum) noexcept {
    const __m512 s = sum.value;
    return {f32::batch(
        _mm512_dpbf16_ps(s, reinterpret_cast<__m512bh>(a.value), reinterpret_cast<__m512bh>(b.value)))};
  }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade

#endif
