#pragma once

#include <bit>
#include <cstddef>
#include <mutex>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/detail/pool_caching.hpp>
#include <alidade/memory/memory_pool.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A checked pool under a lock: what is looked for mistakes need not be fast.
template <class Checks>
class locked_pool {
 public:
  locked_pool(const memory_pool_options& options, memory_resource* upstream, Checks checks)
      : pool_(options, upstream, std::move(checks)) {}
  locked_pool(const memory_pool_options& options, memory_resource* upstream, std::error_code& ec,
              Checks checks)
      : pool_(options, upstream, ec, std::move(checks)) {}

  void* allocate_at_hand(std::size_t, std::size_t) noexcept { return nullptr; }
  void* allocate_slowly(std::size_t size, std::size_t alignment) {
    const std::lock_guard lock(mutex_);
    std::error_code ec;
    return pool_.allocate(size, alignment, ec);
  }
  void deallocate(void* block, std::size_t size, std::size_t alignment) noexcept {
    const std::lock_guard lock(mutex_);
    pool_.deallocate(block, size, alignment);
  }
  std::size_t trim() noexcept {
    const std::lock_guard lock(mutex_);
    return pool_.trim();
  }
  void release() noexcept {
    const std::lock_guard lock(mutex_);
    pool_.release();
  }
  memory_pool_stats stats() const noexcept {
    const std::lock_guard lock(mutex_);
    return pool_.stats();
  }
  std::size_t reserved_bytes() const noexcept { return stats().reserved_bytes; }
  std::size_t byte_limit() const noexcept { return pool_.byte_limit(); }
  memory_resource* upstream_resource() const noexcept { return pool_.upstream_resource(); }

 private:
  mutable std::mutex mutex_;
  basic_memory_pool<Checks> pool_;
};

}  // namespace detail

/// A memory_pool that any number of threads may use at once; a block may be deallocated by another thread than
/// allocated it.
///
/// Each thread keeps free blocks of the sizes that it uses, up to 64 KiB, for itself: of each size at most 256 KiB or a
/// 128th of the limit, and 2..64 blocks. These pass without a lock, and go back when the thread ends.
template <pool_checks Checks = no_pool_checks>
class basic_synchronized_memory_pool final : public memory_resource {
 public:
  /// As basic_memory_pool's, and so are the following. The upstream resource is called by one thread at a time.
  explicit basic_synchronized_memory_pool(const memory_pool_options& options = {},
                                          memory_resource* upstream = new_delete_resource(),
                                          Checks checks = {})
      : pool_(options, upstream, std::move(checks)) {}

  basic_synchronized_memory_pool(const memory_pool_options& options, memory_resource* upstream,
                                 std::error_code& ec, Checks checks = {})
      : pool_(options, upstream, ec, std::move(checks)) {}

  basic_synchronized_memory_pool(const basic_synchronized_memory_pool&) = delete;
  basic_synchronized_memory_pool& operator=(const basic_synchronized_memory_pool&) = delete;

  [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
    ALIDADE_ASSERT(std::has_single_bit(alignment));
    if (void* const block = pool_.allocate_at_hand(size, alignment)) [[likely]]
      return block;
    void* const block = pool_.allocate_slowly(size, alignment);
    if (block == nullptr) detail::throw_exhausted();
    return block;
  }

  [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment, std::error_code& ec) {
    ALIDADE_ASSERT(std::has_single_bit(alignment));
    void* block = pool_.allocate_at_hand(size, alignment);
    if (block == nullptr) block = pool_.allocate_slowly(size, alignment);
    ec = block != nullptr ? std::error_code{} : make_error_code(errc::budget_exceeded);
    return block;
  }

  void deallocate(void* block, std::size_t size, std::size_t alignment = alignof(std::max_align_t)) noexcept {
    ALIDADE_ASSERT(std::has_single_bit(alignment));
    pool_.deallocate(block, size, alignment);
  }

  /// At once takes back what this thread, threads that have ended, and no thread keep. Another thread gives its part
  /// back when it next deallocates or finds its part lacking, and then trims likewise.
  std::size_t trim() noexcept { return pool_.trim(); }

  /// While no other thread uses the pool.
  void release() noexcept { pool_.release(); }

  /// While other threads allocate, a moment's view. The peak is exact if one thread uses the pool, else right within
  /// 128 KiB for each thread. Blocks that a thread took in advance and gave back without use count as hits at their
  /// first use.
  memory_pool_stats stats() const noexcept { return pool_.stats(); }

  std::size_t reserved_bytes() const noexcept { return pool_.reserved_bytes(); }
  std::size_t byte_limit() const noexcept { return pool_.byte_limit(); }
  memory_resource* upstream_resource() const noexcept { return pool_.upstream_resource(); }

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override { return allocate(size, alignment); }
  void do_deallocate(void* block, std::size_t size, std::size_t alignment) override {
    deallocate(block, size, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::conditional_t<Checks::enabled, detail::locked_pool<Checks>, detail::caching_pool> pool_;
};

using synchronized_memory_pool = basic_synchronized_memory_pool<>;

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
