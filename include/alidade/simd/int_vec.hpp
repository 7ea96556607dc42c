#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/simd/int_vec_scalar.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
#include <alidade/simd/int_vec_wasm.hpp>
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
#include <alidade/simd/int_vec_xsimd.hpp>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// What kernels ask of a vector of 32-bit integers or of int64.
///
/// - `V::load`, `V::load_partial`, `V::broadcast`, `store`, `min`, `max`: as of a real_vector; `a - b` wraps;
/// - `V::wide_sum`: adds vectors up in 64 bits for each lane, modulo 2^64. After `added` calls of `add`,
///   `store(out, added)` writes a sum for each lane, in order; signed sums in two's complement;
/// - `V::wide_squares`: likewise the squares of lanes that are, as unsigned numbers, below 2^32; `store(out)`.
template <class V>
concept integer_vector = requires(V v, typename V::value_type* out, const typename V::value_type* p,
                                  std::size_t count, typename V::wide_sum sum,
                                  typename V::wide_squares squares, std::uint64_t* sums) {
  { V::lanes } -> std::convertible_to<std::size_t>;
  { V::broadcast(*p) } -> std::same_as<V>;
  { V::load(p) } -> std::same_as<V>;
  { V::load_partial(p, count) } -> std::same_as<V>;
  store(out, v);
  { v - v } -> std::same_as<V>;
  { min(v, v) } -> std::same_as<V>;
  { max(v, v) } -> std::same_as<V>;
  sum.add(v);
  sum.store(sums, std::uint64_t{});
  squares.add(v);
  squares.store(sums);
};

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
using i32 = int_vec_wasm<std::int32_t>;
using u32 = int_vec_wasm<std::uint32_t>;
using i64 = int_vec_wasm<std::int64_t>;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2 || \
    ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
using i32 = int_vec_xsimd<std::int32_t>;
using u32 = int_vec_xsimd<std::uint32_t>;
using i64 = int_vec_xsimd<std::int64_t>;
#elif ALIDADE_ARCH_ID != \
    ALIDADE_ARCH_ID_scalar  // 64-bit integers cannot be compared: two at a time are slower than one
using i32 = int_vec_xsimd<std::int32_t>;
using u32 = int_vec_xsimd<std::uint32_t>;
using i64 = int_vec_scalar<std::int64_t>;
#else
using i32 = int_vec_scalar<std::int32_t>;
using u32 = int_vec_scalar<std::uint32_t>;
using i64 = int_vec_scalar<std::int64_t>;
#endif

static_assert(integer_vector<int_vec_scalar<std::int32_t>>);
static_assert(integer_vector<i32> && integer_vector<u32> && integer_vector<i64>);

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
