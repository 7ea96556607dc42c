#pragma once

#include <cstddef>

#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/numbers.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

/// Adds doubles with the rounding errors of the additions kept apart (Neumaier, ZAMM 54, 1974): the error of n additions
/// is 2^-53 |sum| + n^2 2^-105 sum |x| at most. Infinity and NaN come out as of a plain sum.
class compensated_sum {
 public:
  void add(double x) noexcept {
    const double sum = sum_ + x;
    const bool larger = (sum_ < 0 ? -sum_ : sum_) >= (x < 0 ? -x : x);
    error_ += larger ? (sum_ - sum) + x : (x - sum) + sum_;
    sum_ = sum;
  }
  double value() const noexcept { return is_finite(sum_) ? sum_ + error_ : sum_; }

 private:
  double sum_ = 0;
  double error_ = 0;
};

/// Mean and sum of squared deviations from it, of parts that are joined by the update of Chan, Golub and LeVeque
/// ("Updating formulae and a pairwise algorithm for computing sample variances", 1979).
struct moments {
  double count = 0;
  double mean = 0;
  double squares = 0;  ///< sum (x - mean)^2

  void join(const moments& other) noexcept {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;
      return;
    }
    const double all = count + other.count, difference = other.mean - mean;
    const double share = other.count / all;
    squares = (squares + other.squares) + product(product(difference, difference), product(count, share));
    mean = mean + product(difference, share);
    count = all;
  }

  /// Of `n` numbers that lie about `shift`, of which sum (x - shift) and sum (x - shift)^2 are given. The first corrects
  /// the second for a shift that is not quite the mean (Chan, Golub and LeVeque, The American Statistician 37, 1983).
  static moments about(double shift, std::size_t n, double sum, double sum_of_squares) noexcept {
    const double count = static_cast<double>(n), offset = sum / count;
    const double squares = sum_of_squares - product(sum, offset);
    return {count, shift + offset, squares < 0 ? 0 : squares};
  }
};

/// What `count` numbers x that lie about `shift` have: sum (x - shift) and sum (x - shift)^2.
struct deviations {
  double shift;
  std::size_t count;
  double sum;
  double squares;

  /// Moments of x - origin.
  moments from(double origin) const noexcept { return moments::about(shift - origin, count, sum, squares); }

  /// sum x, which keeps the digits that x - shift has.
  double total() const noexcept { return product(shift, static_cast<double>(count)) + sum; }
};

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
