#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/distance/kernels.hpp>
#include <alidade/distance/metric.hpp>

/// Distances of one vector to many, and of many to many, in any metric: of metrics::inner_product the negative product.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What a metric's call returns: of doubles a double, which distance_type makes a float.
template <class Metric, class T>
requires metric<Metric, T>
using distance_result = std::invoke_result_t<const Metric&, std::span<const T>, std::span<const T>>;

namespace detail {

template <class Metric, class T, class D>
concept groups_distances = requires(const Metric& m, const T* a, const T* const* rows, std::size_t n,
                                    D* out) {
  m.distances(a, rows, n, n, out);
};

}  // namespace detail

/// out[j] = metric(query, rows[j]), bit for bit. The rows lie in order, which the processor sees by itself: prefetching them
/// by hand cost a quarter of the time in cache and gained nothing from memory.
/// query.size() == rows.columns(), out.size() == rows.rows() (asserted).
template <class Metric, class T>
requires metric<Metric, T>
void one_to_many(const Metric& metric, std::type_identity_t<std::span<const T>> query, matrix_view<T> rows,
                 std::span<distance_result<Metric, T>> out) noexcept {
  ALIDADE_ASSERT(query.size() == rows.columns());
  ALIDADE_ASSERT(out.size() == rows.rows());
  if constexpr (detail::groups_distances<Metric, T, distance_result<Metric, T>>) {
    constexpr std::size_t group = 64;
    const T* pointers[group];
    for (std::size_t begin = 0; begin < rows.rows(); begin += group) {
      const std::size_t count = std::min(group, rows.rows() - begin);
      for (std::size_t j = 0; j < count; ++j) pointers[j] = rows.data() + (begin + j) * rows.stride();
      metric.distances(query.data(), pointers, count, query.size(), out.data() + begin);
    }
  } else {
    for (std::size_t j = 0; j < rows.rows(); ++j) out[j] = metric(query, rows[j]);
  }
}

/// out[i * rows.rows() + j] = metric(queries[i], rows[j]), bit for bit. Rows are measured against all queries while they are
/// in the first cache, several at a time in registers. queries.columns() == rows.columns(),
/// out.size() == queries.rows() * rows.rows() (asserted).
template <class Metric, class T>
requires metric<Metric, T>
void many_to_many(const Metric& metric, matrix_view<T> queries, matrix_view<T> rows,
                  std::span<distance_result<Metric, T>> out) noexcept {
  ALIDADE_ASSERT(queries.columns() == rows.columns());
  ALIDADE_ASSERT(out.size() == queries.rows() * rows.rows());
  if constexpr (detail::groups_distances<Metric, T, distance_result<Metric, T>>) {
    constexpr std::size_t near_bytes = std::size_t{16} << 10, most = 64;
    const std::size_t row_bytes = std::max<std::size_t>(rows.columns() * sizeof(T), 1);
    const std::size_t block = std::clamp<std::size_t>(near_bytes / row_bytes, 4, most);
    const T* near[most];
    for (std::size_t first = 0; first < rows.rows(); first += block) {
      const std::size_t count = std::min(block, rows.rows() - first);
      for (std::size_t j = 0; j < count; ++j) near[j] = rows.data() + (first + j) * rows.stride();
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        metric.distances(queries.data() + i * queries.stride(), near, count, rows.columns(),
                         out.data() + i * rows.rows() + first);
      }
    }
  } else {
    for (std::size_t i = 0; i < queries.rows(); ++i)
      one_to_many(metric, queries[i], rows, out.subspan(i * rows.rows(), rows.rows()));
  }
}

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
