#pragma once

#if !__has_include(<xsimd/xsimd.hpp>)
#error "alidade needs xsimd 8.1 or newer for this architecture: install it, or define ALIDADE_ARCH=scalar"
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <xsimd/xsimd.hpp>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/half.hpp>
#include <alidade/simd/ops/half.hpp>
#include <alidade/simd/ops/lanes.hpp>

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
/// later versions (masked loads, sums across lanes, the bits of a mask) is done with the architecture's own instructions.
template <class T>
struct vec_xsimd {
  using value_type = T;
  using batch = xsimd::batch<T, xsimd_arch>;
  using native = typename batch::register_type;
  static constexpr std::size_t lanes = batch::size;
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
  static constexpr std::size_t registers = 32;
#else
  static constexpr std::size_t registers = 16;
#endif
  batch value;

  struct mask {
    xsimd::batch_bool<T, xsimd_arch> value;
    friend ALIDADE_FORCE_INLINE mask operator&(mask a, mask b) noexcept { return {a.value & b.value}; }
    friend ALIDADE_FORCE_INLINE mask operator|(mask a, mask b) noexcept { return {a.value | b.value}; }
    friend ALIDADE_FORCE_INLINE mask operator!(mask a) noexcept { return {!a.value}; }
    friend ALIDADE_FORCE_INLINE bool any(mask a) noexcept { return xsimd::any(a.value); }
    friend ALIDADE_FORCE_INLINE std::uint32_t bits(mask a) noexcept { return lane_bits<T>(a.value.data); }
    friend ALIDADE_FORCE_INLINE vec_xsimd select(mask m, vec_xsimd a, vec_xsimd b) noexcept {
      return {xsimd::select(m.value, a.value, b.value)};
    }
  };
  static ALIDADE_FORCE_INLINE mask no_lanes() noexcept { return {xsimd::batch_bool<T, xsimd_arch>(false)}; }

  static ALIDADE_FORCE_INLINE vec_xsimd zero() noexcept { return {batch(T(0))}; }
  static ALIDADE_FORCE_INLINE vec_xsimd broadcast(T x) noexcept { return {batch(x)}; }
  static ALIDADE_FORCE_INLINE vec_xsimd load(const T* p) noexcept { return {batch::load_unaligned(p)}; }
  static ALIDADE_FORCE_INLINE vec_xsimd load(const f16* p) noexcept { return {batch(widen(p))}; }
  static ALIDADE_FORCE_INLINE vec_xsimd load(const bf16* p) noexcept { return {batch(widen(p))}; }

  static ALIDADE_FORCE_INLINE vec_xsimd load_partial(const T* p, std::size_t count) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
    const unsigned present = (1u << count) - 1u;
    if constexpr (sizeof(T) == 4) {
      return {batch(detail::bit_cast<native>(_mm512_maskz_loadu_epi32(static_cast<__mmask16>(present), p)))};
    } else {
      return {batch(detail::bit_cast<native>(_mm512_maskz_loadu_epi64(static_cast<__mmask8>(present), p)))};
    }
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
    if constexpr (sizeof(T) == 4) {
      const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
      const __m256i present = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
      return {
          batch(detail::bit_cast<native>(_mm256_maskload_epi32(reinterpret_cast<const int*>(p), present)))};
    } else {
      const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
      const __m256i present = _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(count)), lane);
      return {batch(
          detail::bit_cast<native>(_mm256_maskload_epi64(reinterpret_cast<const long long*>(p), present)))};
    }
#else
    if constexpr (lanes == 4) {
      return {batch{count > 0 ? p[0] : T(0), count > 1 ? p[1] : T(0), count > 2 ? p[2] : T(0),
                    count > 3 ? p[3] : T(0)}};
    } else {
      return {batch{count > 0 ? p[0] : T(0), count > 1 ? p[1] : T(0)}};
    }
#endif
  }
  static ALIDADE_FORCE_INLINE vec_xsimd load_partial(const f16* p, std::size_t count) noexcept {
    return {batch(widen_partial(p, count))};
  }
  static ALIDADE_FORCE_INLINE vec_xsimd load_partial(const bf16* p, std::size_t count) noexcept {
    return {batch(widen_partial(p, count))};
  }

  friend ALIDADE_FORCE_INLINE void store(T* p, vec_xsimd a) noexcept { a.value.store_unaligned(p); }
  friend ALIDADE_FORCE_INLINE void store_partial(T* p, std::size_t count, vec_xsimd a) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
    const unsigned present = (1u << count) - 1u;
    const native v = a.value;
    if constexpr (sizeof(T) == 4) {
      _mm512_mask_storeu_epi32(p, static_cast<__mmask16>(present), detail::bit_cast<__m512i>(v));
    } else {
      _mm512_mask_storeu_epi64(p, static_cast<__mmask8>(present), detail::bit_cast<__m512i>(v));
    }
#else
    alignas(64) T whole[lanes];
    a.value.store_aligned(whole);
    for (std::size_t i = 0; i < count; ++i) p[i] = whole[i];
#endif
  }

  friend ALIDADE_FORCE_INLINE vec_xsimd operator+(vec_xsimd a, vec_xsimd b) noexcept {
    return {a.value + b.value};
  }
  friend ALIDADE_FORCE_INLINE vec_xsimd operator-(vec_xsimd a, vec_xsimd b) noexcept {
    return {a.value - b.value};
  }
  friend ALIDADE_FORCE_INLINE vec_xsimd operator*(vec_xsimd a, vec_xsimd b) noexcept {
    return {a.value * b.value};
  }
  friend ALIDADE_FORCE_INLINE vec_xsimd operator/(vec_xsimd a, vec_xsimd b) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64  // xsimd 8.1 takes an approximate reciprocal
    if constexpr (std::is_same_v<T, float>) return {batch(vdivq_f32(a.value, b.value))};
#endif
    return {a.value / b.value};
  }
  // xsimd 8.1 leaves AVX-512's and 64-bit NEON's to the compiler, and not every compiler fuses them.
  friend ALIDADE_FORCE_INLINE vec_xsimd multiply_add(vec_xsimd a, vec_xsimd b, vec_xsimd c) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
    if constexpr (std::is_same_v<T, float>) return {batch(_mm512_fmadd_ps(a.value, b.value, c.value))};
    if constexpr (std::is_same_v<T, double>) return {batch(_mm512_fmadd_pd(a.value, b.value, c.value))};
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
    if constexpr (std::is_same_v<T, float>) return {batch(vfmaq_f32(c.value, a.value, b.value))};
    if constexpr (std::is_same_v<T, double>) return {batch(vfmaq_f64(c.value, a.value, b.value))};
#elif ALIDADE_HAS_EXTRA_FMA
    if constexpr (std::is_same_v<T, float>) return {batch(_mm_fmadd_ps(a.value, b.value, c.value))};
    if constexpr (std::is_same_v<T, double>) return {batch(_mm_fmadd_pd(a.value, b.value, c.value))};
#else
    return {xsimd::fma(a.value, b.value, c.value)};
#endif
  }
  friend ALIDADE_FORCE_INLINE vec_xsimd rounded(vec_xsimd a) noexcept {
    native v = a.value;
    ALIDADE_KEEP_SIMD(v);
    return {batch(v)};
  }
  friend ALIDADE_FORCE_INLINE vec_xsimd loaded_once(vec_xsimd a) noexcept { return rounded(a); }
  friend ALIDADE_FORCE_INLINE vec_xsimd abs(vec_xsimd a) noexcept { return {xsimd::abs(a.value)}; }
  friend ALIDADE_FORCE_INLINE vec_xsimd min(vec_xsimd a, vec_xsimd b) noexcept {
    return {xsimd::min(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE vec_xsimd max(vec_xsimd a, vec_xsimd b) noexcept {
    return {xsimd::max(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE mask operator<(vec_xsimd a, vec_xsimd b) noexcept {
    return {a.value < b.value};
  }
  friend ALIDADE_FORCE_INLINE mask operator<=(vec_xsimd a, vec_xsimd b) noexcept {
    return {a.value <= b.value};
  }
  friend ALIDADE_FORCE_INLINE mask operator==(vec_xsimd a, vec_xsimd b) noexcept {
    return {a.value == b.value};
  }
  // xsimd 8.1 has NaN equal to NaN on AVX.
  friend ALIDADE_FORCE_INLINE mask operator!=(vec_xsimd a, vec_xsimd b) noexcept {
    return {!(a.value == b.value)};
  }

  // By halves: lane i with lane i + lanes / 2, and so on. Every architecture sums a register in this order.
  friend ALIDADE_FORCE_INLINE T reduce_add(vec_xsimd a) noexcept {
    return fold(a, [](vec_xsimd x, vec_xsimd y) { return x + y; });
  }
  friend ALIDADE_FORCE_INLINE T reduce_min(vec_xsimd a) noexcept {
    return fold(a, [](vec_xsimd x, vec_xsimd y) { return min(x, y); });
  }
  friend ALIDADE_FORCE_INLINE T reduce_max(vec_xsimd a) noexcept {
    return fold(a, [](vec_xsimd x, vec_xsimd y) { return max(x, y); });
  }

 private:
  template <std::size_t Bytes>
  ALIDADE_FORCE_INLINE vec_xsimd swapped() const noexcept {
    const native v = value;
    return {batch(swap_groups<Bytes>(v))};
  }

  template <class Operation>
  static ALIDADE_FORCE_INLINE T fold(vec_xsimd a, Operation operation) noexcept {
    constexpr std::size_t bytes = lanes * sizeof(T);
    if constexpr (bytes >= 64) a = operation(a, a.template swapped<32>());
    if constexpr (bytes >= 32) a = operation(a, a.template swapped<16>());
    a = operation(a, a.template swapped<8>());
    if constexpr (sizeof(T) == 4) a = operation(a, a.template swapped<4>());
    const native v = a.value;
    return first_lane<T>(v);
  }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
