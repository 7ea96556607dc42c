#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_pool.hpp>

namespace test {

/// Of malloc, so that what operator new is asked for can be told apart. Counts, spoils what it gives and what it is given
/// back, and at the n-th allocation from now is exhausted. Threads may share it.
class failing_resource final : public alidade::memory_resource {
 public:
  /// From that allocation on it works again; 0: none fails.
  void fail_at(std::size_t n) { until_failure_ = n; }

  std::size_t bytes() const { return bytes_; }              ///< how many bytes asked for are not given back
  std::size_t allocations() const { return allocations_; }  ///< how many succeeded so far

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (until_failure_ != 0 && until_failure_.fetch_sub(1) == 1) throw alidade::memory_pool_exhausted();
    alignment = std::max(alignment, sizeof(void*));
    void* const block =
        std::aligned_alloc(alignment, alidade::detail::round_up(std::max<std::size_t>(size, 1), alignment));
    if (block == nullptr) throw std::bad_alloc();
    std::memset(block, 0x5b, size);
    bytes_ += size;
    ++allocations_;
    return block;
  }
  void do_deallocate(void* block, std::size_t size, std::size_t) override {
    std::memset(block, 0xa7, size);
    bytes_ -= size;
    std::free(block);
  }
  bool do_is_equal(const alidade::memory_resource& other) const noexcept override { return this == &other; }

  std::atomic<std::size_t> until_failure_{0}, bytes_{0}, allocations_{0};
};

}  // namespace test
