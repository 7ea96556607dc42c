#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include <alidade/config/namespace.hpp>
#include <alidade/index/search_filter.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// How a graph is built. The names are those of the papers: M and ef_construction of Malkov and Yashunin, Efficient and
/// robust approximate nearest neighbor search using Hierarchical Navigable Small World graphs (arXiv 1603.09320); alpha
/// of Subramanya et al., DiskANN (NeurIPS 2019), there for the pruning rule RobustPrune.
struct hnsw_options {
  /// Out-degree on the upper levels; level 0 has up to 2 M. 2..512. More is better recall, more memory, slower builds.
  std::size_t M = 16;

  /// Width of the search that finds a new point's candidate neighbours. 1..65,535; more makes a better graph, slower.
  std::size_t ef_construction = 200;

  /// A candidate is pruned when alpha times its distance to a neighbour kept before it is at most its distance to the
  /// point itself; distances as the metric gives them, so of l2_squared the squares, as in DiskANN's code. 1..4. At 1 it
  /// is the heuristic of arXiv 1603.09320, algorithm 4; a little more keeps longer edges and saves hops.
  float alpha = 1.1f;

  /// Fill what pruning leaves of a row with the nearest pruned candidates (algorithm 4's keepPrunedConnections). Without
  /// it rows are shorter, and a full row that must shrink is left with what the rule spares.
  bool fill = true;

  /// Decides the levels. The same input, options and seed give the same graph, for any number of threads.
  std::uint64_t seed = 42;

  /// Where all memory of the index comes from, say a memory_pool: vectors, links, keys, and what additions and searches
  /// need meanwhile. Null: operator new. It must outlive the index. Where several threads search or add at once it must be
  /// for several threads, as synchronized_memory_pool is.
  memory_resource* memory = nullptr;
};

/// In which order an index lays its vectors, codes and links out when it is packed.
enum class node_order {
  as_given,  ///< that of the graph, in which they were inserted
  windowed,  ///< next to the nodes that were placed last, the one to which most of them have links: the fastest to search
  breadth_first,  ///< as a breadth-first search over level 0 from the entry point meets them
};

struct pack_options {
  node_order order = node_order::windowed;
};

/// How a packed_index is opened.
struct open_options {
  /// Whether checksums of sections of more than a megabyte, and each number of the vectors, are looked at too. Without it only what
  /// a search could go astray by is: sizes, levels and links. Who changed the rest then gets other answers, and nothing worse.
  bool verify = true;

  /// Where memory of the index comes from; null: operator new. Vectors, codes and links are used where they lie.
  memory_resource* memory = nullptr;
};

struct flat_options {
  memory_resource* memory = nullptr;  ///< as hnsw_options::memory
};

struct add_options {
  std::size_t threads = 1;  ///< 0: all cores. The graph does not depend on it.

  /// Hears from time to time how many of the rows of this call are linked, in the thread that called: rising numbers, the last of which is
  /// all. Where it returns false the call ends soon, with errc::cancelled, and nothing is added. What it throws passes through, likewise.
  std::function<bool(std::size_t done, std::size_t rows)> progress = {};
};

struct search_options {
  std::size_t k = 10;  ///< how many neighbours to find; at least 1

  /// Width of the search: how many of the nearest that were found are all expanded when it ends. Below k it counts as k, but not of a search by
  /// codes. 0: the width that calibrate() has chosen, and its `rerank` and `prefetch`; 64 before that.
  std::size_t ef = 0;

  std::size_t threads = 1;  ///< for a batch of queries; 0: all cores

  /// Of a search by codes, how many of the nearest candidates are measured by their vectors; below k it counts as k. 0: k more than the
  /// larger of ef and k.
  std::size_t rerank = 0;

  /// Of a search by codes, how many candidates ahead their vectors are asked for; 0: 8.
  std::size_t prefetch = 0;

  /// Level 0 is searched no further than the node that makes it so many distances, by codes or vectors; what it has found by then are the
  /// answers, which may be fewer than k. The candidates that are measured by their vectors in the end do not count. 0: as many as it takes.
  std::size_t budget = 0;

  /// Which keys may be answers (search_filter.hpp). Where it allows fewer than k there are all of them, unless budget is what ends the
  /// search; where it is quicker to measure all that are allowed than to search for them, that is done, whatever the budget.
  search_filter filter = {};
};

struct flat_search_options {
  std::size_t k = 10;
  std::size_t threads = 1;
  search_filter filter = {};  ///< which keys may be answers
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
