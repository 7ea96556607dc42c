#pragma once

#include <cstring>
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

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
