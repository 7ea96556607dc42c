#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/moments.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/ops/detail/real_blocks.hpp>

/// Sums over a block of integers: exact modulo 2^64, so that their order does not matter.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

template <class T>
struct integer_block {
  std::uint64_t sum = 0;  ///< modulo 2^64
  T low = above_all<T>();
  T high = below_all<T>();
};

/// What n numbers have; n >= 0. An addition and a comparison take one cycle, so two of each hide their latency.
template <bool Sum, bool Extremes, simd::integer_vector V>
inline integer_block<typename V::value_type> integers_of(const typename V::value_type* p,
                                                         std::size_t n) noexcept {
  using T = typename V::value_type;
  integer_block<T> result;
  if (n == 0) return result;
  typename V::wide_sum sum0, sum1;
  V low0 = V::broadcast(*p), low1 = low0, high0 = low0, high1 = low0;
  std::uint64_t added0 = 0, added1 = 0;
  std::size_t i = 0;
  for (; i + 2 * V::lanes <= n; i += 2 * V::lanes) {
    const V x = V::load(p + i), y = V::load(p + i + V::lanes);
    if constexpr (Sum) {
      sum0.add(x);
      sum1.add(y);
    }
    if constexpr (Extremes) {
      low0 = min(low0, x);
      low1 = min(low1, y);
      high0 = max(high0, x);
      high1 = max(high1, y);
    }
  }
  added0 = added1 = i / (2 * V::lanes);
  for (; i < n; i += V::lanes) {
    if constexpr (Sum) sum0.add(load_within<V>(p, i, n));
    if constexpr (Extremes) {
      const V x = load_within<V>(p, i, n, *p);
      low0 = min(low0, x);
      high0 = max(high0, x);
    }
    ++added0;
  }
  if constexpr (Sum) {
    std::uint64_t sums[2][V::lanes];
    sum0.store(sums[0], added0);
    sum1.store(sums[1], added1);
    for (std::size_t j = 0; j < V::lanes; ++j) result.sum += sums[0][j] + sums[1][j];
  }
  if constexpr (Extremes) {
    T lows[V::lanes], highs[V::lanes];
    store(lows, min(low0, low1));
    store(highs, max(high0, high1));
    for (std::size_t j = 0; j < V::lanes; ++j) {
      result.low = lows[j] < result.low ? lows[j] : result.low;
      result.high = result.high < highs[j] ? highs[j] : result.high;
    }
  }
  return result;
}

/// A sum of T modulo 2^64 as the number that it is, when it fits.
template <class T>
inline double integer_as_double(std::uint64_t sum) noexcept {
  return T(-1) < T(0) ? static_cast<double>(static_cast<std::int64_t>(sum)) : static_cast<double>(sum);
}

/// x - origin in double precision: of 32-bit integers exact; of int64 rounded once where both extremes of the data are
/// within 2^62 of the origin (`near`), else x and origin are rounded first.
template <class T>
inline double from_origin(T x, T origin, bool near) noexcept {
  if constexpr (sizeof(T) == 8) {
    if (near) return static_cast<double>(static_cast<T>(x - origin));
  }
  return static_cast<double>(x) - static_cast<double>(origin);
}

template <class T>
inline bool is_near(T low, T high, T origin) noexcept {
  constexpr double limit = 0x1p62;
  return static_cast<double>(high) - static_cast<double>(origin) < limit &&
         static_cast<double>(origin) - static_cast<double>(low) < limit;
}

/// A shift good enough for a block of doubles: about the middle of the range squares are at most block_length / 2 times
/// those about the mean, which costs 9 bits of 53.
template <class T>
inline double middle(T low, T high, T origin, bool near) noexcept {
  return 0.5 * from_origin(low, origin, near) + 0.5 * from_origin(high, origin, near);
}

/// Whether the squares of x - low add up to less than 2^64 over a block: block_length * (2^27)^2.
template <class T>
inline bool squares_are_exact(T low, T high) noexcept {
  return static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) < (std::uint64_t{1} << 27);
}

/// From sum x modulo 2^64 and sum (x - low)^2 of n integers; both are exact.
template <class T>
inline moments exact_moments(std::size_t n, T low, T origin, bool near, std::uint64_t sum,
                             std::uint64_t squares) noexcept {
  const std::uint64_t above_low = sum - static_cast<std::uint64_t>(low) * n;
  return moments::about(from_origin(low, origin, near), n, static_cast<double>(above_low),
                        static_cast<double>(squares));
}

/// sum (x - low)^2 of n > 0 integers.
template <simd::integer_vector V>
inline std::uint64_t squares_above(const typename V::value_type* p, std::size_t n,
                                   typename V::value_type low) noexcept {
  const V lowest = V::broadcast(low);
  typename V::wide_squares squares0, squares1;
  std::size_t i = 0;
  for (; i + 2 * V::lanes <= n; i += 2 * V::lanes) {
    squares0.add(V::load(p + i) - lowest);
    squares1.add(V::load(p + i + V::lanes) - lowest);
  }
  for (; i < n; i += V::lanes) squares0.add(load_within<V>(p, i, n, low) - lowest);
  std::uint64_t sums[2][V::lanes], all = 0;
  squares0.store(sums[0]);
  squares1.store(sums[1]);
  for (std::size_t j = 0; j < V::lanes; ++j) all += sums[0][j] + sums[1][j];
  return all;
}

/// Moments of x - origin over 0 < n <= block_length integers: by integers where their squares fit, else by doubles.
template <simd::integer_vector V, simd::real_vector D = simd::f64>
inline moments integer_moments(const typename V::value_type* p, std::size_t n,
                               const integer_block<typename V::value_type>& block,
                               typename V::value_type origin) noexcept {
  const bool near = is_near(block.low, block.high, origin);
  if (squares_are_exact(block.low, block.high)) {
    return exact_moments(n, block.low, origin, near, block.sum, squares_above<V>(p, n, block.low));
  }
  alignas(64) double x[block_length];
  for (std::size_t i = 0; i < n; ++i) x[i] = from_origin(p[i], origin, near);
  return block_deviations<D>(x, n, middle(block.low, block.high, origin, near)).from(0.0);
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
