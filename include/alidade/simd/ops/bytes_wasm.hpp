#pragma once

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// A register of bytes.
struct bytes_native {
  static constexpr std::size_t size = 16;
  v128_t value;

  static bytes_native zero() noexcept { return {wasm_i8x16_splat(0)}; }
  static bytes_native load(const void* p) noexcept { return {wasm_v128_load(p)}; }
  static bytes_native load_partial(const void* p, std::size_t count) noexcept {
    const auto* bytes = static_cast<const unsigned char*>(p);
    const std::uint64_t low = detail::load_bytes(bytes, count < 8 ? count : 8);
    const std::uint64_t high = count > 8 ? detail::load_bytes(bytes + 8, count - 8) : 0;
    return {wasm_i64x2_make(static_cast<long long>(low), static_cast<long long>(high))};
  }
  friend bytes_native loaded_once(bytes_native a) noexcept { return a; }
  friend bytes_native operator^(bytes_native a, bytes_native b) noexcept {
    return {wasm_v128_xor(a.value, b.value)};
  }
  friend bytes_native operator&(bytes_native a, bytes_native b) noexcept {
    return {wasm_v128_and(a.value, b.value)};
  }
  friend bytes_native operator|(bytes_native a, bytes_native b) noexcept {
    return {wasm_v128_or(a.value, b.value)};
  }
  friend bytes_native flip_sign(bytes_native a) noexcept {
    return {wasm_v128_xor(a.value, wasm_i8x16_splat(-128))};
  }
  friend bytes_native absolute_difference(bytes_native a, bytes_native b) noexcept {
    return {wasm_i8x16_sub(wasm_u8x16_max(a.value, b.value), wasm_u8x16_min(a.value, b.value))};
  }
  friend bytes_native signed_absolute_difference(bytes_native a, bytes_native b) noexcept {
    return {wasm_i8x16_sub(wasm_i8x16_max(a.value, b.value), wasm_i8x16_min(a.value, b.value))};
  }
  friend bytes_native max(bytes_native a, bytes_native b) noexcept {
    return {wasm_u8x16_max(a.value, b.value)};
  }
  friend std::uint8_t reduce_max(bytes_native a) noexcept {
    v128_t x = a.value;
    x = wasm_u8x16_max(x, wasm_i32x4_shuffle(x, x, 2, 3, 0, 1));
    x = wasm_u8x16_max(x, wasm_i32x4_shuffle(x, x, 1, 0, 3, 2));
    std::uint32_t four = static_cast<std::uint32_t>(wasm_i32x4_extract_lane(x, 0));
    std::uint32_t largest = 0;
    for (; four != 0; four >>= 8) largest = (four & 0xffu) > largest ? four & 0xffu : largest;
    return static_cast<std::uint8_t>(largest);
  }
};

namespace wasm {
inline std::uint32_t total(v128_t a) noexcept {
  const v128_t halves = wasm_i32x4_add(a, wasm_i32x4_shuffle(a, a, 2, 3, 0, 1));
  return static_cast<std::uint32_t>(wasm_i32x4_extract_lane(halves, 0)) +
         static_cast<std::uint32_t>(wasm_i32x4_extract_lane(halves, 1));
}
}  // namespace wasm

/// Bytes widened to 16 bits, then i32x4.dot_i16x8_s: pairs of products of at most 2 * 255^2. The bytes at even and odd
/// places: the order of a sum does not matter, and a shift is cheaper than extending the upper half.
struct unsigned_product_sum_native {
  static constexpr const char* instruction = "i32x4.dot_i16x8_s";
  v128_t sum = wasm_i32x4_splat(0);

  void add(bytes_native a, bytes_native b) noexcept {
    const v128_t mask = wasm_i16x8_splat(0xff);
    const v128_t low = wasm_i32x4_dot_i16x8(wasm_v128_and(a.value, mask), wasm_v128_and(b.value, mask));
    const v128_t high = wasm_i32x4_dot_i16x8(wasm_u16x8_shr(a.value, 8), wasm_u16x8_shr(b.value, 8));
    sum = wasm_i32x4_add(sum, wasm_i32x4_add(low, high));
  }
  void merge(const unsigned_product_sum_native& other) noexcept { sum = wasm_i32x4_add(sum, other.sum); }
  std::uint32_t total() const noexcept { return wasm::total(sum); }
};

struct signed_product_sum_native {
  static constexpr const char* instruction = "i32x4.dot_i16x8_s";
  v128_t sum = wasm_i32x4_splat(0);

  void add(bytes_native a, bytes_native b) noexcept {
    const v128_t low =
        wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(a.value), wasm_i16x8_extend_low_i8x16(b.value));
    const v128_t high =
        wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(a.value), wasm_i16x8_extend_high_i8x16(b.value));
    sum = wasm_i32x4_add(sum, wasm_i32x4_add(low, high));
  }
  void merge(const signed_product_sum_native& other) noexcept { sum = wasm_i32x4_add(sum, other.sum); }
  std::uint32_t total() const noexcept { return wasm::total(sum); }
};

struct difference_sum_native {
  static constexpr const char* instruction = "i16x8.extadd_pairwise_i8x16_u";
  v128_t sum = wasm_i32x4_splat(0);

  void add(bytes_native a, bytes_native b) noexcept { add_bytes(absolute_difference(a, b).value); }
  void add_signed(bytes_native a, bytes_native b) noexcept {
    add_bytes(signed_absolute_difference(a, b).value);
  }
  void add_bytes(v128_t bytes) noexcept {
    // Pairs once more by a dot product with ones: x86 has an instruction for that, and none to add pairs of 16 bits.
    const v128_t pairs = wasm_u16x8_extadd_pairwise_u8x16(bytes);
    sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(pairs, wasm_i16x8_splat(1)));
  }
  void merge(const difference_sum_native& other) noexcept { sum = wasm_i32x4_add(sum, other.sum); }
  std::uint32_t total() const noexcept { return wasm::total(sum); }
};

using bit_block_native = bytes_native;

struct bit_count_native {
  static constexpr const char* instruction = "i8x16.popcnt";
  difference_sum_native sum;

  void add(bytes_native a) noexcept { sum.add_bytes(wasm_i8x16_popcnt(a.value)); }
  void merge(const bit_count_native& other) noexcept { sum.merge(other.sum); }
  std::uint32_t total() const noexcept { return sum.total(); }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
