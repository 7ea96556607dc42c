#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/detail/pool_core.hpp>
#include <alidade/memory/detail/pool_size_classes.hpp>
#include <alidade/memory/detail/pool_slabs.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Threads keep blocks of up to 64 KiB.
inline constexpr std::size_t pool_largest_cached = std::size_t{64} << 10;
inline constexpr std::size_t pool_cached_classes = pool_class_of(pool_largest_cached - 1) + 1;

/// How many blocks of a class a thread keeps at most: 2..64, which are up to 256 KiB or a 128th of the pool's limit.
constexpr std::size_t pool_cache_capacity(std::size_t size_class, std::size_t limit) noexcept {
  const std::size_t bytes = std::min(std::size_t{256} << 10, limit / 128);
  return std::clamp<std::size_t>(bytes / pool_block_bytes(size_class), 2, 64);
}

/// Free blocks of one class. Those that were never handed out are at the end of the list; they are fresh.
class pool_cache_list {
 public:
  /// Null where there is none. `was_fresh` says whether it is handed out for the first time.
  pool_node* pop(bool& was_fresh) noexcept {
    pool_node* const node = first_;
    if (node == nullptr) [[unlikely]]
      return nullptr;
    first_ = node->next;
    ++room_;
    was_fresh = room_ > room_above_fresh_;
    if (was_fresh) room_above_fresh_ = room_;
    return node;
  }

  /// False where the list is full.
  bool push(void* block) noexcept {
    if (room_ == 0) [[unlikely]]
      return false;
    --room_;
    first_ = ::new (block) pool_node{first_};
    return true;
  }

  /// Of an empty list.
  void fill(const pool_chain& chain) noexcept {
    first_ = chain.first;
    room_ -= static_cast<std::uint32_t>(chain.count);
    if (chain.fresh) room_above_fresh_ = room_;
  }

  /// Gives up to `most` blocks back.
  void flush(pool_core& core, std::size_t size_class, std::size_t most) noexcept {
    if (first_ == nullptr) return;
    pool_node* const first = first_;
    pool_node* last = first_;
    ++room_;
    for (std::size_t i = 1; i < most && last->next != nullptr; ++i, ++room_) last = last->next;
    first_ = last->next;
    room_above_fresh_ = std::max(room_above_fresh_, room_);
    core.put_back(size_class, first, last);
  }

  bool empty() const noexcept { return first_ == nullptr; }
  void set_capacity(std::size_t blocks) noexcept {
    room_ = room_above_fresh_ = static_cast<std::uint32_t>(blocks);
  }

 private:
  pool_node* first_ = nullptr;
  std::uint32_t room_ = 0;              ///< for how many blocks more
  std::uint32_t room_above_fresh_ = 0;  ///< what room_ is when only fresh blocks are left
};

/// What one thread has allocated and deallocated since the pool last took account. Its thread writes, others may read.
class pool_tally {
 public:
  /// A thread's part of the bytes in use may be so far from what the pool has taken account of.
  static constexpr std::ptrdiff_t most_unsettled = std::ptrdiff_t{64} << 10;

  /// True when the pool should take account.
  bool allocated(std::size_t size, bool was_fresh) noexcept {
    add(allocations_, std::size_t{1});
    if (was_fresh) [[unlikely]]
      add(misses_, std::size_t{1});
    const std::ptrdiff_t used = add(used_, static_cast<std::ptrdiff_t>(size));
    if (used <= high_.load(std::memory_order_relaxed)) [[likely]]
      return false;
    high_.store(used, std::memory_order_relaxed);
    return used > most_unsettled;
  }
  bool deallocated(std::size_t size) noexcept {
    return add(used_, -static_cast<std::ptrdiff_t>(size)) < -most_unsettled;
  }

  std::size_t allocations() const noexcept { return allocations_.load(std::memory_order_relaxed); }
  std::size_t misses() const noexcept { return misses_.load(std::memory_order_relaxed); }
  std::ptrdiff_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

  /// By how much the thread's bytes in use were more than they are.
  std::ptrdiff_t fallen() const noexcept { return high_.load(std::memory_order_relaxed) - used(); }

  std::ptrdiff_t settle() noexcept {
    const std::ptrdiff_t before = used();
    used_.store(0, std::memory_order_relaxed);
    high_.store(0, std::memory_order_relaxed);
    return before;
  }

 private:
  // With one writer a load and a store do; an atomic addition would cost 5 ns.
  template <class T>
  static T add(std::atomic<T>& to, T value) noexcept {
    const T sum = to.load(std::memory_order_relaxed) + value;
    to.store(sum, std::memory_order_relaxed);
    return sum;
  }

  std::atomic<std::size_t> allocations_{0};
  std::atomic<std::size_t> misses_{0};
  std::atomic<std::ptrdiff_t> used_{0};
  std::atomic<std::ptrdiff_t> high_{0};
};

/// What one thread keeps of one pool. Its thread alone touches the lists; the pool owns the memory.
struct alignas(64) pool_thread_cache {
  pool_thread_cache(const void* owner_thread, std::size_t limit) noexcept : owner(owner_thread) {
    for (std::size_t i = 0; i < pool_cached_classes; ++i)
      lists[i].set_capacity(pool_cache_capacity(i, limit));
  }

  // What the pool asks of the thread. Written under the pool's lock; read before each deallocation.
  static constexpr unsigned ask_first =
      1;  ///< some small blocks came from upstream one by one: ask whether this did
  static constexpr unsigned give_up = 2;  ///< give all of this back
  std::atomic<unsigned> requests{0};

  bool is_asked_to(unsigned request) const noexcept {
    return (requests.load(std::memory_order_relaxed) & request) != 0;
  }
  void ask_to(unsigned request, bool ask) noexcept {
    const unsigned others = requests.load(std::memory_order_relaxed) & ~request;
    requests.store(ask ? others | request : others, std::memory_order_relaxed);
  }

  pool_tally tally;
  const void* owner;  ///< the pool_thread_state of its thread
  pool_thread_cache* next = nullptr;
  pool_cache_list lists[pool_cached_classes];
};

/// Which caches a thread has. The number of a pool is never that of another, so what is left of a pool that is gone
/// does no harm. Two pools can share a slot: then the thread finds its cache through the pool, which takes a lock.
struct pool_thread_state {
  static constexpr std::size_t slot_count = 8;

  struct slot {
    std::uint64_t pool = 0;
    pool_thread_cache* cache = nullptr;
  };
  slot slots[slot_count];
  bool ended = false;  ///< its caches were given up as the thread ended; it gets no new ones
};

// Of constant initialisation and without a destructor: read directly, and to the very end of the thread.
inline constinit thread_local pool_thread_state this_thread_pools{};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
