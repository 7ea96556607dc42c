#pragma once

#include <cstddef>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/moments.hpp>
#include <alidade/ops/detail/numbers.hpp>

/// Sums over a block of real numbers, which are what aggregation is made of. A block is summed in 64 partial sums, number
/// i in the sum i mod 64, which are then added by halves: 0 to 32, 1 to 33 and so on, down to one. That is the order of
/// additions whatever the width of a register is, and nothing is fused, so every architecture gives the same bits.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

inline constexpr std::size_t partial_sums = 64;

/// Numbers in a block: a partial sum makes 15 roundings, the halves 6 more.
inline constexpr std::size_t block_length = 1024;

template <simd::real_vector V, std::size_t... J>
ALIDADE_FORCE_INLINE typename V::value_type sum_by_halves(std::index_sequence<J...>, V* sums) noexcept {
  ((sums[J] = sums[J] + sums[J + sizeof...(J)]), ...);
  if constexpr (sizeof...(J) > 1) {
    return sum_by_halves(std::make_index_sequence<sizeof...(J) / 2>{}, sums);
  } else {
    return reduce_add(sums[0]);
  }
}

template <simd::real_vector V>
inline constexpr std::size_t registers_of_sums = partial_sums / V::lanes;

template <simd::real_vector V>
ALIDADE_FORCE_INLINE typename V::value_type sum_by_halves(V* sums) noexcept {
  return sum_by_halves(std::make_index_sequence<registers_of_sums<V> / 2>{}, sums);
}

/// The partial sums from `first` on, as many as J names registers; what they add is joined to low and high too.
template <bool Extremes, simd::real_vector V, std::size_t... J>
ALIDADE_FORCE_INLINE void add_group(std::index_sequence<J...>, std::size_t first,
                                    const typename V::value_type* p, std::size_t n, V* sums, V& low,
                                    V& high) noexcept {
  V sum[] = {(static_cast<void>(J), V::zero())...};
  V lows[] = {(static_cast<void>(J), low)...}, highs[] = {(static_cast<void>(J), high)...};
  std::size_t i = first;
  for (; i - first + partial_sums <= n; i += partial_sums) {
    // rounded() keeps what was loaded in a register: compilers would load it again for each use.
    const V x[] = {rounded(V::load(p + i + J * V::lanes))...};
    ((sum[J] = sum[J] + x[J]), ...);
    if constexpr (Extremes) {
      ((lows[J] = min(lows[J], x[J])), ...);
      ((highs[J] = max(highs[J], x[J])), ...);
    }
  }
  if (i < n) {
    ((sum[J] = sum[J] + load_within<V>(p, i + J * V::lanes, n)), ...);
    if constexpr (Extremes) {
      const V x[] = {load_within<V>(p, i + J * V::lanes, n, *p)...};
      ((lows[J] = min(lows[J], x[J])), ...);
      ((highs[J] = max(highs[J], x[J])), ...);
    }
  }
  ((sums[J] = sum[J]), ...);
  if constexpr (Extremes) {
    ((low = min(low, lows[J])), ...);
    ((high = max(high, highs[J])), ...);
  }
}

/// As many registers at a time as stay registers: sums alone need one each, extremes two more.
template <simd::real_vector V, std::size_t Most>
inline constexpr std::size_t group = registers_of_sums<V> < Most ? registers_of_sums<V> : Most;

/// The sums of n > 0 numbers, still apart.
template <bool Extremes, simd::real_vector V>
ALIDADE_FORCE_INLINE void add_block(const typename V::value_type* p, std::size_t n, V* sums, V& low,
                                    V& high) noexcept {
  constexpr std::size_t together = group < V, Extremes ? 4 : 8 > ;
  for (std::size_t j = 0; j < registers_of_sums<V>; j += together) {
    add_group<Extremes>(std::make_index_sequence<together>{}, j * V::lanes, p, n, sums + j, low, high);
  }
}

/// The sum of 0 < n <= block_length numbers.
template <simd::real_vector V>
ALIDADE_FORCE_INLINE typename V::value_type block_sum(const typename V::value_type* p,
                                                      std::size_t n) noexcept {
  V sums[registers_of_sums<V>], low, high;
  low = high = V::zero();
  add_block<false>(p, n, sums, low, high);
  return sum_by_halves(sums);
}

/// The sum, and the extremes joined to low and high.
template <simd::real_vector V>
ALIDADE_FORCE_INLINE typename V::value_type block_sum(const typename V::value_type* p, std::size_t n, V& low,
                                                      V& high) noexcept {
  V sums[registers_of_sums<V>];
  add_block<true>(p, n, sums, low, high);
  return sum_by_halves(sums);
}

template <simd::real_vector V, std::size_t... J>
ALIDADE_FORCE_INLINE void add_deviations_of_group(std::index_sequence<J...>, std::size_t first,
                                                  const typename V::value_type* p, std::size_t n,
                                                  typename V::value_type shift, V* sums,
                                                  V* squares) noexcept {
  const V centre = V::broadcast(shift);
  V sum[] = {(static_cast<void>(J), V::zero())...}, square[] = {(static_cast<void>(J), V::zero())...};
  std::size_t i = first;
  for (; i - first + partial_sums <= n; i += partial_sums) {
    const V x[] = {V::load(p + i + J * V::lanes) - centre...};
    ((sum[J] = sum[J] + x[J]), ...);
    ((square[J] = rounded(x[J] * x[J]) + square[J]), ...);
  }
  if (i < n) {
    const V x[] = {load_within<V>(p, i + J * V::lanes, n, shift) - centre...};
    ((sum[J] = sum[J] + x[J]), ...);
    ((square[J] = rounded(x[J] * x[J]) + square[J]), ...);
  }
  ((sums[J] = sum[J]), ...);
  ((squares[J] = square[J]), ...);
}

/// Of 0 < n <= block_length numbers that lie about `shift`.
template <simd::real_vector V>
inline deviations block_deviations(const typename V::value_type* p, std::size_t n,
                                   typename V::value_type shift) noexcept {
  V sums[registers_of_sums<V>], squares[registers_of_sums<V>];
  constexpr std::size_t together = group<V, 4>;
  for (std::size_t j = 0; j < registers_of_sums<V>; j += together) {
    add_deviations_of_group(std::make_index_sequence<together>{}, j * V::lanes, p, n, shift, sums + j,
                            squares + j);
  }
  return {static_cast<double>(shift), n, static_cast<double>(sum_by_halves(sums)),
          static_cast<double>(sum_by_halves(squares))};
}

/// The sum in double precision, which no sum of floats can overflow.
template <class T>
inline double careful_sum(const T* p, std::size_t n, std::size_t step = 1) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(p[i * step]);
  return sum;
}

template <class T>
inline deviations careful_deviations(const T* p, std::size_t n, double shift, std::size_t step = 1) noexcept {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(p[i * step]) - shift;
    sum += x;
    squares += product(x, x);
  }
  return {shift, n, sum, squares};
}

/// Whether squares of deviations in a block of this range neither overflow a float nor lose precision below its least.
template <class T>
inline bool squares_fit(T low, T high) noexcept {
  if constexpr (sizeof(T) == 8) return true;
  const T range = high - low;
  return range == 0 || (range > T(0x1p-40) && range < T(0x1p55));
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
