#pragma once

#include <concepts>
#include <cstddef>

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

/// What kernels ask of a vector of floats. A kernel is written once, over this.
///
/// - `V::lanes`: how many floats it holds; `V::registers`: how many such vectors the processor holds;
/// - `V::load(p)`: `lanes` floats from any address; `V::load_partial(p, count)`: count < lanes of them, never touching
///   memory past p + count, the other lanes zero;
/// - `multiply_add(a, b, c)`: a * b + c, fused where the architecture can;
/// - `reduce_add(v)`: the sum of the lanes.
template <class V>
concept float_vector = requires(V v, const float* p, std::size_t count) {
  { V::lanes } -> std::convertible_to<std::size_t>;
  { V::registers } -> std::convertible_to<std::size_t>;
  { V::zero() } -> std::same_as<V>;
  { V::load(p) } -> std::same_as<V>;
  { V::load_partial(p, count) } -> std::same_as<V>;
  { v + v } -> std::same_as<V>;
  { v - v } -> std::same_as<V>;
  { multiply_add(v, v, v) } -> std::same_as<V>;
  { reduce_add(v) } -> std::same_as<float>;
};

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
using f32 = f32_wasm;
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
using f32 = f32_xsimd;
#else
using f32 = f32_scalar;
#endif

static_assert(float_vector<f32_scalar>);
static_assert(float_vector<f32>);

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
