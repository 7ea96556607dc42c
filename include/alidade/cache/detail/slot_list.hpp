#pragma once

#include <cstdint>

#include <alidade/cache/detail/slot_link.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A list of slots through their links. `Entries` has link(slot), a slot_link&.
class slot_list {
 public:
  std::uint32_t back() const noexcept { return back_; }

  template <class Entries>
  void push_front(const Entries& entries, std::uint32_t slot) noexcept {
    entries.link(slot) = {no_slot, front_};
    (front_ == no_slot ? back_ : entries.link(front_).previous) = slot;
    front_ = slot;
  }

  template <class Entries>
  void remove(const Entries& entries, std::uint32_t slot) noexcept {
    const slot_link at = entries.link(slot);
    (at.previous == no_slot ? front_ : entries.link(at.previous).next) = at.next;
    (at.next == no_slot ? back_ : entries.link(at.next).previous) = at.previous;
  }

  template <class Entries>
  void move_to_front(const Entries& entries, std::uint32_t slot) noexcept {
    if (slot == front_) return;
    remove(entries, slot);
    push_front(entries, slot);
  }

  /// What was in slot `from` is now in slot `to`, and so are its links.
  template <class Entries>
  void relocate(const Entries& entries, std::uint32_t from, std::uint32_t to) noexcept {
    const slot_link at = entries.link(to);
    (front_ == from ? front_ : entries.link(at.previous).next) = to;
    (back_ == from ? back_ : entries.link(at.next).previous) = to;
  }

 private:
  std::uint32_t front_ = no_slot, back_ = no_slot;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
