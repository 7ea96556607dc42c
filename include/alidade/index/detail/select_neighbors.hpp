#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/vector_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A possible neighbour of a node, with its distance to that node.
template <class D>
struct candidate {
  D distance;
  std::uint32_t slot;
  bool kept = false;

  friend bool operator<(const candidate& a, const candidate& b) noexcept {
    return a.distance < b.distance || (!(b.distance < a.distance) && a.slot < b.slot);
  }
};

/// The pruning rule: arXiv 1603.09320's algorithm 4 (SELECT-NEIGHBORS-HEURISTIC) with the distance ratio alpha of
/// DiskANN's RobustPrune. Walking away from a node, a candidate c is kept when no neighbour s kept before it has
/// alpha * d(s, c) <= d(node, c): then s would lead to c.
template <class T, class Metric>
class neighbor_selector {
 public:
  using D = distance_type<Metric, T>;
  using candidate_type = candidate<D>;

  neighbor_selector(const vector_set<T, Metric>& vectors, float alpha, bool fill)
      : vectors_(vectors), alpha_(alpha), fill_(fill) {}

  /// Writes a new node's row: from candidates sorted nearest first, those the rule keeps and then, when filling, the
  /// nearest of the others, `capacity` in all, nearest first. Returns how many.
  std::size_t select(std::span<candidate_type> candidates, std::size_t capacity, link* row) {
    kept_.clear();
    for (candidate_type& c : candidates) {
      c.kept = kept_.size() < capacity && !occluded(c, kept_);
      if (c.kept) kept_.push_back(c);
    }
    std::size_t room_for_fill = fill_ ? capacity - kept_.size() : 0;
    std::size_t count = 0;
    for (const candidate_type& c : candidates) {
      if (!c.kept) {
        if (room_for_fill == 0) continue;
        --room_for_fill;
      }
      row[count++] = link(c.slot, c.kept);
    }
    return count;
  }

  /// Offers new neighbours, sorted nearest first, to the row of `node`; the row stays sorted. An offer that no kept
  /// neighbour occludes is kept, and those behind it that it occludes are kept no longer; where the row overflows, the
  /// farthest neighbours that are not kept go first. This is what the rule gives for all of them together, but for
  /// candidates that an occluder's own removal would have cleared, at a twentieth of its distances.
  void offer(std::uint32_t node, std::span<const candidate_type> offers, std::size_t capacity, link* row) {
    load_row(node, capacity, row);
    for (candidate_type offered : offers) {
      const auto position = std::lower_bound(row_.begin(), row_.end(), offered);
      const auto index = static_cast<std::size_t>(position - row_.begin());
      offered.kept = !occluded(offered, std::span(row_).first(index));
      if (!offered.kept && (!fill_ || (row_.size() >= capacity && index == row_.size()))) continue;
      if (offered.kept) demote_behind(offered, index);
      row_.insert(row_.begin() + static_cast<std::ptrdiff_t>(index), offered);
      if (!fill_) std::erase_if(row_, [](const candidate_type& c) { return !c.kept; });
      if (row_.size() > capacity) drop_one();
    }
    for (std::size_t i = 0; i < capacity; ++i) {
      row[i] = i < row_.size() ? link(row_[i].slot, row_[i].kept) : link(node, false);
    }
  }

 private:
  void load_row(std::uint32_t node, std::size_t capacity, const link* row) {
    row_.clear();
    addresses_.clear();
    for (std::size_t i = 0; i < capacity && row[i].slot() != node; ++i) {
      row_.push_back({D{}, row[i].slot(), row[i].kept()});
      addresses_.push_back(vectors_.row(row[i].slot()));
    }
    distances_.resize(addresses_.size());
    vectors_.distances(vectors_.row(node), addresses_.data(), addresses_.size(), distances_.data());
    for (std::size_t i = 0; i < row_.size(); ++i) row_[i].distance = distances_[i];
  }

  bool occludes(D between, D to_node) const noexcept {
    return alpha_ * static_cast<float>(between) <= static_cast<float>(to_node);
  }

  /// Whether a kept one of `nearer` occludes c.
  bool occluded(const candidate_type& c, std::span<const candidate_type> nearer) const {
    constexpr std::size_t group = 4;
    const T* addresses[group];
    D between[group];
    for (std::size_t i = 0; i < nearer.size();) {
      std::size_t count = 0;
      for (; i < nearer.size() && count < group; ++i) {
        if (nearer[i].kept) addresses[count++] = vectors_.row(nearer[i].slot);
      }
      vectors_.distances(vectors_.row(c.slot), addresses, count, between);
      for (std::size_t j = 0; j < count; ++j) {
        if (occludes(between[j], c.distance)) return true;
      }
    }
    return false;
  }

  void demote_behind(const candidate_type& offered, std::size_t from) {
    for (std::size_t i = from; i < row_.size(); ++i) {
      if (row_[i].kept && occludes(vectors_.distance(vectors_.row(offered.slot), row_[i].slot), row_[i].distance)) {
        row_[i].kept = false;
      }
    }
  }

  void drop_one() {
    const auto last_fill =
        std::find_if(row_.rbegin(), row_.rend(), [](const candidate_type& c) { return !c.kept; });
    row_.erase(last_fill == row_.rend() ? row_.end() - 1 : last_fill.base() - 1);
  }

  const vector_set<T, Metric>& vectors_;
  float alpha_;
  bool fill_;
  std::vector<candidate_type> kept_;
  std::vector<candidate_type> row_;
  std::vector<const T*> addresses_;
  std::vector<D> distances_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
