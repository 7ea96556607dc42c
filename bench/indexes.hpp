// From run-time choices (metric, element type, kind of index) to the types of the library.
#pragma once

#include "engine.hpp"
#include "failure.hpp"
#include "workload.hpp"

#include <alidade/alidade.hpp>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <vector>

namespace bench {

template <class T>
struct elements;

template <>
struct elements<float> {
  static const matrix<float>& base(const workload& data) { return data.base; }
  static const matrix<float>& queries(const workload& data) { return data.queries; }
};

template <>
struct elements<std::uint8_t> {
  static const matrix<std::uint8_t>& base(const workload& data) { return data.base_u8; }
  static const matrix<std::uint8_t>& queries(const workload& data) { return data.queries_u8; }
};

template <class Index>
inline constexpr bool is_graph = requires(const Index& index) {
  index.graph_checksum();
};

template <class Index>
inline constexpr bool is_coded = false;
template <class T, class Metric>
inline constexpr bool is_coded<alidade::hnsw_index<T, Metric, alidade::codecs::pca4>> = true;

template <class Index>
Index make_index(std::size_t dimension, const graph_options& graph) {
  if constexpr (is_graph<Index>) {
    const alidade::hnsw_options options{.M = graph.M,
                                        .ef_construction = graph.ef_construction,
                                        .alpha = static_cast<float>(graph.alpha),
                                        .fill = graph.fill,
                                        .seed = graph.seed};
    if constexpr (is_coded<Index>) {
      return Index(dimension, options, {}, {.code_bytes = graph.code_bytes});
    } else {
      return Index(dimension, options);
    }
  } else {
    return Index(dimension);
  }
}

/// Adds all rows; their numbers are the keys.
template <class T, class Index>
void add_rows(Index& index, const matrix<T>& rows, std::size_t threads) {
  std::vector<std::uint64_t> keys(rows.rows);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  const alidade::matrix_view<T> view(rows.values.data(), rows.rows, rows.columns);
  if constexpr (is_graph<Index>) {
    index.add(keys, view, {.threads = threads});
  } else {
    index.add(keys, view);
  }
}

/// Calls body.operator()<T, Metric>() with the types that were asked for.
template <class Body>
auto with_metric_type(element type, metric distance, const Body& body) {
  if (type == element::u8) {
    if (distance == metric::l2) return body.template operator()<std::uint8_t, alidade::metrics::l2_squared>();
    if (distance == metric::ip)
      return body.template operator()<std::uint8_t, alidade::metrics::inner_product>();
    throw input_error("--type u8 has the metrics l2 and ip");
  }
  if (distance == metric::l2) return body.template operator()<float, alidade::metrics::l2_squared>();
  if (distance == metric::ip) return body.template operator()<float, alidade::metrics::inner_product>();
  return body.template operator()<float, alidade::metrics::cosine>();
}

/// Calls body.operator()<T, Index>() likewise.
template <class Body>
auto with_index_type(element type, metric distance, index_kind kind, codec_kind codec, const Body& body) {
  return with_metric_type(type, distance, [&]<class T, class Metric>() {
    switch (kind) {
      case index_kind::flat:
        return body.template operator()<T, alidade::flat_index<T, Metric>>();
      case index_kind::hnsw:
      case index_kind::packed:  // which is made from one
        break;
    }
    if (codec == codec_kind::none) return body.template operator()<T, alidade::hnsw_index<T, Metric>>();
    const auto with = [&]<class Codec>(Codec) {
      return body.template operator()<T, alidade::hnsw_index<T, Metric, Codec>>();
    };
    if (codec == codec_kind::pca4) return with(alidade::codecs::pca4{});
    if constexpr (std::is_same_v<T, float>) {
      if (codec == codec_kind::sq8) return with(alidade::codecs::sq8{});
      if (codec == codec_kind::f16) return with(alidade::codecs::f16{});
      return with(alidade::codecs::bf16{});
    } else {
      throw input_error("--type u8 has the codecs none and pca4: bytes are their own codes of the others");
    }
  });
}

}  // namespace bench
