#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <type_traits>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/ops/detail/aggregation.hpp>

/// Count, sum, mean, extremes and variance of runs of numbers and of the columns of a matrix.
///
/// Runs are anything with std::data() and std::size(); elements are float, double, int32, uint32 or int64, at any alignment.
/// Nothing is allocated, and each element is read from memory once: what needs two passes makes them over a block in
/// cache.
///
/// **Sums** of real numbers are doubles. A block is summed in 64 partial sums, which are then added by halves, and
/// the sums of blocks in double precision with compensation, so that the error does not grow with the length:
/// at most 22 u sum |x_i| with u = 2^-24 for float and 2^-53 for double (columns: 32 u), beside one rounding of the
/// result. `mean` is that sum divided; the mean that `aggregate` and `aggregate_columns` find is at most 24 u (columns:
/// 34 u) times the mean of |x_i - mean| off, and 2^-51 of the mean of |x_i|, so that far from zero it has digits that a
/// sum of floats has not. Sums of float overflow for no data, sums of double as doubles do. Sums of integers are exact
/// where they fit:
/// sums of int32 (as int64) and uint32 (as uint64) up to 2^32 elements, sums of int64 while they are in int64; beyond
/// that they are right modulo 2^64.
///
/// **Variance** is that of two passes, sum (x - mean)^2, over blocks, which are joined by the formula of Chan, Golub and
/// LeVeque (1979). The error of a float variance is at most 40 * 2^-24 of it (columns: 56 * 2^-24), of the others 2^-40
/// of it where the deviations are not lost in the elements' own rounding; deviations of doubles must be within
/// 1e-150 .. 1e150 (or 0).
///
/// **NaN** in the data makes sum, mean, min, max and variance NaN. Infinities without NaN have min and max; their
/// sum and mean are infinite, or NaN where both signs occur, and their variance is NaN. Of zeros of both signs either may be
/// the minimum or maximum.
///
/// **Of nothing** the sum is 0, min is the largest value of the type and max the smallest (of real numbers +inf and -inf),
/// mean and variance are NaN.
///
/// Results are the same bits on every architecture (32-bit NEON takes subnormal floats for zero) but for signs of zero
/// and of NaN. Integer means and variances: likewise.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {

/// In what sums of T are returned: double, int64 or uint64.
template <number T>
using sum_type = std::conditional_t<real_number<T>, double,
                                    std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;

/// What `aggregate` finds.
template <number T>
struct aggregates {
  std::size_t count = 0;
  sum_type<T> sum = 0;
  T min = detail::above_all<T>();
  T max = detail::below_all<T>();
  double mean = std::numeric_limits<double>::quiet_NaN();
  double squared_deviations = 0;  ///< sum (x - mean)^2

  /// Of the elements as a whole population: squared_deviations / count; NaN of nothing.
  double variance() const noexcept { return squared_deviations / static_cast<double>(count); }

  /// Of the population from which the elements are a sample: squared_deviations / (count - 1); NaN of fewer than two.
  double sample_variance() const noexcept {
    return count < 2 ? std::numeric_limits<double>::quiet_NaN()
                     : squared_deviations / static_cast<double>(count - 1);
  }
};

template <number T>
struct extremes {
  T min = detail::above_all<T>();
  T max = detail::below_all<T>();
};

/// sum x_i
template <detail::run R>
inline auto sum(const R& values) noexcept {
  return static_cast<sum_type<detail::element_of<R>>>(
      detail::sum_of(std::data(values), static_cast<std::size_t>(std::size(values))));
}

/// sum x_i / n, in double precision. Of int64 whose sum does not fit it is right too.
template <detail::run R>
inline double mean(const R& values) noexcept {
  return detail::mean_of(std::data(values), static_cast<std::size_t>(std::size(values)));
}

/// The smallest and the largest element.
template <detail::run R>
inline auto min_max(const R& values) noexcept {
  using T = detail::element_of<R>;
  const auto found = detail::extremes_of(std::data(values), static_cast<std::size_t>(std::size(values)));
  return extremes<T>{found.low, found.high};
}

/// sum (x_i - mean)^2 / n
template <detail::run R>
inline double variance(const R& values) noexcept;

/// All of these in one pass over memory.
template <detail::run R>
inline auto aggregate(const R& values) noexcept {
  using T = detail::element_of<R>;
  aggregates<T> result;
  detail::aggregator<T> all;
  all.add_run(std::data(values), static_cast<std::size_t>(std::size(values)));
  all.finish(result);
  return result;
}

template <detail::run R>
inline double variance(const R& values) noexcept {
  return aggregate(values).variance();
}

/// out[j] = the aggregates of column j, over all rows. `out` has as many elements as the matrix has columns.
template <number T>
inline void aggregate_columns(const matrix_view<T>& rows,
                              std::type_identity_t<std::span<aggregates<T>>> out) noexcept {
  ALIDADE_ASSERT(out.size() == rows.columns());
  detail::aggregate_columns(rows.data(), rows.rows(), rows.columns(), rows.stride(), out.data());
}

/// The aggregates of two runs put together: of parts that threads or batches have aggregated.
///
/// The means of parts are doubles, whose rounding adds to the error of the variance v: with e = k 2^-50 max |x_i| after k
/// calls, at most 2 e sqrt v + e^2 more. That is little unless the deviations are small beside the elements: of int64
/// about 1.7e18, e is 1510 for each call, and deviations less than that are lost, which `aggregate` of the whole keeps.
template <number T>
inline aggregates<T> combine(const aggregates<T>& a, const aggregates<T>& b) noexcept {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  aggregates<T> all;
  all.count = a.count + b.count;
  if constexpr (real_number<T>) {
    all.sum = a.sum + b.sum;
  } else {
    all.sum = static_cast<sum_type<T>>(static_cast<std::uint64_t>(a.sum) + static_cast<std::uint64_t>(b.sum));
  }
  // A minimum or maximum that is NaN stays.
  all.min = b.min < a.min || b.min != b.min ? b.min : a.min;
  all.max = a.max < b.max || b.max != b.max ? b.max : a.max;
  detail::moments joined{static_cast<double>(a.count), a.mean, a.squared_deviations};
  joined.join({static_cast<double>(b.count), b.mean, b.squared_deviations});
  all.mean = joined.mean;
  all.squared_deviations = joined.squares;
  return all;
}

}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
