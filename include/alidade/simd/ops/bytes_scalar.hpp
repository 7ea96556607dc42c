#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// One byte: portable, and the reference that the others are tested against.
struct bytes_scalar {
  static constexpr std::size_t size = 1;
  std::uint8_t value;

  static bytes_scalar zero() noexcept { return {0}; }
  static bytes_scalar load(const void* p) noexcept { return {*static_cast<const std::uint8_t*>(p)}; }
  static bytes_scalar load_partial(const void*, std::size_t) noexcept { return {0}; }

  friend bytes_scalar loaded_once(bytes_scalar a) noexcept { return a; }
  friend bytes_scalar flip_sign(bytes_scalar a) noexcept {
    return {static_cast<std::uint8_t>(a.value ^ 0x80u)};
  }
  friend bytes_scalar absolute_difference(bytes_scalar a, bytes_scalar b) noexcept {
    return {static_cast<std::uint8_t>(a.value < b.value ? b.value - a.value : a.value - b.value)};
  }
  friend bytes_scalar signed_absolute_difference(bytes_scalar a, bytes_scalar b) noexcept {
    return absolute_difference(flip_sign(a), flip_sign(b));
  }
  friend bytes_scalar max(bytes_scalar a, bytes_scalar b) noexcept { return a.value < b.value ? b : a; }
  friend std::uint8_t reduce_max(bytes_scalar a) noexcept { return a.value; }
};

struct unsigned_product_sum_scalar {
  static constexpr const char* instruction = "scalar";
  std::uint32_t sum = 0;
  void add(bytes_scalar a, bytes_scalar b) noexcept { sum += static_cast<std::uint32_t>(a.value) * b.value; }
  void merge(unsigned_product_sum_scalar other) noexcept { sum += other.sum; }
  std::uint32_t total() const noexcept { return sum; }
};

struct signed_product_sum_scalar {
  static constexpr const char* instruction = "scalar";
  std::uint32_t sum = 0;
  void add(bytes_scalar a, bytes_scalar b) noexcept {
    const std::int32_t product = static_cast<std::int8_t>(a.value) * static_cast<std::int8_t>(b.value);
    sum += static_cast<std::uint32_t>(product);
  }
  void merge(signed_product_sum_scalar other) noexcept { sum += other.sum; }
  std::uint32_t total() const noexcept { return sum; }
};

struct difference_sum_scalar {
  static constexpr const char* instruction = "scalar";
  std::uint32_t sum = 0;
  void add(bytes_scalar a, bytes_scalar b) noexcept { sum += absolute_difference(a, b).value; }
  void add_signed(bytes_scalar a, bytes_scalar b) noexcept { sum += signed_absolute_difference(a, b).value; }
  void merge(difference_sum_scalar other) noexcept { sum += other.sum; }
  std::uint32_t total() const noexcept { return sum; }
};

/// Bits are taken eight bytes at a time.
struct bit_block_scalar {
  static constexpr std::size_t size = 8;
  std::uint64_t value;

  static bit_block_scalar load(const void* p) noexcept { return {detail::load_bytes(p, 8)}; }
  static bit_block_scalar load_partial(const void* p, std::size_t count) noexcept {
    return {detail::load_bytes(p, count)};
  }
  friend bit_block_scalar loaded_once(bit_block_scalar a) noexcept { return a; }
  friend bit_block_scalar operator^(bit_block_scalar a, bit_block_scalar b) noexcept {
    return {a.value ^ b.value};
  }
  friend bit_block_scalar operator&(bit_block_scalar a, bit_block_scalar b) noexcept {
    return {a.value & b.value};
  }
  friend bit_block_scalar operator|(bit_block_scalar a, bit_block_scalar b) noexcept {
    return {a.value | b.value};
  }
};

struct bit_count_scalar {
  static constexpr const char* instruction = "scalar";
  std::uint64_t sum = 0;
  void add(bit_block_scalar a) noexcept { sum += static_cast<std::uint64_t>(std::popcount(a.value)); }
  void merge(bit_count_scalar other) noexcept { sum += other.sum; }
  std::uint32_t total() const noexcept { return static_cast<std::uint32_t>(sum); }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
