#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <alidade/core/random.hpp>
#include <alidade/rl/action_mask.hpp>
#include <alidade/rl/policies.hpp>
#include <alidade/rl/schedules.hpp>

#include "../../counting_new.hpp"

using namespace alidade;

namespace {

template <class T>
std::span<const T> policies_row(const std::vector<T>& v) {
  return v;
}

template <class T>
constexpr T policies_none = -std::numeric_limits<T>::infinity();

/// Gives one number again and again.
struct policies_fixed_bits {
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }
  std::uint64_t operator()() const { return bits; }
  std::uint64_t bits;
};

/// How often each action is chosen in `draws`, the last element: no_action.
template <class Policy, class T>
std::vector<double> policies_counts(const Policy& policy, std::span<const T> row, action_mask mask, int draws,
                                    std::uint64_t seed) {
  splitmix64 random(seed);
  std::vector<double> counts(row.size() + 1);
  for (int i = 0; i < draws; ++i) {
    const std::uint32_t a = policy(row, random, mask);
    REQUIRE((a == no_action || a < row.size()));
    ++counts[a == no_action ? row.size() : a];
  }
  return counts;
}

/// Whether counts are within five standard deviations of what is expected of them, and exactly so where that is 0 or all.
bool policies_as_expected(const std::vector<double>& counts, const std::vector<double>& probabilities,
                          int draws) {
  for (std::size_t a = 0; a < counts.size(); ++a) {
    const double p = a < probabilities.size() ? probabilities[a] : 0;
    if (std::abs(counts[a] - p * draws) > 5 * std::sqrt(p * (1 - p) * draws)) return false;
  }
  return true;
}

/// Random values on a small grid, so that ties are common, and some actions missing.
template <class T>
std::vector<T> policies_random_row(splitmix64& random, std::size_t n) {
  std::vector<T> row(n);
  for (T& q : row) {
    const std::uint64_t x = detail::uniform_below(random, 10);
    q = x == 0 ? policies_none<T> : x == 1 ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(x) / 4 - 1;
  }
  return row;
}

}  // namespace

TEST_CASE("a mask has bits in words, and none where all is allowed") {
  const action_mask all;
  CHECK(all.allows_all());
  CHECK(all.covers(1'000'000));
  CHECK(all.allows(999'999));
  const std::array<std::uint64_t, 2> words{std::uint64_t{1} << 63 | 1, 4};
  const action_mask some(words);
  CHECK_FALSE(some.allows_all());
  CHECK(some.covers(128));
  CHECK_FALSE(some.covers(129));
  for (std::size_t a = 0; a < 128; ++a) CHECK(some.allows(a) == (a == 0 || a == 63 || a == 66));
  CHECK(action_mask(std::span(words).first(1)).covers(64));
  CHECK_FALSE(action_mask(std::span(words).first(1)).covers(65));
}

TEST_CASE_TEMPLATE("the greedy action has the largest value, and is the lowest of those", T, float, double) {
  const T none = policies_none<T>, nan = std::numeric_limits<T>::quiet_NaN();
  const auto choose = [](const std::vector<T>& row, action_mask mask = {}) {
    return greedy{}(policies_row(row), mask);
  };
  CHECK(choose({1, 3, 2}) == 1);
  CHECK(choose({3, 1, 3, 3}) == 0);
  CHECK(choose({-2, -1, -1}) == 1);
  CHECK(choose({0, T(-0.0)}) == 0);
  CHECK(choose({T(-0.0), 0}) == 0);
  CHECK(choose({none, std::numeric_limits<T>::lowest()}) == 1);
  CHECK(choose({nan, 1, nan, 2, nan}) == 3);
  CHECK(choose({1, std::numeric_limits<T>::infinity()}) == 1);
  CHECK(choose({}) == no_action);
  CHECK(choose({none, none}) == no_action);
  CHECK(choose({nan, -nan}) == no_action);
  const std::array<std::uint64_t, 1> words{0b1101};
  CHECK(choose({1, 9, 2, 3}, action_mask(words)) == 3);
  CHECK(choose({1, 9, 2, none}, action_mask(words)) == 2);
  CHECK(choose({none, 9, none, none}, action_mask(words)) == no_action);
  const std::array<std::uint64_t, 1> nothing{0};
  CHECK(choose({1, 9, 2, 3}, action_mask(nothing)) == no_action);
}

TEST_CASE("a mask holds over the borders of its words") {
  std::vector<float> row(200);
  for (std::size_t a = 0; a < 200; ++a) row[a] = static_cast<float>(a);
  for (std::size_t only = 0; only < 200; ++only) {
    std::array<std::uint64_t, 4> words{};
    words[only / 64] = std::uint64_t{1} << (only % 64);
    const action_mask mask(words);
    splitmix64 random(only);
    CHECK(greedy{}(policies_row(row), mask) == only);
    CHECK(epsilon_greedy{1}(policies_row(row), random, mask) == only);
    CHECK(softmax{5}(policies_row(row), random, mask) == only);
    CHECK(greedy{}.expectation(policies_row(row), mask) == static_cast<float>(only));
    CHECK(softmax{5}.expectation(policies_row(row), mask) == static_cast<float>(only));
    CHECK(epsilon_greedy{0.5}.expectation(policies_row(row), mask) == static_cast<float>(only));
    CHECK(ucb{1}(policies_row(row), std::vector<std::uint32_t>(200, only % 2 == 0 ? 0 : 3), mask) == only);
  }
}

TEST_CASE_TEMPLATE("epsilon is the share of actions chosen alike among those that can be", T, float, double) {
  const std::vector<T> values{1, policies_none<T>, 3, 2, 3, std::numeric_limits<T>::quiet_NaN(), 0};
  const auto row = policies_row(values);
  const std::array<std::uint64_t, 1> words{0b1110111};
  const action_mask mask(words);  // 0, 2, 4 and 6 can be chosen
  constexpr int draws = 20'000;
  for (const double e : {0.0, 0.1, 0.3, 1.0}) {
    const std::vector<double> p{e / 4, 0, 1 - e + e / 4, 0, e / 4, 0, e / 4};
    CHECK(policies_as_expected(policies_counts(epsilon_greedy{e}, row, mask, draws, 11), p, draws));
  }
  const std::vector<double> wrong{0.2 / 4, 0, 0.85, 0, 0.2 / 4, 0, 0.2 / 4};
  CHECK_FALSE(policies_as_expected(policies_counts(epsilon_greedy{0.3}, row, mask, draws, 11), wrong, draws));
  const std::array<std::uint64_t, 1> nothing{0b0100010};
  splitmix64 random(1);
  for (const double e : {0.0, 0.5, 1.0}) {
    for (int i = 0; i < 10; ++i) {
      CHECK(epsilon_greedy{e}(row, random, action_mask(nothing)) == no_action);
      CHECK(epsilon_greedy{e}(std::span<const T>(), random) == no_action);
    }
  }
}

TEST_CASE_TEMPLATE("softmax chooses as Boltzmann says", T, float, double) {
  const std::vector<T> values{1, policies_none<T>, 3, T(2.5), -4, 0};
  const auto row = policies_row(values);
  const std::array<std::uint64_t, 1> words{0b111011};
  constexpr int draws = 20'000;
  for (const double t : {0.1, 1.0, 3.0, 1e6}) {
    for (const bool masked : {false, true}) {
      std::vector<double> p(row.size());
      double total = 0;
      for (std::size_t a = 0; a < row.size(); ++a) {
        if (a != 1 && !(masked && a == 2)) total += p[a] = std::exp(static_cast<double>(row[a]) / t);
      }
      for (double& x : p) x /= total;
      const action_mask mask = masked ? action_mask(words) : action_mask();
      CHECK(policies_as_expected(policies_counts(softmax{t}, row, mask, draws, 12), p, draws));
      double expected = 0;
      for (std::size_t a = 0; a < row.size(); ++a)
        expected += p[a] == 0 ? 0 : p[a] * static_cast<double>(row[a]);
      CHECK(softmax{t}.expectation(row, mask) == doctest::Approx(expected).epsilon(1e-6));
    }
  }
}

TEST_CASE_TEMPLATE("softmax neither overflows nor divides by zero", T, float, double) {
  const T largest = std::numeric_limits<T>::max(), none = policies_none<T>;
  splitmix64 random(3);
  for (const double t : {1e-300, std::numeric_limits<double>::denorm_min(), 1e-3, 1.0, 1e30}) {
    const softmax policy{t};
    const std::vector<T> equal(3, largest), apart{-largest, largest, none}, low(2, -largest), zeros(5, 0);
    for (int i = 0; i < 20; ++i) {
      CHECK(policy(policies_row(equal), random) < 3);
      if (t <= 1) CHECK(policy(policies_row(apart), random) == 1);
      CHECK(policy(policies_row(low), random) < 2);
      CHECK(policy(policies_row(std::vector<T>{none, -largest, none}), random) == 1);
      CHECK(policy(policies_row(std::vector<T>{none, none}), random) == no_action);
      CHECK(policy(std::span<const T>(), random) == no_action);
    }
    CHECK(policy.expectation(policies_row(equal)) == largest);
    if (t <= 1) CHECK(policy.expectation(policies_row(apart)) == largest);
    CHECK(policy.expectation(policies_row(low)) == -largest);
    CHECK(policy.expectation(policies_row(zeros)) == 0);
    CHECK(policy.expectation(policies_row(std::vector<T>{none})) == 0);
    CHECK(policy.expectation(std::span<const T>()) == 0);
  }
  // The ends of the generator's range: the first action, and the last of a probability above 0.
  const std::vector<T> row{none, 0, 0, T(-5000), none};
  policies_fixed_bits first{0}, last{~std::uint64_t{0}};
  CHECK(softmax{1}(policies_row(row), first) == 1);
  CHECK(softmax{1}(policies_row(row), last) == 2);
}

TEST_CASE_TEMPLATE("expectations agree with the definition", T, float, double) {
  splitmix64 random(5);
  for (int round = 0; round < 500; ++round) {
    const std::vector<T> values = policies_random_row<T>(random, static_cast<std::size_t>(round % 20));
    const auto row = policies_row(values);
    const std::array<std::uint64_t, 1> words{random()};
    double largest = -1e9, sum = 0, count = 0;
    for (std::size_t a = 0; a < row.size(); ++a) {
      if (!(row[a] > policies_none<T>) || (words[0] >> a & 1) == 0) continue;
      largest = std::max(largest, static_cast<double>(row[a]));
      sum += static_cast<double>(row[a]);
      ++count;
    }
    const double e = detail::uniform_unit(random);
    const double best = count == 0 ? 0 : largest, mean = count == 0 ? 0 : sum / count;
    const action_mask mask(words);
    CHECK(greedy{}.expectation(row, mask) == static_cast<T>(best));
    CHECK(epsilon_greedy{0}.expectation(row, mask) == static_cast<T>(best));
    CHECK(std::abs(static_cast<double>(epsilon_greedy{e}.expectation(row, mask)) -
                   ((1 - e) * best + e * mean)) < 1e-6);
    CHECK(std::abs(static_cast<double>(epsilon_greedy{1}.expectation(row, mask)) - mean) < 1e-6);
    const std::uint32_t chosen = greedy{}(row, mask);
    CHECK((chosen == no_action) == (count == 0));
    if (chosen != no_action) {
      CHECK(static_cast<double>(row[chosen]) == best);
      for (std::uint32_t a = 0; a < chosen; ++a) CHECK((!(row[a] >= row[chosen]) || !mask.allows(a)));
    }
  }
}

TEST_CASE("an expectation of equal values is that value") {
  for (const double q : {0.1, -1e-300, 3e200}) {
    const std::vector<double> row(7, q);
    CHECK(epsilon_greedy{0.3}.expectation(policies_row(row)) == q);
    CHECK(softmax{0.7}.expectation(policies_row(row)) == q);
  }
}

TEST_CASE_TEMPLATE("upper confidence bounds try each action once, then weigh value against doubt", T, float,
                   double) {
  const auto choose = [](double c, const std::vector<T>& row, const std::vector<std::uint32_t>& counts,
                         action_mask mask = {}) { return ucb{c}(policies_row(row), counts, mask); };
  const T none = policies_none<T>;
  CHECK(choose(1, {5, 1, 9}, {3, 0, 0}) == 1);
  CHECK(choose(1, {5, none, 9}, {3, 0, 0}) == 2);
  CHECK(choose(1, {5, none, 9}, {3, 0, 1}) == 2);
  CHECK(choose(1, {}, {}) == no_action);
  CHECK(choose(1, {none}, {0}) == no_action);
  CHECK(choose(1, {2}, {1}) == 0);  // ln 1 is 0
  CHECK(choose(0, {1, 2, 2}, {1, 1'000'000, 1}) == 1);
  CHECK(choose(0.001, {1, 2, 2}, {1, 1'000'000, 1}) == 2);
  CHECK(choose(1, {2, 2, 2}, {4, 4, 4}) == 0);
  // Beyond 2^32 visits in all.
  CHECK(choose(1, {0, 0}, {4'000'000'000u, 3'999'999'999u}) == 1);
  const std::array<std::uint64_t, 1> words{0b101};
  CHECK(choose(1, {1, 9, 1}, {9, 0, 3}, action_mask(words)) == 2);
  const std::array<std::uint64_t, 1> nothing{0};
  CHECK(choose(1, {1, 9, 1}, {9, 0, 3}, action_mask(nothing)) == no_action);

  splitmix64 random(6);
  for (int round = 0; round < 300; ++round) {
    std::vector<T> row(8);
    std::vector<std::uint32_t> counts(8);
    double total = 0;
    for (std::size_t a = 0; a < 8; ++a) {
      row[a] = static_cast<T>(detail::uniform_unit(random));
      counts[a] = static_cast<std::uint32_t>(1 + detail::uniform_below(random, 50));
      total += counts[a];
    }
    std::vector<double> bounds(8);
    for (std::size_t a = 0; a < 8; ++a)
      bounds[a] = static_cast<double>(row[a]) + 0.8 * std::sqrt(std::log(total) / counts[a]);
    CHECK(choose(0.8, row, counts) == std::max_element(bounds.begin(), bounds.end()) - bounds.begin());
  }
}

TEST_CASE("UCB1 plays the best arm of a bandit nearly always") {
  const std::array<double, 3> means{0.2, 0.7, 0.5};
  std::vector<double> values(3);
  std::vector<std::uint32_t> counts(3);
  splitmix64 random(7);
  for (int i = 0; i < 5000; ++i) {
    const std::uint32_t a = ucb{}(policies_row(values), counts);
    ++counts[a];
    const double reward = detail::uniform_unit(random) < means[a] ? 1 : 0;
    values[a] += (reward - values[a]) / counts[a];
  }
  CHECK(counts[1] > 4000);
  CHECK(counts[0] > 20);
}

TEST_CASE("a policy's parameters have ranges") {
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  CHECK(valid(greedy{}));
  for (const double x : {0.0, 0.5, 1.0}) CHECK(valid(epsilon_greedy{x}));
  for (const double x : {-0.1, 1.1, nan, infinity}) CHECK_FALSE(valid(epsilon_greedy{x}));
  for (const double x : {1e-300, 1.0, 1e300}) CHECK(valid(softmax{x}));
  for (const double x : {0.0, -1.0, nan, infinity}) CHECK_FALSE(valid(softmax{x}));
  for (const double x : {0.0, 1.0, 1e300}) CHECK(valid(ucb{x}));
  for (const double x : {-1.0, nan, infinity}) CHECK_FALSE(valid(ucb{x}));
}

TEST_CASE("the same seed gives the same actions, on every platform, and nothing is allocated") {
  const std::vector<float> values{0.5f, 1.0f, 0.25f, 0.75f};
  splitmix64 random(2026);
  std::uint64_t explored = 0, boltzmann = 0;
  const std::size_t before = test::allocations().calls;
  for (int i = 0; i < 32; ++i) {
    explored = explored << 2 | epsilon_greedy{0.5}(policies_row(values), random);
    boltzmann = boltzmann << 2 | softmax{0.5}(policies_row(values), random);
  }
  CHECK(test::allocations().calls == before);
  CHECK(explored == 6132026201223827545u);
  CHECK(boltzmann == 6868455460895609625u);
}

TEST_CASE("a linear schedule runs evenly from one end to the other and stays there") {
  const linear_schedule down{.from = 1, .to = 0.1, .steps = 9};
  for (std::uint64_t i = 0; i <= 9; ++i) CHECK(down(i) == doctest::Approx(1 - 0.1 * static_cast<double>(i)));
  CHECK(down(0) == 1);
  for (const std::uint64_t step : {std::uint64_t{9}, std::uint64_t{10}, ~std::uint64_t{0}})
    CHECK(down(step) == 0.1);
  CHECK(linear_schedule{.from = 1, .to = 0.1, .steps = 0}(0) == 0.1);
  CHECK(linear_schedule{.from = 2, .to = 2, .steps = 5}(3) == 2);
  const linear_schedule longest{.from = 0, .to = 1, .steps = ~std::uint64_t{0}};
  CHECK(longest(std::uint64_t{1} << 63) == 0.5);
  CHECK(longest(~std::uint64_t{0} - 1) <= 1);
}

TEST_CASE("an exponential schedule goes half of what is left in each half-life") {
  const exponential_schedule down{.from = 9, .to = 1, .half_life = 10};
  CHECK(down(0) == 9);
  CHECK(down(10) == 5);
  CHECK(down(20) == 3);
  CHECK(down(5) == doctest::Approx(1 + 8 / std::sqrt(2.0)));
  CHECK(down(10'000) == 1);
  CHECK(down(~std::uint64_t{0}) == 1);
  CHECK(exponential_schedule{.from = 0.1, .to = 0.3, .half_life = 1e-300}(1) == 0.3);
  CHECK(exponential_schedule{.from = 0.1, .to = 0.3, .half_life = 1e300}(1) == 0.1);
  CHECK(constant_schedule{0.25}(12345) == 0.25);
}

TEST_CASE("schedules start and end exactly, never turn back and never leave their range") {
  splitmix64 random(9);
  const auto check = [](const auto& schedule, double from, double to, std::uint64_t stride) {
    CHECK(schedule(0) == from);
    double last = from;
    bool in_order = true;
    for (std::uint64_t i = 1; i <= 300; ++i) {
      const double x = schedule(i * stride);
      in_order = in_order && (from <= to ? x >= last && x <= to : x <= last && x >= to);
      last = x;
    }
    CHECK(in_order);
    CHECK(schedule(stride * 100'000) == to);
  };
  for (int round = 0; round < 100; ++round) {
    const double from = detail::uniform_unit(random) - 0.5;
    const double to = round % 3 == 0 ? std::nextafter(from, 1) : detail::uniform_unit(random) * 0.1;
    check(linear_schedule{from, to, 250}, from, to, 1);
    check(linear_schedule{from, to, 100'003}, from, to, 500);
    check(exponential_schedule{from, to, 1 + 30 * detail::uniform_unit(random)}, from, to, 1);
    check(exponential_schedule{from, to, 1e7}, from, to, 100'000);
  }
}
