#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/half.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/code_search.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/component_range.hpp>
#include <alidade/quantize/hadamard_rotation.hpp>
#include <alidade/quantize/signed_bytes.hpp>
#include <alidade/storage/storage.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

template <class Metric>
inline constexpr bool is_of_directions = requires {
  Metric::template normalised<float>;
};

/// Floats or doubles that are kept as half floats.
template <std::floating_point T, class Metric, class Half>
class half_vectors : public vector_set<Half, Metric> {
  using base = vector_set<Half, Metric>;
  static_assert(is_of_directions<Metric> || !preparing_metric<Metric, Half>,
                "a metric that prepares vectors would have to do so before they are stored");

 public:
  using input_type = T;

  template <class Storage>
  half_vectors(std::size_t dimension, Metric metric, memory_resource* memory, const Storage&)
      : base(dimension, std::move(metric), memory) {}

  template <class Storage>
  static bool valid(const Storage&) noexcept {
    return true;
  }

  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows,
                  std::span<const std::uint32_t> order, std::span<const std::uint32_t> reused,
                  std::error_code& ec) {
    return base::add(keys, rows, order, reused, ec,
                     [this](std::span<const T> in, Half* out) { return prepare(in, out); });
  }

  errc prepare(std::span<const T> in, Half* out) const noexcept {
    if (in.size() != this->dimension()) return errc::dimension_mismatch;
    if (!all_finite(in)) return errc::not_finite;
    bool fits = true;
    const auto keep = [&](std::size_t i, auto x) {
      out[i] = Half(static_cast<float>(x));
      fits = fits && is_finite(out[i]);
    };
    if constexpr (is_of_directions<Metric>) {
      const to_unit_length<T> unit(in);
      if (!unit) return errc::zero_norm;
      for (std::size_t i = 0; i < in.size(); ++i) keep(i, unit(in[i]));
    } else {
      for (std::size_t i = 0; i < in.size(); ++i) keep(i, in[i]);
    }
    this->pad(out);
    return fits ? errc{} : errc::not_representable;
  }

  std::pair<errc, float> prepare_query(std::span<const T> in, Half* out) const noexcept {
    return {prepare(in, out), 1.0f};
  }

  void restore(const Half* stored, std::span<T> out) const noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(static_cast<float>(stored[i]));
  }
};

/// A metric of bytes times a factor.
template <class Metric>
struct scaled_metric {
  using pruning_metric =
      std::conditional_t<std::is_same_v<Metric, metrics::inner_product>, metrics::l2_squared, scaled_metric>;

  template <class T>
  static constexpr std::size_t max_dimension = Metric::template max_dimension<T>;

  float operator()(std::span<const std::int8_t> a, std::span<const std::int8_t> b) const noexcept {
    return factor * static_cast<float>(Metric{}(a, b));
  }

  void many(const std::int8_t* query, const std::int8_t* const* rows, std::size_t count, std::size_t n,
            float* out) const noexcept {
    constexpr std::size_t group = 64;
    distance_type<Metric, std::int8_t> sums[group];
    for (std::size_t first = 0; first < count; first += group) {
      const std::size_t here = std::min(group, count - first);
      Metric{}.many(query, rows + first, here, n, sums);
      for (std::size_t j = 0; j < here; ++j) out[first + j] = factor * static_cast<float>(sums[j]);
    }
  }

  float factor = 1;
};

template <class Metric>
struct centred_form_of<scaled_metric<Metric>> {
  static constexpr centred_form form =
      std::is_same_v<Metric, metrics::inner_product> ? centred_form::product : centred_form::distance;
  static constexpr bool is_of_unit_vectors = false;
};

/// What vectors in signed bytes are measured by.
template <class Metric>
using byte_metric = scaled_metric<std::conditional_t<std::is_same_v<Metric, metrics::inner_product>,
                                                     metrics::inner_product, metrics::l2_squared>>;

/// Floats or doubles that are kept as signed bytes.
template <std::floating_point T, class Metric>
class byte_vectors : public vector_set<std::int8_t, byte_metric<Metric>> {
  using base = vector_set<std::int8_t, byte_metric<Metric>>;
  static constexpr bool is_product = std::is_same_v<Metric, metrics::inner_product>;
  static_assert(is_product || std::is_same_v<Metric, metrics::l2_squared> ||
                    std::is_same_v<Metric, metrics::cosine>,
                "storage::sq8 is for l2_squared, inner_product and cosine");

 public:
  using input_type = T;
  static constexpr bool scales_queries = is_product;
  static constexpr bool calibrates = true;

  byte_vectors(std::size_t dimension, const Metric&, memory_resource* memory, const storage::sq8& options)
      : base(dimension, {}, memory), options_(options), components_(memory) {}

  static bool valid(const storage::sq8& o) noexcept {
    return valid_quantile(o.quantile) && o.headroom >= 1 && o.headroom <= 100;
  }

  /// Components that were clamped, of the rows that there are.
  std::size_t clamped() const noexcept { return clamped_; }

  /// Learns from rows, at least one, how to store them and others; returns how many, or the first that is refused. There must be none yet.
  /// Strong guarantee.
  std::size_t calibrate(matrix_view<T> rows, std::error_code& ec) {
    ec.clear();
    if (this->slots() != 0 || rows.rows() == 0) return base::fail(errc::invalid_option, error::no_row, ec);
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      if (const errc code = look_at(rows[i]); code != errc{}) return base::fail(code, i, ec);
    }
    const std::size_t d = this->dimension(), count = std::min(rows.rows(), most_looked_at);
    resource_vector<float> sample(checked_product(count, d), 0, components_.resource());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t row = std::uint64_t{i} * rows.rows() / count;
      turn(rows[static_cast<std::size_t>(row)], std::span(sample).subspan(i * d, d));
    }
    component_range next(components_.resource());
    if (count >= least_centred) next.learn(sample, d, options_.quantile, !is_product, 1);
    double range = static_cast<double>(next.range()) * options_.headroom;
    if (!(range > 0)) {  // too few, or all the same
      next.reset(d);
      range = 2 * static_cast<double>(largest_magnitude(sample));
    }
    components_ = std::move(next);
    step_ = std::max(static_cast<float>(range / 127), least_step);
    // Of products the query has all of the factor: s^2 may be no float where s times the query's own step is.
    if constexpr (!is_product)
      this->own_metric().factor = product_of_steps(step_, is_of_directions<Metric> ? 0.5 : 1.0);
    return rows.rows();
  }
  bool is_calibrated() const noexcept { return step_ > 0; }

  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows,
                  std::span<const std::uint32_t> order, std::span<const std::uint32_t> reused,
                  std::error_code& ec) {
    if (const std::size_t bad = this->check(keys, rows, ec); ec) return bad;
    if (!is_calibrated() && rows.rows() != 0) {
      if (const std::size_t bad = calibrate(rows, ec); ec) return bad;
    }
    std::size_t clamped = 0;
    resource_vector<float> scratch(this->dimension(), 0, components_.resource());
    const std::size_t result =
        base::add(keys, rows, order, reused, ec, [&](std::span<const T> in, std::int8_t* out) {
          const errc code = look_at(in);
          if (code == errc{}) clamped += store(in, scratch, out);
          return code;
        });
    if (!ec) clamped_ += order.empty() ? clamped : clamped / 2;  // with an order each row is written twice
    return result;
  }

  /// Room for a query: its bytes, and while it is prepared its floats behind them.
  std::size_t query_elements() const noexcept {
    return round_up(this->stride(), cache_line) + this->dimension() * sizeof(float);
  }

  /// Checks a query and writes its stored form. Distances from it are to be multiplied with what is returned beside.
  std::pair<errc, float> prepare_query(std::span<const T> in, std::int8_t* out) const noexcept {
    if (const errc code = look_at(in); code != errc{}) return {code, 1.0f};
    if (!is_calibrated()) return {errc{}, 1.0f};  // there is nothing to measure
    const std::span<float> x(reinterpret_cast<float*>(out + round_up(this->stride(), cache_line)), in.size());
    if constexpr (is_product) {
      turn(in, x);
      const float step = to_signed_bytes_of(x, 127, out);
      this->pad(out);
      return {errc{}, product_of_steps(step, 1)};
    } else {
      store(in, x, out);
      return {errc{}, 1.0f};
    }
  }

  /// Of what was given the part that the bytes have kept.
  void restore(const std::int8_t* stored, std::span<T> out) const {
    resource_vector<float> x(out.size(), 0, components_.resource());
    const std::span<const float> centre = components_.centre();
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = std::fma(static_cast<float>(stored[i]), step_, centre[i]);
    hadamard_rotate_back(x);
    std::copy(x.begin(), x.end(), out.begin());
  }

  /// What it has learnt stays, until calibrate() is called.
  void clear() noexcept {
    base::clear();
    clamped_ = 0;
  }

  struct mark {
    typename base::mark end;
    std::size_t clamped;
    bool is_calibrated;
  };
  mark mark_end() const noexcept { return {base::mark_end(), clamped_, is_calibrated()}; }
  void truncate(const mark& before) noexcept {
    base::truncate(before.end);
    clamped_ = before.clamped;
    if (!before.is_calibrated) {
      step_ = 0;
      components_ = component_range(components_.resource());
    }
  }

  std::size_t memory_bytes() const noexcept { return base::memory_bytes() + components_.memory_bytes(); }

 private:
  errc look_at(std::span<const T> in) const noexcept {
    if (in.size() != this->dimension()) return errc::dimension_mismatch;
    if (!all_finite(in)) return errc::not_finite;
    if constexpr (is_of_directions<Metric>) {
      if (!to_unit_length<T>(in)) return errc::zero_norm;
    }
    return errc{};
  }

  /// As floats, of length 1 where directions are what the metric looks at, turned.
  static void turn(std::span<const T> in, std::span<float> x) noexcept {
    if constexpr (is_of_directions<Metric>) {
      const to_unit_length<T> unit(in);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(unit(in[i]));
    } else {
      constexpr T most = static_cast<T>(1e30);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(std::clamp(in[i], -most, most));
    }
    hadamard_rotate(x);
  }

  /// s times another step, and a factor: a number, so that times zero it is zero.
  float product_of_steps(float other, double factor) const noexcept {
    return static_cast<float>(std::min(factor * static_cast<double>(step_) * static_cast<double>(other),
                                       static_cast<double>(std::numeric_limits<float>::max())));
  }

  /// Returns how many components are clamped. `x`: scratch.
  std::size_t store(std::span<const T> in, std::span<float> x, std::int8_t* out) const noexcept {
    turn(in, x);
    const std::span<const float> centre = components_.centre();
    const float most = 127.5f * step_;
    std::size_t clamped = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] -= centre[i];
      clamped += static_cast<std::size_t>(std::abs(x[i]) > most);
    }
    to_signed_bytes(x, step_, out);
    this->pad(out);
    return clamped;
  }

  static constexpr std::size_t most_looked_at = 8192, least_centred = 32;

  storage::sq8 options_;
  float step_ = 0;  ///< s; 0 before it is known
  component_range components_;
  std::size_t clamped_ = 0;
};

template <class T, class Metric, class Storage>
struct vectors_of;
template <class T, class Metric>
struct vectors_of<T, Metric, storage::full> {
  using type = vector_set<T, Metric>;
};
template <class T, class Metric>
struct vectors_of<T, Metric, storage::f16> {
  using type = half_vectors<T, Metric, f16>;
};
template <class T, class Metric>
struct vectors_of<T, Metric, storage::bf16> {
  using type = half_vectors<T, Metric, bf16>;
};
template <class T, class Metric>
struct vectors_of<T, Metric, storage::sq8> {
  using type = byte_vectors<T, Metric>;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
