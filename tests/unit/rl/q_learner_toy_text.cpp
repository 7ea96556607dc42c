#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <alidade/core/random.hpp>
#include <alidade/rl/policies.hpp>
#include <alidade/rl/q_learner.hpp>
#include <alidade/rl/q_update.hpp>

#include "../../toy_text.hpp"

using namespace alidade;

namespace {

bool toy_is_deterministic(const test::toy_environment& e) {
  return std::all_of(e.outcomes.begin(), e.outcomes.end(), [](const auto& all) { return all.size() == 1; });
}

/// Every outcome of every pair as one transition: of the environments here those of a pair are equally likely.
template <class T>
transitions<T> toy_all_outcomes(const test::toy_environment& e) {
  transitions<T> all;
  for (std::uint32_t s = 0; s < e.states; ++s) {
    for (std::uint32_t a = 0; a < e.actions; ++a) {
      for (const test::outcome& o : e.after(s, a)) {
        CHECK(o.probability * static_cast<double>(e.after(s, a).size()) == doctest::Approx(1).epsilon(1e-15));
        all.push_back({.state = s,
                       .action = a,
                       .reward = static_cast<T>(o.reward),
                       .next_state = o.next_state,
                       .terminated = o.terminated});
      }
    }
  }
  return all;
}

/// Whether the values are the optimal ones: each to `tolerance` times the largest of them, and at least 1, and the mean
/// of the start and the sum of all as they are known.
template <class Values>
void toy_check_values(const test::known_values& known, const Values& values, double tolerance) {
  const test::toy_environment e = known.make();
  CAPTURE(e.name);
  CAPTURE(known.gamma);
  const test::optimal_values best = test::solve(e, known.gamma);
  double scale = 1, worst = 0, sum = 0, v_start = 0;
  for (const double q : best.q) scale = std::max(scale, std::abs(q));
  for (std::size_t s = 0; s < e.states; ++s) {
    double largest = static_cast<double>(values(s, std::size_t{0}));
    for (std::size_t a = 0; a < e.actions; ++a) {
      const double q = static_cast<double>(values(s, a));
      worst = std::max(worst, std::abs(q - best.q[s * e.actions + a]));
      largest = std::max(largest, q);
      sum += q;
    }
    v_start += e.initial[s] * largest;
  }
  CAPTURE(worst);
  CHECK(worst <= tolerance * scale);
  CHECK(worst <= 1e-4 * scale);
  CHECK(std::abs(v_start - known.v_start) <= tolerance * scale + test::v_start_tolerance);
  CHECK(std::abs(sum - known.sum) <=
        tolerance * scale * static_cast<double>(e.states * e.actions) + test::sum_tolerance);
}

/// In double the values end up to rounding at the optimal ones; in float what each backup rounds away, half of 2^-23 of a
/// value, may add up to 1 / (1 - gamma) times that.
template <class T>
constexpr double toy_tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;

constexpr int toy_most_sweeps = 3000;

struct toy_options {
  double epsilon = 0.1;
  std::size_t episodes = 500;
  std::uint64_t seed = 1;
  bool by_episode = false;  ///< a batch for each episode, not for each step
};

constexpr std::size_t toy_most_steps = 1000;

/// Learns by experience, and returns the mean of the episodes' returns.
double toy_learn(const test::toy_environment& e, q_learner<double>& learner, const toy_options& options) {
  splitmix64 random(options.seed);
  const auto unit = [&random] { return detail::uniform_unit(random); };
  std::vector<double> row(e.actions);
  const auto choose = [&](std::size_t state) {
    learner.values(state, row);
    return epsilon_greedy{options.epsilon}(std::span<const double>(row), random);
  };
  double total = 0;
  transitions<double> batch;
  for (std::size_t episode = 0; episode < options.episodes; ++episode) {
    std::uint32_t state = test::first_state(e, unit), action = choose(state);
    for (std::size_t step = 0; step < toy_most_steps; ++step) {
      const test::outcome o = test::step(e, state, action, unit);
      const std::uint32_t next_action = choose(o.next_state);
      const bool truncated = step + 1 == toy_most_steps;
      batch.push_back({state, action, o.reward, o.next_state, o.terminated, truncated, next_action});
      total += o.reward;
      const bool ended = o.terminated || truncated;
      if (ended || !options.by_episode) {
        learner.update(batch.batch());
        batch.clear();
      }
      if (ended) break;
      state = o.next_state;
      action = next_action;
    }
  }
  return total / static_cast<double>(options.episodes);
}

/// The return of an episode of the greedy policy; -1e9 where it has no end.
double toy_greedy_return(const test::toy_environment& e, const q_learner<double>& learner) {
  const auto first = [] { return 0.0; };
  std::vector<double> row(e.actions);
  std::uint32_t state = test::first_state(e, first);
  double total = 0;
  for (std::size_t step = 0; step < 200; ++step) {
    learner.values(state, row);
    const test::outcome o = test::step(e, state, greedy{}(std::span<const double>(row)), first);
    total += o.reward;
    if (o.terminated) return total;
    state = o.next_state;
  }
  return -1e9;
}

/// How often, of the first episodes, `left` is taken in Sutton and Barto's example 6.7. In state 0 action 0 is left, to state
/// 1, and 1 is right, to the end, both for 0; in state 1 all of ten actions end the episode, for a mean of -0.1.
double toy_share_of_left(td_method method) {
  constexpr std::size_t runs = 200, episodes = 100, actions = 10;
  std::size_t left = 0;
  splitmix64 random(6);
  const auto normal = [&random] {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += detail::uniform_unit(random);
    return sum;
  };
  for (std::size_t run = 0; run < runs; ++run) {
    q_table<double> table(3, actions);
    for (std::size_t a = 2; a < actions; ++a) table.forbid(0, a);
    q_learner<double> learner(table, {.method = method, .alpha = 0.1, .gamma = 1, .seed = run});
    std::array<double, actions> row{};
    const auto choose = [&](std::size_t state) {
      learner.values(state, row);
      return epsilon_greedy{0.1}(std::span<const double>(row), random);
    };
    transitions<double> batch;
    for (std::size_t episode = 0; episode < episodes; ++episode) {
      const std::uint32_t first = choose(0);
      left += first == 0 ? 1 : 0;
      batch.push_back({.state = 0,
                       .action = first,
                       .reward = 0,
                       .next_state = first == 0 ? 1u : 2u,
                       .terminated = first != 0});
      if (first == 0) {
        batch.push_back(
            {.state = 1, .action = choose(1), .reward = normal() - 0.1, .next_state = 2, .terminated = true});
      }
      learner.update(batch.batch());
      batch.clear();
    }
    CHECK(learner.table().forbidden() == 8);
  }
  return static_cast<double>(left) / (runs * episodes);
}

}  // namespace

TEST_CASE_TEMPLATE("expected backups by q_update find the optimal values of the toy environments", T, float,
                   double) {
  for (const test::known_values& known : test::known_toys) {
    const test::toy_environment e = known.make();
    const std::size_t n = e.states * e.actions;
    const bool deterministic = toy_is_deterministic(e);
    std::vector<T> q(n), rewards(n), next(n), before;
    std::vector<std::uint8_t> terminated(n);
    for (std::size_t i = 0; i < n; ++i) {
      double mean = 0;
      for (const test::outcome& o : e.outcomes[i]) mean += o.probability * o.reward;
      rewards[i] = static_cast<T>(mean);
      if (deterministic) terminated[i] = e.outcomes[i][0].terminated ? 1 : 0;
    }
    int sweeps = 0;
    for (; sweeps < toy_most_sweeps && before != q; ++sweeps) {
      before = q;
      const auto best = [&](std::size_t state) {
        const auto row = q.begin() + static_cast<std::ptrdiff_t>(state * e.actions);
        return *std::max_element(row, row + static_cast<std::ptrdiff_t>(e.actions));
      };
      for (std::size_t i = 0; i < n; ++i) {
        double mean = 0;
        for (const test::outcome& o : e.outcomes[i]) {
          if (deterministic || !o.terminated) mean += o.probability * static_cast<double>(best(o.next_state));
        }
        next[i] = static_cast<T>(mean);
      }
      if (deterministic) {
        q_update(std::span<T>(q), rewards, next, terminated, 1, known.gamma);
      } else {
        q_update(std::span<T>(q), rewards, next, 1, known.gamma);
      }
    }
    CAPTURE(sweeps);
    toy_check_values(
        known, [&](std::size_t s, std::size_t a) { return q[s * e.actions + a]; }, toy_tolerance<T>);
  }
}

TEST_CASE_TEMPLATE("so do means over all outcomes", T, float, double) {
  for (const test::known_values& known : test::known_toys) {
    const test::toy_environment e = known.make();
    const transitions<T> all = toy_all_outcomes<T>(e);
    q_learner<T> learner(e.states, e.actions,
                         {.alpha = 1, .gamma = known.gamma, .on_duplicates = duplicates::snapshot_mean});
    q_table<T> before(1, 1);
    int sweeps = 0;
    for (; sweeps < toy_most_sweeps && !(before == learner.table()); ++sweeps) {
      before = learner.table();
      learner.update(all.batch());
    }
    CAPTURE(sweeps);
    toy_check_values(known, learner.table(), toy_tolerance<T>);
  }
}

TEST_CASE_TEMPLATE("so do transitions in order where nothing is random", T, float, double) {
  for (const test::known_values& known : test::known_toys) {
    const test::toy_environment e = known.make();
    if (!toy_is_deterministic(e)) continue;
    const transitions<T> all = toy_all_outcomes<T>(e);
    for (const td_method method : {td_method::q_learning, td_method::expected_sarsa}) {
      q_learner<T> learner(e.states, e.actions,
                           {.method = method, .alpha = 1, .gamma = known.gamma, .target_policy = greedy{}});
      q_table<T> before(1, 1);
      for (int sweep = 0; sweep < toy_most_sweeps && !(before == learner.table()); ++sweep) {
        before = learner.table();
        learner.update(all.batch());
      }
      toy_check_values(known, learner.table(), toy_tolerance<T>);
    }
  }
}

TEST_CASE("SARSA learns the safe path along the cliff, and Q-learning the shortest one") {
  // Example 6.6 of Sutton and Barto, with a smaller step size than its 0.5, so that what is left at the end is not noise.
  const test::toy_environment e = test::cliff_walking();
  const q_learner_options options{.alpha = 0.1, .gamma = 1};
  q_learner_options on_policy = options;
  on_policy.method = td_method::sarsa;
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    q_learner<double> q(e.states, e.actions, options), sarsa(e.states, e.actions, on_policy);
    const double while_q_learns = toy_learn(e, q, {.episodes = 1000, .seed = seed});
    const double while_sarsa_learns = toy_learn(e, sarsa, {.episodes = 1000, .seed = seed});
    CHECK(toy_greedy_return(e, q) == -13);
    CHECK(toy_greedy_return(e, sarsa) < -13);
    CHECK(toy_greedy_return(e, sarsa) >= -21);
    CHECK(while_sarsa_learns > while_q_learns + 5);  // who explores near the cliff falls
  }
}

TEST_CASE("every method finds the way across the lake and along the cliff") {
  const std::array<q_learner_options, 7> ways{{
      {.method = td_method::sarsa, .alpha = 0.2, .gamma = 0.95},
      {.method = td_method::expected_sarsa,
       .alpha = 0.2,
       .gamma = 0.95,
       .target_policy = epsilon_greedy{0.05}},
      {.method = td_method::double_q, .alpha = 0.2, .gamma = 0.95},
      {.method = td_method::q_learning, .alpha = 0.2, .gamma = 0.95, .n_steps = 3},
      {.method = td_method::sarsa, .alpha = 0.2, .gamma = 0.95, .n_steps = 3},
      {.method = td_method::q_learning, .alpha = 0.2, .gamma = 0.95, .lambda = 0.8},
      {.method = td_method::sarsa, .alpha = 0.1, .gamma = 0.95, .lambda = 0.8},
  }};
  for (const q_learner_options& way : ways) {
    CAPTURE(static_cast<int>(way.method));
    CAPTURE(way.n_steps);
    CAPTURE(way.lambda);
    const test::toy_environment lake = test::frozen_lake_4x4_deterministic(), cliff = test::cliff_walking();
    // Discounting makes haste on the lake. Along the cliff a learner that is slow to find the goal would come to value every
    // action at -1 / (1 - gamma), and then nothing would lead it away.
    q_learner_options undiscounted = way;
    undiscounted.gamma = 1;
    // Optimistic on the lake, so that there is something to be found; along the cliff 0 is optimistic enough.
    q_learner<double> on_lake(lake.states, lake.actions, way, 1.0),
        on_cliff(cliff.states, cliff.actions, undiscounted);
    const bool by_episode = way.n_steps > 1;
    toy_learn(lake, on_lake, {.epsilon = 0.05, .episodes = 1500, .seed = 4, .by_episode = by_episode});
    toy_learn(cliff, on_cliff, {.epsilon = 0.05, .episodes = 1500, .seed = 5, .by_episode = by_episode});
    CHECK(toy_greedy_return(lake, on_lake) == 1);
    CHECK(toy_greedy_return(cliff, on_cliff) >= -21);
  }
}

TEST_CASE("double Q-learning is less drawn to what is but a lucky maximum") {
  const double single = toy_share_of_left(td_method::q_learning),
               both = toy_share_of_left(td_method::double_q);
  CAPTURE(single);
  CAPTURE(both);
  CHECK(both < single - 0.1);
  CHECK(single > 0.5);
}
