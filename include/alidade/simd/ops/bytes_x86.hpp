#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1 || \
    ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

#include <immintrin.h>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// The instructions of the register width that the sums below need, under one name for every width.
namespace x86 {

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

using reg = __m512i;
ALIDADE_FORCE_INLINE reg zero() noexcept { return _mm512_setzero_si512(); }
ALIDADE_FORCE_INLINE reg splat8(int x) noexcept { return _mm512_set1_epi8(static_cast<char>(x)); }
ALIDADE_FORCE_INLINE reg splat16(int x) noexcept { return _mm512_set1_epi16(static_cast<short>(x)); }
ALIDADE_FORCE_INLINE reg load(const void* p) noexcept { return _mm512_loadu_si512(p); }
ALIDADE_FORCE_INLINE reg load_partial(const void* p, std::size_t count) noexcept {
  return _mm512_maskz_loadu_epi8((std::uint64_t{1} << count) - 1, p);
}
ALIDADE_FORCE_INLINE reg bit_and(reg a, reg b) noexcept { return _mm512_and_si512(a, b); }
ALIDADE_FORCE_INLINE reg bit_or(reg a, reg b) noexcept { return _mm512_or_si512(a, b); }
ALIDADE_FORCE_INLINE reg bit_xor(reg a, reg b) noexcept { return _mm512_xor_si512(a, b); }
ALIDADE_FORCE_INLINE reg add32(reg a, reg b) noexcept { return _mm512_add_epi32(a, b); }
ALIDADE_FORCE_INLINE reg add64(reg a, reg b) noexcept { return _mm512_add_epi64(a, b); }
ALIDADE_FORCE_INLINE reg sub32(reg a, reg b) noexcept { return _mm512_sub_epi32(a, b); }
ALIDADE_FORCE_INLINE reg left32(reg a, unsigned n) noexcept { return _mm512_slli_epi32(a, n); }
ALIDADE_FORCE_INLINE reg add8(reg a, reg b) noexcept { return _mm512_add_epi8(a, b); }
ALIDADE_FORCE_INLINE reg sub8(reg a, reg b) noexcept { return _mm512_sub_epi8(a, b); }
ALIDADE_FORCE_INLINE reg max8(reg a, reg b) noexcept { return _mm512_max_epu8(a, b); }
ALIDADE_FORCE_INLINE reg min8(reg a, reg b) noexcept { return _mm512_min_epu8(a, b); }
ALIDADE_FORCE_INLINE reg signed_max8(reg a, reg b) noexcept { return _mm512_max_epi8(a, b); }
ALIDADE_FORCE_INLINE reg signed_min8(reg a, reg b) noexcept { return _mm512_min_epi8(a, b); }
ALIDADE_FORCE_INLINE reg right16(reg a, unsigned n) noexcept { return _mm512_srli_epi16(a, n); }
ALIDADE_FORCE_INLINE reg left16(reg a, unsigned n) noexcept { return _mm512_slli_epi16(a, n); }
ALIDADE_FORCE_INLINE reg signed_right16(reg a, unsigned n) noexcept { return _mm512_srai_epi16(a, n); }
ALIDADE_FORCE_INLINE reg pair_products(reg a, reg b) noexcept { return _mm512_madd_epi16(a, b); }
ALIDADE_FORCE_INLINE reg sum_differences(reg a, reg b) noexcept { return _mm512_sad_epu8(a, b); }
ALIDADE_FORCE_INLINE reg look_up(__m128i table, reg index) noexcept {
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), index);
}
ALIDADE_FORCE_INLINE __m128i fold32(reg a) noexcept {
  const __m256i b = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}
ALIDADE_FORCE_INLINE __m128i fold64(reg a) noexcept {
  const __m256i b = _mm256_add_epi64(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
  return _mm_add_epi64(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}
ALIDADE_FORCE_INLINE __m128i fold_max8(reg a) noexcept {
  const __m256i b = _mm256_max_epu8(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
  return _mm_max_epu8(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}
#if ALIDADE_HAS_VNNI
ALIDADE_FORCE_INLINE reg dot4(reg sum, reg a, reg b) noexcept { return _mm512_dpbusd_epi32(sum, a, b); }
#endif

#else

// Up to 15 bytes as two numbers of eight.
ALIDADE_FORCE_INLINE __m128i load_partial128(const void* p, std::size_t count) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(p);
  const std::uint64_t low = detail::load_bytes(bytes, count < 8 ? count : 8);
  const std::uint64_t high = count > 8 ? detail::load_bytes(bytes + 8, count - 8) : 0;
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

using reg = __m256i;
ALIDADE_FORCE_INLINE reg zero() noexcept { return _mm256_setzero_si256(); }
ALIDADE_FORCE_INLINE reg splat8(int x) noexcept { return _mm256_set1_epi8(static_cast<char>(x)); }
ALIDADE_FORCE_INLINE reg splat16(int x) noexcept { return _mm256_set1_epi16(static_cast<short>(x)); }
ALIDADE_FORCE_INLINE reg load(const void* p) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
ALIDADE_FORCE_INLINE reg load_partial(const void* p, std::size_t count) noexcept {
  if (count < 16) return _mm256_zextsi128_si256(load_partial128(p, count));
  return _mm256_set_m128i(load_partial128(static_cast<const unsigned char*>(p) + 16, count - 16),
                          _mm_loadu_si128(static_cast<const __m128i*>(p)));
}
ALIDADE_FORCE_INLINE reg bit_and(reg a, reg b) noexcept { return _mm256_and_si256(a, b); }
ALIDADE_FORCE_INLINE reg bit_or(reg a, reg b) noexcept { return _mm256_or_si256(a, b); }
ALIDADE_FORCE_INLINE reg bit_xor(reg a, reg b) noexcept { return _mm256_xor_si256(a, b); }
ALIDADE_FORCE_INLINE reg add32(reg a, reg b) noexcept { return _mm256_add_epi32(a, b); }
ALIDADE_FORCE_INLINE reg add64(reg a, reg b) noexcept { return _mm256_add_epi64(a, b); }
ALIDADE_FORCE_INLINE reg sub32(reg a, reg b) noexcept { return _mm256_sub_epi32(a, b); }
ALIDADE_FORCE_INLINE reg left32(reg a, int n) noexcept { return _mm256_slli_epi32(a, n); }
ALIDADE_FORCE_INLINE reg add8(reg a, reg b) noexcept { return _mm256_add_epi8(a, b); }
ALIDADE_FORCE_INLINE reg sub8(reg a, reg b) noexcept { return _mm256_sub_epi8(a, b); }
ALIDADE_FORCE_INLINE reg max8(reg a, reg b) noexcept { return _mm256_max_epu8(a, b); }
ALIDADE_FORCE_INLINE reg min8(reg a, reg b) noexcept { return _mm256_min_epu8(a, b); }
ALIDADE_FORCE_INLINE reg signed_max8(reg a, reg b) noexcept { return _mm256_max_epi8(a, b); }
ALIDADE_FORCE_INLINE reg signed_min8(reg a, reg b) noexcept { return _mm256_min_epi8(a, b); }
ALIDADE_FORCE_INLINE reg right16(reg a, int n) noexcept { return _mm256_srli_epi16(a, n); }
ALIDADE_FORCE_INLINE reg left16(reg a, int n) noexcept { return _mm256_slli_epi16(a, n); }
ALIDADE_FORCE_INLINE reg signed_right16(reg a, int n) noexcept { return _mm256_srai_epi16(a, n); }
ALIDADE_FORCE_INLINE reg pair_products(reg a, reg b) noexcept { return _mm256_madd_epi16(a, b); }
ALIDADE_FORCE_INLINE reg sum_differences(reg a, reg b) noexcept { return _mm256_sad_epu8(a, b); }
ALIDADE_FORCE_INLINE reg look_up(__m128i table, reg index) noexcept {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), index);
}
ALIDADE_FORCE_INLINE __m128i fold32(reg a) noexcept {
  return _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
ALIDADE_FORCE_INLINE __m128i fold64(reg a) noexcept {
  return _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
ALIDADE_FORCE_INLINE __m128i fold_max8(reg a) noexcept {
  return _mm_max_epu8(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
#if ALIDADE_HAS_VNNI
ALIDADE_FORCE_INLINE reg dot4(reg sum, reg a, reg b) noexcept { return _mm256_dpbusd_avx_epi32(sum, a, b); }
#endif

#else

using reg = __m128i;
ALIDADE_FORCE_INLINE reg zero() noexcept { return _mm_setzero_si128(); }
ALIDADE_FORCE_INLINE reg splat8(int x) noexcept { return _mm_set1_epi8(static_cast<char>(x)); }
ALIDADE_FORCE_INLINE reg splat16(int x) noexcept { return _mm_set1_epi16(static_cast<short>(x)); }
ALIDADE_FORCE_INLINE reg load(const void* p) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
ALIDADE_FORCE_INLINE reg load_partial(const void* p, std::size_t count) noexcept {
  return load_partial128(p, count);
}
ALIDADE_FORCE_INLINE reg bit_and(reg a, reg b) noexcept { return _mm_and_si128(a, b); }
ALIDADE_FORCE_INLINE reg bit_or(reg a, reg b) noexcept { return _mm_or_si128(a, b); }
ALIDADE_FORCE_INLINE reg bit_xor(reg a, reg b) noexcept { return _mm_xor_si128(a, b); }
ALIDADE_FORCE_INLINE reg add32(reg a, reg b) noexcept { return _mm_add_epi32(a, b); }
ALIDADE_FORCE_INLINE reg add64(reg a, reg b) noexcept { return _mm_add_epi64(a, b); }
ALIDADE_FORCE_INLINE reg sub32(reg a, reg b) noexcept { return _mm_sub_epi32(a, b); }
ALIDADE_FORCE_INLINE reg left32(reg a, int n) noexcept { return _mm_slli_epi32(a, n); }
ALIDADE_FORCE_INLINE reg add8(reg a, reg b) noexcept { return _mm_add_epi8(a, b); }
ALIDADE_FORCE_INLINE reg sub8(reg a, reg b) noexcept { return _mm_sub_epi8(a, b); }
ALIDADE_FORCE_INLINE reg max8(reg a, reg b) noexcept { return _mm_max_epu8(a, b); }
ALIDADE_FORCE_INLINE reg min8(reg a, reg b) noexcept { return _mm_min_epu8(a, b); }
ALIDADE_FORCE_INLINE reg right16(reg a, int n) noexcept { return _mm_srli_epi16(a, n); }
ALIDADE_FORCE_INLINE reg left16(reg a, int n) noexcept { return _mm_slli_epi16(a, n); }
ALIDADE_FORCE_INLINE reg signed_right16(reg a, int n) noexcept { return _mm_srai_epi16(a, n); }
ALIDADE_FORCE_INLINE reg pair_products(reg a, reg b) noexcept { return _mm_madd_epi16(a, b); }
ALIDADE_FORCE_INLINE reg sum_differences(reg a, reg b) noexcept { return _mm_sad_epu8(a, b); }
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1
ALIDADE_FORCE_INLINE reg signed_max8(reg a, reg b) noexcept { return _mm_max_epi8(a, b); }
ALIDADE_FORCE_INLINE reg signed_min8(reg a, reg b) noexcept { return _mm_min_epi8(a, b); }
ALIDADE_FORCE_INLINE reg look_up(__m128i table, reg index) noexcept { return _mm_shuffle_epi8(table, index); }
#endif
ALIDADE_FORCE_INLINE __m128i fold32(reg a) noexcept { return a; }
ALIDADE_FORCE_INLINE __m128i fold64(reg a) noexcept { return a; }
ALIDADE_FORCE_INLINE __m128i fold_max8(reg a) noexcept { return a; }

#endif
#endif

ALIDADE_FORCE_INLINE std::uint32_t total32(reg a) noexcept {
  __m128i b = fold32(a);
  b = _mm_add_epi32(b, _mm_shuffle_epi32(b, 0x4e));
  b = _mm_add_epi32(b, _mm_shuffle_epi32(b, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(b));
}
ALIDADE_FORCE_INLINE std::uint32_t total64(reg a) noexcept {
  const __m128i b = fold64(a);
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi64(b, _mm_shuffle_epi32(b, 0x4e))));
}

/// The bytes at even places as 16-bit numbers, and those at odd places; the order of a sum does not matter. Masks and
/// shifts run on more ports than the instructions that widen.
ALIDADE_FORCE_INLINE reg even(reg a) noexcept { return bit_and(a, splat16(0xff)); }
ALIDADE_FORCE_INLINE reg odd(reg a) noexcept { return right16(a, 8); }
ALIDADE_FORCE_INLINE reg signed_even(reg a) noexcept { return signed_right16(left16(a, 8), 8); }
ALIDADE_FORCE_INLINE reg signed_odd(reg a) noexcept { return signed_right16(a, 8); }

}  // namespace x86

/// A register of bytes.
struct bytes_native {
  static constexpr std::size_t size = sizeof(x86::reg);
  x86::reg value;

  static ALIDADE_FORCE_INLINE bytes_native zero() noexcept { return {x86::zero()}; }
  static ALIDADE_FORCE_INLINE bytes_native load(const void* p) noexcept { return {x86::load(p)}; }
  static ALIDADE_FORCE_INLINE bytes_native load_partial(const void* p, std::size_t count) noexcept {
    return {x86::load_partial(p, count)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native loaded_once(bytes_native a) noexcept {
    ALIDADE_KEEP_SIMD(a.value);
    return a;
  }
  friend ALIDADE_FORCE_INLINE bytes_native operator^(bytes_native a, bytes_native b) noexcept {
    return {x86::bit_xor(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native operator&(bytes_native a, bytes_native b) noexcept {
    return {x86::bit_and(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native operator|(bytes_native a, bytes_native b) noexcept {
    return {x86::bit_or(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native flip_sign(bytes_native a) noexcept {
    return {x86::bit_xor(a.value, x86::splat8(-128))};
  }
  friend ALIDADE_FORCE_INLINE bytes_native absolute_difference(bytes_native a, bytes_native b) noexcept {
    return {x86::sub8(x86::max8(a.value, b.value), x86::min8(a.value, b.value))};
  }
  friend ALIDADE_FORCE_INLINE bytes_native signed_absolute_difference(bytes_native a,
                                                                      bytes_native b) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2
    return absolute_difference(flip_sign(a), flip_sign(b));
#else
    return {x86::sub8(x86::signed_max8(a.value, b.value), x86::signed_min8(a.value, b.value))};
#endif
  }
  friend ALIDADE_FORCE_INLINE bytes_native max(bytes_native a, bytes_native b) noexcept {
    return {x86::max8(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE std::uint8_t reduce_max(bytes_native a) noexcept {
    __m128i b = x86::fold_max8(a.value);
    b = _mm_max_epu8(b, _mm_srli_si128(b, 8));
    b = _mm_max_epu8(b, _mm_srli_si128(b, 4));
    b = _mm_max_epu8(b, _mm_srli_si128(b, 2));
    b = _mm_max_epu8(b, _mm_srli_si128(b, 1));
    return static_cast<std::uint8_t>(_mm_cvtsi128_si32(b));
  }
};

#if ALIDADE_HAS_VNNI

/// vpdpbusd multiplies unsigned by signed bytes and adds four products to a lane, without saturation. So one
/// factor is moved by 128, and the sum of the other, kept beside the products, undoes that.
struct product_sum_native {
  static constexpr const char* instruction = "vpdpbusd";
  x86::reg products = x86::zero(), sums = x86::zero();

  ALIDADE_FORCE_INLINE void merge(const product_sum_native& other) noexcept {
    products = x86::add32(products, other.products);
    sums = x86::add32(sums, other.sums);
  }
};

/// sum a b = sum a (b - 128) + 128 sum a for unsigned bytes: b - 128 as a signed byte is b with its first bit flipped.
struct unsigned_product_sum_native : product_sum_native {
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    products = x86::dot4(products, a.value, flip_sign(b).value);
    sums = x86::dot4(sums, a.value, x86::splat8(1));
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    return x86::total32(x86::add32(products, x86::left32(sums, 7)));
  }
};

/// sum a b = sum a (b + 128) - 128 sum a for signed bytes. In either case the second sum is of a alone, and the compiler
/// takes it once when one a is multiplied with several b.
struct signed_product_sum_native : product_sum_native {
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    products = x86::dot4(products, flip_sign(b).value, a.value);
    sums = x86::dot4(sums, x86::splat8(1), a.value);
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    return x86::total32(x86::sub32(products, x86::left32(sums, 7)));
  }
};

#else

/// Bytes widened to 16 bits, pairs of products added by pmaddwd: at most 2 * 255^2, so nothing saturates.
struct product_sum_native {
  static constexpr const char* instruction = "pmaddwd";
  x86::reg sum = x86::zero();

  ALIDADE_FORCE_INLINE void merge(const product_sum_native& other) noexcept {
    sum = x86::add32(sum, other.sum);
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept { return x86::total32(sum); }
};

struct unsigned_product_sum_native : product_sum_native {
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    const x86::reg low = x86::pair_products(x86::even(a.value), x86::even(b.value));
    const x86::reg high = x86::pair_products(x86::odd(a.value), x86::odd(b.value));
    sum = x86::add32(sum, x86::add32(low, high));
  }
};

struct signed_product_sum_native : product_sum_native {
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    const x86::reg low = x86::pair_products(x86::signed_even(a.value), x86::signed_even(b.value));
    const x86::reg high = x86::pair_products(x86::signed_odd(a.value), x86::signed_odd(b.value));
    sum = x86::add32(sum, x86::add32(low, high));
  }
};

#endif

struct difference_sum_native {
  static constexpr const char* instruction = "psadbw";
  x86::reg sum = x86::zero();

  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    sum = x86::add64(sum, x86::sum_differences(a.value, b.value));
  }
  ALIDADE_FORCE_INLINE void add_signed(bytes_native a, bytes_native b) noexcept {
    add(flip_sign(a), flip_sign(b));
  }
  ALIDADE_FORCE_INLINE void merge(const difference_sum_native& other) noexcept {
    sum = x86::add64(sum, other.sum);
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept { return x86::total64(sum); }
};

using bit_block_native = bytes_native;

/// Set bits: an instruction of its own, a table of the sixteen nibbles (Mula, Kurz, Lemire: Faster population counts using
/// AVX2 instructions, 2018), or sums of neighbouring bits.
struct bit_count_native {
  x86::reg sum = x86::zero();

#if ALIDADE_HAS_VPOPCNTDQ
  static constexpr const char* instruction = "vpopcntq";
  ALIDADE_FORCE_INLINE void add(bytes_native a) noexcept {
    sum = x86::add64(sum, _mm512_popcnt_epi64(a.value));
  }
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2
  static constexpr const char* instruction = "psadbw";
  ALIDADE_FORCE_INLINE void add(bytes_native a) noexcept {
    const x86::reg ones = x86::splat8(0x55), twos = x86::splat8(0x33), fours = x86::splat8(0x0f);
    x86::reg x = x86::sub8(a.value, x86::bit_and(x86::right16(a.value, 1), ones));
    x = x86::add8(x86::bit_and(x, twos), x86::bit_and(x86::right16(x, 2), twos));
    x = x86::bit_and(x86::add8(x, x86::right16(x, 4)), fours);
    sum = x86::add64(sum, x86::sum_differences(x, x86::zero()));
  }
#else
  static constexpr const char* instruction = "pshufb";
  ALIDADE_FORCE_INLINE void add(bytes_native a) noexcept {
    const __m128i counts = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const x86::reg low = x86::bit_and(a.value, x86::splat8(0x0f));
    const x86::reg high = x86::bit_and(x86::right16(a.value, 4), x86::splat8(0x0f));
    const x86::reg bits = x86::add8(x86::look_up(counts, low), x86::look_up(counts, high));
    sum = x86::add64(sum, x86::sum_differences(bits, x86::zero()));
  }
#endif
  ALIDADE_FORCE_INLINE void merge(const bit_count_native& other) noexcept {
    sum = x86::add64(sum, other.sum);
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept { return x86::total64(sum); }
};

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade

#endif
