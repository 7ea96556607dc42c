#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <alidade/memory/memory_pool.hpp>
#include <alidade/rl/q_learner.hpp>
#include <alidade/rl/trajectory_buffer.hpp>

#include "../../counting_new.hpp"
#include "../../failing_resource.hpp"
#include "../../support.hpp"

using namespace alidade;

namespace {

/// Rounded before anything is added to it, whatever the compiler would rather do.
template <class T>
T learner_product(T a, T b) {
  volatile T product = a * b;
  return product;
}

/// A batch that owns its arrays.
template <class T>
struct learner_arrays {
  std::vector<std::uint32_t> states, actions, next_states, next_actions;
  std::vector<T> rewards, discounts, weights;
  std::vector<std::uint8_t> terminated, truncated;

  std::size_t size() const { return states.size(); }
  bool is_terminated(std::size_t i) const { return !terminated.empty() && terminated[i] != 0; }
  bool is_truncated(std::size_t i) const { return !truncated.empty() && truncated[i] != 0; }
  transition_batch<T> view() const {
    return {.states = states,
            .actions = actions,
            .rewards = rewards,
            .next_states = next_states,
            .terminated = terminated,
            .truncated = truncated,
            .next_actions = next_actions,
            .discounts = discounts,
            .weights = weights};
  }
};

/// The learner in the plainest words: rows without padding, one operation after the other.
template <class T>
class learner_oracle {
 public:
  learner_oracle(const q_table<T>& table, const q_learner_options& options)
      : options_(options), actions_(table.actions()) {
    for (std::size_t s = 0; s < table.states(); ++s) {
      for (std::size_t a = 0; a < actions_; ++a) q_[0].push_back(table(s, a));
    }
    q_[1] = q_[0];
  }

  void update(const learner_arrays<T>& batch, std::vector<T>& errors) {
    const learner_arrays<T> b = options_.n_steps > 1 ? summed(batch) : batch;
    errors.assign(b.size(), T(0));
    if (options_.on_duplicates == duplicates::sequential) {
      for (std::size_t i = 0; i < b.size(); ++i) {
        T& entry = entry_of(b, i);
        errors[i] = error_of(b, i, entry);
        const T alpha = static_cast<T>(options_.alpha);
        const T step = b.weights.empty() ? alpha : learner_product(alpha, b.weights[i]);
        entry = entry + learner_product(step, errors[i]);
      }
    } else {
      std::map<T*, std::pair<T, std::size_t>> sums;
      for (std::size_t i = 0; i < b.size(); ++i) {
        T& entry = entry_of(b, i);
        errors[i] = error_of(b, i, entry);
        auto& [sum, count] = sums.try_emplace(&entry, T(0), std::size_t{0}).first->second;
        sum = sum + (b.weights.empty() ? errors[i] : learner_product(b.weights[i], errors[i]));
        ++count;
      }
      for (const auto& [entry, sum] : sums) {
        volatile T mean = sum.first / static_cast<T>(sum.second);
        *entry = *entry + learner_product(static_cast<T>(options_.alpha), T(mean));
      }
    }
    transitions_ += b.size();
  }

  bool agrees(const q_learner<T>& learner) const {
    return agrees(learner.table(), q_[0]) &&
           (options_.method != td_method::double_q || agrees(learner.second_table(), q_[1]));
  }

 private:
  std::size_t table_of(std::size_t i) const {
    if (options_.method != td_method::double_q) return 0;
    return static_cast<std::size_t>(detail::mix64(options_.seed ^ detail::mix64(transitions_ + i)) >> 63);
  }
  T& entry_of(const learner_arrays<T>& b, std::size_t i) {
    return q_[table_of(i)][b.states[i] * actions_ + b.actions[i]];
  }

  T error_of(const learner_arrays<T>& b, std::size_t i, T entry) const {
    const T next = b.is_terminated(i) ? T(0) : worth(b, i);
    volatile T target =
        b.rewards[i] +
        learner_product(b.discounts.empty() ? static_cast<T>(options_.gamma) : b.discounts[i], next);
    return target - entry;
  }

  T worth(const learner_arrays<T>& b, std::size_t i) const {
    const std::size_t table = table_of(i), offset = b.next_states[i] * actions_;
    const T* const row = q_[table].data() + offset;
    switch (options_.method) {
      case td_method::sarsa:
        return row[b.next_actions[i]];
      case td_method::expected_sarsa:
        return std::visit(
            [&](const auto& policy) { return policy.expectation(std::span<const T>(row, actions_)); },
            options_.target_policy);
      default:
        break;
    }
    std::size_t best = 0;
    for (std::size_t a = 1; a < actions_; ++a) {
      if (row[a] > row[best]) best = a;
    }
    return options_.method == td_method::double_q ? q_[1 - table][offset + best] : row[best];
  }

  /// Of each transition the sum of it and of those that follow it.
  learner_arrays<T> summed(const learner_arrays<T>& b) const {
    learner_arrays<T> out = b;
    out.terminated.assign(b.size(), 0);
    out.discounts.assign(b.size(), T(0));
    for (std::size_t i = 0; i < b.size(); ++i) {
      std::size_t last = i;
      while (last + 1 < b.size() && last + 1 - i < options_.n_steps && !b.is_terminated(last) &&
             !b.is_truncated(last) && b.states[last + 1] == b.next_states[last]) {
        ++last;
      }
      double reward = 0, discount = 1;
      for (std::size_t j = i; j <= last; ++j) {
        reward = reward + learner_product(discount, static_cast<double>(b.rewards[j]));
        discount *= options_.gamma;
      }
      out.rewards[i] = static_cast<T>(reward);
      out.discounts[i] = static_cast<T>(discount);
      out.next_states[i] = b.next_states[last];
      if (!b.next_actions.empty()) out.next_actions[i] = b.next_actions[last];
      out.terminated[i] = b.is_terminated(last) ? 1 : 0;
    }
    return out;
  }

  bool agrees(const q_table<T>& table, const std::vector<T>& q) const {
    for (std::size_t s = 0; s < table.states(); ++s) {
      if (std::memcmp(table[s].data(), q.data() + s * actions_, actions_ * sizeof(T)) != 0) return false;
    }
    return true;
  }

  q_learner_options options_;
  std::size_t actions_;
  std::vector<T> q_[2];
  std::uint64_t transitions_ = 0;
};

/// Numbers as they come, among them zeros of both signs, ties, and now and then small or large ones.
template <class T>
T learner_number(test::random& r) {
  switch (r.below(16)) {
    case 0:
      return T(0);
    case 1:
      return -T(0);
    case 2:
      return T(1);
    case 3:
      return T(-1);
    case 4:
      return static_cast<T>(r.uniform()) * std::numeric_limits<T>::min();
    case 5:
      return static_cast<T>(r.uniform()) * T(1e15);
    default:
      return static_cast<T>(r.uniform()) + static_cast<T>(r.uniform()) * static_cast<T>(0x1p-20);
  }
}

template <class T>
T learner_unit(test::random& r) {
  const std::uint32_t kind = r.below(8);
  return kind == 0 ? T(0) : kind == 1 ? T(1) : static_cast<T>((r.uniform() + 1.0f) / 2.0f);
}

/// Transitions among few states, so that nearly all meet: many go on from the one before.
template <class T>
learner_arrays<T> learner_batch(test::random& r, const std::vector<std::uint32_t>& states,
                                std::uint32_t actions, bool with_discounts, bool with_next_actions) {
  learner_arrays<T> b;
  const std::size_t n = r.below(131);
  const bool ends = r.below(2) != 0, cuts = r.below(2) != 0, discounts = with_discounts && r.below(3) == 0,
             weights = r.below(3) == 0, chains = r.below(2) != 0,
             next_actions = with_next_actions || r.below(4) == 0;
  const auto any_state = [&] { return states[r.below(static_cast<std::uint32_t>(states.size()))]; };
  for (std::size_t i = 0; i < n; ++i) {
    b.states.push_back(i != 0 && chains && r.below(8) != 0 ? b.next_states[i - 1] : any_state());
    b.actions.push_back(r.below(actions));
    b.rewards.push_back(learner_number<T>(r));
    b.next_states.push_back(any_state());
    if (ends)
      b.terminated.push_back(r.below(6) == 0 ? static_cast<std::uint8_t>(1 + r.below(255)) : std::uint8_t{0});
    if (cuts) b.truncated.push_back(r.below(6) == 0 ? 1 : 0);
    if (next_actions) b.next_actions.push_back(r.below(actions));
    if (discounts) b.discounts.push_back(learner_unit<T>(r));
    if (weights) b.weights.push_back(learner_unit<T>(r));
  }
  return b;
}

struct learner_trial {
  duplicates on_duplicates = duplicates::sequential;
  bool n_steps = false;
  bool far = false;  ///< a table of more than detail::far_table_bytes
};

/// How many of `batches` leave other bits, in a table or in the errors, than the oracle.
template <class T>
std::size_t learner_mismatches(std::uint32_t seed, std::size_t batches, const learner_trial& trial) {
  test::random r(seed);
  std::size_t mismatches = 0;
  for (std::size_t done = 0; done < batches;) {
    const std::uint32_t actions = 1 + r.below(r.below(2) != 0 ? 9 : 70);
    std::uint32_t count = 1 + r.below(8), spread = 1;
    if (trial.far) {
      spread = 1 + static_cast<std::uint32_t>(detail::far_table_bytes /
                                              (detail::q_row_stride<T>(actions) * sizeof(T)));
      count = 2;
    }
    q_table<T> table(count * spread, actions);
    std::vector<std::uint32_t> states;
    for (std::uint32_t i = 0; i < (trial.far ? 8 : count); ++i) {
      states.push_back(trial.far ? r.below(count * spread) : i);
      for (std::uint32_t a = 0; a < actions; ++a) table.set(states.back(), a, learner_number<T>(r));
    }
    const std::array<double, 4> alphas{1.0, 0.5, 0.1, static_cast<double>(1.5f + r.uniform()) / 4};
    const std::array<double, 5> gammas{0.0, 1.0, 0.9, 0.99, static_cast<double>(1.0f + r.uniform()) / 2};
    q_learner_options options;
    options.method = static_cast<td_method>(r.below(4));
    options.alpha = alphas[r.below(4)];
    options.gamma = gammas[r.below(5)];
    options.on_duplicates = trial.on_duplicates;
    options.n_steps = trial.n_steps ? 2 + r.below(5) : 1;
    options.seed = r.below(1000);
    switch (r.below(3)) {
      case 0:
        options.target_policy = epsilon_greedy{learner_unit<double>(r)};
        break;
      case 1:
        options.target_policy = softmax{0.1 + learner_unit<double>(r)};
        break;
      default:
        options.target_policy = greedy{};
    }
    q_learner<T> learner(table, options);
    learner_oracle<T> oracle(table, options);
    std::vector<T> expected, errors;
    for (int round = 0; round < 4; ++round, ++done) {
      const auto b = learner_batch<T>(r, states, actions, !trial.n_steps, options.method == td_method::sarsa);
      oracle.update(b, expected);
      errors.assign(r.below(2) != 0 ? b.size() : 0, T(7));
      learner.update(b.view(), errors);
      // Of a maximum of two zeros nobody says which one it is, so of errors that are zero neither.
      for (T& e : errors) e += T(0);
      for (T& e : expected) e += T(0);
      const bool same_errors =
          errors.empty() || std::memcmp(errors.data(), expected.data(), errors.size() * sizeof(T)) == 0;
      mismatches += static_cast<std::size_t>(!same_errors || !oracle.agrees(learner));
    }
  }
  return mismatches;
}

template <class T>
std::vector<T> learner_image(const q_learner<T>& learner) {
  std::vector<T> all;
  for (const q_table<T>* t : {&learner.table(), &learner.second_table()}) {
    all.insert(all.end(), t->data(), t->data() + t->states() * t->stride());
  }
  return all;
}

/// Both forms say so, and afterwards the learner goes on like one that was never asked.
template <class T>
void learner_refuses(q_learner<T>& learner, const transition_batch<T>& bad, std::vector<T> td_errors,
                     errc code, std::size_t row, const transition_batch<T>& good) {
  q_learner<T> untouched = learner;
  const std::vector<T> before = learner_image(learner), errors_before = td_errors;
  const auto is_same = [](const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
  };
  std::error_code ec;
  CHECK(learner.update(bad, td_errors, ec) == row);
  CHECK(ec == code);
  bool thrown = false;
  try {
    learner.update(bad, td_errors);
  } catch (const error& e) {
    thrown = true;
    CHECK(e.code() == code);
    CHECK(e.row() == row);
  }
  CHECK(thrown);
  CHECK(is_same(td_errors, errors_before));
  CHECK(is_same(learner_image(learner), before));
  CHECK(learner.table().forbidden() == untouched.table().forbidden());
  learner.update(good);
  untouched.update(good);
  CHECK(is_same(learner_image(learner), learner_image(untouched)));
}

learner_arrays<float> learner_walk(std::size_t n, std::uint32_t states, std::uint32_t actions,
                                   std::uint32_t seed) {
  test::random r(seed);
  learner_arrays<float> b;
  std::uint32_t state = 0;
  for (std::size_t i = 0; i < n; ++i) {
    b.states.push_back(state);
    b.actions.push_back(r.below(actions));
    b.rewards.push_back(r.uniform());
    state = r.below(states);
    b.next_states.push_back(state);
    b.next_actions.push_back(r.below(actions));
  }
  return b;
}

/// Each way that a learner has of going through a batch.
std::vector<q_learner_options> learner_ways() {
  std::vector<q_learner_options> ways;
  for (const td_method method :
       {td_method::q_learning, td_method::sarsa, td_method::expected_sarsa, td_method::double_q}) {
    for (const duplicates d : {duplicates::sequential, duplicates::snapshot_mean}) {
      for (const std::size_t n : {1u, 3u}) {
        ways.push_back({.method = method, .on_duplicates = d, .n_steps = n});
      }
    }
  }
  ways.push_back({.method = td_method::q_learning, .lambda = 0.8});
  ways.push_back({.method = td_method::sarsa, .lambda = 0.8, .traces = eligibility::accumulating});
  return ways;
}

}  // namespace

TEST_CASE_TEMPLATE("the same transition twice in a batch counts twice, or once as a mean", T, float, double) {
  // gamma 0.9, alpha 0.5; twice: from state 0 by action 0 with reward 10 to state 0, where Q is 0 at first.
  //
  //   sequential     0    + 0.5 (10 + 0.9 * 0 - 0) = 5
  //                  5    + 0.5 (10 + 0.9 * 5 - 5) = 5 + 0.5 * 9.5 = 9.75
  //   snapshot_mean  both errors are 10 + 0.9 * 0 - 0 = 10, their mean is 10: 0 + 0.5 * 10 = 5
  //
  // In binary 0.9 is not exact, but 0.9 * 5 rounds to 4.5 in float and in double.
  const std::array<std::uint32_t, 2> zeros{};
  const std::array<T, 2> rewards{T(10), T(10)};
  const transition_batch<T> batch{
      .states = zeros, .actions = zeros, .rewards = rewards, .next_states = zeros};
  std::array<T, 2> errors{};
  q_learner<T> in_order(1, 1, {.alpha = 0.5, .gamma = 0.9});
  in_order.update(batch, errors);
  CHECK(in_order.table()(0, 0) == T(9.75));
  CHECK(errors == std::array<T, 2>{T(10), T(9.5)});
  q_learner<T> by_means(1, 1, {.alpha = 0.5, .gamma = 0.9, .on_duplicates = duplicates::snapshot_mean});
  by_means.update(batch, errors);
  CHECK(by_means.table()(0, 0) == T(5));
  CHECK(errors == std::array<T, 2>{T(10), T(10)});
  // And the transition once more in a batch of its own: 5 again becomes 9.75.
  by_means.update({.states = std::span(zeros).first(1),
                   .actions = std::span(zeros).first(1),
                   .rewards = std::span(rewards).first(1),
                   .next_states = std::span(zeros).first(1)});
  CHECK(by_means.table()(0, 0) == T(9.75));
}

TEST_CASE("a batch in order leaves the same bits as a loop over its transitions") {
  // ALIDADE_TEST_MILLION=1 in the environment asks for a million batches.
  const char* const asked = std::getenv("ALIDADE_TEST_MILLION");
  const std::size_t batches = asked != nullptr && std::string(asked) == "1" ? 1'000'000 : 20'000;
  CHECK(learner_mismatches<float>(1, batches / 2, {}) == 0);
  CHECK(learner_mismatches<double>(2, batches / 2, {}) == 0);
  CHECK(learner_mismatches<float>(3, batches / 500, {.far = true}) == 0);
  CHECK(learner_mismatches<double>(4, batches / 500, {.far = true}) == 0);
}

TEST_CASE("a batch by means leaves the same bits as two passes over its transitions") {
  CHECK(learner_mismatches<float>(5, 4000, {.on_duplicates = duplicates::snapshot_mean}) == 0);
  CHECK(learner_mismatches<double>(6, 4000, {.on_duplicates = duplicates::snapshot_mean}) == 0);
  CHECK(learner_mismatches<float>(7, 40, {.on_duplicates = duplicates::snapshot_mean, .far = true}) == 0);
}

TEST_CASE("n steps are those of a search for the end of each window") {
  CHECK(learner_mismatches<float>(8, 4000, {.n_steps = true}) == 0);
  CHECK(learner_mismatches<double>(9, 4000, {.n_steps = true}) == 0);
  CHECK(learner_mismatches<float>(10, 2000, {.on_duplicates = duplicates::snapshot_mean, .n_steps = true}) ==
        0);
  CHECK(learner_mismatches<double>(11, 40, {.n_steps = true, .far = true}) == 0);
}

TEST_CASE("a mean of errors does not diverge however often a pair occurs, as their sum does") {
  constexpr std::size_t n = 1000;
  learner_arrays<float> b;
  for (std::size_t i = 0; i < n; ++i) {
    b.states.push_back(0);
    b.actions.push_back(0);
    b.rewards.push_back(i % 2 == 0 ? 3.0f : 5.0f);
    b.next_states.push_back(1);
  }
  b.terminated.assign(n, 1);
  q_learner<float> learner(2, 1, {.alpha = 1, .gamma = 0.9, .on_duplicates = duplicates::snapshot_mean});
  double summed = 0;  // alpha 1 times the sum of the errors of the table as it was
  for (int round = 0; round < 5; ++round) {
    learner.update(b.view());
    CHECK(learner.table()(0, 0) == 4.0f);
    double sum = 0;
    for (const float reward : b.rewards) sum += static_cast<double>(reward) - summed;
    summed += sum;
  }
  CHECK(std::abs(summed) > 1e12);
}

TEST_CASE("an outcome for each part of its probability makes a batch an exact backup") {
  // From state 0 to 1 with probability 1/4, else to 2; Q(1, 0) = 8, Q(2, 0) = 16: 1/4 (1 + 8/2) + 3/4 (1 + 16/2) = 8.
  const std::array<std::uint32_t, 4> zeros{}, next{1, 2, 2, 2};
  const std::array<double, 4> rewards{1, 1, 1, 1};
  q_table<double> table(3, 1);
  table.set(1, 0, 8);
  table.set(2, 0, 16);
  q_learner<double> learner(table, {.alpha = 1, .gamma = 0.5, .on_duplicates = duplicates::snapshot_mean});
  learner.update({.states = zeros, .actions = zeros, .rewards = rewards, .next_states = next});
  CHECK(learner.table()(0, 0) == 8);
}

TEST_CASE("windows of n steps end with their episode, at a gap and with the batch") {
  // Five steps along 0, 1, .. with rewards 1, 10, 100, 1000, 10000 and gamma 1/2; Q is 64 everywhere, alpha 1.
  learner_arrays<double> b;
  for (std::uint32_t i = 0; i < 5; ++i) {
    b.states.push_back(i);
    b.actions.push_back(0);
    b.next_states.push_back(i + 1);
    b.next_actions.push_back(0);
  }
  b.rewards = {1, 10, 100, 1000, 10000};
  const auto learn = [&](td_method method) {
    // By means, so that no window sees what another one has learnt.
    q_learner<double> learner(10, 1,
                              {.method = method,
                               .alpha = 1,
                               .gamma = 0.5,
                               .on_duplicates = duplicates::snapshot_mean,
                               .n_steps = 3},
                              64);
    learner.update(b.view());
    std::vector<double> values;
    for (std::size_t s = 0; s < 5; ++s) values.push_back(learner.table()(s, 0));
    return values;
  };
  using values = std::vector<double>;
  // 1 + 10/2 + 100/4 + 64/8 = 39; 10 + 50 + 250 + 8; 100 + 500 + 2500 + 8; 1000 + 5000 + 64/4; 10000 + 64/2
  CHECK(learn(td_method::q_learning) == values{39, 318, 3108, 6016, 10032});
  CHECK(learn(td_method::sarsa) == values{39, 318, 3108, 6016, 10032});
  b.terminated = {0, 1, 0, 0, 0};  // 1 + 10/2 and 10; the others as before
  CHECK(learn(td_method::q_learning) == values{6, 10, 3108, 6016, 10032});
  b.terminated = {};
  b.truncated = {0, 1, 0, 0, 0};  // 1 + 10/2 + 64/4 and 10 + 64/2
  CHECK(learn(td_method::q_learning) == values{22, 42, 3108, 6016, 10032});
  b.truncated = {};
  b.next_states[1] = 9;  // the third goes on from elsewhere
  CHECK(learn(td_method::expected_sarsa) == values{22, 42, 3108, 6016, 10032});
}

TEST_CASE_TEMPLATE("windows of a batch are those that a buffer of trajectories has", T, float, double) {
  test::random r(13);
  const std::vector<std::uint32_t> states{0, 1, 2, 3, 4};
  for (int round = 0; round < 100; ++round) {
    learner_arrays<T> b = learner_batch<T>(r, states, 3, false, true);
    b.weights.clear();
    const std::size_t n = 2 + r.below(4);
    const double gamma = 0.9;
    trajectory_buffer<T> buffer({.capacity = 200, .n_steps = n, .gamma = gamma});
    buffer.push(b.view());
    learner_arrays<T> windows;
    for (std::size_t i = 0; i < b.size(); ++i) {
      const n_step_window<T> w = buffer.window(i);
      windows.states.push_back(w.step.state);
      windows.actions.push_back(w.step.action);
      windows.rewards.push_back(w.step.reward);
      windows.next_states.push_back(w.step.next_state);
      windows.next_actions.push_back(w.step.next_action);
      windows.terminated.push_back(w.step.terminated ? 1 : 0);
      windows.discounts.push_back(w.discount);
    }
    q_learner<T> by_itself(5, 3, {.method = td_method::sarsa, .gamma = gamma, .n_steps = n}, T(1)),
        of_windows(5, 3, {.method = td_method::sarsa, .gamma = gamma}, T(1));
    by_itself.update(b.view());
    of_windows.update(windows.view());
    CHECK(learner_image(by_itself) == learner_image(of_windows));
  }
}

TEST_CASE("batches are looked at before anything is changed, and the first transition at fault is named") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  constexpr std::size_t none = error::no_row;
  const learner_arrays<float> good = learner_walk(40, 5, 3, 1);
  const std::vector<float> no_errors, errors(40, 0.25f);
  for (const q_learner_options& way : learner_ways()) {
    CAPTURE(static_cast<int>(way.method));
    CAPTURE(way.n_steps);
    CAPTURE(way.lambda);
    q_learner<float> learner(5, 3, way);
    learner.update(good.view());
    const auto refuses = [&](const learner_arrays<float>& bad, const std::vector<float>& td_errors, errc code,
                             std::size_t row) {
      learner_refuses(learner, bad.view(), td_errors, code, row, good.view());
    };
    // Lengths.
    for (const std::size_t n : {39u, 0u}) {
      learner_arrays<float> bad = good;
      bad.actions.resize(n);
      refuses(bad, errors, errc::size_mismatch, none);
      bad = good;
      bad.rewards.resize(n);
      refuses(bad, errors, errc::size_mismatch, none);
      bad = good;
      bad.next_states.resize(n);
      refuses(bad, errors, errc::size_mismatch, none);
    }
    for (auto which : {&learner_arrays<float>::terminated, &learner_arrays<float>::truncated}) {
      learner_arrays<float> bad = good;
      (bad.*which).resize(41);
      refuses(bad, errors, errc::size_mismatch, none);
    }
    for (auto which : {&learner_arrays<float>::discounts, &learner_arrays<float>::weights}) {
      learner_arrays<float> bad = good;
      (bad.*which).resize(1);
      refuses(bad, errors, errc::size_mismatch, none);
    }
    refuses(good, std::vector<float>(39), errc::size_mismatch, none);
    refuses(good, std::vector<float>(41), errc::size_mismatch, none);
    {
      learner_arrays<float> bad = good;
      bad.next_actions.resize(7);
      refuses(bad, errors, errc::size_mismatch, none);
      bad.next_actions.clear();
      if (way.method == td_method::sarsa || way.lambda > 0) {
        refuses(bad, errors, errc::size_mismatch, none);
      } else {
        CHECK_NOTHROW(learner.update(bad.view()));
      }
    }
    // Numbers out of range, first alone at each row, then with more of them behind it.
    for (const std::size_t row : {0u, 1u, 16u, 33u, 39u}) {
      for (const bool others : {false, true}) {
        learner_arrays<float> more = good;
        if (others && row < 39) {
          more.rewards[39] = nan;
          more.states[row + 1] = 99;
        }
        learner_arrays<float> bad = more;
        bad.states[row] = 5;
        refuses(bad, errors, errc::out_of_range, row);
        bad = more;
        bad.states[row] = 0xffffffffu;
        refuses(bad, no_errors, errc::out_of_range, row);
        bad = more;
        bad.next_states[row] = 5;
        refuses(bad, errors, errc::out_of_range, row);
        bad = more;
        bad.next_states[row] = 0x80000000u;
        bad.terminated.assign(40, 1);
        refuses(bad, errors, errc::out_of_range, row);
        bad = more;
        bad.actions[row] = 3;
        refuses(bad, errors, errc::out_of_range, row);
        for (const float reward : {nan, infinity, -infinity}) {
          bad = more;
          bad.rewards[row] = reward;
          refuses(bad, errors, errc::not_finite, row);
        }
        for (const float x : {nan, infinity, -0.01f, 1.0001f}) {
          bad = more;
          bad.discounts.assign(40, 0.5f);
          bad.discounts[row] = x;
          refuses(bad, errors, errc::invalid_option, row);
          bad = more;
          bad.weights.assign(40, 1.0f);
          bad.weights[row] = x;
          refuses(bad, errors, errc::invalid_option, row);
        }
        if (way.method == td_method::sarsa || way.lambda > 0) {
          bad = more;
          bad.next_actions[row] = 3;
          refuses(bad, errors, errc::out_of_range, row);
        }
      }
    }
    // What makes discounts of its own takes none, and traces take no weights.
    learner_arrays<float> with_discounts = good, with_weights = good;
    with_discounts.discounts.assign(40, 0.5f);
    with_weights.weights.assign(40, 0.5f);
    if (way.n_steps > 1 || way.lambda > 0) {
      refuses(with_discounts, errors, errc::invalid_option, none);
    } else {
      CHECK_NOTHROW(learner.update(with_discounts.view()));
    }
    if (way.lambda > 0) {
      refuses(with_weights, errors, errc::invalid_option, none);
    } else {
      CHECK_NOTHROW(learner.update(with_weights.view()));
    }
  }
}

TEST_CASE("a batch of nothing is no error, and changes nothing") {
  for (const q_learner_options& way : learner_ways()) {
    q_learner<float> learner(5, 3, way);
    std::error_code ec = errc::not_finite;
    CHECK(learner.update({}, ec) == 0);
    CHECK_FALSE(ec);
    CHECK(learner.table() == q_table<float>(5, 3));
    std::vector<float> errors(1);
    CHECK(learner.update({}, errors, ec) == error::no_row);
    CHECK(ec == errc::size_mismatch);
    const learner_arrays<float> good = learner_walk(33, 5, 3, 2);
    CHECK(learner.update(good.view(), ec) == 33);
    CHECK_FALSE(ec);
  }
}

TEST_CASE_TEMPLATE("options out of range are refused", T, float, double) {
  const auto is_refused = [](const q_learner_options& options) {
    std::error_code ec, of_table;
    const q_learner<T> learner(2, 2, options, T(0), ec), from_table(q_table<T>(2, 2), options, of_table);
    CHECK(ec == of_table);
    const bool refused = ec == errc::invalid_option;
    CHECK(refused == static_cast<bool>(ec));
    if (refused) {
      CHECK_THROWS_AS(q_learner<T>(2, 2, options), error);
      CHECK_THROWS_AS(q_learner<T>(q_table<T>(2, 2), options), error);
    } else {
      CHECK_NOTHROW(q_learner<T>(2, 2, options));
      CHECK_NOTHROW(q_learner<T>(q_table<T>(2, 2), options));
    }
    return refused;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  const double above_one = std::nextafter(1.0, 2.0), least = std::numeric_limits<double>::denorm_min();
  CHECK_FALSE(is_refused({}));
  for (const double alpha : {0.0, -0.0, above_one, nan, -1.0, infinity, -infinity, -least, 2.0}) {
    CHECK(is_refused({.alpha = alpha}));
  }
  CHECK_FALSE(is_refused({.alpha = 1}));
  CHECK_FALSE(is_refused({.alpha = static_cast<double>(std::numeric_limits<T>::denorm_min())}));
  // What is 0 as a float is no step size of floats.
  constexpr bool is_float = std::is_same_v<T, float>;
  CHECK(is_refused({.alpha = 1e-50}) == is_float);
  for (const double x : {-least, above_one, nan, infinity, -1.0}) {
    CHECK(is_refused({.gamma = x}));
    CHECK(is_refused({.lambda = x}));
    CHECK(is_refused({.trace_floor = x}));
    CHECK(is_refused({.target_policy = epsilon_greedy{x}}));
  }
  for (const double x : {0.0, 1.0, least}) {
    CHECK_FALSE(is_refused({.gamma = x}));
    CHECK_FALSE(is_refused({.lambda = x}));
    CHECK_FALSE(is_refused({.trace_floor = x}));
    CHECK_FALSE(is_refused({.target_policy = epsilon_greedy{x}}));
  }
  for (const double x : {0.0, -1.0, nan, infinity}) CHECK(is_refused({.target_policy = softmax{x}}));
  CHECK(is_refused({.n_steps = 0}));
  CHECK_FALSE(is_refused({.n_steps = std::numeric_limits<std::size_t>::max()}));
  CHECK(is_refused({.on_duplicates = duplicates::snapshot_mean, .lambda = 0.5}));
  CHECK_FALSE(is_refused({.on_duplicates = duplicates::snapshot_mean, .lambda = 0}));
  CHECK(is_refused({.n_steps = 2, .lambda = 0.5}));
  CHECK(is_refused({.method = td_method::expected_sarsa, .lambda = 0.5}));
  CHECK(is_refused({.method = td_method::double_q, .lambda = 0.5}));
  CHECK_FALSE(is_refused({.method = td_method::sarsa, .lambda = 1}));

  std::error_code ec;
  for (const auto& [states, actions] :
       {std::pair<std::size_t, std::size_t>{0, 1}, {1, 0}, {(std::size_t{1} << 31) + 1, 1}}) {
    const q_learner<T> learner(states, actions, {}, T(0), ec);
    CHECK(ec == errc::invalid_option);
    CHECK_THROWS_AS(q_learner<T>(states, actions), error);
  }
  const q_learner<T> not_finite(1, 1, {}, std::numeric_limits<T>::quiet_NaN(), ec);
  CHECK(ec == errc::invalid_option);

  q_learner<T> learner(1, 1, {.alpha = 0.25});
  for (const double alpha : {0.0, above_one, nan, -1.0}) {
    CHECK_THROWS_AS(learner.set_alpha(alpha), error);
    learner.set_alpha(alpha, ec);
    CHECK(ec == errc::invalid_option);
    CHECK(learner.options().alpha == 0.25);
  }
  learner.set_alpha(0.5);
  const std::array<std::uint32_t, 1> zero{};
  const std::array<T, 1> reward{T(1)};
  learner.update({.states = zero, .actions = zero, .rewards = reward, .next_states = zero});
  CHECK(learner.table()(0, 0) == T(0.5));
  learner.set_alpha(1, ec);
  CHECK_FALSE(ec);
  CHECK(learner.options().alpha == 1);
}

TEST_CASE("actions that a state does not have are refused, and never count") {
  // State 0 lacks action 1, state 2 has none at all.
  q_table<float> table(4, 3, 1.0f);
  table.forbid(0, 1);
  for (std::size_t a = 0; a < 3; ++a) table.forbid(2, a);
  for (const q_learner_options& way : learner_ways()) {
    CAPTURE(static_cast<int>(way.method));
    CAPTURE(way.n_steps);
    CAPTURE(way.lambda);
    q_learner<float> learner(table, way);
    learner_arrays<float> good;
    good.states = {0, 1, 3, 1};
    good.actions = {0, 1, 2, 1};
    good.rewards = {1, 2, 3, 4};
    good.next_states = {1, 3, 1, 0};
    good.next_actions = {1, 2, 1, 2};
    learner_arrays<float> bad = good;
    bad.states[2] = 0;
    bad.actions[2] = 1;
    learner_refuses(learner, bad.view(), {}, errc::unavailable_action, 2, good.view());
    bad = good;
    bad.states[0] = 2;
    learner_refuses(learner, bad.view(), {}, errc::unavailable_action, 0, good.view());
    bad = good;
    bad.next_states[3] = 2;
    learner_refuses(learner, bad.view(), {}, errc::unavailable_action, 3, good.view());
    bad.truncated = {0, 0, 0, 1};
    learner_refuses(learner, bad.view(), {}, errc::unavailable_action, 3, good.view());
    bad.rewards[2] = std::numeric_limits<float>::infinity();
    learner_refuses(learner, bad.view(), {}, errc::not_finite, 2, good.view());
    bad = good;
    bad.next_actions[3] = 1;
    if (way.method == td_method::sarsa || way.lambda > 0) {
      learner_refuses(learner, bad.view(), {}, errc::unavailable_action, 3, good.view());
    } else {
      CHECK_NOTHROW(learner.update(bad.view()));
    }
    // Where an episode is over, nobody asks what the state has.
    learner_arrays<float> last = good;
    last.next_states[3] = 2;
    last.terminated = {0, 0, 0, 1};
    CHECK_NOTHROW(learner.update(last.view()));
    last.next_actions[3] = 1;
    CHECK_NOTHROW(learner.update(last.view()));
    for (const q_table<float>* t : {&std::as_const(learner).table(), &learner.second_table()}) {
      CHECK(t->forbidden() == 4);
      CHECK_FALSE(t->allows(0, 1));
      CHECK(t->max(2) == -std::numeric_limits<float>::infinity());
      for (std::size_t s = 0; s < 4; ++s) {
        for (std::size_t a = 0; a < 3; ++a) {
          CHECK(t->allows(s, a) == (s != 2 && !(s == 0 && a == 1)));
          CHECK(((*t)(s, a) == -std::numeric_limits<float>::infinity()) == !t->allows(s, a));
        }
      }
    }
  }
}

TEST_CASE("expected SARSA takes the mean over the actions that the next state has") {
  q_table<double> table(2, 4);
  table.set(1, 0, 1);
  table.set(1, 2, 5);
  table.set(1, 3, 3);
  table.forbid(1, 1);
  const std::array<std::uint32_t, 1> zero{}, one{1};
  const std::array<double, 1> reward{10};
  const transition_batch<double> batch{
      .states = zero, .actions = zero, .rewards = reward, .next_states = one};
  const auto learnt = [&](auto policy) {
    q_learner<double> learner(
        table, {.method = td_method::expected_sarsa, .alpha = 1, .gamma = 0.5, .target_policy = policy});
    learner.update(batch);
    return learner.table()(0, 0);
  };
  // epsilon 0.3: 0.7 * 5 + 0.3 (1 + 5 + 3) / 3 = 4.4
  CHECK(learnt(epsilon_greedy{0.3}) == doctest::Approx(10 + 0.5 * 4.4).epsilon(1e-14));
  CHECK(learnt(greedy{}) == 12.5);
  const double e1 = std::exp(0.5), e5 = std::exp(2.5), e3 = std::exp(1.5);
  CHECK(learnt(softmax{2}) ==
        doctest::Approx(10 + 0.5 * (e1 + 5 * e5 + 3 * e3) / (e1 + e5 + e3)).epsilon(1e-13));
}

TEST_CASE("double Q-learning gives each table about half, and its values are the mean of both") {
  constexpr std::size_t n = 2000;
  learner_arrays<float> b;
  for (std::uint32_t i = 0; i < n; ++i) {
    b.states.push_back(i);
    b.actions.push_back(0);
    b.rewards.push_back(1.0f);
    b.next_states.push_back(0);
  }
  b.terminated.assign(n, 1);
  q_learner<float> learner(n, 2, {.method = td_method::double_q, .alpha = 1});
  learner.update(b.view());
  std::size_t first = 0, second = 0;
  std::array<float, 2> values{};
  for (std::size_t s = 0; s < n; ++s) {
    first += static_cast<std::size_t>(learner.table()(s, 0) == 1.0f);
    second += static_cast<std::size_t>(learner.second_table()(s, 0) == 1.0f);
    learner.values(s, values);
    CHECK(values == std::array<float, 2>{0.5f, 0.0f});
  }
  CHECK(first + second == n);
  CHECK(first > n / 2 - 100);  // 4.5 standard deviations
  CHECK(first < n / 2 + 100);

  q_learner<float> other(n, 2, {.method = td_method::double_q, .alpha = 1, .seed = 43}),
      same(n, 2, {.method = td_method::double_q, .alpha = 1}), single(n, 2, {.alpha = 1});
  other.update(b.view());
  same.update(b.view());
  single.update(b.view());
  CHECK_FALSE(other.table() == learner.table());
  CHECK(same.table() == learner.table());
  CHECK(&single.table() == &single.second_table());
  single.values(3, values);
  CHECK(values == std::array<float, 2>{1.0f, 0.0f});

  constexpr float most = std::numeric_limits<float>::max();
  const q_learner<float> large(1, 2, {}, most);
  large.values(0, values);
  CHECK(values == std::array<float, 2>{most, most});

  // However a history is cut into batches, it is the same history.
  const learner_arrays<float> walk = learner_walk(60, 4, 2, 3);
  q_learner<float> whole(4, 2, {.method = td_method::double_q}), parts(4, 2, {.method = td_method::double_q});
  whole.update(walk.view());
  for (std::size_t i = 0; i < 60; i += 4) {
    const transition_batch<float> all = walk.view();
    parts.update({.states = all.states.subspan(i, 4),
                  .actions = all.actions.subspan(i, 4),
                  .rewards = all.rewards.subspan(i, 4),
                  .next_states = all.next_states.subspan(i, 4)});
  }
  CHECK(whole.table() == parts.table());
  CHECK(whole.second_table() == parts.second_table());
}

TEST_CASE(
    "a learner has all of its memory from its resource, counted to the byte, and soon asks for no more") {
  const learner_arrays<float> batch = learner_walk(100, 20, 5, 4), small = learner_walk(10, 20, 5, 5);
  std::vector<float> errors(100);
  for (q_learner_options way : learner_ways()) {
    CAPTURE(static_cast<int>(way.method));
    CAPTURE(way.n_steps);
    CAPTURE(way.lambda);
    test::failing_resource memory;
    {
      way.memory = &memory;
      const std::size_t outside = test::allocations().calls;
      q_learner<float> learner(20, 5, way);
      CHECK(memory.bytes() == learner.memory_bytes() - sizeof(learner));
      learner.update(batch.view());
      const std::size_t inside = memory.allocations();
      CHECK(memory.bytes() == learner.memory_bytes() - sizeof(learner));
      learner.end_trajectory();
      std::error_code ec;
      for (int i = 0; i < 5; ++i) {
        learner.update(batch.view(), errors, ec);
        learner.update(small.view(), ec);
        learner.end_trajectory();
      }
      CHECK(memory.allocations() == inside);
      CHECK(memory.bytes() == learner.memory_bytes() - sizeof(learner));
      CHECK(test::allocations().calls == outside);
      q_learner<float> moved(std::move(learner));
      CHECK(memory.bytes() == moved.memory_bytes() - sizeof(moved));
      CHECK(memory.allocations() == inside);
      const q_learner<float> copy = moved;
      CHECK(copy.table() == moved.table());
      CHECK(test::allocations().calls == outside);
    }
    CHECK(memory.bytes() == 0);
  }
}

TEST_CASE("whichever allocation of an update fails, the learner is as it was and can go on") {
  const learner_arrays<float> batch = learner_walk(100, 20, 5, 6), first = learner_walk(10, 20, 5, 7);
  for (q_learner_options way : learner_ways()) {
    CAPTURE(static_cast<int>(way.method));
    CAPTURE(way.n_steps);
    CAPTURE(way.lambda);
    q_learner<float> expected(20, 5, way);
    expected.update(first.view());
    const std::vector<float> before = learner_image(expected);
    expected.update(batch.view());
    std::size_t failures = 0;
    for (std::size_t n = 1;; ++n) {
      test::failing_resource memory;
      way.memory = &memory;
      q_learner<float> learner(20, 5, way);
      learner.update(first.view());
      memory.fail_at(n);
      std::vector<float> errors(100, 0.25f);
      std::error_code ec;
      const std::size_t result = learner.update(batch.view(), errors, ec);
      memory.fail_at(0);
      if (ec) {
        ++failures;
        CHECK(ec == errc::budget_exceeded);
        CHECK(result == error::no_row);
        CHECK(learner_image(learner) == before);
        CHECK(errors == std::vector<float>(100, 0.25f));
        memory.fail_at(1);
        CHECK_THROWS_AS(learner.update(batch.view()), memory_pool_exhausted);
        memory.fail_at(0);
        CHECK(learner_image(learner) == before);
        learner.update(batch.view());
      }
      CHECK(learner_image(learner) == learner_image(expected));
      CHECK(memory.bytes() == learner.memory_bytes() - sizeof(learner));
      if (!ec) break;
    }
    const bool allocates =
        way.on_duplicates == duplicates::snapshot_mean || way.n_steps > 1 || way.lambda > 0;
    CHECK((failures > 0) == allocates);
  }
}

TEST_CASE_TEMPLATE("values that overflow are lost, and nothing else is", T, float, double) {
  // A state that leads to itself for the largest reward, again and again: infinite at the second time, NaN at the third.
  constexpr std::uint32_t actions = 5;
  learner_arrays<T> b;
  for (std::uint32_t i = 0; i < 60; ++i) {
    b.states.push_back(0);
    b.actions.push_back(i % actions);
    b.rewards.push_back(std::numeric_limits<T>::max());
    b.next_states.push_back(0);
    b.next_actions.push_back(i % actions);
  }
  for (q_learner_options way : learner_ways()) {
    way.alpha = 1;
    way.gamma = 1;
    q_learner<T> learner(2, actions, way, T(3));
    std::vector<T> errors(60);
    for (int i = 0; i < 4; ++i) learner.update(b.view(), errors);
    CHECK_FALSE(detail::is_finite(learner.table()(0, 0)));
    for (const q_table<T>* t : {&std::as_const(learner).table(), &learner.second_table()}) {
      CHECK(t->argmax(0) < actions);
      CHECK(t->max(1) == T(3));
      CHECK(t->argmax(1) == 0);
    }
  }
}
