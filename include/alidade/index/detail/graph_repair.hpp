#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/graph_search.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/link_journal.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Sees to it that level 0 leads from the entry point to every node. Bounded rows cannot promise that by themselves: a
/// hub, or the hundredth of equal vectors, has more nodes that depend on it than links. Costs one traversal, and a search
/// for each node that is cut off; the result depends on nothing but the graph.
template <class T, class Metric>
class graph_repair {
 public:
  using search_type = graph_search<vector_view<T, Metric>>;
  using scratch_type = typename search_type::scratch_type;

  /// `removed`: what need not be led to, and must not be led through.
  graph_repair(const vector_view<T, Metric>& vectors, slot_bits removed, hnsw_graph& graph,
               link_journal& journal, const hnsw_options& options, scratch_type& scratch)
      : vectors_(vectors),
        removed_(removed),
        graph_(graph),
        journal_(journal),
        search_(vectors, graph, graph.leads_to_removed() ? removed : slot_bits()),
        width_(options.ef_construction),
        scratch_(scratch),
        reached_(options.memory),
        queue_(options.memory) {}

  void run() {
    reached_.assign(graph_.size(), 0);
    reach_from(graph_.entry_point());
    for (std::uint32_t slot = 0; slot < graph_.size(); ++slot) {
      if (reached_[slot] != 0 || removed_.contains(slot)) continue;
      attach(slot, nearest_to(slot));
      reach_from(slot);
    }
  }

  /// Attaches a node that none of its own neighbours links to.
  void attach_if_alone(std::uint32_t slot) {
    const link* links = graph_.links(0, slot);
    const std::size_t degree = graph_.degree(0, slot);
    if (degree == 0 || std::any_of(links, links + degree, [&](link l) { return links_to(l.slot(), slot); }))
      return;
    attach(slot, links[0].slot());
  }

 private:
  void reach_from(std::uint32_t start) {
    reached_[start] = 1;
    queue_.assign(1, start);
    while (!queue_.empty()) {
      const link* links = graph_.links(0, queue_.back());
      queue_.pop_back();
      for (std::size_t i = 0; i < graph_.capacity(0); ++i) {
        const std::uint32_t to = links[i].slot();
        if (reached_[to] == 0 && !removed_.contains(to)) {
          reached_[to] = 1;
          queue_.push_back(to);
        }
      }
    }
  }

  /// The nearest node that a search for `slot`, which is cut off, can reach.
  std::uint32_t nearest_to(std::uint32_t slot) {
    null_observer none;
    const T* query = vectors_.row(slot);
    scratch_.resize(graph_.size(), vectors_.stride(), graph_.capacity(0));
    search_.start(query, graph_.entry_point(), width_, scratch_, none);
    search_.search_layer(query, 0, scratch_, none);
    // What it has found by going through removed nodes may be cut off too.
    for (std::size_t i = 0; i < scratch_.pool.size(); ++i) {
      if (reached_[scratch_.pool.slot(i)] != 0) return scratch_.pool.slot(i);
    }
    return graph_.entry_point();
  }

  /// Links `node` to `slot`. Where its row is full, `slot` takes over the least of its links, so that all that was
  /// reached still is; what `slot` itself gives up for that was not reached through it.
  void attach(std::uint32_t slot, std::uint32_t node) {
    const std::size_t place = least_link(node);
    const std::uint32_t taken_over = graph_.links(0, node)[place].slot();
    put(node, place, slot);
    if (taken_over != node && !removed_.contains(taken_over) && !links_to(slot, taken_over))
      put(slot, least_link(slot), taken_over);
  }

  /// The first place of padding, or else the last link of the lowest rank.
  std::size_t least_link(std::uint32_t node) const {
    const std::size_t degree = graph_.degree(0, node);
    if (degree < graph_.capacity(0)) return degree;
    const link* row = graph_.links(0, node);
    std::size_t least = degree - 1;
    for (std::size_t i = degree - 1; i-- > 0;) {
      if (row[i].rank() < row[least].rank()) least = i;
    }
    return least;
  }

  bool links_to(std::uint32_t node, std::uint32_t target) const {
    const link* row = graph_.links(0, node);
    return std::any_of(row, row + graph_.capacity(0), [&](link l) { return l.slot() == target; });
  }

  /// Replaces the link at `place` by a kept one to `slot`, at its place in the order of distances.
  void put(std::uint32_t node, std::size_t place, std::uint32_t slot) {
    journal_.save(0, 0, node);
    link* row = graph_.links(0, node);
    const T* origin = vectors_.row(node);
    const auto distance = vectors_.distance(origin, slot);
    std::size_t last = graph_.degree(0, node);
    if (place < last) std::copy(row + place + 1, row + last--, row + place);
    for (; last > 0 && distance < vectors_.distance(origin, row[last - 1].slot()); --last)
      row[last] = row[last - 1];
    row[last] = link(slot, edge_rank::kept);
  }

  vector_view<T, Metric> vectors_;
  slot_bits removed_;
  hnsw_graph& graph_;
  link_journal& journal_;
  search_type search_;
  std::size_t width_;
  scratch_type& scratch_;
  resource_vector<char> reached_;
  resource_vector<std::uint32_t> queue_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
