#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/neighbor.hpp>
#include <alidade/index/options.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Exact nearest neighbours: every search measures the distance to every vector. The right index for some thousand
/// vectors, and the truth that approximate ones are judged by.
///
/// Vectors and keys are checked on the way in: a wrong dimension, NaN or infinity, a norm of zero under the cosine
/// metric, or a key in use are errors that name the row, and leave the index as it was.
///
/// Searches may run from several threads at once; adding must not overlap with anything else.
template <class T, metric<T> Metric = metrics::l2_squared>
class flat_index {
  using vectors = detail::vector_set<T, Metric>;

 public:
  using value_type = T;
  using distance_type = alidade::distance_type<Metric, T>;
  using neighbor_type = neighbor<distance_type>;

  /// For vectors of `dimension` components, 1..1,048,576 or up to the metric's own limit, else errc::invalid_option.
  explicit flat_index(std::size_t dimension, Metric metric = {})
      : vectors_(vectors::valid_dimension(dimension) ? dimension : 1, std::move(metric)) {
    if (!vectors::valid_dimension(dimension)) detail::throw_error(errc::invalid_option);
  }
  flat_index(std::size_t dimension, Metric metric, std::error_code& ec)
      : vectors_(vectors::valid_dimension(dimension) ? dimension : 1, std::move(metric)) {
    ec = vectors::valid_dimension(dimension) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  std::size_t size() const noexcept { return vectors_.size(); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t dimension() const noexcept { return vectors_.dimension(); }
  bool contains(std::uint64_t key) const noexcept { return vectors_.contains(key); }
  std::size_t memory_bytes() const noexcept { return sizeof(*this) + vectors_.memory_bytes(); }
  void reserve(std::size_t rows) { vectors_.reserve(rows); }

  void add(std::uint64_t key, std::span<const T> vector) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()));
  }
  void add(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()), ec);
  }

  /// Adds all rows, or none when one is refused: then the error names it, or it is returned instead of how many.
  void add(std::span<const std::uint64_t> keys, matrix_view<T> rows) {
    std::error_code ec;
    const std::size_t row = add(keys, rows, ec);
    if (ec) detail::throw_error(ec, row);
  }
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, std::error_code& ec) {
    return vectors_.append(keys, rows, {}, ec);
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
    std::size_t row = error::no_row;
    return search(queries, options, ec, row);
  }

 private:
  search_results<distance_type> search(matrix_view<T> queries, const flat_search_options& options,
                                       std::error_code& ec, std::size_t& bad_row) const {
    if (!vectors_.check_queries(queries, options.k, ec, bad_row)) return {};
    const std::size_t stride = vectors_.stride();
    detail::aligned_bytes prepared_bytes(
        std::max<std::size_t>(detail::checked_product(queries.rows(), stride * sizeof(T)), 1));
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
    // Few queries to a task when there are few in all, so that every thread gets some.
    const std::size_t threads = detail::resolve_threads(options.threads);
    const std::size_t grain = std::clamp<std::size_t>(queries.rows() / (4 * threads), 1, 32);
    detail::parallel_for(
        queries.rows(), grain, threads,
        [&](std::size_t begin, std::size_t end, std::size_t) { scan(prepared, begin, end, results); });
    return results;
  }

  /// Answers queries [begin, end): block by block of rows, each against all of these queries. A query's answers so far
  /// are a heap with the worst on top, in the place of its results.
  void scan(const T* prepared, std::size_t begin, std::size_t end,
            search_results<distance_type>& results) const {
    constexpr std::size_t block = 64;
    const T* rows[block];
    distance_type distances[block];
    std::vector<std::size_t> counts(end - begin, 0);
    const auto view = vectors_.view();
    for (std::size_t first = 0; first < size(); first += block) {
      const std::size_t count = std::min(block, size() - first);
      for (std::size_t j = 0; j < count; ++j) rows[j] = vectors_.row(first + j);
      for (std::size_t query = begin; query < end; ++query) {
        view.distances(prepared + query * vectors_.stride(), rows, count, distances);
        const auto slots = results.slots(query);
        std::size_t& found = counts[query - begin];
        for (std::size_t j = 0; j < count; ++j) {
          if (found == slots.size() && slots[0].distance < distances[j]) continue;
          const neighbor_type offered{vectors_.key(first + j), distances[j]};
          if (found < slots.size()) {
            slots[found++] = offered;
            std::push_heap(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(found));
          } else if (offered < slots[0]) {
            std::pop_heap(slots.begin(), slots.end());
            slots.back() = offered;
            std::push_heap(slots.begin(), slots.end());
          }
        }
      }
    }
    for (std::size_t query = begin; query < end; ++query) {
      const auto slots = results.slots(query).first(counts[query - begin]);
      std::sort_heap(slots.begin(), slots.end());
      results.set_count(query, slots.size());
    }
  }

  vectors vectors_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
