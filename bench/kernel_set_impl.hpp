// Included by kernels_native.cpp and kernels_scalar.cpp, which differ in their compiler flags only.
#pragma once

#include "kernel_set.hpp"

#include <alidade/distance/distance.hpp>
#include <alidade/distance/many.hpp>
#include <alidade/distance/metric.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace bench {
namespace {

using namespace alidade;

/// From pointers, which a sweep has, to spans. `Function` is a function object of the library.
template <class T, const auto& Function>
struct of_pairs {
  auto operator()(const T* a, const T* b, std::size_t n) const {
    return Function(std::span<const T>(a, n), std::span<const T>(b, n));
  }
};

template <class T, class Metric>
struct of_rows {
  using result = distance_result<Metric, T>;
  void operator()(const T* query, const T* rows, std::size_t count, std::size_t columns, result* out) const {
    one_to_many(Metric{}, std::span<const T>(query, columns), matrix_view<T>(rows, count, columns),
                std::span<result>(out, count));
  }
};

template <class T, const auto& Function, class Metric>
kernel_sweep sweep_over(form how) {
  if constexpr (std::is_invocable_v<decltype(Function), std::span<const T>, std::span<const T>>) {
    if (how == form::pair) return sweep_pairs<T, of_pairs<T, Function>>;
    return sweep_many<T, distance_result<Metric, T>, of_rows<T, Metric>>;
  }
  return nullptr;
}

template <class T>
kernel_sweep kernel_of(metric distance, form how) {
  switch (distance) {
    case metric::l2:
      return sweep_over<T, l2_squared, metrics::l2_squared>(how);
    case metric::ip:
      return sweep_over<T, inner_product, metrics::inner_product>(how);
    case metric::cosine:
      return sweep_over<T, cosine, metrics::cosine>(how);
    case metric::l1:
      return sweep_over<T, l1, metrics::l1>(how);
    case metric::chebyshev:
      return sweep_over<T, chebyshev, metrics::chebyshev>(how);
    case metric::hamming:
      return sweep_over<T, hamming, metrics::hamming>(how);
    case metric::jaccard:
      break;
  }
  return sweep_over<T, jaccard, metrics::jaccard>(how);
}

kernel_sweep find_kernel(const kernel_id& id) {
  switch (id.type) {
    case element::f32:
      return kernel_of<float>(id.distance, id.how);
    case element::f64:
      return kernel_of<double>(id.distance, id.how);
    case element::f16:
      return kernel_of<f16>(id.distance, id.how);
    case element::bf16:
      return kernel_of<bf16>(id.distance, id.how);
    case element::i8:
      return kernel_of<std::int8_t>(id.distance, id.how);
    case element::u8:
      return kernel_of<std::uint8_t>(id.distance, id.how);
    case element::bits:
      break;
  }
  return kernel_of<bits8>(id.distance, id.how);
}

}  // namespace
}  // namespace bench
