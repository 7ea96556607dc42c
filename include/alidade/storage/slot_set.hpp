#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Slots as bits, 64 to a word, to be read; whoever has the words keeps them.
class slot_bits {
 public:
  slot_bits() noexcept = default;
  explicit slot_bits(std::span<const std::uint64_t> words) noexcept : words_(words) {}

  bool empty() const noexcept { return words_.empty(); }
  bool contains(std::size_t slot) const noexcept {
    return slot / 64 < words_.size() && (words_[slot / 64] >> (slot % 64) & 1) != 0;
  }

  /// The first slot from this one on that is not one of them.
  std::size_t next_absent(std::size_t slot) const noexcept {
    while (slot / 64 < words_.size()) {
      const std::uint64_t absent = ~words_[slot / 64] >> (slot % 64);
      if (absent != 0) return slot + static_cast<std::size_t>(std::countr_zero(absent));
      slot = (slot / 64 + 1) * 64;
    }
    return slot;
  }

  /// Whether the last word has bits of slots from `slots` on.
  bool has_beyond(std::size_t slots) const noexcept {
    return slots / 64 < words_.size() && words_[slots / 64] >> (slots % 64) != 0;
  }

  std::size_t count() const noexcept {
    std::size_t total = 0;
    for (const std::uint64_t word : words_) total += static_cast<std::size_t>(std::popcount(word));
    return total;
  }

  static constexpr std::size_t words_for(std::size_t slots) noexcept { return (slots + 63) / 64; }

 private:
  std::span<const std::uint64_t> words_;
};

/// A set of slots. It takes no memory before one is inserted, then a bit for each up to the highest.
class slot_set {
 public:
  explicit slot_set(memory_resource* memory = nullptr) noexcept : words_(memory) {}

  std::size_t count() const noexcept { return count_; }
  bool contains(std::size_t slot) const noexcept { return bits().contains(slot); }
  slot_bits bits() const noexcept { return slot_bits(words_); }

  /// Room for slots below `slots`. Strong guarantee.
  void reserve(std::size_t slots) {
    const std::size_t words = slot_bits::words_for(slots);
    if (words <= words_.size()) return;
    if (words > words_.capacity()) words_.reserve(std::max(words, words_.size() + words_.size() / 2));
    words_.resize(words, 0);
  }

  /// reserve() has made room for it.
  void insert(std::size_t slot) noexcept {
    count_ += static_cast<std::size_t>(!contains(slot));
    words_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  }
  void erase(std::size_t slot) noexcept {
    if (!contains(slot)) return;
    words_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    --count_;
  }

  void clear() noexcept {
    std::fill(words_.begin(), words_.end(), std::uint64_t{0});
    count_ = 0;
  }

  std::size_t memory_bytes() const noexcept { return words_.capacity() * sizeof(std::uint64_t); }

 private:
  resource_vector<std::uint64_t> words_;
  std::size_t count_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
