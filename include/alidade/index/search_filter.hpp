#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Which keys may be answers of a search. It refers to what it is made of, which must live as long as the search:
///
///     index.search(query, {.k = 10, .filter = [&](std::uint64_t key) { return prices[key] < 20; }});
///     index.search(query, {.k = 10, .filter = search_filter::keys(in_stock)});
///     index.search(query, {.k = 10, .filter = search_filter::bits(words)});
///
/// How the index goes about it depends on how many vectors there are to choose from (detail/slot_filter.hpp). Each search looks at a list once,
/// and at as many words of bits as there are; a predicate is asked at least some hundred times, and of all vectors where it allows few.
class search_filter {
 public:
  /// Allows every key.
  search_filter() noexcept = default;

  /// Allows the keys for which allows(key) is true. It must give the same answer each time, and must not throw; searches in several threads
  /// call it at once. Implicit, so that it can be written where it is used.
  template <class F>
  requires(std::is_object_v<F> && !std::same_as<F, search_filter> && std::predicate<const F&, std::uint64_t>)
      // NOLINTNEXTLINE(google-explicit-constructor)
      search_filter(const F& allows)
  noexcept
      : kind_(kind::predicate), context_(&allows), function_([](const void* f, std::uint64_t key) {
          return static_cast<bool>((*static_cast<const F*>(f))(key));
        }) {}

  /// Allows these keys, in any order; those that the index does not have do not matter.
  static search_filter keys(std::span<const std::uint64_t> allowed) noexcept { return {kind::list, allowed}; }

  /// Allows key k where bit k % 64 of word k / 64 is set, and none beyond.
  static search_filter bits(std::span<const std::uint64_t> words) noexcept { return {kind::bits, words}; }

  enum class kind : std::uint8_t { everything, predicate, list, bits };
  kind what() const noexcept { return kind_; }

  /// What list or bits were made of.
  std::span<const std::uint64_t> words() const noexcept { return words_; }

  /// Not of a list.
  bool allows(std::uint64_t key) const {
    if (kind_ == kind::predicate) return function_(context_, key);
    if (kind_ == kind::bits)
      return key / 64 < words_.size() && (words_[static_cast<std::size_t>(key / 64)] >> (key % 64) & 1) != 0;
    return true;
  }

 private:
  search_filter(kind what, std::span<const std::uint64_t> words) noexcept : kind_(what), words_(words) {}

  kind kind_ = kind::everything;
  const void* context_ = nullptr;
  bool (*function_)(const void*, std::uint64_t) = nullptr;
  std::span<const std::uint64_t> words_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
