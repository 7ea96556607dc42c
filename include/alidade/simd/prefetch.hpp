#pragma once

#include <algorithm>
#include <cstddef>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// Asks for the cache line of `address` to be brought near, for reading. A hint: it never faults.
ALIDADE_FORCE_INLINE void prefetch(const void* address) noexcept {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64) || defined(_M_IX86)
  _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0);
#else
  __prefetch(address);
#endif
#else
  __builtin_prefetch(address, 0, 3);
#endif
}

/// Asks for the first lines of [address, address + bytes), 512 bytes at most: behind those the processor's own
/// prefetcher has seen the stream and goes on by itself.
ALIDADE_FORCE_INLINE void prefetch(const void* address, std::size_t bytes) noexcept {
  constexpr std::size_t limit = 512;
  const auto* line = static_cast<const std::byte*>(address);
  for (std::size_t offset = 0; offset < std::min(bytes, limit); offset += 64) prefetch(line + offset);
}

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
