#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/distance/byte_reductions.hpp>
#include <alidade/distance/real_reductions.hpp>
#include <alidade/simd/ops/bf16_dot.hpp>
#include <alidade/simd/ops/transpose.hpp>
#include <alidade/simd/vec.hpp>

/// Inner products of several vectors with many, in tiles that stay in registers, at the speed of a matrix product: two
/// vectors of columns by twelve or six rows, so that each load feeds several multiply-adds (Goto and van de Geijn, "Anatomy
/// of high-performance matrix multiplication", ACM TOMS 34:3, 2008).
///
/// Products are estimates: they are summed one after the other, and where the processor multiplies bf16 at twice the speed
/// of floats, numbers are rounded to that first. `rounding` bounds how far an estimate is from the product, so that what
/// is decided by it can be checked where it is close.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// No less than the norm of n floats, given the sum of their squares taken in floats: an upper bound of what was rounded, and
/// of the squares that vanished, each below 2^-149, or 2^-126 where subnormal numbers are flushed.
inline double norm_above(double sum, std::size_t n) noexcept {
  const auto terms = static_cast<double>(n);
  return std::sqrt(sum * (1 + (terms + 32) * 0x1p-23) + terms * 0x1p-120);
}

#if ALIDADE_HAS_AVX512_BF16

/// Two bf16 a unit.
struct product_engine {
  static constexpr std::size_t numbers = 2;
  using vector = simd::bf16_block;

  static ALIDADE_FORCE_INLINE vector load(const std::uint32_t* p) noexcept { return {_mm512_load_si512(p)}; }
  static ALIDADE_FORCE_INLINE vector broadcast(std::uint32_t unit) noexcept {
    return {_mm512_set1_epi32(static_cast<int>(unit))};
  }
  static ALIDADE_FORCE_INLINE simd::f32 add(const vector& a, const vector& b, simd::f32 sum) noexcept {
    return multiply_add(a, b, sum);
  }

  /// Rounds n numbers, and gives no less than the norm of what that takes away. Subnormal numbers count as taken away.
  static double round(const float* in, std::size_t n, std::uint32_t* out) noexcept {
    __m512 lost = _mm512_setzero_ps();
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i / 2),
                          round_block(_mm512_loadu_ps(in + i), lost));
    if (i < n) {
      // An odd number's last unit has a zero for its other half.
      const std::size_t rest = n - i, stored = rest + rest % 2;
      const __m512 x = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << rest) - 1u), in + i);
      _mm512_mask_storeu_epi16(out + i / 2, (1u << stored) - 1u,
                               _mm512_castsi256_si512(round_block(x, lost)));
    }
    return norm_above(static_cast<double>(reduce_add(simd::f32{simd::f32::batch(lost)})), n);
  }

 private:
  static ALIDADE_FORCE_INLINE __m256i round_block(__m512 x, __m512& lost) noexcept {
    const __m256i rounded = detail::bit_cast<__m256i>(_mm512_cvtneps_pbh(x));
    const __m512 back = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16));
    const __m512 difference = _mm512_sub_ps(x, back);
    lost = _mm512_fmadd_ps(difference, difference, lost);
    return rounded;
  }
};

#else

/// A float a unit.
struct product_engine {
  static constexpr std::size_t numbers = 1;
  using vector = simd::f32;

  static ALIDADE_FORCE_INLINE vector load(const std::uint32_t* p) noexcept {
    return simd::f32::load(reinterpret_cast<const float*>(p));
  }
  static ALIDADE_FORCE_INLINE vector broadcast(std::uint32_t unit) noexcept {
    return simd::f32::broadcast(detail::bit_cast<float>(unit));
  }
  static ALIDADE_FORCE_INLINE simd::f32 add(vector a, vector b, simd::f32 sum) noexcept {
    return multiply_add(a, b, sum);
  }
  static double round(const float* in, std::size_t n, std::uint32_t* out) noexcept {
    std::memcpy(out, in, n * sizeof(float));
    return 0;
  }
};

#endif

/// The shape of a tile, and of what is packed for it.
struct product_tile {
  using V = simd::f32;
  static constexpr std::size_t width = 2 * V::lanes;
  static constexpr std::size_t rows = V::registers >= 32 ? 12 : V::lanes >= 8 ? 6 : 4;

  static constexpr std::size_t units(std::size_t n) noexcept {
    return (n + product_engine::numbers - 1) / product_engine::numbers;
  }

  /// One vector in units, and the norm of what rounding took away.
  template <class T>
  static double to_units(const T* in, std::size_t n, float* scratch, std::uint32_t* out) noexcept {
    if constexpr (std::is_same_v<T, float>) {
      return product_engine::round(in, n, out);
    } else {
      std::transform(in, in + n, scratch, [](T x) { return static_cast<float>(x); });
      return product_engine::round(scratch, n, out);
    }
  }

  /// `count` vectors of `depth` units side by side, `wide` of them with zeros for those that are missing:
  /// out[k * wide + j] = vectors[j][k].
  static void pack(const std::uint32_t* const* vectors, std::size_t count, std::size_t wide,
                   std::size_t depth, std::uint32_t* out) noexcept {
    std::size_t j = 0;
    for (; j + 4 <= count; j += 4) {
      const std::uint32_t* from[4] = {vectors[j], vectors[j + 1], vectors[j + 2], vectors[j + 3]};
      std::size_t k = 0;
      for (; k + 4 <= depth; k += 4) {
        simd::transpose4(from, out + k * wide + j, wide);
        for (auto& p : from) p += 4;
      }
      for (; k < depth; ++k) {
        for (std::size_t i = 0; i < 4; ++i) out[k * wide + j + i] = *from[i]++;
      }
    }
    for (; j < count; ++j) {
      std::uint32_t* to = out + j;
      for (const std::uint32_t *from = vectors[j], *end = from + depth; from != end; ++from, to += wide)
        *to = *from;
    }
    for (; j < wide; ++j) {
      for (std::size_t k = 0; k < depth; ++k) out[k * wide + j] = 0;
    }
  }

  /// sums[i][h] = the products of row i with the columns of half h of a panel. `a` and `b` are packed, `rows` and `width`
  /// wide, b at a multiple of its vectors' size.
  template <std::size_t... Row>
  static ALIDADE_FORCE_INLINE void multiply(std::index_sequence<Row...>, const std::uint32_t* a,
                                            const std::uint32_t* b, std::size_t depth,
                                            V (*sums)[2]) noexcept {
    V low[] = {(static_cast<void>(Row), V::zero())...}, high[] = {(static_cast<void>(Row), V::zero())...};
    for (std::size_t k = 0; k < depth; ++k, a += sizeof...(Row), b += width) {
      const auto b0 = product_engine::load(b), b1 = product_engine::load(b + V::lanes);
      const auto step = [&](std::uint32_t unit, V& first, V& second) ALIDADE_FORCE_INLINE_LAMBDA {
        const auto x = product_engine::broadcast(unit);
        first = product_engine::add(x, b0, first);
        second = product_engine::add(x, b1, second);
      };
      (step(a[Row], low[Row], high[Row]), ...);
    }
    ((sums[Row][0] = low[Row], sums[Row][1] = high[Row]), ...);
  }

  /// Vectors with norms up to this have no estimate that overflows, nor has its distance.
  static constexpr double largest_norm = 0x1p60;

  /// How far an estimate may be from the product of vectors a, b of n numbers, given no less than their norms and than what
  /// rounding took: |lost_a| |b| + (|a| + |lost_a|) |lost_b| for the rounding, and n u |a| |b| for the sum (Higham, section
  /// 3.1) with its 2 n roundings, doubled; what underflows is less than 2^-120 n.
  static double rounding(std::size_t n, double norm_a, double lost_a, double norm_b, double lost_b) noexcept {
    const auto terms = static_cast<double>(n);
    return 2 * (lost_a * norm_b + (norm_a + lost_a) * lost_b + (terms + 32) * 0x1p-23 * norm_a * norm_b) +
           terms * 0x1p-120 * (1 + norm_a + norm_b);
  }
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
