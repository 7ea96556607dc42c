#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

constexpr bool valid_quantile(double q) noexcept { return q > 0.5 && q <= 1; }  // NaN is not

/// Where vectors lie, dimension by dimension, and how far they reach from there. By order statistics, so that vectors far out, as long as
/// they are few, move neither.
class component_range {
 public:
  explicit component_range(memory_resource* memory) noexcept : centre_(memory) {}

  std::span<const float> centre() const noexcept { return centre_; }
  /// The most in any dimension of the quantile of |x - centre|; finite, 0 where vectors do not differ.
  float range() const noexcept { return range_; }

  /// Learns from rows, at least one, by columns, of which the threads take some each. The centre is the median of each dimension, or zero if
  /// they are not to be centred. The quantile is of nearest rank: the ceil(q n)-th of n.
  void learn(std::span<const float> rows, std::size_t dimension, double quantile, bool centred,
             std::size_t threads) {
    memory_resource* const memory = centre_.get_allocator().resource();
    const std::size_t count = rows.size() / dimension;
    const auto rank = static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(count))) - 1;
    const std::size_t workers = std::min(resolve_threads(threads), (dimension + share - 1) / share);
    resource_vector<float> columns(workers * count, 0, memory), ranges(dimension, 0, memory);
    reset(dimension);
    parallel_for(dimension, share, workers, [&](std::size_t begin, std::size_t end, std::size_t worker) {
      const std::span<float> column = std::span(columns).subspan(worker * count, count);
      const auto at = [&](std::size_t i) {
        const auto place = column.begin() + static_cast<std::ptrdiff_t>(std::min(i, count - 1));
        std::nth_element(column.begin(), place, column.end());
        return *place;
      };
      for (std::size_t i = begin; i < end; ++i) {
        for (std::size_t r = 0; r < count; ++r) column[r] = bounded(rows[r * dimension + i]);
        if (centred) centre_[i] = at(count / 2);
        for (float& x : column) x = std::abs(x - centre_[i]);
        ranges[i] = at(rank);
      }
    });
    range_ = *std::max_element(ranges.begin(), ranges.end());
  }

  /// The centre is zero, and nothing is known of the range.
  void reset(std::size_t dimension) {
    centre_.assign(dimension, 0);
    range_ = 0;
  }

  /// What another one had, of finite numbers.
  void restore(std::span<const float> centre, float range) {
    centre_.assign(centre.begin(), centre.end());
    range_ = range;
  }

  memory_resource* resource() const noexcept { return centre_.get_allocator().resource(); }
  std::size_t memory_bytes() const noexcept { return centre_.capacity() * sizeof(float); }

 private:
  /// So that no difference overflows, and all have an order.
  static float bounded(float x) noexcept {
    constexpr float most = std::numeric_limits<float>::max() / 2;
    return x >= -most ? std::min(x, most) : -most;
  }

  static constexpr std::size_t share = 16;

  resource_vector<float> centre_;
  float range_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
