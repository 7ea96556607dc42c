// Memory for operands: aligned, on huge pages where the system gives them, so that the TLB is not what is measured.
#pragma once

#include <cstddef>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bench {

class kernel_buffer {
 public:
  explicit kernel_buffer(std::size_t size)
      : size_(size),
        alignment_(size >= 2 * huge_page ? huge_page : page),
        data_(::operator new (size, std::align_val_t{alignment_})) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (alignment_ == huge_page) static_cast<void>(::madvise(data_, size_, MADV_HUGEPAGE));
#endif
  }
  kernel_buffer(const kernel_buffer&) = delete;
  kernel_buffer& operator=(const kernel_buffer&) = delete;
  ~kernel_buffer() { ::operator delete (data_, std::align_val_t{alignment_}); }

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t page = 4096;
  static constexpr std::size_t huge_page = std::size_t{2} << 20U;

  std::size_t size_;
  std::size_t alignment_;
  void* data_;
};

}  // namespace bench
