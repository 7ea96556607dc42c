#pragma once

#include <algorithm>
#include <cstdint>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

/// From good to bad, so that the worst of several is the largest.
enum class health : unsigned char { ok, degraded, critical };

constexpr const char* name_of(health h) noexcept {
  return h == health::ok ? "ok" : h == health::degraded ? "degraded" : "critical";
}

/// When a series is degraded or critical. What is judged is one quantile of the latencies of an interval, from one
/// evaluation to the next.
///
/// A state is entered at once, by an interval whose quantile is at the limit or above. It is left when `hold` intervals
/// in a row were all below `recovery` times the limit, for the worst state that is right for all of those: between the
/// two lines nothing changes, and a value that swings about a limit raises one alert. Intervals with fewer than
/// `min_count` latencies say nothing, and neither end such a row nor lengthen it.
struct health_limits {
  double quantile = 0.99;         ///< 0..1
  std::uint64_t degraded_ns = 0;  ///< 0: there is no such limit
  std::uint64_t critical_ns = 0;  ///< 0: there is no such limit; otherwise at least degraded_ns
  double recovery = 0.8;          ///< more than 0, at most 1
  std::uint32_t hold = 2;         ///< 1..1,000,000
  std::uint64_t min_count = 20;   ///< 1 or more
};

constexpr bool valid(const health_limits& limits) noexcept {
  return limits.quantile >= 0 && limits.quantile <= 1 && limits.recovery > 0 && limits.recovery <= 1 &&
         limits.hold >= 1 && limits.hold <= 1'000'000 && limits.min_count >= 1 &&
         (limits.critical_ns == 0 || limits.critical_ns >= limits.degraded_ns);
}

/// The state of one series under its limits.
class health_tracker {
 public:
  health state() const noexcept { return state_; }

  /// Judges an interval with `count` latencies whose quantile is `ns`. Returns the new state.
  health update(const health_limits& limits, std::uint64_t ns, std::uint64_t count) noexcept {
    if (count < limits.min_count) return state_;
    const health now = level(limits, ns, 1);
    const health calm = level(limits, ns, limits.recovery);
    if (now > state_) {
      enter(now);
    } else if (calm >= state_) {
      calm_intervals_ = 0;
      worst_calm_ = health::ok;
    } else {
      worst_calm_ = std::max(worst_calm_, calm);
      if (++calm_intervals_ >= limits.hold) enter(worst_calm_);
    }
    return state_;
  }

 private:
  /// The state by limits that are `factor` times as high.
  static health level(const health_limits& limits, std::uint64_t ns, double factor) noexcept {
    const auto reaches = [&](std::uint64_t limit) {
      return limit != 0 && static_cast<double>(ns) >= factor * static_cast<double>(limit);
    };
    return reaches(limits.critical_ns)   ? health::critical
           : reaches(limits.degraded_ns) ? health::degraded
                                         : health::ok;
  }

  void enter(health h) noexcept {
    state_ = h;
    calm_intervals_ = 0;
    worst_calm_ = health::ok;
  }

  health state_ = health::ok;
  health worst_calm_ = health::ok;  ///< of the intervals in the row
  std::uint32_t calm_intervals_ = 0;
};

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
