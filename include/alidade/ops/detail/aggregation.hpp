#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/columns.hpp>
#include <alidade/ops/detail/integer_blocks.hpp>
#include <alidade/ops/detail/moments.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/ops/detail/real_blocks.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

template <class T>
struct extreme_pair {
  T low = above_all<T>();
  T high = below_all<T>();
};

template <real_number T>
inline bool has_nan(const T* p, std::size_t n, std::size_t step = 1) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    if (is_nan(p[i * step])) return true;
  }
  return false;
}

/// The sum of a block as a double. Where floats overflow, or have infinity or NaN among them, it is taken with care.
template <real_number T, simd::real_vector V>
inline double safe_block_sum(const T* p, std::size_t n) noexcept {
  const T sum = block_sum<V>(p, n);
  if (sizeof(T) == 4 && !is_finite(sum)) return careful_sum(p, n);
  return static_cast<double>(sum);
}

template <real_number T, simd::real_vector V = vector_of<T>>
inline double sum_of(const T* p, std::size_t n) noexcept {
  compensated_sum total;
  while (n > 0) {
    const std::size_t now = std::min(n, block_length);
    total.add(safe_block_sum<T, V>(p, now));
    p += now;
    n -= now;
  }
  return total.value();
}

template <counter T, simd::integer_vector V = vector_of<T>>
inline std::uint64_t sum_of(const T* p, std::size_t n) noexcept {
  return integers_of<true, false, V>(p, n).sum;
}

template <real_number T, simd::real_vector V = vector_of<T>>
inline double mean_of(const T* p, std::size_t n) noexcept {
  if (n == 0) return std::numeric_limits<double>::quiet_NaN();
  return sum_of<T, V>(p, n) / static_cast<double>(n);
}

/// From a sum of 96 bits, which overflows for no data; of 32-bit integers 64 bits do.
template <counter T, simd::integer_vector V = vector_of<T>>
inline double mean_of(const T* p, std::size_t n) noexcept {
  if (n == 0) return std::numeric_limits<double>::quiet_NaN();
  double sum;
  if constexpr (sizeof(T) == 8) {
    std::int64_t high = 0;
    std::uint64_t low = 0;
    for (std::size_t i = 0; i < n; ++i) {
      high += p[i] >> 32;
      low += static_cast<std::uint64_t>(p[i]) & 0xffffffffu;
    }
    high += static_cast<std::int64_t>(low >> 32);
    sum = static_cast<double>(high) * 0x1p32 + static_cast<double>(low & 0xffffffffu);
  } else {
    sum = integer_as_double<T>(sum_of<T, V>(p, n));
  }
  return sum / static_cast<double>(n);
}

/// The sum of a block tells whether to look for NaN, which comparisons may lose.
template <real_number T, simd::real_vector V = vector_of<T>>
inline extreme_pair<T> extremes_of(const T* p, std::size_t n) noexcept {
  if (n == 0) return {};
  V low = V::broadcast(*p), high = low;
  while (n > 0) {
    const std::size_t now = std::min(n, block_length);
    const T sum = block_sum<V>(p, now, low, high);
    if (is_nan(sum) && has_nan(p, now)) {
      constexpr T nan = std::numeric_limits<T>::quiet_NaN();
      return {nan, nan};
    }
    p += now;
    n -= now;
  }
  return {reduce_min(low), reduce_max(high)};
}

template <counter T, simd::integer_vector V = vector_of<T>>
inline extreme_pair<T> extremes_of(const T* p, std::size_t n) noexcept {
  const integer_block<T> all = integers_of<false, true, V>(p, n);
  return {all.low, all.high};
}

/// Puts together what the blocks of a run, or of a column, have.
template <class T>
class aggregator;

template <real_number T>
class aggregator<T> {
 public:
  template <simd::real_vector V = vector_of<T>>
  void add_run(const T* p, std::size_t n) noexcept {
    while (n > 0) {
      const std::size_t now = std::min(n, block_length);
      V lows = V::broadcast(*p), highs = lows;
      const T sum = block_sum<V>(p, now, lows, highs);
      if (is_finite(sum)) {
        const T low = reduce_min(lows), high = reduce_max(highs);
        const double mean = static_cast<double>(sum) / static_cast<double>(now);
        set_origin(mean);
        add(static_cast<double>(sum), low, high,
            squares_fit(low, high) ? block_deviations<V>(p, now, static_cast<T>(mean))
                                   : careful_deviations(p, now, mean));
      } else {
        add_carefully(p, now, 1);
      }
      p += now;
      n -= now;
    }
  }

  /// `rows` numbers, `stride` apart, of which the sum, the extremes and the sums about a shift are known.
  void add_column(const T* p, std::size_t rows, std::size_t stride, T sum, T low, T high, T shift,
                  T sum_about, T squares) noexcept {
    if (is_finite(sum)) {
      const double mean = static_cast<double>(sum) / static_cast<double>(rows);
      set_origin(mean);
      add(static_cast<double>(sum), low, high,
          squares_fit(low, high) ? deviations{static_cast<double>(shift), rows,
                                              static_cast<double>(sum_about), static_cast<double>(squares)}
                                 : careful_deviations(p, rows, mean, stride));
    } else {
      add_carefully(p, rows, stride);
    }
  }

  template <class Result>
  void finish(Result& out) const noexcept {
    out = {};
    if (moments_.count == 0) return;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const double total = total_.value(), fine_total = fine_total_.value();
    out.count = static_cast<std::size_t>(moments_.count);
    out.sum = nan_ ? nan : total;
    out.min = nan_ ? static_cast<T>(nan) : extremes_.low;
    out.max = nan_ ? static_cast<T>(nan) : extremes_.high;
    out.mean = nan_ ? nan : (is_finite(fine_total) ? fine_total : total) / moments_.count;
    out.squared_deviations = nan_ ? nan : moments_.squares;
  }

 private:
  /// Means of blocks are kept as distances from the first, so that they keep their digits far from zero.
  void set_origin(double mean) noexcept {
    if (moments_.count == 0) origin_ = mean;
  }

  void add(double sum, T low, T high, const deviations& block) noexcept {
    total_.add(sum);
    fine_total_.add(block.total());
    extremes_.low = low < extremes_.low ? low : extremes_.low;
    extremes_.high = extremes_.high < high ? high : extremes_.high;
    moments_.join(block.from(origin_));
  }

  /// A block whose sum is not finite: floats that overflow, infinities, NaN.
  void add_carefully(const T* p, std::size_t n, std::size_t step) noexcept {
    nan_ = nan_ || has_nan(p, n, step);
    extreme_pair<T> found;
    for (std::size_t i = 0; i < n; ++i) {
      const T x = p[i * step];
      found.low = x < found.low ? x : found.low;
      found.high = found.high < x ? x : found.high;
    }
    const double sum = careful_sum(p, n, step), mean = sum / static_cast<double>(n);
    set_origin(mean);
    add(sum, found.low, found.high, careful_deviations(p, n, mean, step));
  }

  compensated_sum total_;
  compensated_sum fine_total_;  ///< for the mean: far from zero sums of floats lose digits of the deviations
  moments moments_;
  double origin_ = 0;
  extreme_pair<T> extremes_;
  bool nan_ = false;
};

template <counter T>
class aggregator<T> {
 public:
  template <simd::integer_vector V = vector_of<T>>
  void add_run(const T* p, std::size_t n) noexcept {
    if (moments_.count == 0 && n > 0) set_origin(*p);
    while (n > 0) {
      const std::size_t now = std::min(n, block_length);
      const integer_block<T> block = integers_of<true, true, V>(p, now);
      add(block, integer_moments<V>(p, now, block, origin_));
      p += now;
      n -= now;
    }
  }

  /// Moments count from the first of int64, so that large counters which differ by little keep their digits.
  void set_origin(T first) noexcept { origin_ = sizeof(T) == 8 ? first : T(0); }
  T origin() const noexcept { return origin_; }

  /// `about_origin` are the moments of x - origin().
  void add(const integer_block<T>& block, const moments& about_origin) noexcept {
    sum_ += block.sum;
    extremes_.low = std::min(extremes_.low, block.low);
    extremes_.high = std::max(extremes_.high, block.high);
    moments_.join(about_origin);
  }

  template <class Result>
  void finish(Result& out) const noexcept {
    out = {};
    if (moments_.count == 0) return;
    out.count = static_cast<std::size_t>(moments_.count);
    out.sum = static_cast<decltype(out.sum)>(sum_);
    out.min = extremes_.low;
    out.max = extremes_.high;
    out.mean = sizeof(T) == 8 ? static_cast<double>(origin_) + moments_.mean
                              : integer_as_double<T>(sum_) / moments_.count;
    out.squared_deviations = moments_.squares;
  }

 private:
  std::uint64_t sum_ = 0;
  moments moments_;
  extreme_pair<T> extremes_;
  T origin_ = 0;
};

/// Vectors * lanes columns at p; of the first `count`, those from `skip` on are written to out.
template <bool Partial, std::size_t Vectors, simd::real_vector V, class Result>
inline void aggregate_strip(const typename V::value_type* p, std::size_t rows, std::size_t stride,
                            std::size_t count, std::size_t skip, Result* out) noexcept {
  using T = typename V::value_type;
  constexpr std::size_t width = Vectors * V::lanes;
  constexpr auto vectors = std::make_index_sequence<Vectors>{};
  aggregator<T> columns[width];
  T sums[width], lows[width], highs[width], shifts[width], deviations[width], squares[width];
  for (std::size_t row = 0; row < rows; row += block_rows) {
    const std::size_t now = std::min(rows - row, block_rows);
    const T* const block = p + row * stride;
    column_sums<Partial, V>(vectors, block, stride, now, count, sums, lows, highs);
    for (std::size_t j = 0; j < width; ++j) {
      shifts[j] = is_finite(sums[j]) ? sums[j] / static_cast<T>(now) : T(0);
    }
    column_squares<Partial, V>(vectors, block, stride, now, count, shifts, deviations, squares);
    for (std::size_t j = skip; j < count; ++j) {
      columns[j].add_column(block + j, now, stride, sums[j], lows[j], highs[j], shifts[j], deviations[j],
                            squares[j]);
    }
  }
  for (std::size_t j = skip; j < count; ++j) columns[j].finish(out[j]);
}

/// sum (x - shift) and sum (x - shift)^2 of each column in double precision, a few rows at a time.
template <simd::real_vector D, std::size_t Width, class T>
inline void widened_squares(const T* p, std::size_t rows, std::size_t stride, std::size_t count,
                            const T* origins, bool near, const double* shifts, double* deviations,
                            double* squares) noexcept {
  constexpr std::size_t few_rows = 64;
  alignas(64) double x[few_rows * Width] = {}, part[Width], part2[Width];
  for (std::size_t first = 0; first < rows; first += few_rows) {
    const std::size_t now = std::min(rows - first, few_rows);
    for (std::size_t r = 0; r < now; ++r) {
      const T* const from = p + (first + r) * stride;
      for (std::size_t j = 0; j < count; ++j) x[r * Width + j] = from_origin(from[j], origins[j], near);
    }
    column_squares<false, D>(std::make_index_sequence<Width / D::lanes>{}, x, Width, now, Width, shifts, part,
                             part2);
    for (std::size_t j = 0; j < count; ++j) {
      deviations[j] += part[j];
      squares[j] += part2[j];
    }
  }
}

/// One vector of integers wide.
template <bool Partial, std::size_t /*Vectors*/, simd::integer_vector V, class Result>
inline void aggregate_strip(const typename V::value_type* p, std::size_t rows, std::size_t stride,
                            std::size_t count, std::size_t skip, Result* out) noexcept {
  using T = typename V::value_type;
  using D = simd::f64;
  constexpr std::size_t width = V::lanes < D::lanes ? D::lanes : V::lanes;
  aggregator<T> columns[V::lanes];
  T origins[V::lanes] = {}, lows[V::lanes], highs[V::lanes];
  for (std::size_t j = 0; j < count && rows > 0; ++j) {
    columns[j].set_origin(p[j]);
    origins[j] = columns[j].origin();
  }
  std::uint64_t sums[V::lanes], exact[V::lanes];
  for (std::size_t row = 0; row < rows; row += block_rows) {
    const std::size_t now = std::min(rows - row, block_rows);
    const T* const block = p + row * stride;
    column_sums<Partial, V>(block, stride, now, count, sums, lows, highs);
    bool near = true, fits = true;
    for (std::size_t j = 0; j < count; ++j) {
      near = near && is_near(lows[j], highs[j], origins[j]);
      fits = fits && squares_are_exact(lows[j], highs[j]);
    }
    if (fits) {
      column_squares<Partial, V>(block, stride, now, count, lows, exact);
      for (std::size_t j = skip; j < count; ++j) {
        columns[j].add({sums[j], lows[j], highs[j]},
                       exact_moments(now, lows[j], origins[j], near, sums[j], exact[j]));
      }
      continue;
    }
    double shifts[width] = {}, deviations[width] = {}, squares[width] = {};
    for (std::size_t j = 0; j < count; ++j) shifts[j] = middle(lows[j], highs[j], origins[j], near);
    widened_squares<D, width>(block, now, stride, count, origins, near, shifts, deviations, squares);
    for (std::size_t j = skip; j < count; ++j) {
      columns[j].add({sums[j], lows[j], highs[j]}, moments::about(shifts[j], now, deviations[j], squares[j]));
    }
  }
  for (std::size_t j = skip; j < count; ++j) columns[j].finish(out[j]);
}

template <class V>
inline constexpr std::size_t strip_vectors_of = 1;
template <simd::real_vector V>
inline constexpr std::size_t strip_vectors_of<V> = strip_vectors<V>;

/// The last columns are taken as a whole vector that overlaps the one before it.
template <class T, class Result, class V = vector_of<T>>
inline void aggregate_columns(const T* p, std::size_t rows, std::size_t columns, std::size_t stride,
                              Result* out) noexcept {
  constexpr std::size_t wide = strip_vectors_of<V>;
  std::size_t j = 0;
  for (; j + wide * V::lanes <= columns; j += wide * V::lanes) {
    aggregate_strip<false, wide, V>(p + j, rows, stride, wide * V::lanes, 0, out + j);
  }
  for (; j + V::lanes <= columns; j += V::lanes) {
    aggregate_strip<false, 1, V>(p + j, rows, stride, V::lanes, 0, out + j);
  }
  if (j == columns) return;
  if (columns < V::lanes) {
    aggregate_strip<true, 1, V>(p, rows, stride, columns, 0, out);
  } else {
    const std::size_t last = columns - V::lanes;
    aggregate_strip<false, 1, V>(p + last, rows, stride, V::lanes, j - last, out + last);
  }
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
