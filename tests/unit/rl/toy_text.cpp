#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "../../toy_text.hpp"

namespace {

/// Uniform in [0, 1), the same on every platform.
class toy_uniform {
 public:
  explicit toy_uniform(std::uint32_t seed) : engine_(seed) {}
  double operator()() { return static_cast<double>(engine_()) * 0x1p-32; }

 private:
  std::mt19937 engine_;
};

bool toy_same(const test::outcome& o, double probability, std::size_t next, double reward, bool terminated) {
  return o.probability == probability && o.next_state == next && o.reward == reward &&
         o.terminated == terminated;
}

std::size_t toy_greedy(const test::toy_environment& e, const std::vector<double>& q, std::size_t state) {
  std::size_t best = 0;
  for (std::size_t a = 1; a < e.actions; ++a)
    if (q[state * e.actions + a] > q[state * e.actions + best]) best = a;
  return best;
}

double toy_best(const test::toy_environment& e, const std::vector<double>& q, std::size_t state) {
  return q[state * e.actions + toy_greedy(e, q, state)];
}

struct toy_episode {
  double discounted = 0;
  std::size_t steps = 0;
};

/// One episode of the policy that is greedy in q, of at most 1000 steps.
toy_episode toy_follow(const test::toy_environment& e, const std::vector<double>& q, double gamma,
                       std::size_t state, toy_uniform& random) {
  toy_episode episode;
  double factor = 1;
  for (bool ended = false; !ended && episode.steps < 1000; ++episode.steps) {
    const test::outcome o = test::step(e, state, toy_greedy(e, q, state), random);
    episode.discounted += factor * o.reward;
    factor *= gamma;
    state = o.next_state;
    ended = o.terminated;
  }
  return episode;
}

}  // namespace

TEST_CASE("the optimal values of the toy environments are the known ones") {
  for (const test::known_values& known : test::known_toys) {
    const test::toy_environment e = known.make();
    CAPTURE(e.name);
    CAPTURE(known.gamma);
    const test::optimal_values optimal = test::solve(e, known.gamma);
    CHECK(optimal.converged);
    CHECK(optimal.sweeps < 2000);
    CHECK(optimal.q.size() == e.states * e.actions);
    CHECK(std::abs(optimal.v_start - known.v_start) <= test::v_start_tolerance);
    CHECK(std::abs(optimal.sum - known.sum) <= test::sum_tolerance);
  }
}

TEST_CASE("values that have a closed form are met to the precision of the iteration") {
  const auto v = [](const test::toy_environment& e, double gamma) { return test::solve(e, gamma).v_start; };
  CHECK(std::abs(v(test::frozen_lake_4x4(), 1.0) - 14.0 / 17.0) < 1e-11);
  CHECK(std::abs(v(test::frozen_lake_4x4_deterministic(), 0.99) - std::pow(0.99, 5)) < 1e-14);
  CHECK(v(test::cliff_walking(), 1.0) == -13.0);
  CHECK(std::abs(v(test::cliff_walking(), 0.99) + (1 - std::pow(0.99, 13)) / 0.01) < 1e-12);
}

TEST_CASE("the tables of the toy environments are distributions over states there are") {
  for (const test::known_values& known : test::known_toys) {
    const test::toy_environment e = known.make();
    CAPTURE(e.name);
    REQUIRE(e.outcomes.size() == e.states * e.actions);
    REQUIRE(e.initial.size() == e.states);
    for (const std::vector<test::outcome>& all : e.outcomes) {
      double sum = 0;
      bool good = true;
      for (const test::outcome& o : all) {
        sum += o.probability;
        good = good && o.probability > 0 && o.next_state < e.states;
      }
      CHECK(good);
      CHECK(std::abs(sum - 1) < 1e-15);
    }
    double sum = 0;
    for (const double p : e.initial) {
      CHECK(p >= 0);
      sum += p;
    }
    CHECK(std::abs(sum - 1) < 1e-13);
  }
}

TEST_CASE("the frozen lake slips to either side") {
  const test::toy_environment e = test::frozen_lake_4x4();
  CHECK(e.states == 16);
  CHECK(e.actions == 4);
  CHECK(e.initial[0] == 1.0);
  const double third = 1.0 / 3.0;
  const auto& left = e.after(0, 0);  // up, left and down: two walls, listed both
  REQUIRE(left.size() == 3);
  CHECK(toy_same(left[0], third, 0, 0, false));
  CHECK(toy_same(left[1], third, 0, 0, false));
  CHECK(toy_same(left[2], third, 4, 0, false));
  const auto& right = e.after(14, 2);  // down, right and up
  REQUIRE(right.size() == 3);
  CHECK(toy_same(right[0], third, 14, 0, false));
  CHECK(toy_same(right[1], third, 15, 1, true));
  CHECK(toy_same(right[2], third, 10, 0, false));
  const auto& up = e.after(6, 3);  // right, up and left: a hole on both sides
  REQUIRE(up.size() == 3);
  CHECK(toy_same(up[0], third, 7, 0, true));
  CHECK(toy_same(up[1], third, 2, 0, false));
  CHECK(toy_same(up[2], third, 5, 0, true));
  for (std::size_t s = 0; s < 16; ++s) {
    const bool final = s == 5 || s == 7 || s == 11 || s == 12 || s == 15;
    for (std::size_t a = 0; a < 4; ++a) {
      CHECK(e.after(s, a).size() == (final ? 1 : 3));
      if (final) CHECK(toy_same(e.after(s, a)[0], 1, s, 0, true));
    }
  }
}

TEST_CASE("a frozen lake need be neither slippery nor square nor have one start") {
  const test::toy_environment e = test::frozen_lake({"SFG", "SHF"}, false);
  CHECK(e.states == 6);
  CHECK(e.initial == std::vector<double>{0.5, 0, 0, 0.5, 0, 0});
  CHECK(toy_same(e.after(0, 1)[0], 1, 3, 0, false));
  CHECK(toy_same(e.after(1, 2)[0], 1, 2, 1, true));
  CHECK(toy_same(e.after(1, 1)[0], 1, 4, 0, true));
  CHECK(toy_same(e.after(1, 3)[0], 1, 1, 0, false));
  CHECK(toy_same(e.after(5, 2)[0], 1, 5, 0, false));
  CHECK(toy_same(e.after(5, 0)[0], 1, 4, 0, true));
  CHECK(std::abs(test::solve(e, 0.5).v_start - (0.5 + 0.25) / 2) < 1e-15);

  const test::toy_environment large = test::frozen_lake_8x8();
  CHECK(large.states == 64);
  std::size_t final = 0;
  for (std::size_t s = 0; s < 64; ++s) final += large.after(s, 0).size() == 1 ? 1u : 0u;
  CHECK(final == 11);  // ten holes and the goal
}

TEST_CASE("the cliff costs 100 and leads back, from wherever it is reached") {
  const test::toy_environment e = test::cliff_walking();
  CHECK(e.states == 48);
  CHECK(e.actions == 4);
  CHECK(e.initial[36] == 1.0);
  std::size_t falls = 0, ends = 0;
  for (const std::vector<test::outcome>& all : e.outcomes) {
    REQUIRE(all.size() == 1);
    const test::outcome& o = all[0];
    CHECK((o.next_state <= 36 || o.next_state == 47));
    CHECK(o.terminated == (o.next_state == 47));
    CHECK((o.reward == -1 || toy_same(o, 1, 36, -100, false)));
    falls += o.reward == -100 ? 1u : 0u;
    ends += o.terminated ? 1u : 0u;
  }
  CHECK(falls ==
        10 + 1 + 1 + 9 + 9 + 10);  // from above, the start, the goal, and along and below the cliff itself
  CHECK(ends == 4);                // from above, the last cell of the cliff, and twice the goal
  CHECK(toy_same(e.after(36, 0)[0], 1, 24, -1, false));
  CHECK(toy_same(e.after(36, 1)[0], 1, 36, -100, false));
  CHECK(toy_same(e.after(36, 2)[0], 1, 36, -1, false));
  CHECK(toy_same(e.after(36, 3)[0], 1, 36, -1, false));
  CHECK(toy_same(e.after(34, 2)[0], 1, 36, -100, false));
  CHECK(toy_same(e.after(35, 2)[0], 1, 47, -1, true));
  CHECK(toy_same(e.after(35, 1)[0], 1, 35, -1, false));
  CHECK(toy_same(e.after(0, 0)[0], 1, 0, -1, false));
  CHECK(toy_same(e.after(47, 0)[0], 1, 35, -1, false));
  CHECK(toy_same(e.after(47, 1)[0], 1, 47, -1, true));
}

TEST_CASE("the taxi's table has as many outcomes of each kind as the rules say") {
  const test::toy_environment e = test::taxi();
  CHECK(e.states == 500);
  CHECK(e.actions == 6);
  CHECK(std::count(e.initial.begin(), e.initial.end(), 1.0 / 300.0) == 300);
  CHECK(std::count(e.initial.begin(), e.initial.end(), 0.0) == 200);
  std::vector<std::size_t> stays(6), illegal(6), ends(6);
  for (std::size_t s = 0; s < e.states; ++s) {
    for (std::size_t a = 0; a < e.actions; ++a) {
      REQUIRE(e.after(s, a).size() == 1);
      const test::outcome& o = e.after(s, a)[0];
      stays[a] += o.next_state == s ? 1u : 0u;
      illegal[a] += o.reward == -10 ? 1u : 0u;
      ends[a] += o.terminated ? 1u : 0u;
      CHECK((o.reward == -1 || (o.reward == -10 && o.next_state == s) || (o.reward == 20 && a == 5)));
      CHECK(o.terminated == (o.reward == 20));
      // Every move that leads elsewhere can be taken back: walls stand on both of their sides.
      if (a < 4 && o.next_state != s) CHECK(e.after(o.next_state, a ^ 1)[0].next_state == s);
    }
  }
  CHECK(stays ==
        std::vector<std::size_t>{100, 100, 220, 220, 484, 484});  // (5 cells of an edge + 6 walls) * 20
  CHECK(illegal == std::vector<std::size_t>{0, 0, 0, 0, 484, 484});
  CHECK(ends == std::vector<std::size_t>{0, 0, 0, 0, 0, 4});
}

TEST_CASE("the taxi picks up, delivers, and puts down at any stand") {
  using test::taxi_state;
  const test::toy_environment e = test::taxi();
  CHECK(taxi_state(4, 4, 4, 3) == 499);
  CHECK(taxi_state(3, 1, 2, 0) == 328);
  CHECK(toy_same(e.after(taxi_state(0, 0, 0, 1), 4)[0], 1, taxi_state(0, 0, 4, 1), -1, false));
  CHECK(toy_same(e.after(taxi_state(0, 0, 1, 0), 4)[0], 1, taxi_state(0, 0, 1, 0), -10, false));
  CHECK(toy_same(e.after(taxi_state(0, 4, 4, 1), 5)[0], 1, taxi_state(0, 4, 1, 1), 20, true));
  CHECK(toy_same(e.after(taxi_state(4, 3, 4, 1), 5)[0], 1, taxi_state(4, 3, 3, 1), -1, false));
  CHECK(toy_same(e.after(taxi_state(2, 2, 4, 1), 5)[0], 1, taxi_state(2, 2, 4, 1), -10, false));
  CHECK(toy_same(e.after(taxi_state(0, 4, 0, 1), 5)[0], 1, taxi_state(0, 4, 0, 1), -10, false));
  CHECK(toy_same(e.after(taxi_state(0, 4, 1, 1), 5)[0], 1, taxi_state(0, 4, 1, 1), -10, false));
  CHECK(toy_same(e.after(taxi_state(0, 4, 1, 1), 4)[0], 1, taxi_state(0, 4, 4, 1), -1, false));

  // Without discount, a passenger aboard is worth 20 less the way, here by hand around the walls.
  const test::optimal_values optimal = test::solve(e, 1.0);
  const auto aboard = [&](std::size_t row, std::size_t column, std::size_t destination) {
    return toy_best(e, optimal.q, taxi_state(row, column, 4, destination));
  };
  CHECK(aboard(0, 0, 0) == 20);
  CHECK(aboard(0, 0, 1) == 20 - 8);  // two down, four right, two up
  CHECK(aboard(0, 0, 2) == 20 - 4);
  CHECK(aboard(0, 0, 3) == 20 - 7);
  CHECK(aboard(0, 4, 2) == 20 - 8);
  CHECK(aboard(0, 4, 3) == 20 - 5);
  CHECK(aboard(4, 0, 3) == 20 - 7);  // two up, three right, two down
  CHECK(aboard(4, 2, 3) == 20 - 5);
}

TEST_CASE("value iteration solves what can be solved by hand") {
  // Staying for 1 is worth 1 / (1 - gamma); the other action is a gamble for 3 and the end, or nothing and once more.
  // The final state has a reward of its own, which no value may reach through an outcome that is terminated.
  test::toy_environment e = test::toy::blank("by hand", 2, 2);
  e.initial = {0.25, 0.75};
  e.outcomes[0] = {{1.0, 0, 1.0, false}};
  e.outcomes[1] = {{0.5, 1, 3.0, true}, {0.5, 0, 0.0, false}};
  e.outcomes[2] = {{1.0, 1, -2.0, false}};
  e.outcomes[3] = {{1.0, 0, 100.0, true}};
  const test::optimal_values half = test::solve(e, 0.5);
  CHECK(half.converged);
  CHECK(std::abs(half.q[0] - 2) < 1e-13);  // 1 + 2 / 2
  CHECK(std::abs(half.q[1] - 2) < 1e-13);  // 1.5 + 2 / 4: a tie
  CHECK(std::abs(half.q[2] - 48) < 1e-13);
  CHECK(half.q[3] == 100);
  CHECK(std::abs(half.sum - 152) < 1e-12);
  CHECK(std::abs(half.v_start - 75.5) < 1e-13);
  const test::optimal_values none = test::solve(e, 0.0);
  CHECK(none.q == std::vector<double>{1.0, 1.5, -2.0, 100.0});
  const test::optimal_values endless = test::solve(e, 1.0);
  CHECK_FALSE(endless.converged);
  CHECK(endless.sweeps == 100'000);
}

TEST_CASE("a step is drawn by one number, in the order of the outcomes") {
  test::toy_environment e = test::toy::blank("draws", 5, 1);
  e.outcomes[0] = {{0.0, 4, 0, false}, {0.25, 1, 0, false}, {0.5, 2, 0, false}, {0.25, 3, 0, true}};
  e.outcomes[1] = {{0.25, 1, 0, false}, {0.5, 2, 0, false}, {0.0, 4, 0, false}};  // not quite a distribution
  int calls = 0;
  const auto next = [&](std::size_t state, double u) {
    calls = 0;
    const test::outcome o = test::step(e, state, 0, [&] {
      ++calls;
      return u;
    });
    CHECK(calls == 1);
    return o.next_state;
  };
  const double almost_one = 1 - 0x1p-53;
  CHECK(next(0, 0.0) == 1);
  CHECK(next(0, 0.25 - 0x1p-54) == 1);
  CHECK(next(0, 0.25) == 2);
  CHECK(next(0, 0.75 - 0x1p-53) == 2);
  CHECK(next(0, 0.75) == 3);
  CHECK(next(0, almost_one) == 3);
  CHECK(next(1, 0.75) == 2);
  CHECK(next(1, almost_one) == 2);

  const test::toy_environment cabs = test::taxi();
  CHECK(test::first_state(cabs, [] { return 0.0; }) == test::taxi_state(0, 0, 0, 1));
  CHECK(test::first_state(cabs, [] { return 1 - 0x1p-53; }) == test::taxi_state(4, 4, 3, 2));
}

TEST_CASE("steps and first states come as often as they should") {
  const test::toy_environment lake = test::frozen_lake_4x4();
  toy_uniform random(1);
  const int draws = 30'000;
  std::vector<int> seen(16);
  for (int i = 0; i < draws; ++i) ++seen[test::step(lake, 9, 2, random).next_state];  // to 13, 10, 5
  for (const std::size_t s : {13u, 10u, 5u})
    CHECK(std::abs(seen[s] - draws / 3) < 370);  // 4.5 standard deviations
  CHECK(seen[13] + seen[10] + seen[5] == draws);

  const test::toy_environment cabs = test::taxi();
  std::vector<int> first(500);
  for (int i = 0; i < draws; ++i) ++first[test::first_state(cabs, random)];
  for (std::size_t s = 0; s < 500; ++s) {
    if (cabs.initial[s] == 0) CHECK(first[s] == 0);
    if (cabs.initial[s] != 0) CHECK(std::abs(first[s] - 100) < 50);
  }
}

TEST_CASE("whoever acts by the optimal values gets them") {
  toy_uniform random(2);
  const double gamma = 0.99;
  const test::toy_environment cliff = test::cliff_walking();
  const toy_episode walk = toy_follow(cliff, test::solve(cliff, gamma).q, gamma, 36, random);
  CHECK(walk.steps == 13);
  CHECK(std::abs(walk.discounted - -12.2478977001) < 1e-10);

  const test::toy_environment cabs = test::taxi();
  const test::optimal_values fares = test::solve(cabs, gamma);
  for (std::size_t s = 0; s < cabs.states; ++s) {
    const toy_episode ride = toy_follow(cabs, fares.q, gamma, s, random);
    CHECK(ride.steps < 30);
    CHECK(std::abs(ride.discounted - toy_best(cabs, fares.q, s)) < 1e-10);
  }

  const test::toy_environment lake = test::frozen_lake_4x4();
  const test::optimal_values ice = test::solve(lake, gamma);
  double sum = 0, squares = 0;
  const int episodes = 4000;
  for (int i = 0; i < episodes; ++i) {
    const double got = toy_follow(lake, ice.q, gamma, test::first_state(lake, random), random).discounted;
    sum += got;
    squares += got * got;
  }
  const double mean = sum / episodes;
  const double deviation = std::sqrt((squares / episodes - mean * mean) / episodes);
  CHECK(deviation < 0.01);
  CHECK(std::abs(mean - ice.v_start) < 4 * deviation);
}
