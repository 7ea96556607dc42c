#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/cache/detail/cache_load.hpp>
#include <alidade/cache/detail/cache_shard.hpp>
#include <alidade/cache/detail/cache_shards.hpp>
#include <alidade/cache/detail/first_exception.hpp>
#include <alidade/cache/options.hpp>
#include <alidade/cache/policies.hpp>
#include <alidade/config/assert.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Those of cache_options, for all shards together, and how many shards.
struct sharded_cache_options {
  static constexpr std::size_t most_shards = 1024;

  std::size_t max_bytes = cache_options().max_bytes;
  std::size_t max_entries = cache_options().max_entries;
  bool count_overhead = true;
  std::chrono::nanoseconds time_to_live{0};
  std::chrono::steady_clock::time_point (*now)() =
      cache_options().now;            ///< called by several threads at once
  memory_resource* memory = nullptr;  ///< for several threads at once, as synchronized_memory_pool is
  /// A power of two, 1 .. most_shards. 0: four for each hardware thread, but no more than one for each MiB of max_bytes, where
  /// that counts the overhead, and one for each 64 of max_entries, rounded down; 1 without threads.
  std::size_t shards = 0;
};

/// An lru_cache for several threads at once: shards, by bits of the hash, each an lru_cache under a lock of its own. A call holds
/// the lock of one shard at a time, and none while it runs a load or a callback.
///
/// The budgets are those of all shards together, and bytes() is never above max_bytes, not even within a call, unless
/// resize_budget has lowered it: bytes are reserved before they are taken. As in lru_cache, what is not in yet does not count, nor
/// what has left and waits for its callback.
///
/// What goes for the budget is what the policy says of the shard that needs the room; or of the largest one, where that shard is
/// much smaller than the average or has nothing to give. With one shard this is exactly the order of an lru_cache.
///
/// Hash, KeyEqual and Weigher are called by several threads at once. Hash, KeyEqual, destructors of keys and values, and copies
/// made by get and peek run under a lock: they must not call the cache, nor let go of a pin.
///
/// The callback runs at the end of the call that evicted, on its thread; on several threads at once, therefore. It may call the
/// cache. When it throws, the call has done its work; the others that left are told nevertheless, and the first exception passes.
template <class Key, class Value, class Hash = std::hash<Key>, class KeyEqual = std::equal_to<Key>,
          class Weigher = heap_bytes, class Policy = cache_policies::lru>
class sharded_lru_cache {
  using shard = detail::cache_shard<Key, Value, Hash, KeyEqual, Policy>;
  using access = typename shard::access;
  using departures = typename shard::departures;
  using lock = typename shard::lock;
  using load_record = typename shard::load;
  template <class K>
  using hashed_key = detail::hashed_key<K>;

  template <class K>
  static constexpr bool looks_up = detail::looks_up<K, Key, Hash, KeyEqual>;
  template <class Load>
  static constexpr bool loads = std::is_invocable_r_v<Value, Load, const Key&>;

 public:
  using callback = std::function<void(const Key&, const Value&, eviction_cause)>;

  /// Keeps an entry alive, its value in its place, and both out of reach of eviction, on whichever thread it is and is let go;
  /// the entry is the most recent then. The cache must outlive it.
  class pin {
   public:
    pin() noexcept = default;
    pin(pin&& other) noexcept
        : shard_(std::exchange(other.shard_, nullptr)), held_(std::move(other.held_)), value_(other.value_) {}
    pin& operator=(pin&& other) noexcept {
      if (this != &other) {
        release();
        shard_ = std::exchange(other.shard_, nullptr);
        held_ = std::move(other.held_);
        value_ = other.value_;
      }
      return *this;
    }
    ~pin() { release(); }

    explicit operator bool() const noexcept { return shard_ != nullptr; }
    const Value& operator*() const noexcept { return *value_; }
    const Value* operator->() const noexcept { return value_; }
    void release() noexcept {
      if (shard_ != nullptr) std::exchange(shard_, nullptr)->release(held_);
    }

   private:
    friend sharded_lru_cache;
    // Under the lock.
    pin(shard& home, typename shard::pin held) noexcept
        : shard_(&home), held_(std::move(held)), value_(&*held_) {}
    shard* shard_ = nullptr;
    typename shard::pin held_;
    const Value* value_ = nullptr;
  };

  /// Throws alidade::error, errc::invalid_option.
  explicit sharded_lru_cache(const sharded_cache_options& options = {}, Hash hash = {}, KeyEqual equal = {},
                             Weigher weigher = {})
      : options_(checked(options)),
        hash_(std::move(hash)),
        weigher_(std::move(weigher)),
        shards_(options_.shards,
                cache_options{.max_bytes = options_.max_bytes,
                              .max_entries = options_.max_entries,
                              .count_overhead = options_.count_overhead,
                              .time_to_live = options_.time_to_live,
                              .memory = options_.memory,
                              .now = options_.now},
                hash_, equal) {}
  sharded_lru_cache(const sharded_lru_cache&) = delete;
  sharded_lru_cache& operator=(const sharded_lru_cache&) = delete;
  /// Runs no callback. No pin may be left (asserted).
  ~sharded_lru_cache() = default;

  /// A moment's view, exact while no other thread changes the cache; so are bytes and stats.
  std::size_t size() const noexcept { return shards_.size(); }
  bool empty() const noexcept { return size() == 0; }
  /// What counts against the budget of bytes, reserved or taken.
  std::size_t bytes() const noexcept { return shards_.bytes().used(); }
  /// With the present budget of bytes and the number of shards.
  sharded_cache_options options() const noexcept {
    sharded_cache_options now = options_;
    now.max_bytes = shards_.bytes().limit();
    return now;
  }
  /// A call of get, get_pinned or get_or_load counts once.
  cache_stats stats() const {
    cache_stats all;
    for (std::size_t i = 0; i < shards_.count(); ++i) {
      lock held(shards_[i]);
      held.changes_nothing();
      const cache_stats part = shards_[i].entries().stats();
      all.hits += part.hits;
      all.misses += part.misses;
      for (std::size_t c = 0; c < eviction_causes; ++c) all.evictions[c] += part.evictions[c];
    }
    all.entries = size();
    all.bytes = bytes();
    all.peak_bytes = shards_.bytes().peak();
    return all;
  }
  /// For what leaves from now on; an empty one ends that.
  void on_eviction(callback f) {
    const bool tell = f != nullptr;
    callback_.set(std::move(f));
    for (std::size_t i = 0; i < shards_.count(); ++i) {
      const lock held(shards_[i]);
      shards_[i].tell_departures(tell);
    }
  }

  /// A copy of the value, or none where there is none or its time is over. Promotes; counts a hit or a miss.
  template <class K = Key>
  requires(looks_up<K>&& std::copy_constructible<Value>) std::optional<Value> get(const K& key) {
    const hashed_key<K> asked = hash_of(key);
    departures gone(callback_);
    std::optional<Value> found;
    {
      shard& home = shards_.home_of(asked.hash);
      lock held(home, &gone);
      if (const Value* const value = home.entries().get(asked)) {
        held.changes_nothing();
        found.emplace(*value);
      }
    }
    gone.tell();
    return found;
  }

  /// As get, without a copy.
  template <class K = Key>
  requires(looks_up<K>) pin get_pinned(const K& key) {
    const hashed_key<K> asked = hash_of(key);
    departures gone(callback_);
    pin found;
    {
      shard& home = shards_.home_of(asked.hash);
      const lock held(home, &gone);
      if (auto entry = home.entries().get_pinned(asked)) found = pin(home, std::move(entry));
    }
    gone.tell();
    return found;
  }

  /// A copy of the value, or none where there is none or its time is over. Neither promotes nor counts.
  template <class K = Key>
  requires(looks_up<K>&& std::copy_constructible<Value>) std::optional<Value> peek(const K& key)
  const {
    const hashed_key<K> asked = hash_of(key);
    shard& home = shards_.home_of(asked.hash);
    std::optional<Value> found;
    lock held(home);
    held.changes_nothing();
    if (const Value* const value = std::as_const(home.entries()).peek(asked)) found.emplace(*value);
    return found;
  }
  /// Neither promotes nor counts.
  template <class K = Key>
  requires(looks_up<K>) bool contains(const K& key) const {
    const hashed_key<K> asked = hash_of(key);
    shard& home = shards_.home_of(asked.hash);
    lock held(home);
    held.changes_nothing();
    return home.entries().contains(asked);
  }

  /// Puts a value in, in place of one that the key has, and evicts what that takes. The entry is the most recent then.
  /// errc::budget_exceeded: it is larger than the budget, and nothing changed or evicted. Likewise if it is larger than the budget
  /// less what is pinned, and takes a 256th of the budget or more; if less, all else has been evicted.
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
    if (time_to_live < time_to_live.zero()) {
      ec = errc::invalid_option;
      return;
    }
    ec.clear();
    const hashed_key<Key> asked = hash_of(key);
    const std::size_t weight = weigher_(std::as_const(key), std::as_const(value));
    departures gone(callback_);
    shards_.place(shards_.home_of(asked.hash), {asked, key, value, weight, time_to_live}, gone, ec,
                  [](std::uint32_t, bool) {});
    gone.tell();
  }

  /// The key's value, kept alive; where it has none, load(key) is called, and its result put in. Promotes; counts. Of threads that
  /// ask at the same time one loads, the others wait for what it gets: the value, an error as of put, or what the load throws,
  /// which passes to all of them. Who asks after that loads anew.
  ///
  /// A value that is put while the load runs stays, and is what all get. After an erase or a clear while it runs, what it loads is
  /// given to those who had asked before, and leaves at once (erased); who asks meanwhile waits, and then loads anew.
  ///
  /// The load may call the cache. A thread that would wait for a load that waits for it, its own above all, gets
  /// std::errc::resource_deadlock_would_occur.
  template <class Load>
  requires(loads<Load>) pin get_or_load(const Key& key, Load&& load) {
    std::error_code ec;
    pin found = get_or_load(key, std::forward<Load>(load), ec);
    if (ec) detail::throw_error(ec);
    return found;
  }
  template <class Load>
  requires(loads<Load>) pin get_or_load(const Key& key, Load&& load, std::error_code& ec) {
    ec.clear();
    const hashed_key<Key> asked = hash_of(key);
    shard& home = shards_.home_of(asked.hash);
    departures gone(callback_);
    std::shared_ptr<load_record> own;
    pin found = find_or_begin(home, asked, gone, own, ec);
    if (own != nullptr) {
      detail::first_exception failure;
      failure.run([&] {
        Value value = std::forward<Load>(load)(key);
        Key copy = key;
        const std::size_t weight = weigher_(std::as_const(copy), std::as_const(value));
        shards_.place(home, {asked, copy, value, weight, options_.time_to_live, true}, gone, ec,
                      [&](std::uint32_t slot, bool fresh) { found = finish(home, slot, fresh, *own); });
      });
      if (!own->done) {
        const lock held(home);
        own->error = ec;
        own->failure = failure;
        home.end_load(*own);
      }
      home.notify_takers();
      failure.rethrow();
    }
    gone.tell();
    return found;
  }

  /// Whether there was one.
  template <class K = Key>
  requires(looks_up<K>) bool erase(const K& key) {
    const hashed_key<K> asked = hash_of(key);
    departures gone(callback_);
    bool erased = false;
    {
      shard& home = shards_.home_of(asked.hash);
      const lock held(home, &gone);
      home.spoil_load(asked);
      gone.reserve(1);
      erased = home.entries().erase(asked);
    }
    gone.tell();
    return erased;
  }
  /// Shard by shard.
  void clear() {
    for (std::size_t i = 0; i < shards_.count(); ++i) {
      departures gone(callback_);
      {
        shard& part = shards_[i];
        const lock held(part, &gone);
        part.spoil_loads();
        if (part.tells_departures()) gone.reserve(part.entries().size());
        part.entries().clear();
      }
      gone.tell();
    }
  }

  /// Evicts a part, 0 .. 1, of what there is, by bytes, shard by shard; 512 entries at most in one call. While that is not
  /// finished a call, of any thread, goes on with it, whatever its own fraction.
  eviction_progress evict(double fraction) {
    ALIDADE_ASSERT(fraction >= 0 && fraction <= 1);
    departures gone(callback_);
    const eviction_progress done = shards_.evict(fraction, gone);
    gone.tell();
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
    departures gone(callback_);
    const eviction_progress done = shards_.resize_budget(max_bytes, gone);
    gone.tell();
    return done;
  }

  /// Takes out entries whose time is over, in `groups` groups of the shards' indexes, of ten or so, from where the last call ended.
  /// How many went.
  std::size_t sweep(std::size_t groups) {
    const std::size_t parts = std::min(groups, shards_.count());
    const std::size_t first = swept_.fetch_add(parts, std::memory_order_relaxed);
    std::size_t all = 0;
    for (std::size_t i = 0; i < parts; ++i) {
      departures gone(callback_);
      {
        shard& part = shards_[(first + i) % shards_.count()];
        const lock held(part, &gone);
        all += part.sweep(groups / parts + (i < groups % parts ? 1 : 0));
      }
      gone.tell();
    }
    return all;
  }

  /// As lru_cache's, shard by shard.
  void trim() {
    for (std::size_t i = 0; i < shards_.count(); ++i) {
      const lock held(shards_[i]);
      shards_[i].entries().trim();
    }
  }

 private:
  static std::size_t default_shards(const sharded_cache_options& options) noexcept {
    if constexpr (!ALIDADE_HAS_THREADS) return 1;
    std::size_t most = std::min(4 * detail::resolve_threads(0), options.max_entries / 64);
    if (options.count_overhead) most = std::min(most, options.max_bytes >> 20);
    return std::bit_floor(std::clamp<std::size_t>(most, 1, sharded_cache_options::most_shards));
  }
  static sharded_cache_options checked(sharded_cache_options options) {
    if (options.shards == 0) options.shards = default_shards(options);
    if (options.max_bytes == 0 || options.max_entries == 0 ||
        options.max_entries > cache_options::any_number || !std::has_single_bit(options.shards) ||
        options.shards > sharded_cache_options::most_shards)
      detail::throw_error(errc::invalid_option);
    return options;
  }

  template <class K>
  hashed_key<K> hash_of(const K& key) const {
    return {key, static_cast<std::uint64_t>(hash_(key))};
  }

  /// The key's value, or what another thread loads, or an error, or none and a load of one's own that has begun.
  pin find_or_begin(shard& home, const hashed_key<Key>& asked, departures& gone,
                    std::shared_ptr<load_record>& own, std::error_code& ec) {
    lock held(home, &gone);
    if (auto entry = home.entries().get_pinned(asked)) return pin(home, std::move(entry));
    for (;;) {
      const std::shared_ptr<load_record> other = home.load_of(asked);
      if (other == nullptr) {
        own = home.begin_load(asked);
        return {};
      }
      const detail::load_waits::wait wait(waits_, *other);
      if (!wait.granted()) {
        ec = std::make_error_code(std::errc::resource_deadlock_would_occur);
        return {};
      }
      const bool takes = !other->stale;
      if (takes) ++other->takers;
      held.wait_for(*other);
      if (takes) return take(home, *other, ec);
      if (auto entry = home.find_pinned(asked)) return pin(home, std::move(entry));
    }
  }
  static pin take(shard& home, load_record& done, std::error_code& ec) {
    done.failure.rethrow();
    ec = done.error;
    if (ec) return {};
    pin found(home, access::again(done.result));
    if (--done.takers == 0) done.result.release();
    return found;
  }
  /// Under the lock: what a load is to give is in this slot.
  static pin finish(shard& home, std::uint32_t slot, bool fresh, load_record& ended) {
    const bool leaves = fresh && ended.stale;
    if (leaves) home.reserve_departure();
    pin found(home, access::pinned(home.entries(), slot));
    if (ended.takers != 0) ended.result = access::pinned(home.entries(), slot);
    home.end_load(ended);
    if (leaves) home.take_out(slot, eviction_cause::erased);
    return found;
  }

  sharded_cache_options options_;
  [[no_unique_address]] Hash hash_;
  [[no_unique_address]] Weigher weigher_;
  detail::cache_shards<shard> shards_;
  detail::shared_function<callback> callback_;
  detail::load_waits waits_;
  std::atomic<std::size_t> swept_{0};
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
