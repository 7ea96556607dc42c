// The subcommands of alidade_bench. Each returns the exit code of the program.
#pragma once

#include "engine.hpp"
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
};

/// Recall against queries a second, alone or beside peers.
int run(const search_command&);

struct kernels_command {
  metric distance = metric::cosine;
  element type = element::f32;
  std::vector<std::size_t> dimensions{128};
  std::size_t rounds = 15;
};

/// Distance kernels of this build against the same source built as scalar code, and against hnswlib's.
int run(const kernels_command&);

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

}  // namespace bench
