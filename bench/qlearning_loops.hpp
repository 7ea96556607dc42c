// Q-learning as one would write it without a library.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace bench {

/// A batch of transitions, a structure of arrays.
struct plain_batch {
  std::size_t n;
  const std::uint32_t* states;
  const std::uint32_t* actions;
  const float* rewards;
  const std::uint32_t* next_states;
  const std::uint8_t* terminated;
  const std::uint8_t* truncated;
  const std::uint32_t* next_actions;
  const float* weights;
};

/// Rows of action values, one behind the other, and what some methods want besides.
struct plain_learner {
  struct trace {
    std::size_t entry;
    float weight;
  };

  float* q;
  float* second;  ///< double Q-learning's other table
  std::size_t actions;
  float alpha = 0.1F;
  float gamma = 0.99F;
  float lambda = 0.8F;
  std::vector<float> sums{};  ///< snapshot_mean: for each entry, all 0 between batches
  std::vector<std::uint32_t> counts{};
  std::vector<std::size_t> touched{};
  std::vector<trace> traces{};
  std::optional<std::uint32_t> arrived{};  ///< where the last transition led
  std::vector<float> errors{};
  std::uint64_t random = 1;
};

using plain_update = void (*)(plain_learner&, const plain_batch&);

/// Left to the compiler: -O3 and the flags of this build, no fast-math.
namespace plain {

/// One transition, as the hand-written agent has it in a function.
void q_step(plain_learner&, std::uint32_t state, std::uint32_t action, float reward, std::uint32_t next_state,
            bool terminated);

/// A whole batch in one loop; the number of actions is a variable.
void q_learning(plain_learner&, const plain_batch&);
/// The same loop, compiled for this number of actions: 4, 8 or 64.
plain_update q_learning_of(std::size_t actions);

void weighted(plain_learner&, const plain_batch&);  ///< with weights, and keeps the errors
void snapshot_mean(plain_learner&, const plain_batch&);
void sarsa(plain_learner&, const plain_batch&);
void expected_sarsa(plain_learner&, const plain_batch&);  ///< epsilon 0.1
void double_q(plain_learner&, const plain_batch&);
void three_steps(plain_learner&, const plain_batch&);
void q_lambda(plain_learner&, const plain_batch&);
void sarsa_lambda(plain_learner&, const plain_batch&);

void q_update(float* q, const float* rewards, const float* next, std::size_t n, float alpha, float gamma);
void q_update(double* q, const double* rewards, const double* next, std::size_t n, double alpha,
              double gamma);
void q_update(float* q, const float* rewards, const float* next, const std::uint8_t* terminated,
              std::size_t n, float alpha, float gamma);
void q_update(double* q, const double* rewards, const double* next, const std::uint8_t* terminated,
              std::size_t n, double alpha, double gamma);

}  // namespace plain

/// The same source without vector instructions.
namespace unvectorised {

void q_update(float* q, const float* rewards, const float* next, std::size_t n, float alpha, float gamma);
void q_update(double* q, const double* rewards, const double* next, std::size_t n, double alpha,
              double gamma);
void q_update(float* q, const float* rewards, const float* next, const std::uint8_t* terminated,
              std::size_t n, float alpha, float gamma);
void q_update(double* q, const double* rewards, const double* next, const std::uint8_t* terminated,
              std::size_t n, double alpha, double gamma);

}  // namespace unvectorised

/// A ring of transitions with, if prioritised, two binary trees in arrays: sums of priorities, and least ones.
class plain_replay {
 public:
  struct step {
    std::uint32_t state, action;
    float reward;
    std::uint32_t next_state, next_action;
    bool terminated, truncated;
  };
  struct sample_type {
    std::vector<std::uint32_t> states, actions, next_states, next_actions;
    std::vector<float> rewards, weights;
    std::vector<std::uint8_t> terminated, truncated;
    std::vector<std::size_t> slots;
  };

  plain_replay(std::size_t capacity, bool prioritised) : steps_(capacity), leaves_(std::bit_ceil(capacity)) {
    if (!prioritised) return;
    sums_.resize(2 * leaves_);
    least_.resize(2 * leaves_, 1e300);
  }

  void push(const step& s) {
    steps_[end_] = s;
    if (!sums_.empty()) set(end_, largest_);
    end_ = end_ + 1 == steps_.size() ? 0 : end_ + 1;
    size_ = std::min(size_ + 1, steps_.size());
  }

  void sample(std::size_t count, sample_type& out) {
    const bool prioritised = !sums_.empty();
    clear(out);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t slot =
          prioritised ? find((static_cast<double>(i) + unit()) / static_cast<double>(count) * sums_[1])
                      : static_cast<std::size_t>(unit() * static_cast<double>(size_));
      const step& s = steps_[slot];
      out.states.push_back(s.state);
      out.actions.push_back(s.action);
      out.rewards.push_back(s.reward);
      out.next_states.push_back(s.next_state);
      out.next_actions.push_back(s.next_action);
      out.terminated.push_back(s.terminated ? 1 : 0);
      out.truncated.push_back(s.truncated ? 1 : 0);
      out.slots.push_back(slot);
      if (prioritised) out.weights.push_back(weight(slot));
    }
  }

  void update_priorities(const std::vector<std::size_t>& slots, const std::vector<float>& errors) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const double priority = std::pow(std::abs(static_cast<double>(errors[i])) + 1e-6, 0.6);
      set(slots[i], priority);
      largest_ = std::max(largest_, priority);
    }
  }

  [[nodiscard]] const step& operator[](std::size_t slot) const { return steps_[slot]; }
  [[nodiscard]] float weight(std::size_t slot) const {
    return static_cast<float>(std::pow(least_[1] / sums_[leaves_ + slot], 0.4));
  }

 private:
  static void clear(sample_type& out) {
    for (auto* column : {&out.states, &out.actions, &out.next_states, &out.next_actions}) column->clear();
    for (auto* column : {&out.rewards, &out.weights}) column->clear();
    for (auto* column : {&out.terminated, &out.truncated}) column->clear();
    out.slots.clear();
  }

  double unit() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(random_ >> 11) * 0x1p-53;
  }

  void set(std::size_t slot, double priority) {
    std::size_t node = leaves_ + slot;
    sums_[node] = least_[node] = priority;
    for (node /= 2; node > 0; node /= 2) {
      sums_[node] = sums_[2 * node] + sums_[2 * node + 1];
      least_[node] = std::min(least_[2 * node], least_[2 * node + 1]);
    }
  }

  [[nodiscard]] std::size_t find(double sum) const {
    std::size_t node = 1;
    while (node < leaves_) {
      node *= 2;
      if (sum < sums_[node]) continue;
      sum -= sums_[node];
      ++node;
    }
    return std::min(node - leaves_, size_ - 1);
  }

  std::vector<step> steps_;
  std::size_t leaves_;
  std::vector<double> sums_, least_;
  std::size_t end_ = 0;
  std::size_t size_ = 0;
  double largest_ = 1;
  std::uint64_t random_ = 1;
};

}  // namespace bench
