#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/half.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/index/detail/code_search.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/index_format.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/codecs.hpp>
#include <alidade/quantize/half_model.hpp>
#include <alidade/quantize/pca4_model.hpp>
#include <alidade/quantize/sq8_model.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/section_image.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What an index without codes has in their place.
struct no_codes {
  struct mark {};
  no_codes() noexcept = default;
  no_codes(const codecs::none&, memory_resource*) noexcept {}
  static bool valid(const codecs::none&) noexcept { return true; }
  template <class Vectors>
  void extend(const Vectors&, std::size_t) noexcept {}
  mark mark_end() const noexcept { return {}; }
  void commit() noexcept {}
  void undo(const mark&) noexcept {}
  std::size_t memory_bytes() const noexcept { return 0; }
  std::size_t trim() noexcept { return 0; }
  void describe(index_shape&) const noexcept {}
  void put(section_image_writer&, std::span<const std::uint32_t>) const noexcept {}
  static errc open(const section_view&, const index_shape& shape) noexcept {
    return shape.codec == name_of("none") ? errc{} : errc::wrong_format;
  }
};

/// Vectors that are no longer than codes would be are their own codes.
template <class Model>
struct rows_as_codes : no_codes {
  using codec = typename Model::options_type;
  rows_as_codes(const codec&, memory_resource*) noexcept {}
  static bool valid(const codec& options) noexcept { return Model::valid(options); }
};

/// The codes of an index's vectors, and searches by them. A model is what codes are made and measured by:
///
/// - `options_type`, `valid(options)`, `Model(options, memory)`, `options()`;
/// - `least_rows`: from how many vectors on there are codes; `sample_rows()`: how many it looks at to learn, at most, 0 where there is
///   nothing to learn; `train(rows, dimension, form, threads)`;
/// - `code_bytes()`, once it is trained; `encode(rows, scratch, out)` with row_floats() floats of scratch a row;
/// - `query_type`, `prepare(query, scratch)` with query_bytes() of scratch; `estimate(query, codes, count, out)`;
/// - of those that a file can have: `name`; `save(out)`, of saved_bytes() bytes; `restore(saved, dimension, form)`, which gives false for what it
///   cannot have saved, and whatever it accepts makes nothing worse than bad estimates.
template <class T, class Metric, class Model>
class code_set {
  static_assert(has_codes<T, Metric>,
                "codes are for real numbers and bytes under l2_squared, inner_product and cosine");
  using form_of = centred_form_of<Metric>;
  using codec = typename Model::options_type;

 public:
  using vectors = vector_set<T, Metric>;

  code_set(const codec& options, memory_resource* memory)
      : now_(valid(options) ? options : codec{}, memory), search_(memory) {}

  static bool valid(const codec& options) noexcept { return Model::valid(options); }

  const codec& options() const noexcept { return now_.model.options(); }

  /// Whether the vectors have codes: there are enough of them to learn from.
  bool are_in_use() const noexcept { return now_.size != 0; }

  /// Encodes the vectors that are new. All anew, by what is learnt from what there is now, where there are eight times as many as when it
  /// was learnt last.
  void extend(const vectors& from, std::size_t threads) {
    if (from.size() < Model::least_rows) return;
    const bool learns = now_.model.sample_rows() != 0 && from.size() / 8 >= now_.learnt_from;
    if (now_.size == 0 || learns) {
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

  template <class Scratch, search_observer Observer>
  void search(const vectors& rows, const hnsw_graph& graph, const T* query, const search_options& options,
              Scratch& exact, Observer& observer) const {
    search_.run(rows, graph, now_.model, stored_rows<std::uint8_t>(now_.codes), query, options, exact,
                observer);
  }

  /// What a file has of them (index_format.hpp).
  void describe(index_shape& shape) const noexcept {
    if (!are_in_use()) return;
    shape.codec = name_of(Model::name);
    shape.code_bytes = now_.model.code_bytes();
    shape.model_bytes = now_.model.saved_bytes();
  }

  /// Writes the sections, codes in the order that is given.
  void put(section_image_writer& file, std::span<const std::uint32_t> order) const noexcept {
    now_.model.save(file.get<std::byte>(sections::model));
    const std::span<std::uint8_t> codes = file.get<std::uint8_t>(sections::codes);
    const std::size_t stride = now_.codes.stride(), bytes = now_.model.code_bytes();
    for (std::size_t i = 0; i < order.size(); ++i) {
      std::uint8_t* const out = codes.data() + i * stride;
      std::fill(std::copy_n(now_.codes[order[i]], bytes, out), out + stride, std::uint8_t{0});
    }
  }

  std::size_t memory_bytes() const {
    return now_.model.memory_bytes() + now_.codes.memory_bytes() + search_.memory_bytes();
  }
  std::size_t trim() noexcept { return search_.trim(); }

 private:
  static void train(Model& model, const vectors& from, std::size_t threads) {
    const std::size_t d = from.dimension(), count = std::min(from.size(), model.sample_rows());
    resource_vector<float> sample(checked_product(count, d), 0, model.resource());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t slot = std::uint64_t{i} * from.size() / count;
      widen<Metric>(from.row(static_cast<std::size_t>(slot)), d, sample.data() + i * d);
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
      for (std::size_t i = 0; i < count; ++i)
        widen<Metric>(from.row(first + begin + i), d, in.data() + i * d);
      model.encode(in, std::span(scratch).subspan(worker * block * n, count * n),
                   [&](std::size_t i) { return codes[first + begin + i]; });
    });
  }

  static constexpr std::size_t most_in_block = 64;

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
  code_search<vectors, hnsw_graph, Model> search_;
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

/// Of a model of which a code has so many bytes for each element.
template <class T, class Metric, class Model, std::size_t Bytes>
using codes_unless_short =
    std::conditional_t<sizeof(T) <= Bytes, rows_as_codes<Model>, code_set<T, Metric, Model>>;
template <class T, class Metric>
struct codes_of<codecs::sq8, T, Metric> {
  using type = codes_unless_short<T, Metric, sq8_model, 1>;
};
template <class T, class Metric>
struct codes_of<codecs::f16, T, Metric> {
  using type = codes_unless_short<T, Metric, half_model<f16, codecs::f16>, 2>;
};
template <class T, class Metric>
struct codes_of<codecs::bf16, T, Metric> {
  using type = codes_unless_short<T, Metric, half_model<bf16, codecs::bf16>, 2>;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
