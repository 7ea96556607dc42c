#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/simd/int_vec.hpp>
#include <alidade/simd/vec.hpp>

/// What is asked of arrays before they are believed:
///
/// - `maximum_of(values)`: the largest of unsigned integers, 0 of none;
/// - `all_finite(values)`: whether none of floats or doubles is NaN or infinite.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// Calls step(i) for the begin of each vector of `lanes` in 0..n, two at a time and the last perhaps overlapping the one
/// before it. n is at least `lanes`.
template <std::size_t Lanes, class Step>
ALIDADE_FORCE_INLINE void for_each_vector(std::size_t n, const Step& step) noexcept {
  std::size_t i = 0;
  for (; i + 2 * Lanes <= n; i += 2 * Lanes) {
    step(i, 0);
    step(i + Lanes, 1);
  }
  if (i + Lanes <= n) step(i, 0);
  step(n - Lanes, 1);
}

/// The largest of them; 0 of none.
inline std::uint32_t maximum_of(std::span<const std::uint32_t> values) noexcept {
  using V = u32;
  if (values.size() < V::lanes) return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  V largest[2] = {V::broadcast(0), V::broadcast(0)};
  for_each_vector<V::lanes>(values.size(), [&](std::size_t i, std::size_t which) noexcept {
    largest[which] = max(largest[which], V::load(values.data() + i));
  });
  std::uint32_t lanes[V::lanes];
  store(lanes, max(largest[0], largest[1]));
  return *std::max_element(lanes, lanes + V::lanes);
}

/// Whether none is NaN or infinite: by bits, which -ffast-math leaves alone.
template <class T>
inline bool all_finite(std::span<const T> values) noexcept {
  using V = std::conditional_t<std::is_same_v<T, float>, f32, f64>;
  if constexpr (V::lanes > 1) {
    using U = u32;
    static_assert(sizeof(U) == sizeof(V));
    if (values.size() >= V::lanes) {
      // Twice the bits have no sign; the largest of them says whether an exponent is all ones. Of a double only the upper
      // half counts: every other lane.
      const U zero = U::broadcast(0);
      U largest[2] = {zero, zero};
      for_each_vector<V::lanes>(values.size(), [&](std::size_t i, std::size_t which) noexcept {
        const U bits = alidade::detail::bit_cast<U>(V::load(values.data() + i));
        largest[which] = max(largest[which], bits - (zero - bits));
      });
      std::uint32_t lanes[U::lanes];
      store(lanes, max(largest[0], largest[1]));
      constexpr std::size_t words = sizeof(T) / 4;
      constexpr std::uint32_t infinite = words == 1 ? 0xff000000u : 0xffe00000u;
      bool finite = true;
      for (std::size_t i = words - 1; i < U::lanes; i += words) finite &= lanes[i] < infinite;
      return finite;
    }
  }
  bool finite = true;
  for (const T x : values) finite &= alidade::detail::is_finite(x);
  return finite;
}

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
