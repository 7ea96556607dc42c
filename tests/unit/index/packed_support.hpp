#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <system_error>
#include <type_traits>
#include <vector>

#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>
#include <alidade/memory/aligned.hpp>

#include "../../index_support.hpp"
#include "../../temporary_path.hpp"

/// What the tests of packed indexes share.
namespace test {

using namespace alidade;

inline constexpr hnsw_options packed_graph_options{.M = 6, .ef_construction = 30};

/// Rows in an index that has got them in several calls.
template <class T, class Metric, class Codec>
struct packed_source : keyed_rows<T> {
  hnsw_index<T, Metric, Codec> index;

  packed_source(std::size_t rows_, std::size_t columns_, std::uint32_t seed = 601,
                const hnsw_options& options = packed_graph_options, const Codec& codec = {})
      : keyed_rows<T>(rows_, columns_, seed), index(columns_, options, {}, codec) {
    for (std::size_t first = 0; first < rows_;) {
      const std::size_t count = std::min(rows_ - first, rows_ / 2 + 1);
      add_rows(index, *this, first, count);
      first += count;
    }
  }
};

template <class Packed>
detail::aligned_bytes packed_copy(const Packed& packed) {
  detail::aligned_bytes copy(packed.image().size());
  std::memcpy(copy.data(), packed.image().data(), copy.size());
  return copy;
}

inline std::span<const std::byte> packed_span(const detail::aligned_bytes& bytes) {
  return {bytes.data(), bytes.size()};
}

template <class Metric = metrics::l2_squared, class Codec = codecs::none>
using packed_floats = packed_source<float, Metric, Codec>;

/// Whether a packed index answers as the one it was made from: all forms of searches, and what they cost.
template <class Index, class Packed, class Source>
bool packed_same(const Index& index, const Packed& packed, const Source& source, bool has_ties = false) {
  using neighbor_type = typename Index::neighbor_type;
  bool same = packed.size() == index.size() && packed.dimension() == index.dimension() &&
              packed.empty() == index.empty();
  const auto all_rows = source.view();
  const matrix_view<typename Index::value_type> queries(
      all_rows.data(), std::min<std::size_t>(all_rows.rows(), 30), all_rows.columns());
  for (const search_options& options : {search_options{.k = 1, .ef = 1}, search_options{.k = 10, .ef = 20},
                                        search_options{.k = 7, .ef = 300}}) {
    std::vector<neighbor_type> out(options.k), expected(options.k);
    for (std::size_t q = 0; q < queries.rows() && !has_ties; q += 2) {
      std::error_code ec;
      counting_observer counts, expected_counts;
      same = same && packed.search(queries[q], options) == index.search(queries[q], options);
      same = same && packed.search(queries[q], options, ec) == index.search(queries[q], options) && !ec;
      same = same && packed.search(queries[q], options, out, ec, counts) ==
                         index.search(queries[q], options, expected, ec, expected_counts);
      same = same && out == expected && counts.hops == expected_counts.hops &&
             counts.distances == expected_counts.distances;
      same = same && packed.search_in_steps(queries[q], options, out, growing_width{}, ec) ==
                         index.search_in_steps(queries[q], options, expected, growing_width{}, ec);
      same = same && out == expected && !ec;
    }
    for (std::size_t q = 0; q < queries.rows(); q += 7) {
      std::error_code ec;
      same = same && packed.search_exact(queries[q], options.k, out, ec) ==
                         index.search_exact(queries[q], options.k, expected, ec);
      same = same && out == expected && !ec;
    }
    for (const std::size_t threads : {1u, 3u}) {
      auto several = options;
      several.threads = threads;
      const auto all = packed.search(queries, several), expected_all = index.search(queries, several);
      same = same && all.size() == expected_all.size();
      for (std::size_t q = 0; q < all.size() && !has_ties && same; ++q)
        same = std::equal(all[q].begin(), all[q].end(), expected_all[q].begin(), expected_all[q].end());
    }
  }
  for (const std::uint64_t key : source.keys) same = same && packed.contains(key);
  for (const std::uint64_t key : {std::uint64_t{3}, std::uint64_t{100'003}, ~std::uint64_t{0}})
    same = same && packed.contains(key) == index.contains(key);
  const graph_stats stats = packed.stats(), expected = index.stats();
  return same && stats.nodes_per_level == expected.nodes_per_level && stats.levels == expected.levels &&
         stats.min_degree == expected.min_degree && stats.max_degree == expected.max_degree &&
         stats.mean_degree == expected.mean_degree && stats.mean_kept_degree == expected.mean_kept_degree;
}

/// Packed, opened and mapped it is the same. Where distances are equal the order of the nodes decides; given that, all is the same.
template <class T, class Metric, class Codec = codecs::none>
void packed_check(std::size_t rows, std::size_t columns, bool has_ties = false) {
  CAPTURE(rows);
  const packed_source<T, Metric, Codec> source(rows, columns);
  for (const node_order order : {node_order::as_given, node_order::windowed, node_order::breadth_first}) {
    const bool differs = has_ties && order != node_order::as_given;
    const auto packed = source.index.pack({.order = order});
    CHECK(packed_same(source.index, packed, source, differs));
    CHECK(packed.options().M == 6);
    CHECK(packed.options().ef_construction == 30);
    if (order == node_order::as_given) CHECK(packed.graph_checksum() == source.index.graph_checksum());
    if (order == node_order::breadth_first) continue;

    const auto bytes = packed_copy(packed);
    using index_type = std::remove_cv_t<decltype(packed)>;
    const auto opened = index_type::open(packed_span(bytes));
    CHECK(packed_same(source.index, opened, source, differs));
    CHECK(opened.image().data() == bytes.data());
    CHECK(opened.graph_checksum() == packed.graph_checksum());
    const auto trusted = index_type::open(packed_span(bytes), {.verify = false});
    CHECK(packed_same(source.index, trusted, source, differs));

    const test::temporary_path path;
    opened.save(path.name());
    const auto mapped = index_type::map(path.name());
    CHECK(packed_same(source.index, mapped, source, differs));
    CHECK(mapped.image().size() == packed.image().size());
    CHECK(std::memcmp(mapped.image().data(), packed.image().data(), packed.image().size()) == 0);
  }
}

}  // namespace test
