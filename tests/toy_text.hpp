#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Small environments with known answers, for tests of learners: the three grid worlds of Gymnasium's toy-text family
/// as tables, written from their published rules (gymnasium.farama.org, Toy Text; FrozenLake-v1, CliffWalking-v0 and
/// Taxi-v3 with their default options), the optimal action values of any such table, and what these are for each of
/// them.
namespace test {

/// One thing that may happen after an action.
struct outcome {
  double probability;
  std::uint32_t next_state;
  double reward;
  bool terminated;
};

struct toy_environment {
  std::string name;
  std::size_t states = 0;
  std::size_t actions = 0;
  std::vector<std::vector<outcome>> outcomes;  ///< [state * actions + action]
  std::vector<double> initial;                 ///< a distribution over states

  const std::vector<outcome>& after(std::size_t state, std::size_t action) const {
    return outcomes[state * actions + action];
  }
};

namespace toy {

inline toy_environment blank(std::string name, std::size_t states, std::size_t actions) {
  toy_environment e;
  e.name = std::move(name);
  e.states = states;
  e.actions = actions;
  e.outcomes.resize(states * actions);
  e.initial.assign(states, 0.0);
  return e;
}

/// A neighbour on a line of `size` places: the edges stop the walker.
constexpr std::size_t before(std::size_t x) { return x == 0 ? 0 : x - 1; }
constexpr std::size_t behind(std::size_t x, std::size_t size) { return x + 1 == size ? x : x + 1; }

/// The first index whose cumulative weight exceeds u. Weights that sum to slightly less than 1 leave some u beyond the
/// last: those are for the last weight that is not 0.
template <class Range, class Weight>
std::size_t pick(const Range& range, Weight weight, double u) {
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < range.size(); ++i) {
    const double w = weight(range[i]);
    if (w == 0) continue;
    sum += w;
    last = i;
    if (u < sum) break;
  }
  return last;
}

}  // namespace toy

/// FrozenLake on a map of S (start), F (frozen), H (hole) and G (goal). Actions: left 0, down 1, right 2, up 3.
///
/// On slippery ice the walker goes where it wants to or to either side of that, each with probability 1/3. Reaching G
/// gives 1 and ends the episode, as does falling into H, for 0. H and G lead to themselves, terminated, for 0.
inline toy_environment frozen_lake(const std::vector<std::string_view>& map, bool slippery) {
  const std::size_t rows = map.size();
  const std::size_t columns = map[0].size();
  toy_environment e = toy::blank("FrozenLake " + std::to_string(rows) + "x" + std::to_string(columns) +
                                     (slippery ? " slippery" : " deterministic"),
                                 rows * columns, 4);
  const auto is_final = [](char c) { return c == 'H' || c == 'G'; };
  const auto towards = [&](std::size_t row, std::size_t column, std::size_t direction, double probability) {
    if (direction == 0) column = toy::before(column);
    if (direction == 1) row = toy::behind(row, rows);
    if (direction == 2) column = toy::behind(column, columns);
    if (direction == 3) row = toy::before(row);
    const char c = map[row][column];
    return outcome{probability, static_cast<std::uint32_t>(row * columns + column), c == 'G' ? 1.0 : 0.0,
                   is_final(c)};
  };
  std::size_t starts = 0;
  for (const std::string_view row : map)
    starts += static_cast<std::size_t>(std::count(row.begin(), row.end(), 'S'));
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t state = row * columns + column;
      const char c = map[row][column];
      if (c == 'S') e.initial[state] = 1.0 / static_cast<double>(starts);
      for (std::size_t a = 0; a < 4; ++a) {
        std::vector<outcome>& to = e.outcomes[state * 4 + a];
        if (is_final(c)) {
          to = {{1.0, static_cast<std::uint32_t>(state), 0.0, true}};
        } else if (slippery) {
          for (const std::size_t d : {(a + 3) % 4, a, (a + 1) % 4})
            to.push_back(towards(row, column, d, 1.0 / 3.0));
        } else {
          to = {towards(row, column, a, 1.0)};
        }
      }
    }
  }
  return e;
}

inline toy_environment frozen_lake_4x4() { return frozen_lake({"SFFF", "FHFH", "FFFH", "HFFG"}, true); }

inline toy_environment frozen_lake_4x4_deterministic() {
  return frozen_lake({"SFFF", "FHFH", "FFFH", "HFFG"}, false);
}

inline toy_environment frozen_lake_8x8() {
  return frozen_lake(
      {"SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"}, true);
}

/// CliffWalking: 4 x 12 cells, from (3, 0) to (3, 11), between which the cliff is. Actions: up 0, right 1, down 2,
/// left 3. Every step gives -1, the one into the cliff -100 and the walker is back at the start, without an end.
///
/// Gymnasium's table applies these rules to all 48 cells, so here too: from a cell of the cliff, where nobody ever is,
/// the walker moves as from any other; and so it does from the goal, whose row is neither 0 nor final. Going right or
/// down from the goal reaches the goal (-1, terminated), up leads to (2, 11) and left into the cliff. The sums below
/// count all of these.
inline toy_environment cliff_walking() {
  constexpr std::size_t rows = 4, columns = 12, start = 36, goal = 47;
  toy_environment e = toy::blank("CliffWalking", rows * columns, 4);
  e.initial[start] = 1.0;
  for (std::size_t state = 0; state < e.states; ++state) {
    const std::size_t row = state / columns, column = state % columns;
    const std::array<std::size_t, 4> next = {
        toy::before(row) * columns + column, row * columns + toy::behind(column, columns),
        toy::behind(row, rows) * columns + column, row * columns + toy::before(column)};
    for (std::size_t a = 0; a < 4; ++a) {
      const bool falls = next[a] > start && next[a] < goal;
      e.outcomes[state * 4 + a] = {
          {1.0, static_cast<std::uint32_t>(falls ? start : next[a]), falls ? -100.0 : -1.0, next[a] == goal}};
    }
  }
  return e;
}

/// The number of a state of Taxi. The passenger waits at stand 0..3 or is in the taxi, 4.
constexpr std::size_t taxi_state(std::size_t row, std::size_t column, std::size_t passenger,
                                 std::size_t destination) {
  return ((row * 5 + column) * 5 + passenger) * 4 + destination;
}

/// Taxi: 5 x 5 cells with the stands R, G, Y, B = 0..3 and some walls, which are drawn as |.
///
///   R . | .   . G
///   .   . | .   .   .
///   .   .   .   .   .
///   . | .   . | .   .
///   Y | .   . | B   .
///
/// (Both walls above are between the second and the third column.) Actions: south 0, north 1, east 2, west 3, pickup 4,
/// drop-off 5. A step gives -1, delivering at the destination +20 and the end, a pickup or drop-off that is not allowed
/// -10. A passenger may be put down at a stand that is not the destination, for -1.
///
/// As in Gymnasium's table, states with the passenger at the destination are ordinary ones: nothing ends there, and the
/// way on is to pick the passenger up and deliver again. The sums below count them. Episodes start in the 300 states
/// where the passenger is at another stand, with equal probability.
inline toy_environment taxi() {
  constexpr std::array<std::pair<std::size_t, std::size_t>, 4> stands = {{{0, 0}, {0, 4}, {4, 0}, {4, 3}}};
  constexpr std::size_t aboard = 4;
  const auto wall_east_of = [](std::size_t row, std::size_t column) {
    return row < 2 ? column == 1 : row > 2 && (column == 0 || column == 2);
  };
  toy_environment e = toy::blank("Taxi", 500, 6);
  for (std::size_t state = 0; state < e.states; ++state) {
    const std::size_t destination = state % 4, passenger = state / 4 % 5, column = state / 20 % 5,
                      row = state / 100;
    if (passenger != aboard && passenger != destination) e.initial[state] = 1.0 / 300.0;
    const auto set = [&](std::size_t action, std::size_t next, double reward, bool terminated = false) {
      e.outcomes[state * 6 + action] = {{1.0, static_cast<std::uint32_t>(next), reward, terminated}};
    };
    const auto at = [&](std::size_t r, std::size_t c) { return taxi_state(r, c, passenger, destination); };
    set(0, at(toy::behind(row, 5), column), -1);
    set(1, at(toy::before(row), column), -1);
    set(2, wall_east_of(row, column) ? state : at(row, toy::behind(column, 5)), -1);
    set(3, column > 0 && wall_east_of(row, column - 1) ? state : at(row, toy::before(column)), -1);
    std::size_t here = 0;  // the stand, 4 where there is none
    while (here < stands.size() && stands[here] != std::pair(row, column)) ++here;
    const bool is_stand = here < stands.size();
    if (is_stand && passenger == here) {
      set(4, taxi_state(row, column, aboard, destination), -1);
    } else {
      set(4, state, -10);
    }
    if (is_stand && passenger == aboard) {
      set(5, taxi_state(row, column, here, destination), here == destination ? 20 : -1, here == destination);
    } else {
      set(5, state, -10);
    }
  }
  return e;
}

/// Draws what happens after `action` in `state`. `random()` is uniform in [0, 1) and called once.
template <class Random>
outcome step(const toy_environment& e, std::size_t state, std::size_t action, Random&& random) {
  const std::vector<outcome>& all = e.after(state, action);
  return all[toy::pick(
      all, [](const outcome& o) { return o.probability; }, random())];
}

/// Draws the first state of an episode. `random()` is uniform in [0, 1) and called once.
template <class Random>
std::uint32_t first_state(const toy_environment& e, Random&& random) {
  return static_cast<std::uint32_t>(toy::pick(
      e.initial, [](double p) { return p; }, random()));
}

struct optimal_values {
  std::vector<double> q;  ///< [state * actions + action]
  double v_start = 0;     ///< max over actions of q, its mean under the distribution of first states
  double sum = 0;         ///< of all q
  std::size_t sweeps = 0;
  bool converged = false;
};

/// The optimal action values, by value iteration from 0 (in place: the new values count at once):
///
///   q(s, a) = sum over outcomes of p (r + gamma [not terminated] max over b of q(s', b))
///
/// until no value changes by more than 1e-14 of the larger of 1 and itself, or for 100'000 sweeps. That is far less
/// than what answers are compared by, since what is still missing then is many times the last change where gamma is
/// near 1. With gamma = 1 the equations may have several solutions; from 0 this finds the one that is meant where no
/// two rewards differ in sign (Puterman, Markov Decision Processes, sections 7.2 and 7.3).
inline optimal_values solve(const toy_environment& e, double gamma) {
  optimal_values result;
  result.q.assign(e.states * e.actions, 0.0);
  const auto value = [&](std::size_t state) {
    const double* row = result.q.data() + state * e.actions;
    return *std::max_element(row, row + e.actions);
  };
  while (!result.converged && result.sweeps < 100'000) {
    result.converged = true;
    ++result.sweeps;
    for (std::size_t i = 0; i < result.q.size(); ++i) {
      double q = 0;
      for (const outcome& o : e.outcomes[i])
        q += o.probability * (o.reward + (o.terminated ? 0.0 : gamma * value(o.next_state)));
      if (std::abs(q - result.q[i]) > 1e-14 * std::max(1.0, std::abs(q))) result.converged = false;
      result.q[i] = q;
    }
  }
  for (const double q : result.q) result.sum += q;
  for (std::size_t state = 0; state < e.states; ++state) result.v_start += e.initial[state] * value(state);
  return result;
}

/// What is known of one environment: optimal_values::v_start to 10 decimals, optimal_values::sum to 8.
struct known_values {
  toy_environment (*make)();
  double gamma;
  double v_start;
  double sum;
};

/// Half of the last digit.
inline constexpr double v_start_tolerance = 0.5e-10;
inline constexpr double sum_tolerance = 0.5e-8;

/// Taxi's sum at 0.99 has one decimal more, since it lies next to a tie: in rational numbers it is
/// 16283.37865192499.., and sums of doubles fall on either side of that.
inline constexpr std::array<known_values, 9> known_toys = {{
    {frozen_lake_4x4, 1.0, 14.0 / 17.0, 28.76470588},
    {frozen_lake_4x4, 0.99, 0.5420259320, 20.47709384},
    {frozen_lake_4x4, 0.95, 0.1804715784, 10.52068997},
    {frozen_lake_4x4_deterministic, 0.99, 0.9509900499, 33.75109812},
    {frozen_lake_8x8, 0.99, 0.4146403618, 75.86064914},
    {cliff_walking, 1.0, -13.0, -5804.0},
    {cliff_walking, 0.99, -12.2478977001, -5712.19556402},
    {taxi, 0.99, 6.3274643149, 16283.378651925},
    {taxi, 0.9, -1.2633230990, -5025.81336314},
}};

}  // namespace test
