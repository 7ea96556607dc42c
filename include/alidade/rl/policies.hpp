#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/core/random.hpp>
#include <alidade/rl/action_mask.hpp>

/// How an action is chosen from the values of one state. A policy is an aggregate of its parameters and has no state of its
/// own; what is random comes from the caller's generator, so that the same seed gives the same actions on every platform.
///
/// A row holds the values Q(s, a) of one state in the order of the actions, finite ones. An action is chosen only where the mask
/// allows it and its value is neither -infinity, which stands for an action that the state does not have, nor NaN; where there
/// is none, no_action is returned. A mask that does not cover the row, and parameters out of range, are bugs (asserted);
/// valid(policy) says whether they are in range. All is
/// computed in double, in the order of the actions, and takes time linear in their number. Nothing is allocated.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

template <class T>
concept action_value = std::same_as<T, float> || std::same_as<T, double>;

/// f(a, q) for each action that can be chosen, in rising order.
template <action_value T, class F>
void for_each_choosable(std::span<const T> row, action_mask mask, const F& f) {
  ALIDADE_ASSERT(row.size() < no_action && mask.covers(row.size()));
  const bool all = mask.allows_all();
  for (std::size_t a = 0; a < row.size(); ++a) {
    if (is_choosable(row[a]) && (all || mask.allows(a))) {
      f(static_cast<std::uint32_t>(a), static_cast<double>(row[a]));
    }
  }
}

struct best_action {
  std::uint32_t action = no_action;
  double value = 0;  ///< 0 where there is no action
};

/// The action of the largest value, the lowest of those that have it.
template <action_value T>
best_action best_of(std::span<const T> row, action_mask mask) noexcept {
  // Without branches on the values, which would be mispredicted.
  std::uint32_t action = no_action;
  double value = -std::numeric_limits<double>::infinity();
  for_each_choosable(row, mask, [&](std::uint32_t a, double q) {
    const bool is_better = q > value;
    action = is_better ? a : action;
    value = is_better ? q : value;
  });
  return {action, action == no_action ? 0 : value};
}

}  // namespace detail

/// argmax over a of Q(s, a); the lowest action of those that have the largest value.
struct greedy {
  template <detail::action_value T>
  std::uint32_t operator()(std::span<const T> row, action_mask mask = {}) const noexcept {
    return detail::best_of(row, mask).action;
  }

  /// The expected value of the action: the largest one, 0 where there is none.
  template <detail::action_value T>
  T expectation(std::span<const T> row, action_mask mask = {}) const noexcept {
    return static_cast<T>(detail::best_of(row, mask).value);
  }

  friend constexpr bool valid(const greedy&) noexcept { return true; }
};

/// With probability epsilon each action alike, otherwise the greedy one (Sutton and Barto, Reinforcement Learning, 2nd ed.,
/// section 2.2). Draws one number, and one or more where it explores.
struct epsilon_greedy {
  double epsilon = 0.1;  ///< 0..1

  template <detail::action_value T, random_bits_64 Random>
  std::uint32_t operator()(std::span<const T> row, Random& random, action_mask mask = {}) const {
    ALIDADE_ASSERT(valid(*this));
    if (!(detail::uniform_unit(random) < epsilon)) return detail::best_of(row, mask).action;
    std::uint64_t count = 0;
    detail::for_each_choosable(row, mask, [&](std::uint32_t, double) { ++count; });
    std::uint32_t chosen = no_action;
    if (count == 0) return chosen;
    std::uint64_t left = detail::uniform_below(random, count);
    detail::for_each_choosable(row, mask, [&](std::uint32_t a, double) {
      if (left-- == 0) chosen = a;
    });
    return chosen;
  }

  /// The expected value of the action, (1 - epsilon) max + epsilon mean, computed as max + epsilon mean(Q - max); 0 where there
  /// is no action.
  template <detail::action_value T>
  T expectation(std::span<const T> row, action_mask mask = {}) const noexcept {
    ALIDADE_ASSERT(valid(*this));
    const detail::best_action best = detail::best_of(row, mask);
    if (epsilon == 0 || best.action == no_action) return static_cast<T>(best.value);
    double below = 0;
    std::uint64_t count = 0;
    detail::for_each_choosable(row, mask, [&](std::uint32_t, double q) {
      below += q - best.value;
      ++count;
    });
    return static_cast<T>(best.value + detail::unfused(epsilon * (below / static_cast<double>(count))));
  }

  friend bool valid(const epsilon_greedy& policy) noexcept {
    return detail::is_finite(policy.epsilon) && policy.epsilon >= 0 && policy.epsilon <= 1;
  }
};

/// Action a with probability proportional to e^(Q(s, a) / temperature) (Boltzmann exploration; Sutton and Barto, 2nd ed.,
/// equation 2.11 with preferences Q / temperature). High temperatures choose all actions alike, low ones the greedy one. The
/// largest value is subtracted first, so that nothing overflows; actions more than 746 temperatures worse have probability 0.
/// Draws one number and finds its place among the sums of the probabilities, of which it computes each at most twice.
struct softmax {
  double temperature = 1;  ///< above 0, finite

  template <detail::action_value T, random_bits_64 Random>
  std::uint32_t operator()(std::span<const T> row, Random& random, action_mask mask = {}) const {
    const double unit = detail::uniform_unit(random), scale = binary_scale();
    const detail::best_action best = detail::best_of(row, mask);
    double total = 0;
    detail::for_each_choosable(row, mask,
                               [&](std::uint32_t, double q) { total += weight(q, best.value, scale); });
    const double wanted = unit * total;
    double sum = 0;
    for (std::size_t a = 0; a < row.size(); ++a) {
      if (!detail::is_choosable(row[a]) || !mask.allows(a)) continue;
      sum += weight(static_cast<double>(row[a]), best.value, scale);
      if (wanted < sum) return static_cast<std::uint32_t>(a);
    }
    // Only where there is none: the product is below the total, as 1 - 2^-53 times any number rounds to less than it. (Under
    // -ffast-math the sums may differ.)
    return best.action;
  }

  /// The expected value of the action, sum over a of p(a) Q(s, a), computed from differences to the largest; 0 where there is no
  /// action.
  template <detail::action_value T>
  T expectation(std::span<const T> row, action_mask mask = {}) const noexcept {
    const detail::best_action best = detail::best_of(row, mask);
    const double scale = binary_scale();
    double total = 0, below = 0;
    detail::for_each_choosable(row, mask, [&](std::uint32_t, double q) {
      const double w = weight(q, best.value, scale);
      total += w;
      if (w > 0 && q < best.value) below += detail::unfused(w * (q - best.value));
    });
    return static_cast<T>(best.action == no_action ? 0 : best.value + below / total);
  }

  friend bool valid(const softmax& policy) noexcept {
    return detail::is_finite(policy.temperature) && policy.temperature > 0;
  }

 private:
  /// log2(e) / temperature: e^(x / temperature) is 2^(x scale).
  double binary_scale() const noexcept {
    ALIDADE_ASSERT(valid(*this));
    return 0x1.71547652b82fep+0 / temperature;
  }
  static double weight(double q, double best, double scale) noexcept {
    return q < best ? detail::two_to_the((q - best) * scale) : 1;
  }
};

/// argmax over a of Q(s, a) + c sqrt(ln N / n(a)), where n(a) says how often action a was taken in the state and N is the sum of
/// all n: UCB1 (Auer, Cesa-Bianchi, Fischer: Finite-time analysis of the multiarmed bandit problem, Machine Learning 47, 2002,
/// for rewards in 0..1 and c = sqrt(2); Sutton and Barto, 2nd ed., section 2.7). Actions that were never taken come first, the
/// lowest of them; ties go to the lowest action. Draws nothing.
struct ucb {
  double c = 1.4142135623730951;  ///< 0 or more, finite

  /// As many counts as values (asserted).
  template <detail::action_value T>
  std::uint32_t operator()(std::span<const T> row, std::span<const std::uint32_t> counts,
                           action_mask mask = {}) const noexcept {
    ALIDADE_ASSERT(valid(*this) && counts.size() == row.size());
    std::uint64_t visits = 0;
    for (const std::uint32_t n : counts) visits += n;
    const double log = visits == 0 ? 0 : detail::log2_of(static_cast<double>(visits)) * 0x1.62e42fefa39efp-1;
    std::uint32_t untried = no_action;
    detail::best_action best;
    detail::for_each_choosable(row, mask, [&](std::uint32_t a, double q) {
      if (counts[a] == 0) {
        if (untried == no_action) untried = a;
        return;
      }
      const double bound = q + detail::unfused(c * std::sqrt(log / counts[a]));
      if (best.action == no_action || bound > best.value) best = {a, bound};
    });
    return untried != no_action ? untried : best.action;
  }

  friend bool valid(const ucb& policy) noexcept { return detail::is_finite(policy.c) && policy.c >= 0; }
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
