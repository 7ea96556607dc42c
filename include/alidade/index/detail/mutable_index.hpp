#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/core/random.hpp>
#include <alidade/index/detail/graph_builder.hpp>
#include <alidade/index/detail/graph_index.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/link_journal.hpp>
#include <alidade/index/detail/removed_nodes.hpp>
#include <alidade/index/detail/select_neighbors.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/key_map.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// How an index of a graph changes: what hnsw_index is made of beside its interface. Each change is made whole or not at all.
template <class Vectors, class Codes>
class mutable_index : public graph_index<Vectors, hnsw_graph, Codes> {
  using base = graph_index<Vectors, hnsw_graph, Codes>;
  using T = typename Vectors::input_type;
  using element = typename Vectors::value_type;
  using metric_type = typename Vectors::metric_type;
  using pruning_metric = typename pruning_metric_of<metric_type>::type;

 public:
  using base::size;

  const hnsw_options& options() const noexcept { return options_; }

 protected:
  using base::codes_;
  using base::graph_;
  using base::vectors_;

  mutable_index(Vectors vectors, Codes codes, const hnsw_options& options)
      : base(std::move(vectors), hnsw_graph(options.M, options.memory), std::move(codes), options.memory),
        options_(options),
        removed_(options.memory) {}

  // Copies of a derived object's base are of no use.
  mutable_index(mutable_index&&) noexcept = default;
  mutable_index& operator=(mutable_index&&) noexcept = default;
  ~mutable_index() = default;

  /// Of all that is here, beside itself.
  std::size_t held_bytes() const { return base::held_bytes() + removed_.memory_bytes(); }

  void reserve_rows(std::size_t rows) {
    if (rows > max_index_rows) throw_error(errc::too_many_rows, max_index_rows);
    const std::size_t had = size() + removed_.free();
    if (rows <= had) return;
    transaction change(*this);
    vectors_.reserve(vectors_.slots() + rows - had);
    graph_.reserve(vectors_.slots() + rows - had, 0);
    change.commit();
  }

  void learn_codes(std::size_t threads) {
    transaction change(*this);
    codes_.learn(vectors_, threads);
    change.commit();
  }

  /// Adds all rows or, when one is refused, none, and returns which. Strong guarantee.
  std::size_t add_rows(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options,
                       std::error_code& ec) {
    if (const std::size_t bad = vectors_.check(keys, rows, ec); ec) return bad;
    transaction change(*this);
    const std::size_t result = add_rows(keys, rows, options, change, ec);
    if (!ec) change.commit();
    return result;
  }

  /// Removes the vectors of these keys, as far as there are any, and returns how many.
  std::size_t remove_keys(std::span<const std::uint64_t> keys, std::size_t threads) {
    transaction change(*this);
    const std::size_t count = mark_removed(keys);
    if (count != 0 && size() != 0) {
      leave_entry_point();
      change.sweep(count * removed_nodes::swept_for_each, threads);
    }
    change.commit();
    if (size() == 0) forget_all();
    return count;
  }

  void update_one(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    const matrix_view<T> row(vector.data(), 1, vector.size());
    vectors_.check({&key, 1}, row, ec);
    if (ec) return;
    transaction change(*this);
    if (mark_removed({&key, 1}) == 0) {
      ec = errc::unknown_key;
      return;
    }
    leave_entry_point();
    add_rows({&key, 1}, row, {}, change, ec);
    if (ec) return;
    change.sweep(removed_nodes::swept_for_each, 1);
    change.commit();
  }

  void refine_all(const add_options& options, std::error_code& ec) {
    ec.clear();
    if (size() < 2) return;
    transaction change(*this);
    const std::size_t threads = std::min(resolve_threads(options.threads), size() / 16 + 1);
    const bool is_done = change.build(graph_.size(), threads, [&](auto& builder) {
      if (!builder.refine(options.progress)) return false;
      builder.repair();
      unrepaired_ = 0;
      return true;
    });
    if (is_done) {
      change.commit();
    } else {
      ec = errc::cancelled;
    }
  }

  /// Renumbers all vectors, so that none of what was removed takes room, and connects those that are cut off.
  void compact_all(std::size_t threads) {
    {
      transaction change(*this);
      change.sweep(std::numeric_limits<std::size_t>::max(), threads);
      if (unrepaired_ != 0) {
        change.build(graph_.size(), 1, [&](auto& builder) {
          builder.repair();
          unrepaired_ = 0;
          return true;
        });
      }
      change.commit();
    }
    resource_vector<std::uint32_t> order(options_.memory);
    order.reserve(size());
    for (std::uint32_t slot = 0; slot < graph_.size(); ++slot) {
      if (!vectors_.is_removed(slot)) order.push_back(slot);
    }
    auto new_vectors = vectors_.renumbered(order);
    auto new_codes = codes_.renumbered(order);
    auto new_graph = graph_.renumbered(order);
    vectors_.adopt(std::move(new_vectors));
    codes_.adopt(std::move(new_codes), order.size());
    graph_ = std::move(new_graph);
    removed_ = removed_nodes(options_.memory);
    this->trim();
  }

  /// Leaves out of an order of all slots those to which no link leads any more.
  void leave_out_free(resource_vector<std::uint32_t>& order) const {
    if (removed_.free() == 0) return;
    slot_set free_slots(options_.memory);
    free_slots.reserve(graph_.size());
    for (const std::uint32_t slot : removed_.next_free(removed_.free())) free_slots.insert(slot);
    std::erase_if(order, [&](std::uint32_t slot) { return free_slots.contains(slot); });
  }

  hnsw_options options_;

 private:
  using base::scratches_;

  struct transaction;

  /// floor(-ln(uniform(0, 1]) / ln M): the level distribution of arXiv 1603.09320, section 4.1, with its mL = 1 / ln M.
  std::size_t random_level(std::size_t slot) const noexcept {
    const std::uint64_t bits = mix64(options_.seed ^ mix64(slot)) >> 11;  // 53 of them
    const double uniform = static_cast<double>(bits + 1) * 0x1p-53;
    const double level = -std::log(uniform) / std::log(static_cast<double>(options_.M));
    return static_cast<std::size_t>(std::min(level, 63.0));
  }

  std::size_t add_rows(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options,
                       transaction& change, std::error_code& ec) {
    const std::size_t first = vectors_.slots();
    change.reused = removed_.next_free(rows.rows());
    const std::size_t result = vectors_.add(keys, rows, shuffled(rows.rows()), change.reused, ec);
    if (ec || result == 0) return result;
    const std::size_t threads = std::min(resolve_threads(options.threads), rows.rows() / 16 + 1);
    // Before there are links: what it learns from takes room for a while.
    codes_.extend(vectors_, change.reused, threads);
    std::size_t upper_rows = 0;
    for (std::size_t slot = first; slot < vectors_.slots(); ++slot) upper_rows += random_level(slot);
    graph_.reserve(vectors_.slots(), upper_rows);
    for (std::size_t slot = first; slot < vectors_.slots(); ++slot) graph_.append(random_level(slot));
    resource_vector<std::uint32_t> slots(rows.rows(), options_.memory);
    std::iota(std::copy(change.reused.begin(), change.reused.end(), slots.begin()), slots.end(),
              static_cast<std::uint32_t>(first));
    const bool is_linked = change.build(rows.rows(), threads, [&](auto& builder) {
      if (!builder.add(slots, options.progress)) return false;
      // A repair looks at every node: once for each eighth that is added, it costs a constant number of looks a vector.
      unrepaired_ += slots.size();
      if (unrepaired_ * repair_share >= size()) {
        builder.repair();
        unrepaired_ = 0;
      } else {
        builder.repair(slots);
      }
      return true;
    });
    if (is_linked) return result;
    ec = errc::cancelled;
    return error::no_row;
  }

  std::size_t mark_removed(std::span<const std::uint64_t> keys) {
    vectors_.reserve_removed(vectors_.slots());
    removed_.reserve(std::min(keys.size(), size()));
    std::size_t count = 0;
    for (const std::uint64_t key : keys) {
      const std::uint32_t slot = vectors_.find(key);
      if (slot == key_map::npos) continue;
      vectors_.remove(slot);
      removed_.add(slot);
      ++count;
    }
    return count;
  }

  /// Where the present one was removed: for the highest node that was not.
  void leave_entry_point() noexcept {
    graph_.set_leads_to_removed(true);
    if (!vectors_.is_removed(graph_.entry_point())) return;
    graph_.set_entry_point(size() == 0 ? hnsw_graph::npos : highest_node());
  }

  /// Of no vectors any more, but with all the memory that it has.
  void forget_all() noexcept {
    auto end = graph_.mark_end();
    end.nodes = end.upper_rows = 0;
    end.entry_point = hnsw_graph::npos;
    graph_.truncate(end);
    graph_.set_leads_to_removed(false);
    vectors_.clear();
    codes_.clear();
    removed_.clear();
    unrepaired_ = 0;
  }

  std::uint32_t highest_node() const noexcept {
    std::size_t highest = vectors_.removed().next_absent(0);
    for (std::size_t slot = highest; slot < graph_.size(); ++slot) {
      if (graph_.level(slot) > graph_.level(highest) && !vectors_.is_removed(slot)) highest = slot;
    }
    return static_cast<std::uint32_t>(highest);
  }

  template <class F>
  bool with_builder(link_journal& journal, std::size_t threads, const F& f) {
    const auto run = [&](const auto& pruning) {
      graph_builder<element, metric_type, Codes> builder(vectors_, pruning, codes_, graph_, journal,
                                                         scratches_, options_, threads);
      return f(builder);
    };
    if constexpr (std::is_same_v<pruning_metric, metric_type>) {
      return run(vectors_.view());
    } else {
      const pruning_metric pruning{};
      return run(vectors_.view(pruning));
    }
  }

  /// The order in which the rows of one call are inserted. Whatever order they come in, each batch is then a fair sample
  /// of the call, so that the nodes of the next one, which do not see each other, find neighbours like them.
  resource_vector<std::uint32_t> shuffled(std::size_t count) const {
    resource_vector<std::uint32_t> order(count, options_.memory);
    std::iota(order.begin(), order.end(), 0u);
    for (std::size_t i = count; i > 1; --i) {
      const std::uint64_t other = mix64(options_.seed + mix64(i)) % i;
      std::swap(order[i - 1], order[static_cast<std::size_t>(other)]);
    }
    return order;
  }

  /// A change that, unless it is committed, is undone.
  struct transaction {
    explicit transaction(mutable_index& i)
        : index(i),
          rows_end(i.vectors_.mark_end()),
          unrepaired(i.unrepaired_),
          end(i.graph_.mark_end()),
          removed_end(i.removed_.mark_end()),
          codes_end(i.codes_.mark_end()),
          journal(i.graph_, i.options_.memory) {}
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    ~transaction() {
      if (is_committed) return;
      journal.undo();
      index.graph_.truncate(end);
      for (const std::uint32_t slot : reused) {
        index.graph_.clear_links(slot);
        if (!index.vectors_.is_removed(slot)) index.vectors_.remove(slot);
      }
      index.vectors_.truncate(rows_end);
      index.removed_.undo(removed_end, [this](std::uint32_t slot) { index.vectors_.unremove(slot); });
      index.graph_.set_leads_to_removed(index.removed_.waiting() != 0);
      index.codes_.undo(codes_end);
      index.unrepaired_ = unrepaired;
    }

    /// f(builder), of a builder that notes what it changes; `nodes`: about how many that is.
    template <class F>
    bool build(std::size_t nodes, std::size_t threads, const F& f) {
      journal.begin(nodes, threads);
      return index.with_builder(journal, threads, f);
    }

    /// Leads so many nodes past what was removed.
    void sweep(std::size_t nodes, std::size_t threads) {
      if (index.removed_.waiting() == 0) return;
      const std::size_t some = std::min(nodes, index.graph_.size());
      build(some, std::min(resolve_threads(threads), some / 16 + 1), [&](auto& builder) {
        freed = index.removed_.sweep(
            nodes, index.graph_.size(),
            [&](std::size_t first, std::size_t last) { builder.purge(first, last); },
            [&] {
              builder.repair();
              index.unrepaired_ = 0;
            });
        return true;
      });
    }

    void commit() noexcept {
      is_committed = true;
      index.codes_.commit();
      index.removed_.take(reused.size());
      index.removed_.free_first(freed, [this](std::uint32_t slot) { index.graph_.clear_links(slot); });
      index.graph_.set_leads_to_removed(index.removed_.waiting() != 0);
    }

    mutable_index& index;
    typename Vectors::mark rows_end;
    std::size_t unrepaired;
    hnsw_graph::mark end;
    removed_nodes::mark removed_end;
    [[no_unique_address]] typename Codes::mark codes_end;
    link_journal journal;
    std::span<const std::uint32_t> reused;  // free slots that an addition has taken
    std::size_t freed = 0;                  // how many slots that wait are free then
    bool is_committed = false;
  };

  static constexpr std::size_t repair_share = 8;

  removed_nodes removed_;
  std::size_t unrepaired_ = 0;  // vectors added since the graph's connection was last seen to
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
