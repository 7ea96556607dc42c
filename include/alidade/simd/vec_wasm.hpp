#pragma once

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/half.hpp>
#include <alidade/simd/ops/half.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// The vector abstraction over WebAssembly's 128-bit SIMD, which has no fused multiply-add.
template <class T>
struct vec_wasm;

/// What a comparison of two vec_wasm<T> gives: lanes as wide as theirs, all ones or all zeros.
template <class T>
struct wasm_mask {
  v128_t value;

  friend wasm_mask operator&(wasm_mask a, wasm_mask b) noexcept { return {wasm_v128_and(a.value, b.value)}; }
  friend wasm_mask operator|(wasm_mask a, wasm_mask b) noexcept { return {wasm_v128_or(a.value, b.value)}; }
  friend wasm_mask operator!(wasm_mask a) noexcept { return {wasm_v128_not(a.value)}; }
  friend bool any(wasm_mask a) noexcept { return wasm_v128_any_true(a.value); }
  friend std::uint32_t bits(wasm_mask a) noexcept {
    if constexpr (sizeof(T) == 4) {
      return static_cast<std::uint32_t>(wasm_i32x4_bitmask(a.value));
    } else {
      return static_cast<std::uint32_t>(wasm_i64x2_bitmask(a.value));
    }
  }
  friend vec_wasm<T> select(wasm_mask m, vec_wasm<T> a, vec_wasm<T> b) noexcept {
    return {wasm_v128_bitselect(a.value, b.value, m.value)};
  }
};

template <>
struct vec_wasm<float> {
  using value_type = float;
  static constexpr std::size_t lanes = 4;
  static constexpr std::size_t registers = 16;  // of the x86 processors that most engines compile for
  v128_t value;

  using mask = wasm_mask<float>;
  static mask no_lanes() noexcept { return {wasm_i32x4_splat(0)}; }

  static vec_wasm zero() noexcept { return {wasm_f32x4_splat(0.0f)}; }
  static vec_wasm broadcast(float x) noexcept { return {wasm_f32x4_splat(x)}; }
  static vec_wasm load(const float* p) noexcept { return {wasm_v128_load(p)}; }
  static vec_wasm load(const f16* p) noexcept { return {widen(p)}; }
  static vec_wasm load(const bf16* p) noexcept { return {widen(p)}; }
  static vec_wasm load_partial(const float* p, std::size_t count) noexcept {
    return {wasm_f32x4_make(count > 0 ? p[0] : 0.0f, count > 1 ? p[1] : 0.0f, count > 2 ? p[2] : 0.0f,
                            count > 3 ? p[3] : 0.0f)};
  }
  static vec_wasm load_partial(const f16* p, std::size_t count) noexcept { return {widen_partial(p, count)}; }
  static vec_wasm load_partial(const bf16* p, std::size_t count) noexcept {
    return {widen_partial(p, count)};
  }
  friend void store(float* p, vec_wasm a) noexcept { wasm_v128_store(p, a.value); }
  friend void store_partial(float* p, std::size_t count, vec_wasm a) noexcept {
    if (count > 0) p[0] = wasm_f32x4_extract_lane(a.value, 0);
    if (count > 1) p[1] = wasm_f32x4_extract_lane(a.value, 1);
    if (count > 2) p[2] = wasm_f32x4_extract_lane(a.value, 2);
    if (count > 3) p[3] = wasm_f32x4_extract_lane(a.value, 3);
  }

  friend vec_wasm operator+(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_add(a.value, b.value)}; }
  friend vec_wasm operator-(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_sub(a.value, b.value)}; }
  friend vec_wasm operator*(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_mul(a.value, b.value)}; }
  friend vec_wasm operator/(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_div(a.value, b.value)}; }
  friend vec_wasm multiply_add(vec_wasm a, vec_wasm b, vec_wasm c) noexcept {
    return {wasm_f32x4_add(wasm_f32x4_mul(a.value, b.value), c.value)};
  }
  friend vec_wasm rounded(vec_wasm a) noexcept { return a; }
  friend vec_wasm loaded_once(vec_wasm a) noexcept { return a; }
  friend vec_wasm abs(vec_wasm a) noexcept { return {wasm_f32x4_abs(a.value)}; }
  // These two are one instruction on x86; wasm_f32x4_min takes care of NaN and -0 with several.
  friend vec_wasm min(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_pmin(b.value, a.value)}; }
  friend vec_wasm max(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_pmax(b.value, a.value)}; }
  friend mask operator<(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_lt(a.value, b.value)}; }
  friend mask operator<=(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_le(a.value, b.value)}; }
  friend mask operator==(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_eq(a.value, b.value)}; }
  friend mask operator!=(vec_wasm a, vec_wasm b) noexcept { return {wasm_f32x4_ne(a.value, b.value)}; }

  friend float reduce_add(vec_wasm a) noexcept {
    return first_two(a + upper(a), [](float x, float y) { return x + y; });
  }
  friend float reduce_min(vec_wasm a) noexcept {
    return first_two(min(a, upper(a)), [](float x, float y) { return y < x ? y : x; });
  }
  friend float reduce_max(vec_wasm a) noexcept {
    return first_two(max(a, upper(a)), [](float x, float y) { return x < y ? y : x; });
  }

 private:
  static vec_wasm upper(vec_wasm a) noexcept { return {wasm_i32x4_shuffle(a.value, a.value, 2, 3, 0, 1)}; }
  template <class Operation>
  static float first_two(vec_wasm a, Operation operation) noexcept {
    return operation(wasm_f32x4_extract_lane(a.value, 0), wasm_f32x4_extract_lane(a.value, 1));
  }
};

template <>
struct vec_wasm<double> {
  using value_type = double;
  static constexpr std::size_t lanes = 2;
  static constexpr std::size_t registers = 16;
  v128_t value;

  using mask = wasm_mask<double>;
  static mask no_lanes() noexcept { return {wasm_i32x4_splat(0)}; }

  static vec_wasm zero() noexcept { return {wasm_f64x2_splat(0.0)}; }
  static vec_wasm broadcast(double x) noexcept { return {wasm_f64x2_splat(x)}; }
  static vec_wasm load(const double* p) noexcept { return {wasm_v128_load(p)}; }
  static vec_wasm load_partial(const double* p, std::size_t count) noexcept {
    return {wasm_f64x2_make(count > 0 ? p[0] : 0.0, count > 1 ? p[1] : 0.0)};
  }
  friend void store(double* p, vec_wasm a) noexcept { wasm_v128_store(p, a.value); }
  friend void store_partial(double* p, std::size_t count, vec_wasm a) noexcept {
    if (count > 0) p[0] = wasm_f64x2_extract_lane(a.value, 0);
    if (count > 1) p[1] = wasm_f64x2_extract_lane(a.value, 1);
  }

  friend vec_wasm operator+(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_add(a.value, b.value)}; }
  friend vec_wasm operator-(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_sub(a.value, b.value)}; }
  friend vec_wasm operator*(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_mul(a.value, b.value)}; }
  friend vec_wasm operator/(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_div(a.value, b.value)}; }
  friend vec_wasm multiply_add(vec_wasm a, vec_wasm b, vec_wasm c) noexcept {
    return {wasm_f64x2_add(wasm_f64x2_mul(a.value, b.value), c.value)};
  }
  friend vec_wasm rounded(vec_wasm a) noexcept { return a; }
  friend vec_wasm loaded_once(vec_wasm a) noexcept { return a; }
  friend vec_wasm abs(vec_wasm a) noexcept { return {wasm_f64x2_abs(a.value)}; }
  friend vec_wasm min(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_pmin(b.value, a.value)}; }
  friend vec_wasm max(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_pmax(b.value, a.value)}; }
  friend mask operator<(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_lt(a.value, b.value)}; }
  friend mask operator<=(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_le(a.value, b.value)}; }
  friend mask operator==(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_eq(a.value, b.value)}; }
  friend mask operator!=(vec_wasm a, vec_wasm b) noexcept { return {wasm_f64x2_ne(a.value, b.value)}; }

  friend double reduce_add(vec_wasm a) noexcept {
    return wasm_f64x2_extract_lane(a.value, 0) + wasm_f64x2_extract_lane(a.value, 1);
  }
  friend double reduce_min(vec_wasm a) noexcept {
    const double x = wasm_f64x2_extract_lane(a.value, 0), y = wasm_f64x2_extract_lane(a.value, 1);
    return y < x ? y : x;
  }
  friend double reduce_max(vec_wasm a) noexcept {
    const double x = wasm_f64x2_extract_lane(a.value, 0), y = wasm_f64x2_extract_lane(a.value, 1);
    return x < y ? y : x;
  }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
