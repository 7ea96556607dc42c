#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/half.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// The vector abstraction with one lane: portable, and the reference that the others are tested against.
template <class T>
struct vec_scalar {
  using value_type = T;
  static constexpr std::size_t lanes = 1;
  static constexpr std::size_t registers = 16;
  T value;

  struct mask {
    bool value;
    friend mask operator&(mask a, mask b) noexcept { return {a.value && b.value}; }
    friend mask operator|(mask a, mask b) noexcept { return {a.value || b.value}; }
    friend mask operator!(mask a) noexcept { return {!a.value}; }
    friend bool any(mask a) noexcept { return a.value; }
    friend std::uint32_t bits(mask a) noexcept { return a.value; }
    friend vec_scalar select(mask m, vec_scalar a, vec_scalar b) noexcept { return m.value ? a : b; }
  };
  static mask no_lanes() noexcept { return {false}; }

  static vec_scalar zero() noexcept { return {T(0)}; }
  static vec_scalar broadcast(T x) noexcept { return {x}; }
  static vec_scalar load(const T* p) noexcept { return {*p}; }
  static vec_scalar load_partial(const T* p, std::size_t count) noexcept { return {count == 0 ? T(0) : *p}; }
  static vec_scalar load(const f16* p) noexcept { return {static_cast<float>(*p)}; }
  static vec_scalar load(const bf16* p) noexcept { return {static_cast<float>(*p)}; }
  static vec_scalar load_partial(const f16* p, std::size_t count) noexcept {
    return {count == 0 ? T(0) : static_cast<float>(*p)};
  }
  static vec_scalar load_partial(const bf16* p, std::size_t count) noexcept {
    return {count == 0 ? T(0) : static_cast<float>(*p)};
  }
  friend void store(T* p, vec_scalar a) noexcept { *p = a.value; }
  friend void store_partial(T* p, std::size_t count, vec_scalar a) noexcept {
    if (count != 0) *p = a.value;
  }

  friend vec_scalar operator+(vec_scalar a, vec_scalar b) noexcept { return {a.value + b.value}; }
  friend vec_scalar operator-(vec_scalar a, vec_scalar b) noexcept { return {a.value - b.value}; }
  friend vec_scalar operator*(vec_scalar a, vec_scalar b) noexcept { return {a.value * b.value}; }
  friend vec_scalar operator/(vec_scalar a, vec_scalar b) noexcept { return {a.value / b.value}; }
  friend vec_scalar multiply_add(vec_scalar a, vec_scalar b, vec_scalar c) noexcept {
#if ALIDADE_HAS_EXTRA_FMA
    return {std::fma(a.value, b.value, c.value)};
#else
    return {a.value * b.value + c.value};
#endif
  }
  friend vec_scalar rounded(vec_scalar a) noexcept {
    ALIDADE_KEEP_SCALAR(a.value);
    return a;
  }
  friend vec_scalar loaded_once(vec_scalar a) noexcept { return a; }
  friend vec_scalar abs(vec_scalar a) noexcept { return {std::abs(a.value)}; }
  friend vec_scalar min(vec_scalar a, vec_scalar b) noexcept {
    return {a.value < b.value ? a.value : b.value};
  }
  friend vec_scalar max(vec_scalar a, vec_scalar b) noexcept {
    return {a.value > b.value ? a.value : b.value};
  }
  friend mask operator<(vec_scalar a, vec_scalar b) noexcept { return {a.value < b.value}; }
  friend mask operator<=(vec_scalar a, vec_scalar b) noexcept { return {a.value <= b.value}; }
  friend mask operator==(vec_scalar a, vec_scalar b) noexcept { return {a.value == b.value}; }
  friend mask operator!=(vec_scalar a, vec_scalar b) noexcept { return {a.value != b.value}; }

  friend T reduce_add(vec_scalar a) noexcept { return a.value; }
  friend T reduce_min(vec_scalar a) noexcept { return a.value; }
  friend T reduce_max(vec_scalar a) noexcept { return a.value; }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
