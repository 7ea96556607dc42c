#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

#include <alidade/cache/detail/entry_storage.hpp>
#include <alidade/cache/detail/tag_index.hpp>
#include <alidade/cache/options.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What shards need of an lru_cache beside its interface.
template <class Cache>
struct cache_access {
  using pin = typename Cache::pin;
  using storage = typename Cache::storage;
  using policy = decltype(Cache::policy_);
  static constexpr std::size_t step_entries = Cache::step_entries;

  template <class K>
  static std::uint32_t find(const Cache& cache, const K& key) {
    return cache.find(key, cache.hash_of(key));
  }
  /// As find, of an entry whose time is not over.
  template <class K>
  static std::uint32_t find_live(const Cache& cache, const K& key) {
    const std::uint32_t slot = find(cache, key);
    return slot == no_slot || cache.is_over(slot) ? no_slot : slot;
  }

  static pin pinned(Cache& cache, std::uint32_t slot) noexcept { return pin(cache, slot); }
  static pin again(const pin& p) noexcept { return pin(*p.cache_, p.slot_); }
  static std::size_t pinned_weights(const Cache& cache) noexcept { return cache.pinned_weights_; }
  /// In a callback: a pin of the entry that it is about, if anyone but the cache has one.
  static pin pinned_leaving(Cache& cache, eviction_cause cause) noexcept {
    const std::uint32_t own = cause == eviction_cause::replaced ? 2 : 1;
    return cache.entries_[cache.leaving_].pins == own ? pin() : pin(cache, cache.leaving_);
  }

  /// The least that one counts that is empty, but was not always.
  static constexpr std::size_t empty_bytes(bool expires) noexcept {
    return tag_index::least_bytes(1) + policy::least_bytes(1) +
           (expires ? storage::chunk_slots * sizeof(std::int64_t) : 0);
  }
  /// The least that one with a single entry counts beside that entry's weight.
  static constexpr std::size_t least_bytes(bool expires) noexcept {
    return storage::least_bytes(1) + empty_bytes(expires);
  }
  /// The most that bytes() is while and after an entry of this weight is put in, in place of `replaced`.
  static std::size_t bytes_with(const Cache& cache, std::size_t weight, bool expires,
                                std::uint32_t replaced) noexcept {
    return cache.bytes_with(weight, expires, replaced);
  }

  static std::uint32_t place(Cache& cache, auto&& key, auto&& value, std::chrono::nanoseconds time_to_live,
                             std::error_code& ec) {
    std::uint32_t placed = no_slot;
    cache.place(std::forward<decltype(key)>(key), std::forward<decltype(value)>(value), time_to_live, ec,
                [&placed](std::uint32_t slot) { placed = slot; });
    return placed;
  }
  static void take_out(Cache& cache, std::uint32_t slot, eviction_cause cause) {
    cache.take_out(slot, cause);
  }
  static std::uint64_t evict_one(Cache& cache, eviction_cause cause) { return cache.evict_one(cause); }
  /// What evict_one gives, of all entries.
  static std::uint64_t cost(const Cache& cache) noexcept { return cache.cost_; }

  /// As far as the number of slots goes.
  static bool could_drop_chunk(const Cache& cache) noexcept {
    return cache.entries_.free_slots() >= storage::chunk_slots;
  }
  static bool is_hollow(const Cache& cache) noexcept { return cache.is_hollow(); }
  static std::size_t groups(const Cache& cache) noexcept { return cache.index_.groups(); }
  static bool drop_chunk(Cache& cache) { return cache.drop_chunk(); }
  static bool drop_spare_chunk(Cache& cache) { return cache.drop_spare_chunk(); }
  static bool shrink(Cache& cache) { return cache.shrink(); }
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
