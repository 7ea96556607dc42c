#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Why an entry left a cache.
enum class eviction_cause : std::uint8_t {
  budget,    ///< to make room
  pressure,  ///< by evict or relieve
  expired,   ///< its time to live was over
  replaced,  ///< its key has a new value
  erased,    ///< by erase or clear
};
inline constexpr std::size_t eviction_causes = 5;

struct cache_options {
  static constexpr std::size_t any_number = std::numeric_limits<std::uint32_t>::max() - 1;

  std::size_t max_bytes = 500'000'000;       ///< 1 or more
  std::size_t max_entries = any_number;      ///< 1 .. any_number
  bool count_overhead = true;                ///< false: only what the weigher says counts against max_bytes
  std::chrono::nanoseconds time_to_live{0};  ///< of entries put without one of their own; 0: for ever
  /// Where memory for entries and index comes from, say a memory_pool; null: operator new. It must outlive the cache. What keys
  /// and values own is theirs.
  memory_resource* memory = nullptr;
  /// The clock of times to live; not null.
  std::chrono::steady_clock::time_point (*now)() = [] { return std::chrono::steady_clock::now(); };
};

struct cache_stats {
  std::uint64_t hits = 0, misses = 0;                      ///< of get, get_pinned and get_or_load
  std::array<std::uint64_t, eviction_causes> evictions{};  ///< by eviction_cause
  std::size_t entries = 0, bytes = 0, peak_bytes = 0;

  std::uint64_t evicted(eviction_cause cause) const noexcept {
    return evictions[static_cast<std::size_t>(cause)];
  }
  double hit_rate() const noexcept {
    return hits + misses == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(hits + misses);
  }
};

/// What a call that evicts in steps has done.
struct eviction_progress {
  std::size_t entries = 0;
  bool finished = true;  ///< false: call again, the rest is still to go
};

namespace detail {

template <class T>
inline constexpr bool is_string = false;
template <class C, class Traits, class Allocator>
inline constexpr bool is_string<std::basic_string<C, Traits, Allocator>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T, class Allocator>
inline constexpr bool is_vector<std::vector<T, Allocator>> = true;

/// Whether a cache with keys of type Key finds them by one of type K.
template <class K, class Key, class Hash, class KeyEqual>
inline constexpr bool looks_up = std::is_same_v<K, Key> || requires {
  typename Hash::is_transparent;
  typename KeyEqual::is_transparent;
};

}  // namespace detail

/// The bytes that an object owns outside of itself: none of trivially copyable ones, the capacity of strings and vectors with
/// what their elements own. For other types write a weigher.
struct heap_bytes {
  template <class Key, class Value>
  std::size_t operator()(const Key& key, const Value& value) const noexcept {
    return of(key) + of(value);
  }

  template <class T>
  static std::size_t of(const T& x) noexcept {
    if constexpr (std::is_trivially_copyable_v<T>) {
      return 0;
    } else {
      static_assert(detail::is_string<T> || detail::is_vector<T>, "this type needs a weigher of your own");
      if constexpr (detail::is_string<T>) {
        const auto* const begin = reinterpret_cast<const char*>(x.data());
        const auto* const self = reinterpret_cast<const char*>(&x);
        const bool inside = begin >= self && begin < self + sizeof(x);  // short strings own nothing
        return inside ? 0 : (x.capacity() + 1) * sizeof(typename T::value_type);
      } else {
        std::size_t total = x.capacity() * sizeof(typename T::value_type);
        if constexpr (!std::is_trivially_copyable_v<typename T::value_type>) {
          for (const auto& element : x) total += of(element);
        }
        return total;
      }
    }
  }
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
