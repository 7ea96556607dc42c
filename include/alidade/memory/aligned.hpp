#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/checked_product.hpp>
#include <alidade/memory/memory_resource.hpp>

#if ALIDADE_HAS_MADVISE
#include <sys/mman.h>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

inline constexpr std::size_t cache_line = 64;
inline constexpr std::size_t huge_page = std::size_t{2} << 20;

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) noexcept {
  return (value + multiple - 1) / multiple * multiple;
}

/// From one row of so many bytes to the next: whole cache lines, or a power of two below one, so that no row straddles more lines than it
/// must.
constexpr std::size_t padded_row_bytes(std::size_t bytes) noexcept {
  return bytes < cache_line ? std::bit_ceil(std::max<std::size_t>(bytes, 1)) : round_up(bytes, cache_line);
}

/// Owns raw bytes, aligned to a cache line; blocks of several huge pages are aligned to one and ask the system for huge
/// pages, because a graph search touches rows all over them and would miss the TLB at nearly each. They come from a
/// memory resource, which must outlive them, and go back to it; from operator new where it is null.
class aligned_bytes {
 public:
  aligned_bytes() noexcept = default;

  /// Throws what the resource throws.
  explicit aligned_bytes(std::size_t size, memory_resource* memory = nullptr)
      : size_(size),
        memory_(memory),
        data_(static_cast<std::byte*>(allocate_from(memory, size, alignment_of(size)))) {
#if ALIDADE_HAS_MADVISE && defined(MADV_HUGEPAGE)
    // Advice only: where it fails, nothing but the speed differs.
    if (alignment_of(size) == huge_page) static_cast<void>(::madvise(data_, size_, MADV_HUGEPAGE));
#endif
  }

  aligned_bytes(aligned_bytes&& other) noexcept
      : size_(std::exchange(other.size_, 0)),
        memory_(other.memory_),
        data_(std::exchange(other.data_, nullptr)) {}

  aligned_bytes& operator=(aligned_bytes&& other) noexcept {
    if (this != &other) {
      release();
      size_ = std::exchange(other.size_, 0);
      memory_ = other.memory_;
      data_ = std::exchange(other.data_, nullptr);
    }
    return *this;
  }

  ~aligned_bytes() { release(); }

  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t alignment_of(std::size_t size) noexcept {
    return size >= 2 * huge_page ? huge_page : cache_line;
  }

  void release() noexcept {
    if (data_ != nullptr) deallocate_to(memory_, data_, size_, alignment_of(size_));
  }

  std::size_t size_ = 0;
  memory_resource* memory_ = nullptr;
  std::byte* data_ = nullptr;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
