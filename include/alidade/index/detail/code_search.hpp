#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <alidade/config/namespace.hpp>
#include <alidade/core/half.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/filtered_search.hpp>
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

/// A stored vector as floats, of length 1 where the metric looks at its direction only. Doubles beyond the largest float count as that: a mean
/// of infinities could not be saved.
template <class Metric, class T>
void widen(const T* row, std::size_t dimension, float* out) noexcept {
  for (std::size_t i = 0; i < dimension; ++i) {
    if constexpr (std::is_same_v<T, double>) {
      constexpr double most = std::numeric_limits<float>::max();
      out[i] = static_cast<float>(std::clamp(row[i], -most, most));
    } else {
      out[i] = static_cast<float>(row[i]);
    }
  }
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
  using search_type = filtered_search<code_view<Model, Rows>, Graph>;

 private:
  struct scratch_type {
    explicit scratch_type(memory_resource* memory) noexcept
        : search(memory), query(memory), prepared(memory) {}

    void resize(const Vectors& rows, const Model& model, std::size_t degree) {
      search.resize(rows.slots(), 0, degree);
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

 public:
  explicit code_search(memory_resource* memory) noexcept : scratches_(memory) {}

  /// Walks the graph for one query after another. Refers to all that it is made of.
  class walker {
   public:
    walker(const code_search& search, const Vectors& rows, const Graph& graph, const Model& model,
           const Rows& codes)
        : scratch_(search.scratches_),
          rows_(rows),
          model_(model),
          graph_(code_view<Model, Rows>(model, codes), graph, removed_in(rows, graph)) {
      scratch_->resize(rows, model, graph.capacity(0));
    }

    /// For a query as the vectors are stored, which must stay where it is.
    void prepare(const T* query) noexcept {
      query_ = query;
      const std::span<float> wide(scratch_->query.data(), rows_.dimension());
      widen<Metric>(query, wide.size(), wide.data());
      prepared_ = model_.prepare(wide, scratch_->prepared.data());
    }

    template <search_observer Observer>
    std::uint32_t descend(Observer& observer) {
      return graph_.descend(prepared_, 0, scratch_->search, observer);
    }

    /// Expands the `width` nearest by codes on a level, and measures the best candidates, `most` of them: the pool of `exact` holds them. The rest
    /// is as of graph_search::search_layer and search_options.
    template <search_observer Observer>
    void search_layer(std::uint32_t entry, std::size_t level, std::size_t width, std::size_t least,
                      std::size_t most, const search_options& options, exact_scratch& exact,
                      Observer& observer) {
      auto& search = scratch_->search;
      graph_.start(prepared_, entry, std::max(width, most), search, observer);
      graph_.search_layer(prepared_, level, width, least, options.budget, search, observer);
      measure_pool(most, options, exact, observer);
    }

    /// The same on level 0, of the nodes that the filter allows.
    template <search_observer Observer>
    void search_filtered(std::uint32_t entry, slot_filter& filter, std::size_t width, std::size_t least,
                         std::size_t most, const search_options& options, exact_scratch& exact,
                         Observer& observer) {
      graph_.run(prepared_, entry, filter, std::max(width, most), width, least, options.budget,
                 scratch_->search, observer);
      measure_pool(most, options, exact, observer);
    }

    /// Whether the candidates that the last search left in `exact` came in an order by codes that has to do with theirs: of the nearest no more
    /// than a quarter was in the farther half. Codes that were learnt for other vectors tell nothing, and such a search may have gone anywhere.
    bool estimates_serve(const exact_scratch& exact) const noexcept {
      const auto& by_codes = scratch_->search.pool;
      const std::size_t count = exact.pool.size(), nearest = std::min<std::size_t>(10, count / 8 + 1);
      std::size_t late = 0;
      for (std::size_t i = (count + 1) / 2; i < count; ++i) {
        for (std::size_t j = 0; j < nearest; ++j)
          late += static_cast<std::size_t>(by_codes.slot(i) == exact.pool.slot(j));
      }
      return 4 * late <= nearest;
    }

   private:
    template <search_observer Observer>
    void measure_pool(std::size_t most, const search_options& options, exact_scratch& exact,
                      Observer& observer) {
      const std::size_t ahead = options.prefetch == 0 ? default_ahead : std::min(options.prefetch, most);
      measure(rows_, query_, scratch_->search.pool, most, ahead, exact, observer);
    }

    typename scratches::lease scratch_;
    const Vectors& rows_;
    const Model& model_;
    search_type graph_;
    const T* query_ = nullptr;
    typename Model::query_type prepared_{};
  };

  /// Searches by codes for a query as the vectors are stored, and measures the best candidates: the pool of `exact` holds them.
  template <search_observer Observer>
  void run(const Vectors& rows, const Graph& graph, const Model& model, const Rows& codes, const T* query,
           const search_options& options, exact_scratch& exact, Observer& observer) const {
    walker walk(*this, rows, graph, model, codes);
    walk.prepare(query);
    const std::size_t n = rows.size(), k = std::min(options.k, n);
    const std::size_t ef = std::clamp<std::size_t>(options.ef, 1, n);
    const std::size_t rerank = options.rerank == 0 ? std::max(ef, k) + k : std::max(options.rerank, k);
    const std::uint32_t entry = walk.descend(observer);
    if (options.filter.what() == search_filter::kind::everything) {
      walk.search_layer(entry, 0, ef, k, std::min(rerank, n), options, exact, observer);
    } else {
      walk.search_filtered(entry, exact.filter, ef, k, std::min(rerank, n), options, exact, observer);
    }
  }

  std::size_t memory_bytes() const { return scratches_.memory_bytes(); }
  std::size_t trim() noexcept { return scratches_.trim(); }

 private:
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
