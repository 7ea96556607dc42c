#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/numbers.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

/// Elements that are checked together before it is asked whether one of them fails. Stopping early can afford many; where
/// every row that fails is looked at once more, they should be few.
enum class checked_at_once : std::size_t { when_stopping = 4096, when_counting = 512 };

template <simd::real_vector V>
ALIDADE_FORCE_INLINE typename V::mask in_range(V x, V lower, V upper) noexcept {
  return (lower <= x) & (x <= upper);
}

/// Whether `rows` rows of the columns at p, J vectors wide, are in range.
template <simd::real_vector V, std::size_t... J>
ALIDADE_FORCE_INLINE bool strip_is_valid(std::index_sequence<J...>, const typename V::value_type* p,
                                         std::size_t stride, std::size_t rows,
                                         const typename V::value_type* lower,
                                         const typename V::value_type* upper) noexcept {
  const V low[] = {V::load(lower + J * V::lanes)...}, high[] = {V::load(upper + J * V::lanes)...};
  typename V::mask valid0 = !V::no_lanes(), valid1 = valid0;
  std::size_t r = 0;
  for (; r + 2 <= rows; r += 2) {
    const auto* const row = p + r * stride;
    ((valid0 = valid0 & in_range(V::load(row + J * V::lanes), low[J], high[J])), ...);
    ((valid1 = valid1 & in_range(V::load(row + stride + J * V::lanes), low[J], high[J])), ...);
  }
  if (r < rows) {
    ((valid0 = valid0 & in_range(V::load(p + r * stride + J * V::lanes), low[J], high[J])), ...);
  }
  return !any(!(valid0 & valid1));
}

template <simd::real_vector V>
inline bool rows_are_valid(const typename V::value_type* p, std::size_t rows, std::size_t columns,
                           std::size_t stride, const typename V::value_type* lower,
                           const typename V::value_type* upper) noexcept {
  std::size_t j = 0;
  for (; j + 2 * V::lanes <= columns; j += 2 * V::lanes) {
    if (!strip_is_valid<V>(std::index_sequence<0, 1>{}, p + j, stride, rows, lower + j, upper + j))
      return false;
  }
  if (j + V::lanes <= columns) {
    if (!strip_is_valid<V>(std::index_sequence<0>{}, p + j, stride, rows, lower + j, upper + j)) return false;
    j += V::lanes;
  }
  if (j == columns) return true;
  if (columns >=
      V::lanes) {  // the last columns with some of those before them: to check twice costs less than a part
    j = columns - V::lanes;
    return strip_is_valid<V>(std::index_sequence<0>{}, p + j, stride, rows, lower + j, upper + j);
  }
  // Lanes that are not there are zero in all three, which is in range.
  const V low = V::load_partial(lower, columns), high = V::load_partial(upper, columns);
  typename V::mask valid = !V::no_lanes();
  for (std::size_t r = 0; r < rows; ++r)
    valid = valid & in_range(V::load_partial(p + r * stride, columns), low, high);
  return !any(!valid);
}

/// Short rows one behind the other are one long row, against which bounds repeat: `copies` of them, so that together they
/// are whole vectors.
template <simd::real_vector V>
struct repeated_bounds {
  static constexpr std::size_t most_columns = 64;
  typename V::value_type lower[most_columns * V::lanes], upper[most_columns * V::lanes];
  std::size_t rows;     ///< in one turn
  std::size_t columns;  ///< of these rows together, a multiple of lanes

  static bool pays(std::size_t rows, std::size_t columns, std::size_t stride) noexcept {
    return V::lanes > 1 && stride == columns && columns <= most_columns && columns % V::lanes != 0 &&
           rows >= 4 * V::lanes;
  }

  repeated_bounds(std::size_t width, const typename V::value_type* low,
                  const typename V::value_type* high) noexcept {
    rows = 1;
    while (rows * width % V::lanes != 0) rows *= 2;  // lanes are a power of two
    columns = rows * width;
    for (std::size_t r = 0; r < rows; ++r) {
      std::copy(low, low + width, lower + r * width);
      std::copy(high, high + width, upper + r * width);
    }
  }
};

/// How many elements of a row are out of range.
template <simd::real_vector V>
inline std::size_t violations_in(const typename V::value_type* row, std::size_t columns,
                                 const typename V::value_type* lower,
                                 const typename V::value_type* upper) noexcept {
  const auto count = [](V x, V low, V high, std::size_t seen) {
    return static_cast<std::size_t>(std::popcount(bits(!in_range(x, low, high)) >> seen));
  };
  std::size_t found = 0, j = 0;
  for (; j + V::lanes <= columns; j += V::lanes) {
    found += count(V::load(row + j), V::load(lower + j), V::load(upper + j), 0);
  }
  if (j == columns) return found;
  if (columns < V::lanes) {
    return count(V::load_partial(row, columns), V::load_partial(lower, columns),
                 V::load_partial(upper, columns), 0);
  }
  const std::size_t last = columns - V::lanes;
  return found + count(V::load(row + last), V::load(lower + last), V::load(upper + last), j - last);
}

/// The first element out of range of a row that has one. The last element ends the search even where a compiler that was
/// told there is no NaN (-ffast-math) finds none here.
template <class T>
inline std::size_t first_violation_in(const T* row, std::size_t columns, const T* lower,
                                      const T* upper) noexcept {
  std::size_t j = 0;
  while (j + 1 < columns && lower[j] <= row[j] && row[j] <= upper[j]) ++j;
  return j;
}

/// Calls visit(row, elements) for each row that has elements out of range, in order, until it returns false.
template <simd::real_vector V, class Visit>
inline void check_range(checked_at_once amount, const typename V::value_type* p, std::size_t rows,
                        std::size_t columns, std::size_t stride, const typename V::value_type* lower,
                        const typename V::value_type* upper, Visit visit) noexcept {
  if (columns == 0) return;
  const auto look_at = [&](std::size_t first, std::size_t count) {
    for (std::size_t row = first; row < first + count; ++row) {
      const std::size_t elements = violations_in<V>(p + row * stride, columns, lower, upper);
      if (elements != 0 && !visit(row, elements)) return false;
    }
    return true;
  };
  const std::size_t together = std::max<std::size_t>(8, static_cast<std::size_t>(amount) / columns);
  std::size_t row = 0;
  if (repeated_bounds<V>::pays(rows, columns, stride)) {
    const repeated_bounds<V> bounds(columns, lower, upper);
    const std::size_t turns = std::max<std::size_t>(1, together / bounds.rows);
    while (row + bounds.rows <= rows) {
      const std::size_t now = std::min(turns, (rows - row) / bounds.rows);
      if (!rows_are_valid<V>(p + row * stride, now, bounds.columns, bounds.columns, bounds.lower,
                             bounds.upper) &&
          !look_at(row, now * bounds.rows)) {
        return;
      }
      row += now * bounds.rows;
    }
  }
  while (row < rows) {
    const std::size_t now = std::min(together, rows - row);
    if (!rows_are_valid<V>(p + row * stride, now, columns, stride, lower, upper) && !look_at(row, now))
      return;
    row += now;
  }
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
