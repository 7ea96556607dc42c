#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/distance/kernels.hpp>
#include <alidade/simd/prefetch.hpp>

/// Distances and similarities of two vectors, and of one vector and many.
///
/// All functions take vectors of equal length (asserted), of any length, at any alignment, and read nothing past their
/// end; of length 0 the sums are 0. NaN and infinity propagate as in the formula.
///
/// Error of the float forms, n = length, eps = 2^-24, to first order: at most (n / 4 + 8) eps * sum |term_i|, since four
/// or more accumulators share the terms (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2); seen in
/// tests is far less. A sum overflows to infinity when it exceeds 3.4e38.
///
/// The byte forms are exact. They wrap modulo 2^32: a sum is right while it is below 2^32, which is certain up to
/// length 66,051 (255 * 255 * 66,051 < 2^32).
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Squared Euclidean distance: sum (a_i - b_i)^2.
inline float l2_squared(std::span<const float> a, std::span<const float> b) noexcept {
  ALIDADE_ASSERT(a.size() == b.size());
  return detail::reduce<detail::squared_difference_step>(a.data(), b.data(), a.size());
}

/// Squared Euclidean distance of bytes, exact.
inline std::uint32_t l2_squared(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) noexcept {
  ALIDADE_ASSERT(a.size() == b.size());
  return detail::reduce<detail::squared_difference_step>(a.data(), b.data(), a.size());
}

/// Inner product: sum a_i b_i. A similarity: larger is nearer. The metric for indexes is its negative.
inline float inner_product(std::span<const float> a, std::span<const float> b) noexcept {
  ALIDADE_ASSERT(a.size() == b.size());
  return detail::reduce<detail::product_step>(a.data(), b.data(), a.size());
}

/// Inner product of bytes, exact.
inline std::uint32_t inner_product(std::span<const std::uint8_t> a,
                                   std::span<const std::uint8_t> b) noexcept {
  ALIDADE_ASSERT(a.size() == b.size());
  return detail::reduce<detail::product_step>(a.data(), b.data(), a.size());
}

namespace detail {

/// Into [0, 2], which rounding may leave; a NaN stays one.
template <class Real>
Real clamp_cosine(Real distance) noexcept {
  return distance < Real(0) ? Real(0) : distance > Real(2) ? Real(2) : distance;
}

/// In double no square of a float overflows or vanishes. Out of line: it is rarely called.
ALIDADE_NOINLINE inline float cosine_in_double(const float* a, const float* b, std::size_t n) noexcept {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  if (aa == 0 || bb == 0) return 1.0f;
  return static_cast<float>(clamp_cosine(1.0 - ab / std::sqrt(aa * bb)));
}

/// The three sums of a cosine, two accumulators each.
template <simd::float_vector V>
struct cosine_sums {
  V ab0 = V::zero(), aa0 = V::zero(), bb0 = V::zero();
  V ab1 = V::zero(), aa1 = V::zero(), bb1 = V::zero();

  ALIDADE_FORCE_INLINE void add0(V a, V b) noexcept {
    ab0 = multiply_add(a, b, ab0);
    aa0 = multiply_add(a, a, aa0);
    bb0 = multiply_add(b, b, bb0);
  }
  ALIDADE_FORCE_INLINE void add1(V a, V b) noexcept {
    ab1 = multiply_add(a, b, ab1);
    aa1 = multiply_add(a, a, aa1);
    bb1 = multiply_add(b, b, bb1);
  }
};

template <simd::float_vector V = simd::f32>
float cosine(const float* a, const float* b, std::size_t n) noexcept {
  constexpr std::size_t step = V::lanes;
  cosine_sums<V> sums;
  std::size_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    sums.add0(V::load(a + i), V::load(b + i));
    sums.add1(V::load(a + i + step), V::load(b + i + step));
  }
  if (i + step <= n) {
    sums.add0(V::load(a + i), V::load(b + i));
    i += step;
  }
  if (i < n) sums.add1(V::load_partial(a + i, n - i), V::load_partial(b + i, n - i));
  const float sum_aa = reduce_add(sums.aa0 + sums.aa1), sum_bb = reduce_add(sums.bb0 + sums.bb1);
  // Within these bounds both sums are above 1e-28 and below 1e12: nothing has left float's range or lost digits to it.
  // Else, and for NaN, again in double.
  const float norms = sum_aa * sum_bb;
  if (!(norms > 1e-16f) || !(sum_aa + sum_bb < 1e12f)) return cosine_in_double(a, b, n);
  return clamp_cosine(1.0f - reduce_add(sums.ab0 + sums.ab1) / std::sqrt(norms));
}

template <class Step, class T, class Out>
void one_to_many(std::span<const T> query, matrix_view<T> rows, std::span<Out> out) noexcept {
  ALIDADE_ASSERT(query.size() == rows.columns());
  ALIDADE_ASSERT(out.size() == rows.rows());
  constexpr std::size_t group = 64;
  const T* pointers[group];
  for (std::size_t begin = 0; begin < rows.rows(); begin += group) {
    const std::size_t count = std::min(group, rows.rows() - begin);
    for (std::size_t j = 0; j < count; ++j) {
      pointers[j] = rows.data() + (begin + j) * rows.stride();
      simd::prefetch(pointers[j], query.size() * sizeof(T));
    }
    reduce_many<Step>(query.data(), pointers, count, query.size(), out.data() + begin);
  }
}

}  // namespace detail

/// Cosine distance: 1 - sum a_i b_i / sqrt(sum a_i^2 * sum b_i^2), in [0, 2], in one pass. When a norm is zero (length 0
/// included) the direction is undefined and the distance is 1, on every architecture. Norms of any finite size are
/// right: where their squares leave float's range, the sums are taken again in double.
inline float cosine(std::span<const float> a, std::span<const float> b) noexcept {
  ALIDADE_ASSERT(a.size() == b.size());
  return detail::cosine(a.data(), b.data(), a.size());
}

/// l2_squared from `query` to each row: out[i] for rows[i], with later rows prefetched. out.size() == rows.rows().
inline void l2_squared_many(std::span<const float> query, matrix_view<float> rows,
                            std::span<float> out) noexcept {
  detail::one_to_many<detail::squared_difference_step>(query, rows, out);
}
inline void l2_squared_many(std::span<const std::uint8_t> query, matrix_view<std::uint8_t> rows,
                            std::span<std::uint32_t> out) noexcept {
  detail::one_to_many<detail::squared_difference_step>(query, rows, out);
}

/// inner_product of `query` and each row.
inline void inner_product_many(std::span<const float> query, matrix_view<float> rows,
                               std::span<float> out) noexcept {
  detail::one_to_many<detail::product_step>(query, rows, out);
}
inline void inner_product_many(std::span<const std::uint8_t> query, matrix_view<std::uint8_t> rows,
                               std::span<std::uint32_t> out) noexcept {
  detail::one_to_many<detail::product_step>(query, rows, out);
}

/// cosine from `query` to each row.
inline void cosine_many(std::span<const float> query, matrix_view<float> rows,
                        std::span<float> out) noexcept {
  ALIDADE_ASSERT(query.size() == rows.columns());
  ALIDADE_ASSERT(out.size() == rows.rows());
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    if (i + 2 < rows.rows())
      simd::prefetch(rows.data() + (i + 2) * rows.stride(), query.size() * sizeof(float));
    out[i] = detail::cosine(query.data(), rows.data() + i * rows.stride(), query.size());
  }
}

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
