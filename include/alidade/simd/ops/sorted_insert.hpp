#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/simd/vec.hpp>

/// `sorted_insert(a, n, x)` puts x among the n sorted numbers at a, each of which moves up by one place or not at all; the last,
/// which is larger than x, drops out. Returns x's place. No number of a equals x.
///
/// With vectors no place is looked for: what comes to be a[i] is min(a[i], max(a[i - 1], x)) wherever x belongs, so that
/// nothing branches. For that a[-1] is the least number, and a[n] and on, to the end of its block of `sorted_insert_block`, are
/// larger than x, which they then still are.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

inline constexpr std::size_t sorted_insert_block = 8;

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512

/// Moves the block at a; returns how many of it are less than x.
ALIDADE_FORCE_INLINE std::size_t insert_into_block(std::int64_t* a, __m512i x) noexcept {
  const __m512i before = _mm512_loadu_si512(a - 1), here = _mm512_loadu_si512(a);
  _mm512_storeu_si512(a, _mm512_min_epi64(here, _mm512_max_epi64(before, x)));
  return static_cast<std::size_t>(_mm_popcnt_u32(_mm512_cmplt_epi64_mask(here, x)));
}
ALIDADE_FORCE_INLINE __m512i broadcast_i64(std::int64_t x) noexcept { return _mm512_set1_epi64(x); }

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2

/// Moves half of the block at a; returns where it is greater than x.
ALIDADE_FORCE_INLINE __m256i insert_into_half(std::int64_t* a, __m256i x) noexcept {
  const __m256i before = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a - 1));
  const __m256i here = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
  const __m256i moves = _mm256_cmpgt_epi64(here, x);
  const __m256i moved = _mm256_blendv_epi8(x, before, _mm256_cmpgt_epi64(before, x));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(a), _mm256_blendv_epi8(here, moved, moves));
  return moves;
}
ALIDADE_FORCE_INLINE std::size_t insert_into_block(std::int64_t* a, __m256i x) noexcept {
  const __m256i upper = insert_into_half(a + 4, x), lower = insert_into_half(a, x);
  const __m256i both = _mm256_packs_epi32(lower, upper);
  return 8 - static_cast<std::size_t>(_mm_popcnt_u32(static_cast<unsigned>(_mm256_movemask_epi8(both)))) / 4;
}
ALIDADE_FORCE_INLINE __m256i broadcast_i64(std::int64_t x) noexcept { return _mm256_set1_epi64x(x); }

#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

/// Moves a quarter of the block at a; returns where it is greater than x.
ALIDADE_FORCE_INLINE v128_t insert_into_quarter(std::int64_t* a, v128_t x) noexcept {
  const v128_t before = wasm_v128_load(a - 1), here = wasm_v128_load(a);
  const v128_t moves = wasm_i64x2_gt(here, x);
  const v128_t moved = wasm_v128_bitselect(before, x, wasm_i64x2_gt(before, x));
  wasm_v128_store(a, wasm_v128_bitselect(moved, here, moves));
  return moves;
}
ALIDADE_FORCE_INLINE std::size_t insert_into_block(std::int64_t* a, v128_t x) noexcept {
  v128_t moves = insert_into_quarter(a + 6, x);
  for (int at = 4; at >= 0; at -= 2) moves = wasm_i64x2_add(moves, insert_into_quarter(a + at, x));
  return static_cast<std::size_t>(8 + wasm_i64x2_extract_lane(moves, 0) + wasm_i64x2_extract_lane(moves, 1));
}
ALIDADE_FORCE_INLINE v128_t broadcast_i64(std::int64_t x) noexcept { return wasm_i64x2_splat(x); }

#endif

inline std::size_t sorted_insert_by_search(std::int64_t* a, std::size_t n, std::int64_t x) noexcept {
  // A binary search whose steps are conditional moves: its branches would be mispredicted half of the time.
  std::size_t place = 0;
  for (std::size_t left = n; left > 0;) {
    const std::size_t half = (left + 1) / 2;
    place += a[place + half - 1] < x ? half : 0;
    left -= half;
  }
  std::memmove(a + place + 1, a + place, (n - 1 - place) * sizeof(std::int64_t));
  a[place] = x;
  return place;
}

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2 || \
    ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128

inline std::size_t sorted_insert(std::int64_t* a, std::size_t n, std::int64_t x) noexcept {
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
  if (n > 160) return sorted_insert_by_search(a, n, x);  // from there on that is quicker
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128
  if (n > 320) return sorted_insert_by_search(a, n, x);  // up to there it is slower
#endif
  // From the end, so that a block's neighbour below is still what it was. Whether the rest is less than x is asked now and
  // then only: the answer is hard to predict.
  constexpr std::size_t blocks_between_looks = 8;
  const auto wanted = broadcast_i64(x);
  std::size_t block = (n + sorted_insert_block - 1) / sorted_insert_block, less = 0;
  while (block > 0) {
    const std::size_t until = block > blocks_between_looks ? block - blocks_between_looks : 0;
    for (; block > until; --block) less += insert_into_block(a + (block - 1) * sorted_insert_block, wanted);
    if (a[static_cast<std::ptrdiff_t>(block * sorted_insert_block) - 1] < x) break;
  }
  return block * sorted_insert_block + less;
}

#else

inline std::size_t sorted_insert(std::int64_t* a, std::size_t n, std::int64_t x) noexcept {
  return sorted_insert_by_search(a, n, x);
}

#endif

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
