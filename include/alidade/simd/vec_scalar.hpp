#pragma once

#include <cstddef>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// The vector abstraction with one lane: portable, and the reference that the others are tested against.
struct f32_scalar {
  static constexpr std::size_t lanes = 1;
  static constexpr std::size_t registers = 16;
  float value;

  static f32_scalar zero() noexcept { return {0.0f}; }
  static f32_scalar load(const float* p) noexcept { return {*p}; }
  static f32_scalar load_partial(const float* p, std::size_t count) noexcept {
    return {count == 0 ? 0.0f : *p};
  }

  friend f32_scalar operator+(f32_scalar a, f32_scalar b) noexcept { return {a.value + b.value}; }
  friend f32_scalar operator-(f32_scalar a, f32_scalar b) noexcept { return {a.value - b.value}; }
  friend f32_scalar multiply_add(f32_scalar a, f32_scalar b, f32_scalar c) noexcept {
    return {a.value * b.value + c.value};
  }
  friend float reduce_add(f32_scalar a) noexcept { return a.value; }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
