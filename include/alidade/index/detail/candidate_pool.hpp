#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/simd/ops/sorted_insert.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Maps a distance to an integer of the same order (NaN after infinity), and back. Of a negative float all bits but the sign
/// are inverted.
template <class D>
std::int32_t to_ordered(D distance) noexcept {
  if constexpr (std::same_as<D, float>) {
    const auto bits = detail::bit_cast<std::int32_t>(distance + 0.0f);  // + 0: -0 and 0 are one distance
    return bits ^ (bits < 0 ? 0x7fffffff : 0);
  } else if constexpr (std::same_as<D, std::int32_t>) {
    return distance;
  } else {
    return static_cast<std::int32_t>(distance ^ 0x80000000u);
  }
}

template <class D>
D from_ordered(std::int32_t ordered) noexcept {
  if constexpr (std::same_as<D, float>) {
    return detail::bit_cast<float>(ordered ^ (ordered < 0 ? 0x7fffffff : 0));
  } else if constexpr (std::same_as<D, std::int32_t>) {
    return ordered;
  } else {
    return static_cast<std::uint32_t>(ordered) ^ 0x80000000u;
  }
}

/// The ef best points that a search has seen, nearest first, in one sorted array: both of the heaps of arXiv
/// 1603.09320's algorithm 2 (candidates and results) at once, since a candidate that leaves the results is never
/// expanded. An entry is one number, so that a comparison orders by distance, then by slot:
///
///     | 63 .. 32 ordered distance | 31 on the way | 30 .. 1 slot | 0 expanded |
///
/// Points that are on the way are expanded as all are, but are no results: of others there are ef nearest all the same. They come in by
/// insert_some_on_the_way(), and leave_way() takes them out in the end.
template <class D>
class candidate_pool {
 public:
  explicit candidate_pool(memory_resource* memory = nullptr) noexcept : storage_(memory) {}

  void reset(std::size_t capacity) { reset(capacity, capacity); }
  /// With room for `capacity`, up to `most` later.
  void reset(std::size_t capacity, std::size_t most) {
    storage_.grow(round_up(most, block) + block);
    entries()[-1] = std::numeric_limits<std::int64_t>::min();
    capacity_ = results_ = capacity;
    size_ = 0;
    next_ = 0;
    on_the_way_ = 0;
  }

  /// More room, for at most as many as reset() was for.
  void widen(std::size_t capacity) noexcept {
    ALIDADE_ASSERT(capacity >= capacity_ && capacity + block <= storage_.size());
    capacity_ = results_ = capacity;
    // What was pushed out is not to come back.
    for (std::size_t i = size_; i % block != 0; ++i) entries()[i] = nothing;
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return results_; }
  /// Those that are not on the way.
  std::size_t results() const noexcept { return size_ - on_the_way_; }
  std::uint32_t slot(std::size_t i) const noexcept {
    return static_cast<std::uint32_t>(entries()[i]) >> 1 & slot_mask;
  }
  D distance(std::size_t i) const noexcept {
    return from_ordered<D>(static_cast<std::int32_t>(entries()[i] >> 32));
  }

  /// Takes of `count` points those that are among the nearest. A full pool refuses what is as far as its last entry: else a search
  /// among equal vectors would go from each to those of smaller slots, through all of them. Returns the first place that one
  /// took when it came in, or the pool's capacity where none did.
  std::size_t insert(const D* distances, const std::uint32_t* slots, std::size_t count) noexcept {
    ALIDADE_ASSERT(capacity_ > 0);
    std::size_t first = capacity_;
    std::uint8_t admitted[64];
    while (count > 0) {
      // First those that the last entry rules out are left aside, without a branch for each.
      const auto some = static_cast<std::uint8_t>(std::min(count, std::size(admitted)));
      const bool has_room = size_ < capacity_;
      const D farthest = has_room ? D{} : distance(size_ - 1);
      std::size_t n = 0;
      for (std::uint8_t i = 0; i < some; ++i) {
        admitted[n] = i;
        n += static_cast<std::size_t>(has_room) | static_cast<std::size_t>(!(distances[i] >= farthest));
      }
      for (std::size_t i = 0; i < n; ++i) {
        first = std::min(first, insert(entry_of(distances[admitted[i]], slots[admitted[i]])));
      }
      distances += some;
      slots += some;
      count -= some;
    }
    next_ = std::min(next_, first);
    return first;
  }

  std::size_t insert(D distance, std::uint32_t slot) noexcept { return insert(&distance, &slot, 1); }

  /// The place of the nearest entry that is not expanded yet; size() when there is none.
  std::size_t next_unexpanded() noexcept {
    while (next_ < size_ && (entries()[next_] & 1) != 0) ++next_;
    return next_;
  }

  /// The nearest entry that is not expanded yet, which this marks as expanded; false when there is none.
  bool pop_unexpanded(std::uint32_t& slot) noexcept {
    if (next_unexpanded() == size_) return false;
    slot = this->slot(next_);
    entries()[next_++] |= 1;
    return true;
  }

  /// The slot that pop_unexpanded would give if nothing were inserted before, or `otherwise`.
  std::uint32_t peek_unexpanded(std::uint32_t otherwise) const noexcept {
    for (std::size_t i = next_; i < size_; ++i) {
      if ((entries()[i] & 1) == 0) return slot(i);
    }
    return otherwise;
  }

  /// Room for as many that are on the way, beside the capacity of reset(). May be called once a search, with nothing in the pool.
  void make_way(std::size_t most) {
    has_forgotten_ = false;
    storage_.grow(round_up(results_ + most + 1, block) + block);
    entries()[-1] = std::numeric_limits<std::int64_t>::min();
    most_on_the_way_ = most;
  }

  /// As insert, of points of which is_result(slot) says which are results. Beyond that many the farthest on the way is forgotten.
  template <class IsResult>
  void insert_some_on_the_way(const D* distances, const std::uint32_t* slots, std::size_t count,
                              const IsResult& is_result) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      const bool counts = is_result(slots[i]);
      const std::int64_t entry = entry_of(distances[i], slots[i]) | (counts ? 0 : way_bit);
      if (results() == results_ && !(entry < end_of_full())) continue;
      if (!counts && on_the_way_ == most_on_the_way_ && !forget_one_beyond(entry)) continue;
      capacity_ = size_ + 1;
      next_ = std::min(next_, insert(entry));
      on_the_way_ += static_cast<std::size_t>(!counts);
      if (results() > results_) drop_last();
      while (results() == results_ && is_on_the_way(size_ - 1)) drop_last();
    }
  }

  /// Whether one that was on the way was forgotten: what lies behind it may be missed.
  bool has_forgotten() const noexcept { return has_forgotten_; }

  /// How many results are before an entry.
  std::size_t results_before(std::size_t position) const noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0; i < position; ++i) count += static_cast<std::size_t>(!is_on_the_way(i));
    return count;
  }

  /// From here on there are results only, to be read.
  void leave_way() noexcept {
    keep_if([](std::int64_t entry) { return (entry & way_bit) == 0; });
    on_the_way_ = 0;
  }
  /// Likewise none of these.
  template <class Slots>
  void leave_out(const Slots& slots) noexcept {
    keep_if([&](std::int64_t entry) {
      return !slots.contains(static_cast<std::uint32_t>(entry) >> 1 & slot_mask);
    });
  }

  std::size_t memory_bytes() const noexcept { return storage_.memory_bytes(); }

 private:
  static constexpr std::size_t block = simd::sorted_insert_block;
  static constexpr std::int64_t nothing = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t way_bit = std::int64_t{1} << 31;
  static constexpr std::uint32_t slot_mask = (std::uint32_t{1} << 30) - 1;

  // A block lies before the entries, of which the last number is less than any.
  std::int64_t* entries() noexcept { return storage_.data() + block; }
  const std::int64_t* entries() const noexcept { return storage_.data() + block; }

  static std::int64_t entry_of(D distance, std::uint32_t slot) noexcept {
    return static_cast<std::int64_t>(to_ordered(distance)) * (std::int64_t{1} << 32) |
           static_cast<std::int64_t>(slot) << 1;
  }

  /// What an entry must be less than to come in: of a full pool's last one the distance alone.
  std::int64_t end() const noexcept { return size_ < capacity_ ? nothing : end_of_full(); }
  std::int64_t end_of_full() const noexcept { return entries()[size_ - 1] & ~std::int64_t{0xffffffff}; }

  bool is_on_the_way(std::size_t i) const noexcept { return (entries()[i] & way_bit) != 0; }

  template <class Keep>
  void keep_if(const Keep& keep) noexcept {
    std::int64_t* end = entries();
    for (std::size_t i = 0; i < size_; ++i) {
      if (keep(entries()[i])) *end++ = entries()[i];
    }
    size_ = next_ = static_cast<std::size_t>(end - entries());
    capacity_ = results_;
  }

  void drop_last() noexcept {
    on_the_way_ -= static_cast<std::size_t>(is_on_the_way(size_ - 1));
    entries()[--size_] = nothing;
    next_ = std::min(next_, size_);
  }

  /// Of those on the way the farthest, if it is farther than this; false where it is not.
  bool forget_one_beyond(std::int64_t entry) noexcept {
    has_forgotten_ = true;
    std::size_t i = size_;
    while (i > 0 && !is_on_the_way(i - 1)) --i;
    if (i == 0 || entries()[i - 1] < entry) return false;
    std::copy(entries() + i, entries() + size_, entries() + i - 1);
    entries()[--size_] = nothing;
    if (next_ >= i) --next_;
    --on_the_way_;
    return true;
  }

  std::size_t insert(std::int64_t entry) noexcept {
    if (!(entry < end())) return capacity_;
    if (size_ < capacity_) {
      if (size_ % block == 0) std::fill_n(entries() + size_, block, nothing);
      ++size_;
    }
    return simd::sorted_insert(entries(), size_, entry);
  }

  buffer<std::int64_t> storage_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t next_ = 0;  // no entry before this one is unexpanded
  std::size_t results_ = 0, on_the_way_ = 0, most_on_the_way_ = 0;
  bool has_forgotten_ = false;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
