#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/simd/vec_scalar.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
#include <alidade/simd/vec_wasm.hpp>
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
#include <alidade/simd/vec_xsimd.hpp>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// What kernels ask of a vector of floats or doubles. A kernel is written once, over this.
///
/// - `V::lanes`: how many numbers it holds; `V::registers`: how many such vectors the processor holds;
/// - `V::load(p)`: `lanes` numbers from any address; `V::load_partial(p, count)`: count < lanes of them, never touching
///   memory past p + count, the other lanes zero. Vectors of floats load f16 and bf16 too, widened exactly;
/// - `store(p, v)`, `store_partial(p, count, v)`: likewise;
/// - `multiply_add(a, b, c)`: a * b + c, fused where the architecture can; `rounded(a * b) + c` is fused nowhere;
/// - `loaded_once(v)`: v, which the compiler will not load again for each use;
/// - `min(a, b)`, `max(a, b)`: NaN where b is; where a alone is, or both are zeros, either of them;
/// - comparisons give a `V::mask`, for `&`, `|`, `!`, `any`, `select(mask, a, b)` and `bits` (bit i for lane i);
/// - `reduce_add(v)`: the sum of the lanes by halves: lane i with lane i + lanes / 2 and so on, on every architecture.
template <class V>
concept real_vector = requires(V v, typename V::value_type* out, const typename V::value_type* p,
                               std::size_t count, typename V::mask m) {
  { V::lanes } -> std::convertible_to<std::size_t>;
  { V::registers } -> std::convertible_to<std::size_t>;
  { V::zero() } -> std::same_as<V>;
  { V::broadcast(*p) } -> std::same_as<V>;
  { V::load(p) } -> std::same_as<V>;
  { V::load_partial(p, count) } -> std::same_as<V>;
  store(out, v);
  store_partial(out, count, v);
  { v + v } -> std::same_as<V>;
  { v - v } -> std::same_as<V>;
  { v* v } -> std::same_as<V>;
  { v / v } -> std::same_as<V>;
  { multiply_add(v, v, v) } -> std::same_as<V>;
  { rounded(v) } -> std::same_as<V>;
  { loaded_once(v) } -> std::same_as<V>;
  { abs(v) } -> std::same_as<V>;
  { min(v, v) } -> std::same_as<V>;
  { max(v, v) } -> std::same_as<V>;
  { v < v } -> std::same_as<typename V::mask>;
  { v <= v } -> std::same_as<typename V::mask>;
  { v == v } -> std::same_as<typename V::mask>;
  { v != v } -> std::same_as<typename V::mask>;
  { m& m } -> std::same_as<typename V::mask>;
  { m | m } -> std::same_as<typename V::mask>;
  { !m } -> std::same_as<typename V::mask>;
  { any(m) } -> std::same_as<bool>;
  { bits(m) } -> std::same_as<std::uint32_t>;
  { select(m, v, v) } -> std::same_as<V>;
  { reduce_add(v) } -> std::same_as<typename V::value_type>;
  { reduce_min(v) } -> std::same_as<typename V::value_type>;
  { reduce_max(v) } -> std::same_as<typename V::value_type>;
};

using f32_scalar = vec_scalar<float>;
using f64_scalar = vec_scalar<double>;

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
using f32 = vec_wasm<float>;
using f64 = vec_wasm<double>;
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon  // 32-bit NEON has no vectors of doubles
using f32 = vec_xsimd<float>;
using f64 = f64_scalar;
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
using f32 = vec_xsimd<float>;
using f64 = vec_xsimd<double>;
#else
using f32 = f32_scalar;
using f64 = f64_scalar;
#endif

static_assert(real_vector<f32_scalar> && real_vector<f64_scalar>);
static_assert(real_vector<f32> && real_vector<f64>);

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
