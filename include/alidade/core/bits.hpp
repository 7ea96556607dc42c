#pragma once

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

/// NaN becomes infinity, so that distances have an order. By bits, which -ffast-math leaves alone.
inline float nan_to_infinity(float x) noexcept {
  return (detail::bit_cast<std::uint32_t>(x) & 0x7fffffffu) > 0x7f800000u
             ? std::numeric_limits<float>::infinity()
             : x;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
