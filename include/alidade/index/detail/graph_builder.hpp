#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/index/detail/graph_repair.hpp>
#include <alidade/index/detail/graph_search.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/link_journal.hpp>
#include <alidade/index/detail/search_scratch.hpp>
#include <alidade/index/detail/select_neighbors.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Inserts nodes into a graph (arXiv 1603.09320, algorithm 1) in batches that grow with what was inserted.
///
/// In a batch every new node searches the graph as it was before the batch and writes its own row, which nobody reads
/// yet; then the reverse edges are grouped by target, and each target's row is changed by one thread, offers in sorted
/// order. No two threads touch the same row, so there are no locks, and nothing depends on the number of threads.
///
/// Nodes whose vectors were removed are gone through, but never linked to; purge() leads past them those that still have links to them.
///
/// Where the vectors have codes, candidates are searched by these and measured by the vectors, unless that shows that the codes are of no use for
/// them; links are chosen by vectors alone.
template <class T, class Metric, class Codes>
class graph_builder {
 public:
  using D = distance_type<Metric, T>;
  using search_type = graph_search<vector_view<T, Metric>>;
  using scratch_type = typename search_type::scratch_type;
  using selector_type = neighbor_selector<T, Metric>;
  using candidate_type = typename selector_type::candidate_type;
  using pruning_metric = typename selector_type::pruning_metric;

  /// All memory comes from options.memory, to which it goes back, but for the scratches. Rows that nodes had before are
  /// noted in the journal, which has `threads` workers, before they change: what throws in between can be undone.
  graph_builder(const vector_set<T, Metric>& set, const vector_view<T, pruning_metric>& pruning,
                const Codes& codes, hnsw_graph& graph, link_journal& journal,
                scratch_pool<scratch_type>& scratches, const hnsw_options& options, std::size_t threads)
      : vectors_(set.view()),
        graph_(graph),
        journal_(journal),
        options_(options),
        removed_(set.removed()),
        search_(vectors_, graph, removed_in(set, graph)),
        threads_(threads),
        workers_(options.memory),
        order_(options.memory),
        is_in_batch_(options.memory) {
    workers_.reserve(threads_);
    for (std::size_t i = 0; i < threads_; ++i) {
      workers_.emplace_back(
          i, scratches, options.memory,
          selector_type(vectors_, pruning, set.removed(), options.alpha, options.fill, options.memory));
      if (codes.are_in_use()) workers_.back().by_codes.emplace(codes.walk(set, graph));
      workers_.back().candidates.reserve(std::min(options.ef_construction, graph.size()));
    }
  }

  using progress_function = std::function<bool(std::size_t done, std::size_t rows)>;

  /// Links these nodes, to which nothing leads yet, and whose rows and levels are there already. False where progress(done, rows) was, if
  /// there is one; then the graph is of no use until the journal has undone it.
  bool add(std::span<const std::uint32_t> slots, const progress_function& progress) {
    is_in_batch_.reserve(graph_.size());
    for (std::size_t linked = 0; linked < slots.size();) {
      const std::size_t last = batch_end(slots, linked);
      const bool goes_on = insert_batch(slots.subspan(linked, last - linked), [&](std::size_t of_batch) {
        return !progress || progress(linked + of_batch, slots.size());
      });
      if (!goes_on) return false;
      linked = last;
    }
    return true;
  }

  /// Links every node on level 0 anew, batch by batch: to the best of what a search from it finds in the graph as it is then and of its present
  /// neighbours. The rest is as of link_from; afterwards repair() is to be called.
  bool refine(const progress_function& progress) {
    const std::size_t nodes = graph_.size(), capacity = graph_.capacity(0);
    resource_vector<link> rows(std::min(nodes, refined_at_once) * capacity, options_.memory);
    for (std::size_t first = 0; first < nodes; first += refined_at_once) {
      const std::size_t last = std::min(nodes, first + refined_at_once);
      const std::size_t partitions = begin_batch(last - first);
      parallel_for(last - first, 16, threads_, [&](std::size_t begin, std::size_t end, std::size_t id) {
        for (std::size_t i = begin; i < end; ++i) {
          if (removed_.contains(first + i)) continue;
          relink(static_cast<std::uint32_t>(first + i), rows.data() + i * capacity, workers_[id]);
        }
      });
      for (std::size_t slot = first; slot < last; ++slot) {
        if (removed_.contains(slot)) continue;
        journal_.save(0, 0, static_cast<std::uint32_t>(slot));
        std::copy_n(rows.data() + (slot - first) * capacity, capacity, graph_.links(0, slot));
      }
      journal_.next_phase();
      link_all_back(partitions);
      if (progress && !progress(last, nodes)) return false;
    }
    return true;
  }

  /// Connects all that is cut off.
  void repair() {
    if (graph_.size() == 0) return;
    repairer().run();
  }

  /// Connects those of these nodes to which none of their neighbours leads.
  void repair(std::span<const std::uint32_t> slots) {
    graph_repair<T, Metric> repair = repairer();
    for (const std::uint32_t slot : slots) repair.attach_if_alone(slot);
  }

  /// Leads nodes [first, last) past all that were removed: a node that has links to such is linked anew, on each of its levels, to the best of
  /// its other neighbours and of what lies behind them (FreshDiskANN, arXiv 2105.09613, algorithm 4). Behind a
  /// removed neighbour that is what it kept or spared; where that makes fewer than a row, all, and what lies behind removed ones among them.
  void purge(std::size_t first, std::size_t last) {
    for (; last - first > refined_at_once; first += refined_at_once) purge_at_once(first, refined_at_once);
    purge_at_once(first, last - first);
  }

 private:
  struct purged_rows {
    explicit purged_rows(memory_resource* memory) noexcept : nodes(memory), links(memory) {}

    resource_vector<std::pair<std::uint32_t, std::uint32_t>> nodes;  // slot, level
    resource_vector<link> links;                                     // of one behind those of the other
  };

  void purge_at_once(std::size_t first, std::size_t count) {
    begin_batch(count);
    resource_vector<purged_rows> rows(threads_, purged_rows(options_.memory), options_.memory);
    parallel_for(count, 16, threads_, [&](std::size_t begin, std::size_t end, std::size_t id) {
      for (std::size_t i = begin; i < end; ++i) {
        const auto slot = static_cast<std::uint32_t>(first + i);
        for (std::size_t level = 0; level <= graph_.level(slot); ++level)
          purge_row(slot, level, rows[id], workers_[id]);
      }
    });
    // Only now, so that nobody has read a row that is new.
    for (const purged_rows& of_worker : rows) {
      const link* row = of_worker.links.data();
      for (const auto& [slot, level] : of_worker.nodes) {
        journal_.save(0, level, slot);
        std::copy_n(row, graph_.capacity(level), graph_.links(level, slot));
        row += graph_.capacity(level);
      }
    }
    journal_.next_phase();
  }

  struct edge {
    std::uint32_t level;
    std::uint32_t target;
    D distance;
    std::uint32_t source;

    friend bool operator<(const edge& a, const edge& b) noexcept {
      return std::tie(a.level, a.target, a.distance, a.source) <
             std::tie(b.level, b.target, b.distance, b.source);
    }
  };

  using edge_list = resource_vector<edge>;
  using partitioned_edges = resource_vector<edge_list>;

  struct worker {
    worker(std::size_t worker_id, scratch_pool<scratch_type>& scratches, memory_resource* memory,
           selector_type s)
        : id(worker_id),
          scratch(scratches),
          selector(std::move(s)),
          candidates(memory),
          behind(memory),
          edges(memory),
          next(memory) {}

    std::size_t id;
    typename scratch_pool<scratch_type>::lease scratch;
    std::optional<typename Codes::walker> by_codes;
    selector_type selector;
    resource_vector<candidate_type> candidates;
    resource_vector<std::uint32_t> behind;  // removed nodes to look behind
    partitioned_edges edges;                // that this worker asks for, by partition of the targets
    partitioned_edges next;                 // for the round after this one
  };

  graph_repair<T, Metric> repairer() {
    return {vectors_, removed_, graph_, journal_, options_, *workers_[0].scratch};
  }

  /// A batch is a quarter of what this call has added before: its nodes do not see each other, so enough of their like,
  /// which may be unlike all that was there before the call, must be linked already. Edges that it asks for take a kilobyte or two a node, so
  /// that it is a twentieth of all at most. It ends behind the first node that rises above the present top level, so that at most one does,
  /// which becomes the entry point.
  std::size_t batch_end(std::span<const std::uint32_t> slots, std::size_t linked) const {
    const std::size_t most = std::max<std::size_t>(graph_.size() / 20, 512);
    const std::size_t last = std::min(slots.size(), linked + std::clamp<std::size_t>(linked / 4, 1, most));
    for (std::size_t i = linked; i < last; ++i) {
      if (graph_.entry_point() == hnsw_graph::npos || graph_.level(slots[i]) > graph_.max_level())
        return i + 1;
    }
    return last;
  }

  /// False as soon as progress(done) is, of so many of the batch.
  template <class Progress>
  bool insert_batch(std::span<const std::uint32_t> slots, const Progress& progress) {
    const std::size_t count = slots.size();
    if (graph_.entry_point() != hnsw_graph::npos) {
      const std::size_t partitions = begin_batch(count);
      find_entries(slots);
      std::atomic<std::size_t> done{0};
      std::atomic<bool> goes_on{true};
      parallel_for(count, 16, threads_, [&](std::size_t begin, std::size_t end, std::size_t id) {
        if (!goes_on.load(std::memory_order_relaxed)) return;
        for (std::size_t i = begin; i < end; ++i) insert(order_[i].second, order_[i].first, workers_[id]);
        // Worker 0 is the thread that called. The last of a batch is told of when its edges are there.
        const std::size_t so_far = done.fetch_add(end - begin, std::memory_order_relaxed) + (end - begin);
        if (id == 0 && so_far < count && !progress(so_far)) goes_on.store(false, std::memory_order_relaxed);
      });
      if (!goes_on.load(std::memory_order_relaxed)) return false;
      for (const std::uint32_t slot : slots) is_in_batch_.insert(slot);
      link_all_back(partitions);
      for (const std::uint32_t slot : slots) is_in_batch_.erase(slot);
    }
    const std::uint32_t newest = slots.back();
    if (graph_.entry_point() == hnsw_graph::npos || graph_.level(newest) > graph_.max_level()) {
      graph_.set_entry_point(newest);
    }
    return progress(count);
  }

  /// Makes room, and says into how many partitions edges of so many nodes go by their targets: a worker has a copy of one.
  std::size_t begin_batch(std::size_t count) {
    const std::size_t partitions = count < 64 ? 1 : 8 * std::max<std::size_t>(threads_, 2);
    for (worker& w : workers_) {
      w.scratch->resize(graph_.size(), vectors_.stride(), graph_.capacity(0));
      w.edges.resize(partitions, edge_list(options_.memory));
      w.next.resize(partitions, edge_list(options_.memory));
    }
    return partitions;
  }

  /// Offers all edges that were asked for to their targets. Nodes in the batch are those that did not see each other.
  void link_all_back(std::size_t partitions) {
    for (int round = 0; round < max_rounds && any_edges(); ++round) {
      parallel_for(partitions, 1, threads_, [&](std::size_t partition, std::size_t, std::size_t id) {
        link_back(partition, workers_[id]);
      });
      journal_.next_phase();
      for (worker& w : workers_) w.edges.swap(w.next);
    }
    for (worker& w : workers_) {
      for (auto& edges : w.edges) edges.clear();
    }
  }

  /// Where each node of the batch enters level 0 or its own top level, and the order in which they are inserted: nodes
  /// that enter near each other one after the other, since they read the same rows. The order changes no result.
  void find_entries(std::span<const std::uint32_t> slots) {
    order_.resize(slots.size());
    parallel_for(slots.size(), 64, threads_, [&](std::size_t begin, std::size_t end, std::size_t id) {
      null_observer none;
      for (std::size_t i = begin; i < end; ++i) {
        const std::uint32_t slot = slots[i];
        order_[i] = {search_.descend(vectors_.row(slot), graph_.level(slot), *workers_[id].scratch, none),
                     slot};
      }
    });
    std::sort(order_.begin(), order_.end());
  }

  void insert(std::uint32_t slot, std::uint32_t entry, worker& w) {
    const T* query = vectors_.row(slot);
    if (w.by_codes) w.by_codes->prepare(query);
    for (std::size_t level = std::min(graph_.level(slot), graph_.max_level()) + 1; level-- > 0;) {
      search(query, entry, level, w);
      entry = w.scratch->pool.slot(0);
      collect_candidates(query, level, w);
      w.selector.select(slot, w.candidates, graph_.capacity(level), graph_.links(level, slot));
      ask_for_edges(slot, level, w);
    }
  }

  /// A new row for a node that has links to removed ones.
  void purge_row(std::uint32_t slot, std::size_t level, purged_rows& out, worker& w) {
    const std::size_t capacity = graph_.capacity(level);
    const auto leads_to_removed = [&](link l) { return l.slot() != slot && removed_.contains(l.slot()); };
    const link* const links = graph_.links(level, slot);
    if (std::none_of(links, links + capacity, leads_to_removed)) return;
    auto& visited = w.scratch->visited;
    visited.clear();
    visited.insert(slot);
    w.candidates.clear();
    w.behind.assign(1, slot);
    std::size_t neighbors = 0;  // of w.behind, those that are the node's own
    for (std::size_t i = 0; i < w.behind.size(); ++i) {
      const bool are_few = w.candidates.size() < capacity;
      if (i > neighbors && !are_few) break;
      const link* const row = graph_.links(level, w.behind[i]);
      for (std::size_t j = 0; j < capacity; ++j) {
        // What only fills the row of a removed neighbour is hardly worth measuring.
        if ((i != 0 && !are_few && row[j].rank() == edge_rank::fill) || !visited.insert(row[j].slot()))
          continue;
        if (!removed_.contains(row[j].slot())) {
          w.candidates.push_back({vectors_.distance(vectors_.row(slot), row[j].slot()), {}, row[j].slot()});
        } else if (w.behind.size() <= most_behind) {
          w.behind.push_back(row[j].slot());
        }
      }
      if (i == 0) neighbors = w.behind.size() - 1;
    }
    visited.clear();
    std::sort(w.candidates.begin(), w.candidates.end());
    const std::size_t end = out.links.size();
    out.links.resize(end + capacity);
    w.selector.select(slot, w.candidates, capacity, out.links.data() + end);
    out.nodes.emplace_back(slot, static_cast<std::uint32_t>(level));
  }

  /// A row for a node that is linked already, and which its own links lead to.
  void relink(std::uint32_t slot, link* row, worker& w) {
    const T* query = vectors_.row(slot);
    if (w.by_codes) w.by_codes->prepare(query);
    search(query, slot, 0, w);
    collect_candidates(query, 0, w);
    const link* links = graph_.links(0, slot);
    for (std::size_t i = 0; i < graph_.degree(0, slot); ++i)
      w.candidates.push_back({vectors_.distance(query, links[i].slot()), {}, links[i].slot()});
    const auto same = [](const candidate_type& a, const candidate_type& b) { return a.slot == b.slot; };
    std::erase_if(w.candidates,
                  [&](const candidate_type& c) { return c.slot == slot || removed_.contains(c.slot); });
    std::sort(w.candidates.begin(), w.candidates.end());
    w.candidates.erase(std::unique(w.candidates.begin(), w.candidates.end(), same), w.candidates.end());
    w.selector.select(slot, w.candidates, graph_.capacity(0), row);
    ask_for_edges(slot, 0, w);
  }

  /// The pool of the worker's scratch then holds the candidates of a node, nearest first.
  void search(const T* query, std::uint32_t entry, std::size_t level, worker& w) {
    null_observer none;
    const std::size_t width = options_.ef_construction;
    if (w.by_codes)
      w.by_codes->search_layer(entry, level, width, 0, width, search_options{}, *w.scratch, none);
    if (!w.by_codes || !w.by_codes->estimates_serve(*w.scratch)) {
      search_.start(query, entry, width, *w.scratch, none);
      search_.search_layer(query, level, *w.scratch, none);
    }
  }

  /// From the candidates that a selection has kept or spared.
  static void ask_for_edges(std::uint32_t slot, std::size_t level, worker& w) {
    for (const candidate_type& c : w.candidates) {
      if (c.rank != edge_rank::fill)
        ask(w.edges, {static_cast<std::uint32_t>(level), c.slot, c.distance, slot});
    }
  }

  /// The pool that a search has left. When it is full of ties, as thousands of equal vectors make it, the search could
  /// not look beyond them; their first one's neighbours lead on, so that no island forms.
  void collect_candidates(const T* query, std::size_t level, worker& w) {
    const auto& pool = w.scratch->pool;
    w.candidates.clear();
    for (std::size_t i = 0; i < pool.size(); ++i)
      w.candidates.push_back({pool.distance(i), {}, pool.slot(i)});
    const D nearest = w.candidates.front().distance, farthest = w.candidates.back().distance;
    if (pool.size() < options_.ef_construction || nearest < farthest) return;
    const std::uint32_t first = w.candidates.front().slot;
    const link* links = graph_.links(level, first);
    for (std::size_t i = 0; i < graph_.degree(level, first); ++i) {
      const D distance = vectors_.distance(query, links[i].slot());
      if (farthest < distance && !removed_.contains(links[i].slot()))
        w.candidates.push_back({distance, {}, links[i].slot()});
    }
    std::sort(w.candidates.begin(), w.candidates.end());
  }

  static void ask(partitioned_edges& edges, const edge& e) { edges[e.target % edges.size()].push_back(e); }

  bool any_edges() const {
    return std::any_of(workers_.begin(), workers_.end(), [](const worker& w) {
      return std::any_of(w.edges.begin(), w.edges.end(), [](const auto& edges) { return !edges.empty(); });
    });
  }

  /// Offers to each target of the partition those who ask for an edge from it. A node of this batch that
  /// occludes another has not seen it, since neither was in the graph that they searched; they are offered to each other in
  /// the next round. Each round's offers are nearer than the last's, so the rounds end; few are needed, and
  /// they are bounded for metrics that are symmetric only up to rounding.
  void link_back(std::size_t partition, worker& w) {
    edge_list edges(options_.memory);
    for (worker& other : workers_) {
      edges.insert(edges.end(), other.edges[partition].begin(), other.edges[partition].end());
      other.edges[partition].clear();
    }
    std::sort(edges.begin(), edges.end());
    for (std::size_t begin = 0; begin < edges.size();) {
      const edge& head = edges[begin];
      w.candidates.clear();
      std::size_t end = begin;
      for (; end < edges.size() && edges[end].target == head.target && edges[end].level == head.level;
           ++end) {
        if (w.candidates.empty() || w.candidates.back().slot != edges[end].source) {
          w.candidates.push_back({edges[end].distance, {}, edges[end].source});
        }
      }
      journal_.save(w.id, head.level, head.target);
      w.selector.offer(head.target, w.candidates, graph_.capacity(head.level),
                       graph_.links(head.level, head.target),
                       [&](std::uint32_t by, const candidate_type& occluded, auto between) {
                         if (!is_in_batch_.contains(by) || !(between < occluded.span)) return;
                         const D distance = vectors_.distance(vectors_.row(by), occluded.slot);
                         ask(w.next, {head.level, by, distance, occluded.slot});
                         if (is_in_batch_.contains(occluded.slot))
                           ask(w.next, {head.level, occluded.slot, distance, by});
                       });
      begin = end;
    }
  }

  static constexpr int max_rounds = 16;
  static constexpr std::size_t refined_at_once = 4096;
  /// Of removed nodes that hang together, how many are looked behind for one that has links to them.
  static constexpr std::size_t most_behind = 1024;

  vector_view<T, Metric> vectors_;
  hnsw_graph& graph_;
  link_journal& journal_;
  const hnsw_options& options_;
  slot_bits removed_;
  search_type search_;
  std::size_t threads_;
  resource_vector<worker> workers_;
  resource_vector<std::pair<std::uint32_t, std::uint32_t>> order_;  // entry, slot
  slot_set is_in_batch_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
