#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/distance/product_tile.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// How a distance follows from the inner product and the norms of the stored vectors.
enum class product_form {
  none,       ///< it does not
  distance,   ///< |a|^2 + |b|^2 - 2 ab
  negative,   ///< -ab
  complement  ///< 1 - ab
};

template <class Metric, class T>
inline constexpr product_form form_of = product_form::none;
template <class T>
inline constexpr product_form form_of<metrics::l2_squared, T> = product_form::distance;
template <class T>
inline constexpr product_form form_of<metrics::reproducible<metrics::l2_squared>, T> = product_form::distance;
template <class T>
inline constexpr product_form form_of<metrics::inner_product, T> = product_form::negative;
template <class T>
inline constexpr product_form form_of<metrics::reproducible<metrics::inner_product>, T> =
    product_form::negative;
template <>
inline constexpr product_form form_of<metrics::cosine, float> = product_form::complement;
template <>
inline constexpr product_form form_of<metrics::reproducible<metrics::cosine>, float> =
    product_form::complement;

/// Exact search of a batch at the speed of a matrix product: products of queries and rows are estimated a tile at a time
/// (product_tile.hpp), and a pair's distance is only measured where the estimate, less the most that it may be off, does
/// not rule it out. So the answers are those of measuring every pair, to the bit.
///
/// `Offer` is called as offer(query, slot) where a distance has to be measured, and gives the distance at which the query's
/// answers end so far, infinity while there is room.
template <class T, product_form Form>
class block_scan {
  using tile = product_tile;
  using V = tile::V;

 public:
  /// Up to where a block of rows stays in a second cache of 512 KiB.
  static constexpr std::size_t max_dimension = std::size_t{1} << 12;
  /// Their copies are of 64 MiB at most.
  static constexpr std::size_t max_queries = std::size_t{1} << 12;
  /// Packing a row pays when at least this many queries meet it.
  static constexpr std::size_t min_queries = 8;

  /// `queries`: `count` prepared vectors, `stride` apart.
  block_scan(const T* queries, std::size_t count, std::size_t stride, std::size_t dimension,
             memory_resource* memory = nullptr)
      : count_(count),
        dimension_(dimension),
        units_(tile::units(dimension)),
        block_(std::clamp(block_bytes / (units_ * sizeof(std::uint32_t)) / tile::width, std::size_t{1},
                          std::size_t{16}) *
               tile::width),
        groups_((count + tile::rows - 1) / tile::rows),
        packed_queries_(groups_ * tile::rows * units_ * sizeof(std::uint32_t), memory),
        panels_(block_ * units_ * sizeof(std::uint32_t), memory),
        units_of_vectors_(std::max(tile::width, tile::rows) * units_ * sizeof(std::uint32_t), memory),
        numbers_(dimension, memory),
        query_norms_(groups_ * tile::rows, memory),
        query_lost_(groups_ * tile::rows, memory),
        half_squares_(block_, memory),
        bounds_(groups_ * tile::rows, std::numeric_limits<double>::infinity(), memory),
        thresholds_(groups_ * tile::rows, memory) {
    const std::uint32_t* vectors[tile::rows];
    for (std::size_t first = 0; first < count; first += tile::rows) {
      const std::size_t here = std::min(tile::rows, count - first);
      for (std::size_t i = 0; i < here; ++i) {
        const T* const query = queries + (first + i) * stride;
        std::uint32_t* const units = units_of(i);
        query_lost_[first + i] = tile::to_units(query, dimension, numbers_.data(), units);
        query_norms_[first + i] = norm_of(query);
        vectors[i] = units;
      }
      tile::pack(vectors, here, tile::rows, units_, words(packed_queries_) + first * units_);
    }
  }

  /// `row(slot)`: the stored vectors, 0 .. rows.
  template <class Row, class Offer>
  void run(std::size_t rows, const Row& row, const Offer& offer) {
    for (std::size_t first = 0; first < rows; first += block_) {
      const std::size_t count = std::min(block_, rows - first);
      pack_block(first, count, row);
      for (std::size_t query = 0; query < count_; ++query) set_threshold(query);
      for (std::size_t group = 0; group < groups_; ++group) {
        for (std::size_t column = 0; column < count; column += tile::width)
          scan_tile(group * tile::rows, first, column, std::min(tile::width, count - column), offer);
      }
    }
  }

 private:
  static constexpr std::size_t block_bytes = std::size_t{512} << 10;
  static constexpr auto tile_rows = std::make_index_sequence<tile::rows>{};

  static std::uint32_t* words(aligned_bytes& bytes) noexcept {
    return reinterpret_cast<std::uint32_t*>(bytes.data());
  }
  std::uint32_t* units_of(std::size_t i) noexcept { return words(units_of_vectors_) + i * units_; }

  /// No less than the norm.
  double norm_of(const T* v) const noexcept {
    if constexpr (std::is_integral_v<T>) {
      return std::sqrt(static_cast<double>(reduce<byte_product<T, simd::byte_sums>>(v, v, dimension_)));
    } else {
      using R = real_product<T, vector_for<T, fast_policy>>;
      return norm_above(static_cast<double>(reduce<R>(v, v, dimension_)), dimension_);
    }
  }

  template <class Row>
  void pack_block(std::size_t first, std::size_t count, const Row& row) noexcept {
    largest_norm_ = largest_lost_ = 0;
    const std::uint32_t* vectors[tile::width];
    for (std::size_t column = 0; column < count; column += tile::width) {
      const std::size_t here = std::min(tile::width, count - column);
      for (std::size_t j = 0; j < here; ++j) {
        const T* const v = row(first + column + j);
        const double lost = tile::to_units(v, dimension_, numbers_.data(), units_of(j));
        const double norm = norm_of(v);
        half_squares_[column + j] =
            Form == product_form::distance ? static_cast<float>(norm * norm / 2) : 0.0f;
        largest_lost_ = std::max(largest_lost_, lost);
        largest_norm_ = std::max(largest_norm_, norm);
        vectors[j] = units_of(j);
      }
      std::fill(half_squares_.begin() + static_cast<std::ptrdiff_t>(column + here),
                half_squares_.begin() + static_cast<std::ptrdiff_t>(column + tile::width), 0.0f);
      tile::pack(vectors, here, tile::width, units_, words(panels_) + column * units_);
    }
  }

  /// A pair may be an answer unless ab - |b|^2 / 2 (the second term for distances only) is below this.
  void set_threshold(std::size_t query) noexcept {
    const double norm = query_norms_[query], bound = bounds_[query];
    // Where an estimate may overflow, every distance is measured.
    if (!(norm <= tile::largest_norm) || !(largest_norm_ <= tile::largest_norm)) {
      thresholds_[query] = -std::numeric_limits<float>::infinity();
      return;
    }
    double slack = tile::rounding(dimension_, norm, query_lost_[query], largest_norm_, largest_lost_);
    double least = 0;
    if constexpr (Form == product_form::distance) {
      // The squares, their halves and the distance itself are rounded too.
      slack +=
          (static_cast<double>(dimension_) + 32) * 0x1p-22 * (norm * norm + largest_norm_ * largest_norm_);
      least = (norm * norm - bound) / 2;
    } else if constexpr (Form == product_form::negative) {
      least = -bound;
    } else {
      least = 1 - bound;
      slack += 0x1p-20;
    }
    const double threshold = least - slack - 0x1p-20 * std::abs(least);
    thresholds_[query] = threshold > -std::numeric_limits<float>::max()
                             ? static_cast<float>(std::min(threshold, 3.0e38))
                             : -std::numeric_limits<float>::infinity();
  }

  template <class Offer>
  void scan_tile(std::size_t query, std::size_t first, std::size_t column, std::size_t width,
                 const Offer& offer) {
    V sums[tile::rows][2];
    tile::multiply(tile_rows, words(packed_queries_) + query * units_, words(panels_) + column * units_,
                   units_, sums);
    const V half0 = V::load(half_squares_.data() + column),
            half1 = V::load(half_squares_.data() + column + V::lanes);
    const std::size_t count = std::min(tile::rows, count_ - query);
    for (std::size_t i = 0; i < count; ++i) {
      const V threshold = V::broadcast(thresholds_[query + i]);
      const std::uint64_t ruled_out0 = bits(sums[i][0] - half0 < threshold),
                          ruled_out1 = bits(sums[i][1] - half1 < threshold);
      std::uint64_t open = ~(ruled_out0 | ruled_out1 << V::lanes) & ((std::uint64_t{1} << width) - 1);
      if (open == 0) continue;
      for (; open != 0; open &= open - 1) {
        const auto slot = first + column + static_cast<std::size_t>(std::countr_zero(open));
        bounds_[query + i] = offer(query + i, slot);
      }
      set_threshold(query + i);
    }
  }

  std::size_t count_, dimension_, units_, block_, groups_;
  aligned_bytes packed_queries_, panels_, units_of_vectors_;
  resource_vector<float> numbers_;
  resource_vector<double> query_norms_, query_lost_;
  resource_vector<float> half_squares_;
  resource_vector<double> bounds_;
  resource_vector<float> thresholds_;
  double largest_norm_ = 0, largest_lost_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
