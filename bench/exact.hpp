// Exact search of many queries at once, on one thread: ours, a peer's, and the matrix product that such a search is
// made of.
#pragma once

#include "matrix.hpp"
#include "workload.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench {

/// The data outlive it.
struct exact_contestant {
  std::string name;
  std::string arch;  ///< whose kernels it runs
  bool ours = false;
  std::function<void()> run;  ///< all queries against all rows, once
  std::shared_ptr<matrix<std::uint64_t>>
      found;  ///< k row numbers for each query, nearest first; null: only products
};

/// Results of products and distances are written to tiles of this many rows by this many queries at most, as a search
/// would use them: a matrix of all would mostly measure memory.
inline constexpr std::size_t tile_rows = 1024;
inline constexpr std::size_t tile_queries = 4096;

[[nodiscard]] exact_contestant exact_alidade(const workload&, std::size_t k);
/// many_to_many alone.
[[nodiscard]] exact_contestant exact_distances(const workload&);
/// These throw an input_error when the program was built without the peer.
[[nodiscard]] exact_contestant exact_faiss(const workload&, std::size_t k);
[[nodiscard]] exact_contestant exact_sgemm(const workload&);

/// Calls body(first query, queries, first row, rows) for each tile.
template <class Body>
void for_tiles(const workload& data, Body body) {
  for (std::size_t row = 0; row < data.size(); row += tile_rows) {
    for (std::size_t query = 0; query < data.queries.rows; query += tile_queries) {
      body(query, std::min(tile_queries, data.queries.rows - query), row,
           std::min(tile_rows, data.size() - row));
    }
  }
}

}  // namespace bench
