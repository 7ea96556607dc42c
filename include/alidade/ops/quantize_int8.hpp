#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <vector>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/ops/detail/aggregation.hpp>
#include <alidade/ops/detail/int8_kernels.hpp>

/// Floats as signed bytes: q = round(x * r + zero_point) with r the float nearest to 1 / scale, ties to even, then cut off at
/// the ends of the range; back: x' = scale * (q - zero_point). Within the range |x - x'| is at most
/// (1/2 + 2^-14) * scale; the zero point of an affine range is rounded too, which may push one end out by half a step more.
/// Codes are the same on every architecture, in the default rounding mode; but 32-bit NEON takes subnormal numbers for
/// zero.
///
/// Parameters are dynamic (`quantize_rows`: of each row, from its extremes) or static (from a calibrator that has seen
/// typical data). NaN and infinity are refused: errc::not_finite, with the number of the row or element. That needs a
/// compiler that honours NaN (not -ffast-math, under which codes of NaN are unspecified); that nothing is accessed out of
/// bounds does not.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {

/// symmetric: codes -127 .. 127 and zero_point 0. affine: codes -128 .. 127, fitted to a range that lies to one side.
enum class int8_scheme { symmetric, affine };

struct int8_parameters {
  float scale = 1;              ///< 2^-126 or more
  std::int32_t zero_point = 0;  ///< the code of 0, exactly
  std::int32_t lowest = -127;   ///< the least code, -127 or -128
};

/// Parameters that cover low .. high and 0; both finite and low <= high (asserted). Of a range of nothing but 0 the scale is
/// 1. Every code leads back to a finite number, also of a range up to the largest float.
inline int8_parameters fit_int8(float low, float high, int8_scheme scheme) noexcept {
  ALIDADE_ASSERT(low <= high && detail::is_finite(low) && detail::is_finite(high));
  const double below = std::min(static_cast<double>(low), 0.0),
               above = std::max(static_cast<double>(high), 0.0);
  int8_parameters fitted;
  if (scheme == int8_scheme::affine) fitted.lowest = -128;
  if (below == above) return fitted;
  const double scale = scheme == int8_scheme::affine ? (above - below) / 255 : std::max(-below, above) / 127;
  fitted.scale = std::max(static_cast<float>(scale), std::numeric_limits<float>::min());
  if (scheme == int8_scheme::affine) {
    const double zero = -128 - below / static_cast<double>(fitted.scale);
    fitted.zero_point = std::clamp(static_cast<std::int32_t>(std::floor(zero + 0.5)), -128, 127);
  }
  // The farthest code from zero may be half a step beyond the range, or a rounding of the scale: not beyond the floats.
  const int reach = std::max(127 - fitted.zero_point, fitted.zero_point - fitted.lowest);
  constexpr float largest = std::numeric_limits<float>::max();
  if (static_cast<double>(fitted.scale) * reach > static_cast<double>(largest)) {
    fitted.scale = static_cast<float>(static_cast<double>(largest) / reach);
    if (static_cast<double>(fitted.scale) * reach > static_cast<double>(largest)) {
      fitted.scale = std::nextafter(fitted.scale, 0.0f);
    }
  }
  return fitted;
}

namespace detail {

template <simd::real_vector V = simd::f32>
inline to_int8<V> converter(const int8_parameters& parameters) noexcept {
  ALIDADE_ASSERT(parameters.scale >= std::numeric_limits<float>::min() && is_finite(parameters.scale));
  ALIDADE_ASSERT(parameters.zero_point >= -128 && parameters.zero_point <= 127);
  return {1.0f / parameters.scale, parameters.zero_point, parameters.lowest};
}

inline std::size_t first_not_finite(std::span<const float> x) noexcept {
  std::size_t i = 0;
  while (i < x.size() && is_finite(x[i])) ++i;
  return i;
}

}  // namespace detail

/// Static quantization: values beyond the range get the nearest code. `out` has as many elements as x (asserted). Returns
/// the number of the first element that is not finite, with the error errc::not_finite and unspecified codes; else the
/// number of elements.
inline std::size_t quantize(std::span<const float> x, const int8_parameters& parameters,
                            std::span<std::int8_t> out, std::error_code& error) noexcept {
  ALIDADE_ASSERT(x.size() == out.size());
  error.clear();
  if (detail::quantize(detail::converter(parameters), x.data(), x.size(), out.data())) return x.size();
  error = make_error_code(errc::not_finite);
  return detail::first_not_finite(x);
}

/// The same; throws alidade::error, whose row() is the number of the element.
inline void quantize(std::span<const float> x, const int8_parameters& parameters,
                     std::span<std::int8_t> out) {
  std::error_code error;
  const std::size_t end = quantize(x, parameters, out, error);
  if (error) alidade::detail::throw_error(error, end);
}

/// Dynamic quantization: each row by parameters of its own, fitted to its extremes. Codes are written without gaps, row i
/// from codes[i * columns] on; `codes` has rows * columns elements and `parameters` one for each row (asserted). Returns the
/// number of the first row that has an element that is not finite, with the error errc::not_finite; codes and parameters
/// of it and of later rows are as they were. Else the number of rows.
inline std::size_t quantize_rows(const matrix_view<float>& rows, int8_scheme scheme,
                                 std::span<std::int8_t> codes, std::span<int8_parameters> parameters,
                                 std::error_code& error) noexcept {
  ALIDADE_ASSERT(codes.size() == rows.rows() * rows.columns() && parameters.size() == rows.rows());
  error.clear();
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const std::span<const float> row = rows[i];
    int8_parameters fitted = fit_int8(0, 0, scheme);
    if (!row.empty()) {
      const auto found = detail::extremes_of(row.data(), row.size());
      if (!detail::is_finite(found.low) || !detail::is_finite(found.high)) {
        error = make_error_code(errc::not_finite);
        return i;
      }
      fitted = fit_int8(found.low, found.high, scheme);
    }
    parameters[i] = fitted;
    detail::quantize(detail::converter(fitted), row.data(), row.size(), codes.data() + i * rows.columns());
  }
  return rows.rows();
}

/// The same; throws alidade::error, whose row() is the number of the row.
inline void quantize_rows(const matrix_view<float>& rows, int8_scheme scheme, std::span<std::int8_t> codes,
                          std::span<int8_parameters> parameters) {
  std::error_code error;
  const std::size_t end = quantize_rows(rows, scheme, codes, parameters, error);
  if (error) alidade::detail::throw_error(error, end);
}

/// out_i = scale * (q_i - zero_point), one rounding. `out` has as many elements as q (asserted).
inline void dequantize(std::span<const std::int8_t> q, const int8_parameters& parameters,
                       std::span<float> out) noexcept {
  ALIDADE_ASSERT(q.size() == out.size());
  detail::dequantize<simd::f32>(parameters.scale, parameters.zero_point, q.data(), q.size(), out.data());
}

/// What quantization has lost.
struct int8_error {
  double max_absolute = 0;  ///< max |x_i - x'_i|
  double rmse = 0;          ///< sqrt(sum (x_i - x'_i)^2 / n)
  /// 10 log10(sum x_i^2 / sum (x_i - x'_i)^2): decibels; +infinity where nothing is lost.
  double sqnr_db = std::numeric_limits<double>::infinity();
};

/// Measured in double precision, over finite numbers x and their codes, as many (asserted). Of nothing there is no error.
inline int8_error measure_int8_error(std::span<const float> x, std::span<const std::int8_t> q,
                                     const int8_parameters& parameters) noexcept {
  ALIDADE_ASSERT(x.size() == q.size());
  int8_error found;
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float back = parameters.scale * static_cast<float>(q[i] - parameters.zero_point);
    const double value = static_cast<double>(x[i]), lost = value - static_cast<double>(back);
    signal += value * value;
    noise += lost * lost;
    found.max_absolute = std::max(found.max_absolute, std::abs(lost));
  }
  if (!x.empty()) found.rmse = std::sqrt(noise / static_cast<double>(x.size()));
  if (noise > 0) found.sqnr_db = 10 * std::log10(signal / noise);
  return found;
}

/// Finds static parameters from the extremes of what it has seen.
class min_max_calibrator {
 public:
  /// Values that are not finite are refused with errc::not_finite, and then none of the call count. Returns the number of
  /// the first such value, or of all.
  std::size_t observe(std::span<const float> x, std::error_code& error) noexcept {
    error.clear();
    const auto found = detail::extremes_of(x.data(), x.size());
    if (!x.empty() && (!detail::is_finite(found.low) || !detail::is_finite(found.high))) {
      error = make_error_code(errc::not_finite);
      return detail::first_not_finite(x);
    }
    low_ = std::min(low_, found.low);
    high_ = std::max(high_, found.high);
    return x.size();
  }

  /// The same; throws alidade::error, whose row() is the number of the value.
  void observe(std::span<const float> x) {
    std::error_code error;
    const std::size_t end = observe(x, error);
    if (error) alidade::detail::throw_error(error, end);
  }

  /// Of nothing seen: as of zeros.
  int8_parameters parameters(int8_scheme scheme) const noexcept {
    return low_ <= high_ ? fit_int8(low_, high_, scheme) : fit_int8(0, 0, scheme);
  }

 private:
  float low_ = std::numeric_limits<float>::infinity();
  float high_ = -std::numeric_limits<float>::infinity();
};

/// Finds static parameters that leave out the farthest values, which a few outliers would otherwise stretch for all others.
/// Percentiles are exact, by nearest rank: of n values the p-th is the ceil(p n / 100)-th smallest (the 0th is the
/// smallest), where p counts as the decimal number that was written. So it keeps what it has seen, four bytes a value.
class percentile_calibrator {
 public:
  /// 50 < p <= 100, else errc::invalid_option. Symmetric ranges reach to the p-th percentile of |x|, affine ones from the
  /// (100 - p)-th of x to the p-th.
  explicit percentile_calibrator(double p) : percentile_(p) {
    if (!valid(p)) alidade::detail::throw_error(make_error_code(errc::invalid_option));
  }
  /// With p out of range 100 is taken.
  percentile_calibrator(double p, std::error_code& error) noexcept : percentile_(valid(p) ? p : 100) {
    error.clear();
    if (!valid(p)) error = make_error_code(errc::invalid_option);
  }

  /// As of min_max_calibrator.
  std::size_t observe(std::span<const float> x, std::error_code& error) {
    error.clear();
    const std::size_t end = detail::first_not_finite(x);
    if (end != x.size()) {
      error = make_error_code(errc::not_finite);
    } else {
      values_.insert(values_.end(), x.begin(), x.end());
    }
    return end;
  }

  void observe(std::span<const float> x) {
    std::error_code error;
    const std::size_t end = observe(x, error);
    if (error) alidade::detail::throw_error(error, end);
  }

  /// In time linear in the number of values, of which it makes a copy.
  int8_parameters parameters(int8_scheme scheme) const {
    if (values_.empty()) return fit_int8(0, 0, scheme);
    std::vector<float> sorted = values_;
    if (scheme == int8_scheme::symmetric) {
      for (float& x : sorted) x = std::abs(x);
      const float reach = select(sorted, rank(percentile_));
      return fit_int8(-reach, reach, scheme);
    }
    const std::size_t upper = rank(percentile_), lower = rank(100 - percentile_);
    const float high = select(sorted, upper), low = select(sorted, lower);
    return fit_int8(low, high, scheme);
  }

 private:
  static bool valid(double p) noexcept { return p > 50 && p <= 100; }

  /// Counted from 0. 55 % of 100 are 55: p n / 100 may be off by as much as is taken off before it is rounded up, of
  /// which one part is the rounding of p itself, another the two here.
  std::size_t rank(double p) const noexcept {
    const double n = static_cast<double>(values_.size());
    const double wanted = std::max(1.0, std::ceil(p * n / 100 - n * 0x1p-51));
    return std::min(static_cast<std::size_t>(wanted), values_.size()) - 1;
  }

  static float select(std::vector<float>& values, std::size_t rank) {
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(values.begin(), place, values.end());
    return *place;
  }

  double percentile_;
  std::vector<float> values_;
};

}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
