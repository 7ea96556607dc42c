#pragma once

#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

/// Sixteen-bit floating point numbers, and packed bits: types to store, converted to compute.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// IEEE 754 binary16: 11 bits of precision, 2^-24 .. 65,504.
///
/// Every f16 is exactly a float. From float it is rounded to nearest, ties to even; from 65,520 up to infinity; below
/// 2^-14 to a multiple of 2^-24. NaN stays NaN, made quiet.
struct f16 {
  std::uint16_t bits;

  f16() = default;
  explicit f16(float x) noexcept : bits(narrow(detail::bit_cast<std::uint32_t>(x))) {}
  explicit operator float() const noexcept { return detail::bit_cast<float>(widen(bits)); }

  static constexpr f16 from_bits(std::uint16_t bits) noexcept {
    f16 x{};
    x.bits = bits;
    return x;
  }

 private:
  static std::uint16_t narrow(std::uint32_t x) noexcept {
    const std::uint32_t sign = (x >> 16) & 0x8000u;
    std::uint32_t magnitude = x & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
      magnitude = 0x7e00u | (magnitude >> 13 & 0x3ffu);
    } else if (magnitude >= 0x477ff000u) {  // 65,520, halfway to the first that does not fit
      magnitude = 0x7c00u;
    } else if (magnitude >= 0x38800000u) {  // 2^-14: normal
      magnitude = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13;
    } else if (magnitude > 0x33000000u) {  // above 2^-25, which rounds to zero
      const std::uint32_t shift = 126u - (magnitude >> 23);
      const std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
      const std::uint32_t result = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u),
                          half = 1u << (shift - 1u);
      magnitude = result + static_cast<std::uint32_t>(rest > half || (rest == half && (result & 1u) != 0));
    } else {
      magnitude = 0;
    }
    return static_cast<std::uint16_t>(sign | magnitude);
  }

  static std::uint32_t widen(std::uint32_t h) noexcept {
    const std::uint32_t sign = (h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    if (magnitude >= 0x7c00u)
      return sign | 0x7f800000u | (magnitude & 0x3ffu) << 13 | (magnitude > 0x7c00u ? 0x400000u : 0u);
    if (magnitude >= 0x0400u) return sign | ((magnitude << 13) + 0x38000000u);
    return sign | detail::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  }
};

/// bfloat16: the upper half of a float, 8 bits of precision and a float's range.
///
/// Every bf16 is exactly a float. From float it is rounded to nearest, ties to even, beyond the largest to infinity. NaN
/// stays NaN, made quiet.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  explicit bf16(float x) noexcept : bits(narrow(detail::bit_cast<std::uint32_t>(x))) {}
  explicit operator float() const noexcept {
    return detail::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }

  static constexpr bf16 from_bits(std::uint16_t bits) noexcept {
    bf16 x{};
    x.bits = bits;
    return x;
  }

 private:
  static std::uint16_t narrow(std::uint32_t x) noexcept {
    if ((x & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(x >> 16 | 0x40u);
    return static_cast<std::uint16_t>((x + 0x7fffu + (x >> 16 & 1u)) >> 16);
  }
};

/// Eight components of a binary vector, the first in the lowest bit. Lengths and dimensions of such vectors count bytes.
enum class bits8 : std::uint8_t {};

static_assert(sizeof(f16) == 2 && sizeof(bf16) == 2 && sizeof(bits8) == 1);

namespace detail {
inline bool is_finite(f16 x) noexcept { return (x.bits & 0x7c00u) != 0x7c00u; }
inline bool is_finite(bf16 x) noexcept { return (x.bits & 0x7f80u) != 0x7f80u; }
}  // namespace detail

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
