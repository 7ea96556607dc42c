#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/core/errors.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/memory_pool.hpp>
#include <alidade/rl/trajectory_buffer.hpp>
#include <alidade/rl/transition_batch.hpp>

#include "../../counting_new.hpp"

using namespace alidade;

namespace {

/// What the buffer should hold and give: each transition with its number.
template <class T>
struct trajectory_model {
  std::size_t capacity, n_steps;
  double gamma;
  std::deque<std::pair<std::uint64_t, transition<T>>> held = {};
  std::uint64_t pushed = 0;

  void push(const transition<T>& t) {
    held.emplace_back(pushed++, t);
    if (held.size() > capacity) held.pop_front();
  }
  void end_trajectory() {
    if (!held.empty()) held.back().second.truncated = true;
  }

  n_step_window<T> window(std::size_t age) const {
    std::vector<transition<T>> steps{held[age].second};
    while (steps.size() < n_steps && age + steps.size() < held.size()) {
      const transition<T>& last = steps.back();
      const transition<T>& next = held[age + steps.size()].second;
      if (last.terminated || last.truncated || next.state != last.next_state) break;
      steps.push_back(next);
    }
    n_step_window<T> result{steps.back(), 0, steps.size()};
    result.step.state = steps[0].state;
    result.step.action = steps[0].action;
    double reward = 0, discount = 1;
    for (const transition<T>& t : steps) {
      reward += discount * static_cast<double>(t.reward);
      discount *= gamma;
    }
    result.step.reward = static_cast<T>(reward);
    result.discount = static_cast<T>(discount);
    return result;
  }
};

template <class T>
bool trajectory_equal(const n_step_window<T>& a, const n_step_window<T>& b) {
  return a.step == b.step && a.discount == b.discount && a.length == b.length;
}

/// Of few states, so that one follows another by chance too; with boundaries of each kind. Rewards are small integers: with
/// gamma = 1/2 all sums are exact.
template <class T>
transition<T> trajectory_step(splitmix64& random, std::uint32_t previous) {
  const auto below = [&](std::uint64_t n) {
    return static_cast<std::uint32_t>(detail::uniform_below(random, n));
  };
  return {below(4) == 0 ? below(4) : previous,
          below(9),
          static_cast<T>(below(17)) - 8,
          below(4),
          below(10) == 0,
          below(10) == 0,
          below(9)};
}

/// Whether each sampled transition is the window of the model at its position.
template <class T>
bool trajectory_samples_agree(const sampled_transitions<T>& out, const trajectory_model<T>& model) {
  const transition_batch<T> batch = out.batch();
  if (!batch.is_well_formed() || out.positions().size() != batch.size()) return false;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::uint64_t oldest = model.held.front().first;
    if (out.positions()[i] < oldest || out.positions()[i] >= model.pushed) return false;
    const auto window = model.window(static_cast<std::size_t>(out.positions()[i] - oldest));
    if (!(batch[i] == window.step) || batch.discounts[i] != window.discount) return false;
  }
  return true;
}

/// Transitions 0 .. n - 1 whose states, actions and rewards are their numbers: no one continues another.
template <class T = float>
void trajectory_fill(trajectory_buffer<T>& buffer, std::uint32_t n) {
  for (std::uint32_t i = 0; i < n; ++i) buffer.push({i, i, static_cast<T>(i), 1'000'000, false, false, 0});
}

/// How often each position of 0 .. n - 1 is sampled.
template <class T>
std::vector<double> trajectory_counts(trajectory_buffer<T>& buffer, std::size_t n, int calls,
                                      std::size_t count) {
  sampled_transitions<T> out;
  std::vector<double> counts(n);
  for (int i = 0; i < calls; ++i) {
    buffer.sample(count, out);
    for (const std::uint64_t p : out.positions()) ++counts.at(static_cast<std::size_t>(p));
  }
  return counts;
}

/// The chi-square statistic; of k counts it has mean k - 1 and variance 2 (k - 1).
double trajectory_chi_square(const std::vector<double>& counts, const std::vector<double>& weights) {
  double total = 0, drawn = 0, sum = 0;
  for (const double w : weights) total += w;
  for (const double c : counts) drawn += c;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = drawn * weights[i] / total;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

template <class F>
void trajectory_throws(errc code, std::size_t row, const F& f) {
  try {
    f();
    FAIL_CHECK("nothing was thrown");
  } catch (const error& e) {
    CHECK(e.code() == code);
    CHECK(e.row() == row);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("a buffer holds, and its windows are, what a list of transitions says", T, float, double) {
  splitmix64 random(1);
  for (const std::size_t capacity : {1u, 2u, 3u, 5u, 8u, 13u}) {
    for (std::size_t n = 1; n <= 5; ++n) {
      for (const bool prioritised : {false, true}) {
        trajectory_buffer<T> buffer(
            {.capacity = capacity, .n_steps = n, .gamma = 0.5, .prioritised = prioritised});
        trajectory_model<T> model{capacity, n, 0.5};
        sampled_transitions<T> out;
        std::uint32_t previous = 0;
        bool equal = true;
        for (int i = 0; i < 150; ++i) {
          const transition<T> t = trajectory_step<T>(random, previous);
          previous = t.next_state;
          buffer.push(t);
          model.push(t);
          if (detail::uniform_below(random, 8) == 0) {
            buffer.end_trajectory();
            model.end_trajectory();
          }
          if (detail::uniform_below(random, 60) == 0) {
            buffer.clear();
            model.held.clear();
            CHECK(buffer.empty());
            buffer.end_trajectory();
          }
          REQUIRE(buffer.size() == model.held.size());
          REQUIRE(buffer.empty() == model.held.empty());
          for (std::size_t age = 0; age < buffer.size(); ++age) {
            equal = equal && buffer[age] == model.held[age].second;
            equal = equal && trajectory_equal(buffer.window(age), model.window(age));
          }
          if (buffer.empty()) continue;
          buffer.sample(3, out);
          equal = equal && out.size() == 3 && trajectory_samples_agree(out, model);
          equal = equal && out.batch().weights.size() == (prioritised ? 3 : 0);
          if (prioritised) {
            const std::vector<T> errors{static_cast<T>(i % 5), 0, static_cast<T>(-3)};
            CHECK(buffer.update_priorities(out.positions(), errors) == 3);
          }
        }
        CHECK(equal);
        CHECK(buffer.capacity() == capacity);
      }
    }
  }
}

TEST_CASE("a window has the sum of rewards discounted step by step, and the rest of its last transition") {
  trajectory_buffer<double> buffer({.capacity = 10, .n_steps = 3, .gamma = 0.9});
  for (std::uint32_t i = 0; i < 5; ++i) buffer.push({i, 10 + i, 1.0 + i, i + 1, i == 4, false, 20 + i});
  const auto first = buffer.window(0);
  CHECK(first.length == 3);
  CHECK(first.step == transition<double>{0, 10, 1 + 0.9 * 2 + (0.9 * 0.9) * 3, 3, false, false, 22});
  CHECK(first.discount == 0.9 * 0.9 * 0.9);
  const auto last_but_one = buffer.window(3);
  CHECK(last_but_one.length == 2);
  CHECK(last_but_one.step == transition<double>{3, 13, 4 + 0.9 * 5, 5, true, false, 24});
  CHECK(buffer.window(4).length == 1);
  CHECK(buffer.window(4).discount == 0.9);
  // Beyond an end that was marked no window goes, though the states would fit; an end of its own is told.
  buffer.push({5, 0, 1.0, 6, false, false, 0});
  buffer.end_trajectory();
  buffer.push({6, 0, 1.0, 7, false, false, 0});
  CHECK(buffer.window(4).length == 1);
  CHECK(buffer.window(5).length == 1);
  CHECK(buffer.window(5).step.truncated);
  CHECK_FALSE(buffer.window(5).step.terminated);
}

TEST_CASE("windows end at the newest transition, also where the ring's oldest would continue it") {
  trajectory_buffer<float> buffer({.capacity = 3, .n_steps = 5, .gamma = 1});
  for (float r = 1; r <= 5; ++r) buffer.push({7, 0, r, 7, false, false, 0});  // rewards 3, 4, 5 are left
  CHECK(buffer.window(0).step.reward == 12);
  CHECK(buffer.window(1).step.reward == 9);
  CHECK(buffer.window(2).step.reward == 5);
  CHECK(buffer.window(0).discount == 1);
}

TEST_CASE("rewards that sum to more than there is stop at the largest number") {
  constexpr float most = std::numeric_limits<float>::max();
  trajectory_buffer<float> buffer({.capacity = 4, .n_steps = 4, .gamma = 1});
  for (int i = 0; i < 4; ++i) buffer.push({0, 0, most, 0, false, false, 0});
  CHECK(buffer.window(0).step.reward == most);
  for (int i = 0; i < 4; ++i) buffer.push({0, 0, -most, 0, false, false, 0});
  CHECK(buffer.window(0).step.reward == -most);
  trajectory_buffer<double> doubles({.capacity = 4, .n_steps = 4, .gamma = 1});
  for (int i = 0; i < 3; ++i) doubles.push({0, 0, 1.7e308, 0, false, false, 0});
  CHECK(doubles.window(0).step.reward == std::numeric_limits<double>::max());
  trajectory_buffer<float> shortsighted({.capacity = 4, .n_steps = 4, .gamma = 0});
  for (int i = 0; i < 4; ++i) shortsighted.push({0, 0, 3, 0, false, false, 0});
  CHECK(shortsighted.window(0).step.reward == 3);
  CHECK(shortsighted.window(0).discount == 0);
}

TEST_CASE("a reward that is not finite is refused, and with it its whole batch") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  trajectory_buffer<float> buffer({.capacity = 3, .prioritised = true});
  trajectory_fill(buffer, 2);
  std::error_code ec;
  for (const float r : {nan, infinity, -infinity}) {
    buffer.push({0, 0, r, 0, false, false, 0}, ec);
    CHECK(ec == errc::not_finite);
    trajectory_throws(errc::not_finite, error::no_row, [&] { buffer.push({0, 0, r, 0, false, false, 0}); });
    transitions<float> some;
    for (const float x : {1.0f, 2.0f, r, 3.0f, r}) some.push_back({9, 9, x, 9, false, false, 9});
    CHECK(buffer.push(some.batch(), ec) == 2);
    CHECK(ec == errc::not_finite);
    trajectory_throws(errc::not_finite, 2, [&] { buffer.push(some.batch()); });
  }
  CHECK(buffer.size() == 2);
  CHECK(buffer[1].state == 1);
  buffer.push({5, 0, 1, 0, false, false, 0}, ec);
  CHECK_FALSE(ec);
  CHECK(buffer.size() == 3);
}

TEST_CASE("a batch is pushed as its transitions one by one would be") {
  splitmix64 random(2);
  transitions<float> some;
  trajectory_buffer<float> one_by_one({.capacity = 7}), at_once({.capacity = 7});
  for (int round = 0; round < 20; ++round) {
    some.clear();
    for (int i = 0; i < round; ++i) some.push_back(trajectory_step<float>(random, 1));
    for (std::size_t i = 0; i < some.size(); ++i) one_by_one.push(some[i]);
    CHECK(at_once.push(some.batch()) == some.size());
    REQUIRE(at_once.size() == one_by_one.size());
    for (std::size_t i = 0; i < at_once.size(); ++i) CHECK(at_once[i] == one_by_one[i]);
  }
  // Columns that are absent are zeros.
  const std::vector<std::uint32_t> states{1, 2};
  const std::vector<float> rewards{3, 4};
  transition_batch<float> batch{.states = states,
                                .actions = states,
                                .rewards = rewards,
                                .next_states = states,
                                .terminated = {},
                                .truncated = {},
                                .next_actions = {},
                                .discounts = {},
                                .weights = {}};
  CHECK(at_once.push(batch) == 2);
  CHECK(at_once[6] == transition<float>{2, 2, 4, 2, false, false, 0});
  batch.rewards = batch.rewards.first(1);
  std::error_code ec;
  CHECK(at_once.push(batch, ec) == error::no_row);
  CHECK(ec == errc::size_mismatch);
  trajectory_throws(errc::size_mismatch, error::no_row, [&] { at_once.push(batch); });
  CHECK(at_once[6].state == 2);
}

TEST_CASE("options out of range are refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  std::vector<trajectory_buffer_options> wrong{{.capacity = 0}, {.n_steps = 0}, {.priority_floor = 0}};
  for (const double x : {-0.01, 1.01, nan, infinity, -infinity}) {
    wrong.push_back({.gamma = x});
    wrong.push_back({.priority_exponent = x});
    wrong.push_back({.importance_exponent = x});
    if (x != 1.01) wrong.push_back({.priority_floor = x});
  }
  if constexpr (sizeof(std::size_t) == 8) wrong.push_back({.capacity = static_cast<std::size_t>(1ull << 32)});
  for (const trajectory_buffer_options& options : wrong) {
    trajectory_throws(errc::invalid_option, error::no_row, [&] { trajectory_buffer<float> buffer(options); });
    std::error_code ec;
    trajectory_buffer<float> buffer(options, ec);
    CHECK(ec == errc::invalid_option);
    CHECK(buffer.capacity() == 0);
    CHECK(buffer.memory_bytes() == sizeof(buffer));
    buffer.push(transition<float>{}, ec);
    CHECK(ec == errc::invalid_option);
    transitions<float> one;
    one.push_back({});
    CHECK(buffer.push(one.batch(), ec) == error::no_row);
    CHECK(ec == errc::invalid_option);
    sampled_transitions<float> out;
    buffer.sample(1, out, ec);
    CHECK(ec == errc::invalid_option);
    buffer.end_trajectory();
    buffer.clear();
    CHECK(buffer.empty());
  }
  std::error_code ec = errc::not_finite;
  trajectory_buffer<float> buffer(
      {.capacity = 1, .gamma = 0, .priority_exponent = 0, .importance_exponent = 1}, ec);
  CHECK_FALSE(ec);
  CHECK(buffer.capacity() == 1);
}

TEST_CASE("nothing is sampled from an empty buffer, and what was sampled stays") {
  for (const bool prioritised : {false, true}) {
    trajectory_buffer<float> buffer({.capacity = 4, .prioritised = prioritised});
    sampled_transitions<float> out;
    std::error_code ec;
    buffer.sample(2, out, ec);
    CHECK(ec == errc::invalid_option);
    trajectory_throws(errc::invalid_option, error::no_row, [&] { buffer.sample(2, out); });
    CHECK(out.empty());
    trajectory_fill(buffer, 3);
    buffer.sample(5, out, ec);
    CHECK_FALSE(ec);
    const std::vector<std::uint64_t> positions(out.positions().begin(), out.positions().end());
    buffer.clear();
    buffer.sample(2, out, ec);
    CHECK(ec == errc::invalid_option);
    CHECK(out.size() == 5);
    CHECK(std::equal(positions.begin(), positions.end(), out.positions().begin(), out.positions().end()));
    trajectory_fill(buffer, 1);
    buffer.sample(0, out);
    CHECK(out.empty());
    CHECK(out.batch().is_well_formed());
    buffer.sample(2, out);
    CHECK(out.positions()[1] == 3);  // positions go on
  }
}

TEST_CASE("without priorities all transitions are sampled alike") {
  trajectory_buffer<float> buffer({.capacity = 20});
  trajectory_fill(buffer, 20);
  const std::vector<double> counts = trajectory_counts(buffer, 20, 1000, 20);
  const double x = trajectory_chi_square(counts, std::vector<double>(20, 1));
  CHECK(x < 60);  // of 19 degrees of freedom; 1 in 10^5 is more than 59
  CHECK(x > 2);   // nor is it too even
}

TEST_CASE("with priorities they are sampled in proportion") {
  trajectory_buffer<float> buffer(
      {.capacity = 20, .prioritised = true, .priority_exponent = 0.5, .priority_floor = 0.01});
  trajectory_fill(buffer, 20);
  std::vector<std::uint64_t> positions(20);
  std::vector<float> errors(20);
  std::vector<double> priorities(20);
  for (std::size_t i = 0; i < 20; ++i) {
    positions[i] = i;
    errors[i] = static_cast<float>(i * i) * (i % 2 == 0 ? 0.25f : -0.25f);
    priorities[i] = std::sqrt(std::abs(static_cast<double>(errors[i])) + 0.01);
  }
  CHECK(buffer.update_priorities(positions, errors) == 20);
  CHECK(trajectory_chi_square(trajectory_counts(buffer, 20, 20'000, 1), priorities) < 60);
  CHECK(trajectory_chi_square(trajectory_counts(buffer, 20, 1000, 20), priorities) < 60);
  CHECK(trajectory_chi_square(trajectory_counts(buffer, 20, 1000, 20), std::vector<double>(20, 1)) > 1000);
}

TEST_CASE("each sample comes from its part of the sum of priorities") {
  trajectory_buffer<float> buffer({.capacity = 8, .prioritised = true});
  trajectory_fill(buffer, 8);  // equal priorities
  sampled_transitions<float> out;
  for (int round = 0; round < 20; ++round) {
    buffer.sample(8, out);
    for (std::size_t i = 0; i < 8; ++i) CHECK(out.positions()[i] == i);
    buffer.sample(16, out);
    for (std::size_t i = 0; i < 16; ++i) CHECK(out.positions()[i] == i / 2);
  }
}

TEST_CASE("weights are the importance of samples, relative to the largest that any transition has") {
  trajectory_buffer<double> buffer(
      {.capacity = 4, .prioritised = true, .priority_exponent = 1, .priority_floor = 0.5});
  for (std::uint32_t i = 0; i < 4; ++i) buffer.push({i, 0, 0.0, 9, false, false, 0});
  const std::vector<std::uint64_t> positions{0, 1, 2, 3};
  buffer.update_priorities(positions, std::vector<double>{0, -1.5, 3.5, 31.5});  // 1/2, 2, 4, 32
  const std::vector<double> priorities{0.5, 2, 4, 32};
  sampled_transitions<double> out;
  for (const double beta : {0.0, 0.4, 1.0}) {
    buffer.set_importance_exponent(beta);
    CHECK(buffer.options().importance_exponent == beta);
    buffer.sample(100, out);
    double least = 1;
    for (std::size_t i = 0; i < 100; ++i) {
      const double p = priorities[out.batch().states[i]] / 38.5, largest = std::pow(4 * 0.5 / 38.5, -beta);
      CHECK(out.batch().weights[i] == doctest::Approx(std::pow(4 * p, -beta) / largest).epsilon(1e-12));
      CHECK(out.batch().weights[i] <= 1);
      least = std::min(least, out.batch().weights[i]);
    }
    CHECK(least == doctest::Approx(std::pow(64, -beta)).epsilon(1e-12));
  }
  // However far apart priorities are, weights are above 0 and at most 1.
  buffer.update_priorities(positions,
                           std::vector<double>{1e308, 0, -1e308, std::numeric_limits<double>::max()});
  buffer.sample(100, out);
  for (const double w : out.batch().weights) CHECK((w > 0 && w <= 1));
  trajectory_buffer<float> floats({.capacity = 2,
                                   .prioritised = true,
                                   .priority_exponent = 1,
                                   .importance_exponent = 1,
                                   .priority_floor = 1e-30});
  trajectory_fill(floats, 2);
  floats.update_priorities(std::vector<std::uint64_t>{0, 1}, std::vector<float>{0, 1e30f});
  sampled_transitions<float> floats_out;
  floats.sample(4, floats_out);
  for (const float w : floats_out.batch().weights) CHECK(w == std::numeric_limits<float>::min());
}

TEST_CASE("a new transition has the largest priority so far") {
  trajectory_buffer<float> buffer(
      {.capacity = 4, .prioritised = true, .priority_exponent = 1, .priority_floor = 1});
  trajectory_fill(buffer, 2);
  buffer.update_priorities(std::vector<std::uint64_t>{0, 1}, std::vector<float>{1e6f, 0});
  buffer.update_priorities(std::vector<std::uint64_t>{0}, std::vector<float>{0});
  buffer.push({2, 0, 0, 0, false, false, 0});
  sampled_transitions<float> out;
  std::size_t newest = 0;
  for (int i = 0; i < 100; ++i) {
    buffer.sample(1, out);
    newest += static_cast<std::size_t>(out.positions()[0] == 2);
  }
  CHECK(newest >= 99);
  buffer.clear();  // forgets it
  trajectory_fill(buffer, 4);
  buffer.update_priorities(std::vector<std::uint64_t>{3}, std::vector<float>{99});
  buffer.sample(103, out);
  CHECK(std::count(out.positions().begin(), out.positions().end(), std::uint64_t{3}) == 100);
}

TEST_CASE("priorities of transitions that are gone are skipped") {
  trajectory_buffer<float> buffer(
      {.capacity = 3, .prioritised = true, .priority_exponent = 1, .priority_floor = 1e-3});
  trajectory_fill(buffer, 5);  // 2, 3, 4 are left
  const std::vector<std::uint64_t> positions{0, 1, 2, 3, 4, 5, ~std::uint64_t{0}};
  CHECK(buffer.update_priorities(positions, std::vector<float>{1e30f, 1e30f, 0, 7, 0, 1e30f, 1e30f}) == 3);
  sampled_transitions<float> out;
  buffer.sample(100, out);
  CHECK(std::count(out.positions().begin(), out.positions().end(), std::uint64_t{3}) >= 98);
  buffer.clear();
  CHECK(buffer.update_priorities(positions, std::vector<float>(7, 1)) == 0);
  // Of one position twice the last error counts.
  trajectory_fill(buffer, 2);
  CHECK(buffer.update_priorities(std::vector<std::uint64_t>{5, 5, 6}, std::vector<float>{1e6f, 0, 1e3f}) ==
        3);
  buffer.sample(100, out);
  CHECK(std::count(out.positions().begin(), out.positions().end(), std::uint64_t{6}) >= 98);
}

TEST_CASE("errors that are not finite change no priority") {
  for (const bool prioritised : {false, true}) {
    const trajectory_buffer_options options{.capacity = 3, .prioritised = prioritised};
    trajectory_buffer<float> buffer(options), untouched(options);
    trajectory_fill(buffer, 3);
    trajectory_fill(untouched, 3);
    const std::vector<std::uint64_t> positions{0, 1, 2};
    std::error_code ec;
    for (const float x : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const std::vector<float> errors{1e6f, x, -x};
      CHECK(buffer.update_priorities(positions, errors, ec) == 1);
      CHECK(ec == errc::not_finite);
      trajectory_throws(errc::not_finite, 1, [&] { buffer.update_priorities(positions, errors); });
    }
    const std::vector<float> two{1e6f, 1e6f};
    CHECK(buffer.update_priorities(positions, two, ec) == error::no_row);
    CHECK(ec == errc::size_mismatch);
    trajectory_throws(errc::size_mismatch, error::no_row, [&] { buffer.update_priorities(positions, two); });
    if (!prioritised) CHECK(buffer.update_priorities(positions, std::vector<float>{1, 2, 3}, ec) == 0);
    if (!prioritised) CHECK_FALSE(ec);
    sampled_transitions<float> a, b;
    buffer.sample(50, a);
    untouched.sample(50, b);
    CHECK(std::equal(a.positions().begin(), a.positions().end(), b.positions().begin(), b.positions().end()));
  }
}

TEST_CASE("the same seed and calls give the same samples, on every platform") {
  for (const bool prioritised : {false, true}) {
    std::uint64_t hash[3] = {};
    for (std::size_t run = 0; run < 3; ++run) {
      trajectory_buffer<float> buffer(
          {.capacity = 50, .n_steps = 3, .prioritised = prioritised, .seed = run == 2 ? 43u : 42u});
      sampled_transitions<float> out;
      splitmix64 random(17);
      for (std::uint32_t i = 0; i < 300; ++i) {
        buffer.push(trajectory_step<float>(random, i % 4));
        buffer.sample(5, out);
        std::vector<float> errors(5);
        for (std::size_t k = 0; k < 5; ++k) {
          hash[run] = detail::mix64(hash[run] ^ out.positions()[k]);
          hash[run] = detail::mix64(hash[run] ^ detail::bit_cast<std::uint32_t>(out.batch().rewards[k]));
          if (prioritised)
            hash[run] = detail::mix64(hash[run] ^ detail::bit_cast<std::uint32_t>(out.batch().weights[k]));
          errors[k] = out.batch().rewards[k] - 0.3f;
        }
        buffer.update_priorities(out.positions(), errors);
      }
    }
    CHECK(hash[0] == hash[1]);
    CHECK(hash[0] != hash[2]);
    CHECK(hash[0] == (prioritised ? 11952372086123741614u : 15539903118836534789u));
  }
}

TEST_CASE(
    "a buffer has all of its memory from its resource, at once, and priorities' only where there are any") {
  memory_pool pool;
  for (const bool prioritised : {false, true}) {
    trajectory_buffer<float> buffer(
        {.capacity = 10'000, .n_steps = 3, .prioritised = prioritised, .memory = &pool});
    CHECK(pool.stats().used_bytes == buffer.memory_bytes() - sizeof(buffer));
    CHECK(buffer.memory_bytes() - sizeof(buffer) >= 210'000);
    CHECK(buffer.memory_bytes() - sizeof(buffer) < (prioritised ? 320'000 : 211'000));
    if (prioritised) CHECK(buffer.memory_bytes() > 310'000);
    {
      sampled_transitions<float> out(&pool);
      trajectory_fill(buffer, 10);
      buffer.sample(64, out);
      const std::size_t pooled = pool.stats().allocations, allocated = test::allocations().calls;
      std::error_code ec;
      for (int i = 0; i < 300; ++i) {
        trajectory_fill(buffer, 100);
        buffer.sample(64 - static_cast<std::size_t>(i) % 3, out, ec);
        buffer.update_priorities(out.positions(), out.batch().rewards, ec);
      }
      buffer.clear();
      CHECK(pool.stats().allocations == pooled);
      CHECK(test::allocations().calls == allocated);
    }
    trajectory_buffer<float> moved(std::move(buffer));
    trajectory_fill(moved, 4);
    CHECK(moved.size() == 4);
    CHECK(moved[3].state == 3);
    CHECK(pool.stats().used_bytes == moved.memory_bytes() - sizeof(moved));
    moved = trajectory_buffer<float>({.capacity = 2});
    CHECK(moved.capacity() == 2);
    CHECK(moved.empty());
    CHECK(pool.stats().used_bytes == 0);
  }
}

TEST_CASE("a pool that is exhausted is an error that changes nothing") {
  memory_pool small({.byte_limit = 100'000});
  const trajectory_buffer_options large{.capacity = 10'000, .prioritised = true, .memory = &small};
  CHECK_THROWS_AS(trajectory_buffer<float>{large}, memory_pool_exhausted);
  std::error_code ec;
  {
    trajectory_buffer<float> buffer(large, ec);
    CHECK(ec == errc::budget_exceeded);
    CHECK(buffer.capacity() == 0);
    CHECK(small.stats().used_bytes == 0);
    buffer.push(transition<float>{}, ec);
    CHECK(ec == errc::invalid_option);
  }
  trajectory_buffer<float> buffer({.capacity = 10}), same({.capacity = 10});
  trajectory_fill(buffer, 10);
  trajectory_fill(same, 10);
  sampled_transitions<float> out(&small), expected;
  buffer.sample(5, out);
  same.sample(5, expected);
  buffer.sample(10'000, out, ec);
  CHECK(ec == errc::budget_exceeded);
  CHECK(out.size() == 5);
  CHECK(std::equal(out.positions().begin(), out.positions().end(), expected.positions().begin()));
  CHECK(out.batch().is_well_formed());
  CHECK_THROWS_AS(buffer.sample(10'000, out), memory_pool_exhausted);
  buffer.sample(5, out, ec);
  same.sample(5, expected);
  CHECK_FALSE(ec);
  CHECK(std::equal(out.positions().begin(), out.positions().end(), expected.positions().begin()));
}
