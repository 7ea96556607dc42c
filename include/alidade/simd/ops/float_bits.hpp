#pragma once

#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/simd/vec.hpp>

/// What is done to the bits of floats as integers, over the vectors of `vec.hpp`:
///
/// - `power_of_two_of_bits(x)`: the lowest eight bits become the exponent. Of x = 1.5 * 2^23 + 127 + n it is 2^n, for
///   integral n from -126 to 127;
/// - `with_sign_of(magnitude, x)`: a magnitude that is not negative, and the sign of x.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

ALIDADE_FORCE_INLINE f32_scalar power_of_two_of_bits(f32_scalar x) noexcept {
  return {alidade::detail::bit_cast<float>(alidade::detail::bit_cast<std::uint32_t>(x.value) << 23)};
}
ALIDADE_FORCE_INLINE f32_scalar with_sign_of(f32_scalar magnitude, f32_scalar x) noexcept {
  const auto sign = alidade::detail::bit_cast<std::uint32_t>(x.value) & 0x80000000u;
  return {alidade::detail::bit_cast<float>(alidade::detail::bit_cast<std::uint32_t>(magnitude.value) | sign)};
}

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

ALIDADE_FORCE_INLINE f32 power_of_two_of_bits(f32 x) noexcept { return {wasm_i32x4_shl(x.value, 23)}; }
ALIDADE_FORCE_INLINE f32 with_sign_of(f32 magnitude, f32 x) noexcept {
  return {wasm_v128_or(magnitude.value, wasm_v128_and(x.value, wasm_f32x4_splat(-0.0f)))};
}

#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar

ALIDADE_FORCE_INLINE f32 power_of_two_of_bits(f32 x) noexcept {
  using integers = xsimd::batch<std::uint32_t, xsimd_arch>;
  return {alidade::detail::bit_cast<f32::batch>(alidade::detail::bit_cast<integers>(x.value) << 23)};
}
ALIDADE_FORCE_INLINE f32 with_sign_of(f32 magnitude, f32 x) noexcept {
  using integers = xsimd::batch<std::uint32_t, xsimd_arch>;
  const integers sign = alidade::detail::bit_cast<integers>(x.value) & integers(0x80000000u);
  return {alidade::detail::bit_cast<f32::batch>(alidade::detail::bit_cast<integers>(magnitude.value) | sign)};
}

#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
