#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/simd/vec.hpp>

/// Inner products of rows of 4-bit numbers, 0..15, with one row of signed bytes.
///
/// A row has `bytes` bytes, a multiple of 64 up to 512: number i of the first half is the lower half of byte i, number i of the second
/// half the upper one. `low` and `high` are as many signed bytes each, -127..127, 64-byte aligned as the rows are. What bytes of `low` and
/// `high` are zero, of these the rows' own do not matter.
///
/// `nibble_products<G>(low, high, bytes, rows, out)`: out[j] = sum over i of low[i] * (rows[j][i] & 15) + high[i] * (rows[j][i] >> 4), for
/// G = nibble_group rows at once, exact: at most 512 * 2 * 15 * 127 in magnitude.
///
/// `load_pairs(rows, at, first, second)`: of each of the G rows the two floats at that byte.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

inline std::int32_t nibble_product_generic(const std::int8_t* low, const std::int8_t* high, std::size_t bytes,
                                           const std::uint8_t* row) noexcept {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < bytes; ++i) sum += low[i] * (row[i] & 15) + high[i] * (row[i] >> 4);
  return sum;
}

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

inline constexpr std::size_t nibble_group = 16;
inline constexpr const char* nibble_instruction = ALIDADE_HAS_VNNI ? "vpdpbusd" : "vpmaddubsw";

namespace nibble_detail {

/// Lane j of the result is the sum of the lanes of a[j].
ALIDADE_FORCE_INLINE __m512i sum_each(const __m512i* a) noexcept {
  __m512i pairs[8], fours[4], halves[2];
  for (int i = 0; i < 8; ++i) {
    pairs[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]),
                                _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]));
  }
  for (int i = 0; i < 4; ++i) {
    fours[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]),
                                _mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
  }
  for (int i = 0; i < 2; ++i) {
    halves[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0x88),
                                 _mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0xdd));
  }
  return _mm512_add_epi32(_mm512_shuffle_i32x4(halves[0], halves[1], 0x88),
                          _mm512_shuffle_i32x4(halves[0], halves[1], 0xdd));
}

ALIDADE_FORCE_INLINE __m512i products(__m512i low, __m512i high, __m512i row, __m512i sum) noexcept {
  const __m512i mask = _mm512_set1_epi8(15);
  const __m512i lower = _mm512_and_si512(row, mask);
  const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(row, 4), mask);
#if ALIDADE_HAS_VNNI
  return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sum, lower, low), upper, high);
#else
  // A pair of products is at most 2 * 15 * 127, so sums of two pairs fit.
  const __m512i both = _mm512_add_epi16(_mm512_maddubs_epi16(lower, low), _mm512_maddubs_epi16(upper, high));
  return _mm512_add_epi32(sum, _mm512_madd_epi16(both, _mm512_set1_epi16(1)));
#endif
}

}  // namespace nibble_detail

ALIDADE_FORCE_INLINE void nibble_products(const std::int8_t* low, const std::int8_t* high, std::size_t bytes,
                                          const std::uint8_t* const* rows, std::int32_t* out) noexcept {
  __m512i sums[16];
  const __m512i low0 = _mm512_load_si512(low), high0 = _mm512_load_si512(high);
  for (int j = 0; j < 16; ++j) {
    sums[j] = nibble_detail::products(low0, high0, _mm512_load_si512(rows[j]), _mm512_setzero_si512());
  }
  for (std::size_t at = 64; at < bytes; at += 64) {
    const __m512i low_at = _mm512_load_si512(low + at), high_at = _mm512_load_si512(high + at);
    for (int j = 0; j < 16; ++j)
      sums[j] = nibble_detail::products(low_at, high_at, _mm512_load_si512(rows[j] + at), sums[j]);
  }
  _mm512_storeu_si512(out, nibble_detail::sum_each(sums));
}

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

inline constexpr std::size_t nibble_group = 8;
inline constexpr const char* nibble_instruction = ALIDADE_HAS_VNNI ? "vpdpbusd" : "vpmaddubsw";

namespace nibble_detail {

ALIDADE_FORCE_INLINE __m256i load(const void* p) noexcept {
  return _mm256_load_si256(static_cast<const __m256i*>(p));
}

ALIDADE_FORCE_INLINE __m256i lower(__m256i row) noexcept {
  return _mm256_and_si256(row, _mm256_set1_epi8(15));
}
ALIDADE_FORCE_INLINE __m256i upper(__m256i row) noexcept { return lower(_mm256_srli_epi16(row, 4)); }

/// Of two halves of a line of a row. A pair of products is at most 2 * 15 * 127, so that sums of four pairs fit 16 bits.
ALIDADE_FORCE_INLINE __m256i products(const __m256i* low, const __m256i* high, __m256i row0, __m256i row1,
                                      __m256i sum) noexcept {
#if ALIDADE_HAS_VNNI
  sum = _mm256_dpbusd_avx_epi32(_mm256_dpbusd_avx_epi32(sum, lower(row0), low[0]), upper(row0), high[0]);
  return _mm256_dpbusd_avx_epi32(_mm256_dpbusd_avx_epi32(sum, lower(row1), low[1]), upper(row1), high[1]);
#else
  const __m256i a =
      _mm256_add_epi16(_mm256_maddubs_epi16(lower(row0), low[0]), _mm256_maddubs_epi16(upper(row0), high[0]));
  const __m256i b =
      _mm256_add_epi16(_mm256_maddubs_epi16(lower(row1), low[1]), _mm256_maddubs_epi16(upper(row1), high[1]));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(a, b), _mm256_set1_epi16(1)));
#endif
}

}  // namespace nibble_detail

ALIDADE_FORCE_INLINE void nibble_products(const std::int8_t* low, const std::int8_t* high, std::size_t bytes,
                                          const std::uint8_t* const* rows, std::int32_t* out) noexcept {
  using nibble_detail::load;
  __m256i sums[8];
  for (int j = 0; j < 8; ++j) sums[j] = _mm256_setzero_si256();
  for (std::size_t at = 0; at < bytes; at += 64) {
    const __m256i lows[] = {load(low + at), load(low + at + 32)};
    const __m256i highs[] = {load(high + at), load(high + at + 32)};
    for (int j = 0; j < 8; ++j)
      sums[j] = nibble_detail::products(lows, highs, load(rows[j] + at), load(rows[j] + at + 32), sums[j]);
  }
  const __m256i first =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
  const __m256i second =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[4], sums[5]), _mm256_hadd_epi32(sums[6], sums[7]));
  const __m256i all = _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20),
                                       _mm256_permute2x128_si256(first, second, 0x31));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), all);
}

#else

inline constexpr std::size_t nibble_group = 8;

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128 || \
    ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64

namespace nibble_detail {

// `sum::query` is 16 bytes of `low` and of `high`, in the form in which rows are multiplied with it. `add` takes 16 bytes of a row. Where
// sums have 16 bits: products are below 2^11 in magnitude and a lane gets four of them, so that four times as many fit: those of 64 bytes,
// after which `widen` is called.
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1

struct sum {
  static ALIDADE_FORCE_INLINE __m128i load(const void* p) noexcept {
    return _mm_load_si128(static_cast<const __m128i*>(p));
  }
  struct query {
    __m128i low, high;

    ALIDADE_FORCE_INLINE query(const std::int8_t* lows, const std::int8_t* highs) noexcept
        : low(load(lows)), high(load(highs)) {}
  };

  __m128i words = _mm_setzero_si128(), all = _mm_setzero_si128();

  ALIDADE_FORCE_INLINE void add(const query& q, __m128i row) noexcept {
    const __m128i mask = _mm_set1_epi8(15);
    const __m128i lower = _mm_and_si128(row, mask), upper = _mm_and_si128(_mm_srli_epi16(row, 4), mask);
    words = _mm_add_epi16(words,
                          _mm_add_epi16(_mm_maddubs_epi16(lower, q.low), _mm_maddubs_epi16(upper, q.high)));
  }
  ALIDADE_FORCE_INLINE void widen() noexcept {
    all = _mm_add_epi32(all, _mm_madd_epi16(words, _mm_set1_epi16(1)));
    words = _mm_setzero_si128();
  }
  ALIDADE_FORCE_INLINE std::int32_t total() const noexcept {
    const __m128i two = _mm_add_epi32(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, _MM_SHUFFLE(2, 3, 0, 1))));
  }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

/// Bytes are multiplied as words, those in even places apart from those in odd ones: a product of words and the sum of two are one
/// instruction, of bytes there is none.
struct sum {
  static ALIDADE_FORCE_INLINE v128_t load(const void* p) noexcept { return wasm_v128_load(p); }
  struct query {
    v128_t even_low, odd_low, even_high, odd_high;

    ALIDADE_FORCE_INLINE query(const std::int8_t* lows, const std::int8_t* highs) noexcept {
      const v128_t low = load(lows), high = load(highs);
      even_low = wasm_i16x8_shr(wasm_i16x8_shl(low, 8), 8);
      odd_low = wasm_i16x8_shr(low, 8);
      even_high = wasm_i16x8_shr(wasm_i16x8_shl(high, 8), 8);
      odd_high = wasm_i16x8_shr(high, 8);
    }
  };

  v128_t all = wasm_i32x4_splat(0);

  ALIDADE_FORCE_INLINE void add(const query& q, v128_t row) noexcept {
    const v128_t mask = wasm_i16x8_splat(15);
    const v128_t low =
        wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_v128_and(row, mask), q.even_low),
                       wasm_i32x4_dot_i16x8(wasm_v128_and(wasm_u16x8_shr(row, 8), mask), q.odd_low));
    const v128_t high =
        wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_v128_and(wasm_u16x8_shr(row, 4), mask), q.even_high),
                       wasm_i32x4_dot_i16x8(wasm_u16x8_shr(row, 12), q.odd_high));
    all = wasm_i32x4_add(all, wasm_i32x4_add(low, high));
  }
  ALIDADE_FORCE_INLINE void widen() noexcept {}
  ALIDADE_FORCE_INLINE std::int32_t total() const noexcept {
    const v128_t two = wasm_i32x4_add(all, wasm_i32x4_shuffle(all, all, 2, 3, 0, 1));
    return wasm_i32x4_extract_lane(two, 0) + wasm_i32x4_extract_lane(two, 1);
  }
};

#else

struct sum {
  static ALIDADE_FORCE_INLINE int8x16_t load(const void* p) noexcept {
    return vld1q_s8(static_cast<const std::int8_t*>(p));
  }
  struct query {
    int8x16_t low, high;

    ALIDADE_FORCE_INLINE query(const std::int8_t* lows, const std::int8_t* highs) noexcept
        : low(load(lows)), high(load(highs)) {}
  };

  int32x4_t all = vdupq_n_s32(0);

  static ALIDADE_FORCE_INLINE int8x16_t lower(int8x16_t row) noexcept {
    return vandq_s8(row, vdupq_n_s8(15));
  }
  static ALIDADE_FORCE_INLINE int8x16_t upper(int8x16_t row) noexcept {
    return vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(row), 4));
  }
#if ALIDADE_HAS_DOTPROD
  ALIDADE_FORCE_INLINE void add(const query& q, int8x16_t row) noexcept {
    all = vdotq_s32(vdotq_s32(all, lower(row), q.low), upper(row), q.high);
  }
  ALIDADE_FORCE_INLINE void widen() noexcept {}
#else
  int16x8_t words = vdupq_n_s16(0);

  ALIDADE_FORCE_INLINE void add(const query& q, int8x16_t row) noexcept {
    const int8x16_t a = lower(row), b = upper(row), low = q.low, high = q.high;
    words = vmlal_s8(vmlal_s8(words, vget_low_s8(a), vget_low_s8(low)), vget_high_s8(a), vget_high_s8(low));
    words = vmlal_s8(vmlal_s8(words, vget_low_s8(b), vget_low_s8(high)), vget_high_s8(b), vget_high_s8(high));
  }
  ALIDADE_FORCE_INLINE void widen() noexcept {
    all = vpadalq_s16(all, words);
    words = vdupq_n_s16(0);
  }
#endif
  ALIDADE_FORCE_INLINE std::int32_t total() const noexcept {
    const int32x2_t two = vadd_s32(vget_low_s32(all), vget_high_s32(all));
    return vget_lane_s32(vpadd_s32(two, two), 0);
  }
};

#endif

}  // namespace nibble_detail

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1
inline constexpr const char* nibble_instruction = "pmaddubsw";
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
inline constexpr const char* nibble_instruction = "i32x4.dot_i16x8_s";
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
inline constexpr const char* nibble_instruction = ALIDADE_HAS_DOTPROD ? "sdot" : "smlal";
#else
inline constexpr const char* nibble_instruction = ALIDADE_HAS_DOTPROD ? "vsdot.s8" : "vmlal.s8";
#endif

/// Four rows at a time, which share what is loaded of the query.
ALIDADE_FORCE_INLINE void nibble_products(const std::int8_t* low, const std::int8_t* high, std::size_t bytes,
                                          const std::uint8_t* const* rows, std::int32_t* out) noexcept {
  using nibble_detail::sum;
  for (std::size_t j = 0; j < nibble_group; j += 4) {
    sum a, b, c, d;
    for (std::size_t line = 0; line < bytes; line += 64) {
      for (std::size_t at = line; at < line + 64; at += 16) {
        const sum::query q(low + at, high + at);
        a.add(q, sum::load(rows[j] + at));
        b.add(q, sum::load(rows[j + 1] + at));
        c.add(q, sum::load(rows[j + 2] + at));
        d.add(q, sum::load(rows[j + 3] + at));
      }
      a.widen(), b.widen(), c.widen(), d.widen();
    }
    out[j] = a.total();
    out[j + 1] = b.total();
    out[j + 2] = c.total();
    out[j + 3] = d.total();
  }
}

#else

inline constexpr const char* nibble_instruction = ALIDADE_ARCH_NAME;

inline void nibble_products(const std::int8_t* low, const std::int8_t* high, std::size_t bytes,
                            const std::uint8_t* const* rows, std::int32_t* out) noexcept {
  for (std::size_t j = 0; j < nibble_group; ++j) out[j] = nibble_product_generic(low, high, bytes, rows[j]);
}

#endif

#endif

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

ALIDADE_FORCE_INLINE void load_pairs(const std::uint8_t* const* rows, std::size_t at, float* first,
                                     float* second) noexcept {
  const auto pair = [&](std::size_t j) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows[j] + at));
  };
  for (std::size_t j = 0; j < nibble_group; j += 4) {
    const __m128 a = _mm_castsi128_ps(_mm_unpacklo_epi64(pair(j), pair(j + 1)));
    const __m128 b = _mm_castsi128_ps(_mm_unpacklo_epi64(pair(j + 2), pair(j + 3)));
    _mm_storeu_ps(first + j, _mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    _mm_storeu_ps(second + j, _mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
  }
}

#else

inline void load_pairs(const std::uint8_t* const* rows, std::size_t at, float* first,
                       float* second) noexcept {
  for (std::size_t j = 0; j < nibble_group; ++j) {
    std::memcpy(first + j, rows[j] + at, sizeof(float));
    std::memcpy(second + j, rows[j] + at + sizeof(float), sizeof(float));
  }
}

#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
