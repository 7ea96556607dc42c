#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Maps a distance to an unsigned number of the same order (NaN after infinity), and back. For a float of either sign the
/// bits of negative numbers are inverted, and the sign bit of the others set.
template <class D>
std::uint32_t to_ordered(D distance) noexcept {
  if constexpr (std::same_as<D, float>) {
    const auto bits = detail::bit_cast<std::uint32_t>(distance + 0.0f);  // + 0: -0 and 0 are one distance
    return bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
  } else if constexpr (std::same_as<D, std::int32_t>) {
    return static_cast<std::uint32_t>(distance) ^ 0x80000000u;
  } else {
    return distance;
  }
}

template <class D>
D from_ordered(std::uint32_t ordered) noexcept {
  if constexpr (std::same_as<D, float>) {
    return detail::bit_cast<float>(ordered ^ ((ordered >> 31) != 0 ? 0x80000000u : 0xffffffffu));
  } else if constexpr (std::same_as<D, std::int32_t>) {
    return static_cast<std::int32_t>(ordered ^ 0x80000000u);
  } else {
    return ordered;
  }
}

/// The ef best points that a search has seen, nearest first, in one sorted array: both of the heaps of arXiv
/// 1603.09320's algorithm 2 (candidates and results) at once, since a candidate that leaves the results is never
/// expanded. An entry is one number, so that a comparison orders by distance, then by slot:
///
///     | 63 .. 32 ordered distance | 31 .. 1 slot | 0 expanded |
template <class D>
class candidate_pool {
 public:
  explicit candidate_pool(memory_resource* memory = nullptr) noexcept : entries_(memory) {}

  void reset(std::size_t capacity) { reset(capacity, capacity); }
  /// With room for `capacity`, up to `most` later.
  void reset(std::size_t capacity, std::size_t most) {
    entries_.grow(most);
    capacity_ = capacity;
    size_ = 0;
    next_ = 0;
  }

  /// More room, for at most as many as reset() was for.
  void widen(std::size_t capacity) noexcept {
    ALIDADE_ASSERT(capacity >= capacity_ && capacity <= entries_.size());
    capacity_ = capacity;
  }

  std::size_t size() const noexcept { return size_; }
  std::uint32_t slot(std::size_t i) const noexcept { return static_cast<std::uint32_t>(entries_[i]) >> 1; }
  D distance(std::size_t i) const noexcept {
    return from_ordered<D>(static_cast<std::uint32_t>(entries_[i] >> 32));
  }

  /// Whether a point at this distance may enter; never wrong when it says no. Cheap, for the search loop.
  bool admits(D distance) const noexcept { return size_ < capacity_ || !(distance >= worst_); }

  /// Returns the place that it takes, or the pool's capacity where it takes none.
  std::size_t insert(D distance, std::uint32_t slot) noexcept {
    const std::uint64_t entry = std::uint64_t{to_ordered(distance)} << 32 | std::uint64_t{slot} << 1;
    std::uint64_t* const begin = entries_.data();
    // A binary search whose steps are conditional moves: its branches would be mispredicted half of the time.
    std::size_t position = 0;
    for (std::size_t left = size_; left > 0;) {
      const std::size_t half = (left + 1) / 2;
      position += begin[position + half - 1] <= entry ? half : 0;
      left -= half;
    }
    if (position == capacity_) return position;
    if (size_ < capacity_) ++size_;
    std::memmove(begin + position + 1, begin + position, (size_ - 1 - position) * sizeof(std::uint64_t));
    begin[position] = entry;
    next_ = std::min(next_, position);
    worst_ = this->distance(size_ - 1);
    return position;
  }

  /// The place of the nearest entry that is not expanded yet; size() when there is none.
  std::size_t next_unexpanded() noexcept {
    while (next_ < size_ && (entries_[next_] & 1) != 0) ++next_;
    return next_;
  }

  /// The nearest entry that is not expanded yet, which this marks as expanded; false when there is none.
  bool pop_unexpanded(std::uint32_t& slot) noexcept {
    if (next_unexpanded() == size_) return false;
    slot = this->slot(next_);
    entries_[next_++] |= 1;
    return true;
  }

  /// The slot that pop_unexpanded would give if nothing were inserted before, or `otherwise`.
  std::uint32_t peek_unexpanded(std::uint32_t otherwise) const noexcept {
    for (std::size_t i = next_; i < size_; ++i) {
      if ((entries_[i] & 1) == 0) return slot(i);
    }
    return otherwise;
  }

  std::size_t memory_bytes() const noexcept { return entries_.memory_bytes(); }

 private:
  buffer<std::uint64_t> entries_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t next_ = 0;  // no entry before this one is unexpanded
  D worst_{};             // distance of the last entry
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
