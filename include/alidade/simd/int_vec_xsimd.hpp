#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/simd/vec_xsimd.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// The square of the lower 32 bits of each 64-bit lane, which is one instruction that xsimd does not have.
template <class Native>
ALIDADE_FORCE_INLINE Native square_low_halves(Native x) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512
  return _mm512_mul_epu32(x, x);
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
  return _mm256_mul_epu32(x, x);
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
  const uint32x2_t low = vmovn_u64(x);
  return vmull_u32(low, low);
#else
  return _mm_mul_epu32(x, x);
#endif
}

/// Vectors of integers over xsimd's batch of the chosen architecture.
template <class T>
struct int_vec_xsimd {
  using value_type = T;
  using batch = xsimd::batch<T, xsimd_arch>;
  static constexpr std::size_t lanes = batch::size;
  batch value;

  static ALIDADE_FORCE_INLINE int_vec_xsimd broadcast(T x) noexcept { return {batch(x)}; }
  static ALIDADE_FORCE_INLINE int_vec_xsimd load(const T* p) noexcept { return {batch::load_unaligned(p)}; }
  static ALIDADE_FORCE_INLINE int_vec_xsimd load_partial(const T* p, std::size_t count) noexcept {
    alignas(64) T padded[lanes] = {};
    for (std::size_t i = 0; i < count; ++i) padded[i] = p[i];
    return {batch::load_aligned(padded)};
  }
  friend ALIDADE_FORCE_INLINE void store(T* p, int_vec_xsimd a) noexcept { a.value.store_unaligned(p); }
  friend ALIDADE_FORCE_INLINE int_vec_xsimd operator-(int_vec_xsimd a, int_vec_xsimd b) noexcept {
    return {a.value - b.value};
  }
  friend ALIDADE_FORCE_INLINE int_vec_xsimd min(int_vec_xsimd a, int_vec_xsimd b) noexcept {
    return {xsimd::min(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE int_vec_xsimd max(int_vec_xsimd a, int_vec_xsimd b) noexcept {
    return {xsimd::max(a.value, b.value)};
  }

  using wide = xsimd::batch<std::uint64_t, xsimd_arch>;

  /// 32-bit lanes are added as the two halves of 64-bit ones. Signed ones are raised by 2^31 first, which makes them
  /// unsigned, so that one mask and one shift widen them.
  struct wide_sum {
    static constexpr std::uint64_t bias = std::is_signed_v<T> && sizeof(T) == 4 ? 0x80000000u : 0;
    wide even = wide(std::uint64_t{0}), odd = wide(std::uint64_t{0});

    ALIDADE_FORCE_INLINE void add(int_vec_xsimd a) noexcept {
      wide x = alidade::detail::bit_cast<wide>(a.value);
      if constexpr (sizeof(T) == 8) {
        even = even + x;
      } else {
        if constexpr (bias != 0) x = x ^ wide(bias << 32 | bias);
        even = even + (x & wide(std::uint64_t{0xffffffffu}));
        odd = odd + (x >> 32);
      }
    }
    void store(std::uint64_t* out, std::uint64_t added) const noexcept {
      store_lanes(out, even, odd);
      for (std::size_t i = 0; i < lanes; ++i) out[i] -= bias * added;
    }
  };

  struct wide_squares {
    wide even = wide(std::uint64_t{0}), odd = wide(std::uint64_t{0});

    ALIDADE_FORCE_INLINE void add(int_vec_xsimd a) noexcept {
      using native = typename wide::register_type;
      const wide x = alidade::detail::bit_cast<wide>(a.value);
      const native low = x;
      even = even + wide(square_low_halves(low));
      if constexpr (sizeof(T) == 4) {
        const native high = x >> 32;
        odd = odd + wide(square_low_halves(high));
      }
    }
    void store(std::uint64_t* out) const noexcept { store_lanes(out, even, odd); }
  };

 private:
  static void store_lanes(std::uint64_t* out, wide even, wide odd) noexcept {
    if constexpr (sizeof(T) == 8) {
      even.store_unaligned(out);
    } else {
      alignas(64) std::uint64_t halves[2][wide::size];
      even.store_aligned(halves[0]);
      odd.store_aligned(halves[1]);
      for (std::size_t i = 0; i < lanes; ++i) out[i] = halves[i % 2][i / 2];
    }
  }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
