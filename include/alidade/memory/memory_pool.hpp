#pragma once

#include <bit>
#include <cstddef>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/assert.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/detail/pool_checker.hpp>
#include <alidade/memory/detail/pool_core.hpp>
#include <alidade/memory/detail/pool_size_classes.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// A memory resource that keeps what is deallocated and hands it out again: for many blocks that come and go, such as
/// vectors on their way in and out of an index. For one thread; synchronized_memory_pool is for several.
///
/// Blocks have one of 64 sizes, four to a power of two. One is at most a quarter longer than the size asked for,
/// rounded up to its alignment (or 7 bytes, of short ones), and there is no header: a block of 3072 bytes holds 768
/// floats and nothing else. Alignments up to 64 cost nothing. More than 1 MiB, or a larger alignment, comes from the
/// upstream resource one by one and returns there.
///
/// Through std::pmr::memory_resource a call is virtual. `allocate` and `deallocate` of the pool itself, of the same
/// meaning, are inlined: a pair of them takes a third of the time.
///
/// `Checks` is no_pool_checks or, to look for mistakes, assert_pool_checks (as in checked_memory_pool) or a class like
/// it: then double frees, wrong sizes, and writing behind a block or after its deallocation are found, at several times
/// the cost. Destroying a pool frees all of its blocks, those in use too.
template <pool_checks Checks = no_pool_checks>
class basic_memory_pool final : public memory_resource {
 public:
  /// `upstream` must outlive the pool. Throws alidade::error (errc::invalid_option) where an option is out of range,
  /// memory_pool_exhausted where the limit has no room for what is to be preallocated, and what the upstream throws.
  explicit basic_memory_pool(const memory_pool_options& options = {},
                             memory_resource* upstream = new_delete_resource(), Checks checks = {})
      : checker_(std::move(checks)), core_(upstream, options.byte_limit, options.at_limit) {
    detail::throw_pool_error(detail::prepare_pool(core_, options));
  }

  /// Instead of throwing errors of its own sets `ec`, to errc::invalid_option or errc::budget_exceeded; the pool then
  /// has a limit of zero bytes.
  basic_memory_pool(const memory_pool_options& options, memory_resource* upstream, std::error_code& ec,
                    Checks checks = {})
      : checker_(std::move(checks)), core_(upstream, options.byte_limit, options.at_limit) {
    ec = detail::prepare_pool(core_, options);
  }

  basic_memory_pool(const basic_memory_pool&) = delete;
  basic_memory_pool& operator=(const basic_memory_pool&) = delete;

  ~basic_memory_pool() override { release(); }

  /// `size` bytes, which may be none, at a multiple of `alignment`, a power of two. Throws memory_pool_exhausted where
  /// the limit leaves no room, and what the upstream resource throws; nothing in use is changed then.
  [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
    if (void* const block = allocate_at_hand(size, alignment)) [[likely]]
      return block;
    void* const block = allocate_slowly(size, alignment);
    if (block == nullptr) detail::throw_exhausted();
    return block;
  }

  /// Instead of throwing memory_pool_exhausted sets `ec` to errc::budget_exceeded and returns null.
  [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment, std::error_code& ec) {
    void* block = allocate_at_hand(size, alignment);
    if (block == nullptr) block = allocate_slowly(size, alignment);
    ec = block != nullptr ? std::error_code{} : make_error_code(errc::budget_exceeded);
    return block;
  }

  /// Takes back a block of this pool, with the size and alignment that it was allocated with.
  void deallocate(void* block, std::size_t size, std::size_t alignment = alignof(std::max_align_t)) noexcept {
    ALIDADE_ASSERT(std::has_single_bit(alignment));
    const std::size_t last = detail::pool_last_byte(size, alignment);
    if (Checks::enabled || !detail::pool_class_holds(last, alignment) || core_.passed_small() != 0)
        [[unlikely]] {
      return deallocate_slowly(block, size, alignment);
    }
    below_peak_ += size;
    core_.push(detail::pool_class_of(last), block);
  }

  /// Gives to the upstream resource all memory that has no block in use: each free block of 4 KiB and more, and smaller
  /// ones where all of those that came together are free. Returns how many bytes. O(n log n) for n free blocks.
  std::size_t trim() noexcept {
    if constexpr (Checks::enabled) {
      return checker_.trim(core_);
    } else {
      return core_.trim();
    }
  }

  /// Frees all blocks, those in use too, and gives all memory to the upstream resource.
  void release() noexcept {
    if constexpr (Checks::enabled) checker_.release(core_);
    core_.release();
    below_peak_ = peak_;
  }

  memory_pool_stats stats() const noexcept {
    return {.used_bytes = peak_ - below_peak_,
            .peak_bytes = peak_,
            .reserved_bytes = reserved_bytes(),
            .allocations = allocations_,
            .hits = allocations_ - core_.misses()};
  }

  /// All bytes that the pool holds of the upstream resource, its own tables included.
  std::size_t reserved_bytes() const noexcept { return core_.upstream().reserved(); }

  std::size_t byte_limit() const noexcept { return core_.upstream().limit(); }
  memory_resource* upstream_resource() const noexcept { return core_.upstream().resource(); }

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override { return allocate(size, alignment); }
  void do_deallocate(void* block, std::size_t size, std::size_t alignment) override {
    deallocate(block, size, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  /// A free block of its class, if there is one.
  void* allocate_at_hand(std::size_t size, std::size_t alignment) noexcept {
    ALIDADE_ASSERT(std::has_single_bit(alignment));
    const std::size_t last = detail::pool_last_byte(size, alignment);
    if (Checks::enabled || !detail::pool_class_holds(last, alignment)) return nullptr;
    void* const block = core_.pop(detail::pool_class_of(last));
    if (block != nullptr) [[likely]]
      count(size);
    return block;
  }

  /// Null where the limit leaves no room, even after the free memory of other sizes was given back.
  ALIDADE_NOINLINE void* allocate_slowly(std::size_t size, std::size_t alignment) {
    void* block = obtain(size, alignment);
    if (block == nullptr && size <= byte_limit() && trim() != 0) block = obtain(size, alignment);
    if (block != nullptr) count(size);
    return block;
  }

  ALIDADE_NOINLINE void deallocate_slowly(void* block, std::size_t size, std::size_t alignment) noexcept {
    if constexpr (Checks::enabled) {
      const std::size_t counted = checker_.deallocate(core_, block, size, alignment);
      if (counted != checker_.none) below_peak_ += counted;
    } else {
      below_peak_ += size;
      if (core_.return_directly(block)) return;
      const std::size_t last = detail::pool_last_byte(size, alignment);
      ALIDADE_ASSERT(detail::pool_class_holds(last, alignment));
      core_.push(detail::pool_class_of(last), block);
    }
  }

  void* obtain(std::size_t size, std::size_t alignment) {
    if constexpr (Checks::enabled) {
      return checker_.allocate(core_, size, alignment);
    } else {
      return core_.obtain(size, alignment);
    }
  }

  // The bytes in use are peak_ - below_peak_: so an allocation that sets no record changes one number.
  void count(std::size_t size) noexcept {
    ++allocations_;
    if (size > below_peak_) [[unlikely]] {
      peak_ += size - below_peak_;
      below_peak_ = size;
    }
    below_peak_ -= size;
  }

  struct no_checker {
    explicit no_checker(Checks) noexcept {}
  };
  using checker = std::conditional_t<Checks::enabled, detail::pool_checker<Checks>, no_checker>;

  std::size_t below_peak_ = 0;
  std::size_t peak_ = 0;
  std::size_t allocations_ = 0;
  [[no_unique_address]] checker checker_;
  detail::pool_core core_;
};

using memory_pool = basic_memory_pool<>;

/// Asserts that it is used without mistakes.
using checked_memory_pool = basic_memory_pool<assert_pool_checks>;

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
