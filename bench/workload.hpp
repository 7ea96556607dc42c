// What is measured on: base vectors, queries, and the exact answers.
#pragma once

#include "kinds.hpp"
#include "matrix.hpp"
#include "readers.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace bench {

/// Where the vectors of a run come from: files, or a generated set.
struct source_options {
  std::string base;
  std::string query;
  std::string truth;
  std::string save_truth;
  std::size_t limit = 0;               ///< first rows of the base only; 0 means all
  std::vector<std::size_t> synthetic;  ///< rows, dimension
  std::size_t synthetic_queries = 1000;
  std::optional<double> spectrum;  ///< of a generated set: by how much its variances fall
  bool unit_norm = false;          ///< likewise: scale its vectors to norm 1
  metric distance = metric::l2;
  element type = element::f32;
};

/// The vectors are always there as floats: exact distances and the peers use these. `*_u8` are filled for element::u8.
struct workload {
  std::string name;
  metric distance = metric::l2;
  element type = element::f32;
  matrix<float> base;
  matrix<float> queries;
  matrix<std::uint8_t> base_u8;
  matrix<std::uint8_t> queries_u8;

  [[nodiscard]] std::size_t size() const { return base.rows; }
  [[nodiscard]] std::size_t dimension() const { return base.columns; }
};

/// Reads or generates base and queries. `with_queries` is false for commands that only build.
[[nodiscard]] workload load_workload(const source_options&, bool with_queries);

/// Squared Euclidean distance, negative dot product, or 1 - cos, in double precision; smaller is nearer.
[[nodiscard]] double exact_distance(metric, std::span<const float>, std::span<const float>);

/// Exact nearest neighbours of every query: read from a file and checked, or computed (and saved when asked).
struct ground_truth {
  std::vector<double> radius;  ///< of each query: exact distance of its k-th true neighbour
};

[[nodiscard]] ground_truth load_truth(const source_options&, const workload&, std::size_t k,
                                      std::size_t threads);

/// Share of the k true neighbours found: a row counts, once, when its exact distance is within the true radius.
/// `ids` holds k row numbers per query; `found[q]` of them are valid.
[[nodiscard]] double recall_of(const workload&, const ground_truth&, const matrix<std::uint64_t>& ids,
                               std::span<const std::size_t> found);

}  // namespace bench
