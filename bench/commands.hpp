// The subcommands of alidade_bench. Each returns the exit code of the program.
#pragma once

#include "caches.hpp"
#include "engine.hpp"
#include "kernel_sweep.hpp"
#include "rank_test.hpp"
#include "sweep.hpp"
#include "workload.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct search_command {
  source_options source;
  index_kind index = index_kind::hnsw;
  graph_options graph;
  sweep_options sweep;
  std::vector<std::string> peers;
  std::string json;  ///< file for the JSON lines, or empty
  std::string plot;  ///< file for the drawing, or empty
};

/// Recall against queries a second, alone or beside peers.
int run(const search_command&);

struct machine_command {
  std::size_t rounds = 25;
  std::string svg;   ///< file for the drawing, or empty
  std::string json;  ///< file for the JSON lines, or empty
};

/// What this machine could do: caches, load bandwidths, arithmetic peaks; and how near to it our kernels come.
int run(const machine_command&);

struct kernels_command {
  std::vector<metric> distances{metric::l2, metric::ip, metric::cosine};
  std::vector<element> types{element::f32};
  std::vector<std::size_t> dimensions{32, 96, 100, 128, 300, 384, 768, 784, 1024, 1536};
  std::vector<memory_level> levels{memory_level::l1};
  form how = form::pair;
  std::vector<std::string> peers;  ///< empty: all there are
  std::size_t rounds = 25;
  std::string json;
};

/// Distance kernels of this build against the same source built as scalar code, the compiler's -O3, and peers.
int run(const kernels_command&);

struct compare_command {
  std::string first;
  std::string second;
  double at_least = 0;      ///< fails where the first is slower than this share of the second
  bool all = false;         ///< the peers' kernels and scalar code too
  bool regression = false;  ///< instead: fails where the second is slower, by the rounds of both
  judging by;
};

/// The kernels of two JSON files, of two builds say, side by side.
int run(const compare_command&);

struct exact_command {
  source_options source;
  std::size_t rows = 100000;    ///< generated, when the source names none
  std::size_t dimension = 128;  ///< likewise
  std::size_t k = 10;
  std::vector<std::string> peers;
  std::size_t rounds = 5;
  std::string json;
};

/// Exact search of a batch, beside Faiss and beside the matrix product alone; fails when neighbours are wrong.
int run(exact_command);

struct memory_command {
  source_options source;
  graph_options graph;
  std::size_t build_threads = 1;
};

/// Bytes per vector, as the index says and as operator new counts them.
int run(const memory_command&);

struct determinism_command {
  source_options source;
  graph_options graph;
  std::vector<std::size_t> threads{1, 2, 3, 8};
};

/// The checksum of the graph for several numbers of threads and for two runs; fails when they differ.
int run(const determinism_command&);

struct turnover_command {
  source_options source;
  graph_options graph;
  std::vector<std::size_t> efs{20, 40, 80};
  std::size_t turns = 10;
  std::size_t build_threads = 1;
};

/// Every vector removed and added again, in random order, again and again: recall, time and memory; fails when recall falls.
int run(const turnover_command&);

struct filter_command {
  source_options source;
  graph_options graph;
  std::size_t ef = 64;
  std::size_t queries = 50;
  std::size_t rounds = 5;
  std::size_t build_threads = 1;
};

/// Searches of what a filter allows, at random, near the query and far from it; fails where recall is below 0.95.
int run(const filter_command&);

}  // namespace bench
