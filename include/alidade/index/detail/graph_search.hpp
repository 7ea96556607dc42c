#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/search_scratch.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/search_progress.hpp>
#include <alidade/simd/prefetch.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The searches of arXiv 1603.09320 over a graph and a view of what its nodes stand for, vectors or codes:
///
/// - `View::element`, `row(slot)`, `row_bytes()`: what is read of a node;
/// - `View::query_type`, `View::D`, `distances(query, rows, count, out)`: how far so many rows are.
///
/// `Graph` is hnsw_graph, or what offers the same to read: entry_point(), max_level(), capacity(level), links(level, slot),
/// degree(level, slot). Holds references only.
///
/// Nodes of `removed` are gone through, and are no results.
template <class View, class Graph = hnsw_graph>
class graph_search {
 public:
  using D = typename View::D;
  using query_type = typename View::query_type;
  using scratch_type = search_scratch<typename View::element, D>;

  graph_search(const View& rows, const Graph& graph, slot_bits removed = {})
      : rows_(rows), graph_(graph), removed_(removed) {}

  /// The first loop of algorithm 5 (K-NN-SEARCH): from the entry point down to `level`, greedily. The graph is not empty.
  template <search_observer Observer>
  std::uint32_t descend(const query_type& query, std::size_t level, scratch_type& scratch,
                        Observer& observer) const {
    std::uint32_t nearest = graph_.entry_point();
    D nearest_distance = rows_.distance(query, nearest);
    observer.on_distances(1);
    for (std::size_t l = graph_.max_level(); l > level; --l) {
      for (std::uint32_t from = hnsw_graph::npos; from != nearest;) {
        from = nearest;
        observer.on_hop(l);
        const link* links = graph_.links(l, from);
        const std::size_t count = graph_.degree(l, from);
        for (std::size_t i = 0; i < count; ++i) scratch.slots[i] = links[i].slot();
        measure(query, count, scratch, observer);
        for (std::size_t i = 0; i < count; ++i) {
          if (scratch.distances[i] < nearest_distance) {
            nearest_distance = scratch.distances[i];
            nearest = scratch.slots[i];
          }
        }
      }
    }
    return nearest;
  }

  /// Puts the first nodes into an empty pool of the given width: the one that a descent has found and the entry point,
  /// from which the graph is kept connected.
  template <search_observer Observer>
  void start(const query_type& query, std::uint32_t slot, std::size_t ef, scratch_type& scratch,
             Observer& observer) const {
    start(query, slot, ef, ef, scratch, observer);
  }
  /// The pool may be widened later, up to `most`.
  template <search_observer Observer>
  void start(const query_type& query, std::uint32_t slot, std::size_t ef, std::size_t most,
             scratch_type& scratch, Observer& observer) const {
    scratch.visited.clear();  // a search that an exception ended has left its marks
    scratch.pool.reset(ef, most);
    if (!removed_.empty()) scratch.pool.make_way(std::max(least_way, 4 * most));
    for (const std::uint32_t first : {slot, graph_.entry_point()}) {
      if (!scratch.visited.insert(first)) continue;
      const D distance = rows_.distance(query, first);
      put(&distance, &first, 1, scratch);
      observer.on_distances(1);
    }
  }

  /// Algorithm 2 (SEARCH-LAYER): expands the nearest unexpanded entry of the pool until none is left. The pool then holds
  /// the ef nearest that were found, sorted; the visited nodes are forgotten.
  template <search_observer Observer>
  void search_layer(const query_type& query, std::size_t level, scratch_type& scratch,
                    Observer& observer) const {
    search_layer(query, level, scratch.pool.capacity(), 0, 0, scratch, observer);
  }
  /// The same, but only entries that are among the `width` nearest are expanded, the others kept as they come; as long as there are fewer
  /// than `least`, all are. It ends when it has measured `budget` or more, unless that is 0.
  template <search_observer Observer>
  void search_layer(const query_type& query, std::size_t level, std::size_t width, std::size_t least,
                    std::size_t budget, scratch_type& scratch, Observer& observer) const {
    std::uint32_t node = 0;
    std::size_t measured = 0, count = 0;
    const std::size_t most = budget == 0 ? std::numeric_limits<std::size_t>::max() : budget;
    while (measured < most && (is_within(width, scratch.pool) || scratch.pool.results() < least)) {
      if (!scratch.pool.pop_unexpanded(node)) break;
      expand(query, level, node, scratch, observer, count);
      measured += count;
    }
    scratch.visited.clear();
    if (!removed_.empty()) scratch.pool.leave_way();
  }

  /// The same on level 0, but that whenever the `width` nearest are all expanded, and k are found, pacer(progress) says how many
  /// are to be next; it ends where that is no more than they were, and where nothing is left. The pool holds twice the
  /// width or more, so that what a step of up to that needs is there, and of what several steps need nearly all. Not of a search that has
  /// removed nodes.
  template <search_observer Observer, class Pacer>
  void search_in_steps(const query_type& query, std::size_t k, std::size_t ef, scratch_type& scratch,
                       Observer& observer, Pacer& pacer) const {
    search_progress<D> progress(scratch.pool);
    const auto capacity = [&](std::size_t w) noexcept {
      return std::clamp(std::max(2 * w, least_in_steps), k, std::max(k, ef));
    };
    std::size_t width = std::min<std::size_t>(pacer.first_width(), ef);
    scratch.pool.widen(capacity(width));
    std::uint32_t node = 0;
    while (true) {
      const std::size_t position = scratch.pool.next_unexpanded();
      if (position >= width && scratch.pool.size() >= k) {
        progress.width = width;
        const std::size_t wider = std::min<std::size_t>(pacer.next_width(std::as_const(progress)), ef);
        if (wider <= width) break;
        width = wider;
        scratch.pool.widen(capacity(width));
        continue;
      }
      if (position == scratch.pool.size()) break;
      scratch.pool.pop_unexpanded(node);
      ++progress.hops;
      std::size_t count = 0;
      if (expand(query, 0, node, scratch, observer, count) < k) progress.improved_at = progress.hops;
      progress.distances += count;
    }
    scratch.visited.clear();
  }

 private:
  /// Measures a node's unvisited neighbours, `count`, and offers them to the pool; returns the first place that one of them took,
  /// or the pool's capacity.
  template <search_observer Observer>
  ALIDADE_FORCE_INLINE std::size_t expand(const query_type& query, std::size_t level, std::uint32_t node,
                                          scratch_type& scratch, Observer& observer,
                                          std::size_t& count) const {
    const std::size_t capacity = graph_.capacity(level);
    observer.on_hop(level);
    count = scratch.visited.insert_all(graph_.links(level, node), capacity, scratch.slots.data());
    simd::prefetch(graph_.links(level, scratch.pool.peek_unexpanded(node)), capacity * sizeof(link));
    measure(query, count, scratch, observer);
    return put(scratch.distances.data(), scratch.slots.data(), count, scratch);
  }

  ALIDADE_FORCE_INLINE std::size_t put(const D* distances, const std::uint32_t* slots, std::size_t count,
                                       scratch_type& scratch) const {
    if (removed_.empty()) return scratch.pool.insert(distances, slots, count);
    scratch.pool.insert_some_on_the_way(distances, slots, count,
                                        [this](std::uint32_t slot) { return !removed_.contains(slot); });
    return scratch.pool.capacity();
  }

  /// Whether the next to be expanded is among the `width` nearest results.
  template <class Pool>
  ALIDADE_FORCE_INLINE bool is_within(std::size_t width, Pool& pool) const {
    const std::size_t next = pool.next_unexpanded();
    return next < width || (!removed_.empty() && pool.results_before(next) < width);
  }

 protected:
  /// scratch.distances[i] = distance to scratch.slots[i], for i < count.
  template <search_observer Observer>
  void measure(const query_type& query, std::size_t count, scratch_type& scratch, Observer& observer) const {
    const std::size_t bytes = rows_.row_bytes();
    // All rows are asked for in one burst before the first is read, so that their misses overlap.
    for (std::size_t i = 0; i < count; ++i) {
      scratch.rows[i] = rows_.row(scratch.slots[i]);
      simd::prefetch(scratch.rows[i], bytes);
    }
    rows_.distances(query, scratch.rows.data(), count, scratch.distances.data());
    observer.on_distances(count);
  }

  /// How many nodes that are no results a search keeps to go on from, at least.
  static constexpr std::size_t least_way = 256;

  View rows_;
  const Graph& graph_;

 private:
  /// A pool of a few would forget so much that after some steps nothing may be left to expand.
  static constexpr std::size_t least_in_steps = 64;

  slot_bits removed_;
};

/// The slots that were removed and to which a graph may still lead.
template <class Vectors, class Graph>
slot_bits removed_in(const Vectors& vectors, const Graph& graph) noexcept {
  return graph.leads_to_removed() ? vectors.removed() : slot_bits();
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
