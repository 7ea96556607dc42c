#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include <alidade/cache/detail/slot_link.hpp>
#include <alidade/config/assert.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/simd/ops/tag_group.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// From 32-bit hashes to slots: open addressing by groups of twelve, a group a cache line, whose tags are compared at once.
/// A group counts the entries that wanted it, or passed it, and found no place, so a look-up ends at the first group whose
/// count is zero, and erasing takes the counts back: there are no tombstones, and nothing decays. (The counts are those of
/// F14: Bronson, Shi, Open-sourcing F14 for faster, more memory-efficient hash tables, 2019.)
///
///     group: | 12 tags | 2 bytes overflow | 2 unused | 12 slots of 4 bytes |       64 bytes
class tag_index {
 public:
  static constexpr std::size_t lanes = 12;  ///< entries of a group at most

  std::size_t size() const noexcept { return size_; }
  std::size_t memory_bytes() const noexcept { return memory_.size(); }
  static constexpr std::size_t least_bytes(std::size_t count) noexcept {
    return groups_for(count) * sizeof(group);
  }
  bool full() const noexcept { return size_ == capacity_of(groups_); }

  /// What one entry more takes from the system.
  std::size_t next_entry_bytes() const noexcept {
    return full() ? (groups_when_grown(size_ + 1) - groups_) * sizeof(group) : 0;
  }

  /// The slot with this hash for which equal(slot) holds, or no_slot.
  template <class Equal>
  ALIDADE_FORCE_INLINE std::uint32_t find(std::uint32_t hash, const Equal& equal) const {
    if (groups_ == 0) return no_slot;
    const std::uint8_t tag = tag_of(hash);
    const std::size_t first = home(hash);
    std::size_t g = first;
    do {
      const group& here = table()[g];
      for (std::uint32_t same = here.matches(tag); same != 0; same &= same - 1) {
        const std::uint32_t slot = here.slots[std::countr_zero(same)];
        if (equal(slot)) return slot;
      }
      if (here.overflow == 0) return no_slot;
      g = next(g);
    } while (g != first);
    return no_slot;
  }

  /// Needs room: !full().
  void insert(std::uint32_t hash, std::uint32_t slot) noexcept {
    ALIDADE_ASSERT(!full());
    for (std::size_t g = home(hash);; g = next(g)) {
      group& here = table()[g];
      if (const std::uint32_t empty = here.matches(0); empty != 0) {
        const int lane = std::countr_zero(empty);
        here.tags[lane] = tag_of(hash);
        here.slots[lane] = slot;
        ++size_;
        return;
      }
      if (here.overflow != overflow_limit) ++here.overflow;
    }
  }

  /// Takes out a slot that is in.
  void erase(std::uint32_t hash, std::uint32_t slot) noexcept {
    for (std::size_t g = home(hash);; g = next(g)) {
      group& here = table()[g];
      if (const int lane = here.lane_of(tag_of(hash), slot); lane >= 0) {
        here.tags[lane] = 0;
        --size_;
        return;
      }
      if (here.overflow != overflow_limit) --here.overflow;  // one that is full to the limit stays so
    }
  }

  /// The entry of slot `from` is now at slot `to`.
  void relocate(std::uint32_t hash, std::uint32_t from, std::uint32_t to) noexcept {
    for (std::size_t g = home(hash);; g = next(g)) {
      group& here = table()[g];
      if (const int lane = here.lane_of(tag_of(hash), from); lane >= 0) {
        here.slots[lane] = to;
        return;
      }
    }
  }

  std::size_t groups() const noexcept { return groups_; }
  /// Calls visit(slot) for all in group `which`, below groups(); visit leaves the index alone.
  template <class Visit>
  void visit_group(std::size_t which, const Visit& visit) const {
    const group& g = table()[which];
    for (std::uint32_t taken = ~g.matches(0) & 0xfffu; taken != 0; taken &= taken - 1)
      visit(g.slots[std::countr_zero(taken)]);
  }
  /// A slot in group `which`, modulo groups(), for which condition(slot) holds, or no_slot.
  template <class Condition>
  std::uint32_t find_in_group(std::size_t which, const Condition& condition) const {
    if (groups_ == 0) return no_slot;
    const group& g = table()[which % groups_];
    for (std::uint32_t taken = ~g.matches(0) & 0xfffu; taken != 0; taken &= taken - 1) {
      if (const std::uint32_t slot = g.slots[std::countr_zero(taken)]; condition(slot)) return slot;
    }
    return no_slot;
  }
  /// Puts all into another, which has room for them, and becomes that; hash_of(slot) is the hash that a slot was put in with.
  template <class HashOf>
  void move_to(tag_index& other, const HashOf& hash_of) noexcept {
    for (std::size_t g = 0; g < groups_; ++g)
      visit_group(g, [&](std::uint32_t slot) { other.insert(hash_of(slot), slot); });
    *this = std::move(other);
  }
  static constexpr std::size_t groups_for(std::size_t count) noexcept {
    return (count + per_group - 1) / per_group;
  }

  /// Empty, with room for `count` entries, in a resource's memory; from operator new where that is null.
  explicit tag_index(memory_resource* memory, std::size_t count = 0)
      : tag_index(of_groups{}, memory, groups_for(count)) {}

  /// An empty one with room for `count` entries, a quarter more at least than this one has, so that a long series of insertions
  /// costs four moves each; the caller puts everything into it.
  tag_index grown(std::size_t count) const { return tag_index(of_groups{}, from_, groups_when_grown(count)); }
  /// An empty one with room for `count` entries and little more.
  tag_index shrunk(std::size_t count) const { return tag_index(from_, count); }

 private:
  static constexpr std::size_t per_group =
      10;  // of twelve lanes: 6.4 bytes an entry when full, 8 after it has grown
  struct of_groups {};
  tag_index(of_groups, memory_resource* memory, std::size_t groups) : from_(memory), groups_(groups) {
    if (groups != 0) memory_ = aligned_bytes(checked_product(groups, sizeof(group)), memory);
    for (std::size_t g = 0; g < groups; ++g) std::construct_at(table() + g, group{});
  }
  std::size_t groups_when_grown(std::size_t count) const noexcept {
    return std::max(groups_for(count), groups_ + groups_ / 4);
  }
  static constexpr std::uint16_t overflow_limit = std::numeric_limits<std::uint16_t>::max();

  struct alignas(64) group {
    std::uint8_t tags[lanes];
    std::uint16_t overflow;
    std::uint16_t unused;
    std::uint32_t slots[lanes];

    std::uint32_t matches(std::uint8_t tag) const noexcept {
      return simd::matching_bytes(tags, tag) & 0xfffu;  // the last four bytes are no tags
    }
    int lane_of(std::uint8_t tag, std::uint32_t slot) const noexcept {
      for (std::uint32_t same = matches(tag); same != 0; same &= same - 1) {
        if (slots[std::countr_zero(same)] == slot) return std::countr_zero(same);
      }
      return -1;
    }
  };
  static_assert(sizeof(group) == 64);

  static constexpr std::size_t capacity_of(std::size_t groups) noexcept { return groups * per_group; }
  /// From bits that the place of a group hardly depends on; 0 is an empty lane.
  static std::uint8_t tag_of(std::uint32_t hash) noexcept {
    const auto tag = static_cast<std::uint8_t>(hash);
    return tag == 0 ? std::uint8_t{1} : tag;
  }
  std::size_t home(std::uint32_t hash) const noexcept {
    return static_cast<std::size_t>((std::uint64_t{hash} * groups_) >> 32);
  }
  std::size_t next(std::size_t g) const noexcept { return g + 1 == groups_ ? 0 : g + 1; }
  group* table() noexcept { return reinterpret_cast<group*>(memory_.data()); }
  const group* table() const noexcept { return reinterpret_cast<const group*>(memory_.data()); }

  memory_resource* from_;
  aligned_bytes memory_;
  std::size_t groups_ = 0;
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
