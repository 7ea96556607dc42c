// Compiled twice: as all else is, and, with ALIDADE_BENCH_UNVECTORISED, once more without vector instructions.
#include "qlearning_loops.hpp"

#include <algorithm>
#include <utility>

#if defined(ALIDADE_BENCH_UNVECTORISED)
#define ALIDADE_BENCH_LOOPS unvectorised
#else
#define ALIDADE_BENCH_LOOPS plain
#endif

namespace bench {
namespace {

template <class T>
void update(T* q, const T* rewards, const T* next, std::size_t n, T alpha, T gamma) {
  for (std::size_t i = 0; i < n; ++i) q[i] += alpha * (rewards[i] + gamma * next[i] - q[i]);
}

template <class T>
void update(T* q, const T* rewards, const T* next, const std::uint8_t* terminated, std::size_t n, T alpha,
            T gamma) {
  for (std::size_t i = 0; i < n; ++i) {
    const T after = terminated[i] != 0 ? T(0) : next[i];
    q[i] += alpha * (rewards[i] + gamma * after - q[i]);
  }
}

}  // namespace

namespace ALIDADE_BENCH_LOOPS {

void q_update(float* q, const float* rewards, const float* next, std::size_t n, float alpha, float gamma) {
  update(q, rewards, next, n, alpha, gamma);
}
void q_update(double* q, const double* rewards, const double* next, std::size_t n, double alpha,
              double gamma) {
  update(q, rewards, next, n, alpha, gamma);
}
void q_update(float* q, const float* rewards, const float* next, const std::uint8_t* terminated,
              std::size_t n, float alpha, float gamma) {
  update(q, rewards, next, terminated, n, alpha, gamma);
}
void q_update(double* q, const double* rewards, const double* next, const std::uint8_t* terminated,
              std::size_t n, double alpha, double gamma) {
  update(q, rewards, next, terminated, n, alpha, gamma);
}

}  // namespace ALIDADE_BENCH_LOOPS

#if !defined(ALIDADE_BENCH_UNVECTORISED)
namespace plain {
namespace {

float max_of(const float* row, std::size_t actions) {
  float best = row[0];
  for (std::size_t a = 1; a < actions; ++a) best = std::max(best, row[a]);
  return best;
}

/// What a transition is worth: its reward, and then value_of the next state's row.
template <class Value>
float target_of(const plain_learner& l, const plain_batch& b, std::size_t i, const Value& value_of) {
  float target = b.rewards[i];
  if (b.terminated[i] == 0) target += l.gamma * value_of(l.q + b.next_states[i] * l.actions);
  return target;
}

template <class Value>
void in_order(plain_learner& l, const plain_batch& b, const Value& value_of) {
  for (std::size_t i = 0; i < b.n; ++i) {
    float& entry = l.q[b.states[i] * l.actions + b.actions[i]];
    entry += l.alpha * (target_of(l, b, i, [&](const float* row) { return value_of(row, i); }) - entry);
  }
}

template <std::size_t Actions>
void q_learning_of(plain_learner& l, const plain_batch& b) {
  float* const q = l.q;
  const float alpha = l.alpha, gamma = l.gamma;
  for (std::size_t i = 0; i < b.n; ++i) {
    float target = b.rewards[i];
    if (b.terminated[i] == 0) target += gamma * max_of(q + b.next_states[i] * Actions, Actions);
    float& entry = q[b.states[i] * Actions + b.actions[i]];
    entry += alpha * (target - entry);
  }
}

template <bool OffPolicy>
void with_traces(plain_learner& l, const plain_batch& b) {
  for (std::size_t i = 0; i < b.n; ++i) {
    if (l.arrived != b.states[i]) l.traces.clear();
    l.arrived = b.next_states[i];
    const float* const next = l.q + b.next_states[i] * l.actions;
    const float best = max_of(next, l.actions), taken = next[b.next_actions[i]];
    const bool greedy = taken == best;
    const std::size_t entry = b.states[i] * l.actions + b.actions[i];
    const float after = b.terminated[i] != 0 ? 0.0F : OffPolicy ? best : taken;
    const float step = l.alpha * (b.rewards[i] + l.gamma * after - l.q[entry]);
    const auto known = std::find_if(l.traces.begin(), l.traces.end(),
                                    [entry](const plain_learner::trace& t) { return t.entry == entry; });
    if (known == l.traces.end()) {
      l.traces.push_back({entry, 1});
    } else {
      known->weight = 1;
    }
    for (plain_learner::trace& t : l.traces) {
      l.q[t.entry] += step * t.weight;
      t.weight *= l.gamma * l.lambda;
    }
    if (b.terminated[i] != 0 || b.truncated[i] != 0) {
      l.traces.clear();
      l.arrived.reset();
    } else if (OffPolicy && !greedy) {
      l.traces.clear();
    } else {
      std::erase_if(l.traces, [](const plain_learner::trace& t) { return t.weight < 1e-6F; });
    }
  }
}

}  // namespace

void q_step(plain_learner& l, std::uint32_t state, std::uint32_t action, float reward,
            std::uint32_t next_state, bool terminated) {
  float target = reward;
  if (!terminated) target += l.gamma * max_of(l.q + next_state * l.actions, l.actions);
  float& entry = l.q[state * l.actions + action];
  entry += l.alpha * (target - entry);
}

void q_learning(plain_learner& l, const plain_batch& b) {
  float* const q = l.q;
  const std::size_t actions = l.actions;
  const float alpha = l.alpha, gamma = l.gamma;
  for (std::size_t i = 0; i < b.n; ++i) {
    float target = b.rewards[i];
    if (b.terminated[i] == 0) target += gamma * max_of(q + b.next_states[i] * actions, actions);
    float& entry = q[b.states[i] * actions + b.actions[i]];
    entry += alpha * (target - entry);
  }
}

plain_update q_learning_of(std::size_t actions) {
  return actions == 4 ? q_learning_of<4> : actions == 8 ? q_learning_of<8> : q_learning_of<64>;
}

void weighted(plain_learner& l, const plain_batch& b) {
  l.errors.resize(b.n);
  for (std::size_t i = 0; i < b.n; ++i) {
    float& entry = l.q[b.states[i] * l.actions + b.actions[i]];
    l.errors[i] = target_of(l, b, i, [&l](const float* row) { return max_of(row, l.actions); }) - entry;
    entry += l.alpha * b.weights[i] * l.errors[i];
  }
}

void snapshot_mean(plain_learner& l, const plain_batch& b) {
  l.touched.clear();
  for (std::size_t i = 0; i < b.n; ++i) {
    const std::size_t entry = b.states[i] * l.actions + b.actions[i];
    if (l.counts[entry]++ == 0) l.touched.push_back(entry);
    l.sums[entry] +=
        target_of(l, b, i, [&l](const float* row) { return max_of(row, l.actions); }) - l.q[entry];
  }
  for (const std::size_t entry : l.touched) {
    l.q[entry] += l.alpha * l.sums[entry] / static_cast<float>(l.counts[entry]);
    l.sums[entry] = 0;
    l.counts[entry] = 0;
  }
}

void sarsa(plain_learner& l, const plain_batch& b) {
  in_order(l, b, [&b](const float* row, std::size_t i) { return row[b.next_actions[i]]; });
}

void expected_sarsa(plain_learner& l, const plain_batch& b) {
  constexpr float epsilon = 0.1F;
  in_order(l, b, [&l](const float* row, std::size_t) {
    float best = row[0], sum = row[0];
    for (std::size_t a = 1; a < l.actions; ++a) {
      best = std::max(best, row[a]);
      sum += row[a];
    }
    return (1 - epsilon) * best + epsilon * sum / static_cast<float>(l.actions);
  });
}

void double_q(plain_learner& l, const plain_batch& b) {
  for (std::size_t i = 0; i < b.n; ++i) {
    l.random = l.random * 6364136223846793005u + 1442695040888963407u;
    float* own = l.q;
    float* other = l.second;
    if (l.random >> 63 != 0) std::swap(own, other);
    float target = b.rewards[i];
    if (b.terminated[i] == 0) {
      const std::size_t row = b.next_states[i] * l.actions;
      const auto best = std::max_element(own + row, own + row + l.actions) - own;
      target += l.gamma * other[best];
    }
    float& entry = own[b.states[i] * l.actions + b.actions[i]];
    entry += l.alpha * (target - entry);
  }
}

void three_steps(plain_learner& l, const plain_batch& b) {
  for (std::size_t i = 0; i < b.n; ++i) {
    float target = b.rewards[i], discount = l.gamma;
    std::size_t last = i;
    for (int step = 1; step < 3; ++step, ++last) {
      if (b.terminated[last] != 0 || b.truncated[last] != 0 || last + 1 == b.n) break;
      if (b.states[last + 1] != b.next_states[last]) break;
      target += discount * b.rewards[last + 1];
      discount *= l.gamma;
    }
    if (b.terminated[last] == 0) {
      target += discount * max_of(l.q + b.next_states[last] * l.actions, l.actions);
    }
    float& entry = l.q[b.states[i] * l.actions + b.actions[i]];
    entry += l.alpha * (target - entry);
  }
}

void q_lambda(plain_learner& l, const plain_batch& b) { with_traces<true>(l, b); }
void sarsa_lambda(plain_learner& l, const plain_batch& b) { with_traces<false>(l, b); }

}  // namespace plain
#endif

}  // namespace bench
