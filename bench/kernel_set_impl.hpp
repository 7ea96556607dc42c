// Included by kernels_native.cpp and kernels_scalar.cpp, which differ in their compiler flags only.
#pragma once

#include "kernel_set.hpp"

#include <alidade/alidade.hpp>

#include <span>

namespace bench {
namespace {

/// Makes the compiler forget what it knows about the memory behind a pointer, so that no work is shared between calls.
template <class T>
inline void forget(const T* pointer) {
#if defined(__GNUC__)
  asm volatile("" : : "r"(pointer) : "memory");
#else
  static const volatile T* volatile sink;
  sink = pointer;
#endif
}

template <class T, class Kernel>
kernel_sweep<T> sweep_with(Kernel kernel) {
  return [kernel](const T* query, const T* rows, std::size_t count, std::size_t columns) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      forget(query);
      sum += static_cast<double>(
          kernel(std::span<const T>(query, columns), std::span<const T>(rows + i * columns, columns)));
    }
    return sum;
  };
}

kernel_sweep<float> f32_sweep(metric distance) {
  using values = std::span<const float>;
  if (distance == metric::l2)
    return sweep_with<float>([](values a, values b) { return alidade::l2_squared(a, b); });
  if (distance == metric::ip)
    return sweep_with<float>([](values a, values b) { return alidade::inner_product(a, b); });
  return sweep_with<float>([](values a, values b) { return alidade::cosine(a, b); });
}

kernel_sweep<std::uint8_t> u8_sweep(metric distance) {
  using values = std::span<const std::uint8_t>;
  if (distance == metric::l2) {
    return sweep_with<std::uint8_t>([](values a, values b) { return alidade::l2_squared(a, b); });
  }
  if (distance == metric::ip) {
    return sweep_with<std::uint8_t>([](values a, values b) { return alidade::inner_product(a, b); });
  }
  return {};
}

}  // namespace
}  // namespace bench
