#pragma once

#include <cstdint>

#include <alidade/cache/detail/entry_storage.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A list through the entries' own links, by slots. `Entries` gives an entry_header& for a slot.
class slot_list {
 public:
  std::uint32_t back() const noexcept { return back_; }

  template <class Entries>
  void push_front(const Entries& entries, std::uint32_t slot) noexcept {
    entry_header& e = entries[slot];
    e.previous = no_slot;
    e.next = front_;
    (front_ == no_slot ? back_ : entries[front_].previous) = slot;
    front_ = slot;
  }

  template <class Entries>
  void remove(const Entries& entries, std::uint32_t slot) noexcept {
    const entry_header& e = entries[slot];
    (e.previous == no_slot ? front_ : entries[e.previous].next) = e.next;
    (e.next == no_slot ? back_ : entries[e.next].previous) = e.previous;
  }

  template <class Entries>
  void move_to_front(const Entries& entries, std::uint32_t slot) noexcept {
    if (slot == front_) return;
    remove(entries, slot);
    push_front(entries, slot);
  }

  /// The entry of slot `from`, with its links, is now at slot `to`.
  template <class Entries>
  void relocate(const Entries& entries, std::uint32_t from, std::uint32_t to) noexcept {
    const entry_header& e = entries[to];
    if (front_ == from) front_ = to;
    if (back_ == from) back_ = to;
    if (e.previous != no_slot) entries[e.previous].next = to;
    if (e.next != no_slot) entries[e.next].previous = to;
  }

 private:
  std::uint32_t front_ = no_slot, back_ = no_slot;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
