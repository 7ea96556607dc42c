#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include <alidade/cache/detail/slot_link.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What a cache keeps of an entry beside its key, value and links.
struct entry_header {
  std::uint32_t hash = 0;
  std::uint32_t weight = 0;  ///< what the weigher said
  std::uint32_t pins = 0;
  std::uint8_t mark = 0;  ///< the policy's own
  bool detached = false;  ///< out of the index, alive while it is pinned
  bool expires = false;   ///< has a time
};

/// Slots for entries in chunks of equal size, and a list of the chunks with free slots. A chunk is given back when its entries,
/// none of which is pinned, find room in others; behind it others may stay, then there is a hole. Links lie apart, eight to a cache line:
/// a hit under LRU writes those of four entries.
template <class Key, class Value>
class entry_storage {
 public:
  struct entry : entry_header {
    template <class K, class V>
    entry(K&& k, V&& v) : key(std::forward<K>(k)), value(std::forward<V>(v)) {}
    Key key;
    Value value;
  };
  static_assert(alignof(entry) <= cache_line, "entries are aligned to a cache line at most");

  /// About 16 KiB, so that what the last chunk wastes is little of any budget worth having.
  static constexpr std::uint32_t chunk_slots = std::clamp(
      std::bit_floor(static_cast<std::uint32_t>((std::size_t{16} << 10) / sizeof(entry))), 8u, 256u);
  static constexpr std::size_t chunk_bytes = chunk_slots * sizeof(entry);

  explicit entry_storage(memory_resource* memory) noexcept
      : chunks_(memory), entries_(memory), links_(memory) {}
  entry_storage(const entry_storage&) = delete;
  entry_storage& operator=(const entry_storage&) = delete;

  entry& operator[](std::uint32_t slot) noexcept { return entries_[slot / chunk_slots][slot % chunk_slots]; }
  const entry& operator[](std::uint32_t slot) const noexcept {
    return entries_[slot / chunk_slots][slot % chunk_slots];
  }
  slot_link& link(std::uint32_t slot) noexcept { return links_[slot]; }

  std::size_t memory_bytes() const noexcept {
    return live_chunks() * chunk_bytes + chunks_.capacity() * bytes_beside_chunk;
  }
  /// What memory_bytes() is after shrink().
  std::size_t needed_bytes() const noexcept {
    return live_chunks() * chunk_bytes + chunks_.size() * bytes_beside_chunk;
  }
  /// What the next slot takes from the system.
  std::size_t next_slot_bytes() const noexcept {
    if (with_free_ != no_slot) return 0;
    if (holes_ != 0) return chunk_bytes;
    const std::size_t more = chunks_.size() == chunks_.capacity() ? grown() - chunks_.capacity() : 0;
    return chunk_bytes + more * bytes_beside_chunk;
  }
  /// The least that `count` entries take.
  static constexpr std::size_t least_bytes(std::size_t count) noexcept {
    return (count + chunk_slots - 1) / chunk_slots * (chunk_bytes + bytes_beside_chunk);
  }

  /// What is left when all but `count` entries, and all that nothing pins, have gone.
  std::size_t least_bytes_with_pins(std::size_t count) const noexcept {
    std::size_t pinned = 0, end = 0;
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      if (chunks_[i].pinned == 0) continue;
      ++pinned;
      end = i + 1;
    }
    const std::size_t chunks = std::max(pinned, (count + chunk_slots - 1) / chunk_slots);
    return chunks * chunk_bytes + std::max(end, chunks) * bytes_beside_chunk;
  }

  /// Above the greatest slot; holes count.
  std::size_t slots() const noexcept { return chunks_.size() * chunk_slots; }
  std::size_t free_slots() const noexcept { return live_chunks() * chunk_slots - used_; }
  /// slots(), when there is one more entry.
  std::size_t slots_with_next() const noexcept {
    return slots() + (with_free_ == no_slot && holes_ == 0 ? chunk_slots : 0);
  }

  /// A pinned entry's chunk stays.
  void pin(std::uint32_t slot) noexcept { ++chunks_[slot / chunk_slots].pinned; }
  void unpin(std::uint32_t slot) noexcept { --chunks_[slot / chunk_slots].pinned; }

  /// Constructs an entry in a free slot. Strong guarantee.
  template <class K, class V>
  std::uint32_t emplace(K&& key, V&& value) {
    if (with_free_ == no_slot) add_chunk();
    const std::uint32_t which = with_free_;
    chunk& c = chunks_[which];
    const std::uint32_t place = c.free, after = *c.link(place);
    try_construct(c, place, after, std::forward<K>(key), std::forward<V>(value));
    take(which, after);
    return which * chunk_slots + place;
  }

  void erase(std::uint32_t slot) noexcept {
    std::destroy_at(&(*this)[slot]);
    release(slot);
  }

  /// Moves the entries of the last chunk that can be spared to free slots of others and gives it back, after which
  /// relocate(from, to) has been told of each. False when there is none: their entries have no room elsewhere, are pinned, or
  /// might throw when moved.
  template <class Relocate>
  bool drop_chunk(const Relocate& relocate) noexcept {
    if (empty_ == 0 && (!moves || free_slots() < chunk_slots)) return false;
    auto which = static_cast<std::uint32_t>(chunks_.size());
    while (which != 0 && !is_spare(which - 1)) --which;
    if (which-- == 0) return false;
    chunk& c = chunks_[which];
    if (free_slots() - (chunk_slots - c.used) < c.used) return false;
    if (c.free != no_slot) unlink(which);
    if (c.used == 0) --empty_;
    if constexpr (moves) {
      if (c.used != 0) move_out(which, relocate);
    }
    c = chunk();
    entries_[which] = nullptr;
    ++holes_;
    for (; !entries_.empty() && entries_.back() == nullptr; --holes_) {
      chunks_.pop_back();
      entries_.pop_back();
    }
    return true;
  }

  /// Gives back what there is for links and chunks that have gone. Whether that was anything. Strong guarantee.
  bool shrink() {
    const std::size_t before = chunks_.capacity();
    if (before != chunks_.size()) reserve(chunks_.size());
    return chunks_.capacity() < before;
  }

 private:
  struct chunk {
    aligned_bytes memory;
    std::uint32_t free = no_slot;  ///< the first free place, each of which holds the number of the next
    std::uint32_t used = 0;
    std::uint32_t pinned = 0;
    std::uint32_t previous = no_slot, next = no_slot;  ///< in the list of chunks that have free places

    entry* entries() noexcept { return reinterpret_cast<entry*>(memory.data()); }
    std::uint32_t* link(std::uint32_t place) noexcept {
      return reinterpret_cast<std::uint32_t*>(entries() + place);
    }
  };

  static constexpr std::size_t bytes_beside_chunk =
      sizeof(chunk) + sizeof(void*) + chunk_slots * sizeof(slot_link);

  static constexpr bool moves =
      std::is_nothrow_move_constructible_v<Key> && std::is_nothrow_move_constructible_v<Value>;

  std::size_t live_chunks() const noexcept { return chunks_.size() - holes_; }
  memory_resource* memory() const noexcept { return chunks_.get_allocator().resource(); }

  /// For how many chunks there is room when there is for one more than there are.
  std::size_t grown() const noexcept { return chunks_.size() + chunks_.size() / 16 + 1; }

  /// Makes exactly this much room beside the chunks.
  void reserve(std::size_t chunks) {
    const std::size_t here = slots();
    resource_vector<chunk> all(memory());
    resource_vector<entry*> firsts(memory());
    resource_vector<slot_link> links(memory());
    all.reserve(chunks);
    firsts.reserve(chunks);
    links.reserve(chunks * chunk_slots);
    std::move(chunks_.begin(), chunks_.end(), std::back_inserter(all));
    firsts.assign(entries_.begin(), entries_.end());
    links.assign(links_.begin(), links_.begin() + static_cast<std::ptrdiff_t>(here));
    links.resize(chunks * chunk_slots);
    chunks_ = std::move(all);
    entries_ = std::move(firsts);
    links_ = std::move(links);
  }

  void add_chunk() {
    aligned_bytes place(chunk_bytes, memory());
    auto which = static_cast<std::uint32_t>(chunks_.size());
    if (holes_ != 0) {
      which =
          static_cast<std::uint32_t>(std::find(entries_.begin(), entries_.end(), nullptr) - entries_.begin());
      --holes_;
    } else {
      if (chunks_.size() == chunks_.capacity()) reserve(grown());
      chunks_.emplace_back();
      entries_.push_back(nullptr);
    }
    entries_[which] = reinterpret_cast<entry*>(place.data());
    ++empty_;
    chunk& fresh = chunks_[which];
    fresh.memory = std::move(place);
    for (std::uint32_t i = 0; i < chunk_slots; ++i)
      std::construct_at(fresh.link(i), i + 1 == chunk_slots ? no_slot : i + 1);
    fresh.free = 0;
    link_front(which);
  }

  /// A constructor that throws has spoilt the link in its place.
  template <class K, class V>
  void try_construct(chunk& c, std::uint32_t place, std::uint32_t after, K&& key, V&& value) {
    struct guard {
      ~guard() {
        if (at != nullptr) std::construct_at(at, after);
      }
      std::uint32_t* at;
      std::uint32_t after;
    } restore{c.link(place), after};
    std::construct_at(c.entries() + place, std::forward<K>(key), std::forward<V>(value));
    restore.at = nullptr;
  }

  void take(std::uint32_t which, std::uint32_t after) noexcept {
    chunks_[which].free = after;
    if (chunks_[which].used++ == 0) --empty_;
    ++used_;
    if (after == no_slot) unlink(which);
  }

  void release(std::uint32_t slot) noexcept {
    const std::uint32_t which = slot / chunk_slots, place = slot % chunk_slots;
    chunk& c = chunks_[which];
    std::construct_at(c.link(place), c.free);
    if (c.free == no_slot) link_front(which);
    c.free = place;
    if (--c.used == 0) ++empty_;
    --used_;
  }

  bool is_spare(std::uint32_t which) const noexcept {
    return entries_[which] != nullptr && chunks_[which].pinned == 0 && (moves || chunks_[which].used == 0);
  }
  /// From a chunk that is not among those with free slots, to these.
  template <class Relocate>
  void move_out(std::uint32_t which, const Relocate& relocate) noexcept {
    bool is_free[chunk_slots] = {};
    for (std::uint32_t i = chunks_[which].free; i != no_slot; i = *chunks_[which].link(i)) is_free[i] = true;
    for (std::uint32_t place = 0; place < chunk_slots; ++place) {
      if (is_free[place]) continue;
      entry& from = entries_[which][place];
      const std::uint32_t target = with_free_, to = chunks_[target].free, after = *chunks_[target].link(to);
      entry* const moved =
          std::construct_at(entries_[target] + to, std::move(from.key), std::move(from.value));
      static_cast<entry_header&>(*moved) = static_cast<const entry_header&>(from);
      take(target, after);
      std::destroy_at(&from);
      --used_;
      const std::uint32_t old = which * chunk_slots + place, fresh = target * chunk_slots + to;
      links_[fresh] = links_[old];
      relocate(old, fresh);
    }
  }

  void link_front(std::uint32_t which) noexcept {
    chunks_[which].previous = no_slot;
    chunks_[which].next = with_free_;
    if (with_free_ != no_slot) chunks_[with_free_].previous = which;
    with_free_ = which;
  }
  void unlink(std::uint32_t which) noexcept {
    const chunk& c = chunks_[which];
    (c.previous == no_slot ? with_free_ : chunks_[c.previous].next) = c.next;
    if (c.next != no_slot) chunks_[c.next].previous = c.previous;
  }

  resource_vector<chunk> chunks_;
  resource_vector<entry*> entries_;   // the first of each chunk: read for each look-up, and small
  resource_vector<slot_link> links_;  // by slot; for as many chunks as there is room for
  std::uint32_t with_free_ = no_slot;
  std::size_t used_ = 0;   // slots
  std::size_t holes_ = 0;  // chunks without memory
  std::size_t empty_ = 0;  // chunks with memory and without entries
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
