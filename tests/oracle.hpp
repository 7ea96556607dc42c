#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <alidade/core/half.hpp>

/// Distances as the formulas say, in twice the precision of a double: unevaluated sums of two doubles (Dekker, A
/// floating-point technique for extending the available precision, 1971).
namespace test {

class double_double {
 public:
  double_double() = default;
  double_double(double x) : high_(x) {}

  static double_double product(double a, double b) {
    const double high = a * b;
    return {high, std::fma(a, b, -high)};
  }
  friend double_double operator+(double_double a, double_double b) {
    const double sum = a.high_ + b.high_, part = sum - a.high_;
    const double error = (a.high_ - (sum - part)) + (b.high_ - part);
    const double low = error + a.low_ + b.low_, high = sum + low;
    return {high, low - (high - sum)};
  }
  friend double_double operator-(double_double a, double_double b) {
    return a + double_double(-b.high_, -b.low_);
  }
  friend double_double operator*(double_double a, double_double b) {
    return product(a.high_, b.high_) + double_double(a.high_ * b.low_ + a.low_ * b.high_);
  }
  friend double_double abs(double_double a) { return a.high_ < 0 ? double_double(-a.high_, -a.low_) : a; }
  double value() const { return high_ + low_; }

 private:
  double_double(double high, double low) : high_(high), low_(low) {}
  double high_ = 0;
  double low_ = 0;
};

template <class T>
double to_double(T x) {
  if constexpr (std::is_same_v<T, alidade::f16> || std::is_same_v<T, alidade::bf16>) {
    return static_cast<double>(static_cast<float>(x));
  } else {
    return static_cast<double>(x);
  }
}

/// The exact values of all distances of two vectors of numbers, and the sums of their terms' sizes.
struct exact {
  double l2 = 0, ip = 0, ip_size = 0, l1 = 0, chebyshev = 0, cosine = 1;

  template <class T>
  exact(std::span<const T> a, std::span<const T> b) {
    double_double l2_sum, ip_sum, size_sum, l1_sum, aa, bb;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = to_double(a[i]), y = to_double(b[i]);
      const double_double difference = double_double(x) - double_double(y);
      const double_double product = double_double::product(x, y);
      l2_sum = l2_sum + difference * difference;
      ip_sum = ip_sum + product;
      size_sum = size_sum + abs(product);
      l1_sum = l1_sum + abs(difference);
      chebyshev = std::fmax(chebyshev, abs(difference).value());
      aa = aa + double_double::product(x, x);
      bb = bb + double_double::product(y, y);
    }
    l2 = l2_sum.value();
    ip = ip_sum.value();
    ip_size = size_sum.value();
    l1 = l1_sum.value();
    if (aa.value() > 0 && bb.value() > 0) cosine = 1 - ip / (std::sqrt(aa.value()) * std::sqrt(bb.value()));
  }
};

}  // namespace test
