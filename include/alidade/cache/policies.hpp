#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/cache/detail/ghost_set.hpp>
#include <alidade/cache/detail/slot_list.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

/// In which order entries leave a cache. A policy keeps slots in lists: `entries.link(slot)`, a detail::slot_link&, is its own,
/// and so is the `mark` of `entries[slot]`, a detail::entry_header&; `entries.cost(slot)` is what one takes of the budget, 1 or more.
///
/// - It is constructed with a memory_resource*, where what it needs comes from, or null.
/// - `insert(entries, slot)`: an entry came in; `hit(entries, slot)`: it was asked for, in a way that promotes;
/// - `victim(entries)`: the slot of the entry to go next, `detail::no_slot` when there is none; `evict(entries, slot)`: it goes;
/// - `remove(entries, slot)`: an entry leaves for another reason, or until it is no longer pinned; `restore(entries, slot)`: it comes
///   back, most recent; `relocate(entries, from, to)`: it has moved to another slot;
/// - `reserve(count)`: before there are more than `count` - 1 entries; may throw. `growth_bytes(count)`: what that takes.
///   `memory_bytes()`: what it has beside itself;
///   `shrink(count)`: gives back what `count` entries do not need, and says whether that was anything; may throw.
///   `least_bytes(count)`: what is left then.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace cache_policies {

/// The least recently used goes first, exactly.
class lru {
 public:
  explicit lru(memory_resource*) noexcept {}

  template <class Entries>
  void insert(const Entries& entries, std::uint32_t slot) noexcept {
    recent_.push_front(entries, slot);
  }
  template <class Entries>
  void hit(const Entries& entries, std::uint32_t slot) noexcept {
    recent_.move_to_front(entries, slot);
  }
  template <class Entries>
  std::uint32_t victim(const Entries&) noexcept {
    return recent_.back();
  }
  template <class Entries>
  void evict(const Entries& entries, std::uint32_t slot) noexcept {
    recent_.remove(entries, slot);
  }
  template <class Entries>
  void remove(const Entries& entries, std::uint32_t slot) noexcept {
    recent_.remove(entries, slot);
  }
  template <class Entries>
  void restore(const Entries& entries, std::uint32_t slot) noexcept {
    recent_.push_front(entries, slot);
  }
  template <class Entries>
  void relocate(const Entries& entries, std::uint32_t from, std::uint32_t to) noexcept {
    recent_.relocate(entries, from, to);
  }
  void reserve(std::size_t) noexcept {}
  std::size_t growth_bytes(std::size_t) const noexcept { return 0; }
  bool shrink(std::size_t) noexcept { return false; }
  std::size_t memory_bytes() const noexcept { return 0; }
  static constexpr std::size_t least_bytes(std::size_t) noexcept { return 0; }

 private:
  detail::slot_list recent_;
};

/// S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023), which a scan does
/// not flush. What comes in waits in a small queue, a tenth of the cost of all, and is let into the main one when it was asked
/// for meanwhile, or comes back soon after it has left: as many as the main queue has are remembered, by their hashes. In the
/// main queue an entry gets another turn for each time it was asked for, three at most. A hit changes a number and no list.
/// One hit in the small queue is enough, where the paper wants two: see bench/NOTES.md.
class s3_fifo {
 public:
  explicit s3_fifo(memory_resource* memory) noexcept : left_(memory) {}

  template <class Entries>
  void insert(const Entries& entries, std::uint32_t slot) noexcept {
    if (left_.take(entries[slot].hash, main_count_)) {
      add_to_main(entries, slot);
    } else {
      add_to_small(entries, slot);
    }
  }
  template <class Entries>
  void hit(const Entries& entries, std::uint32_t slot) noexcept {
    std::uint8_t& mark = entries[slot].mark;
    mark = static_cast<std::uint8_t>(mark + ((mark & turns) != turns ? 1 : 0));
  }

  template <class Entries>
  std::uint32_t victim(const Entries& entries) noexcept {
    for (;;) {
      const bool from_small = 10 * small_cost_ > small_cost_ + main_cost_ || main_.back() == detail::no_slot;
      const std::uint32_t slot = from_small ? small_.back() : main_.back();
      if (slot == detail::no_slot || (entries[slot].mark & turns) == 0) return slot;
      if (from_small) {
        remove(entries, slot);
        add_to_main(entries, slot);
      } else {
        --entries[slot].mark;
        main_.move_to_front(entries, slot);
      }
    }
  }
  template <class Entries>
  void evict(const Entries& entries, std::uint32_t slot) noexcept {
    if ((entries[slot].mark & in_main) == 0) left_.add(entries[slot].hash);
    remove(entries, slot);
  }
  template <class Entries>
  void remove(const Entries& entries, std::uint32_t slot) noexcept {
    if ((entries[slot].mark & in_main) != 0) {
      main_.remove(entries, slot);
      main_cost_ -= entries.cost(slot);
      --main_count_;
    } else {
      small_.remove(entries, slot);
      small_cost_ -= entries.cost(slot);
    }
  }
  template <class Entries>
  void restore(const Entries& entries, std::uint32_t slot) noexcept {
    const std::uint8_t mark = entries[slot].mark;
    if ((mark & in_main) != 0) {
      add_to_main(entries, slot);
    } else {
      add_to_small(entries, slot);
    }
    entries[slot].mark = mark;
  }
  template <class Entries>
  void relocate(const Entries& entries, std::uint32_t from, std::uint32_t to) noexcept {
    ((entries[to].mark & in_main) != 0 ? main_ : small_).relocate(entries, from, to);
  }
  void reserve(std::size_t count) { left_.reserve(remembered(count)); }
  std::size_t growth_bytes(std::size_t count) const noexcept { return left_.growth_bytes(remembered(count)); }
  bool shrink(std::size_t count) { return left_.shrink(remembered(count)); }
  std::size_t memory_bytes() const noexcept { return left_.memory_bytes(); }
  static constexpr std::size_t least_bytes(std::size_t count) noexcept {
    return detail::ghost_set::least_bytes(remembered(count));
  }

 private:
  static constexpr std::uint8_t turns = 3, in_main = 4;

  /// Of what the main queue has, nine tenths.
  static constexpr std::size_t remembered(std::size_t count) noexcept { return count - count / 5; }

  template <class Entries>
  void add_to_small(const Entries& entries, std::uint32_t slot) noexcept {
    entries[slot].mark = 0;
    small_.push_front(entries, slot);
    small_cost_ += entries.cost(slot);
  }
  template <class Entries>
  void add_to_main(const Entries& entries, std::uint32_t slot) noexcept {
    entries[slot].mark = in_main;
    main_.push_front(entries, slot);
    main_cost_ += entries.cost(slot);
    ++main_count_;
  }

  detail::slot_list small_, main_;
  detail::ghost_set left_;
  std::uint64_t small_cost_ = 0, main_cost_ = 0;
  std::size_t main_count_ = 0;
};

}  // namespace cache_policies
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
