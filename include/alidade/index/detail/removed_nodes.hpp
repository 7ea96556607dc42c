#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What becomes of nodes whose vectors were removed. First links lead to them yet, and searches go through them; meanwhile a sweep goes over
/// the nodes of the graph, a few for each that is removed, and leads them past those that wait. When it has been everywhere since a node was
/// removed, nothing leads to that any more, and its slot is free for another vector.
class removed_nodes {
 public:
  /// How many nodes are looked at for each that is removed. In a round over n nodes so n / 32 more are removed; those wait for the next
  /// round's end, when as many again do: n / 16 at most.
  static constexpr std::size_t swept_for_each = 32;

  explicit removed_nodes(memory_resource* memory) noexcept : waiting_(memory), free_(memory) {}

  std::size_t waiting() const noexcept { return waiting_.size(); }
  std::size_t free() const noexcept { return free_.size(); }

  /// Of the slots that are free those to be used next, `count` at most. Until take().
  std::span<const std::uint32_t> next_free(std::size_t count) const noexcept {
    const std::size_t some = std::min(count, free_.size());
    return std::span<const std::uint32_t>(free_).last(some);
  }
  void take(std::size_t count) noexcept { free_.resize(free_.size() - count); }

  /// Room for `count` more to be removed. Strong guarantee.
  void reserve(std::size_t count) {
    const auto make_room = [](resource_vector<std::uint32_t>& slots, std::size_t size) {
      if (size > slots.capacity()) slots.reserve(std::max(size, slots.size() + slots.size() / 2));
    };
    make_room(waiting_, waiting_.size() + count);
    make_room(free_, free_.size() + waiting_.size() + count);
  }
  /// reserve() has made room.
  void add(std::uint32_t slot) noexcept {
    if (waiting_.empty()) next_ = 0;
    waiting_.push_back(slot);
    if (next_ == 0) since_before_round_ = waiting_.size();
  }

  /// Goes over `left` nodes, or until none waits, by purge(first, last) and, at the end of a round over all of `nodes`, by end_round(). Returns
  /// how many may be freed, of those that have waited longest.
  template <class Purge, class EndRound>
  std::size_t sweep(std::size_t left, std::size_t nodes, const Purge& purge, const EndRound& end_round) {
    std::size_t freed = 0;
    while (left > 0 && freed < waiting_.size()) {
      const std::size_t count = std::min(left, nodes - next_);
      purge(next_, next_ + count);
      next_ += count;
      left -= count;
      if (next_ < nodes) continue;
      end_round();
      freed = since_before_round_;
      since_before_round_ = waiting_.size();
      next_ = 0;
    }
    return freed;
  }

  /// Frees what sweep() has said; clear(slot) is called for each.
  template <class Clear>
  void free_first(std::size_t count, const Clear& clear) noexcept {
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    std::for_each(waiting_.begin(), end, clear);
    free_.insert(free_.end(), waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    since_before_round_ -= std::min(count, since_before_round_);
  }

  /// None waits, and none is free.
  void clear() noexcept {
    waiting_.clear();
    free_.clear();
    next_ = since_before_round_ = 0;
  }

  struct mark {
    std::size_t waiting, next, since_before_round;
  };
  mark mark_end() const noexcept { return {waiting_.size(), next_, since_before_round_}; }
  /// unremove(slot) is called for each that was added since, the newest first.
  template <class Unremove>
  void undo(const mark& before, const Unremove& unremove) noexcept {
    for (; waiting_.size() > before.waiting; waiting_.pop_back()) unremove(waiting_.back());
    next_ = before.next;
    since_before_round_ = before.since_before_round;
  }

  std::size_t memory_bytes() const noexcept {
    return (waiting_.capacity() + free_.capacity()) * sizeof(std::uint32_t);
  }

 private:
  resource_vector<std::uint32_t> waiting_;  ///< in the order in which they were removed
  resource_vector<std::uint32_t> free_;
  std::size_t next_ = 0;                ///< the node that is looked at next
  std::size_t since_before_round_ = 0;  ///< so many wait since before the present round
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
