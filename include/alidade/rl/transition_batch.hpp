#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// One step of an environment: in `state` the agent took `action`, got `reward`, and was in `next_state`.
///
/// `terminated`: next_state is final, so that nothing is to be gained from there on. `truncated`: the episode was cut short
/// (by a time limit, say) in a state that is not final; what it is worth still counts, but the next transition is not its
/// continuation. The words are those of Gymnasium (Pardo et al., Time limits in reinforcement learning, ICML 2018).
template <class T>
struct transition {
  std::uint32_t state = 0;
  std::uint32_t action = 0;
  T reward = 0;
  std::uint32_t next_state = 0;
  bool terminated = false;
  bool truncated = false;
  std::uint32_t next_action = 0;  ///< the action taken in next_state: of interest to on-policy methods alone

  friend bool operator==(const transition&, const transition&) = default;
};

/// Transitions that somebody else owns, as a structure of arrays: element i of each is transition i. The first four have
/// one length; each of the others has it too or is empty, which stands for what is said at it.
template <class T>
struct transition_batch {
  std::span<const std::uint32_t> states;
  std::span<const std::uint32_t> actions;
  std::span<const T> rewards;
  std::span<const std::uint32_t> next_states;
  std::span<const std::uint8_t> terminated{};     ///< 0 or 1; empty: none is
  std::span<const std::uint8_t> truncated{};      ///< 0 or 1; empty: none is
  std::span<const std::uint32_t> next_actions{};  ///< empty: unknown, which SARSA and Q(lambda) do not take
  /// What the value of next_state is multiplied by, 0..1: gamma^n where the rewards are sums over n steps. Empty: the
  /// learner's gamma.
  std::span<const T> discounts{};
  /// What alpha is multiplied by, 0..1: importance weights of prioritised samples. Empty: 1.
  std::span<const T> weights{};

  std::size_t size() const noexcept { return states.size(); }
  bool empty() const noexcept { return states.empty(); }

  /// Whether the lengths are as said above.
  bool is_well_formed() const noexcept {
    const std::size_t n = size();
    const auto fits = [n](const auto& s) { return s.empty() || s.size() == n; };
    return actions.size() == n && rewards.size() == n && next_states.size() == n && fits(terminated) &&
           fits(truncated) && fits(next_actions) && fits(discounts) && fits(weights);
  }

  bool is_terminated(std::size_t i) const noexcept { return !terminated.empty() && terminated[i] != 0; }
  bool is_truncated(std::size_t i) const noexcept { return !truncated.empty() && truncated[i] != 0; }

  /// Whether transition i is the last of its episode.
  bool is_last(std::size_t i) const noexcept { return is_terminated(i) || is_truncated(i); }

  transition<T> operator[](std::size_t i) const noexcept {
    return {states[i],
            actions[i],
            rewards[i],
            next_states[i],
            is_terminated(i),
            is_truncated(i),
            next_actions.empty() ? 0 : next_actions[i]};
  }
};

/// Transitions in arrays of their own, in a resource's memory.
template <class T>
class transitions {
 public:
  explicit transitions(memory_resource* memory = nullptr) noexcept
      : states_(memory),
        actions_(memory),
        rewards_(memory),
        next_states_(memory),
        terminated_(memory),
        truncated_(memory),
        next_actions_(memory) {}

  std::size_t size() const noexcept { return states_.size(); }
  bool empty() const noexcept { return states_.empty(); }

  /// Makes room for `count` in all.
  void reserve(std::size_t count) {
    states_.reserve(count);
    actions_.reserve(count);
    rewards_.reserve(count);
    next_states_.reserve(count);
    terminated_.reserve(count);
    truncated_.reserve(count);
    next_actions_.reserve(count);
  }

  /// Strong guarantee. Takes constant time on average.
  void push_back(const transition<T>& t) {
    if (size() == states_.capacity() || size() == next_actions_.capacity()) reserve(size() + size() / 2 + 16);
    states_.push_back(t.state);
    actions_.push_back(t.action);
    rewards_.push_back(t.reward);
    next_states_.push_back(t.next_state);
    terminated_.push_back(t.terminated ? 1 : 0);
    truncated_.push_back(t.truncated ? 1 : 0);
    next_actions_.push_back(t.next_action);
  }

  void clear() noexcept {
    states_.clear();
    actions_.clear();
    rewards_.clear();
    next_states_.clear();
    terminated_.clear();
    truncated_.clear();
    next_actions_.clear();
  }

  transition<T> operator[](std::size_t i) const noexcept { return batch()[i]; }

  /// Beside itself.
  std::size_t memory_bytes() const noexcept {
    return (states_.capacity() + actions_.capacity() + next_states_.capacity() + next_actions_.capacity()) *
               sizeof(std::uint32_t) +
           rewards_.capacity() * sizeof(T) + terminated_.capacity() + truncated_.capacity();
  }

  /// Valid until the next transition is added.
  transition_batch<T> batch() const noexcept {
    return {.states = states_,
            .actions = actions_,
            .rewards = rewards_,
            .next_states = next_states_,
            .terminated = terminated_,
            .truncated = truncated_,
            .next_actions = next_actions_,
            .discounts = {},
            .weights = {}};
  }

 private:
  detail::resource_vector<std::uint32_t> states_, actions_;
  detail::resource_vector<T> rewards_;
  detail::resource_vector<std::uint32_t> next_states_;
  detail::resource_vector<std::uint8_t> terminated_, truncated_;
  detail::resource_vector<std::uint32_t> next_actions_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
