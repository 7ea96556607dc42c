#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/cache/cache_pin.hpp>
#include <alidade/cache/detail/entry_storage.hpp>
#include <alidade/cache/detail/expiry_times.hpp>
#include <alidade/cache/detail/tag_index.hpp>
#include <alidade/cache/options.hpp>
#include <alidade/cache/policies.hpp>
#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/random.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// A cache with a budget of bytes, of entries, or of both. What goes first is the policy's choice: the least recently used by
/// default; cache_policies::s3_fifo where a scan must not flush what is asked for again and again.
///
/// Bytes are counted as they are taken: entries with their keys and values, in chunks of about 16 KiB; the index; what the
/// policy remembers; and what keys and values own elsewhere, as the Weigher tells. Beside key and value an entry takes 24 to 25
/// bytes, and 6.4 to 8 of the index; 8 more once times to live are used, 7 to 9 more under s3_fifo.
///
/// Weigher: `std::size_t operator()(const Key&, const Value&) const`, the bytes that these own outside of themselves, below
/// 2^32. `heap_bytes`, the default, knows strings, vectors and trivially copyable types.
///
/// A pointer to a value is good until something is put in or taken out, by whichever call; a `pin` keeps an entry alive, and
/// where it is. Hash and KeyEqual that both have `is_transparent` allow look-ups by other types than Key. One thread at a time.
///
/// The callback runs when the cache is consistent, and without the entry that it is about. It may call the cache, also to set
/// another one, and throw: that passes through the call that evicted, which has done no more than it had then.
template <class Key, class Value, class Hash = std::hash<Key>, class KeyEqual = std::equal_to<Key>,
          class Weigher = heap_bytes, class Policy = cache_policies::lru>
class lru_cache {
  using storage = detail::entry_storage<Key, Value>;
  using entry = typename storage::entry;
  static constexpr std::uint32_t no_slot = detail::no_slot;

  template <class K>
  static constexpr bool looks_up = detail::looks_up<K, Key, Hash, KeyEqual>;

 public:
  using callback = std::function<void(const Key&, const Value&, eviction_cause)>;

  using pin = cache_pin<lru_cache, Value>;

  /// Throws alidade::error, errc::invalid_option.
  explicit lru_cache(const cache_options& options = {}, Hash hash = {}, KeyEqual equal = {},
                     Weigher weigher = {})
      : options_(options),
        hash_(std::move(hash)),
        equal_(std::move(equal)),
        weigher_(std::move(weigher)),
        entries_(options.memory),
        index_(options.memory),
        policy_(options.memory),
        times_(options.memory) {
    if (options_.max_entries == 0 || options_.max_entries > cache_options::any_number ||
        options_.max_bytes == 0 || options_.time_to_live < options_.time_to_live.zero() ||
        options_.now == nullptr)
      detail::throw_error(errc::invalid_option);
  }
  lru_cache(const lru_cache&) = delete;
  lru_cache& operator=(const lru_cache&) = delete;

  /// Runs no callback. No pin may be left (asserted).
  ~lru_cache() {
    ALIDADE_ASSERT(pinned_ == 0);
    for (std::size_t g = 0; g < index_.groups(); ++g)
      index_.visit_group(g, [this](std::uint32_t slot) { entries_.erase(slot); });
  }

  std::size_t size() const noexcept { return index_.size(); }
  bool empty() const noexcept { return size() == 0; }
  /// What counts against the budget of bytes.
  std::size_t bytes() const noexcept { return weights_ + (options_.count_overhead ? overhead_bytes() : 0); }
  const cache_options& options() const noexcept { return options_; }
  cache_stats stats() const noexcept {
    cache_stats now = stats_;
    now.entries = size();
    now.bytes = bytes();
    return now;
  }
  void on_eviction(callback f) { callback_ = f ? std::make_shared<const callback>(std::move(f)) : nullptr; }

  /// The value, or null where there is none or its time is over. Promotes; counts a hit or a miss.
  template <class K = Key>
  requires(looks_up<K>) const Value* get(const K& key) {
    const std::uint32_t slot = ask_for(key);
    return slot == no_slot ? nullptr : &entries_[slot].value;
  }

  /// As get, kept alive.
  template <class K = Key>
  requires(looks_up<K>) pin get_pinned(const K& key) {
    const std::uint32_t slot = ask_for(key);
    return slot == no_slot ? pin() : pin(*this, slot);
  }

  /// The value, or null where there is none or its time is over. Neither promotes nor counts.
  template <class K = Key>
  requires(looks_up<K>) const Value* peek(const K& key) const {
    const std::uint32_t slot = find(key, hash_of(key));
    return slot == no_slot || is_over(slot) ? nullptr : &entries_[slot].value;
  }
  /// Neither promotes nor counts.
  template <class K = Key>
  requires(looks_up<K>) bool contains(const K& key) const { return peek(key) != nullptr; }

  /// Puts a value in, in place of one that the key has, and evicts what that takes. The entry is the most recent then.
  /// errc::budget_exceeded, and nothing changed or evicted: it is larger than the budget less what is pinned. While there are pins
  /// one that takes less than a 64th of the budget may be refused after all else was evicted.
  void put(Key key, Value value, std::error_code& ec) {
    put(std::move(key), std::move(value), options_.time_to_live, ec);
  }
  void put(Key key, Value value) { put(std::move(key), std::move(value), options_.time_to_live); }
  void put(Key key, Value value, std::chrono::nanoseconds time_to_live) {
    std::error_code ec;
    put(std::move(key), std::move(value), time_to_live, ec);
    if (ec) detail::throw_error(ec);
  }
  void put(Key key, Value value, std::chrono::nanoseconds time_to_live, std::error_code& ec) {
    place(std::move(key), std::move(value), time_to_live, ec, [](std::uint32_t) {});
  }

  /// The key's value, kept alive; where it has none, load(key) is called, and its result put in. Promotes; counts. The load may
  /// call the cache. Errors as of put; the loaded value is lost then.
  template <class Load>
  requires std::convertible_to<std::invoke_result_t<Load, const Key&>, Value> pin get_or_load(const Key& key,
                                                                                              Load&& load) {
    if (pin found = get_pinned(key)) return found;
    std::error_code ec;
    pin loaded;
    place(key, std::forward<Load>(load)(key), options_.time_to_live, ec,
          [&](std::uint32_t slot) { loaded = pin(*this, slot); });
    if (ec) detail::throw_error(ec);
    return loaded;
  }

  /// Whether there was one.
  template <class K = Key>
  requires(looks_up<K>) bool erase(const K& key) {
    const std::uint32_t slot = find(key, hash_of(key));
    if (slot == no_slot) return false;
    take_out(slot, eviction_cause::erased);
    return true;
  }
  void clear() {
    for (std::size_t g = 0; !empty(); ++g)
      take_out_of_group(g, eviction_cause::erased, [](std::uint32_t) { return true; });
  }

  /// Evicts a part, 0 .. 1, of what there is, by bytes; 512 entries at most in one call, well below a millisecond where no
  /// callback or destructor takes long; one that gives back a table of what was a cache of a million takes a few. While that
  /// is not finished a call goes on with it, whatever its own fraction.
  eviction_progress evict(double fraction) {
    ALIDADE_ASSERT(fraction >= 0 && fraction <= 1);
    if (!evicting_) owed_ = static_cast<std::uint64_t>(fraction * static_cast<double>(cost_));
    evicting_ = true;
    eviction_progress done;
    while (owed_ != 0 && done.entries < step_entries) {
      const bool went = evict_one(eviction_cause::pressure) != 0;
      if (!went) owed_ = 0;
      done.entries += went ? 1 : 0;
    }
    bool more = true;
    for (std::size_t moved = 0; moved < step_entries && more; moved += storage::chunk_slots)
      more = drop_spare_chunk();
    evicting_ = owed_ != 0 || more;
    if (!evicting_ && done.entries < step_entries) evicting_ = is_hollow() && shrink();
    done.finished = !evicting_;
    return done;
  }

  /// Evicts what the tier of a memory_monitor asks for.
  template <class Monitor>
  requires requires(const Monitor& m) {
    { m.fraction_to_evict() } -> std::convertible_to<double>;
  }
  eviction_progress relieve(const Monitor& monitor) { return evict(monitor.fraction_to_evict()); }

  /// Changes the budget of bytes, not to 0 (asserted), and evicts down to it, 512 entries at most: what is left over goes with
  /// further calls, or before something is put in.
  eviction_progress resize_budget(std::size_t max_bytes) {
    ALIDADE_ASSERT(max_bytes != 0);
    options_.max_bytes = max_bytes;  // which a callback may change again
    eviction_progress done;
    std::size_t work = 0;
    while (bytes() > options_.max_bytes && work < step_entries) {
      if (drop_chunk()) {
        work += storage::chunk_slots;
      } else if (is_hollow() && shrink()) {
        work = step_entries;
      } else if (evict_one(eviction_cause::budget) != 0) {
        ++work;
        ++done.entries;
      } else if (!shrink()) {
        break;
      }
    }
    done.finished = bytes() <= options_.max_bytes || work < step_entries;
    return done;
  }

  /// Takes out entries whose time is over, in `groups` groups of the index, of ten or so, from where the last call ended. How many
  /// went.
  std::size_t sweep(std::size_t groups) {
    std::size_t gone = 0;
    for (std::size_t left = std::min(groups, index_.groups()); left > 0; --left)
      gone += take_out_of_group(swept_++, eviction_cause::expired,
                                [this](std::uint32_t slot) { return is_over(slot); });
    return gone;
  }

  /// Gives back what entries that have left still hold: chunks, by moving entries together, and of all else what is not needed.
  /// Takes time in proportion to that. Calls that evict do so as they go, but for index and links while more than 32,768 are left.
  void trim() {
    while (shrink()) {}
  }

 private:
  friend pin;
  friend detail::cache_access<lru_cache>;
  static constexpr std::size_t step_entries = 512, few_entries = 32'768;

  /// What a policy sees.
  struct policy_view {
    storage& entries;
    std::size_t overhead;
    entry& operator[](std::uint32_t slot) const noexcept { return entries[slot]; }
    detail::slot_link& link(std::uint32_t slot) const noexcept { return entries.link(slot); }
    std::uint64_t cost(std::uint32_t slot) const noexcept {
      return std::max<std::uint64_t>(1, entries[slot].weight + overhead);
    }
  };
  policy_view view() noexcept {
    return {entries_, options_.count_overhead ? sizeof(entry) + sizeof(detail::slot_link) + 8 : 0};
  }

  template <class K>
  std::uint32_t hash_of(const K& key) const {
    return static_cast<std::uint32_t>(detail::fold_multiply(hash_(key), 0x9e3779b97f4a7c15u));
  }
  template <class K>
  std::uint32_t find(const K& key, std::uint32_t hash) const {
    return index_.find(hash, [&](std::uint32_t slot) {
      const entry& e = entries_[slot];
      return e.hash == hash && equal_(e.key, key);
    });
  }
  /// Of one whose time is not over; promotes and counts.
  template <class K>
  std::uint32_t ask_for(const K& key) {
    const std::uint32_t slot = find(key, hash_of(key));
    if (slot == no_slot) {
      ++stats_.misses;
      return no_slot;
    }
    if (entries_[slot].expires) return ask_for_expiring(slot);
    hit(slot);
    return slot;
  }
  ALIDADE_NOINLINE std::uint32_t ask_for_expiring(std::uint32_t slot) {
    if (!is_over(slot)) {
      hit(slot);
      return slot;
    }
    ++stats_.misses;
    take_out(slot, eviction_cause::expired);
    return no_slot;
  }
  void hit(std::uint32_t slot) {
    ++stats_.hits;
    if (entries_[slot].pins == 0) policy_.hit(view(), slot);
  }
  std::int64_t now() const { return options_.now().time_since_epoch() / std::chrono::nanoseconds(1); }
  bool is_over(std::uint32_t slot) const { return entries_[slot].expires && times_.is_over(slot, now()); }

  std::size_t overhead_bytes() const noexcept {
    return entries_.memory_bytes() + index_.memory_bytes() + policy_.memory_bytes() + times_.memory_bytes();
  }
  /// Whether an entry that owns `weight` bytes could be in beside what is pinned.
  bool may_fit(std::size_t weight, bool expires) const noexcept {
    std::size_t least = pinned_weights_;
    if (options_.count_overhead) {
      const std::size_t count = pinned_ + 1;
      const bool looks = pinned_ != 0 && weight >= options_.max_bytes / 64;
      least += looks ? entries_.least_bytes_with_pins(count) : storage::least_bytes(count);
      least += detail::tag_index::least_bytes(count) + Policy::least_bytes(count);
      if (expires || !times_.empty()) least += storage::chunk_slots * sizeof(std::int64_t);
    }
    return least <= options_.max_bytes && weight <= options_.max_bytes - least;
  }
  /// What bytes() is with an entry that owns `weight` bytes, in place of `replaced`, of which the caller has a pin.
  std::size_t bytes_with(std::size_t weight, bool expires, std::uint32_t replaced) const noexcept {
    std::size_t wanted = bytes() + weight;
    if (replaced != no_slot && entries_[replaced].pins == 1) wanted -= entries_[replaced].weight;
    if (!options_.count_overhead) return wanted;
    wanted += entries_.next_slot_bytes() + policy_.growth_bytes(size() + 1);
    if (expires) wanted += times_.bytes_with(entries_.slots_with_next()) - times_.memory_bytes();
    return replaced == no_slot ? wanted + index_.next_entry_bytes() : wanted;
  }
  bool fits(std::size_t weight, bool expires, std::uint32_t replaced) const noexcept {
    return (replaced != no_slot || size() < options_.max_entries) &&
           bytes_with(weight, expires, replaced) <= options_.max_bytes;
  }
  /// Gives back memory that no entry needs, then evicts, until an entry of this weight fits, or a callback has put its key in, or taken it out.
  bool make_room(const Key& key, std::uint32_t hash, std::size_t weight, bool expires,
                 std::uint32_t replaced) {
    while (!fits(weight, expires, replaced) && find(key, hash) == replaced) {
      if (drop_spare_chunk() || (is_hollow() && shrink())) continue;
      if (evict_one(eviction_cause::budget) == 0 && !shrink()) return false;
    }
    return true;
  }
  /// Whether an eighth of what is counted is room in the index and the like for entries that have left, and there are so few that
  /// giving it back is soon done.
  bool is_hollow() const noexcept {
    if (!options_.count_overhead || size() > few_entries) return false;
    const std::size_t times = times_.empty() ? 0 : entries_.slots() * sizeof(std::int64_t);
    const std::size_t needed = weights_ + entries_.needed_bytes() + times +
                               detail::tag_index::least_bytes(size() + 1) + Policy::least_bytes(size() + 1);
    return bytes() > needed + bytes() / 8;
  }
  /// Gives back something, beside spare chunks, that entries do not need. Whether there was anything.
  bool shrink() {
    if (drop_chunk() || entries_.shrink() || policy_.shrink(size() + 1) ||
        times_.shrink(entries_.slots_with_next()))
      return true;
    if (index_.groups() <= detail::tag_index::groups_for(size() + 1)) return false;
    rebuild(index_.shrunk(size() + 1));
    return true;
  }

  /// Puts an entry in and calls placed(slot), before the callback of what it replaces; or has an error.
  template <class Placed>
  void place(Key key, Value value, std::chrono::nanoseconds time_to_live, std::error_code& ec,
             const Placed& placed) {
    ec.clear();
    const std::size_t weight = weigher_(std::as_const(key), std::as_const(value));
    const bool expires = time_to_live != time_to_live.zero();
    if (time_to_live < time_to_live.zero()) {
      ec = errc::invalid_option;
    } else if (weight > no_slot || !may_fit(weight, expires)) {
      ec = errc::budget_exceeded;
    }
    if (ec) return;
    const std::uint32_t hash = hash_of(key);
    const std::int64_t start = expires ? now() : 0;
    // Callbacks may put this key in, or erase it: then once more.
    for (;;) {
      const std::uint32_t found = find(key, hash);
      pin replaced = found == no_slot ? pin() : pin(*this, found);
      if (!make_room(key, hash, weight, expires, found)) {
        if (found == no_slot || entries_[found].pins != 1) {
          ec = errc::budget_exceeded;
          return;
        }
        // Where the old value lies it keeps a chunk that the new one needs.
        replaced.release();
        take_out(found, eviction_cause::replaced);
        continue;
      }
      if (find(key, hash) != found) continue;
      policy_.reserve(size() + 1);
      if (expires) times_.reserve(entries_.slots_with_next());
      if (found == no_slot && index_.full()) rebuild(index_.grown(size() + 1));
      const std::uint32_t slot = entries_.emplace(std::move(key), std::move(value));
      entry& e = entries_[slot];
      e.hash = hash;
      e.weight = static_cast<std::uint32_t>(weight);
      e.expires = expires;
      if (expires) times_.set(slot, start, time_to_live);
      weights_ += weight;
      cost_ += view().cost(slot);
      if (found == no_slot) {
        index_.insert(hash, slot);
        policy_.insert(view(), slot);
      } else {
        index_.relocate(hash, found, slot);
        e.mark = entries_[found].mark;
        policy_.restore(view(), slot);
        policy_.hit(view(), slot);
      }
      placed(slot);
      if (found != no_slot) leave(found, eviction_cause::replaced);
      replaced.release();
      stats_.peak_bytes = std::max(stats_.peak_bytes, bytes());
      return;
    }
  }

  /// What the entry that went cost; 0 when there was none to go.
  std::uint64_t evict_one(eviction_cause cause) {
    policy_view entries = view();
    const std::uint32_t slot = policy_.victim(entries);
    if (slot == no_slot) return 0;
    const std::uint64_t cost = entries.cost(slot);
    policy_.evict(entries, slot);
    index_.erase(entries_[slot].hash, slot);
    if (cause == eviction_cause::pressure) owed_ -= std::min(owed_, cost);  // before a callback evicts more
    leave(slot, cause);
    return cost;
  }
  void take_out(std::uint32_t slot, eviction_cause cause) {
    if (entries_[slot].pins == 0) policy_.remove(view(), slot);
    index_.erase(entries_[slot].hash, slot);
    leave(slot, cause);
  }
  /// One by one, since a callback may change the group.
  template <class Condition>
  std::size_t take_out_of_group(std::size_t group, eviction_cause cause, const Condition& condition) {
    std::size_t gone = 0;
    for (std::uint32_t slot; (slot = index_.find_in_group(group, condition)) != no_slot; ++gone)
      take_out(slot, cause);
    return gone;
  }
  /// An entry that neither the index nor the policy knows any more goes, at once or when nothing pins it.
  void leave(std::uint32_t slot, eviction_cause cause) {
    entry& e = entries_[slot];
    cost_ -= view().cost(slot);
    e.detached = true;
    ++stats_.evictions[static_cast<std::size_t>(cause)];
    if (e.pins == 0) {
      weights_ -= e.weight;
      e.weight = 0;
    }
    const pin alive(*this, slot);
    leaving_ = slot;
    if (const auto told = callback_) (*told)(e.key, e.value, cause);
  }

  void hold(std::uint32_t slot) noexcept {
    entry& e = entries_[slot];
    if (e.pins++ != 0) return;
    entries_.pin(slot);
    ++pinned_;
    pinned_weights_ += e.weight;
    if (!e.detached) policy_.remove(view(), slot);
  }
  void let_go(std::uint32_t slot) noexcept {
    entry& e = entries_[slot];
    if (--e.pins != 0) return;
    entries_.unpin(slot);
    --pinned_;
    pinned_weights_ -= e.weight;
    if (!e.detached) {
      policy_.restore(view(), slot);
    } else {
      weights_ -= e.weight;
      entries_.erase(slot);
    }
  }

  bool drop_chunk() {
    policy_view entries = view();
    return entries_.drop_chunk([&](std::uint32_t from, std::uint32_t to) {
      index_.relocate(entries[to].hash, from, to);
      policy_.relocate(entries, from, to);
      if (entries[to].expires) times_.relocate(from, to);
    });
  }
  /// Two chunks' worth of free slots stay, so that a cache that is full does not give and take.
  bool drop_spare_chunk() { return entries_.free_slots() > 2 * storage::chunk_slots && drop_chunk(); }
  void rebuild(detail::tag_index fresh) {
    index_.move_to(fresh, [this](std::uint32_t slot) { return entries_[slot].hash; });
  }

  cache_options options_;
  [[no_unique_address]] Hash hash_;
  [[no_unique_address]] KeyEqual equal_;
  [[no_unique_address]] Weigher weigher_;
  storage entries_;
  detail::tag_index index_;
  Policy policy_;
  detail::expiry_times times_;
  std::shared_ptr<const callback> callback_;  // shared with the call of it, in which it may be replaced
  cache_stats stats_;
  std::uint64_t cost_ = 0;   // of all that is in, as the policy sees it
  std::uint64_t owed_ = 0;   // of an eviction that is not finished
  bool evicting_ = false;    // it is not
  std::size_t weights_ = 0;  // of all that is alive
  std::size_t pinned_ = 0, pinned_weights_ = 0;
  std::size_t swept_ = 0;
  std::uint32_t leaving_ = no_slot;  // what the last callback was about
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
