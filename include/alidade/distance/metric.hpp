#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
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

namespace metrics {

/// Squared Euclidean distance, of floats or, exactly, of bytes (up to 66,051 of them).
struct l2_squared {
  template <class T>
  static constexpr std::size_t max_dimension =
      std::is_same_v<T, std::uint8_t> ? 66'051 : detail::max_dimension;

  template <class T>
  requires std::same_as<T, float> || std::same_as<T, std::uint8_t>
  auto operator()(std::span<const T> a, std::span<const T> b) const noexcept {
    return alidade::l2_squared(a, b);
  }

  template <class T, class D>
  void many(const T* query, const T* const* rows, std::size_t count, std::size_t n, D* out) const noexcept {
    detail::reduce_many<detail::squared_difference_step>(query, rows, count, n, out);
  }
};

/// Negative inner product, so that the largest product comes first. Of bytes it is an exact std::int32_t, right up to
/// dimension 33,025 (255 * 255 * 33,025 < 2^31).
struct inner_product {
  using pruning_metric = l2_squared;

  template <class T>
  static constexpr std::size_t max_dimension =
      std::is_same_v<T, std::uint8_t> ? 33'025 : detail::max_dimension;

  template <class T>
  requires std::same_as<T, float> || std::same_as<T, std::uint8_t>
  auto operator()(std::span<const T> a, std::span<const T> b) const noexcept {
    if constexpr (std::same_as<T, float>) {
      return -alidade::inner_product(a, b);
    } else {
      return -static_cast<std::int32_t>(alidade::inner_product(a, b));
    }
  }

  template <class T, class D>
  void many(const T* query, const T* const* rows, std::size_t count, std::size_t n, D* out) const noexcept {
    if constexpr (std::same_as<T, float>) {
      detail::reduce_many<detail::product_step>(query, rows, count, n, out);
      // Products of both signs that overflow have no sum: such rows are as far as can be.
      for (std::size_t j = 0; j < count; ++j) out[j] = detail::nan_to_infinity(-out[j]);
    } else {
      for (std::size_t j = 0; j < count; ++j) {
        out[j] = -static_cast<D>(detail::reduce<detail::product_step>(query, rows[j], n));
      }
    }
  }
};

/// Cosine distance, 1 - cos, in [0, 2]. An index stores vectors divided by their norms, so a distance costs as much as
/// an inner product; a vector of norm zero is refused.
struct cosine {
  float operator()(std::span<const float> a, std::span<const float> b) const noexcept {
    return alidade::cosine(a, b);
  }

  bool prepare(std::span<const float> in, std::span<float> out) const noexcept {
    double sum = 0;
    for (const float x : in) sum += static_cast<double>(x) * x;
    if (!(sum > 0)) return false;
    const double scale = 1.0 / std::sqrt(sum);
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = static_cast<float>(in[i] * scale);
    return true;
  }

  void many(const float* query, const float* const* rows, std::size_t count, std::size_t n,
            float* out) const noexcept {
    detail::reduce_many<detail::product_step>(query, rows, count, n, out);
    for (std::size_t j = 0; j < count; ++j) out[j] = std::clamp(1.0f - out[j], 0.0f, 2.0f);
  }
};

}  // namespace metrics

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
