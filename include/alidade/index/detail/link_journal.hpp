#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The rows of a graph as they were before an addition changed them, so that one that runs out of memory can be undone.
/// Rows are noted as they change, for each worker apart, and may be noted again in a later phase. Where the addition will
/// change nearly all of them anyway, they are copied as a whole beforehand, which bounds what the journal holds: about as
/// much as the graph.
class link_journal {
 public:
  /// Of the nodes that the graph has now. The graph must outlive it.
  link_journal(hnsw_graph& graph, memory_resource* memory) noexcept
      : graph_(&graph), nodes_(graph.size()), parts_(memory) {}

  /// For so many workers, who are going to add `count` nodes, or change as many. May be called again between two phases.
  void begin(std::size_t count, std::size_t workers) {
    parts_.resize(std::max(workers, parts_.size()), part(parts_.get_allocator().resource()));
    // An added node changes up to as many rows as it has neighbours.
    if (!is_whole_ && count >= nodes_ / graph_->capacity(0)) save_all();
  }

  /// Between two phases no two workers are at work. In one, a row is changed by one worker only.
  void next_phase() noexcept { ++phase_; }

  /// Notes a row that a worker is going to change. Strong guarantee.
  void save(std::size_t worker, std::size_t level, std::uint32_t slot) {
    if (slot >= nodes_ || is_whole_) return;
    append(parts_[worker], level, slot);
  }

  /// Gives all rows the links that they had.
  void undo() noexcept {
    for (std::uint32_t phase = phase_ + 1; phase-- > 0;) {
      for (part& p : parts_) {
        while (!p.entries.empty() && p.entries.back().phase == phase) restore_newest(p);
      }
    }
  }

 private:
  struct entry {
    std::uint32_t slot, level, phase;
  };
  struct part {
    explicit part(memory_resource* memory) noexcept : entries(memory), links(memory) {}

    resource_vector<entry> entries;
    resource_vector<link> links;  // of one entry behind those of the other
  };

  void save_all() {
    std::size_t rows = 0, links = 0;
    for (std::size_t slot = 0; slot < nodes_; ++slot) {
      rows += graph_->level(slot) + 1;
      links += graph_->capacity(0) + graph_->level(slot) * graph_->capacity(1);
    }
    parts_[0].entries.reserve(rows);
    parts_[0].links.reserve(links);
    for (std::size_t slot = 0; slot < nodes_; ++slot) {
      for (std::size_t level = 0; level <= graph_->level(slot); ++level)
        append(parts_[0], level, static_cast<std::uint32_t>(slot));
    }
    is_whole_ = true;
  }

  void append(part& to, std::size_t level, std::uint32_t slot) {
    const link* const row = graph_->links(level, slot);
    to.entries.reserve(room(to.entries, 1));
    to.links.reserve(room(to.links, graph_->capacity(level)));
    to.entries.push_back({slot, static_cast<std::uint32_t>(level), phase_});
    to.links.insert(to.links.end(), row, row + graph_->capacity(level));
  }

  void restore_newest(part& from) noexcept {
    const entry newest = from.entries.back();
    const auto kept = from.links.end() - static_cast<std::ptrdiff_t>(graph_->capacity(newest.level));
    std::copy(kept, from.links.end(), graph_->links(newest.level, newest.slot));
    from.links.erase(kept, from.links.end());
    from.entries.pop_back();
  }

  /// The capacity for so many elements more: for those of one added node, then twice what there is.
  template <class Vector>
  static std::size_t room(const Vector& v, std::size_t more) noexcept {
    const std::size_t size = v.size() + more;
    return size <= v.capacity() ? size : std::max(2 * size, 64 * more);
  }

  hnsw_graph* graph_;
  std::size_t nodes_;
  resource_vector<part> parts_;
  std::uint32_t phase_ = 0;
  bool is_whole_ = false;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
