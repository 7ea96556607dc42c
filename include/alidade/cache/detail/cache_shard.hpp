#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/cache/detail/cache_access.hpp>
#include <alidade/cache/detail/cache_departures.hpp>
#include <alidade/cache/detail/cache_load.hpp>
#include <alidade/cache/detail/locks.hpp>
#include <alidade/cache/detail/shared_limit.hpp>
#include <alidade/cache/lru_cache.hpp>
#include <alidade/cache/options.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/aligned.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A key to look up, with its hash.
template <class K>
struct hashed_key {
  const K& key;
  std::uint64_t hash;
};
template <class Hash>
struct shard_hash {
  using is_transparent = void;
  template <class K>
  std::uint64_t operator()(const hashed_key<K>& k) const noexcept {
    return k.hash;
  }
  template <class K>
  std::uint64_t operator()(const K& key) const {
    return static_cast<std::uint64_t>(hash(key));
  }
  [[no_unique_address]] Hash hash;
};
template <class KeyEqual>
struct shard_equal {
  using is_transparent = void;
  template <class Key, class K>
  bool operator()(const Key& a, const hashed_key<K>& b) const {
    return equal(a, b.key);
  }
  template <class Key>
  bool operator()(const Key& a, const Key& b) const {
    return equal(a, b);
  }
  [[no_unique_address]] KeyEqual equal;
};
/// The weight that was measured before the lock was taken.
struct given_weight {
  template <class Key, class Value>
  std::size_t operator()(const Key&, const Value&) const noexcept {
    return *weight;
  }
  const std::size_t* weight;
};

/// What a call that evicts in steps has still to do.
struct eviction_job {
  double fraction = 0, debt = 0;
  std::size_t shard = 0;
  bool begun = false;  ///< with this shard
};

/// A part of a cache, which by itself evicts nothing: it takes what it needs of the common budgets first. All of it under its
/// lock, if it does not say otherwise.
template <class Key, class Value, class Hash, class KeyEqual, class Policy>
class alignas(cache_line) cache_shard {
 public:
  using cache = lru_cache<Key, Value, shard_hash<Hash>, shard_equal<KeyEqual>, given_weight, Policy>;
  using access = cache_access<cache>;
  using pin = typename cache::pin;
  using departures = cache_departures<Key, Value, cache_shard>;
  using load = cache_load<Key, pin>;
  using hashed = hashed_key<Key>;
  using key_type = Key;
  using value_type = Value;

  cache_shard(const cache_options& options, cache_budgets& budgets, const Hash& hash, const KeyEqual& equal)
      : budgets_(budgets), equal_(equal), cache_(options, {hash}, {equal}, {&weight_}) {}

  /// Holds the lock. Entries that leave meanwhile go to `gone`.
  class lock {
   public:
    explicit lock(cache_shard& shard, departures* gone = nullptr)
        : shard_(shard), gone_(gone), held_(shard.mutex_) {
      shard.gone_ = gone;
    }
    lock(const lock&) = delete;
    lock& operator=(const lock&) = delete;
    ~lock() {
      if (changes_) shard_.settle();
    }
    /// Nothing has come or gone, nor been pinned.
    void changes_nothing() noexcept { changes_ = false; }

    void wait_for(const load_state& l) {
      shard_.settle();
      shard_.loaded_.wait(held_, [&l] { return l.done.load(std::memory_order_relaxed); });
      shard_.gone_ = gone_;
    }

   private:
    cache_shard& shard_;
    departures* gone_;
    bool changes_ = true;
    std::unique_lock<cache_mutex> held_;
  };

  cache& entries() noexcept { return cache_; }

  // Without the lock, a moment's view.
  std::size_t size() const noexcept { return leased_entries_.load(std::memory_order_relaxed); }
  std::size_t bytes() const noexcept { return leased_bytes_.load(std::memory_order_relaxed); }
  std::size_t pinned() const noexcept { return pinned_.load(std::memory_order_relaxed); }
  /// Without the lock.
  void release(pin& p) {
    const lock held(*this);
    p.release();
  }

  bool tells_departures() const noexcept { return tells_; }
  void tell_departures(bool tell) {
    typename cache::callback record;
    if (tell) {
      record = [this](const Key& key, const Value& value, eviction_cause cause) {
        if (pin held = access::pinned_leaving(cache_, cause)) {
          gone_->add(*this, std::move(held), key, value, cause);
        } else {
          // Nobody looks at them any more, and they are no constants.
          gone_->add(std::move(const_cast<Key&>(key)), std::move(const_cast<Value&>(value)), cause);
        }
      };
    }
    cache_.on_eviction(std::move(record));
    tells_ = tell;
  }

  /// Neither counts nor promotes before it is let go.
  template <class K>
  pin find_pinned(const hashed_key<K>& key) {
    const std::uint32_t slot = access::find_live(cache_, key);
    return slot == no_slot ? pin() : access::pinned(cache_, slot);
  }

  /// Takes from the budgets, and from what is in hand, what an entry more takes, or says in `lack` what has to be evicted first.
  bool admit(std::size_t weight, bool expires, std::uint32_t replaced, allowance& in_hand, allowance& lack) {
    lack = {};
    const std::size_t entries = cache_.size() + (replaced == no_slot ? 1 : 0);
    if (budgets_.limits_entries) {
      const std::size_t had = size() + in_hand.entries;
      if (!budgets_.entries.exchange(had, entries)) {
        lack.entries = budgets_.entries.missing(had, entries);
        return false;
      }
    }
    set(leased_entries_, entries);
    in_hand.entries = 0;
    const std::size_t had = bytes() + in_hand.bytes;
    const std::size_t wanted = access::bytes_with(cache_, weight, expires, replaced);
    if (!budgets_.bytes.exchange(had, wanted)) {
      lack.bytes = budgets_.bytes.missing(had, wanted);
      return false;
    }
    set(leased_bytes_, wanted);
    in_hand.bytes = 0;
    return true;
  }
  /// What has been admitted.
  std::uint32_t place(Key&& key, Value&& value, std::size_t weight, std::chrono::nanoseconds time_to_live,
                      std::error_code& ec) {
    reserve_departure();
    weight_ = weight;
    return access::place(cache_, std::move(key), std::move(value), time_to_live, ec);
  }
  /// So that the next departure does not throw.
  void reserve_departure() { gone_->reserve(1); }
  void take_out(std::uint32_t slot, eviction_cause cause) { access::take_out(cache_, slot, cause); }
  std::uint64_t evict_one(eviction_cause cause) {
    reserve_departure();
    return access::evict_one(cache_, cause);
  }
  /// As lru_cache makes room for itself. Whether there was anything to give.
  bool make_room(const allowance& lack) {
    if (lack.bytes != 0 && drop_spare_chunk()) return true;
    return evict_one(eviction_cause::budget) != 0 || (lack.bytes != 0 && access::shrink(cache_));
  }
  bool drop_spare_chunk() { return access::drop_spare_chunk(cache_); }

  struct concession {
    std::size_t entries = 0;  ///< evicted
    bool exhausted = false;   ///< there is nothing more to give
  };
  /// Evicts for others what they lack, or a good deal of it, and gives it into their hand. Not more than `steps`, from which
  /// it takes what it did. At any price: even where an entry more that goes gives no byte.
  concession concede(allowance& lack, allowance& in_hand, std::size_t& steps, bool at_any_price) {
    concession done;
    bool stuck = false;  // there are slots for a chunk's entries, which cannot be moved
    for (std::size_t here = 0; steps != 0; ++here, --steps) {
      const allowance free = surplus();
      if (free.bytes >= lack.bytes && free.entries >= lack.entries) break;
      if (here >= fair_share && !free.empty()) break;
      if (lack.bytes != 0) {
        const bool could = access::could_drop_chunk(cache_);
        if ((could && access::drop_chunk(cache_)) || (access::is_hollow(cache_) && access::shrink(cache_))) {
          steps -= std::min<std::size_t>(steps - 1, access::storage::chunk_slots);
          continue;
        }
        stuck = could && !at_any_price;
      }
      const std::size_t before = cache_.bytes();
      if (evict_one(eviction_cause::budget) != 0) {
        ++done.entries;
        done.exhausted = stuck && lack.entries == 0 && cache_.bytes() == before;
      } else {
        done.exhausted = lack.bytes == 0 || !access::shrink(cache_);
      }
      if (done.exhausted) break;
    }
    const allowance free = hand_over(in_hand);
    lack.bytes -= std::min(lack.bytes, free.bytes);
    lack.entries -= std::min(lack.entries, free.entries);
    return done;
  }
  /// Gives into a hand what it has more than it needs.
  allowance hand_over(allowance& in_hand) noexcept {
    const allowance free = surplus();
    in_hand.bytes += free.bytes;
    in_hand.entries += free.entries;
    set(leased_bytes_, bytes() - free.bytes);
    set(leased_entries_, size() - free.entries);
    return free;
  }

  /// Its part of an eviction, in at most `steps`. Whether that is all.
  bool evict(eviction_job& job, std::size_t& steps, std::size_t& evicted) {
    if (!job.begun) job.debt += job.fraction * static_cast<double>(access::cost(cache_));
    job.begun = true;
    while (job.debt >= 1) {
      if (steps == 0) return false;
      if (drop_spare_chunk()) {
        steps -= std::min<std::size_t>(steps, access::storage::chunk_slots);
        continue;
      }
      const auto gone = static_cast<double>(evict_one(eviction_cause::pressure));
      job.debt = gone == 0 ? 0 : job.debt - gone;
      evicted += gone == 0 ? 0 : 1;
      --steps;
    }
    while (steps != 0 && drop_spare_chunk())
      steps -= std::min<std::size_t>(steps, access::storage::chunk_slots);
    if (steps != 0 && access::is_hollow(cache_) && access::shrink(cache_)) steps = 0;
    return steps != 0;
  }

  std::size_t sweep(std::size_t groups) {
    std::size_t gone = 0;
    for (std::size_t left = std::min(groups, access::groups(cache_)); left > 0; --left) {
      gone_->reserve(tag_index::lanes);
      gone += cache_.sweep(1);
    }
    return gone;
  }

  /// A load of the key that runs, or null.
  std::shared_ptr<load> load_of(const hashed_key<Key>& key) const {
    for (const std::shared_ptr<load>& l : loads_) {
      if (is_of(*l, key)) return l;
    }
    return nullptr;
  }
  const std::shared_ptr<load>& begin_load(const hashed_key<Key>& key) {
    return loads_.emplace_back(std::make_shared<load>(key.key, key.hash));
  }
  void end_load(load& ended) noexcept {
    std::erase_if(loads_, [&ended](const std::shared_ptr<load>& l) { return l.get() == &ended; });
    ended.done.store(true, std::memory_order_relaxed);
  }
  /// Without the lock.
  void notify_takers() noexcept { loaded_.notify_all(); }
  template <class K>
  void spoil_load(const hashed_key<K>& key) {
    for (const std::shared_ptr<load>& l : loads_) l->stale = l->stale || is_of(*l, key);
  }
  void spoil_loads() noexcept {
    for (const std::shared_ptr<load>& l : loads_) l->stale = true;
  }

  // For the owner of all shards, the second under its lock.
  std::size_t next_peer = 0;
  std::uint64_t exhausted_in = 0;  ///< a search for something to evict

 private:
  static constexpr std::size_t fair_share = 64;

  template <class K>
  bool is_of(const load& l, const hashed_key<K>& key) const {
    return l.hash == key.hash && equal_(l.key, key.key);
  }
  static void set(std::atomic<std::size_t>& x, std::size_t value) noexcept {
    x.store(value, std::memory_order_relaxed);
  }
  allowance surplus() const noexcept {
    return {bytes() - std::min(bytes(), cache_.bytes()),
            budgets_.limits_entries ? size() - cache_.size() : 0};
  }

  /// Has no more of the budgets than it needs.
  void settle() noexcept {
    const std::size_t had = bytes(), needs = cache_.bytes();
    if (had > needs) {
      budgets_.bytes.give_back(had - needs);
    } else if (had < needs) {
      budgets_.bytes.take(needs - had);  // a policy has grown by more than its least_bytes and a quarter
    }
    set(leased_bytes_, needs);
    if (budgets_.limits_entries && size() != cache_.size())
      budgets_.entries.give_back(size() - cache_.size());
    set(leased_entries_, cache_.size());
    set(pinned_, access::pinned_weights(cache_));
  }

  cache_mutex mutex_;
  std::atomic<std::size_t> leased_bytes_{0}, leased_entries_{0}, pinned_{0};
  cache_budgets& budgets_;
  [[no_unique_address]] KeyEqual equal_;
  departures* gone_ = nullptr;  ///< of the call that holds the lock
  bool tells_ = false;
  std::size_t weight_ = 0;  ///< of what is put in
  cache cache_;
  std::vector<std::shared_ptr<load>> loads_;
  cache_condition loaded_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
