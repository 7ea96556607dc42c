#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include <alidade/rl/detail/eligibility_traces.hpp>
#include <alidade/rl/q_learner.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

/// Watkins's Q(lambda) and SARSA(lambda) with a trace for every pair: figures 7.14 and 7.11 of the first edition of Sutton
/// and Barto, with each operation rounded, so that what lists of traces come to is the same to the bit: a pair whose trace is 0
/// changes by 0, and the others change each by itself, in whatever order.
template <class T>
class traces_oracle {
 public:
  traces_oracle(std::size_t states, std::size_t actions, const q_learner_options& options)
      : options_(options), actions_(actions), q_(states * actions, T(0)), e_(states * actions, T(0)) {}

  void update(const transitions<T>& batch) {
    const bool off_policy = options_.method == td_method::q_learning;
    const T fading = static_cast<T>(options_.gamma * options_.lambda);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const transition<T> t = batch[i];
      if (next_state_ != t.state) end();
      T best = 0, taken = 0;
      if (!t.terminated) {
        const auto row = q_.begin() + static_cast<std::ptrdiff_t>(t.next_state * actions_);
        best = *std::max_element(row, row + static_cast<std::ptrdiff_t>(actions_));
        taken = q_[t.next_state * actions_ + t.next_action];
      }
      const std::size_t pair = t.state * actions_ + t.action;
      const T after = rounded(static_cast<T>(options_.gamma), off_policy ? best : taken);
      volatile T target = t.reward + after;
      const T error = target - q_[pair];
      e_[pair] = options_.traces == eligibility::replacing ? T(1) : e_[pair] + T(1);
      const T step = rounded(static_cast<T>(options_.alpha), error);
      const bool goes_on = !off_policy || taken == best;
      for (std::size_t p = 0; p < q_.size(); ++p) {
        if (e_[p] != T(0)) q_[p] = q_[p] + rounded(step, e_[p]);
        e_[p] = goes_on ? rounded(fading, e_[p]) : T(0);
        if (e_[p] < static_cast<T>(options_.trace_floor)) e_[p] = T(0);
      }
      next_state_ = t.next_state;
      if (t.terminated || t.truncated) end();
    }
  }
  void end() {
    std::fill(e_.begin(), e_.end(), T(0));
    next_state_ = nowhere;
  }

  bool agrees(const q_learner<T>& learner) const {
    for (std::size_t i = 0; i < q_.size(); ++i) {
      if (learner.table()(i / actions_, i % actions_) != q_[i]) return false;
    }
    return true;
  }

 private:
  static T rounded(T a, T b) {
    volatile T product = a * b;
    return product;
  }

  q_learner_options options_;
  std::size_t actions_;
  std::vector<T> q_, e_;
  // Not an optional: g++ 12 takes what lies in an empty one for read.
  static constexpr std::uint32_t nowhere = 0xffffffffu;
  std::uint32_t next_state_ = nowhere;
};

/// A walk through few states that often goes on, sometimes ends and sometimes begins elsewhere; of its actions many are greedy,
/// since values are 0 at first and rewards few.
template <class T>
transitions<T> traces_walk(test::random& r, std::uint32_t states, std::uint32_t actions, std::uint32_t& state,
                           std::uint32_t& action) {
  transitions<T> walk;
  const std::size_t n = r.below(40);
  for (std::size_t i = 0; i < n; ++i) {
    transition<T> t;
    t.state = state;
    t.action = action;
    t.reward = r.below(4) == 0 ? static_cast<T>(r.uniform()) : T(0);
    t.next_state = r.below(states);
    t.next_action = r.below(3) == 0 ? r.below(actions) : 0;
    t.terminated = r.below(20) == 0;
    t.truncated = r.below(20) == 0;
    walk.push_back(t);
    const bool jumps = t.terminated || t.truncated || r.below(20) == 0;
    state = jumps ? r.below(states) : t.next_state;
    action = jumps ? r.below(actions) : t.next_action;
  }
  return walk;
}

template <class T>
transitions<T> traces_of(std::initializer_list<transition<T>> all) {
  transitions<T> result;
  for (const transition<T>& t : all) result.push_back(t);
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("traces in a list change values as a trace for every pair would, to the bit", T, float,
                   double) {
  test::random r(11);
  for (int round = 0; round < 400; ++round) {
    const std::uint32_t states = 1 + r.below(12), actions = 1 + r.below(6);
    const q_learner_options options{
        .method = r.below(2) == 0 ? td_method::q_learning : td_method::sarsa,
        .alpha = r.below(4) == 0 ? 1.0 : 0.3,
        .gamma = r.below(4) == 0 ? 1.0 : 0.9,
        .lambda = r.below(4) == 0 ? 1.0 : 0.7,
        .traces = r.below(2) == 0 ? eligibility::replacing : eligibility::accumulating,
        .trace_floor = r.below(2) == 0 ? 0.0 : 0.01};
    q_learner<T> learner(states, actions, options);
    traces_oracle<T> oracle(states, actions, options);
    std::uint32_t state = 0, action = 0;
    bool same = true;
    for (int part = 0; part < 5; ++part) {
      const transitions<T> walk = traces_walk<T>(r, states, actions, state, action);
      learner.update(walk.batch());
      oracle.update(walk);
      if (r.below(4) == 0) {
        learner.end_trajectory();
        oracle.end();
      }
      same = same && oracle.agrees(learner);
    }
    CHECK(same);
  }
}

TEST_CASE("an error changes the pairs before it by (gamma lambda)^k") {
  // 0 -> 1 -> 2 -> the end, for 0, 0 and 16; alpha 1/2, gamma lambda = 1/2.
  const transitions<double> walk =
      traces_of<double>({{.state = 0, .action = 1, .next_state = 1},
                         {.state = 1, .action = 0, .next_state = 2},
                         {.state = 2, .action = 1, .reward = 16, .terminated = true}});
  for (const td_method method : {td_method::q_learning, td_method::sarsa}) {
    for (const double lambda : {0.5, 1.0}) {
      q_learner<double> learner(3, 2,
                                {.method = method, .alpha = 0.5, .gamma = 0.5 / lambda, .lambda = lambda});
      std::vector<double> errors(3);
      learner.update(walk.batch(), errors);
      CHECK(learner.table()(2, 1) == 8);
      CHECK(learner.table()(1, 0) == 4);
      CHECK(learner.table()(0, 1) == 2);
      CHECK(learner.table()(0, 0) == 0);
      CHECK(errors == std::vector<double>{0, 0, 16});
    }
  }
}

TEST_CASE("a pair that comes again has a trace of 1, or of 1 more") {
  // Twice around 0, then the end for 8; alpha 1, gamma 1, lambda 1/2: traces 1, then 1 or 1.5, then half of it, plus 1 or 1.
  transitions<double> walk;
  for (int i = 0; i < 2; ++i) walk.push_back({.state = 0, .action = 0, .next_state = 0});
  walk.push_back({.state = 0, .action = 0, .reward = 8, .next_state = 0, .terminated = true});
  q_learner<double> replacing(1, 1, {.method = td_method::sarsa, .alpha = 1, .gamma = 1, .lambda = 0.5});
  replacing.update(walk.batch());
  CHECK(replacing.table()(0, 0) == 8);
  q_learner<double> accumulating(1, 1,
                                 {.method = td_method::sarsa,
                                  .alpha = 1,
                                  .gamma = 1,
                                  .lambda = 0.5,
                                  .traces = eligibility::accumulating});
  accumulating.update(walk.batch());
  CHECK(accumulating.table()(0, 0) == 14);  // 8 (1 + 1/2 + 1/4)
}

TEST_CASE(
    "traces end with an episode, at a gap, when told so, and for Q-learning where an action is not greedy") {
  const auto first_after = [](td_method method, auto change, bool told) {
    q_table<double> table(4, 2);
    table.set(1, 1, 1);  // in state 1 action 1 is the greedy one
    q_learner<double> learner(table, {.method = method, .alpha = 0.5, .gamma = 1, .lambda = 1});
    transition<double> one{.state = 0, .action = 0, .next_state = 1, .next_action = 1},
        two{.state = 1, .action = 1, .reward = 64, .next_state = 2};
    change(one, two);
    learner.update(traces_of<double>({one}).batch());
    const double before = learner.table()(0, 0);
    if (told) learner.end_trajectory();
    learner.update(traces_of<double>({two}).batch());
    return learner.table()(0, 0) != before;
  };
  using t = transition<double>;
  for (const td_method method : {td_method::q_learning, td_method::sarsa}) {
    CHECK(first_after(
        method, [](t&, t&) {}, false));
    CHECK_FALSE(first_after(
        method, [](t&, t&) {}, true));
    CHECK_FALSE(first_after(
        method, [](t& one, t&) { one.terminated = true; }, false));
    CHECK_FALSE(first_after(
        method, [](t& one, t&) { one.truncated = true; }, false));
    CHECK_FALSE(first_after(
        method, [](t& one, t&) { one.next_state = 3; }, false));
    CHECK(first_after(
              method, [](t& one, t& two) { one.next_action = two.action = 0; }, false) ==
          (method == td_method::sarsa));
  }
}

TEST_CASE_TEMPLATE("with a lambda next to 0 what is learnt is one step", T, float, double) {
  test::random r(12);
  for (const td_method method : {td_method::q_learning, td_method::sarsa}) {
    q_learner<T> one_step(6, 3, {.method = method, .gamma = 0.9}),
        traced(6, 3, {.method = method, .gamma = 0.9, .lambda = 1e-300, .trace_floor = 0}),
        floored(6, 3, {.method = method, .gamma = 0.9, .lambda = 0.5, .trace_floor = 1});
    std::uint32_t state = 0, action = 0;
    for (int i = 0; i < 50; ++i) {
      const transitions<T> walk = traces_walk<T>(r, 6, 3, state, action);
      std::vector<T> a(walk.size()), b(walk.size()), c(walk.size());
      one_step.update(walk.batch(), a);
      traced.update(walk.batch(), b);
      floored.update(walk.batch(), c);
      CHECK(a == c);
      if (std::is_same_v<T, float>) CHECK(a == b);  // as a float 1e-300 is 0
    }
    CHECK(one_step.table() == floored.table());
    if (std::is_same_v<T, float>) CHECK(one_step.table() == traced.table());
  }
}

TEST_CASE("traces that have faded are forgotten, so that their list stays short") {
  detail::eligibility_traces<float> traces(nullptr);
  CHECK(traces.empty());
  std::size_t most = 0;
  std::vector<float> q(10'000);
  for (std::size_t i = 0; i < q.size(); ++i) {
    traces.reserve(1);
    traces.visit(i, eligibility::replacing);
    traces.fade(0.5f, 1e-3f);
    std::fill(q.begin(), q.end(), 0.0f);
    if (i % 100 == 99) {
      traces.apply(q.data(), 1.0f);
      most = std::max(
          most, static_cast<std::size_t>(std::count_if(q.begin(), q.end(), [](float x) { return x != 0; })));
      CHECK(q[i] == 0.5f);
      CHECK(q[i - 8] == 0x1p-9f);
      CHECK(q[i - 9] == 0.0f);  // 2^-10 < 0.001
    }
  }
  CHECK(most == 9);
  CHECK(traces.memory_bytes() < 1000);
  traces.clear();
  CHECK(traces.empty());
  // Without a floor a trace lasts until it is 0.
  traces.visit(3, eligibility::accumulating);
  for (int i = 0; i < 148; ++i) traces.fade(0.5f, 0.0f);
  CHECK_FALSE(traces.empty());
  for (int i = 0; i < 4; ++i) traces.fade(0.5f, 0.0f);
  CHECK(traces.empty());
}
