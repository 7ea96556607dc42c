#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/code_set.hpp>
#include <alidade/index/detail/index_packer.hpp>
#include <alidade/index/detail/mutable_index.hpp>
#include <alidade/index/detail/node_order.hpp>
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
using mutable_index_of = mutable_index<
    Vectors, typename codes_of<Codec, typename Vectors::value_type, typename Vectors::metric_type>::type>;

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
/// Vectors that are removed are found no more from then on. Links still lead to them for a while: each removal leads the links of 32 other
/// vectors past what was removed, so that what a removal takes does not grow with their number, but for one in n / 32, which looks at the whole graph; a removed vector's
/// slot is free for another when all links were led past it, which n / 16 removals later of n vectors they have been at the latest.
///
/// Whenever an eighth of the vectors is new the whole graph is connected again: a call that adds so many leaves every
/// vector within reach of a search that is wide enough. In between a new vector is always linked from one of its
/// neighbours, but may in rare cases push another out of reach until then.
///
/// The searches are those of graph_index (detail/graph_index.hpp), as packed_index has them too.
/// They may run from several threads at once; what changes the index must not overlap with anything else. A search allocates nothing
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
class hnsw_index : public detail::mutable_index_of<T, Metric, Codec, Storage> {
  using base = detail::mutable_index_of<T, Metric, Codec, Storage>;
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
    base::learn_codes(threads);
  }
  void retrain(std::size_t threads, std::error_code& ec) requires(is_coded) {
    ec.clear();
    detail::unless_exhausted(ec, 0, [&] { return retrain(threads), 0; });
  }

  /// Makes room for `rows` vectors in all; worth it before many single adds. Strong guarantee.
  void reserve(std::size_t rows) { base::reserve_rows(rows); }

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
    const std::size_t row = base::add_rows(keys, rows, options, ec);
    if (ec) detail::throw_error(ec, row);
  }

  /// Returns how many were added, or the first that is refused, or error::no_row where a pool is exhausted or options.progress was false.
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, std::error_code& ec) {
    return add(keys, rows, {}, ec);
  }
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options,
                  std::error_code& ec) {
    return detail::unless_exhausted(ec, error::no_row,
                                    [&] { return base::add_rows(keys, rows, options, ec); });
  }

  /// Removes the vector of a key; returns whether there was one. Strong guarantee.
  bool remove(std::uint64_t key) { return remove({&key, 1}) != 0; }
  bool remove(std::uint64_t key, std::error_code& ec) { return remove({&key, 1}, 1, ec) != 0; }

  /// Removes the vectors of these keys, as far as there are any, and returns how many. What many removals at once leave behind is seen to
  /// there and then, by `threads` threads, 0 for all cores; the graph does not depend on their number. Where none is left the index is as new,
  /// but for the memory that it keeps and for what storage::sq8 has learnt. Strong guarantee.
  std::size_t remove(std::span<const std::uint64_t> keys, std::size_t threads = 1) {
    return base::remove_keys(keys, threads);
  }
  std::size_t remove(std::span<const std::uint64_t> keys, std::size_t threads, std::error_code& ec) {
    ec.clear();
    return detail::unless_exhausted(ec, std::size_t{0}, [&] { return remove(keys, threads); });
  }

  /// Gives a key that is there another vector. Errors are those of an addition, and errc::unknown_key. Strong guarantee.
  void update(std::uint64_t key, std::span<const T> vector) {
    std::error_code ec;
    base::update_one(key, vector, ec);
    if (ec) detail::throw_error(ec, 0);
  }
  void update(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    detail::unless_exhausted(ec, 0, [&] { return base::update_one(key, vector, ec), 0; });
  }

  /// Gives back the room that removed vectors had, and all that was made beyond what there is, and connects what additions may have cut off. Takes memory for a second index meanwhile; where
  /// that runs out, what still led to removed vectors may have been led past them, and nothing else has changed.
  void compact(std::size_t threads = 1) { base::compact_all(threads); }
  void compact(std::size_t threads, std::error_code& ec) {
    ec.clear();
    detail::unless_exhausted(ec, 0, [&] { return compact(threads), 0; });
  }

  /// Links every vector on level 0 anew, to the best of what a search from it finds in the graph as it is now and of its present
  /// neighbours: what came early then knows what came late. Takes about as long as an addition of all, and as much memory again as all
  /// links meanwhile. options.progress as of add. Must not overlap with anything else. Strong guarantee.
  void refine(const add_options& options = {}) {
    std::error_code ec;
    base::refine_all(options, ec);
    if (ec) detail::throw_error(ec);
  }
  void refine(const add_options& options, std::error_code& ec) {
    detail::unless_exhausted(ec, 0, [&] { return base::refine_all(options, ec), 0; });
  }

  /// An immutable copy, in one piece of memory that can be saved to a file and mapped (packed_index.hpp): it has the same answers, faster
  /// where the order of its nodes serves. Of this index's resource it takes what this index holds, and up to 9 bytes a vector meanwhile.
  packed_index<T, Metric, Codec> pack(const pack_options& options = {}) const requires(is_full) {
    auto order = detail::order_of(graph_, options.order, options_.memory);
    base::leave_out_free(order);
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

 protected:
  using base::codes_;
  using base::graph_;
  using base::options_;
  using base::vectors_;

 private:
  struct unchecked {};
  struct checked {};

  hnsw_index(unchecked, std::size_t dimension, const hnsw_options& options, Metric metric, const Codec& codec,
             const Storage& form)
      : hnsw_index(dimension, valid(dimension, options, codec, form) ? options : hnsw_options{}, metric,
                   codec, form, checked{}) {}
  hnsw_index(std::size_t dimension, const hnsw_options& options, const Metric& metric, const Codec& codec,
             const Storage& form, checked)
      : base(vectors(vectors::valid_dimension(dimension) ? dimension : 1, metric, options.memory, form),
             codes(codec, options.memory), options) {}

  static bool valid(std::size_t dimension, const hnsw_options& o, const Codec& codec,
                    const Storage& form) noexcept {
    return codes::valid(codec) && vectors::valid(form) && vectors::valid_dimension(dimension) &&
           detail::valid_options(o);
  }
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
