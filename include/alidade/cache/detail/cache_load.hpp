#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#include <alidade/cache/detail/first_exception.hpp>
#include <alidade/cache/detail/locks.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A load that runs. Under the lock of its key's shard, all but the owner and `done`.
struct load_state {
  const std::thread::id owner = std::this_thread::get_id();
  std::atomic<bool> done{false};
  bool stale = false;      ///< its key was put, erased or cleared meanwhile
  std::size_t takers = 0;  ///< threads that wait and have not taken the result
  std::error_code error;
  first_exception failure;
};

template <class Key, class Pin>
struct cache_load : load_state {
  cache_load(const Key& k, std::uint64_t h) noexcept : key(k), hash(h) {}

  const Key& key;  ///< the owner's; not to be read when it is done
  std::uint64_t hash;
  Pin result;  ///< for the takers
};

/// Which thread waits for which load, so that none does for one that waits for it.
class load_waits {
 public:
  /// One thread's wait, as long as it lives. Not granted where the load's owner is this thread, or waits for a load whose owner
  /// is, and so on.
  class wait {
   public:
    wait(load_waits& all, const load_state& load) noexcept : all_(all), load_(load) {
      const std::lock_guard lock(all_.mutex_);
      const load_state* next = &load;
      while (next != nullptr && next->owner != who_) next = all_.load_that_blocks(next->owner);
      granted_ = next == nullptr;
      if (!granted_) return;
      after_ = all_.first_;
      all_.first_ = this;
    }
    wait(const wait&) = delete;
    wait& operator=(const wait&) = delete;
    ~wait() {
      if (!granted_) return;
      const std::lock_guard lock(all_.mutex_);
      wait** at = &all_.first_;
      while (*at != this) at = &(*at)->after_;
      *at = after_;
    }
    bool granted() const noexcept { return granted_; }

   private:
    friend load_waits;
    load_waits& all_;
    const load_state& load_;
    const std::thread::id who_ = std::this_thread::get_id();
    wait* after_ = nullptr;
    bool granted_;
  };

 private:
  const load_state* load_that_blocks(std::thread::id who) const noexcept {
    for (const wait* w = first_; w != nullptr; w = w->after_) {
      if (w->who_ == who) return w->load_.done.load(std::memory_order_relaxed) ? nullptr : &w->load_;
    }
    return nullptr;
  }

  cache_mutex mutex_;
  wait* first_ = nullptr;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
