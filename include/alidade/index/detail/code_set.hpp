#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
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
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/codecs.hpp>
#include <alidade/quantize/half_model.hpp>
#include <alidade/quantize/neighbor_places.hpp>
#include <alidade/quantize/pca4_model.hpp>
#include <alidade/quantize/sq8_model.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/section_image.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// How well codes serve the vectors that an index has now. What was learnt for others gets worse: then retrain().
struct code_stats {
  std::size_t code_bytes =
      0;  ///< of a vector; 0 where there are too few vectors for codes: all else is then 0 too
  std::size_t learnt_from = 0;  ///< how many vectors there were when what codes are made by was learnt
  /// Of some vectors' ten nearest among 1,024 others of the index, at which place, from 1 on, they come by estimates: 95 in 100 at this or an
  /// earlier one. As many candidates or more a search has to keep to find them.
  std::size_t neighbor_place = 0;
  std::size_t learnt_neighbor_place = 0;  ///< the same when it was learnt; 0 where nothing is
  double saturation = 0;                  ///< which share of components is at an end of the range of codes
};

namespace detail {

/// What an index without codes has in their place.
struct no_codes {
  struct mark {};
  struct walker {
    void prepare(const void*) noexcept {}
    template <class Scratch, class Observer>
    void search_layer(std::uint32_t, std::size_t, std::size_t, std::size_t, std::size_t,
                      const search_options&, Scratch&, Observer&) noexcept {}
    template <class Scratch>
    bool estimates_serve(const Scratch&) const noexcept {
      return false;
    }
  };
  no_codes() noexcept = default;
  no_codes(const codecs::none&, memory_resource*) noexcept {}
  static bool valid(const codecs::none&) noexcept { return true; }
  template <class Vectors>
  void extend(const Vectors&, std::span<const std::uint32_t>, std::size_t) noexcept {}
  static constexpr bool are_in_use() noexcept { return false; }
  struct renumbered_slots {};
  static renumbered_slots renumbered(std::span<const std::uint32_t>) noexcept { return {}; }
  void adopt(renumbered_slots&&, std::size_t) noexcept {}
  void clear() noexcept {}
  template <class Vectors>
  walker walk(const Vectors&, const hnsw_graph&) const noexcept {
    return {};
  }
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

  /// Whether the vectors have codes: there are enough of them to learn from.
  bool are_in_use() const noexcept { return now_.size != 0; }

  /// Encodes the vectors that are new, those in `reused` slots among them. All anew, by what is learnt from what there is now, where there are
  /// eight times as many as when it was learnt last, or where the estimates of new ones are much worse than they were then, which is looked at
  /// whenever an eighth is new.
  void extend(const vectors& from, std::span<const std::uint32_t> reused, std::size_t threads) {
    const bool are_enough = from.size() >= Model::least_rows;
    if (now_.size == 0 ? are_enough : learns() && from.size() / 8 >= now_.learnt.size)
      return learn(from, threads);
    if (now_.size == 0) return;
    now_.codes.reserve(from.slots());
    const std::size_t before = now_.size, added = from.slots() - before + reused.size();
    encode(now_.model, from, added, now_.codes, threads, [&](std::size_t i) -> std::size_t {
      return i < reused.size() ? reused[i] : before + i - reused.size();
    });
    now_.size = from.slots();
    now_.unchecked += added;
    if (!reused.empty()) now_.checked = 0;  // what is new lies anywhere
    if (!learns() || now_.unchecked <= (from.size() - std::min(now_.unchecked, from.size())) / 8) return;
    const std::size_t place = place_of_neighbors(from, now_.checked, threads);
    now_.checked = now_.size;
    now_.unchecked = 0;
    if (place > 2 * now_.learnt.place + 16) learn(from, threads);
  }

  /// Encodes all vectors anew, by what is learnt from them now.
  void learn(const vectors& from, std::size_t threads) {
    state next(now_.model.options(), now_.codes.resource());
    train(next.model, from, threads);
    next.codes = row_storage<std::uint8_t>(next.model.code_bytes(), next.codes.resource());
    next.codes.reserve(from.slots());
    encode(next.model, from, from.slots(), next.codes, threads, [](std::size_t i) { return i; });
    next.size = next.checked = from.slots();
    next.learnt.size = from.size();
    before_.emplace(std::exchange(now_, std::move(next)));
    if (learns()) now_.learnt.place = place_of_neighbors(from, 0, threads);
  }

  alidade::code_stats stats(const vectors& from, std::size_t threads) const {
    if (!are_in_use()) return {};
    constexpr std::size_t most_codes = 1024;
    const std::size_t count = std::min(most_codes, now_.size);
    double saturation = 0;
    for (std::size_t i = 0; i < count; ++i)
      saturation += now_.model.saturation(now_.codes[spread(i, count, from)]);
    return {now_.model.code_bytes(), now_.learnt.size, place_of_neighbors(from, 0, threads),
            now_.learnt.place, saturation / static_cast<double>(count)};
  }

  /// Where by estimates the neighbours come of some of the vectors from slot `first` on, among some of all (neighbor_places.hpp).
  std::size_t place_of_neighbors(const vectors& from, std::size_t first, std::size_t threads) const {
    constexpr std::size_t most_queries = 32, most_rows = 1024;
    const std::size_t n = from.size(), d = from.dimension();
    const std::size_t queries = std::min({most_queries, n, from.slots() - first});
    const std::size_t others = std::min(most_rows, n - queries);
    const std::size_t count = queries + others;
    // The queries, then the others, which may be the same.
    resource_vector<std::size_t> slots(count, 0, memory());
    for (std::size_t i = 0; i < count; ++i) {
      slots[i] = i < queries ? spread(i, queries, from, first) : spread(i - queries, others, from);
    }
    resource_vector<const T*> rows(count, nullptr, memory());
    resource_vector<const std::uint8_t*> codes(count, nullptr, memory());
    for (std::size_t i = 0; i < count; ++i) {
      rows[i] = from.row(slots[i]);
      codes[i] = now_.codes[slots[i]];
    }
    neighbor_places places(queries, count, memory());
    const auto view = from.view();
    parallel_for(queries, 1, threads, [&](std::size_t query, std::size_t, std::size_t) {
      resource_vector<distance_type<Metric, T>> distances(count, memory());
      resource_vector<float> wide(d, 0, memory()), exact(count, 0, memory()), estimates(count, 0, memory());
      buffer<std::byte> scratch(memory());
      scratch.grow(now_.model.query_bytes());
      view.distances(rows[query], rows.data(), count, distances.data());
      for (std::size_t i = 0; i < count; ++i) exact[i] = static_cast<float>(distances[i]);
      widen<Metric>(rows[query], d, wide.data());
      now_.model.estimate(now_.model.prepare(wide, scratch.data()), codes.data(), count, estimates.data());
      // As one of the others it is no neighbour either.
      for (std::size_t i = queries; i < count; ++i) {
        if (slots[i] == slots[query]) exact[i] = estimates[i] = std::numeric_limits<float>::infinity();
      }
      places.measure(query, query, exact, estimates);
    });
    return places.late();
  }

  /// Of no vectors any more; the memory stays.
  void clear() noexcept { now_.size = now_.checked = now_.unchecked = 0; }

  struct mark {
    std::size_t size, capacity, checked, unchecked;
  };
  mark mark_end() const noexcept { return {now_.size, now_.codes.capacity(), now_.checked, now_.unchecked}; }

  /// Everything since the mark, one extend() at most, is to stay.
  void commit() noexcept { before_.reset(); }
  /// Or is as if it had not been.
  void undo(const mark& before) noexcept {
    if (before_) now_ = std::move(*before_);
    before_.reset();
    now_.size = before.size;
    now_.checked = before.checked;
    now_.unchecked = before.unchecked;
    now_.codes.shrink(before.capacity);
  }

  /// Codes of some of the slots in a new order, which adopt() then has instead of all there were.
  using renumbered_slots = row_storage<std::uint8_t>;
  renumbered_slots renumbered(std::span<const std::uint32_t> order) const {
    row_storage<std::uint8_t> result(now_.model.code_bytes(), memory());
    if (!are_in_use()) return result;
    result.reserve(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      std::copy_n(now_.codes[order[i]], now_.codes.stride(), result[i]);
    return result;
  }
  void adopt(renumbered_slots&& codes, std::size_t slots) noexcept {
    now_.codes = std::move(codes);
    if (are_in_use()) now_.size = slots;
    now_.checked = 0;
  }

  template <class Scratch, search_observer Observer>
  void search(const vectors& rows, const hnsw_graph& graph, const T* query, const search_options& options,
              Scratch& exact, Observer& observer) const {
    search_.run(rows, graph, now_.model, stored_rows<std::uint8_t>(now_.codes), query, options, exact,
                observer);
  }

  /// Walks a graph of the vectors by their codes.
  using walker = typename code_search<vectors, hnsw_graph, Model>::walker;
  walker walk(const vectors& rows, const hnsw_graph& graph) const {
    return walker(search_, rows, graph, now_.model, stored_rows<std::uint8_t>(now_.codes));
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
      widen<Metric>(from.row(spread(i, count, from)), d, sample.data() + i * d);
    }
    model.train(sample, d, form_of::form, threads);
  }

  /// `count_of_all` vectors, of which slot_of(i) is the i-th.
  template <class SlotOf>
  static void encode(const Model& model, const vectors& from, std::size_t count_of_all,
                     row_storage<std::uint8_t>& codes, std::size_t threads, const SlotOf& slot_of) {
    const std::size_t d = from.dimension(), n = model.row_floats();
    const std::size_t block = std::min(most_in_block, count_of_all);
    if (count_of_all == 0) return;
    const std::size_t some_slot = from.removed().next_absent(0);
    const std::size_t workers = std::min(resolve_threads(threads), (count_of_all + block - 1) / block);
    resource_vector<float> rows(workers * block * d, 0, codes.resource());
    resource_vector<float> scratch(workers * block * n, 0, codes.resource());
    parallel_for(count_of_all, block, workers, [&](std::size_t begin, std::size_t end, std::size_t worker) {
      const std::size_t count = end - begin;
      const std::span<float> in = std::span(rows).subspan(worker * block * d, count * d);
      for (std::size_t i = 0; i < count; ++i) {
        // A removed slot's row may be anything, and its code as well.
        const std::size_t slot = slot_of(begin + i);
        widen<Metric>(from.row(from.is_removed(slot) ? some_slot : slot), d, in.data() + i * d);
      }
      model.encode(in, std::span(scratch).subspan(worker * block * n, count * n),
                   [&](std::size_t i) { return codes[slot_of(begin + i)]; });
    });
  }

  bool learns() const noexcept { return now_.model.sample_rows() != 0; }
  memory_resource* memory() const noexcept { return now_.codes.resource(); }

  /// The i-th of `count` slots with a vector that are spread over those from `first` on. They may come twice where many were removed.
  static std::size_t spread(std::size_t i, std::size_t count, const vectors& from,
                            std::size_t first = 0) noexcept {
    const std::size_t n = from.slots() - first;
    const std::size_t slot = first + static_cast<std::size_t>(std::uint64_t{i} * n / count);
    const std::size_t next = from.removed().next_absent(slot);
    return next < from.slots() ? next : from.removed().next_absent(0);
  }

  static constexpr std::size_t most_in_block = 64;

  struct state {
    state(const codec& options, memory_resource* memory)
        : model(options, memory), codes(model.code_bytes(), memory) {}

    Model model;
    row_storage<std::uint8_t> codes;
    std::size_t size = 0;       ///< of slots that have codes: all, or none
    std::size_t checked = 0;    ///< from which slot on estimates have not been looked at
    std::size_t unchecked = 0;  ///< of how many vectors they have not
    struct {
      std::size_t size = 0, place = 0;  ///< how many vectors there were, and where neighbours came
    } learnt;
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
