#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/half.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/simd/ops/array_checks.hpp>
#include <alidade/simd/prefetch.hpp>
#include <alidade/storage/key_map.hpp>
#include <alidade/storage/row_storage.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

template <class Metric, class T>
concept preparing_metric = requires(const Metric& m, std::span<const T> in, std::span<T> out) {
  { m.prepare(in, out) } -> std::same_as<bool>;
};

template <class Metric, class T>
concept one_to_many_metric = requires(const Metric& m, const T* query, const T* const* rows, std::size_t n,
                                      distance_type<Metric, T>* out) {
  m.many(query, rows, n, n, out);
};

template <class T>
bool all_finite(std::span<const T> v) noexcept {
  bool finite = true;
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    finite = simd::all_finite(v);
  } else if constexpr (real_element<T>) {
    for (const T x : v) finite &= detail::is_finite(x);
  }
  return finite;
}

/// Stored vectors, by slot, and distances between them in one metric. A view: it owns neither.
template <class T, metric<T> Metric>
class vector_view {
 public:
  using D = distance_type<Metric, T>;
  using element = T;
  using query_type = const T*;

  vector_view(const row_storage<T>& rows, std::size_t dimension, const Metric& metric)
      : rows_(&rows), dimension_(dimension), metric_(&metric) {}

  std::size_t stride() const noexcept { return rows_->stride(); }
  std::size_t row_bytes() const noexcept { return stride() * sizeof(T); }
  const T* row(std::size_t slot) const noexcept { return (*rows_)[slot]; }

  /// Distances from a prepared vector to rows given by address.
  void distances(const T* query, const T* const* rows, std::size_t count, D* out) const noexcept {
    if constexpr (one_to_many_metric<Metric, T>) {
      metric_->many(query, rows, count, stride(), out);
    } else {
      const std::span<const T> a(query, dimension_);
      for (std::size_t i = 0; i < count; ++i) {
        out[i] = static_cast<D>((*metric_)(a, std::span<const T>(rows[i], dimension_)));
        if constexpr (std::is_same_v<D, float>) out[i] = nan_to_infinity(out[i]);
      }
    }
  }

  D distance(const T* query, std::size_t slot) const noexcept {
    const T* address = row(slot);
    D out;
    distances(query, &address, 1, &out);
    return out;
  }

 private:
  const row_storage<T>* rows_;
  std::size_t dimension_;
  const Metric* metric_;
};

/// What every index stands on: checked vectors in flat storage, each with the user's key, and distances to them. Rows
/// hold the metric's prepared form, padded with zeros up to the stride.
template <class T, metric<T> Metric>
class vector_set {
  static_assert(real_element<T> || byte_element<T> || std::is_same_v<T, bits8>,
                "vectors are of float, double, alidade::f16, alidade::bf16, std::int8_t, std::uint8_t or "
                "alidade::bits8");

 public:
  using D = distance_type<Metric, T>;
  static constexpr std::size_t max_rows = (std::size_t{1} << 30) - 1;  // a link has two bits beside the slot

  vector_set(std::size_t dimension, Metric metric, memory_resource* memory = nullptr)
      : dimension_(dimension), metric_(std::move(metric)), rows_(dimension, memory), keys_(memory) {}

  std::size_t size() const noexcept { return keys_.size(); }
  std::size_t dimension() const noexcept { return dimension_; }
  std::size_t stride() const noexcept { return rows_.stride(); }
  const T* row(std::size_t slot) const noexcept { return rows_[slot]; }
  std::uint64_t key(std::size_t slot) const noexcept { return keys_.key(slot); }
  bool contains(std::uint64_t key) const noexcept { return keys_.find(key) != key_map::npos; }

  void reserve(std::size_t rows) {
    if (rows > max_rows) throw_error(errc::too_many_rows, max_rows);
    keys_.reserve(rows);
    rows_.reserve(rows);
  }

  static constexpr bool valid_dimension(std::size_t dimension) noexcept {
    if constexpr (requires { Metric::template max_dimension<T>; }) {
      return dimension >= 1 && dimension <= Metric::template max_dimension<T>;
    } else {
      return dimension >= 1 && dimension <= max_dimension;
    }
  }

  /// The vectors under the set's own metric, or under another that takes their stored form.
  vector_view<T, Metric> view() const { return {rows_, dimension_, metric_}; }
  template <class Other>
  vector_view<T, Other> view(const Other& other) const {
    return {rows_, dimension_, other};
  }

  /// Whether keys and rows fit each other and the set, before anything is looked at or made room for.
  std::size_t check(std::span<const std::uint64_t> keys, matrix_view<T> rows,
                    std::error_code& ec) const noexcept {
    ec.clear();
    if (keys.size() != rows.rows()) return fail(errc::size_mismatch, std::min(keys.size(), rows.rows()), ec);
    if (rows.rows() != 0 && rows.columns() != dimension_) return fail(errc::dimension_mismatch, 0, ec);
    if (rows.rows() > max_rows - size()) return fail(errc::too_many_rows, max_rows - size(), ec);
    return rows.rows();
  }

  /// Whether queries can be answered at all, before room is made for their answers; each is checked when prepared.
  bool check_queries(matrix_view<T> queries, std::size_t k, std::error_code& ec,
                     std::size_t& bad_row) const noexcept {
    ec.clear();
    if (k == 0) {
      ec = errc::invalid_option;
    } else if (queries.rows() != 0 && queries.columns() != dimension_) {
      bad_row = fail(errc::dimension_mismatch, 0, ec);
    }
    return !ec;
  }

  /// Appends all rows or, when one is refused, none, and returns which; on success returns how many. Rows go to the slots
  /// in the order given, or as they come when that is empty. Strong guarantee.
  std::size_t append(std::span<const std::uint64_t> keys, matrix_view<T> rows,
                     std::span<const std::uint32_t> order, std::error_code& ec) {
    if (const std::size_t bad = check(keys, rows, ec); ec) return bad;
    const std::size_t before = size();
    reserve(before + rows.rows());
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      errc code = prepare(rows[i], rows_[before + i]);
      if (code == errc{} && !keys_.insert(keys[i])) code = errc::duplicate_key;
      if (code != errc{}) {
        keys_.truncate(before);
        return fail(code, i, ec);
      }
    }
    if (!order.empty()) {  // all are good: once more, in that order
      keys_.truncate(before);
      for (std::size_t i = 0; i < rows.rows(); ++i) {
        prepare(rows[order[i]], rows_[before + i]);
        keys_.insert(keys[order[i]]);
      }
    }
    return rows.rows();
  }

  std::size_t row_capacity() const noexcept { return rows_.capacity(); }

  /// Forgets the newest rows until `count` are left, and gives back the room for rows that was made since it was for
  /// `capacity`.
  void truncate(std::size_t count, std::size_t capacity) noexcept {
    keys_.truncate(count);
    rows_.shrink(capacity);
  }

  /// Checks a vector and writes its stored form, of stride() elements; errc{} when it is accepted.
  errc prepare(std::span<const T> in, T* out) const noexcept {
    if (in.size() != dimension_) return errc::dimension_mismatch;
    if (!all_finite(in)) return errc::not_finite;
    if constexpr (preparing_metric<Metric, T>) {
      if (!metric_.prepare(in, std::span<T>(out, dimension_))) return errc::zero_norm;
    } else {
      std::copy(in.begin(), in.end(), out);
    }
    std::fill(out + dimension_, out + stride(), T{});
    return errc{};
  }

  std::size_t memory_bytes() const noexcept { return keys_.memory_bytes() + rows_.memory_bytes(); }

 private:
  static std::size_t fail(errc code, std::size_t row, std::error_code& ec) noexcept {
    ec = code;
    return row;
  }

  std::size_t dimension_;
  [[no_unique_address]] Metric metric_;
  row_storage<T> rows_;
  key_map keys_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
