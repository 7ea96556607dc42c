#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/transition_batch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

inline constexpr std::size_t no_step = static_cast<std::size_t>(-1);

/// Several steps taken as one.
template <class T>
struct step_sum {
  T reward;
  T discount;
  std::size_t last;
  std::size_t length;
};

/// From step `first` on up to `most` steps: following(i) is the step that goes on from step i, or no_step. In double, from the
/// first to the last, each product rounded; then rounded to T, at most to its largest finite number.
template <class T, class RewardOf, class Following>
inline step_sum<T> sum_steps(std::size_t first, std::size_t most, double gamma, const RewardOf& reward_of,
                             const Following& following) noexcept {
  double reward = static_cast<double>(reward_of(first)), discount = gamma;
  std::size_t last = first, length = 1;
  for (; length < most; ++length) {
    const std::size_t next = following(last);
    if (next == no_step) break;
    reward += unfused(discount * static_cast<double>(reward_of(next)));
    discount *= gamma;
    last = next;
  }
  constexpr auto largest = static_cast<double>(std::numeric_limits<T>::max());
  return {static_cast<T>(std::clamp(reward, -largest, largest)), static_cast<T>(discount), last, length};
}

/// The transitions of a batch, each with up to n of those that follow it summed up.
template <class T>
class n_step_windows {
 public:
  explicit n_step_windows(memory_resource* memory) noexcept
      : rewards_(memory),
        discounts_(memory),
        next_states_(memory),
        next_actions_(memory),
        terminated_(memory) {}

  void assign(const transition_batch<T>& b, std::size_t n, double gamma) {
    resize(b.size());
    const auto following = [&b](std::size_t i) noexcept {
      const bool goes_on = !b.is_last(i) && i + 1 < b.size() && b.states[i + 1] == b.next_states[i];
      return goes_on ? i + 1 : no_step;
    };
    for (std::size_t i = 0; i < b.size(); ++i) {
      const step_sum<T> sum = sum_steps<T>(
          i, n, gamma, [&b](std::size_t j) noexcept { return b.rewards[j]; }, following);
      rewards_[i] = sum.reward;
      discounts_[i] = sum.discount;
      next_states_[i] = b.next_states[sum.last];
      next_actions_[i] = b.next_actions.empty() ? 0 : b.next_actions[sum.last];
      terminated_[i] = b.is_terminated(sum.last) ? 1 : 0;
    }
  }

  /// What was assigned.
  transition_batch<T> batch(const transition_batch<T>& of) const noexcept {
    transition_batch<T> b = of;
    b.rewards = rewards_;
    b.discounts = discounts_;
    b.next_states = next_states_;
    b.next_actions = next_actions_;
    b.terminated = terminated_;
    return b;
  }

  std::size_t memory_bytes() const noexcept {
    return (rewards_.capacity() + discounts_.capacity()) * sizeof(T) +
           (next_states_.capacity() + next_actions_.capacity()) * sizeof(std::uint32_t) +
           terminated_.capacity();
  }

 private:
  void resize(std::size_t n) {
    rewards_.resize(n);
    discounts_.resize(n);
    next_states_.resize(n);
    next_actions_.resize(n);
    terminated_.resize(n);
  }

  resource_vector<T> rewards_, discounts_;
  resource_vector<std::uint32_t> next_states_, next_actions_;
  resource_vector<std::uint8_t> terminated_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
