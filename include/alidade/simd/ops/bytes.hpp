#pragma once

#include <alidade/config/namespace.hpp>
#include <alidade/simd/ops/bytes_scalar.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
#include <alidade/simd/ops/bytes_wasm.hpp>
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
#include <alidade/simd/ops/bytes_neon.hpp>
#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar
#include <alidade/simd/ops/bytes_x86.hpp>
#endif

/// Bytes and bits, for which xsimd has no operations that pay: exact sums over registers of bytes.
///
/// - `bytes`: `loaded_once` as of vectors, `load`, `load_partial` (count < size bytes, the others zero), `flip_sign` (adds 128 modulo 256, which maps
///   signed bytes to unsigned ones in order), `absolute_difference`, `signed_absolute_difference` (of
///   signed bytes, as unsigned ones), `max`, `reduce_max` of unsigned bytes;
/// - `unsigned_product_sum`, `signed_product_sum`: `add(a, b)` adds the products of the bytes;
/// - `difference_sum`: `add(a, b)` adds the absolute differences of unsigned bytes, `add_signed` of signed ones;
/// - `bit_block`, `bit_count`: `add(a)` adds the number of bits that are set.
///
/// A sum is a default constructed one that was added to; `merge` adds another; `total()` is right modulo 2^32, for a signed
/// sum as two's complement. `instruction` names what the sum was chosen for.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

struct byte_sums_scalar {
  using bytes = bytes_scalar;
  using unsigned_product_sum = unsigned_product_sum_scalar;
  using signed_product_sum = signed_product_sum_scalar;
  using difference_sum = difference_sum_scalar;
  using bit_block = bit_block_scalar;
  using bit_count = bit_count_scalar;
};

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_scalar
using byte_sums = byte_sums_scalar;
#else
struct byte_sums {
  using bytes = bytes_native;
  using unsigned_product_sum = unsigned_product_sum_native;
  using signed_product_sum = signed_product_sum_native;
  using difference_sum = difference_sum_native;
  using bit_block = bit_block_native;
  using bit_count = bit_count_native;
};
#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
