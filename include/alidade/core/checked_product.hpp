#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// a * b, or std::bad_array_new_length where std::size_t cannot hold it, as a 32-bit one soon cannot.
inline std::size_t checked_product(std::size_t a, std::size_t b) {
  if (b != 0 && a > static_cast<std::size_t>(-1) / b) {
#if ALIDADE_HAS_EXCEPTIONS
    throw std::bad_array_new_length();
#else
    std::abort();
#endif
  }
  return a * b;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
