#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// std::bit_cast, which libc++ has only since version 14.
template <class To, class From>
requires(sizeof(To) == sizeof(From) && std::is_trivially_copyable_v<To> &&
         std::is_trivially_copyable_v<From>) To bit_cast(const From& from)
noexcept {
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

/// The first count bytes from p, 0..8 of them, as a number: the first in the lowest bits, zeros above the last. Reads
/// nothing else, and calls nothing but in an unoptimised build. Some bytes may be read twice.
inline std::uint64_t load_bytes(const void* p, std::size_t count) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(p);
  const auto load32 = [](const unsigned char* from) {
    return std::uint64_t{from[0]} | std::uint64_t{from[1]} << 8 | std::uint64_t{from[2]} << 16 |
           std::uint64_t{from[3]} << 24;
  };
  if (count >= 4) return load32(bytes) | load32(bytes + count - 4) << (8 * (count - 4));
  if (count == 0) return 0;
  return std::uint64_t{bytes[0]} | std::uint64_t{bytes[count / 2]} << (8 * (count / 2)) |
         std::uint64_t{bytes[count - 1]} << (8 * (count - 1));
}

// By bits, which -ffast-math leaves alone.
inline bool is_finite(float x) noexcept {
  return (detail::bit_cast<std::uint32_t>(x) & 0x7f800000u) != 0x7f800000u;
}
inline bool is_finite(double x) noexcept {
  return (detail::bit_cast<std::uint64_t>(x) & 0x7ff0000000000000u) != 0x7ff0000000000000u;
}
inline bool is_nan(float x) noexcept {
  return (detail::bit_cast<std::uint32_t>(x) & 0x7fffffffu) > 0x7f800000u;
}
inline bool is_nan(double x) noexcept {
  return (detail::bit_cast<std::uint64_t>(x) & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}

/// NaN becomes infinity, so that distances have an order.
inline float nan_to_infinity(float x) noexcept {
  return is_nan(x) ? std::numeric_limits<float>::infinity() : x;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
