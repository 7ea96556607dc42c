#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The nodes in the order in which a breadth-first search of level 0 meets them, from the entry point and then from whatever node it
/// has not reached, in rising order of slots.
template <class Graph>
resource_vector<std::uint32_t> breadth_first_order(const Graph& graph, memory_resource* memory) {
  const std::size_t n = graph.size();
  resource_vector<std::uint32_t> order(memory);
  order.reserve(n);
  resource_vector<std::uint8_t> met(n, 0, memory);
  const auto meet = [&](std::uint32_t slot) {
    if (met[slot] != 0) return;
    met[slot] = 1;
    order.push_back(slot);
  };
  if (n != 0) meet(graph.entry_point());
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (i == order.size()) {
      while (met[next] != 0) ++next;
      meet(next);
    }
    const auto* const links = graph.links(0, order[i]);
    for (std::size_t j = 0; j < graph.capacity(0); ++j) meet(links[j].slot());
  }
  return order;
}

/// Node by node that one next to which most of the last five placed have links, of equals the nearest to the latest. Where they have none
/// to nodes that are not placed yet, the neighbour of the earliest that has one; where none has, the lowest slot. This is the greedy algorithm
/// of Wei, Yu, Lu and Lin, Speedup graph processing by graph ordering (Gorder, SIGMOD 2016), with its score of links and not that of common
/// neighbours. From the entry point on; in time linear in the links.
template <class Graph>
class windowed_order {
 public:
  windowed_order(const Graph& graph, memory_resource* memory)
      : graph_(graph), order_(memory), is_placed_(graph.size(), 0, memory), score_(graph.size(), 0, memory) {}

  resource_vector<std::uint32_t> run() {
    const std::size_t n = graph_.size();
    order_.reserve(n);
    if (n != 0) place(graph_.entry_point());
    while (order_.size() < n) place(next());
    return std::move(order_);
  }

 private:
  static constexpr std::size_t window = 5;

  void place(std::uint32_t slot) {
    is_placed_[slot] = 1;
    order_.push_back(slot);
    add_to_neighbors(slot, 1);
    if (order_.size() > window) add_to_neighbors(order_[order_.size() - 1 - window], -1);
  }

  void add_to_neighbors(std::uint32_t slot, int more) noexcept {
    const auto* const links = graph_.links(0, slot);
    for (std::size_t i = 0; i < graph_.capacity(0); ++i) score_[links[i].slot()] += more;
  }

  std::uint32_t next() noexcept {
    std::uint32_t best = 0;
    std::int32_t most = 0;
    const std::size_t last = order_.size(), first = last - std::min(last, window);
    for (std::size_t i = last; i > first; --i) {
      const auto* const links = graph_.links(0, order_[i - 1]);
      for (std::size_t j = 0; j < graph_.capacity(0); ++j) {
        const std::uint32_t slot = links[j].slot();
        if (score_[slot] <= most || is_placed_[slot] != 0) continue;
        most = score_[slot];
        best = slot;
      }
    }
    return most > 0 ? best : next_beside();
  }

  std::uint32_t next_beside() noexcept {
    for (; earliest_ < order_.size(); ++earliest_) {
      const auto* const links = graph_.links(0, order_[earliest_]);
      for (std::size_t j = 0; j < graph_.capacity(0); ++j) {
        if (is_placed_[links[j].slot()] == 0) return links[j].slot();
      }
    }
    while (is_placed_[lowest_] != 0) ++lowest_;
    return lowest_;
  }

  const Graph& graph_;
  resource_vector<std::uint32_t> order_;
  resource_vector<std::uint8_t> is_placed_;
  resource_vector<std::int32_t> score_;  ///< links to a node from the last ones placed
  std::size_t earliest_ = 0;             ///< no node placed before it has a neighbour that is not placed
  std::uint32_t lowest_ = 0;
};

/// The slots of a graph in a new order: the i-th is to be slot i. Depends on the graph alone.
template <class Graph>
resource_vector<std::uint32_t> order_of(const Graph& graph, node_order order, memory_resource* memory) {
  if (order == node_order::windowed) return windowed_order<Graph>(graph, memory).run();
  if (order == node_order::breadth_first) return breadth_first_order(graph, memory);
  resource_vector<std::uint32_t> slots(graph.size(), memory);
  std::iota(slots.begin(), slots.end(), 0u);
  return slots;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
