#pragma once

#include <wasm_simd128.h>

#include <cstddef>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// The vector abstraction over WebAssembly's 128-bit SIMD, which has no fused multiply-add.
struct f32_wasm {
  static constexpr std::size_t lanes = 4;
  static constexpr std::size_t registers = 16;  // of the x86 processors that most engines compile for
  v128_t value;

  static f32_wasm zero() noexcept { return {wasm_f32x4_splat(0.0f)}; }
  static f32_wasm load(const float* p) noexcept { return {wasm_v128_load(p)}; }
  static f32_wasm load_partial(const float* p, std::size_t count) noexcept {
    return {wasm_f32x4_make(count > 0 ? p[0] : 0.0f, count > 1 ? p[1] : 0.0f, count > 2 ? p[2] : 0.0f,
                            count > 3 ? p[3] : 0.0f)};
  }

  friend f32_wasm operator+(f32_wasm a, f32_wasm b) noexcept { return {wasm_f32x4_add(a.value, b.value)}; }
  friend f32_wasm operator-(f32_wasm a, f32_wasm b) noexcept { return {wasm_f32x4_sub(a.value, b.value)}; }
  friend f32_wasm multiply_add(f32_wasm a, f32_wasm b, f32_wasm c) noexcept {
    return {wasm_f32x4_add(wasm_f32x4_mul(a.value, b.value), c.value)};
  }
  friend float reduce_add(f32_wasm a) noexcept {
    const v128_t halves = wasm_f32x4_add(a.value, wasm_i32x4_shuffle(a.value, a.value, 2, 3, 0, 1));
    return wasm_f32x4_extract_lane(halves, 0) + wasm_f32x4_extract_lane(halves, 1);
  }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
