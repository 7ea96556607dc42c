#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <system_error>

#include <alidade/config/assert.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/detail/pool_core.hpp>
#include <alidade/memory/detail/pool_thread_cache.hpp>
#include <alidade/memory/memory_pool_options.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A pool_core under a lock, and in front of it a cache for each thread, which needs none. Measured on a pair of 2.7
/// ns: a mutex for each call adds 27 ns, one exchange in its place 11 ns, finding the cache and keeping its counts 2
/// ns. Locks are taken in this order: that of all pools, that of one pool; the upstream resource is called under the
/// latter.
class caching_pool {
 public:
  /// Throws its own errors, and what the upstream throws.
  caching_pool(const memory_pool_options& options, memory_resource* upstream, no_pool_checks)
      : core_(upstream, options.byte_limit, options.at_limit) {
    throw_pool_error(prepare_pool(core_, options));
    enlist();
  }
  caching_pool(const memory_pool_options& options, memory_resource* upstream, std::error_code& ec,
               no_pool_checks)
      : core_(upstream, options.byte_limit, options.at_limit) {
    ec = prepare_pool(core_, options);
    enlist();
  }
  caching_pool(const caching_pool&) = delete;
  caching_pool& operator=(const caching_pool&) = delete;

  ~caching_pool() {
    {
      const std::lock_guard lock(all().mutex);
      caching_pool** link = &all().first;
      while (*link != this) link = &(*link)->next_;
      *link = next_;
    }
    deallocate_caches();
  }

  /// A block of this thread's cache, or null.
  void* allocate_at_hand(std::size_t size, std::size_t alignment) noexcept {
    const std::size_t last = pool_last_byte(size, alignment);
    pool_thread_cache* const cache = own_cache();
    if (cache == nullptr || !pool_class_holds<pool_largest_cached>(last, alignment)) [[unlikely]] {
      return nullptr;
    }
    bool was_fresh = false;
    void* const block = cache->lists[pool_class_of(last)].pop(was_fresh);
    if (block == nullptr) [[unlikely]]
      return nullptr;
    if (cache->tally.allocated(size, was_fresh)) [[unlikely]]
      take_account(cache->tally);
    return block;
  }

  /// Null where the limit leaves no room. Throws what the upstream throws.
  ALIDADE_NOINLINE void* allocate_slowly(std::size_t size, std::size_t alignment) {
    const std::lock_guard lock(mutex_);
    pool_thread_cache* cache = attach();
    void* block = core_.obtain(size, alignment);
    if (block == nullptr && size <= core_.upstream().limit()) {
      gather(cache);
      cache = nullptr;
      if (core_.trim() != 0) block = core_.obtain(size, alignment);
    }
    if (block == nullptr) return nullptr;
    tell_to_ask_first();
    const std::size_t last = pool_last_byte(size, alignment);
    if (cache != nullptr && pool_class_holds<pool_largest_cached>(last, alignment)) {
      const std::size_t size_class = pool_class_of(last);
      pool_cache_list& list = cache->lists[size_class];
      if (list.empty()) list.fill(core_.take_more(size_class, cache_capacity(size_class) / 2));
    }
    pool_tally& tally = cache != nullptr ? cache->tally : without_cache_;
    if (tally.allocated(size, false) || cache == nullptr) settle(tally);
    return block;
  }

  void deallocate(void* block, std::size_t size, std::size_t alignment) noexcept {
    const std::size_t last = pool_last_byte(size, alignment);
    pool_thread_cache* const cache = own_cache();
    if (cache == nullptr || !pool_class_holds<pool_largest_cached>(last, alignment) ||
        cache->requests.load(std::memory_order_relaxed) != 0 ||
        !cache->lists[pool_class_of(last)].push(block)) [[unlikely]] {
      return deallocate_slowly(block, size, alignment);
    }
    if (cache->tally.deallocated(size)) [[unlikely]]
      take_account(cache->tally);
  }

  /// Other threads give their caches up when they next deallocate, or ask for what their cache does not have, and then
  /// trim.
  std::size_t trim() noexcept {
    const std::lock_guard lock(mutex_);
    const std::size_t before = core_.upstream().reserved();
    gather(find_cache());
    core_.trim();
    return before - core_.upstream().reserved();
  }

  /// While no other thread uses the pool.
  void release() noexcept {
    const std::uint64_t id = [] {
      const std::lock_guard lock(all().mutex);
      return all().new_id();
    }();
    const std::lock_guard lock(mutex_);
    for (pool_thread_cache* cache = caches_; cache != nullptr; cache = cache->next) close(cache->tally);
    used_ = 0;
    deallocate_caches();
    core_.release();
    id_ = id;
  }

  memory_pool_stats stats() const noexcept {
    const std::lock_guard lock(mutex_);
    note_peak();
    std::size_t allocations = allocations_ + without_cache_.allocations();
    std::size_t misses = misses_ + core_.misses();
    for (const pool_thread_cache* cache = caches_; cache != nullptr; cache = cache->next) {
      allocations += cache->tally.allocations();
      misses += cache->tally.misses();
    }
    return {.used_bytes = static_cast<std::size_t>(total_used()),
            .peak_bytes = static_cast<std::size_t>(peak_),
            .reserved_bytes = core_.upstream().reserved(),
            .allocations = allocations,
            .hits = allocations - std::min(misses, allocations)};
  }

  std::size_t reserved_bytes() const noexcept {
    const std::lock_guard lock(mutex_);
    return core_.upstream().reserved();
  }

  std::size_t byte_limit() const noexcept { return core_.upstream().limit(); }
  memory_resource* upstream_resource() const noexcept { return core_.upstream().resource(); }

 private:
  /// All pools that there are, for threads that end.
  struct registry {
    std::mutex mutex;
    caching_pool* first = nullptr;
    std::uint64_t ids = 0;

    // Libraries that hide their symbols have a registry each; the address keeps their numbers apart.
    std::uint64_t new_id() noexcept {
      return (static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this)) << 16) + ++ids;
    }
  };

  static registry& all() {
    static registry instance;
    return instance;
  }

  void enlist() {
    const std::lock_guard lock(all().mutex);
    id_ = all().new_id();
    next_ = all().first;
    all().first = this;
  }

  /// At the end of a thread its caches go back to their pools.
  struct thread_end {
    ~thread_end() {
      this_thread_pools = {};
      this_thread_pools.ended = true;
      const std::lock_guard lock(all().mutex);
      for (caching_pool* pool = all().first; pool != nullptr; pool = pool->next_) {
        const std::lock_guard pool_lock(pool->mutex_);
        if (pool_thread_cache* const cache = pool->find_cache()) pool->detach(cache);
      }
    }
  };

  pool_thread_cache* own_cache() const noexcept {
    const pool_thread_state::slot& slot = this_thread_pools.slots[id_ % pool_thread_state::slot_count];
    return slot.pool == id_ ? slot.cache : nullptr;
  }

  std::size_t cache_capacity(std::size_t size_class) const noexcept {
    return pool_cache_capacity(size_class, core_.upstream().limit());
  }

  // What follows is called under the lock.

  pool_thread_cache* find_cache() const noexcept {
    pool_thread_cache* cache = caches_;
    while (cache != nullptr && cache->owner != &this_thread_pools) cache = cache->next;
    return cache;
  }

  /// This thread's cache, made if there is none. Null where there is no room for one, and when it was just given up: a
  /// thread that rests from now on is to hold nothing.
  pool_thread_cache* attach() noexcept {
    pool_thread_state& thread = this_thread_pools;
    if (thread.ended) return nullptr;
    pool_thread_cache* cache = own_cache();
    if (cache == nullptr) cache = find_cache();
    if (cache != nullptr && cache->is_asked_to(pool_thread_cache::give_up)) {
      detach(cache);
      core_.trim();
      return nullptr;
    }
    if (cache == nullptr) {
      if (!core_.upstream().permits(sizeof(pool_thread_cache))) return nullptr;
      void* const memory =
          core_.upstream().allocate_or_null(sizeof(pool_thread_cache), alignof(pool_thread_cache));
      if (memory == nullptr) return nullptr;
      static thread_local const thread_end at_end{};
      cache = ::new (memory) pool_thread_cache(&thread, core_.upstream().limit());
      cache->ask_to(pool_thread_cache::ask_first, asking_first_);
      cache->next = caches_;
      caches_ = cache;
    }
    thread.slots[id_ % pool_thread_state::slot_count] = {id_, cache};
    return cache;
  }

  /// Takes back all of this thread's cache.
  void detach(pool_thread_cache* cache) noexcept {
    for (std::size_t i = 0; i < pool_cached_classes; ++i) {
      cache->lists[i].flush(core_, i, cache_capacity(i));
    }
    close(cache->tally);
    pool_thread_cache** link = &caches_;
    while (*link != cache) link = &(*link)->next;
    *link = cache->next;
    pool_thread_state::slot& slot = this_thread_pools.slots[id_ % pool_thread_state::slot_count];
    if (slot.pool == id_) slot = {};
    core_.upstream().deallocate(cache, sizeof(pool_thread_cache), alignof(pool_thread_cache));
  }

  /// Takes back all of this thread's cache, if it has one, and asks the others for theirs.
  void gather(pool_thread_cache* own) noexcept {
    if (own != nullptr) detach(own);
    for (pool_thread_cache* cache = caches_; cache != nullptr; cache = cache->next) {
      cache->ask_to(pool_thread_cache::give_up, true);
    }
  }

  /// A thread that deallocates what was passed through got it from one that has told all threads before.
  void tell_to_ask_first() noexcept {
    const bool ask = core_.passed_small() != 0;
    if (ask == asking_first_) return;
    asking_first_ = ask;
    for (pool_thread_cache* cache = caches_; cache != nullptr; cache = cache->next) {
      cache->ask_to(pool_thread_cache::ask_first, ask);
    }
  }

  ALIDADE_NOINLINE void deallocate_slowly(void* block, std::size_t size, std::size_t alignment) noexcept {
    const std::lock_guard lock(mutex_);
    give_back(block, pool_last_byte(size, alignment), alignment);
    // Looked for only now: a cache that was to be given up is gone, and then the trim had this block too.
    pool_thread_cache* const cache = attach();
    pool_tally& tally = cache != nullptr ? cache->tally : without_cache_;
    if (tally.deallocated(size) || cache == nullptr) settle(tally);
  }

  void give_back(void* block, std::size_t last, std::size_t alignment) noexcept {
    if (!pool_class_holds(last, alignment) || core_.passed_small() != 0) {
      if (core_.return_directly(block)) return tell_to_ask_first();
      ALIDADE_ASSERT(pool_class_holds(last, alignment));
    }
    const std::size_t size_class = pool_class_of(last);
    if (pool_thread_cache* const cache = own_cache(); cache != nullptr && size_class < pool_cached_classes) {
      pool_cache_list& list = cache->lists[size_class];
      if (list.push(block)) return;
      list.flush(core_, size_class, cache_capacity(size_class) / 2);
    }
    core_.push(size_class, block);
  }

  std::ptrdiff_t total_used() const noexcept {
    std::ptrdiff_t total = used_ + without_cache_.used();
    for (const pool_thread_cache* cache = caches_; cache != nullptr; cache = cache->next) {
      total += cache->tally.used();
    }
    return total;
  }

  void note_peak() const noexcept {
    std::ptrdiff_t fallen = without_cache_.fallen();
    for (const pool_thread_cache* cache = caches_; cache != nullptr; cache = cache->next) {
      fallen = std::max(fallen, cache->tally.fallen());
    }
    peak_ = std::max(peak_, total_used() + fallen);
  }

  void settle(pool_tally& tally) noexcept {
    note_peak();
    used_ += tally.settle();
  }

  /// Of a cache that goes.
  void close(pool_tally& tally) noexcept {
    settle(tally);
    allocations_ += tally.allocations();
    misses_ += tally.misses();
  }

  ALIDADE_NOINLINE void take_account(pool_tally& tally) noexcept {
    const std::lock_guard lock(mutex_);
    settle(tally);
  }

  void deallocate_caches() noexcept {
    while (pool_thread_cache* const cache = caches_) {
      caches_ = cache->next;
      core_.upstream().deallocate(cache, sizeof(pool_thread_cache), alignof(pool_thread_cache));
    }
  }

  std::uint64_t id_ = 0;
  mutable std::mutex mutex_;
  pool_thread_cache* caches_ = nullptr;
  caching_pool* next_ = nullptr;  ///< of all pools
  bool asking_first_ = false;     ///< what the caches were told
  pool_tally without_cache_;      ///< of threads without a cache
  std::ptrdiff_t used_ = 0;       ///< bytes in use, without what the tallies have
  mutable std::ptrdiff_t peak_ = 0;
  std::size_t allocations_ = 0;  ///< of caches that are gone, as the next
  std::size_t misses_ = 0;
  pool_core core_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
