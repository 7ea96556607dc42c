#pragma once

#include <cstddef>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// A vector of 128 bytes (32 floats, 16 doubles) on every architecture, made of as many of its own as that takes. Nothing
/// is fused, and `reduce_add` is one tree: what is computed with it is the same, bit for bit, everywhere.
// Parts are a parameter pack rather than a loop, so that they are registers at -O2 too.
template <real_vector V,
          class Parts = std::make_index_sequence<128 / sizeof(typename V::value_type) / V::lanes>>
struct fixed_tree;

template <real_vector V, std::size_t... Part>
struct fixed_tree<V, std::index_sequence<Part...>> {
  using value_type = typename V::value_type;
  static constexpr std::size_t parts = sizeof...(Part);
  static constexpr std::size_t lanes = parts * V::lanes;
  static constexpr std::size_t registers = V::registers / parts;
  V part[parts];

  static ALIDADE_FORCE_INLINE fixed_tree zero() noexcept { return {(static_cast<void>(Part), V::zero())...}; }
  template <class T>
  static ALIDADE_FORCE_INLINE fixed_tree load(const T* p) noexcept {
    return {V::load(p + Part * V::lanes)...};
  }
  template <class T>
  static ALIDADE_FORCE_INLINE fixed_tree load_partial(const T* p, std::size_t count) noexcept {
    return {load_part<Part * V::lanes>(p, count)...};
  }

  friend ALIDADE_FORCE_INLINE fixed_tree operator+(const fixed_tree& a, const fixed_tree& b) noexcept {
    return {a.part[Part] + b.part[Part]...};
  }
  friend ALIDADE_FORCE_INLINE fixed_tree operator-(const fixed_tree& a, const fixed_tree& b) noexcept {
    return {a.part[Part] - b.part[Part]...};
  }
  friend ALIDADE_FORCE_INLINE fixed_tree multiply_add(const fixed_tree& a, const fixed_tree& b,
                                                      const fixed_tree& c) noexcept {
    return {rounded(a.part[Part] * b.part[Part]) + c.part[Part]...};
  }
  friend ALIDADE_FORCE_INLINE fixed_tree loaded_once(const fixed_tree& a) noexcept {
    return {loaded_once(a.part[Part])...};
  }
  friend ALIDADE_FORCE_INLINE fixed_tree abs(const fixed_tree& a) noexcept { return {abs(a.part[Part])...}; }

  /// Number i is added to number i + lanes / 2, and so on.
  friend ALIDADE_FORCE_INLINE value_type reduce_add(const fixed_tree& a) noexcept {
    return reduce_add(fold<parts>(a.part));
  }

 private:
  template <std::size_t Begin, class T>
  static ALIDADE_FORCE_INLINE V load_part(const T* p, std::size_t count) noexcept {
    if (count <= Begin) return V::zero();
    return count >= Begin + V::lanes ? V::load(p + Begin) : V::load_partial(p + Begin, count - Begin);
  }

  template <std::size_t Count>
  static ALIDADE_FORCE_INLINE V fold(const V* p) noexcept {
    if constexpr (Count == 1) {
      return p[0];
    } else {
      return fold_pairs<Count / 2>(p, std::make_index_sequence<Count / 2>{});
    }
  }
  template <std::size_t Half, std::size_t... I>
  static ALIDADE_FORCE_INLINE V fold_pairs(const V* p, std::index_sequence<I...>) noexcept {
    const V sums[Half] = {p[I] + p[I + Half]...};
    return fold<Half>(sums);
  }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
