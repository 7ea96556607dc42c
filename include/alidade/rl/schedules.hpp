#pragma once

#include <algorithm>
#include <cstdint>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/portable_math.hpp>

/// Numbers that change as learning goes on: an epsilon, a temperature, a learning rate, an importance exponent. They are
/// aggregates of finite numbers without state, take constant time, and never leave the range between `from` and `to` or turn back.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// The same at every step.
struct constant_schedule {
  double value = 0;

  constexpr double operator()(std::uint64_t) const noexcept { return value; }
};

/// from + (to - from) step / steps up to `steps`, then `to`. Exactly `from` at step 0 unless steps is 0: then it is `to` always.
struct linear_schedule {
  double from = 1;
  double to = 0;
  std::uint64_t steps = 1;

  double operator()(std::uint64_t step) const noexcept {
    ALIDADE_ASSERT(detail::is_finite(to - from));
    if (step >= steps) return to;
    const double share = static_cast<double>(step) / static_cast<double>(steps);
    const double value = from + detail::unfused((to - from) * share);
    return std::clamp(value, std::min(from, to), std::max(from, to));
  }
};

/// to + (from - to) 2^(-step / half_life): after half_life steps half of the way is gone, after twice as many three quarters.
/// Exactly `from` at step 0, and `to` once the rest is less than rounding.
struct exponential_schedule {
  double from = 1;
  double to = 0;
  double half_life = 1;  ///< in steps; above 0, finite

  double operator()(std::uint64_t step) const noexcept {
    ALIDADE_ASSERT(half_life > 0 && detail::is_finite(half_life) && detail::is_finite(from - to));
    if (step == 0) return from;
    const double left = detail::two_to_the(-static_cast<double>(step) / half_life);
    const double value = to + detail::unfused((from - to) * left);
    return std::clamp(value, std::min(from, to), std::max(from, to));
  }
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
