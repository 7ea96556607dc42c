#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The metric in which edges are pruned: the index's own, unless it names another.
template <class Metric>
struct pruning_metric_of {
  using type = Metric;
};
template <class Metric>
requires requires { typename Metric::pruning_metric; }
struct pruning_metric_of<Metric> {
  using type = typename Metric::pruning_metric;
};

/// A possible neighbour of a node: its distance to that node as the index ranks, and as edges are pruned.
template <class D, class P>
struct candidate {
  D distance;
  P span;
  std::uint32_t slot;
  edge_rank rank = edge_rank::fill;

  friend bool operator<(const candidate& a, const candidate& b) noexcept {
    return a.distance < b.distance || (!(b.distance < a.distance) && a.slot < b.slot);
  }
};

/// The pruning rule. Walking away from a node, a candidate c is `kept` when no kept neighbour s before it is nearer to c
/// than the node is (the relative neighbourhood rule of arXiv 1603.09320, algorithm 4: then s leads to c), else `spared`
/// when no kept or spared one is so by the factor alpha (DiskANN's RobustPrune); all others can but fill the row. Where
/// room is short, kept edges go before spared ones, and those before fill: kept edges are what connects the graph.
template <class T, class Metric>
class neighbor_selector {
 public:
  using pruning_metric = typename pruning_metric_of<Metric>::type;
  using D = distance_type<Metric, T>;
  using P = distance_type<pruning_metric, T>;
  using candidate_type = candidate<D, P>;

  /// Links to nodes of `removed` keep no other from being kept.
  neighbor_selector(const vector_view<T, Metric>& vectors, const vector_view<T, pruning_metric>& pruning,
                    slot_bits removed, float alpha, bool fill, memory_resource* memory)
      : vectors_(vectors),
        pruning_(pruning),
        removed_(removed),
        alpha_(alpha),
        fill_(fill),
        row_(memory),
        addresses_(memory),
        distances_(memory) {}

  /// Writes a new node's row from candidates sorted nearest first, `capacity` at most, nearest first; the candidates'
  /// ranks are set.
  void select(std::uint32_t node, std::span<candidate_type> candidates, std::size_t capacity, link* row) {
    row_.clear();
    std::size_t kept = 0;
    for (candidate_type& c : candidates) {
      c.span = span_between(node, c);
      c.rank = kept < capacity ? rank_behind(c, row_, [](const candidate_type&, P) {}) : edge_rank::fill;
      kept += static_cast<std::size_t>(c.rank == edge_rank::kept);
      if (c.rank != edge_rank::fill) row_.push_back(c);
    }
    std::size_t room[] = {0, 0, std::min(kept, capacity)};  // by rank
    room[1] = std::min(row_.size() - kept, capacity - room[2]);
    room[0] = capacity - room[1] - room[2];
    std::size_t count = 0;
    for (const candidate_type& c : candidates) {
      std::size_t& left = room[static_cast<std::size_t>(c.rank)];
      if (left == 0 || (c.rank == edge_rank::fill && !fill_)) continue;
      --left;
      row[count++] = link(c.slot, c.rank);
    }
    pad(node, count, capacity, row);
  }

  /// Offers new neighbours, sorted nearest first, to the row of `node`; the row stays sorted. Ranks are updated as the rule
  /// says, except that a neighbour whose occluder goes does not rise again. `on_occluded(by, slot, distance)` hears of each
  /// neighbour that is not kept, or kept no longer, because of `by`.
  template <class OnOccluded>
  void offer(std::uint32_t node, std::span<const candidate_type> offers, std::size_t capacity, link* row,
             const OnOccluded& on_occluded) {
    load_row(node, capacity, row);
    for (candidate_type offered : offers) {
      const auto position = std::lower_bound(row_.begin(), row_.end(), offered);
      if (std::any_of(row_.begin(), row_.end(),
                      [&](const candidate_type& c) { return c.slot == offered.slot; }))
        continue;
      const auto index = static_cast<std::size_t>(position - row_.begin());
      offered.span = span_between(node, offered);
      offered.rank =
          rank_behind(offered, std::span<const candidate_type>(row_).first(index),
                      [&](const candidate_type& by, P between) { on_occluded(by.slot, offered, between); });
      if (offered.rank != edge_rank::fill) {
        demote_behind(offered, index, on_occluded);
      } else if (row_.size() == capacity && index == capacity) {
        continue;
      }
      row_.insert(row_.begin() + static_cast<std::ptrdiff_t>(index), offered);
      if (row_.size() > capacity) shrink(capacity);
    }
    for (std::size_t i = 0; i < row_.size(); ++i) row[i] = link(row_[i].slot, row_[i].rank);
    pad(node, row_.size(), capacity, row);
  }

 private:
  static void pad(std::uint32_t node, std::size_t count, std::size_t capacity, link* row) noexcept {
    std::fill(row + count, row + capacity, link(node, edge_rank::fill));
  }

  P span_between(std::uint32_t node, const candidate_type& c) const noexcept {
    if constexpr (std::is_same_v<pruning_metric, Metric>) {
      return c.distance;
    } else {
      return pruning_.distance(pruning_.row(node), c.slot);
    }
  }

  void load_row(std::uint32_t node, std::size_t capacity, const link* row) {
    row_.clear();
    addresses_.clear();
    for (std::size_t i = 0; i < capacity && row[i].slot() != node; ++i) {
      row_.push_back({D{}, P{}, row[i].slot(), row[i].rank()});
      addresses_.push_back(vectors_.row(row[i].slot()));
    }
    distances_.resize(addresses_.size());
    vectors_.distances(vectors_.row(node), addresses_.data(), addresses_.size(), distances_.data());
    for (std::size_t i = 0; i < row_.size(); ++i) {
      row_[i].distance = distances_[i];
      row_[i].span = span_between(node, row_[i]);
    }
  }

  bool spared(P between, P span) const noexcept {
    return alpha_ * static_cast<float>(between) > static_cast<float>(span);
  }

  /// The rank of c behind those nearer. `on_occluded` hears of the first that keeps it from being kept.
  template <class OnOccluded>
  edge_rank rank_behind(const candidate_type& c, std::span<const candidate_type> nearer,
                        const OnOccluded& on_occluded) const {
    constexpr std::size_t group = 4;
    const candidate_type* others[group];
    const T* addresses[group];
    P between[group];
    edge_rank rank = edge_rank::kept;
    bool is_spared = true;
    for (std::size_t i = 0; i < nearer.size();) {
      std::size_t count = 0;
      for (; i < nearer.size() && count < group; ++i) {
        if (nearer[i].rank == edge_rank::fill || removed_.contains(nearer[i].slot)) continue;
        others[count] = &nearer[i];
        addresses[count++] = pruning_.row(nearer[i].slot);
      }
      pruning_.distances(pruning_.row(c.slot), addresses, count, between);
      for (std::size_t j = 0; j < count; ++j) {
        if (rank == edge_rank::kept && others[j]->rank == edge_rank::kept && between[j] <= c.span) {
          on_occluded(*others[j], between[j]);
          rank = edge_rank::spared;
        }
        is_spared = is_spared && spared(between[j], c.span);
        if (rank != edge_rank::kept && !is_spared) return edge_rank::fill;
      }
    }
    return rank;
  }

  template <class OnOccluded>
  void demote_behind(const candidate_type& offered, std::size_t from, const OnOccluded& on_occluded) {
    for (std::size_t i = from; i < row_.size(); ++i) {
      candidate_type& c = row_[i];
      if (c.rank == edge_rank::fill || c.rank > offered.rank) continue;
      const P between = pruning_.distance(pruning_.row(offered.slot), c.slot);
      if (c.rank == edge_rank::kept && between <= c.span) {
        c.rank = edge_rank::spared;
        if (!removed_.contains(c.slot)) on_occluded(offered.slot, c, between);
      }
      if (c.rank == edge_rank::spared && !spared(between, c.span)) c.rank = edge_rank::fill;
    }
  }

  /// Drops the farthest of the lowest rank; without filling, all that fills.
  void shrink(std::size_t capacity) {
    if (!fill_) {
      std::erase_if(row_, [](const candidate_type& c) { return c.rank == edge_rank::fill; });
      if (row_.size() <= capacity) return;
    }
    auto dropped = row_.end() - 1;
    for (auto c = row_.end() - 1; c != row_.begin();) {
      if ((--c)->rank < dropped->rank) dropped = c;
    }
    row_.erase(dropped);
  }

  vector_view<T, Metric> vectors_;
  vector_view<T, pruning_metric> pruning_;
  slot_bits removed_;
  float alpha_;
  bool fill_;
  resource_vector<candidate_type> row_;
  resource_vector<const T*> addresses_;
  resource_vector<D> distances_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
