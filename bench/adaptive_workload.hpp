// The queries of `adaptive`: easy, ordinary and hard ones, in a mix that changes; and what searches of fixed width find.
#pragma once

#include "matrix.hpp"
#include "workload.hpp"

#include <alidade/index/hnsw_index.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace bench {

using adaptive_index = alidade::hnsw_index<float>;

inline constexpr std::size_t adaptive_k = 10;

/// Queries of three kinds, one kind behind the other, with their truth.
struct query_pool {
  static constexpr std::size_t kinds = 3;
  static constexpr std::size_t wanted = 9000;

  matrix<float> queries;
  std::array<std::size_t, kinds + 1> first{};  ///< of each kind; then the end
  std::vector<float> radius;                   ///< of each query: distance of its k-th true neighbour

  /// How many of the answers are no farther than that. Of equal vectors different kernels may differ in the last bits.
  [[nodiscard]] std::uint8_t hits(std::size_t query,
                                  std::span<const adaptive_index::neighbor_type> found) const;
};

/// Easy ones: a base vector with normal noise, a tenth of the components' standard deviation, on its components that are not 0.
/// Ordinary ones: the given queries, a third of the pool at most. Hard ones: midpoints of a given query and a base vector.
[[nodiscard]] query_pool make_pool(const workload&, std::size_t threads);

/// A stretch of the workload with one mix.
struct query_phase {
  std::size_t begin, end;  ///< queries of the workload
  std::size_t mix;         ///< of query_stream::mixes
};

/// Queries drawn from the pool, and the memory pressure at each.
struct query_stream {
  static constexpr std::size_t phase_length = 5000;
  static constexpr std::array<std::array<std::uint32_t, query_pool::kinds>, 4> mixes{
      {{6, 3, 1}, {1, 1, 1}, {8, 1, 1}, {2, 2, 4}}};

  std::vector<std::uint32_t> drawn;  ///< of the pool
  std::vector<float> pressure;
  std::vector<query_phase> phases;  ///< one also ends where learning does
};

[[nodiscard]] query_stream make_stream(const query_pool&, std::size_t learning, std::size_t measured,
                                       std::uint64_t seed);
[[nodiscard]] std::string name_of_mix(std::size_t mix);

/// What a search of one width finds for each query of the pool. Neither depends on the machine.
struct fixed_answers {
  std::vector<std::uint8_t> hits;
  std::vector<std::uint32_t> distances;
};

/// Answers by width, searched for when they are asked for.
class fixed_widths {
 public:
  fixed_widths(const adaptive_index& index, const query_pool& pool, std::size_t max_ef, std::size_t threads)
      : index_(index), pool_(pool), max_ef_(max_ef), threads_(threads) {}

  const fixed_answers& operator[](std::size_t ef);

  [[nodiscard]] double recall(std::size_t ef, std::span<const std::uint32_t> drawn);

  /// The smallest width that reaches the recall in each of the parts; 0 where none does. Steps of a tenth, then of one.
  [[nodiscard]] std::size_t smallest(double recall, std::span<const std::span<const std::uint32_t>> parts);

  /// A tenth more or less, and at least one.
  [[nodiscard]] static std::size_t next(std::size_t ef) {
    return ef + std::max<std::size_t>((ef + 5) / 10, 1);
  }
  [[nodiscard]] static std::size_t previous(std::size_t ef) { return ef - std::max<std::size_t>(ef / 11, 1); }

 private:
  const adaptive_index& index_;
  const query_pool& pool_;
  std::size_t max_ef_, threads_;
  std::map<std::size_t, fixed_answers> known_;
};

}  // namespace bench
