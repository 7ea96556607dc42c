#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// One integer as a vector: portable, and the reference that the others are tested against.
template <class T>
struct int_vec_scalar {
  using value_type = T;
  static constexpr std::size_t lanes = 1;
  T value;

  static int_vec_scalar broadcast(T x) noexcept { return {x}; }
  static int_vec_scalar load(const T* p) noexcept { return {*p}; }
  static int_vec_scalar load_partial(const T* p, std::size_t count) noexcept {
    return {count == 0 ? T(0) : *p};
  }
  friend void store(T* p, int_vec_scalar a) noexcept { *p = a.value; }
  friend int_vec_scalar operator-(int_vec_scalar a, int_vec_scalar b) noexcept {
    return {static_cast<T>(static_cast<std::uint64_t>(a.value) - static_cast<std::uint64_t>(b.value))};
  }
  friend int_vec_scalar min(int_vec_scalar a, int_vec_scalar b) noexcept {
    return {b.value < a.value ? b.value : a.value};
  }
  friend int_vec_scalar max(int_vec_scalar a, int_vec_scalar b) noexcept {
    return {a.value < b.value ? b.value : a.value};
  }

  struct wide_sum {
    std::uint64_t sum = 0;
    void add(int_vec_scalar a) noexcept {
      sum += static_cast<std::uint64_t>(static_cast<std::int64_t>(a.value));
    }
    void store(std::uint64_t* out, std::uint64_t /*added*/) const noexcept { *out = sum; }
  };

  struct wide_squares {
    std::uint64_t sum = 0;
    void add(int_vec_scalar a) noexcept {
      const auto x = static_cast<std::uint32_t>(a.value);
      sum += static_cast<std::uint64_t>(x) * x;
    }
    void store(std::uint64_t* out) const noexcept { *out = sum; }
  };
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
