#pragma once

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// Vectors of integers over WebAssembly's 128-bit SIMD.
template <class T>
struct int_vec_wasm {
  using value_type = T;
  static constexpr std::size_t lanes = 16 / sizeof(T);
  v128_t value;

  static int_vec_wasm broadcast(T x) noexcept {
    if constexpr (sizeof(T) == 8) {
      return {wasm_i64x2_splat(static_cast<std::int64_t>(x))};
    } else {
      return {wasm_i32x4_splat(static_cast<std::int32_t>(x))};
    }
  }
  static int_vec_wasm load(const T* p) noexcept { return {wasm_v128_load(p)}; }
  static int_vec_wasm load_partial(const T* p, std::size_t count) noexcept {
    T padded[lanes] = {};
    for (std::size_t i = 0; i < count; ++i) padded[i] = p[i];
    return load(padded);
  }
  friend void store(T* p, int_vec_wasm a) noexcept { wasm_v128_store(p, a.value); }

  friend int_vec_wasm operator-(int_vec_wasm a, int_vec_wasm b) noexcept {
    if constexpr (sizeof(T) == 8) {
      return {wasm_i64x2_sub(a.value, b.value)};
    } else {
      return {wasm_i32x4_sub(a.value, b.value)};
    }
  }
  friend int_vec_wasm min(int_vec_wasm a, int_vec_wasm b) noexcept {
    if constexpr (sizeof(T) == 8) {
      return {wasm_v128_bitselect(a.value, b.value, wasm_i64x2_lt(a.value, b.value))};
    } else if constexpr (T(-1) < T(0)) {
      return {wasm_i32x4_min(a.value, b.value)};
    } else {
      return {wasm_u32x4_min(a.value, b.value)};
    }
  }
  friend int_vec_wasm max(int_vec_wasm a, int_vec_wasm b) noexcept {
    if constexpr (sizeof(T) == 8) {
      return {wasm_v128_bitselect(a.value, b.value, wasm_i64x2_lt(b.value, a.value))};
    } else if constexpr (T(-1) < T(0)) {
      return {wasm_i32x4_max(a.value, b.value)};
    } else {
      return {wasm_u32x4_max(a.value, b.value)};
    }
  }

  struct wide_sum {
    v128_t low = wasm_i64x2_splat(0), high = wasm_i64x2_splat(0);

    void add(int_vec_wasm a) noexcept {
      if constexpr (sizeof(T) == 8) {
        low = wasm_i64x2_add(low, a.value);
      } else if constexpr (T(-1) < T(0)) {
        low = wasm_i64x2_add(low, wasm_i64x2_extend_low_i32x4(a.value));
        high = wasm_i64x2_add(high, wasm_i64x2_extend_high_i32x4(a.value));
      } else {
        low = wasm_i64x2_add(low, wasm_u64x2_extend_low_u32x4(a.value));
        high = wasm_i64x2_add(high, wasm_u64x2_extend_high_u32x4(a.value));
      }
    }
    void store(std::uint64_t* out, std::uint64_t /*added*/) const noexcept {
      wasm_v128_store(out, low);
      if constexpr (sizeof(T) == 4) wasm_v128_store(out + 2, high);
    }
  };

  struct wide_squares {
    v128_t low = wasm_i64x2_splat(0), high = wasm_i64x2_splat(0);

    void add(int_vec_wasm a) noexcept {
      if constexpr (sizeof(T) == 8) {
        low = wasm_i64x2_add(low, wasm_i64x2_mul(a.value, a.value));
      } else {
        low = wasm_i64x2_add(low, wasm_u64x2_extmul_low_u32x4(a.value, a.value));
        high = wasm_i64x2_add(high, wasm_u64x2_extmul_high_u32x4(a.value, a.value));
      }
    }
    void store(std::uint64_t* out) const noexcept {
      wasm_v128_store(out, low);
      if constexpr (sizeof(T) == 4) wasm_v128_store(out + 2, high);
    }
  };
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
