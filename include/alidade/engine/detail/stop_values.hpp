#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/engine/detail/stop_features.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/q_learner.hpp>
#include <alidade/rl/q_table.hpp>
#include <alidade/rl/transition_batch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A step of a studied search: what it would have been worth to end there.
struct kept_step {
  float recall;        ///< of what the study had found when nothing better seemed to come
  float deep_recall;   ///< of what it found in the end, where it went on; else the same
  float cost;          ///< distance computations until then
  std::uint32_t look;  ///< what the search looked like; `over` where it had ended before
  static constexpr std::uint32_t over = static_cast<std::uint32_t>(-1);
};

/// What it is worth to end a search, and to go on. The state is the step and what the search looks like there; to end is worth the
/// recall reached, to go on costs what the distances to the next step cost: Q-learning with gamma 1. How much recall a distance is
/// worth is not known beforehand, so there are values for each of several prices. A study shows a search at all of its steps, so
/// it teaches both actions at all prices.
class stop_values {
 public:
  static constexpr std::size_t prices = 16;

  stop_values(std::size_t steps, memory_resource* memory)
      : steps_(steps),
        learner_(first_values(steps, memory),
                 {.method = td_method::q_learning, .alpha = 1, .gamma = 1, .memory = memory}),
        visits_(steps * stop_states::looks, 0, memory),
        batch_(memory),
        weights_(memory) {
    batch_.reserve(2 * prices * steps);
    weights_.reserve(2 * prices * steps);
  }

  bool goes_on(std::size_t price, std::size_t step, std::size_t look) const noexcept {
    const std::span<const float> q = learner_.table()[state(price, step, look)];
    return q[go_on] > q[end];
  }

  /// `study` has a line for each step. A neighbour of k costs k times `unit` * 2^(1 + 0.6 price) distances.
  void learn(std::span<const kept_step> study, double unit) {
    batch_.clear();
    weights_.clear();
    std::size_t last = steps_ - 1;
    while (study[last].look == kept_step::over) --last;
    // From the end to the begin, so that what an end is worth is known where the way to it is judged.
    for (std::size_t i = last + 1; i-- > 0;) {
      // The mean of all that was seen at first, of the newest later.
      std::uint32_t& seen = visits_[i * stop_states::looks + study[i].look];
      if (seen < most_visits) ++seen;
      const float weight = std::max(1.0f / static_cast<float>(seen), least_step);
      for (std::size_t p = 0; p < prices; ++p) {
        const std::uint32_t here = state(p, i, study[i].look);
        add({here, end, study[i].deep_recall, here, true, false, 0}, weight);
        if (i + 1 == steps_) continue;
        // A study ends where nothing better seems to come: beyond, there is only cost.
        const double cost = (study[i + 1].cost - study[i].cost) /
                            (unit * two_to_the(1 + unfused(0.6 * static_cast<double>(p))));
        const bool is_last = i == last;
        const float reward = (is_last ? study[i].deep_recall : 0) - static_cast<float>(cost);
        add({here, go_on, reward, is_last ? here : state(p, i + 1, study[i + 1].look), is_last, false, 0},
            weight);
      }
    }
    transition_batch<float> batch = batch_.batch();
    batch.weights = weights_;
    learner_.update(batch);
  }

  std::size_t memory_bytes() const noexcept {
    return learner_.memory_bytes() - sizeof(learner_) + batch_.memory_bytes() +
           visits_.capacity() * sizeof(std::uint32_t) + weights_.capacity() * sizeof(float);
  }

  /// Two values for each state, and how often each look was seen at each step.
  const q_table<float>& table() const noexcept { return learner_.table(); }
  std::span<const std::uint32_t> visits() const noexcept { return visits_; }

  /// Goes on from such values, a row's stride apart; false, and nothing changed, where they cannot be from here.
  bool restore(std::span<const float> values, std::span<const std::uint32_t> visits) {
    q_table<float> table = learner_.table();
    if (values.size() != table.states() * table.stride() || visits.size() != visits_.size()) return false;
    for (std::size_t s = 0; s < table.states(); ++s) {
      for (const std::uint32_t action : {end, go_on}) {
        const float value = values[s * table.stride() + action];
        if (!is_finite(value)) return false;
        table.set(s, action, value);
      }
    }
    learner_ = q_learner<float>(std::move(table), learner_.options());
    std::copy(visits.begin(), visits.end(), visits_.begin());
    return true;
  }

 private:
  static constexpr std::uint32_t end = 0, go_on = 1;
  static constexpr float least_step = 0.01f;
  static constexpr std::uint32_t most_visits = 1u << 20;

  /// Until it is known better, to go on is worth it; but at the last step, where nobody does, it is worth nothing, as no end is
  /// worth less. (An action that is forbidden would have each batch looked at transition by transition.)
  static q_table<float> first_values(std::size_t steps, memory_resource* memory) {
    q_table<float> table(prices * steps * stop_states::looks, 2, 0, memory);
    for (std::size_t s = 0; s < table.states(); ++s) {
      if (s / stop_states::looks % steps + 1 < steps) table.set(s, go_on, 1);
    }
    return table;
  }

  std::uint32_t state(std::size_t price, std::size_t step, std::size_t look) const noexcept {
    return static_cast<std::uint32_t>((price * steps_ + step) * stop_states::looks + look);
  }

  void add(const transition<float>& t, float weight) {
    batch_.push_back(t);
    weights_.push_back(weight);
  }

  std::size_t steps_;
  q_learner<float> learner_;
  resource_vector<std::uint32_t> visits_;  ///< how often each look was seen at each step
  transitions<float> batch_;
  resource_vector<float> weights_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
