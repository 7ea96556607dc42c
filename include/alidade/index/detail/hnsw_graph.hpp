#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/row_storage.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What an edge is in its row, by the pruning rule (select_neighbors.hpp); the higher, the longer it stays.
enum class edge_rank : std::uint32_t { fill, spared, kept };

/// An edge as a row stores it: the neighbour's slot and the edge's rank.
class link {
 public:
  constexpr link() noexcept = default;
  constexpr link(std::uint32_t slot, edge_rank rank) noexcept
      : bits_(slot | static_cast<std::uint32_t>(rank) << slot_bits) {}

  constexpr std::uint32_t slot() const noexcept { return bits_ & slot_mask; }
  constexpr edge_rank rank() const noexcept { return static_cast<edge_rank>(bits_ >> slot_bits); }
  constexpr std::uint32_t bits() const noexcept { return bits_; }

  static constexpr unsigned slot_bits = 30;

 private:
  static constexpr std::uint32_t slot_mask = (std::uint32_t{1} << slot_bits) - 1;
  std::uint32_t bits_ = 0;
};
static_assert(sizeof(link) == 4);

/// How many neighbours a node has: its row but for the links to itself at the end.
template <class Graph>
std::size_t degree_in(const Graph& graph, std::size_t level, std::size_t slot) noexcept {
  const link* const row = graph.links(level, slot);
  std::size_t count = graph.capacity(level);
  while (count > 0 && row[count - 1].slot() == slot) --count;
  return count;
}

template <class Graph>
std::uint64_t checksum_of(const Graph& graph) noexcept {
  std::uint64_t hash = mix64(graph.capacity(1)) ^ graph.entry_point();
  for (std::size_t slot = 0; slot < graph.size(); ++slot) {
    for (std::size_t l = 0; l <= graph.level(slot); ++l) {
      const link* const row = graph.links(l, slot);
      for (std::size_t i = 0; i < graph.capacity(l); ++i) hash = mix64(hash ^ row[i].bits());
    }
  }
  return hash;
}

/// The links of all nodes.
///
///     level 0:        one row of 2 M links a node, its slot the row's number
///     levels 1..l:    l consecutive rows of M links, from the node's first_upper_row on
///
/// A row holds its neighbours nearest first. A row that is not full is padded with links to its own node: a search has
/// always visited that one already, so the hot loop needs no degree.
class hnsw_graph {
 public:
  static constexpr std::uint32_t npos = 0xffffffffu;

  explicit hnsw_graph(std::size_t M, memory_resource* memory = nullptr)
      : M_(M), base_(2 * M, memory), upper_(M, memory), levels_(memory), first_upper_row_(memory) {}

  std::size_t size() const noexcept { return levels_.size(); }
  std::size_t capacity(std::size_t level) const noexcept { return level == 0 ? 2 * M_ : M_; }
  std::size_t level(std::size_t slot) const noexcept { return levels_[slot]; }
  std::uint32_t entry_point() const noexcept { return entry_point_; }
  std::size_t max_level() const noexcept { return entry_point_ == npos ? 0 : level(entry_point_); }

  link* links(std::size_t level, std::size_t slot) noexcept {
    return level == 0 ? base_[slot] : upper_[first_upper_row_[slot] + level - 1];
  }
  const link* links(std::size_t level, std::size_t slot) const noexcept {
    return level == 0 ? base_[slot] : upper_[first_upper_row_[slot] + level - 1];
  }

  std::size_t degree(std::size_t level, std::size_t slot) const noexcept {
    return degree_in(*this, level, slot);
  }

  /// Whether links may lead to nodes whose vectors were removed.
  bool leads_to_removed() const noexcept { return leads_to_removed_; }
  void set_leads_to_removed(bool leads) noexcept { leads_to_removed_ = leads; }

  /// Room for nodes with these levels, appended to those there are. Strong guarantee.
  void reserve(std::size_t nodes, std::size_t upper_rows) {
    if (nodes > first_upper_row_.capacity()) {  // the last to be reserved: if it has room, so has the other
      const std::size_t room = std::max(nodes, size() + size() / 2);
      levels_.reserve(room);
      first_upper_row_.reserve(room);
    }
    base_.reserve(nodes);
    upper_.reserve(upper_rows_ + upper_rows);
  }

  /// Appends a node without neighbours; reserve() has made room for it.
  void append(std::size_t level) noexcept {
    const std::size_t slot = size();
    ALIDADE_ASSERT(slot < first_upper_row_.capacity());
    levels_.push_back(static_cast<std::uint8_t>(level));
    first_upper_row_.push_back(static_cast<std::uint32_t>(upper_rows_));
    upper_rows_ += level;
    clear_links(slot);
  }

  /// Leaves a node without neighbours.
  void clear_links(std::size_t slot) noexcept {
    for (std::size_t l = 0; l <= level(slot); ++l) {
      std::fill_n(links(l, slot), capacity(l), link(static_cast<std::uint32_t>(slot), edge_rank::fill));
    }
  }

  /// The graph of some of the nodes, which have links to no others: its node i is order[i] of this one.
  hnsw_graph renumbered(std::span<const std::uint32_t> order) const {
    hnsw_graph result(M_, base_.resource());
    resource_vector<std::uint32_t> place(size(), base_.resource());
    std::size_t upper_rows = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      place[order[i]] = static_cast<std::uint32_t>(i);
      upper_rows += level(order[i]);
    }
    result.reserve(order.size(), upper_rows);
    for (std::size_t i = 0; i < order.size(); ++i) {
      result.append(level(order[i]));
      for (std::size_t l = 0; l <= level(order[i]); ++l) {
        const link* const row = links(l, order[i]);
        std::transform(row, row + capacity(l), result.links(l, i),
                       [&](link to) { return link(place[to.slot()], to.rank()); });
      }
    }
    if (!order.empty()) result.set_entry_point(place[entry_point_]);
    return result;
  }

  /// Where the graph ends, and where it is entered.
  struct mark {
    std::size_t nodes, upper_rows, base_capacity, upper_capacity;
    std::uint32_t entry_point;
  };
  mark mark_end() const noexcept {
    return {size(), upper_rows_, base_.capacity(), upper_.capacity(), entry_point_};
  }

  /// Forgets the nodes that were appended since, to which no other may have a link, and gives back the room for rows that
  /// was made since.
  void truncate(const mark& before) noexcept {
    levels_.resize(before.nodes);
    first_upper_row_.resize(before.nodes);
    upper_rows_ = before.upper_rows;
    entry_point_ = before.entry_point;
    base_.shrink(before.base_capacity);
    upper_.shrink(before.upper_capacity);
  }

  void set_entry_point(std::uint32_t slot) noexcept { entry_point_ = slot; }

  /// A hash of all levels, links and the entry point; equal graphs have equal checksums on every platform.
  std::uint64_t checksum() const noexcept { return checksum_of(*this); }

  std::size_t memory_bytes() const noexcept {
    return base_.memory_bytes() + upper_.memory_bytes() + levels_.capacity() * sizeof(std::uint8_t) +
           first_upper_row_.capacity() * sizeof(std::uint32_t);
  }

 private:
  std::size_t M_;
  row_storage<link> base_;
  row_storage<link> upper_;
  resource_vector<std::uint8_t> levels_;
  resource_vector<std::uint32_t> first_upper_row_;
  std::size_t upper_rows_ = 0;
  std::uint32_t entry_point_ = npos;
  bool leads_to_removed_ = false;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
