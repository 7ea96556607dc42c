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
#include <alidade/simd/ops/array_checks.hpp>
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

/// Of any index: a link has two bits beside the slot.
inline constexpr std::size_t max_index_rows = (std::size_t{1} << 30) - 1;

/// Stored vectors, by slot, and distances between them in one metric. A view: it owns neither. `Rows` says where they lie.
template <class T, metric<T> Metric, class Rows = stored_rows<T>>
class vector_view {
 public:
  using D = distance_type<Metric, T>;
  using element = T;
  using query_type = const T*;

  vector_view(const Rows& rows, std::size_t dimension, const Metric& metric)
      : rows_(rows), dimension_(dimension), metric_(&metric) {}

  std::size_t stride() const noexcept { return rows_.stride(); }
  std::size_t row_bytes() const noexcept { return stride() * sizeof(T); }
  const T* row(std::size_t slot) const noexcept { return rows_[slot]; }

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
  Rows rows_;
  std::size_t dimension_;
  const Metric* metric_;
};

/// What vectors must be to be stored or asked for, and their stored form: as the metric prepares it, padded with zeros up to
/// the stride.
template <class T, metric<T> Metric>
class vector_form {
  static_assert(real_element<T> || byte_element<T> || std::is_same_v<T, bits8>,
                "vectors are of float, double, alidade::f16, alidade::bf16, std::int8_t, std::uint8_t or "
                "alidade::bits8");

 public:
  using value_type = T;
  using input_type = T;  ///< what vectors and queries are given as
  using metric_type = Metric;
  using D = distance_type<Metric, T>;

  vector_form(std::size_t dimension, Metric metric)
      : dimension_(dimension), stride_(row_storage<T>::stride_of(dimension)), metric_(std::move(metric)) {}

  std::size_t dimension() const noexcept { return dimension_; }
  /// Elements of a stored vector.
  std::size_t stride() const noexcept { return stride_; }
  const Metric& metric() const noexcept { return metric_; }

  static constexpr bool valid_dimension(std::size_t dimension) noexcept {
    if constexpr (requires { Metric::template max_dimension<T>; }) {
      return dimension >= 1 && dimension <= Metric::template max_dimension<T>;
    } else {
      return dimension >= 1 && dimension <= max_dimension;
    }
  }

  /// Whether queries can be answered at all, before room is made for their answers; each is checked when prepared.
  template <class Input>
  bool check_queries(matrix_view<Input> queries, std::size_t k, std::error_code& ec,
                     std::size_t& bad_row) const noexcept {
    ec.clear();
    if (k == 0) {
      ec = errc::invalid_option;
    } else if (queries.rows() != 0 && queries.columns() != dimension_) {
      ec = errc::dimension_mismatch;
      bad_row = 0;
    }
    return !ec;
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
    pad(out);
    return errc{};
  }

  /// The same of a query, whose distances are to be multiplied with what is returned beside, where scales_queries; there must be room for
  /// query_elements().
  std::pair<errc, float> prepare_query(std::span<const T> in, T* out) const noexcept {
    return {prepare(in, out), 1.0f};
  }
  std::size_t query_elements() const noexcept { return stride_; }
  static constexpr bool scales_queries = false;

  /// A vector from its stored form, as the metric has prepared it.
  void restore(const T* stored, std::span<T> out) const noexcept {
    std::copy_n(stored, out.size(), out.begin());
  }

 protected:
  void pad(T* row) const noexcept { std::fill(row + dimension_, row + stride_, T{}); }
  Metric& own_metric() noexcept { return metric_; }
  void set_dimension(std::size_t dimension) noexcept {
    dimension_ = dimension;
    stride_ = row_storage<T>::stride_of(dimension);
  }

 private:
  std::size_t dimension_;
  std::size_t stride_;
  [[no_unique_address]] Metric metric_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
