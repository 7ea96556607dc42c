#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/graph_search.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/slot_filter.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Searches of level 0 of which only some nodes may be results. Each begins as one through all nodes; how many of those around the query are
/// allowed says how it goes on (slot_filter.hpp).
///
/// Beyond: the pool has nothing but allowed nodes. Of one that is expanded all allowed neighbours are looked at, and, as long as there are not
/// as many as a row has, those of its other neighbours: the predicate subgraph of ACORN-1 (Patel et al., ACORN, SIGMOD 2024, section 5.2,
/// arXiv 2403.04871). What would have no way into a part of the graph that is allowed begins there: with some allowed nodes from all over it.
template <class View, class Graph>
class filtered_search : public graph_search<View, Graph> {
  using base = graph_search<View, Graph>;

 public:
  using typename base::query_type;
  using typename base::scratch_type;
  using D = typename base::D;

  using base::base;

  /// As graph_search::start and search_layer. The pool is `capacity` wide; it is left with allowed nodes alone. Where the filter comes to be
  /// of the opinion that all that are allowed should be measured, they have yet to be.
  template <search_observer Observer>
  void run(const query_type& query, std::uint32_t entry, slot_filter& filter, std::size_t capacity,
           std::size_t width, std::size_t least, std::size_t budget, scratch_type& scratch,
           Observer& observer) const {
    const std::size_t most = budget == 0 ? std::numeric_limits<std::size_t>::max() : budget;
    if (filter.way() != filter_way::scan)
      search_through(query, entry, filter, capacity, width, least, most, scratch, observer);
    if (filter.way() == filter_way::beyond)
      search_beyond(query, entry, filter, capacity, width, least, most, scratch, observer);
    scratch.visited.clear();
  }

 private:
  /// After so many hops it is decided how to go on.
  static constexpr std::size_t hops_around = 12;

  template <search_observer Observer>
  void search_through(const query_type& query, std::uint32_t entry, slot_filter& filter, std::size_t capacity,
                      std::size_t width, std::size_t least, std::size_t most, scratch_type& scratch,
                      Observer& observer) const {
    auto& pool = scratch.pool;
    scratch.visited.clear();
    pool.reset(capacity);
    pool.make_way(std::max(base::least_way, 4 * capacity));
    std::size_t measured = 0, allowed = 0;
    const auto allows = [&](std::uint32_t slot) {
      const bool is_allowed = filter.allows(slot);
      allowed += static_cast<std::size_t>(is_allowed);
      return is_allowed;
    };
    const auto take = [&](std::size_t count) {
      this->measure(query, count, scratch, observer);
      pool.insert_some_on_the_way(scratch.distances.data(), scratch.slots.data(), count, allows);
      measured += count;
    };
    std::size_t first = 0;
    for (const std::uint32_t slot : {entry, this->graph_.entry_point()}) {
      if (scratch.visited.insert(slot)) scratch.slots[first++] = slot;
    }
    take(first);
    std::uint32_t node = 0;
    for (std::size_t hops = 0; measured < most; ++hops) {
      const std::size_t next = pool.next_unexpanded();
      if (next >= width && pool.results_before(next) >= width && pool.results() >= least) break;
      if (pool.has_forgotten() || (hops == hops_around && filter.way() == filter_way::undecided)) {
        filter.decide(measured, allowed, !pool.has_forgotten());
        if (filter.way() != filter_way::through) return;
      }
      if (!pool.pop_unexpanded(node)) break;
      observer.on_hop(0);
      take(scratch.visited.insert_all(this->graph_.links(0, node), this->graph_.capacity(0),
                                      scratch.slots.data()));
    }
    pool.leave_way();
  }

  template <search_observer Observer>
  void search_beyond(const query_type& query, std::uint32_t entry, const slot_filter& filter,
                     std::size_t capacity, std::size_t width, std::size_t least, std::size_t most,
                     scratch_type& scratch, Observer& observer) const {
    auto& pool = scratch.pool;
    scratch.visited.clear();
    pool.reset(capacity);
    const auto take = [&](std::size_t count) {
      this->measure(query, count, scratch, observer);
      pool.insert(scratch.distances.data(), scratch.slots.data(), count);
      return count;
    };
    std::size_t first = 0;
    const auto begin_with = [&](std::uint32_t slot) {
      if (first < this->graph_.capacity(0) && filter.allows(slot) && scratch.visited.insert(slot))
        scratch.slots[first++] = slot;
    };
    begin_with(entry);
    begin_with(this->graph_.entry_point());
    std::for_each(filter.seeds().begin(), filter.seeds().end(), begin_with);
    take(first);
    take(look_beyond(entry, filter, scratch));
    std::uint32_t node = 0;
    for (std::size_t measured = 0;
         measured < most && (pool.next_unexpanded() < width || pool.results() < least);) {
      if (!pool.pop_unexpanded(node)) break;
      observer.on_hop(0);
      measured += take(look_beyond(node, filter, scratch));
    }
  }

  /// Writes allowed nodes behind this one that have not been seen to scratch.slots, and returns how many.
  std::size_t look_beyond(std::uint32_t node, const slot_filter& filter, scratch_type& scratch) const {
    const std::size_t room = this->graph_.capacity(0);
    std::size_t fresh = 0, allowed = 0;
    const auto look = [&](std::uint32_t slot) {
      // What has been seen is allowed.
      const bool is_allowed = scratch.visited.contains(slot) || filter.allows(slot);
      if (!is_allowed) return false;
      ++allowed;
      if (fresh < room && scratch.visited.insert(slot)) scratch.slots[fresh++] = slot;
      return true;
    };
    scratch.others.grow(room);
    std::size_t others = 0;
    const link* const links = this->graph_.links(0, node);
    for (std::size_t i = 0; i < room && links[i].slot() != node; ++i) {
      if (!look(links[i].slot())) scratch.others[others++] = links[i].slot();
    }
    for (std::size_t i = 0; i < others && allowed < room; ++i) {
      const std::uint32_t other = scratch.others[i];
      const link* const row = this->graph_.links(0, other);
      for (std::size_t j = 0; j < room && row[j].slot() != other && allowed < room; ++j) look(row[j].slot());
    }
    return fresh;
  }
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
