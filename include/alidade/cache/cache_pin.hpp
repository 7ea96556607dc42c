#pragma once

#include <cstdint>
#include <utility>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

namespace detail {
template <class Cache>
struct cache_access;
}  // namespace detail

/// Keeps an entry of a cache alive, whatever the cache does with it, and out of reach of eviction; when the last one of an entry
/// is let go the entry is the most recent. The cache must outlive it.
template <class Cache, class Value>
class cache_pin {
 public:
  cache_pin() noexcept = default;
  cache_pin(cache_pin&& other) noexcept : cache_(std::exchange(other.cache_, nullptr)), slot_(other.slot_) {}
  cache_pin& operator=(cache_pin&& other) noexcept {
    if (this != &other) {
      release();
      cache_ = std::exchange(other.cache_, nullptr);
      slot_ = other.slot_;
    }
    return *this;
  }
  ~cache_pin() { release(); }

  explicit operator bool() const noexcept { return cache_ != nullptr; }
  const Value& operator*() const noexcept { return cache_->entries_[slot_].value; }
  const Value* operator->() const noexcept { return &**this; }
  void release() noexcept {
    if (cache_ != nullptr) std::exchange(cache_, nullptr)->let_go(slot_);
  }

 private:
  friend Cache;
  friend detail::cache_access<Cache>;
  cache_pin(Cache& cache, std::uint32_t slot) noexcept : cache_(&cache), slot_(slot) { cache.hold(slot); }

  Cache* cache_ = nullptr;
  std::uint32_t slot_ = 0;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
