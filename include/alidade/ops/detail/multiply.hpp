#pragma once

#include <algorithm>
#include <cstddef>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/ops/detail/multiply_kernel.hpp>
#include <alidade/ops/detail/numbers.hpp>

/// The loops about the tiles: blocks of A and B are copied together, in the order in which tiles read them (Goto and van de
/// Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34:3, 2008; Van Zee and van de Geijn, "BLIS", ACM
/// TOMS 41:3, 2015).
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

/// A matrix as its first element and its strides: element (i, j) is at data + i * row_stride + j * column_stride.
template <class T>
struct strided {
  const T* data;
  std::size_t row_stride;
  std::size_t column_stride;

  const T* at(std::size_t i, std::size_t j) const noexcept {
    return data + i * row_stride + j * column_stride;
  }
};

/// Rows of A, one behind the other at tiling::depth.
template <simd::real_vector V>
inline void pack_rows(const strided<typename V::value_type>& a, std::size_t rows, std::size_t depth,
                      typename V::value_type* out) noexcept {
  for (std::size_t i = 0; i < rows; ++i, out += tiling<V>::depth) {
    const auto* const row = a.at(i, 0);
    std::copy(row, row + depth, out);
  }
}

/// A panel of B, at most tiling::width columns, filled up with zeros to that width.
template <simd::real_vector V>
inline void pack_panel(const strided<typename V::value_type>& b, std::size_t depth, std::size_t columns,
                       typename V::value_type* out) noexcept {
  using T = typename V::value_type;
  constexpr std::size_t width = tiling<V>::width;
  if (b.column_stride == 1) {
    for (std::size_t k = 0; k < depth; ++k, out += width) {
      const T* const row = b.at(k, 0);
      if (columns == width) {
        for (std::size_t j = 0; j < width; j += V::lanes) store(out + j, V::load(row + j));
      } else {
        std::fill(std::copy(row, row + columns, out), out + width, T(0));
      }
    }
    return;
  }
  for (std::size_t j = 0; j < width; ++j) {
    const T* const column = b.at(0, j < columns ? j : 0);
    for (std::size_t k = 0; k < depth; ++k)
      out[k * width + j] = j < columns ? column[k * b.row_stride] : T(0);
  }
}

/// Memory for packed blocks; those of a few rows need none from the heap.
template <class T>
class pack_buffer {
 public:
  explicit pack_buffer(std::size_t count) {
    if (count > small_count) heap_ = alidade::detail::aligned_bytes(count * sizeof(T));
  }
  T* data() noexcept { return heap_.size() != 0 ? reinterpret_cast<T*>(heap_.data()) : small_; }

 private:
  static constexpr std::size_t small_count = 8192 / sizeof(T);
  alignas(64) T small_[small_count];
  alidade::detail::aligned_bytes heap_;
};

/// C = A B, or C += A B, of m x k and k x n; C's rows are n apart.
template <simd::real_vector V>
inline void multiply(std::size_t m, std::size_t n, std::size_t k, strided<typename V::value_type> a,
                     strided<typename V::value_type> b, typename V::value_type* c, bool add) {
  using T = typename V::value_type;
  using shape = tiling<V>;
  constexpr std::size_t width = shape::width;
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!add) std::fill(c, c + m * n, T(0));
    return;
  }
  // To copy B costs as much as a few rows of C: for fewer, tiles read it where it is, but for a last, narrow panel.
  const bool in_place = b.column_stride == 1 && m <= 2 * shape::rows;
  const std::size_t a_count = std::min(m, shape::block_rows) * shape::depth;
  const std::size_t b_columns = alidade::detail::round_up(std::min(n, shape::block_columns), width);
  pack_buffer<T> buffer(a_count + std::min(k, shape::depth) * (in_place ? width : b_columns));
  T* const rows_of_a = buffer.data();
  T* const panels_of_b = rows_of_a + a_count;

  for (std::size_t column = 0; column < n; column += shape::block_columns) {
    const std::size_t columns = std::min(n - column, shape::block_columns);
    for (std::size_t from = 0; from < k; from += shape::depth) {
      const std::size_t depth = std::min(k - from, shape::depth);
      if (!in_place) {
        for (std::size_t j = 0; j < columns; j += width) {
          pack_panel<V>({b.at(from, column + j), b.row_stride, b.column_stride}, depth,
                        std::min(columns - j, width), panels_of_b + j * depth);
        }
      }
      for (std::size_t row = 0; row < m; row += shape::block_rows) {
        const std::size_t rows = std::min(m - row, shape::block_rows);
        pack_rows<V>({a.at(row, from), a.row_stride, a.column_stride}, rows, depth, rows_of_a);
        for (std::size_t j = 0; j < columns; j += width) {
          const std::size_t now = std::min(columns - j, width);
          const T* panel = panels_of_b + j * depth;
          std::size_t panel_stride = width;
          if (in_place && now == width) {
            panel = b.at(from, column + j);
            panel_stride = b.row_stride;
          } else if (in_place) {
            panel = panels_of_b;
            pack_panel<V>({b.at(from, column + j), b.row_stride, 1}, depth, now, panels_of_b);
          }
          const tile_place<T> to{c + row * n + column + j, n, now, add || from != 0};
          if (now > V::lanes) {
            multiply_panel<V, shape::vectors, shape::rows>(rows_of_a, rows, panel, panel_stride, depth, to);
          } else {
            multiply_panel<V, 1, shape::rows>(rows_of_a, rows, panel, panel_stride, depth, to);
          }
        }
      }
    }
  }
}

/// Products of a vector with rows, `Rows` at a time, two accumulators each.
template <simd::real_vector V, std::size_t... Row>
inline void multiply_rows(std::index_sequence<Row...>, const typename V::value_type* a, std::size_t stride,
                          const typename V::value_type* x, std::size_t n,
                          typename V::value_type* out) noexcept {
  V even[] = {(static_cast<void>(Row), V::zero())...}, odd[] = {(static_cast<void>(Row), V::zero())...};
  std::size_t j = 0;
  for (; j + 2 * V::lanes <= n; j += 2 * V::lanes) {
    const V x0 = V::load(x + j), x1 = V::load(x + j + V::lanes);
    ((even[Row] = multiply_add(V::load(a + Row * stride + j), x0, even[Row])), ...);
    ((odd[Row] = multiply_add(V::load(a + Row * stride + j + V::lanes), x1, odd[Row])), ...);
  }
  if (j + V::lanes <= n) {
    const V x0 = V::load(x + j);
    ((even[Row] = multiply_add(V::load(a + Row * stride + j), x0, even[Row])), ...);
    j += V::lanes;
  }
  if (j < n) {
    const V x0 = V::load_partial(x + j, n - j);
    ((odd[Row] = multiply_add(V::load_partial(a + Row * stride + j, n - j), x0, odd[Row])), ...);
  }
  ((out[Row] = reduce_add(even[Row] + odd[Row])), ...);
}

template <simd::real_vector V>
inline void multiply_vector(std::size_t m, std::size_t n, const typename V::value_type* a, std::size_t stride,
                            const typename V::value_type* x, typename V::value_type* out) noexcept {
  std::size_t i = 0;
  for (; i + 4 <= m; i += 4) {
    multiply_rows<V>(std::make_index_sequence<4>{}, a + i * stride, stride, x, n, out + i);
  }
  for (; i < m; ++i) multiply_rows<V>(std::index_sequence<0>{}, a + i * stride, stride, x, n, out + i);
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
