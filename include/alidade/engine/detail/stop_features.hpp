#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/index/search_progress.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What a search looks like when it has come to a step: whether to go on hangs on this.
struct stop_features {
  double stale = 0;  ///< which part of the hops is behind the last one that found one of the k nearest
  double contrast =
      0;  ///< distance of the nearest over that of the k-th; some number where distances may be negative

  template <class D>
  static stop_features of(const search_progress<D>& progress, std::size_t k) noexcept {
    const auto hops = static_cast<double>(std::max<std::size_t>(progress.hops, 1));
    const auto kth = static_cast<double>(progress.distance(std::min(k, progress.size()) - 1));
    const double contrast = kth != 0 ? static_cast<double>(progress.distance(0)) / kth : 0;
    return {static_cast<double>(progress.hops - progress.improved_at) / hops,
            detail::is_finite(contrast) ? contrast : 0};
  }
};

/// Numbers a search's looks: at each step 8 ranges of `stale` by 4 of `contrast`, each met alike often by the first studies, so
/// that they fit any metric and any data.
class stop_states {
 public:
  static constexpr std::size_t stale_ranges = 8, contrast_ranges = 4;
  static constexpr std::size_t looks = stale_ranges * contrast_ranges;

  struct step_cuts {
    std::array<double, stale_ranges - 1> stale;
    std::array<double, contrast_ranges - 1> contrast;
  };

  stop_states(std::size_t steps, memory_resource* memory) : cuts_(steps, step_cuts{}, memory) {}

  std::size_t of(std::size_t step, const stop_features& f) const noexcept {
    return range_of(cuts_[step].stale, f.stale) * contrast_ranges +
           range_of(cuts_[step].contrast, f.contrast);
  }

  /// By what `count` searches looked like, whose order is lost.
  void calibrate(std::size_t step, stop_features* seen, std::size_t count) noexcept {
    cut(cuts_[step].stale, seen, count, &stop_features::stale);
    cut(cuts_[step].contrast, seen, count, &stop_features::contrast);
  }

  resource_vector<step_cuts>& cuts() noexcept { return cuts_; }
  const resource_vector<step_cuts>& cuts() const noexcept { return cuts_; }

 private:
  template <std::size_t N>
  static std::size_t range_of(const std::array<double, N>& cuts, double x) noexcept {
    std::size_t range = 0;
    for (const double c : cuts) range += static_cast<std::size_t>(x > c);
    return range;
  }

  template <std::size_t N>
  static void cut(std::array<double, N>& cuts, stop_features* seen, std::size_t count,
                  double stop_features::*value) noexcept {
    std::sort(seen, seen + count,
              [value](const stop_features& a, const stop_features& b) { return a.*value < b.*value; });
    for (std::size_t i = 0; i < N; ++i) cuts[i] = count == 0 ? 0 : seen[(i + 1) * count / (N + 1)].*value;
  }

  resource_vector<step_cuts> cuts_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
