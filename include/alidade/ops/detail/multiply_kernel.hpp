#pragma once

#include <cstddef>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/simd/prefetch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

/// The shape of the loops over vectors V. All sizes are in elements.
///
/// A tile of C is kept in registers: 12 x 2 vectors of 32 registers, 6 x 2 of 16; 4 x 2 where a product needs a register of
/// its own, because there is no fused multiply-add (128-bit x86, WebAssembly). A panel of B is `depth` rows of a tile's
/// width; blocks of A and of B stay in a second cache of 1 MiB. C is read and written once for each `depth`, which is what
/// reaches memory: so depth is as large as it can be while panels still come from the caches in time.
template <simd::real_vector V>
struct tiling {
  using T = typename V::value_type;
  static constexpr bool fused = V::registers >= 32 || V::lanes * sizeof(T) >= 32;
  static constexpr std::size_t vectors = 2;
  static constexpr std::size_t width = vectors * V::lanes;
  static constexpr std::size_t rows = V::registers >= 32 ? 12 : fused ? 6 : 4;

  static constexpr std::size_t panel_bytes = std::size_t{48} << 10;
  static constexpr std::size_t block_bytes = std::size_t{160} << 10;
  static constexpr std::size_t wide_bytes = std::size_t{768} << 10;

  static constexpr std::size_t most_depth = 384;
  static constexpr std::size_t depth =
      panel_bytes / (width * sizeof(T)) < most_depth ? panel_bytes / (width * sizeof(T)) : most_depth;
  static constexpr std::size_t block_rows = block_bytes / (depth * sizeof(T)) / rows * rows;
  static constexpr std::size_t block_columns = wide_bytes / (depth * sizeof(T)) / width * width;
};

/// One row of a tile takes up one row of B.
template <simd::real_vector V, std::size_t... J>
ALIDADE_FORCE_INLINE void multiply_row(std::index_sequence<J...>, typename V::value_type a, const V* b,
                                       V* sums) noexcept {
  const V x = V::broadcast(a);
  ((sums[J] = multiply_add(x, b[J], sums[J])), ...);
}

/// Where the results of a tile go: `width` columns of it.
template <class T>
struct tile_place {
  T* c;
  std::size_t stride;
  std::size_t width;
  bool add;  ///< to what is there
};

template <simd::real_vector V>
ALIDADE_FORCE_INLINE void put(typename V::value_type* c, std::size_t width, bool add, V sum) noexcept {
  if (width >= V::lanes) {
    store(c, add ? V::load(c) + sum : sum);
  } else if (width > 0) {
    store_partial(c, width, add ? V::load_partial(c, width) + sum : sum);
  }
}

/// A tile: the rows of A at a, tiling::depth apart, times `depth` rows of B at b, b_stride apart.
template <simd::real_vector V, std::size_t Vectors, std::size_t... Row>
inline void multiply_tile(std::index_sequence<Row...>, const typename V::value_type* a,
                          const typename V::value_type* b, std::size_t b_stride, std::size_t depth,
                          const tile_place<typename V::value_type>& to) noexcept {
  constexpr std::size_t a_stride = tiling<V>::depth;
  constexpr auto columns = std::make_index_sequence<Vectors>{};
  // C is needed when the tile is done, and comes from farther away than A and B.
  (simd::prefetch(to.c + Row * to.stride, Vectors * V::lanes * sizeof(typename V::value_type)), ...);
  V sums[sizeof...(Row)][Vectors];
  for (auto& row : sums) {
    for (V& sum : row) sum = V::zero();
  }
  for (std::size_t k = 0; k < depth; ++k, ++a) {
    V x[Vectors];
    for (std::size_t j = 0; j < Vectors; ++j) x[j] = V::load(b + k * b_stride + j * V::lanes);
    (multiply_row(columns, a[Row * a_stride], x, sums[Row]), ...);
  }
  for (std::size_t i = 0; i < sizeof...(Row); ++i) {
    for (std::size_t j = 0; j < Vectors; ++j) {
      const std::size_t before = j * V::lanes;
      put(to.c + i * to.stride + before, to.width > before ? to.width - before : 0, to.add, sums[i][j]);
    }
  }
}

/// Tiles of `Rows` rows as long as there are that many, then of half as many, and so on down to one.
template <simd::real_vector V, std::size_t Vectors, std::size_t Rows>
inline void multiply_panel(const typename V::value_type* a, std::size_t rows, const typename V::value_type* b,
                           std::size_t b_stride, std::size_t depth,
                           tile_place<typename V::value_type> to) noexcept {
  for (; rows >= Rows; rows -= Rows) {
    multiply_tile<V, Vectors>(std::make_index_sequence<Rows>{}, a, b, b_stride, depth, to);
    if (rows == Rows) return;
    a += Rows * tiling<V>::depth;
    to.c += Rows * to.stride;
  }
  if constexpr (Rows > 1) multiply_panel<V, Vectors, Rows / 2>(a, rows, b, b_stride, depth, to);
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
