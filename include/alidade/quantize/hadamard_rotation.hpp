#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/random.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A fast Walsh-Hadamard transform of 2^k floats, of signs at random, in place, such that lengths stay what they are.
class hadamard_transform {
  using V = simd::f32;

 public:
  /// `round`: 0..5, of the signs.
  static void apply(float* x, std::size_t power, std::size_t round) noexcept {
    if (power < least) {
      change_signs(x, 0, power, power, round);
      for (std::size_t half = 1; half < power; half *= 2) {
        for (std::size_t i = 0; i < power; i += 2 * half) {
          for (std::size_t j = i; j < i + half; ++j) pair(x[j], x[j + half]);
        }
      }
      return;
    }
    for (std::size_t first = 0; first < power; first += least) {
      change_signs(x, first, least, power, round);
      sixteen(x + first);
    }
    for (std::size_t half = least; half < power; half *= 2) {
      for (std::size_t i = 0; i < power; i += 2 * half) {
        for (std::size_t j = i; j < i + half; j += V::lanes) {
          const V a = V::load(x + j), b = V::load(x + j + half);
          store(x + j, a + b);
          store(x + j + half, a - b);
        }
      }
    }
  }

  /// The inverse. The transform without signs is its own, so that the signs of the one are undone by their likes around the other.
  static void undo(float* x, std::size_t power, std::size_t round) noexcept {
    change_signs_only(x, power, round);
    apply(x, power, round);
    change_signs_only(x, power, round);
  }

 private:
  /// Of `count` from `first` on, and makes them shorter by as much as the transform of all makes them longer.
  static void change_signs(float* x, std::size_t first, std::size_t count, std::size_t power,
                           std::size_t round) noexcept {
    const float scale = 1.0f / std::sqrt(static_cast<float>(power));
    const float* const sign = signs.data() + round * signs_apart + first % period;
    if (count < least) {
      for (std::size_t i = 0; i < count; ++i) x[i] *= sign[i] * scale;
      return;
    }
    const V by = V::broadcast(scale);
    for (std::size_t i = 0; i < least; i += V::lanes)
      store(x + first + i, V::load(x + first + i) * (V::load(sign + i) * by));
  }

  static void change_signs_only(float* x, std::size_t power, std::size_t round) noexcept {
    for (std::size_t i = 0; i < power; ++i) x[i] *= signs[round * signs_apart + i % period];
  }

  static constexpr std::size_t least = 16, period = 1024, signs_apart = 16;
  static_assert(least % V::lanes == 0);

  static void pair(float& a, float& b) noexcept {
    const float difference = a - b;
    a += b;
    b = difference;
  }
  /// The four stages within sixteen numbers, without a loop over what a register has.
  static void sixteen(float* x) noexcept {
    for (std::size_t i = 0; i < 16; i += 4) {
      const float a = x[i] + x[i + 1], b = x[i] - x[i + 1], c = x[i + 2] + x[i + 3], d = x[i + 2] - x[i + 3];
      x[i] = a + c;
      x[i + 1] = b + d;
      x[i + 2] = a - c;
      x[i + 3] = b - d;
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const float a = x[i] + x[i + 4], b = x[i] - x[i + 4], c = x[i + 8] + x[i + 12],
                  d = x[i + 8] - x[i + 12];
      x[i] = a + c;
      x[i + 4] = b + d;
      x[i + 8] = a - c;
      x[i + 12] = b - d;
    }
  }

  static constexpr auto signs = [] {
    std::array<float, period + 6 * signs_apart> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = (mix64(i) & 1) != 0 ? 1.0f : -1.0f;
    return all;
  }();
};

/// One orthogonal transform for each number of dimensions, the same always, after which components are alike whatever they were: transforms of
/// the first 2^k of them and of the last, 2^k <= n < 2^(k+1), thrice (Ailon and Chazelle, The fast Johnson-Lindenstrauss transform, SIAM
/// J. Comput. 39:1, 2009). In n log n additions, in place. Lengths, distances and inner products stay what they are, but for rounding.
///
/// |x_i| <= 1e30, n <= 2^20: no sum overflows.
inline void hadamard_rotate(std::span<float> x) noexcept {
  const std::size_t power = std::bit_floor(x.size());
  for (std::size_t round = 0; round < 6; round += 2) {
    hadamard_transform::apply(x.data(), power, round);
    if (power < x.size()) hadamard_transform::apply(x.data() + (x.size() - power), power, round + 1);
  }
}

/// The inverse, but for rounding.
inline void hadamard_rotate_back(std::span<float> x) noexcept {
  const std::size_t power = std::bit_floor(x.size());
  for (std::size_t round = 6; round > 0; round -= 2) {
    if (power < x.size()) hadamard_transform::undo(x.data() + (x.size() - power), power, round - 1);
    hadamard_transform::undo(x.data(), power, round - 2);
  }
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
