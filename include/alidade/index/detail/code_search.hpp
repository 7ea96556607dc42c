#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/half.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/graph_search.hpp>
#include <alidade/index/detail/search_scratch.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/pca4_model.hpp>
#include <alidade/simd/prefetch.hpp>
#include <alidade/storage/row_storage.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// How a metric is written in terms of centred vectors, for those that can be.
template <class Metric>
struct centred_form_of;
template <>
struct centred_form_of<metrics::l2_squared> {
  static constexpr centred_form form = centred_form::distance;
  static constexpr bool is_of_unit_vectors = false;
};
template <>
struct centred_form_of<metrics::inner_product> {
  static constexpr centred_form form = centred_form::product;
  static constexpr bool is_of_unit_vectors = false;
};
template <>
struct centred_form_of<metrics::cosine> {
  static constexpr centred_form form = centred_form::product;
  static constexpr bool is_of_unit_vectors = true;
};

template <class T, class Metric>
inline constexpr bool has_codes = (real_element<T> || byte_element<T>)&&requires {
  centred_form_of<Metric>::form;
};

/// Codes of stored vectors, by slot. A view: it owns neither. `Rows` says where they lie.
template <class Model, class Rows = stored_rows<std::uint8_t>>
class code_view {
 public:
  using D = float;
  using element = std::uint8_t;
  using query_type = typename Model::query_type;

  code_view(const Model& model, const Rows& codes) noexcept : model_(&model), codes_(codes) {}

  std::size_t row_bytes() const noexcept { return model_->code_bytes(); }
  const std::uint8_t* row(std::size_t slot) const noexcept { return codes_[slot]; }
  void distances(const query_type& query, const std::uint8_t* const* rows, std::size_t count,
                 float* out) const noexcept {
    model_->estimate(query, rows, count, out);
  }
  float distance(const query_type& query, std::size_t slot) const noexcept {
    const std::uint8_t* const code = row(slot);
    float out;
    model_->estimate(query, &code, 1, &out);
    return out;
  }

 private:
  const Model* model_;
  Rows codes_;
};

/// A stored vector as floats, of length 1 where the metric looks at its direction only.
template <class Metric, class T>
void widen(const T* row, std::size_t dimension, float* out) noexcept {
  for (std::size_t i = 0; i < dimension; ++i) out[i] = static_cast<float>(row[i]);
  if constexpr (centred_form_of<Metric>::is_of_unit_vectors) {
    const std::span<float> x(out, dimension);
    normalise<float>(x, x);
  }
}

/// Searches of a graph by codes, wherever vectors, links and codes lie.
template <class Vectors, class Graph, class Model, class Rows = stored_rows<std::uint8_t>>
class code_search {
  using T = typename Vectors::value_type;
  using Metric = typename Vectors::metric_type;

 public:
  using exact_scratch = search_scratch<T, distance_type<Metric, T>>;
  using search_type = graph_search<code_view<Model, Rows>, Graph>;

  explicit code_search(memory_resource* memory) noexcept : scratches_(memory) {}

  /// Searches by codes for a query as the vectors are stored, and measures the best candidates: the pool of `exact` holds them.
  template <search_observer Observer>
  void run(const Vectors& rows, const Graph& graph, const Model& model, const Rows& codes, const T* query,
           const search_options& options, exact_scratch& exact, Observer& observer) const {
    typename scratches::lease scratch(scratches_);
    scratch->resize(rows, model, graph.capacity(0));
    widen<Metric>(query, rows.dimension(), scratch->query.data());
    const auto prepared =
        model.prepare(std::span(scratch->query.data(), rows.dimension()), scratch->prepared.data());
    const std::size_t n = rows.size(), k = std::min(options.k, n);
    const std::size_t ef = std::clamp<std::size_t>(options.ef, 1, n);
    const std::size_t rerank = options.rerank == 0 ? std::max(ef, k) + k : std::max(options.rerank, k);
    const search_type by_codes(code_view<Model, Rows>(model, codes), graph);
    const std::uint32_t entry = by_codes.descend(prepared, 0, scratch->search, observer);
    by_codes.start(prepared, entry, std::min(std::max(ef, rerank), n), scratch->search, observer);
    by_codes.search_layer(prepared, 0, ef, k, options.budget, scratch->search, observer);
    const std::size_t ahead = options.prefetch == 0 ? default_ahead : options.prefetch;
    measure(rows, query, scratch->search.pool, rerank, ahead, exact, observer);
  }

  std::size_t memory_bytes() const { return scratches_.memory_bytes(); }
  std::size_t trim() noexcept { return scratches_.trim(); }

 private:
  struct scratch_type {
    explicit scratch_type(memory_resource* memory) noexcept
        : search(memory), query(memory), prepared(memory) {}

    void resize(const Vectors& rows, const Model& model, std::size_t degree) {
      search.resize(rows.size(), 0, degree);
      query.grow(rows.dimension());
      prepared.grow(model.query_bytes());
    }
    std::size_t memory_bytes() const noexcept {
      return search.memory_bytes() + query.memory_bytes() + prepared.memory_bytes();
    }

    typename search_type::scratch_type search;
    buffer<float> query;
    buffer<std::byte> prepared;
  };
  using scratches = scratch_pool<scratch_type>;

  /// The distances of the nearest candidates, `most` of them, whose vectors are asked for `ahead`.
  template <class Pool, search_observer Observer>
  static void measure(const Vectors& rows, const T* query, const Pool& candidates, std::size_t most,
                      std::size_t ahead, exact_scratch& exact, Observer& observer) {
    const auto view = rows.view();
    const std::size_t count = std::min(candidates.size(), most);
    const auto ask = [&](std::size_t i) { simd::prefetch(view.row(candidates.slot(i)), view.row_bytes()); };
    exact.pool.reset(count);
    for (std::size_t i = 0; i < std::min(ahead, count); ++i) ask(i);
    for (std::size_t i = 0; i < count; i += at_once) {
      const std::size_t some = std::min(at_once, count - i);
      const T* addresses[at_once];
      std::uint32_t slots[at_once];
      distance_type<Metric, T> distances[at_once];
      for (std::size_t j = 0; j < some; ++j) {
        slots[j] = candidates.slot(i + j);
        addresses[j] = view.row(slots[j]);
        if (i + j + ahead < count) ask(i + j + ahead);
      }
      view.distances(query, addresses, some, distances);
      exact.pool.insert(distances, slots, some);
    }
    observer.on_distances(count);
  }

  static constexpr std::size_t default_ahead = 8, at_once = 4;

  mutable scratches scratches_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
