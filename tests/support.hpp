#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <type_traits>
#include <vector>

#include <alidade/core/matrix_view.hpp>
#include <alidade/simd/vec.hpp>

/// Data that the tests make for themselves, the same on every platform: std::mt19937 is specified bit for bit, the
/// standard distributions are not.
namespace test {

class random {
 public:
  explicit random(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(std::uint64_t{engine_()} * bound >> 32);
  }

  /// Uniform in [-1, 1).
  float uniform() { return static_cast<float>(engine_()) * 0x1p-31f - 1.0f; }

  /// Near enough to a normal distribution of variance 1: the sum of twelve uniforms.
  float normal() {
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum * 0.5f;
  }

  /// Real numbers in [-1, 1), or bytes of any value.
  template <class T>
  std::vector<T> vector(std::size_t n) {
    std::vector<T> v(n);
    for (T& x : v) {
      if constexpr (std::is_floating_point_v<T>) {
        x = static_cast<T>(uniform());
      } else if constexpr (sizeof(T) == 2) {
        x = T(uniform());
      } else {
        x = static_cast<T>(below(256));
      }
    }
    return v;
  }

 private:
  std::mt19937 engine_;
};

/// Rows with keys. Clusters make neighbours worth finding: each row is one of sqrt(rows) centres plus noise.
template <class T>
struct dataset {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<T> values;
  std::vector<std::uint64_t> keys;

  dataset(std::size_t rows_, std::size_t columns_, std::uint32_t seed) : rows(rows_), columns(columns_) {
    random r(seed);
    std::size_t centres = 1;
    while (centres * centres < rows) ++centres;
    const std::vector<float> centre = r.vector<float>(centres * columns);
    values.resize(rows * columns);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t c = r.below(static_cast<std::uint32_t>(centres));
      for (std::size_t j = 0; j < columns; ++j) {
        const float x = centre[c * columns + j] + 0.3f * r.normal();
        if constexpr (std::is_same_v<T, float>) {
          values[i * columns + j] = x;
        } else {
          const float scaled = 128.0f + 50.0f * x;
          values[i * columns + j] = static_cast<T>(scaled < 0.0f ? 0.0f : scaled > 255.0f ? 255.0f : scaled);
        }
      }
    }
    keys.resize(rows);
    std::iota(keys.begin(), keys.end(), std::uint64_t{1000});
  }

  alidade::matrix_view<T> view() const { return {values.data(), rows, columns}; }
  alidade::matrix_view<T> view(std::size_t first, std::size_t count) const {
    return {values.data() + first * columns, count, columns};
  }
};

/// The share of the exact answers' distances that the found answers reach, as recall@k is usually counted with ties.
template <class Found, class Exact>
double recall(const Found& found, const Exact& exact, std::size_t queries) {
  std::size_t hits = 0, wanted = 0;
  for (std::size_t q = 0; q < queries; ++q) {
    wanted += exact[q].size();
    for (const auto& n : found[q]) hits += static_cast<std::size_t>(!(exact[q].back().distance < n.distance));
  }
  return wanted == 0 ? 1.0 : static_cast<double>(hits) / static_cast<double>(wanted);
}

/// Whether vectors take subnormal numbers for zero, as those of 32-bit NEON do.
inline bool flushes_subnormals() {
  volatile float tiny = 0x1p-130f;
  const float x[32] = {tiny}, y[32] = {1.0f};
  float out[32] = {};
  store(out, alidade::simd::f32::load(x) * alidade::simd::f32::load(y));
  return out[0] == 0.0f;
}

}  // namespace test
