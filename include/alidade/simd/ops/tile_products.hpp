#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/simd/vec.hpp>

/// Products of a matrix of 7-bit numbers, 0..127, with a vector of signed bytes, -127..127.
///
/// The matrix lies in tiles of tile_rows rows by tile_columns columns, 64 bytes, one row of a tile behind the other: so that sums of all rows
/// of a tile grow side by side, and nothing is added across a register. The tiles of the first rows come first, from left to right,
/// then those of the rows below them. What a tile has too much is zero. The first one begins at a multiple of 64 bytes.
///
/// `tile_products(matrix, panels, tiles, x, out)`: out[r] = sum over c of matrix(r, c) * x[c], for panels * tile_rows rows, where
/// `tiles` is how many lie side by side. `x` has tiles * tile_columns bytes. Exact below 2^31.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

inline constexpr std::size_t tile_rows = 16, tile_columns = 4, tile_bytes = tile_rows * tile_columns;

/// Where an element of the matrix is.
constexpr std::size_t tile_offset(std::size_t tiles, std::size_t row, std::size_t column) noexcept {
  return ((row / tile_rows) * tiles + column / tile_columns) * tile_bytes + (row % tile_rows) * tile_columns +
         column % tile_columns;
}

namespace tile_detail {

ALIDADE_FORCE_INLINE std::int32_t load4(const std::int8_t* x) noexcept {
  std::int32_t four;
  std::memcpy(&four, x, 4);
  return four;
}

// Sums of the rows of a panel: `add` takes a tile and what it is multiplied with. A pair of products is at most 2 * 127 * 127, which fits
// 16 bits. `chains`: how many such sums are needed where an addition takes several cycles.
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

struct sum {
  static constexpr std::size_t chains = 4;
  __m512i all = _mm512_setzero_si512();

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* tile, const std::int8_t* x) noexcept {
    const __m512i four = _mm512_set1_epi32(load4(x)), rows = _mm512_load_si512(tile);
#if ALIDADE_HAS_VNNI
    all = _mm512_dpbusd_epi32(all, rows, four);
#else
    all = _mm512_add_epi32(all, _mm512_madd_epi16(_mm512_maddubs_epi16(rows, four), _mm512_set1_epi16(1)));
#endif
  }
  ALIDADE_FORCE_INLINE void merge(const sum& other) noexcept { all = _mm512_add_epi32(all, other.all); }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept { _mm512_storeu_si512(out, all); }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

struct sum {
  static constexpr std::size_t chains = ALIDADE_HAS_VNNI ? 4 : 1;
  __m256i upper = _mm256_setzero_si256(), lower = upper;

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* tile, const std::int8_t* x) noexcept {
    const __m256i four = _mm256_set1_epi32(load4(x));
    const auto* const rows = reinterpret_cast<const __m256i*>(tile);
    upper = multiply(upper, _mm256_load_si256(rows), four);
    lower = multiply(lower, _mm256_load_si256(rows + 1), four);
  }
  ALIDADE_FORCE_INLINE void merge(const sum& other) noexcept {
    upper = _mm256_add_epi32(upper, other.upper);
    lower = _mm256_add_epi32(lower, other.lower);
  }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), upper);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8), lower);
  }

 private:
  static ALIDADE_FORCE_INLINE __m256i multiply(__m256i to, __m256i rows, __m256i four) noexcept {
#if ALIDADE_HAS_VNNI
    return _mm256_dpbusd_avx_epi32(to, rows, four);
#else
    const __m256i pairs = _mm256_maddubs_epi16(rows, four);
    return _mm256_add_epi32(to, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
  }
};

#elif ALIDADE_ARCH_ID != ALIDADE_ARCH_ID_scalar

// Of four rows. Without products of four bytes these are, of two rows each, sums over the first two columns and the last two, which are
// added at the end.
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1

struct four_rows {
  __m128i sums = _mm_setzero_si128();

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* rows, const std::int8_t* x) noexcept {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(rows));
    const __m128i pairs = _mm_maddubs_epi16(bytes, _mm_set1_epi32(load4(x)));
    sums = _mm_add_epi32(sums, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
  }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), sums);
  }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2

struct four_rows {
  __m128i upper = _mm_setzero_si128(), lower = upper;

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* rows, const std::int8_t* x) noexcept {
    const __m128i four = _mm_set1_epi32(load4(x)), wide = _mm_srai_epi16(_mm_unpacklo_epi8(four, four), 8);
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(rows)), zero = _mm_setzero_si128();
    upper = _mm_add_epi32(upper, _mm_madd_epi16(_mm_unpacklo_epi8(bytes, zero), wide));
    lower = _mm_add_epi32(lower, _mm_madd_epi16(_mm_unpackhi_epi8(bytes, zero), wide));
  }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept {
    const __m128 a = _mm_castsi128_ps(upper), b = _mm_castsi128_ps(lower);
    const __m128i even = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    const __m128i odd = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_add_epi32(even, odd));
  }
};

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

struct four_rows {
  v128_t upper = wasm_i32x4_splat(0), lower = upper;

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* rows, const std::int8_t* x) noexcept {
    const v128_t wide = wasm_i16x8_extend_low_i8x16(wasm_i32x4_splat(load4(x)));
    const v128_t bytes = wasm_v128_load(rows);
    upper = wasm_i32x4_add(upper, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(bytes), wide));
    lower = wasm_i32x4_add(lower, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(bytes), wide));
  }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept {
    wasm_v128_store(out, wasm_i32x4_add(wasm_i32x4_shuffle(upper, lower, 0, 2, 4, 6),
                                        wasm_i32x4_shuffle(upper, lower, 1, 3, 5, 7)));
  }
};

#elif ALIDADE_HAS_DOTPROD

struct four_rows {
  int32x4_t sums = vdupq_n_s32(0);

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* rows, const std::int8_t* x) noexcept {
    sums = vdotq_s32(sums, vreinterpretq_s8_u8(vld1q_u8(rows)), vreinterpretq_s8_s32(vdupq_n_s32(load4(x))));
  }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept { vst1q_s32(out, sums); }
};

#else

struct four_rows {
  int32x4_t upper = vdupq_n_s32(0), lower = upper;

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* rows, const std::int8_t* x) noexcept {
    const int8x8_t four = vreinterpret_s8_s32(vdup_n_s32(load4(x)));
    const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(rows));
    upper = vpadalq_s16(upper, vmull_s8(vget_low_s8(bytes), four));
    lower = vpadalq_s16(lower, vmull_s8(vget_high_s8(bytes), four));
  }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept {
    vst1_s32(out, vpadd_s32(vget_low_s32(upper), vget_high_s32(upper)));
    vst1_s32(out + 2, vpadd_s32(vget_low_s32(lower), vget_high_s32(lower)));
  }
};

#endif

struct sum {
  static constexpr std::size_t chains = 1;
  four_rows fours[4];

  ALIDADE_FORCE_INLINE void add(const std::uint8_t* tile, const std::int8_t* x) noexcept {
    for (int i = 0; i < 4; ++i) fours[i].add(tile + 16 * i, x);
  }
  ALIDADE_FORCE_INLINE void store(std::int32_t* out) const noexcept {
    for (int i = 0; i < 4; ++i) fours[i].store(out + 4 * i);
  }
};

#else

struct sum {
  static constexpr std::size_t chains = 1;
  std::int32_t rows[tile_rows] = {};

  void add(const std::uint8_t* tile, const std::int8_t* x) noexcept {
    for (std::size_t r = 0; r < tile_rows; ++r) {
      for (std::size_t c = 0; c < tile_columns; ++c) rows[r] += tile[r * tile_columns + c] * x[c];
    }
  }
  void store(std::int32_t* out) const noexcept { std::memcpy(out, rows, sizeof(rows)); }
};

#endif

/// Of one panel.
template <std::size_t... Chain>
ALIDADE_FORCE_INLINE void panel_products(std::index_sequence<Chain...>, const std::uint8_t* panel,
                                         std::size_t tiles, const std::int8_t* x,
                                         std::int32_t* out) noexcept {
  constexpr std::size_t chains = sizeof...(Chain);
  sum sums[chains];
  std::size_t t = 0;
  for (; t + chains <= tiles; t += chains)
    (sums[Chain].add(panel + (t + Chain) * tile_bytes, x + (t + Chain) * tile_columns), ...);
  for (; t < tiles; ++t) sums[0].add(panel + t * tile_bytes, x + t * tile_columns);
  if constexpr (chains == 4) {
    sums[0].merge(sums[1]);
    sums[2].merge(sums[3]);
    sums[0].merge(sums[2]);
  }
  sums[0].store(out);
}

}  // namespace tile_detail

inline void tile_products(const std::uint8_t* matrix, std::size_t panels, std::size_t tiles,
                          const std::int8_t* x, std::int32_t* out) noexcept {
  constexpr std::make_index_sequence<tile_detail::sum::chains> chains;
  for (std::size_t p = 0; p < panels; ++p)
    tile_detail::panel_products(chains, matrix + p * tiles * tile_bytes, tiles, x, out + p * tile_rows);
}

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
