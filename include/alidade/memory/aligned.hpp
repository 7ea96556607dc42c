#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

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

/// Owns raw bytes, aligned to a cache line; blocks of several huge pages are aligned to one and ask the system for huge
/// pages, because a graph search touches rows all over them and would miss the TLB at nearly each.
class aligned_bytes {
 public:
  aligned_bytes() noexcept = default;

  explicit aligned_bytes(std::size_t size)
      : size_(size),
        alignment_(size >= 2 * huge_page ? huge_page : cache_line),
        data_(static_cast<std::byte*>(::operator new (size, std::align_val_t{alignment_}))) {
#if ALIDADE_HAS_MADVISE && defined(MADV_HUGEPAGE)
    // Advice only: where it fails, nothing but the speed differs.
    if (alignment_ == huge_page) static_cast<void>(::madvise(data_, size_, MADV_HUGEPAGE));
#endif
  }

  aligned_bytes(aligned_bytes&& other) noexcept
      : size_(std::exchange(other.size_, 0)),
        alignment_(other.alignment_),
        data_(std::exchange(other.data_, nullptr)) {}

  aligned_bytes& operator=(aligned_bytes&& other) noexcept {
    if (this != &other) {
      release();
      size_ = std::exchange(other.size_, 0);
      alignment_ = other.alignment_;
      data_ = std::exchange(other.data_, nullptr);
    }
    return *this;
  }

  ~aligned_bytes() { release(); }

  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  void release() noexcept {
    if (data_ != nullptr) ::operator delete (data_, std::align_val_t{alignment_});
  }

  std::size_t size_ = 0;
  std::size_t alignment_ = cache_line;
  std::byte* data_ = nullptr;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
