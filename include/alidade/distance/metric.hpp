#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/distance/distance.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What an index ranks by: a copyable function object over two vectors of equal length whose result is a distance,
/// smaller is nearer. The result is `std::int32_t` or `std::uint32_t`, which are kept exactly, or converts to `float`;
/// an index takes NaN for infinity. It must not throw, nor may its optional members; it depends on nothing but its
/// arguments and the object's own constants, and may be called from several threads at once. Symmetry is assumed, up to
/// rounding; the triangle inequality is not.
///
/// A metric may do better with optional members, which the built-in ones have:
/// - `bool prepare(std::span<const T> in, std::span<T> out) const`: the form that the index stores; false refuses the
///   vector (alidade::errc::zero_norm). Queries are prepared alike.
/// - `void many(const T* query, const T* const* rows, std::size_t count, std::size_t n, D* out) const`: distances of
///   one prepared vector to many. Here n may exceed the dimension: vectors are padded with zeros to whole vector
///   registers, so that no loop needs a tail.
/// - `template <class T> static constexpr std::size_t max_dimension`: up to which its results are right; an index refuses
///   more (alidade::errc::invalid_option).
/// - `static constexpr std::string_view name`: at most 31 characters by which files say what they were ranked by; an index under
///   a metric without a name is not written to a file.
/// - `using pruning_metric = ...`: another metric over the same stored form, default constructible, in which a graph's
///   edges are pruned. The rule compares distances between three points, which means little where, as under the inner
///   product, a point is not nearest to itself.
template <class Metric, class T>
concept metric = std::copy_constructible<Metric> &&
    requires(const Metric& distance, std::span<const T> a, std::span<const T> b) {
  { distance(a, b) } -> std::convertible_to<float>;
};

namespace detail {

/// Of any index: a row of a million floats is 4 MB.
inline constexpr std::size_t max_dimension = std::size_t{1} << 20;

template <class Result>
using distance_of =
    std::conditional_t<std::is_same_v<Result, std::int32_t> || std::is_same_v<Result, std::uint32_t>, Result,
                       float>;

}  // namespace detail

/// The type in which distances of a metric over vectors of T are kept: float, std::int32_t or std::uint32_t.
template <class Metric, class T>
requires metric<Metric, T>
using distance_type = detail::distance_of<
    std::remove_cvref_t<std::invoke_result_t<const Metric&, std::span<const T>, std::span<const T>>>>;

namespace detail {

/// Lengths up to which a reduction's result is right.
template <class R>
inline constexpr std::size_t max_length = [] {
  if constexpr (requires { R::max_length; }) {
    return std::min(R::max_length, max_dimension);
  } else {
    return max_dimension;
  }
}();

/// Integers modulo 2^32, like the sums that they come from.
template <class D>
D negative_of(D x) noexcept {
  if constexpr (std::is_integral_v<D>) {
    return static_cast<D>(0u - static_cast<std::uint32_t>(x));
  } else {
    return -x;
  }
}

/// A metric whose distance is a reduction, or its negative.
template <class Distance, class Policy, bool Negative = false>
struct reduction_metric {
  template <class T>
  using reduction = typename Distance::template reduction<T, Policy>;

  // The negative of an unsigned product is kept in 31 bits.
  template <class T>
  static constexpr std::size_t max_dimension = max_length<reduction<T>> /
                                               (Negative && std::is_same_v<T, std::uint8_t> ? 2 : 1);

  template <class A, class B>
  requires vectors_of_one_type<A, B> && defined_for<Distance, element_of<A>>
  auto operator()(const A& a, const B& b) const noexcept {
    const auto result = distance_function<Distance>{}(Policy{}, a, b);
    if constexpr (!Negative) {
      return result;
    } else if constexpr (std::is_integral_v<decltype(result)>) {
      return negative_of(static_cast<std::int32_t>(result));
    } else {
      return -result;
    }
  }

  /// As the call, of one vector and many.
  template <class T, class D>
  requires defined_for<Distance, T>
  void distances(const T* a, const T* const* rows, std::size_t count, std::size_t n, D* out) const noexcept {
    reduce_many<reduction<T>>(a, rows, count, n, out);
    if constexpr (Negative) {
      for (std::size_t j = 0; j < count; ++j) out[j] = negative_of(out[j]);
    }
  }

  template <class T, class D>
  requires defined_for<Distance, T>
  void many(const T* query, const T* const* rows, std::size_t count, std::size_t n, D* out) const noexcept {
    distances(query, rows, count, n, out);
    if constexpr (Negative && std::is_same_v<D, float>) {
      // Products of both signs that overflow have no sum: such rows are as far as can be.
      for (std::size_t j = 0; j < count; ++j) out[j] = nan_to_infinity(out[j]);
    }
  }
};

/// Makes a vector one of length 1, component by component. The sums are taken in one order on every architecture.
template <class T>
class to_unit_length {
 public:
  explicit to_unit_length(std::span<const T> in) noexcept : scale_(half_scale_of(in.data(), in.size())) {
    double sums[4] = {};
    for (std::size_t i = 0; i < in.size(); ++i) {
      const double x = static_cast<double>(in[i]) * scale_ * scale_;
      double square = x * x;
      ALIDADE_KEEP_SCALAR(square);
      sums[i % 4] += square;
    }
    const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    if (sum > 0) factor_ = 1.0 / std::sqrt(sum);
  }

  /// Whether the vector has a direction.
  explicit operator bool() const noexcept { return factor_ > 0; }
  double operator()(T x) const noexcept { return static_cast<double>(x) * scale_ * scale_ * factor_; }

 private:
  double scale_;
  double factor_ = 0;
};

/// Divides by the norm; false when that is zero.
template <class T>
bool normalise(std::span<const T> in, std::span<T> out) noexcept {
  const to_unit_length<T> unit(in);
  if (!unit) return false;
  for (std::size_t i = 0; i < in.size(); ++i) out[i] = static_cast<T>(unit(in[i]));
  return true;
}

template <class Policy>
struct cosine_metric : reduction_metric<cosine_of, Policy> {
  template <class T>
  static constexpr bool normalised = std::is_same_v<T, float> || std::is_same_v<T, double>;

  template <class T>
  requires defined_for<cosine_of, T>
  bool prepare(std::span<const T> in, std::span<T> out) const noexcept {
    if constexpr (normalised<T>) {
      return normalise(in, out);
    } else {
      bool zero = true;
      for (std::size_t i = 0; i < in.size(); ++i) {
        out[i] = in[i];
        if constexpr (real_element<T>) {
          zero = zero && (in[i].bits & 0x7fffu) == 0;
        } else {
          zero = zero && in[i] == 0;
        }
      }
      return !zero;
    }
  }

  template <class T, class D>
  requires defined_for<cosine_of, T>
  void many(const T* query, const T* const* rows, std::size_t count, std::size_t n, D* out) const noexcept {
    if constexpr (normalised<T>) {
      reduce_many<inner_product_of::reduction<T, Policy>>(query, rows, count, n, out);
      for (std::size_t j = 0; j < count; ++j) out[j] = std::clamp(1.0f - out[j], 0.0f, 2.0f);
    } else {
      reduce_many<cosine_of::reduction<T, Policy>>(query, rows, count, n, out);
    }
  }
};

}  // namespace detail

/// The metrics, over every element type for which their function in distance.hpp is defined. Distances between doubles
/// are kept as floats by an index.
namespace metrics {

/// Squared Euclidean distance.
struct l2_squared : detail::reduction_metric<detail::l2_squared_of, fast_policy> {
  static constexpr std::string_view name = "l2_squared";
};

/// Negative inner product, so that the largest product comes first. Of bytes it is an exact std::int32_t, right up to
/// dimension 33,025 of unsigned ones (255 * 255 * 33,025 < 2^31) and 131,071 of signed ones.
struct inner_product : detail::reduction_metric<detail::inner_product_of, fast_policy, true> {
  static constexpr std::string_view name = "inner_product";
  using pruning_metric = l2_squared;
};

/// Cosine distance, 1 - cos, in [0, 2]. An index stores floats and doubles divided by their norms, so a distance costs as
/// much as an inner product; other types are stored as they are. A vector of norm zero is refused.
struct cosine : detail::cosine_metric<fast_policy> {
  static constexpr std::string_view name = "cosine";
};

/// Manhattan distance.
struct l1 : detail::reduction_metric<detail::l1_of, fast_policy> {
  static constexpr std::string_view name = "l1";
};

/// Chebyshev distance.
struct chebyshev : detail::reduction_metric<detail::chebyshev_of, fast_policy> {
  static constexpr std::string_view name = "chebyshev";
};

/// Hamming distance of packed bits; dimensions count bytes.
struct hamming : detail::reduction_metric<detail::hamming_of, fast_policy> {
  static constexpr std::string_view name = "hamming";
};

/// Jaccard distance of packed bits; dimensions count bytes.
struct jaccard : detail::reduction_metric<detail::jaccard_of, fast_policy> {
  static constexpr std::string_view name = "jaccard";
};

/// A metric whose distances are the same, bit for bit, on every architecture but 32-bit NEON, which flushes subnormal numbers
/// (reproducible_policy), and so is a graph that is built with it. Some always are.
template <class Metric>
struct reproducible;

template <>
struct reproducible<l2_squared> : detail::reduction_metric<detail::l2_squared_of, reproducible_policy> {
  static constexpr std::string_view name = "reproducible l2_squared";
};
template <>
struct reproducible<inner_product>
    : detail::reduction_metric<detail::inner_product_of, reproducible_policy, true> {
  static constexpr std::string_view name = "reproducible inner_product";
  using pruning_metric = reproducible<l2_squared>;
};
template <>
struct reproducible<cosine> : detail::cosine_metric<reproducible_policy> {
  static constexpr std::string_view name = "reproducible cosine";
};
template <>
struct reproducible<l1> : detail::reduction_metric<detail::l1_of, reproducible_policy> {
  static constexpr std::string_view name = "reproducible l1";
};
template <>
struct reproducible<chebyshev> : chebyshev {};
template <>
struct reproducible<hamming> : hamming {};
template <>
struct reproducible<jaccard> : jaccard {};

}  // namespace metrics

/// What the kernel of a metric over vectors of T was chosen for in this translation unit: the name of the instruction that
/// does the work (as an assembler spells it, for x86 without AVX's v where both forms are meant), or the architecture's
/// where that needs none of its own. For tests and reports.
template <class Metric, class T>
requires requires { typename Metric::template reduction<T>; }
constexpr const char* kernel_instruction() noexcept { return Metric::template reduction<T>::instruction; }

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
