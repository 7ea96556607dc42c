#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/ops/detail/multiply.hpp>
#include <alidade/ops/detail/numbers.hpp>

/// Products of matrices and vectors of float or double, in one thread.
///
/// Matrices are row-major; inputs may have any stride, results are written without gaps: element (i, j) of an m x n result
/// to c[i * n + j]. Shapes must fit (asserted); any may be 0. A result must not overlap an input. Nothing past the end of a
/// row is read.
///
/// Errors, u = 2^-24 (double: 2^-53), k the number of terms: at most (min(k, 384) + k / 64 + 2) u sum |a_il b_lj|, beside a
/// smallest subnormal for each term that underflows; for matrix_vector (k / 2 + 8) u sum |a_il x_l|. NaN and infinity
/// propagate as in the formula. Architectures with fused multiply-add round less, so results differ in their last bits.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {

/// y = A x, for A of m x k.
template <real_number T>
inline void matrix_vector(const matrix_view<T>& a, std::type_identity_t<std::span<const T>> x,
                          std::type_identity_t<std::span<T>> y) noexcept {
  ALIDADE_ASSERT(x.size() == a.columns() && y.size() == a.rows());
  detail::multiply_vector<detail::vector_of<T>>(a.rows(), a.columns(), a.data(), a.stride(), x.data(),
                                                y.data());
}

/// C = A B, for A of m x k and B of k x n. Blocks of both are copied: to 8 KiB of stack where they fit, which are products
/// of a few rows at most (a row of A takes up to 3 KiB, however small k is); else to the heap, at most about 1 MiB:
/// std::bad_alloc where there is no memory.
template <real_number T>
inline void matrix_multiply(const matrix_view<T>& a, const matrix_view<T>& b,
                            std::type_identity_t<std::span<T>> c) {
  ALIDADE_ASSERT(a.columns() == b.rows() && c.size() == a.rows() * b.columns());
  detail::multiply<detail::vector_of<T>>(a.rows(), b.columns(), a.columns(), {a.data(), a.stride(), 1},
                                         {b.data(), b.stride(), 1}, c.data(), false);
}

/// C = C + A B; otherwise as matrix_multiply.
template <real_number T>
inline void matrix_multiply_add(const matrix_view<T>& a, const matrix_view<T>& b,
                                std::type_identity_t<std::span<T>> c) {
  ALIDADE_ASSERT(a.columns() == b.rows() && c.size() == a.rows() * b.columns());
  detail::multiply<detail::vector_of<T>>(a.rows(), b.columns(), a.columns(), {a.data(), a.stride(), 1},
                                         {b.data(), b.stride(), 1}, c.data(), true);
}

/// C = A B^T, for A of m x k and B of n x k: the inner products of each row of A with each row of B. Otherwise as
/// matrix_multiply.
template <real_number T>
inline void matrix_multiply_transposed(const matrix_view<T>& a, const matrix_view<T>& b,
                                       std::type_identity_t<std::span<T>> c) {
  ALIDADE_ASSERT(a.columns() == b.columns() && c.size() == a.rows() * b.rows());
  detail::multiply<detail::vector_of<T>>(a.rows(), b.rows(), a.columns(), {a.data(), a.stride(), 1},
                                         {b.data(), 1, b.stride()}, c.data(), false);
}

}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
