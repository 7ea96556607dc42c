#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>

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

/// The slots of a graph in a new order: the i-th is to be slot i. Depends on the graph alone.
template <class Graph>
resource_vector<std::uint32_t> order_of(const Graph& graph, node_order order, memory_resource* memory) {
  if (order == node_order::breadth_first) return breadth_first_order(graph, memory);
  resource_vector<std::uint32_t> slots(graph.size(), memory);
  std::iota(slots.begin(), slots.end(), 0u);
  return slots;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
