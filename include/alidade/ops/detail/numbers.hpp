#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <type_traits>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/element_of.hpp>
#include <alidade/simd/int_vec.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {

template <class T>
concept real_number = std::same_as<T, float> || std::same_as<T, double>;

template <class T>
concept counter =
    std::same_as<T, std::int32_t> || std::same_as<T, std::uint32_t> || std::same_as<T, std::int64_t>;

/// What can be aggregated: float, double, int32, uint32, int64.
template <class T>
concept number = real_number<T> || counter<T>;

namespace detail {

using alidade::detail::bit_cast;
using alidade::detail::element_of;
using alidade::detail::is_finite;
using alidade::detail::is_nan;

/// Anything with std::data() and std::size() whose elements can be aggregated.
template <class R>
concept run = requires(const R& r) {
  { std::size(r) } -> std::convertible_to<std::size_t>;
  requires number<element_of<R>>;
};

template <class T>
struct native_vector;
template <>
struct native_vector<float> {
  using type = simd::f32;
};
template <>
struct native_vector<double> {
  using type = simd::f64;
};
template <>
struct native_vector<std::int32_t> {
  using type = simd::i32;
};
template <>
struct native_vector<std::uint32_t> {
  using type = simd::u32;
};
template <>
struct native_vector<std::int64_t> {
  using type = simd::i64;
};

/// The vector of this architecture that holds elements T.
template <class T>
using vector_of = typename native_vector<T>::type;

/// a * b, rounded before anything is added to it: no architecture fuses it.
inline double product(double a, double b) noexcept {
  double x = a * b;
  ALIDADE_KEEP_SCALAR(x);
  return x;
}

/// What `min` of nothing is, and `max` of nothing.
template <class T>
constexpr T above_all() noexcept {
  if constexpr (real_number<T>) return std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::max();
}
template <class T>
constexpr T below_all() noexcept {
  if constexpr (real_number<T>) return -std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::lowest();
}

/// The first `count` < lanes numbers at p, the other lanes `fill`; nothing past p + count is read.
template <class V>
inline V load_padded(const typename V::value_type* p, std::size_t count,
                     typename V::value_type fill) noexcept {
  alignas(64) typename V::value_type padded[V::lanes];
  for (std::size_t i = 0; i < V::lanes; ++i) padded[i] = i < count ? p[i] : fill;
  return V::load(padded);
}

/// The vector at p + first of `count` numbers at p, of which it may hold a part or nothing: other lanes are zero.
template <class V>
ALIDADE_FORCE_INLINE V load_within(const typename V::value_type* p, std::size_t first,
                                   std::size_t count) noexcept {
  if (first + V::lanes <= count) return V::load(p + first);
  return first < count ? V::load_partial(p + first, count - first) : V::broadcast(0);
}

/// As load_within, other lanes `fill`.
template <class V>
ALIDADE_FORCE_INLINE V load_within(const typename V::value_type* p, std::size_t first, std::size_t count,
                                   typename V::value_type fill) noexcept {
  if (first + V::lanes <= count) return V::load(p + first);
  return first < count ? load_padded<V>(p + first, count - first, fill) : V::broadcast(fill);
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
