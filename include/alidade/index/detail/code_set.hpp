#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/half.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/graph_search.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/search_scratch.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/codecs.hpp>
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

/// Codes of stored vectors, by slot. A view: it owns neither.
template <class Model>
class code_view {
 public:
  using D = float;
  using element = std::uint8_t;
  using query_type = typename Model::query_type;

  code_view(const Model& model, const row_storage<std::uint8_t>& codes) noexcept
      : model_(&model), codes_(&codes) {}

  std::size_t row_bytes() const noexcept { return model_->code_bytes(); }
  const std::uint8_t* row(std::size_t slot) const noexcept { return (*codes_)[slot]; }
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
  const row_storage<std::uint8_t>* codes_;
};

/// What an index without codes has in their place.
struct no_codes {
  struct mark {};
  no_codes(const codecs::none&, memory_resource*) noexcept {}
  static bool valid(const codecs::none&) noexcept { return true; }
  template <class Vectors>
  void extend(const Vectors&, std::size_t) noexcept {}
  mark mark_end() const noexcept { return {}; }
  void commit() noexcept {}
  void undo(const mark&) noexcept {}
  std::size_t memory_bytes() const noexcept { return 0; }
  std::size_t trim() noexcept { return 0; }
};

/// The codes of an index's vectors, and searches by them. A model is what codes are made and measured by:
///
/// - `options_type`, `valid(options)`, `Model(options, memory)`, `options()`;
/// - `least_rows`: from how many vectors on there are codes; `sample_rows()`: how many it looks at to learn, 0 for none;
///   `train(rows, dimension, form, threads)`;
/// - `code_bytes()`, once it is trained; `encode(rows, scratch, out)` with row_floats() floats of scratch a row;
/// - `query_type`, `prepare(query, scratch)` with query_bytes() of scratch; `estimate(query, codes, count, out)`.
template <class T, class Metric, class Model>
class code_set {
  static_assert(has_codes<T, Metric>,
                "codes are for real numbers and bytes under l2_squared, inner_product and cosine");
  using form_of = centred_form_of<Metric>;
  using codec = typename Model::options_type;

 public:
  using vectors = vector_set<T, Metric>;
  using exact_scratch = search_scratch<T, distance_type<Metric, T>>;
  using search_type = graph_search<code_view<Model>>;

  code_set(const codec& options, memory_resource* memory)
      : now_(valid(options) ? options : codec{}, memory), scratches_(memory) {}

  static bool valid(const codec& options) noexcept { return Model::valid(options); }

  const codec& options() const noexcept { return now_.model.options(); }

  /// Whether the vectors have codes: there are enough of them to learn from.
  bool are_in_use() const noexcept { return now_.size != 0; }

  /// Encodes the vectors that are new. All anew, by what is learnt from what there is now, where there are eight times as many as when it
  /// was learnt last.
  void extend(const vectors& from, std::size_t threads) {
    if (from.size() < Model::least_rows) return;
    if (from.size() / 8 >= now_.learnt_from) {
      state next(now_.model.options(), now_.codes.resource());
      train(next.model, from, threads);
      next.codes = row_storage<std::uint8_t>(next.model.code_bytes(), next.codes.resource());
      next.codes.reserve(from.size());
      encode(next.model, from, 0, next.codes, threads);
      next.size = next.learnt_from = from.size();
      before_.emplace(std::exchange(now_, std::move(next)));
    } else {
      now_.codes.reserve(from.size());
      encode(now_.model, from, now_.size, now_.codes, threads);
      now_.size = from.size();
    }
  }

  struct mark {
    std::size_t size, capacity;
  };
  mark mark_end() const noexcept { return {now_.size, now_.codes.capacity()}; }

  /// Everything since the mark, one extend() at most, is to stay.
  void commit() noexcept { before_.reset(); }
  /// Or is as if it had not been.
  void undo(const mark& before) noexcept {
    if (before_) now_ = std::move(*before_);
    before_.reset();
    now_.size = before.size;
    now_.codes.shrink(before.capacity);
  }

  /// Searches by codes for a query as the vectors are stored, and measures the best candidates: the pool of `exact` holds them.
  template <search_observer Observer>
  void search(const vectors& rows, const hnsw_graph& graph, const T* query, const search_options& options,
              exact_scratch& exact, Observer& observer) const {
    typename scratches::lease scratch(scratches_);
    scratch->resize(rows, now_.model, graph.capacity(0));
    widen(query, rows.dimension(), scratch->query.data());
    const auto prepared =
        now_.model.prepare(std::span(scratch->query.data(), rows.dimension()), scratch->prepared.data());
    const std::size_t n = rows.size(), k = std::min(options.k, n);
    const std::size_t ef = std::clamp<std::size_t>(options.ef, 1, n);
    const std::size_t rerank = options.rerank == 0 ? std::max(ef, k) + k : std::max(options.rerank, k);
    const search_type by_codes(code_view<Model>(now_.model, now_.codes), graph);
    const std::uint32_t entry = by_codes.descend(prepared, 0, scratch->search, observer);
    by_codes.start(prepared, entry, std::min(std::max(ef, rerank), n), scratch->search, observer);
    by_codes.search_layer(prepared, 0, ef, k, scratch->search, observer);
    measure(rows, query, scratch->search.pool, rerank, exact, observer);
  }

  std::size_t memory_bytes() const {
    return now_.model.memory_bytes() + now_.codes.memory_bytes() + scratches_.memory_bytes();
  }
  std::size_t trim() noexcept { return scratches_.trim(); }

 private:
  struct scratch_type {
    explicit scratch_type(memory_resource* memory) noexcept
        : search(memory), query(memory), prepared(memory) {}

    void resize(const vectors& rows, const Model& model, std::size_t degree) {
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

  /// A stored vector as floats, of length 1 where the metric looks at its direction only.
  static void widen(const T* row, std::size_t dimension, float* out) noexcept {
    for (std::size_t i = 0; i < dimension; ++i) out[i] = static_cast<float>(row[i]);
    if constexpr (form_of::is_of_unit_vectors) {
      const std::span<float> x(out, dimension);
      normalise<float>(x, x);
    }
  }

  static void train(Model& model, const vectors& from, std::size_t threads) {
    const std::size_t d = from.dimension(), count = std::min(from.size(), model.sample_rows());
    resource_vector<float> sample(checked_product(count, d), 0, model.resource());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t slot = std::uint64_t{i} * from.size() / count;
      widen(from.row(static_cast<std::size_t>(slot)), d, sample.data() + i * d);
    }
    model.train(sample, d, form_of::form, threads);
  }

  static void encode(const Model& model, const vectors& from, std::size_t first,
                     row_storage<std::uint8_t>& codes, std::size_t threads) {
    const std::size_t d = from.dimension(), n = model.row_floats();
    const std::size_t count_of_all = from.size() - first, block = std::min(most_in_block, count_of_all);
    if (count_of_all == 0) return;
    const std::size_t workers = std::min(resolve_threads(threads), (count_of_all + block - 1) / block);
    resource_vector<float> rows(workers * block * d, 0, codes.resource());
    resource_vector<float> scratch(workers * block * n, 0, codes.resource());
    parallel_for(count_of_all, block, workers, [&](std::size_t begin, std::size_t end, std::size_t worker) {
      const std::size_t count = end - begin;
      const std::span<float> in = std::span(rows).subspan(worker * block * d, count * d);
      for (std::size_t i = 0; i < count; ++i) widen(from.row(first + begin + i), d, in.data() + i * d);
      model.encode(in, std::span(scratch).subspan(worker * block * n, count * n),
                   [&](std::size_t i) { return codes[first + begin + i]; });
    });
  }

  /// The distances of the nearest candidates, `most` of them, whose vectors are asked for some ahead.
  template <class Pool, search_observer Observer>
  static void measure(const vectors& rows, const T* query, const Pool& candidates, std::size_t most,
                      exact_scratch& exact, Observer& observer) {
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

  static constexpr std::size_t most_in_block = 64;
  static constexpr std::size_t ahead = 8, at_once = 4;

  struct state {
    state(const codec& options, memory_resource* memory)
        : model(options, memory), codes(model.code_bytes(), memory) {}

    Model model;
    row_storage<std::uint8_t> codes;
    std::size_t size = 0;         ///< of vectors that have codes: all, or none
    std::size_t learnt_from = 0;  ///< how many there were then
  };

  state now_;
  std::optional<state> before_;  ///< while an addition that has learnt anew may still be undone
  mutable scratches scratches_;
};

template <class Codec, class T, class Metric>
struct codes_of;
template <class T, class Metric>
struct codes_of<codecs::none, T, Metric> {
  using type = no_codes;
};
template <class T, class Metric>
struct codes_of<codecs::pca4, T, Metric> {
  using type = code_set<T, Metric, pca4_model>;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
