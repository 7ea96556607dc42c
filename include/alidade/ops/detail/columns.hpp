#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/moments.hpp>
#include <alidade/ops/detail/numbers.hpp>

/// Sums down the columns of a block of rows, a lane a column: what a column gives does not depend on its neighbours, nor
/// on how wide a register is.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

/// Rows in a block, and rows summed before their sum is added to that of the block: 15 roundings and 15 more.
inline constexpr std::size_t block_rows = 256;
inline constexpr std::size_t short_rows = 16;

/// Vectors side by side: each has four accumulators.
template <class V>
inline constexpr std::size_t strip_vectors = V::registers >= 32 ? 4 : 2;

/// A whole vector, or the first `count` lanes of one.
template <bool Partial, class V>
ALIDADE_FORCE_INLINE V load_lanes(const typename V::value_type* p, std::size_t count) noexcept {
  if constexpr (Partial) return V::load_partial(p, count);
  return V::load(p);
}

/// Sums and extremes of rows > 0 rows; `count` is the number of columns where there are fewer than lanes.
template <bool Partial, simd::real_vector V, std::size_t... J>
inline void column_sums(std::index_sequence<J...>, const typename V::value_type* p, std::size_t stride,
                        std::size_t rows, std::size_t count, typename V::value_type* sums,
                        typename V::value_type* lows, typename V::value_type* highs) noexcept {
  V low[] = {load_lanes<Partial, V>(p + J * V::lanes, count)...};
  V high[] = {low[J]...};
  V sum[] = {(static_cast<void>(J), V::zero())...};
  for (std::size_t row = 0; row < rows; row += short_rows) {
    const std::size_t end = rows - row < short_rows ? rows : row + short_rows;
    V part[] = {(static_cast<void>(J), V::zero())...};
    for (std::size_t r = row; r < end; ++r) {
      const V x[] = {load_lanes<Partial, V>(p + r * stride + J * V::lanes, count)...};
      ((part[J] = part[J] + x[J]), ...);
      ((low[J] = min(low[J], x[J])), ...);
      ((high[J] = max(high[J], x[J])), ...);
    }
    ((sum[J] = sum[J] + part[J]), ...);
  }
  (store(sums + J * V::lanes, sum[J]), ...);
  (store(lows + J * V::lanes, low[J]), ...);
  (store(highs + J * V::lanes, high[J]), ...);
}

/// sum (x - shift) and sum (x - shift)^2.
template <bool Partial, simd::real_vector V, std::size_t... J>
inline void column_squares(std::index_sequence<J...>, const typename V::value_type* p, std::size_t stride,
                           std::size_t rows, std::size_t count, const typename V::value_type* shifts,
                           typename V::value_type* sums, typename V::value_type* squares) noexcept {
  const V shift[] = {V::load(shifts + J * V::lanes)...};
  V sum[] = {(static_cast<void>(J), V::zero())...}, square[] = {(static_cast<void>(J), V::zero())...};
  for (std::size_t row = 0; row < rows; row += short_rows) {
    const std::size_t end = rows - row < short_rows ? rows : row + short_rows;
    V part[] = {(static_cast<void>(J), V::zero())...}, part2[] = {(static_cast<void>(J), V::zero())...};
    for (std::size_t r = row; r < end; ++r) {
      const V x[] = {load_lanes<Partial, V>(p + r * stride + J * V::lanes, count) - shift[J]...};
      ((part[J] = part[J] + x[J]), ...);
      ((part2[J] = rounded(x[J] * x[J]) + part2[J]), ...);
    }
    ((sum[J] = sum[J] + part[J]), ...);
    ((square[J] = square[J] + part2[J]), ...);
  }
  (store(sums + J * V::lanes, sum[J]), ...);
  (store(squares + J * V::lanes, square[J]), ...);
}

/// Sums modulo 2^64 and extremes of rows > 0 rows of integers, V::lanes columns or the first `count` of them.
template <bool Partial, simd::integer_vector V>
inline void column_sums(const typename V::value_type* p, std::size_t stride, std::size_t rows,
                        std::size_t count, std::uint64_t* sums, typename V::value_type* lows,
                        typename V::value_type* highs) noexcept {
  V low = load_lanes<Partial, V>(p, count), high = low;
  typename V::wide_sum sum;
  for (std::size_t r = 0; r < rows; ++r) {
    const V x = load_lanes<Partial, V>(p + r * stride, count);
    sum.add(x);
    low = min(low, x);
    high = max(high, x);
  }
  sum.store(sums, rows);
  store(lows, low);
  store(highs, high);
}

/// sum (x - low)^2 of each column, where those squares fit.
template <bool Partial, simd::integer_vector V>
inline void column_squares(const typename V::value_type* p, std::size_t stride, std::size_t rows,
                           std::size_t count, const typename V::value_type* lows,
                           std::uint64_t* sums) noexcept {
  const V low = V::load(lows);
  typename V::wide_squares squares;
  for (std::size_t r = 0; r < rows; ++r) {
    squares.add(load_lanes<Partial, V>(p + r * stride, count) - low);
  }
  squares.store(sums);
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
