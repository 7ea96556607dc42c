#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/core/random.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/code_set.hpp>
#include <alidade/index/detail/graph_builder.hpp>
#include <alidade/index/detail/graph_index.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/index_packer.hpp>
#include <alidade/index/detail/link_journal.hpp>
#include <alidade/index/detail/stored_vectors.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/options.hpp>
#include <alidade/index/packed_index.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/codecs.hpp>
#include <alidade/storage/storage.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

template <class T, class Metric, class Codec, class Storage,
          class Vectors = typename vectors_of<T, Metric, Storage>::type>
using graph_index_of =
    graph_index<Vectors, hnsw_graph,
                typename codes_of<Codec, typename Vectors::value_type, typename Vectors::metric_type>::type>;

}  // namespace detail

/// Approximate nearest neighbours by a Hierarchical Navigable Small World graph (Malkov and Yashunin, arXiv 1603.09320).
///
/// Keys are yours; vectors (of which types, distance.hpp says) are copied into the index's own storage. They are checked on the
/// way in: a wrong dimension, NaN or infinity, a norm of zero under the cosine metric, or a key in use are errors that
/// name the row and leave the index as it was. So does memory that runs out. Where it is a memory_pool's, that is
/// memory_pool_exhausted, in the forms with an error_code errc::budget_exceeded; anything else that the options' resource
/// throws passes through both forms. Without exceptions either ends the program.
///
/// The same vectors in the same calls, with the same options, give the same graph, for any number of threads.
///
/// Whenever an eighth of the vectors is new the whole graph is connected again: a call that adds so many leaves every
/// vector within reach of a search that is wide enough. In between a new vector is always linked from one of its
/// neighbours, but may in rare cases push another out of reach until then.
///
/// The searches are those of graph_index (detail/graph_index.hpp), as packed_index has them too.
/// They may run from several threads at once; adding must not overlap with anything else. A search allocates nothing
/// after one as wide on the same index, but for the vector that the convenient form returns, until trim(). A moved-from
/// index may only be destroyed or assigned to.
///
/// With a codec, as codecs::pca4, the graph is searched by codes (pca4: once there are 512 vectors), and the candidates are measured by their
/// vectors: several times as fast, for 64 to 192 bytes a vector more. What a search has for distances is exact all the same. The graph is built so
/// too: where to look for links is found by codes, which they are is chosen by vectors.
///
/// With storage::sq8 or storage::f16 the vectors themselves are kept in a quarter or half of the bytes of floats, for distances that are
/// rounded (storage/storage.hpp). Nothing else changes: you add and search with T. Such an index cannot be packed yet.
template <class T, metric<T> Metric = metrics::l2_squared, class Codec = codecs::none,
          class Storage = storage::full>
class hnsw_index : public detail::graph_index_of<T, Metric, Codec, Storage> {
  using base = detail::graph_index_of<T, Metric, Codec, Storage>;
  using vectors = typename detail::vectors_of<T, Metric, Storage>::type;
  using element = typename vectors::value_type;
  using stored_metric = typename vectors::metric_type;
  using codes = typename detail::codes_of<Codec, element, stored_metric>::type;
  static constexpr bool is_full = std::is_same_v<Storage, storage::full>;
  static constexpr bool is_coded = !std::is_base_of_v<detail::no_codes, codes>;

 public:
  using base::size;

  /// For vectors of `dimension` components, 1..1,048,576 or up to the metric's own limit. Options out of range are
  /// errc::invalid_option.
  explicit hnsw_index(std::size_t dimension, const hnsw_options& options = {}, Metric metric = {},
                      const Codec& codec = {}, const Storage& form = {})
      : hnsw_index(unchecked{}, dimension, options, std::move(metric), codec, form) {
    if (!valid(dimension, options, codec, form)) detail::throw_error(errc::invalid_option);
  }
  hnsw_index(std::size_t dimension, const hnsw_options& options, Metric metric, std::error_code& ec)
      : hnsw_index(dimension, options, std::move(metric), Codec{}, ec) {}
  hnsw_index(std::size_t dimension, const hnsw_options& options, Metric metric, const Codec& codec,
             std::error_code& ec)
      : hnsw_index(dimension, options, std::move(metric), codec, Storage{}, ec) {}
  hnsw_index(std::size_t dimension, const hnsw_options& options, Metric metric, const Codec& codec,
             const Storage& form, std::error_code& ec)
      : hnsw_index(unchecked{}, dimension, options, std::move(metric), codec, form) {
    ec = valid(dimension, options, codec, form) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  const hnsw_options& options() const noexcept { return options_; }

  /// All bytes that the index holds, itself included; all but itself are of options().memory. What a search has in use
  /// meanwhile is left out.
  std::size_t memory_bytes() const { return sizeof(*this) + base::held_bytes(); }

  /// Of storage::sq8: learns from rows like those to come how to keep them, instead of from the first addition. At least one; the index is
  /// empty, else errc::invalid_option. Other errors are those of an addition, and leave it as it was.
  void calibrate_storage(matrix_view<T> rows) requires(vectors::calibrates) {
    std::error_code ec;
    const std::size_t row = vectors_.calibrate(rows, ec);
    if (ec) detail::throw_error(ec, row);
  }
  std::size_t calibrate_storage(matrix_view<T> rows, std::error_code& ec) requires(vectors::calibrates) {
    return detail::unless_exhausted(ec, error::no_row, [&] { return vectors_.calibrate(rows, ec); });
  }
  /// Of storage::sq8: how many components, of all vectors, were beyond the range and clamped.
  std::size_t clamped_components() const noexcept requires(vectors::calibrates) { return vectors_.clamped(); }

  /// How well the codes serve, on a sample. `threads`: 0 for all cores.
  alidade::code_stats code_stats(std::size_t threads = 1) const requires(is_coded) {
    return codes_.stats(vectors_, threads);
  }

  /// Learns from the vectors there are now what their codes are made by, and makes all codes anew. The graph stays as it is. Takes memory for both
  /// codes meanwhile. Nothing happens where there are too few vectors for codes. Must not overlap with searches. Strong guarantee.
  void retrain(std::size_t threads = 1) requires(is_coded) {
    if (!codes_.are_in_use()) return;
    transaction change(*this);
    codes_.learn(vectors_, threads);
    change.commit();
  }
  void retrain(std::size_t threads, std::error_code& ec) requires(is_coded) {
    ec.clear();
    detail::unless_exhausted(ec, 0, [&] { return retrain(threads), 0; });
  }

  /// Makes room for `rows` vectors in all; worth it before many single adds. Strong guarantee.
  void reserve(std::size_t rows) {
    transaction change(*this);
    vectors_.reserve(rows);
    graph_.reserve(rows, 0);
    change.commit();
  }

  /// Adds one vector.
  void add(std::uint64_t key, std::span<const T> vector) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()));
  }
  void add(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()), {}, ec);
  }

  /// Adds all rows, or none when one is refused: then the error names it. Meanwhile the old links of vectors that get new
  /// ones are kept, at most as much again as all links take.
  void add(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options = {}) {
    std::error_code ec;
    const std::size_t row = add_rows(keys, rows, options, ec);
    if (ec) detail::throw_error(ec, row);
  }

  /// Returns how many were added, or the first that is refused, or error::no_row where a pool is exhausted or options.progress was false.
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, std::error_code& ec) {
    return add(keys, rows, {}, ec);
  }
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options,
                  std::error_code& ec) {
    return detail::unless_exhausted(ec, error::no_row, [&] { return add_rows(keys, rows, options, ec); });
  }

  /// Links every vector on level 0 anew, to the best of what a search from it finds in the graph as it is now and of its present
  /// neighbours: what came early then knows what came late. Takes about as long as an addition of all, and as much memory again as all
  /// links meanwhile. options.progress as of add. Must not overlap with anything else. Strong guarantee.
  void refine(const add_options& options = {}) {
    std::error_code ec;
    refine_all(options, ec);
    if (ec) detail::throw_error(ec);
  }
  void refine(const add_options& options, std::error_code& ec) {
    detail::unless_exhausted(ec, 0, [&] { return refine_all(options, ec), 0; });
  }

  /// An immutable copy, in one piece of memory that can be saved to a file and mapped (packed_index.hpp): it has the same answers, faster
  /// where the order of its nodes serves. Of this index's resource it takes what this index holds, and up to 9 bytes a vector meanwhile.
  packed_index<T, Metric, Codec> pack(const pack_options& options = {}) const requires(is_full) {
    const auto order = detail::order_of(graph_, options.order, options_.memory);
    detail::index_packer packer(vectors_, graph_, codes_, options_, this->defaults_, order);
    return {packer.image(), vectors_.metric(), options_.memory};
  }
  /// Returns an index of no vectors where a pool is exhausted.
  packed_index<T, Metric, Codec> pack(const pack_options& options, std::error_code& ec) const
      requires(is_full) {
    ec.clear();
    packed_index<T, Metric, Codec> none(vectors_.metric(), options_.memory);
    return detail::unless_exhausted(ec, std::move(none), [&] { return pack(options); });
  }

 private:
  using pruning_metric = typename detail::pruning_metric_of<stored_metric>::type;
  struct unchecked {};
  struct checked {};

  using base::codes_;
  using base::graph_;
  using base::scratches_;
  using base::vectors_;

  hnsw_index(unchecked, std::size_t dimension, const hnsw_options& options, Metric metric, const Codec& codec,
             const Storage& form)
      : hnsw_index(dimension, valid(dimension, options, codec, form) ? options : hnsw_options{}, metric,
                   codec, form, checked{}) {}
  hnsw_index(std::size_t dimension, const hnsw_options& options, const Metric& metric, const Codec& codec,
             const Storage& form, checked)
      : base(vectors(vectors::valid_dimension(dimension) ? dimension : 1, metric, options.memory, form),
             detail::hnsw_graph(options.M, options.memory), codes(codec, options.memory), options.memory),
        options_(options) {}

  static bool valid(std::size_t dimension, const hnsw_options& o, const Codec& codec,
                    const Storage& form) noexcept {
    return codes::valid(codec) && vectors::valid(form) && vectors::valid_dimension(dimension) &&
           detail::valid_options(o);
  }

  /// floor(-ln(uniform(0, 1]) / ln M): the level distribution of arXiv 1603.09320, section 4.1, with its mL = 1 / ln M.
  std::size_t random_level(std::size_t slot) const noexcept {
    const std::uint64_t bits = detail::mix64(options_.seed ^ detail::mix64(slot)) >> 11;  // 53 of them
    const double uniform = static_cast<double>(bits + 1) * 0x1p-53;
    const double level = -std::log(uniform) / std::log(static_cast<double>(options_.M));
    return static_cast<std::size_t>(std::min(level, 63.0));
  }

  /// Adds all rows or, when one is refused, none, and returns which. Strong guarantee.
  std::size_t add_rows(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options,
                       std::error_code& ec) {
    if (const std::size_t bad = vectors_.check(keys, rows, ec); ec) return bad;
    transaction change(*this);
    const std::size_t first = size();
    const std::size_t result = vectors_.append(keys, rows, shuffled(rows.rows()), ec);
    if (ec || result == 0) return result;
    const std::size_t threads = std::min(detail::resolve_threads(options.threads), rows.rows() / 16 + 1);
    codes_.extend(vectors_, threads);  // before there are links: what it learns from takes room for a while
    std::size_t upper_rows = 0;
    for (std::size_t slot = first; slot < vectors_.size(); ++slot) upper_rows += random_level(slot);
    graph_.reserve(vectors_.size(), upper_rows);
    for (std::size_t slot = first; slot < vectors_.size(); ++slot) graph_.append(random_level(slot));
    change.journal.begin(rows.rows(), threads);
    const bool is_linked = with_builder(change.journal, threads, [&](auto& builder) {
      if (!builder.link_from(first, options.progress)) return false;
      // A repair looks at every node: once for each eighth that is added, it costs a constant number of looks a vector.
      unrepaired_ += size() - first;
      if (unrepaired_ * repair_share >= size()) {
        builder.repair();
        unrepaired_ = 0;
      } else {
        builder.repair_from(first);
      }
      return true;
    });
    if (!is_linked) {
      ec = errc::cancelled;
      return error::no_row;
    }
    change.commit();
    return result;
  }

  void refine_all(const add_options& options, std::error_code& ec) {
    ec.clear();
    if (size() < 2) return;
    transaction change(*this);
    const std::size_t threads = std::min(detail::resolve_threads(options.threads), size() / 16 + 1);
    change.journal.begin(size(), threads);
    const bool is_done = with_builder(change.journal, threads, [&](auto& builder) {
      if (!builder.refine(options.progress)) return false;
      builder.repair();
      unrepaired_ = 0;
      return true;
    });
    if (is_done) {
      change.commit();
    } else {
      ec = errc::cancelled;
    }
  }

  template <class F>
  bool with_builder(detail::link_journal& journal, std::size_t threads, const F& f) {
    const auto run = [&](const auto& pruning) {
      detail::graph_builder<element, stored_metric, codes> builder(vectors_, pruning, codes_, graph_, journal,
                                                                   scratches_, options_, threads);
      return f(builder);
    };
    if constexpr (std::is_same_v<pruning_metric, stored_metric>) {
      return run(vectors_.view());
    } else {
      const pruning_metric pruning{};
      return run(vectors_.view(pruning));
    }
  }

  /// The order in which the rows of one call are inserted. Whatever order they come in, each batch is then a fair sample
  /// of the call, so that the nodes of the next one, which do not see each other, find neighbours like them.
  detail::resource_vector<std::uint32_t> shuffled(std::size_t count) const {
    detail::resource_vector<std::uint32_t> order(count, options_.memory);
    std::iota(order.begin(), order.end(), 0u);
    for (std::size_t i = count; i > 1; --i) {
      const std::uint64_t other = detail::mix64(options_.seed + detail::mix64(i)) % i;
      std::swap(order[i - 1], order[static_cast<std::size_t>(other)]);
    }
    return order;
  }

  /// A change that, unless it is committed, is undone.
  struct transaction {
    explicit transaction(hnsw_index& i)
        : index(i),
          rows_end(i.vectors_.mark_end()),
          unrepaired(i.unrepaired_),
          end(i.graph_.mark_end()),
          codes_end(i.codes_.mark_end()),
          journal(i.graph_, i.options_.memory) {}
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    ~transaction() {
      if (is_committed) return;
      journal.undo();
      index.graph_.truncate(end);
      index.vectors_.truncate(rows_end);
      index.codes_.undo(codes_end);
      index.unrepaired_ = unrepaired;
    }

    void commit() noexcept {
      is_committed = true;
      index.codes_.commit();
    }

    hnsw_index& index;
    typename vectors::mark rows_end;
    std::size_t unrepaired;
    detail::hnsw_graph::mark end;
    [[no_unique_address]] typename codes::mark codes_end;
    detail::link_journal journal;
    bool is_committed = false;
  };

  static constexpr std::size_t repair_share = 8;

  hnsw_options options_;
  std::size_t unrepaired_ = 0;  // vectors added since the graph's connection was last seen to
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
