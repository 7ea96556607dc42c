#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/block_scan.hpp>
#include <alidade/index/detail/exact_answers.hpp>
#include <alidade/index/detail/slot_filter.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/neighbor.hpp>
#include <alidade/index/options.hpp>
#include <alidade/index/search_filter.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/key_map.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Exact nearest neighbours: every search measures the distance to every vector. The right index for some thousand
/// vectors, and the truth that approximate ones are judged by.
///
/// Vectors and keys are checked on the way in: a wrong dimension, NaN or infinity, a norm of zero under the cosine
/// metric, or a key in use are errors that name the row, and leave the index as it was. So does memory that runs out, as in
/// hnsw_index.
///
/// Searches may run from several threads at once; what changes the index must not overlap with anything else.
template <class T, metric<T> Metric = metrics::l2_squared>
class flat_index {
  using vectors = detail::vector_set<T, Metric>;

 public:
  using value_type = T;
  using distance_type = alidade::distance_type<Metric, T>;
  using neighbor_type = neighbor<distance_type>;

  /// For vectors of `dimension` components, 1..1,048,576 or up to the metric's own limit, else errc::invalid_option.
  explicit flat_index(std::size_t dimension, Metric metric = {})
      : flat_index(dimension, flat_options{}, std::move(metric)) {}
  flat_index(std::size_t dimension, Metric metric, std::error_code& ec)
      : flat_index(dimension, flat_options{}, std::move(metric), ec) {}

  flat_index(std::size_t dimension, const flat_options& options, Metric metric = {})
      : flat_index(unchecked{}, dimension, options, std::move(metric)) {
    if (!vectors::valid_dimension(dimension)) detail::throw_error(errc::invalid_option);
  }
  flat_index(std::size_t dimension, const flat_options& options, Metric metric, std::error_code& ec)
      : flat_index(unchecked{}, dimension, options, std::move(metric)) {
    ec = vectors::valid_dimension(dimension) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  std::size_t size() const noexcept { return vectors_.size(); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t dimension() const noexcept { return vectors_.dimension(); }
  bool contains(std::uint64_t key) const noexcept { return vectors_.contains(key); }
  const flat_options& options() const noexcept { return options_; }

  /// All bytes that the index holds, itself included; all but itself are of options().memory.
  std::size_t memory_bytes() const noexcept {
    return sizeof(*this) + vectors_.memory_bytes() + free_.capacity() * sizeof(std::uint32_t);
  }

  /// Makes room for `rows` vectors in all.
  void reserve(std::size_t rows) {
    if (rows > vectors::max_rows) detail::throw_error(errc::too_many_rows, vectors::max_rows);
    const std::size_t had = size() + free_.size();
    if (rows > had) vectors_.reserve(vectors_.slots() + rows - had);
  }

  void add(std::uint64_t key, std::span<const T> vector) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()));
  }
  void add(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()), ec);
  }

  /// Adds all rows, or none when one is refused: then the error names it, or it is returned instead of how many.
  void add(std::span<const std::uint64_t> keys, matrix_view<T> rows) {
    std::error_code ec;
    const std::size_t row = add_rows(keys, rows, ec);
    if (ec) detail::throw_error(ec, row);
  }
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, std::error_code& ec) {
    return detail::unless_exhausted(ec, error::no_row, [&] { return add_rows(keys, rows, ec); });
  }

  /// Removes the vector of a key; returns whether there was one. Its room is for the next that comes. Strong guarantee.
  bool remove(std::uint64_t key) {
    const std::uint32_t slot = vectors_.find(key);
    if (slot == detail::key_map::npos) return false;
    reserve_free();
    vectors_.remove(slot);
    free_.push_back(slot);
    return true;
  }
  bool remove(std::uint64_t key, std::error_code& ec) {
    ec.clear();
    return detail::unless_exhausted(ec, false, [&] { return remove(key); });
  }

  /// Gives a key that is there another vector. Errors are those of an addition, and errc::unknown_key. Strong guarantee.
  void update(std::uint64_t key, std::span<const T> vector) {
    std::error_code ec;
    update_one(key, vector, ec);
    if (ec) detail::throw_error(ec, 0);
  }
  void update(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    detail::unless_exhausted(ec, 0, [&] { return update_one(key, vector, ec), 0; });
  }

  /// The k nearest, sorted, ties by key; all there are when there are fewer.
  std::vector<neighbor_type> search(std::span<const T> query, const flat_search_options& options = {}) const {
    auto results = search(matrix_view<T>(query.data(), 1, query.size()), options);
    return {results[0].begin(), results[0].end()};
  }
  std::vector<neighbor_type> search(std::span<const T> query, const flat_search_options& options,
                                    std::error_code& ec) const {
    auto results = search(matrix_view<T>(query.data(), 1, query.size()), options, ec);
    if (ec) return {};
    return {results[0].begin(), results[0].end()};
  }

  /// The k nearest of each row of `queries`. A block of vectors is measured against many queries while it is in cache.
  search_results<distance_type> search(matrix_view<T> queries,
                                       const flat_search_options& options = {}) const {
    std::error_code ec;
    std::size_t row = error::no_row;
    auto results = search(queries, options, ec, row);
    if (ec) detail::throw_error(ec, row);
    return results;
  }
  search_results<distance_type> search(matrix_view<T> queries, const flat_search_options& options,
                                       std::error_code& ec) const {
    return detail::unless_exhausted(ec, search_results<distance_type>(), [&] {
      std::size_t row = error::no_row;
      return search(queries, options, ec, row);
    });
  }

 private:
  struct unchecked {};

  flat_index(unchecked, std::size_t dimension, const flat_options& options, Metric metric)
      : options_(options),
        vectors_(vectors::valid_dimension(dimension) ? dimension : 1, std::move(metric), options.memory),
        free_(options.memory) {}

  search_results<distance_type> search(matrix_view<T> queries, const flat_search_options& options,
                                       std::error_code& ec, std::size_t& bad_row) const {
    if (!vectors_.check_queries(queries, options.k, ec, bad_row)) return {};
    const std::size_t stride = vectors_.stride();
    detail::aligned_bytes prepared_bytes(
        std::max<std::size_t>(detail::checked_product(queries.rows(), stride * sizeof(T)), 1),
        options_.memory);
    T* prepared = reinterpret_cast<T*>(prepared_bytes.data());
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      if (const errc code = vectors_.prepare(queries[i], prepared + i * stride); code != errc{}) {
        ec = code;
        bad_row = i;
        return {};
      }
    }
    search_results<distance_type> results(queries.rows(), std::min(options.k, size()));
    if (empty()) return results;
    const std::size_t threads = detail::resolve_threads(options.threads);
    if (options.filter.what() != search_filter::kind::everything) {
      search_allowed(prepared, options.filter, threads, results);
      return results;
    }
    if constexpr (form != detail::product_form::none) {
      using blocks = detail::block_scan<T, form>;
      // Rows are packed anew for each task, so there is one for each thread, unless its queries' copies take too much.
      const std::size_t share = std::min((queries.rows() + threads - 1) / threads, blocks::max_queries);
      if (share >= blocks::min_queries && dimension() <= blocks::max_dimension) {
        detail::parallel_for(queries.rows(), share, threads,
                             [&](std::size_t begin, std::size_t end, std::size_t) {
                               scan_blocks(prepared, begin, end, results);
                             });
        return results;
      }
    }
    // Few queries to a task when there are few in all, so that every thread gets some.
    const std::size_t grain = std::clamp<std::size_t>(queries.rows() / (4 * threads), 1, 32);
    detail::parallel_for(
        queries.rows(), grain, threads,
        [&](std::size_t begin, std::size_t end, std::size_t) { scan(prepared, begin, end, results); });
    return results;
  }

  /// Of what a filter allows, query by query.
  void search_allowed(const T* prepared, const search_filter& filter, std::size_t threads,
                      search_results<distance_type>& results) const {
    detail::slot_filter allowed(options_.memory);
    const std::span<const std::uint32_t> slots = allowed.prepare_exact(vectors_, filter);
    detail::parallel_for(results.size(), 1, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
      for (std::size_t query = begin; query < end; ++query) {
        answers best(results.slots(query));
        detail::scan_slots(vectors_, slots, prepared + query * vectors_.stride(), best);
        best.sort();
        results.set_count(query, best.count());
      }
    });
  }

  static constexpr detail::product_form form = detail::form_of<Metric, T>;

  using answers = detail::exact_answers<distance_type>;
  using all_answers = detail::resource_vector<answers>;

  all_answers answers_of(std::size_t begin, std::size_t end, search_results<distance_type>& results) const {
    all_answers all(options_.memory);
    all.reserve(end - begin);
    for (std::size_t query = begin; query < end; ++query) all.emplace_back(results.slots(query));
    return all;
  }
  static void finish(std::size_t begin, all_answers& all, search_results<distance_type>& results) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].sort();
      results.set_count(begin + i, all[i].count());
    }
  }

  /// Answers queries [begin, end): block by block of rows, each against all of these queries.
  void scan(const T* prepared, std::size_t begin, std::size_t end,
            search_results<distance_type>& results) const {
    auto all = answers_of(begin, end, results);
    detail::scan_all(vectors_, prepared + begin * vectors_.stride(), std::span<answers>(all));
    finish(begin, all, results);
  }

  /// The same answers where the metric follows from inner products.
  void scan_blocks(const T* prepared, std::size_t begin, std::size_t end,
                   search_results<distance_type>& results) const {
    const std::size_t stride = vectors_.stride();
    const T* const queries = prepared + begin * stride;
    auto all = answers_of(begin, end, results);
    const auto view = vectors_.view();
    detail::block_scan<T, form> blocks(queries, end - begin, stride, dimension(), options_.memory);
    blocks.run(
        vectors_.slots(), [&](std::size_t slot) { return vectors_.row(slot); },
        [&](std::size_t query, std::size_t slot) {
          if (!vectors_.is_removed(slot))
            all[query].offer({vectors_.key(slot), view.distance(queries + query * stride, slot)});
          return all[query].bound();
        });
    finish(begin, all, results);
  }

  /// Room for one more, and for a slot more, should an update take one.
  void reserve_free() {
    vectors_.reserve_removed(vectors_.slots() + 1);
    if (free_.size() == free_.capacity()) free_.reserve(std::max<std::size_t>(2 * free_.size(), 16));
  }

  std::size_t add_rows(std::span<const std::uint64_t> keys, matrix_view<T> rows, std::error_code& ec) {
    const std::size_t reused = std::min(rows.rows(), free_.size());
    const auto slots = std::span<const std::uint32_t>(free_).last(reused);
    const std::size_t result = vectors_.add(keys, rows, {}, slots, ec);
    if (!ec) free_.resize(free_.size() - reused);
    return result;
  }

  void update_one(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    ec.clear();
    const std::uint32_t slot = vectors_.find(key);
    if (slot == detail::key_map::npos) {
      ec = errc::unknown_key;
      return;
    }
    reserve_free();
    // Beside the old one, which is there again where the new one is refused.
    if (free_.empty()) vectors_.reserve(vectors_.slots() + 1);
    vectors_.remove(slot);
    add_rows({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()), ec);
    if (ec) {
      vectors_.unremove(slot);
    } else {
      free_.push_back(slot);
    }
  }

  flat_options options_;
  vectors vectors_;
  detail::resource_vector<std::uint32_t> free_;  ///< slots without a vector
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
