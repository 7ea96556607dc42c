#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <alidade/cache/detail/first_exception.hpp>
#include <alidade/cache/detail/locks.hpp>
#include <alidade/cache/options.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A function that may be replaced while other threads call it.
template <class Function>
class shared_function {
 public:
  std::shared_ptr<const Function> get() const noexcept {
    const std::lock_guard lock(mutex_);
    return function_;
  }
  void set(Function f) {
    std::shared_ptr<const Function> fresh;
    if (f) fresh = std::make_shared<const Function>(std::move(f));
    const std::lock_guard lock(mutex_);
    function_.swap(fresh);
  }

 private:
  mutable cache_mutex mutex_;
  std::shared_ptr<const Function> function_;
};

/// The entries that have left shards in one call. They wait here, out of their slots unless a pin keeps them there, until the
/// call holds no lock, and the callback can be told.
template <class Key, class Value, class Shard>
class cache_departures {
 public:
  using callback = std::function<void(const Key&, const Value&, eviction_cause)>;

  explicit cache_departures(const shared_function<callback>& told) noexcept : callback_(told) {}
  cache_departures(const cache_departures&) = delete;
  cache_departures& operator=(const cache_departures&) = delete;
  /// Tells what has not been told since the call throws; what is thrown then is lost.
  ~cache_departures() {
    if (!first_) return;
    first_exception lost;
    lost.run([this] { tell_all(); });
  }

  /// Makes room, so that adding `count` does not throw.
  void reserve(std::size_t count) {
    const std::size_t wanted = (first_ ? 1 : 0) + more_.size() + count;
    if (wanted > 1 + more_.capacity()) more_.reserve(std::max(wanted - 1, 2 * more_.capacity()));
  }
  void add(Key&& key, Value&& value, eviction_cause cause) {
    departure& gone = next();
    gone.cause = cause;
    gone.moved.emplace(std::move(key), std::move(value));
  }
  void add(Shard& shard, typename Shard::pin pin, const Key& key, const Value& value, eviction_cause cause) {
    departure& gone = next();
    gone.cause = cause;
    gone.shard = &shard;
    gone.pin = std::move(pin);
    gone.key = &key;
    gone.value = &value;
  }

  /// Calls the callback for each, under no lock, and then passes on what was thrown first.
  void tell() {
    if (first_) tell_all();
  }

 private:
  ALIDADE_NOINLINE void tell_all() {
    const std::shared_ptr<const callback> told = callback_.get();
    first_exception thrown;
    tell(*first_, told.get(), thrown);
    for (departure& gone : more_) tell(gone, told.get(), thrown);
    first_.reset();
    more_.clear();
    thrown.rethrow();
  }

  struct departure {
    std::optional<std::pair<Key, Value>> moved;  ///< else it is pinned:
    Shard* shard = nullptr;
    typename Shard::pin pin;
    const Key* key = nullptr;
    const Value* value = nullptr;
    eviction_cause cause{};
  };

  departure& next() { return first_ ? more_.emplace_back() : first_.emplace(); }

  static void tell(departure& gone, const callback* told, first_exception& thrown) noexcept {
    if (told != nullptr) {
      const bool moved = gone.moved.has_value();
      const Key& key = moved ? gone.moved->first : *gone.key;
      const Value& value = moved ? gone.moved->second : *gone.value;
      thrown.run([&] { (*told)(key, value, gone.cause); });
    }
    gone.moved.reset();
    if (gone.shard != nullptr) gone.shard->release(gone.pin);
  }

  const shared_function<callback>& callback_;
  std::optional<departure> first_;
  std::vector<departure> more_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
