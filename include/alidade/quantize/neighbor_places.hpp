#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// How well estimates tell neighbours: where, among some rows sorted by estimates, the ten nearest of some queries come. What a search
/// by estimates must keep to find them grows with that.
class neighbor_places {
 public:
  static constexpr std::size_t neighbors = 10;

  neighbor_places(std::size_t queries, std::size_t rows, memory_resource* memory)
      : nearest_(std::min(neighbors, rows - 1)), places_(queries * nearest_, 0, memory) {}

  /// Of one query that is a row itself, which does not count. Several queries may be measured at once. `exact` and `estimates`, of all
  /// rows, are changed.
  void measure(std::size_t query, std::size_t self, std::span<float> exact, std::span<float> estimates) {
    exact[self] = estimates[self] = std::numeric_limits<float>::infinity();
    resource_vector<std::uint32_t> order(exact.size(), 0, places_.get_allocator());
    std::iota(order.begin(), order.end(), 0u);
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(nearest_);
    std::nth_element(order.begin(), end, order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return exact[a] < exact[b] || (exact[a] == exact[b] && a < b);  // the same of ties on every platform
    });
    for (std::size_t i = 0; i < nearest_; ++i) {
      const float estimate = estimates[order[i]];
      places_[query * nearest_ + i] =
          1 + static_cast<std::size_t>(std::count_if(estimates.begin(), estimates.end(),
                                                     [&](float other) { return other < estimate; }));
    }
  }

  /// The place, from 1 on, at or before which 95 in 100 come; 0 where there is nothing to say.
  std::size_t late() {
    if (places_.empty()) return 0;
    const auto last =
        places_.begin() + static_cast<std::ptrdiff_t>(0.95 * static_cast<double>(places_.size() - 1));
    std::nth_element(places_.begin(), last, places_.end());
    return *last;
  }

 private:
  std::size_t nearest_;
  resource_vector<std::size_t> places_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
