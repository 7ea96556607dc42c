#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/cache/detail/cache_shard.hpp>
#include <alidade/cache/detail/entry_storage.hpp>
#include <alidade/cache/detail/locks.hpp>
#include <alidade/cache/detail/shared_limit.hpp>
#include <alidade/cache/options.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/random.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What is to be put in.
template <class Shard>
struct cache_item {
  const typename Shard::hashed& asked;
  typename Shard::key_type& key;
  typename Shard::value_type& value;
  std::size_t weight;
  std::chrono::nanoseconds time_to_live;
  bool loaded = false;  ///< then a value that the key has by now stays
};

/// The shards of a cache, with the budgets that they share: how an entry gets in, and how shards give others what they need.
///
/// Bytes and entries are taken from the budgets before a shard grows, and given back when it has shrunk. What one thread evicts in
/// another shard to put something in is in its hand, and still taken, until it has enough: nobody else can take that away. One
/// thread at a time does so, or what two had in hand could be what each of them lacks.
template <class Shard>
class cache_shards {
  using access = typename Shard::access;
  using departures = typename Shard::departures;
  using lock = typename Shard::lock;
  using item = cache_item<Shard>;

 public:
  template <class... Args>
  cache_shards(std::size_t count, const cache_options& common, const Args&... args)
      : budgets_{shared_limit(common.max_bytes), shared_limit(common.max_entries),
                 common.max_entries != cache_options::any_number},
        counts_overhead_(common.count_overhead) {
    cache_options each = common;
    each.max_bytes = std::numeric_limits<std::size_t>::max();
    each.max_entries = cache_options::any_number;
    shards_.reserve(count);
    while (shards_.size() != count) shards_.push_back(std::make_unique<Shard>(each, budgets_, args...));
    job_.shard = count;
  }

  std::size_t count() const noexcept { return shards_.size(); }
  Shard& operator[](std::size_t i) const noexcept { return *shards_[i]; }
  /// By other bits than those that lru_cache's index takes, which are of another function.
  Shard& home_of(std::uint64_t hash) const noexcept {
    return *shards_[static_cast<std::size_t>(mix64(hash)) & (shards_.size() - 1)];
  }
  const shared_limit& bytes() const noexcept { return budgets_.bytes; }
  /// Where their number is limited never above that.
  std::size_t size() const noexcept {
    if (budgets_.limits_entries) return budgets_.entries.used();
    std::size_t all = 0;
    for (const auto& s : shards_) all += s->size();
    return all;
  }

  /// Puts an item in and calls placed(slot, fresh), under the lock; fresh is false when a value was there that stays. Or has
  /// an error: errc::budget_exceeded.
  template <class Placed>
  void place(Shard& home, const item& in, departures& gone, std::error_code& ec, const Placed& placed) {
    if (in.time_to_live != in.time_to_live.zero()) expiring_.store(true, std::memory_order_relaxed);
    if (in.weight > no_slot || !may_fit(home, in.weight)) {
      ec = errc::budget_exceeded;
      return;
    }
    allowance nothing, lack;
    if (try_place(home, in, true, nothing, lack, gone, ec, placed)) return;
    const std::lock_guard evicting(evictor_);
    allowance_in_hand in_hand(budgets_);
    // What others do meanwhile can make a round be in vain, though there is something to evict; hardly several.
    for (int in_vain = 0; in_vain < 8;) {
      if (try_place(home, in, false, in_hand, lack, gone, ec, placed)) return;
      const std::size_t had_bytes = in_hand.bytes, had_entries = in_hand.entries;
      std::size_t steps = std::numeric_limits<std::size_t>::max();
      static_cast<void>(take_from_largest(lack, in_hand, steps, in_vain != 0, gone));
      const bool gained = lack.empty() || in_hand.bytes != had_bytes || in_hand.entries != had_entries;
      in_vain = gained ? 0 : in_vain + 1;
    }
    ec = errc::budget_exceeded;
  }

  eviction_progress evict(double fraction, departures& gone) {
    eviction_progress done;
    const std::lock_guard evicting(evictor_);
    if (job_.shard == count()) job_ = {.fraction = fraction};
    for (std::size_t steps = access::step_entries; job_.shard != count(); ++job_.shard, job_.begun = false) {
      Shard& part = *shards_[job_.shard];
      const lock held(part, &gone);
      if (!part.evict(job_, steps, done.entries)) break;
    }
    done.finished = job_.shard == count();
    return done;
  }

  eviction_progress resize_budget(std::size_t max_bytes, departures& gone) {
    eviction_progress done;
    const std::lock_guard evicting(evictor_);
    budgets_.bytes.set_limit(max_bytes);
    allowance_in_hand freed(budgets_);
    std::size_t steps = access::step_entries;
    done.entries = take_from_largest({.bytes = budgets_.bytes.missing(0, 0)}, freed, steps, true, gone);
    done.finished = steps != 0 || budgets_.bytes.missing(freed.bytes, 0) == 0;
    return done;
  }

 private:
  /// False, and what is lacking: others must give it.
  template <class Placed>
  bool try_place(Shard& home, const item& in, bool evict_here, allowance& in_hand, allowance& lack,
                 departures& gone, std::error_code& ec, const Placed& placed) {
    const lock held(home, &gone);
    if (in.loaded) {
      if (const std::uint32_t slot = access::find_live(home.entries(), in.asked); slot != no_slot) {
        placed(slot, false);
        return true;
      }
    }
    {
      const bool expires = in.time_to_live != in.time_to_live.zero();
      const std::uint32_t found = access::find(home.entries(), in.asked);
      typename Shard::pin replaced;
      if (found != no_slot) replaced = access::pinned(home.entries(), found);
      for (std::size_t n = 0; !home.admit(in.weight, expires, found, in_hand, lack); ++n) {
        if (!evict_here) {
          home.hand_over(in_hand);
          return false;
        }
        if ((n % 32 == 0 && is_small(home, lack)) || !home.make_room(lack)) return false;
      }
    }
    if (!in.loaded) home.spoil_load(in.asked);
    placed(home.place(std::move(in.key), std::move(in.value), in.weight, in.time_to_live, ec), true);
    return true;
  }

  /// Whether it could be in beside what the other shards keep when they are empty, and, if it is no small thing, what is pinned.
  bool may_fit(const Shard& home, std::size_t weight) const noexcept {
    const std::size_t limit = budgets_.bytes.limit();
    const bool expiring = expiring_.load(std::memory_order_relaxed);
    const std::size_t empty = counts_overhead_ ? access::empty_bytes(expiring) : 0;
    std::size_t least = counts_overhead_ ? access::least_bytes(expiring) : 0;
    if (weight >= limit / 256) {
      for (const auto& s : shards_)
        least += s->pinned() + (s.get() == &home ? 0 : std::min(s->bytes(), empty));
    } else {
      least += (count() - 1) * empty;
    }
    return least <= limit && weight <= limit - least;
  }

  /// Whether a shard has so much less than the average, or than the next one to compare it with, that others should give what
  /// it lacks.
  bool is_small(Shard& s, const allowance& lack) const noexcept {
    if (count() == 1) return false;
    const Shard& peer = *shards_[s.next_peer++ % count()];
    if (lack.bytes == 0)
      return s.size() + s.size() / 4 + 1 < std::max(peer.size(), budgets_.entries.used() / count());
    const std::size_t margin = counts_overhead_ ? 4 * access::storage::chunk_bytes : 0;
    return s.bytes() + s.bytes() / 4 + margin < std::max(peer.bytes(), budgets_.bytes.used() / count());
  }

  /// Under the lock of evictions. How many entries went.
  std::size_t take_from_largest(allowance lack, allowance& in_hand, std::size_t& steps, bool at_any_price,
                                departures& gone) {
    ++search_;
    std::size_t evicted = 0;
    while (!lack.empty() && steps != 0) {
      Shard* largest = nullptr;
      std::size_t most = 0;
      for (const auto& s : shards_) {
        const std::size_t has = lack.bytes != 0 ? s->bytes() : s->size();
        if (has > most && s->exhausted_in != search_) {
          largest = s.get();
          most = has;
        }
      }
      if (largest == nullptr) break;
      const lock held(*largest, &gone);
      const auto done = largest->concede(lack, in_hand, steps, at_any_price);
      evicted += done.entries;
      if (done.exhausted) largest->exhausted_in = search_;
    }
    return evicted;
  }

  cache_budgets budgets_;
  bool counts_overhead_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<bool> expiring_{false};

  cache_mutex evictor_;  // taken before a shard's; of the following, and of who takes from other shards
  eviction_job job_;
  std::uint64_t search_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
