#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/ops/detail/range_check.hpp>

/// Rows of parameters against bounds for each column. An element x of column j is valid when lower[j] <= x and
/// x <= upper[j]; NaN never is, nor is anything against a bound that is NaN. Bounds may be infinite. What is said of NaN
/// needs a compiler that honours it (not -ffast-math); that nothing is read out of bounds does not.
///
/// Elements are float or double, at any alignment; nothing past the end of a row is read. `lower` and `upper` have one
/// element for each column (asserted). A matrix without rows or columns is valid. Nothing is allocated.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {

/// The place of an element in a matrix.
struct element_position {
  std::size_t row = static_cast<std::size_t>(-1);
  std::size_t column = static_cast<std::size_t>(-1);
  friend bool operator==(const element_position&, const element_position&) = default;
};

struct range_report {
  std::size_t elements = 0;  ///< how many are out of range
  std::size_t rows = 0;      ///< how many rows have such elements
  element_position first;    ///< of the first row that has some, the first; {-1, -1} when there are none

  bool valid() const noexcept { return elements == 0; }
};

namespace detail {

/// invalid_rows is empty where no mask is wanted.
template <real_number T, class V = vector_of<T>>
inline range_report validate_range(const matrix_view<T>& rows, std::span<const T> lower,
                                   std::span<const T> upper, std::span<std::uint8_t> invalid_rows) noexcept {
  range_report report;
  check_range<V>(checked_at_once::when_counting, rows.data(), rows.rows(), rows.columns(), rows.stride(),
                 lower.data(), upper.data(), [&](std::size_t row, std::size_t elements) {
                   if (report.rows == 0) {
                     report.first = {row, first_violation_in(rows[row].data(), rows.columns(), lower.data(),
                                                             upper.data())};
                   }
                   ++report.rows;
                   report.elements += elements;
                   if (!invalid_rows.empty()) invalid_rows[row] = 1;
                   return true;
                 });
  return report;
}

template <real_number T, class V = vector_of<T>>
inline element_position first_out_of_range(const matrix_view<T>& rows, std::span<const T> lower,
                                           std::span<const T> upper) noexcept {
  element_position found;
  check_range<V>(
      checked_at_once::when_stopping, rows.data(), rows.rows(), rows.columns(), rows.stride(), lower.data(),
      upper.data(), [&](std::size_t row, std::size_t) {
        found = {row, first_violation_in(rows[row].data(), rows.columns(), lower.data(), upper.data())};
        return false;
      });
  return found;
}

}  // namespace detail

/// Stops soon after the first element that is out of range: says where it is, in the order of rows, or {-1, -1}.
template <real_number T>
inline element_position first_out_of_range(const matrix_view<T>& rows,
                                           std::type_identity_t<std::span<const T>> lower,
                                           std::type_identity_t<std::span<const T>> upper) noexcept {
  ALIDADE_ASSERT(lower.size() == rows.columns() && upper.size() == rows.columns());
  return detail::first_out_of_range<T>(rows, lower, upper);
}

/// Whether all elements are in range; stops soon after the first that is not.
template <real_number T>
inline bool is_in_range(const matrix_view<T>& rows, std::type_identity_t<std::span<const T>> lower,
                        std::type_identity_t<std::span<const T>> upper) noexcept {
  return first_out_of_range(rows, lower, upper) == element_position{};
}

/// Looks at everything.
template <real_number T>
inline range_report validate_range(const matrix_view<T>& rows, std::type_identity_t<std::span<const T>> lower,
                                   std::type_identity_t<std::span<const T>> upper) noexcept {
  ALIDADE_ASSERT(lower.size() == rows.columns() && upper.size() == rows.columns());
  return detail::validate_range<T>(rows, lower, upper, {});
}

/// The same, and a mask: invalid_rows[i] = 1 where row i has an element out of range, else 0. It has as many elements as
/// there are rows (asserted).
template <real_number T>
inline range_report validate_range(const matrix_view<T>& rows, std::type_identity_t<std::span<const T>> lower,
                                   std::type_identity_t<std::span<const T>> upper,
                                   std::span<std::uint8_t> invalid_rows) noexcept {
  ALIDADE_ASSERT(lower.size() == rows.columns() && upper.size() == rows.columns());
  ALIDADE_ASSERT(invalid_rows.size() == rows.rows());
  for (std::uint8_t& invalid : invalid_rows) invalid = 0;
  return detail::validate_range<T>(rows, lower, upper, invalid_rows);
}

}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
