// The loops that one would write without a library, left to the compiler: -O3 and the flags of this build, no fast-math.
#include "kernel_set.hpp"

#include <alidade/core/half.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace bench {
namespace {

/// What one computes in: float for the halves, 32-bit integers for bytes.
template <class T>
using wide = std::conditional_t<std::is_same_v<T, double>, double,
                                std::conditional_t<std::is_integral_v<T>, std::int32_t, float>>;

struct l2 {
  template <class T>
  wide<T> operator()(const T* a, const T* b, std::size_t n) const {
    wide<T> sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto difference = static_cast<wide<T>>(a[i]) - static_cast<wide<T>>(b[i]);
      sum += difference * difference;
    }
    return sum;
  }
};

struct ip {
  template <class T>
  wide<T> operator()(const T* a, const T* b, std::size_t n) const {
    wide<T> sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<wide<T>>(a[i]) * static_cast<wide<T>>(b[i]);
    return sum;
  }
};

struct cosine {
  template <class T>
  auto operator()(const T* a, const T* b, std::size_t n) const {
    using real = std::conditional_t<std::is_same_v<T, double>, double, float>;
    wide<T> ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto x = static_cast<wide<T>>(a[i]), y = static_cast<wide<T>>(b[i]);
      ab += x * y;
      aa += x * x;
      bb += y * y;
    }
    return real(1) - static_cast<real>(ab) / std::sqrt(static_cast<real>(aa) * static_cast<real>(bb));
  }
};

struct l1 {
  template <class T>
  wide<T> operator()(const T* a, const T* b, std::size_t n) const {
    wide<T> sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += std::abs(static_cast<wide<T>>(a[i]) - static_cast<wide<T>>(b[i]));
    }
    return sum;
  }
};

struct chebyshev {
  template <class T>
  wide<T> operator()(const T* a, const T* b, std::size_t n) const {
    wide<T> largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const wide<T> distance = std::abs(static_cast<wide<T>>(a[i]) - static_cast<wide<T>>(b[i]));
      largest = largest < distance ? distance : largest;
    }
    return largest;
  }
};

struct hamming {
  int operator()(const std::uint8_t* a, const std::uint8_t* b, std::size_t n) const {
    int sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += std::popcount(static_cast<std::uint8_t>(a[i] ^ b[i]));
    return sum;
  }
};

struct jaccard {
  float operator()(const std::uint8_t* a, const std::uint8_t* b, std::size_t n) const {
    int common = 0, all = 0;
    for (std::size_t i = 0; i < n; ++i) {
      common += std::popcount(static_cast<std::uint8_t>(a[i] & b[i]));
      all += std::popcount(static_cast<std::uint8_t>(a[i] | b[i]));
    }
    return all == 0 ? 0.0F : 1.0F - static_cast<float>(common) / static_cast<float>(all);
  }
};

template <class T>
kernel_sweep kernel_of(metric distance) {
  switch (distance) {
    case metric::l2:
      return sweep_pairs<T, l2>;
    case metric::ip:
      return sweep_pairs<T, ip>;
    case metric::cosine:
      return sweep_pairs<T, cosine>;
    case metric::l1:
      return sweep_pairs<T, l1>;
    case metric::chebyshev:
      return sweep_pairs<T, chebyshev>;
    default:
      return nullptr;
  }
}

kernel_sweep kernel_of_bits(metric distance) {
  if (distance == metric::hamming) return sweep_pairs<std::uint8_t, hamming>;
  if (distance == metric::jaccard) return sweep_pairs<std::uint8_t, jaccard>;
  return nullptr;
}

}  // namespace

/// A loop over rows of such loops is what one would write for the form many, too.
kernel_sweep plain_kernel(const kernel_id& id) {
  switch (id.type) {
    case element::f32:
      return kernel_of<float>(id.distance);
    case element::f64:
      return kernel_of<double>(id.distance);
    case element::f16:
      return kernel_of<alidade::f16>(id.distance);
    case element::bf16:
      return kernel_of<alidade::bf16>(id.distance);
    case element::i8:
      return kernel_of<std::int8_t>(id.distance);
    case element::u8:
      return kernel_of<std::uint8_t>(id.distance);
    case element::bits:
      break;
  }
  return kernel_of_bits(id.distance);
}

}  // namespace bench
