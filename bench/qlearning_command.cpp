#include "qlearning_command.hpp"

#include "contest.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "kernel_buffer.hpp"
#include "parallel.hpp"
#include "qlearning_loops.hpp"

#include <alidade/rl/q_learner.hpp>
#include <alidade/rl/q_update.hpp>
#include <alidade/rl/trajectory_buffer.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace bench {
namespace {

#if defined(__EMSCRIPTEN__)
constexpr bool has_targets = false;  // they are those of native programs
#else
constexpr bool has_targets = true;
#endif

constexpr std::size_t batches = 500;  // in turn, so that branch predictors do not learn them
constexpr std::size_t far_table_bytes = std::size_t{4} << 20;

/// In -1..1.
float random_float(std::mt19937_64& random) {
  return static_cast<float>(static_cast<std::int64_t>(random() >> 40) - (1 << 23)) / (1 << 23);
}

/// Steps of an episode after another, or each of its own, in random states.
enum class order { random, episodes };

class transition_set {
 public:
  transition_set(std::size_t states, std::size_t actions, std::size_t batch, order how) {
    std::mt19937_64 random(7);
    const std::size_t n = batches * batch;
    const auto below = [&random](std::size_t end) { return static_cast<std::uint32_t>(random() % end); };
    for (std::size_t i = 0; i < n; ++i) {
      const bool goes_on = how == order::episodes && i > 0 && terminated_[i - 1] + truncated_[i - 1] == 0;
      states_.push_back(goes_on ? next_states_[i - 1] : below(states));
      actions_.push_back(goes_on ? next_actions_[i - 1] : below(actions));
      rewards_.push_back(random_float(random));
      next_states_.push_back(below(states));
      next_actions_.push_back(below(actions));
      terminated_.push_back(below(20) == 0 ? 1 : 0);
      truncated_.push_back(below(50) == 0 ? 1 : 0);
      weights_.push_back(std::abs(random_float(random)));
    }
    for (std::size_t at = 0; at < n; at += batch) {
      const auto part = [at, batch](const auto& all) { return std::span(all).subspan(at, batch); };
      ours.push_back({.states = part(states_),
                      .actions = part(actions_),
                      .rewards = part(rewards_),
                      .next_states = part(next_states_),
                      .terminated = part(terminated_),
                      .truncated = part(truncated_),
                      .next_actions = part(next_actions_),
                      .discounts = {},
                      .weights = part(weights_)});
      plain.push_back({batch, &states_[at], &actions_[at], &rewards_[at], &next_states_[at], &terminated_[at],
                       &truncated_[at], &next_actions_[at], &weights_[at]});
    }
    if (how == order::random) {
      for (auto& b : ours) b.truncated = {};
    }
  }
  transition_set(const transition_set&) = delete;
  transition_set& operator=(const transition_set&) = delete;

  [[nodiscard]] std::size_t size() const { return states_.size(); }
  [[nodiscard]] plain_replay::step operator[](std::size_t i) const {
    return {states_[i],       actions_[i],         rewards_[i],       next_states_[i],
            next_actions_[i], terminated_[i] != 0, truncated_[i] != 0};
  }

  std::vector<alidade::transition_batch<float>> ours;
  std::vector<plain_batch> plain;

 private:
  std::vector<std::uint32_t> states_, actions_, next_states_, next_actions_;
  std::vector<float> rewards_, weights_;
  std::vector<std::uint8_t> terminated_, truncated_;
};

/// No ties, in which rounding would decide.
alidade::q_table<float> make_table(std::size_t states, std::size_t actions) {
  alidade::q_table<float> table(states, actions);
  std::mt19937_64 random(11);
  for (std::size_t s = 0; s < states; ++s) {
    for (std::size_t a = 0; a < actions; ++a) table.set(s, a, random_float(random));
  }
  return table;
}

/// The same values in packed rows, in memory like that of ours.
class plain_rows {
 public:
  explicit plain_rows(const alidade::q_table<float>& table)
      : memory_(table.states() * table.actions() * sizeof(float)) {
    float* out = q();
    for (std::size_t s = 0; s < table.states(); ++s) {
      out = std::copy(table[s].begin(), table[s].end(), out);
    }
  }
  [[nodiscard]] float* q() const { return static_cast<float*>(memory_.data()); }

 private:
  kernel_buffer memory_;
};

[[noreturn]] void fail(const std::string& what, double ours, double plain) {
  throw input_error("qlearning: " + what + " gives " + std::to_string(ours) + " where a plain loop gives " +
                    std::to_string(plain));
}

/// Not so of NaN.
bool is_near(double ours, double plain) { return std::abs(ours - plain) <= 1e-3 * std::abs(plain) + 1e-3; }

void check(const std::string& what, std::span<const float> ours, const float* plain) {
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto own = static_cast<double>(ours[i]), other = static_cast<double>(plain[i]);
    if (!is_near(own, other)) fail(what, own, other);
  }
}

void check(const std::string& what, const alidade::q_table<float>& ours, const float* plain) {
  for (std::size_t s = 0; s < ours.states(); ++s) check(what, ours[s], plain + s * ours.actions());
}

void check_finite(const std::string& what, const alidade::q_table<float>& table) {
  for (std::size_t s = 0; s < table.states(); ++s) {
    for (const float value : table[s]) {
      if (!std::isfinite(value)) throw input_error("qlearning: " + what + " does not stay finite");
    }
  }
}

/// Calls body with each batch in turn.
template <class Batch, class Body>
contest::work in_turn(const std::vector<Batch>& all, Body body) {
  return [&all, body, at = std::size_t{0}](std::size_t repetitions) mutable {
    for (std::size_t i = 0; i < repetitions; ++i) {
      body(all[at]);
      at = at + 1 == all.size() ? 0 : at + 1;
    }
  };
}

/// WebAssembly engines compile once more what has run for a while; what they made first is several times slower.
std::size_t add(contest& timed, const char* name, contest::work work) {
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < 0.05) work(batches);
  return timed.add(name, std::move(work));
}

void print_target(bool within, const char* text) {
  if (has_targets) std::printf("  %s %s", within ? "within" : "ABOVE", text);
}

// --- q_learner::update -------------------------------------------------------------------------------------

struct shape {
  std::size_t states, actions;
  double target_ns;  ///< 0: none
  bool is_third;     ///< the target is also a third of the loop's time
};

constexpr std::array shapes{
    shape{16, 4, 0, false},   shape{16, 8, 0, false},     shape{64, 4, 0, false},
    shape{64, 8, 0, false},   shape{1000, 4, 180, false}, shape{1000, 8, 180, false},
    shape{4000, 4, 0, false}, shape{4000, 8, 0, false},   shape{97656, 64, 1600, true},
};

void step_by_step(plain_learner& l, const plain_batch& b) {
  for (std::size_t i = 0; i < b.n; ++i) {
    plain::q_step(l, b.states[i], b.actions[i], b.rewards[i], b.next_states[i], b.terminated[i] != 0);
  }
}

void measure_update(const shape& of, const qlearning_command& command, json_file* file) {
  transition_set set(of.states, of.actions, command.batch, order::random);
  for (auto& b : set.ours) b.next_actions = {}, b.weights = {};
  alidade::q_learner<float> learner(make_table(of.states, of.actions));
  struct loop {
    const char* name;
    plain_update update;
    plain_rows rows;
    plain_learner learner{rows.q(), nullptr, 0};
  };
  std::array loops{loop{"step", step_by_step, plain_rows(learner.table())},
                   loop{"loop", plain::q_learning, plain_rows(learner.table())},
                   loop{"known", plain::q_learning_of(of.actions), plain_rows(learner.table())}};
  for (const auto& b : set.ours) learner.update(b);
  for (loop& l : loops) {
    l.learner.actions = of.actions;
    for (const plain_batch& b : set.plain) l.update(l.learner, b);
    check("update", learner.table(), l.rows.q());
  }

  // What the others left of a table that is larger than the second cache does not count.
  const bool is_far = of.states * of.actions * sizeof(float) >= far_table_bytes;
  contest timed({.rounds = command.rounds, .slice_s = is_far ? 0.03 : 0.001, .warm_up = !is_far});
  add(timed, "ours", in_turn(set.ours, [&learner](const auto& b) { learner.update(b); }));
  for (loop& l : loops) {
    add(timed, l.name, in_turn(set.plain, [&l](const plain_batch& b) { l.update(l.learner, b); }));
  }
  timed.run();
  check_finite("update", learner.table());

  const double own = 1e9 * timed.time(0).median;
  json row{{"kind", "qlearning"},   {"name", "update"},      {"n", of.states},
           {"columns", of.actions}, {"size", command.batch}, {"ns", own}};
  std::printf("%6zu %4zu %8.1f", of.states, of.actions, own);
  for (std::size_t i = 1; i < timed.size(); ++i) std::printf(" %8.1f", 1e9 * timed.time(i).median);
  for (std::size_t i = 1; i < timed.size(); ++i) {
    const spread times = timed.ratio(i, 0);
    std::printf("  %5.2fx (%.2f .. %.2f)", times.median, times.min, times.max);
    row[timed.name(i) + "_ns"] = 1e9 * timed.time(i).median;
    put(row, "times_" + timed.name(i), times);
  }
  if (of.target_ns > 0 && command.batch == 100) {
    print_target(own <= of.target_ns, (std::to_string(static_cast<int>(of.target_ns)) + " ns").c_str());
    if (of.is_third) print_target(timed.ratio(2, 0).median >= 3, "1/3 of loop");
  }
  std::putchar('\n');
  row["ns_rounds"] = timed.rounds(0, 1e9);
  if (file != nullptr) file->write(row);
}

// --- the other methods -------------------------------------------------------------------------------------

/// Ours and one plain loop; ns scales seconds a repetition.
void print_pair(const char* kind, const std::string& name, const contest& timed, double ns, std::size_t size,
                json_file* file) {
  const spread times = timed.ratio(1, 0);
  std::printf("%-36s %9.1f %9.1f  %5.2fx (%.2f .. %.2f)\n", name.c_str(), ns * timed.time(0).median,
              ns * timed.time(1).median, times.median, times.min, times.max);
  if (file == nullptr) return;
  json row{{"kind", kind}, {"name", name}, {"size", size}};
  row["ns"] = ns * timed.time(0).median;
  row["plain_ns"] = ns * timed.time(1).median;
  put(row, "times_plain", times);
  row["ns_rounds"] = timed.rounds(0, ns);
  file->write(row);
}

struct method {
  const char* name;
  order how;
  alidade::q_learner_options options;
  plain_update plain;
  bool is_weighted = false;  ///< with weights, and asked for errors
};

std::vector<method> make_methods() {
  using alidade::td_method;
  return {
      {"Q-learning", order::random, {}, plain::q_learning},
      {"with weights, td_errors", order::random, {}, plain::weighted, true},
      {"snapshot_mean",
       order::random,
       {.on_duplicates = alidade::duplicates::snapshot_mean},
       plain::snapshot_mean},
      {"SARSA", order::random, {.method = td_method::sarsa}, plain::sarsa},
      {"expected SARSA", order::random, {.method = td_method::expected_sarsa}, plain::expected_sarsa},
      {"double Q-learning", order::random, {.method = td_method::double_q}, plain::double_q},
      {"3 steps", order::episodes, {.n_steps = 3}, plain::three_steps},
      {"Q(lambda), 0.8", order::episodes, {.lambda = 0.8}, plain::q_lambda},
      {"SARSA(lambda), 0.8",
       order::episodes,
       {.method = td_method::sarsa, .lambda = 0.8},
       plain::sarsa_lambda},
  };
}

constexpr std::size_t method_states = 1000, method_actions = 8;

/// Which table learns is each one's own choice. But where no transition meets another and both tables begin alike, their sum
/// does not depend on it.
void check_double_q(const method& m, const transition_set& set) {
  const std::size_t n = std::min(set.plain[0].n, method_states / 2);
  std::vector<std::uint32_t> states, next_states;
  for (std::uint32_t i = 0; i < n; ++i) {
    states.push_back(2 * i);
    next_states.push_back(2 * i + 1);
  }
  alidade::transition_batch<float> b = set.ours[0];
  b = {.states = states,
       .actions = b.actions.first(n),
       .rewards = b.rewards.first(n),
       .next_states = next_states,
       .terminated = b.terminated.first(n),
       .truncated = {},
       .next_actions = {},
       .discounts = {},
       .weights = {}};
  plain_batch p = set.plain[0];
  p.n = n;
  p.states = states.data();
  p.next_states = next_states.data();

  alidade::q_learner<float> learner(make_table(method_states, method_actions), m.options);
  const plain_rows first(learner.table()), second(learner.table());
  plain_learner plain{first.q(), second.q(), method_actions};
  learner.update(b);
  m.plain(plain, p);
  for (std::size_t s = 0; s < method_states; ++s) {
    std::array<float, method_actions> ours, other;
    learner.values(s, ours);
    for (std::size_t a = 0; a < method_actions; ++a) {
      const std::size_t entry = s * method_actions + a;
      other[a] = (first.q()[entry] + second.q()[entry]) / 2;
    }
    check(m.name, ours, other.data());
  }
}

/// Ours and the plain loop's, of one method.
struct method_pair {
  method_pair(const method& of, std::size_t states, std::size_t batch)
      : m(of),
        set(states, method_actions, batch, of.how),
        learner(make_table(states, method_actions), of.options),
        rows(learner.table()),
        second(learner.table()),
        plain{rows.q(), second.q(), method_actions},
        errors(of.is_weighted ? batch : 0) {
    if (!of.is_weighted) {
      for (auto& b : set.ours) b.weights = {};
    }
    plain.sums.resize(states * method_actions);
    plain.counts.resize(plain.sums.size());
  }

  const method& m;
  transition_set set;
  alidade::q_learner<float> learner;
  plain_rows rows, second;
  plain_learner plain;
  std::vector<float> errors;
};

/// In a table so small that transitions meet. Few of them, because where actions are compared rounding decides in the end.
void check_method(const method& m) {
  method_pair both(m, 32, 100);
  for (std::size_t i = 0; i < 5; ++i) {
    both.learner.update(both.set.ours[i], both.errors);
    m.plain(both.plain, both.set.plain[i]);
    check(m.name, both.learner.table(), both.rows.q());
    check(m.name, both.errors, both.plain.errors.data());
  }
}

void measure_method(const method& m, const qlearning_command& command, json_file* file) {
  method_pair both(m, method_states, command.batch);
  m.plain == plain::double_q ? check_double_q(m, both.set) : check_method(m);
  contest timed({.rounds = command.rounds});
  add(timed, "ours", in_turn(both.set.ours, [&](const auto& b) { both.learner.update(b, both.errors); }));
  add(timed, "plain", in_turn(both.set.plain, [&](const plain_batch& b) { m.plain(both.plain, b); }));
  timed.run();
  check_finite(m.name, both.learner.table());
  check_finite(m.name, both.learner.second_table());
  print_pair("qlearning", m.name, timed, 1e9, command.batch, file);
}

// --- q_update ----------------------------------------------------------------------------------------------

template <class T>
void measure_q_update(bool with_flags, bool aligned, const qlearning_command& command, json_file* file) {
  constexpr std::size_t n = 4096;
  constexpr double alpha = 0.1, gamma = 0.99;
  constexpr auto a = static_cast<T>(alpha), g = static_cast<T>(gamma);
  // Where arrays begin is not left to luck: with a page, or as what malloc gives may, 16 bytes behind.
  const std::size_t offset = aligned ? 0 : 16 / sizeof(T);
  const auto memory = [] { return kernel_buffer((n + 16) * sizeof(T)); };
  const std::array<kernel_buffer, 5> arrays{memory(), memory(), memory(), memory(), memory()};
  const auto array = [&](std::size_t i) { return std::span(static_cast<T*>(arrays[i].data()) + offset, n); };
  const auto q_of = [&array](std::size_t i) { return array(i).data(); };
  const std::span<T> rewards = array(3), next = array(4);
  std::vector<std::uint8_t> terminated(n);
  std::mt19937_64 random(13);
  for (std::size_t i = 0; i < n; ++i) {
    rewards[i] = static_cast<T>(random_float(random));
    next[i] = static_cast<T>(random_float(random));
    terminated[i] = random() % 20 == 0 ? 1 : 0;
    q_of(0)[i] = q_of(1)[i] = q_of(2)[i] = static_cast<T>(random_float(random));
  }
  const T* const r = rewards.data();
  const T* const after = next.data();
  const std::uint8_t* const flags = terminated.data();
  const std::array<std::function<void()>, 3> works{
      [&, q = array(0)] {
        with_flags ? alidade::q_update<T>(q, rewards, next, terminated, alpha, gamma)
                   : alidade::q_update<T>(q, rewards, next, alpha, gamma);
      },
      [&, q = q_of(1)] {
        with_flags ? unvectorised::q_update(q, r, after, flags, n, a, g)
                   : unvectorised::q_update(q, r, after, n, a, g);
      },
      [&, q = q_of(2)] {
        with_flags ? plain::q_update(q, r, after, flags, n, a, g) : plain::q_update(q, r, after, n, a, g);
      }};
  for (int times = 0; times < 3; ++times) {
    for (const auto& work : works) work();
  }
  const std::string name = std::string("q_update ") + (std::is_same_v<T, float> ? "f32" : "f64") +
                           (with_flags ? ", terminated" : "") + (aligned ? "" : ", 16 bytes off");
  for (std::size_t i = 0; i < n; ++i) {
    for (const std::size_t other : {1U, 2U}) {
      const auto ours = static_cast<double>(q_of(0)[i]), plain = static_cast<double>(q_of(other)[i]);
      if (!is_near(ours, plain)) fail(name, ours, plain);
    }
  }

  contest timed({.rounds = command.rounds});
  for (const auto& work : works) {
    add(timed, "", [&work](std::size_t repetitions) {
      for (std::size_t i = 0; i < repetitions; ++i) work();
    });
  }
  timed.run();
  const spread scalar = timed.ratio(1, 0), compiled = timed.ratio(2, 0);
  std::printf("%-36s %9.1f %9.1f %9.1f  %5.2fx (%.2f .. %.2f)  %5.2fx (%.2f .. %.2f)", name.c_str(),
              1e9 * timed.time(0).median, 1e9 * timed.time(1).median, 1e9 * timed.time(2).median,
              scalar.median, scalar.min, scalar.max, compiled.median, compiled.min, compiled.max);
  print_target(scalar.median >= 4, "1/4 of scalar");
  std::putchar('\n');
  if (file == nullptr) return;
  json row{{"kind", "qlearning"}, {"name", name}, {"size", n}, {"ns", 1e9 * timed.time(0).median}};
  row["scalar_ns"] = 1e9 * timed.time(1).median;
  row["plain_ns"] = 1e9 * timed.time(2).median;
  put(row, "times_scalar", scalar);
  put(row, "times_plain", compiled);
  row["ns_rounds"] = timed.rounds(0, 1e9);
  file->write(row);
}

// --- trajectory_buffer -------------------------------------------------------------------------------------

constexpr std::size_t replay_capacity = 100'000;

struct replays {
  explicit replays(bool prioritised)
      : ours({.capacity = replay_capacity, .prioritised = prioritised}),
        plain(replay_capacity, prioritised) {}

  alidade::trajectory_buffer<float> ours;
  plain_replay plain;
};

alidade::transition<float> ours_of(const plain_replay::step& s) {
  return {s.state, s.action, s.reward, s.next_state, s.terminated, s.truncated, s.next_action};
}

/// What is sampled must be what was pushed, and have the weights that its priority gives.
void check_samples(const std::string& what, replays& both, std::size_t count) {
  alidade::sampled_transitions<float> samples;
  both.ours.sample(count, samples);
  const alidade::transition_batch<float> batch = samples.batch();
  for (std::size_t i = 0; i < count; ++i) {
    const auto slot = static_cast<std::size_t>(samples.positions()[i] % replay_capacity);
    if (batch[i] != ours_of(both.plain[slot]))
      throw input_error("qlearning: " + what + " is not what was pushed");
    if (!both.ours.options().prioritised) continue;
    const float weight = both.plain.weight(slot);
    check(what + ": weight", batch.weights.subspan(i, 1), &weight);
  }
}

void measure_buffer(bool prioritised, const qlearning_command& command, json_file* file) {
  const std::string suffix = prioritised ? ", prioritised" : "";
  const transition_set set(method_states, method_actions, command.batch, order::episodes);
  std::vector<alidade::transition<float>> pushed;
  std::vector<plain_replay::step> plain_pushed;
  for (std::size_t i = 0; i < set.size(); ++i) {
    plain_pushed.push_back(set[i]);
    pushed.push_back(ours_of(set[i]));
  }
  replays both(prioritised);
  constexpr std::size_t pushes = 3 * replay_capacity / 2;
  for (std::size_t i = 0; i < pushes; ++i) {
    both.ours.push(pushed[i % pushed.size()]);
    both.plain.push(plain_pushed[i % pushed.size()]);
  }

  struct changes {
    std::vector<std::uint64_t> positions;
    std::vector<std::size_t> slots;
    std::vector<float> errors;
  };
  std::vector<changes> all(batches);
  std::mt19937_64 random(17);
  for (changes& c : all) {
    for (std::size_t i = 0; i < command.batch; ++i) {
      c.positions.push_back(pushes - 1 - random() % replay_capacity);
      c.slots.push_back(static_cast<std::size_t>(c.positions.back() % replay_capacity));
      c.errors.push_back(random_float(random));
    }
    if (!prioritised) continue;
    both.ours.update_priorities(c.positions, c.errors);
    both.plain.update_priorities(c.slots, c.errors);
  }
  check_samples("sample" + suffix, both, command.batch);

  // Long enough that what the other left in the caches does not count.
  const contest_options how{.rounds = command.rounds, .slice_s = 0.01};
  alidade::sampled_transitions<float> samples;
  plain_replay::sample_type plain_samples;
  const auto repeat = [](auto body) {
    return [body](std::size_t repetitions) {
      for (std::size_t i = 0; i < repetitions; ++i) body();
    };
  };
  contest sampling(how);
  add(sampling, "ours", repeat([&] { both.ours.sample(command.batch, samples); }));
  add(sampling, "plain", repeat([&] { both.plain.sample(command.batch, plain_samples); }));
  sampling.run();
  print_pair("qlearning", "sample" + suffix, sampling, 1e9, command.batch, file);

  if (prioritised) {
    contest changing(how);
    add(changing, "ours",
        in_turn(all, [&](const changes& c) { both.ours.update_priorities(c.positions, c.errors); }));
    add(changing, "plain",
        in_turn(all, [&](const changes& c) { both.plain.update_priorities(c.slots, c.errors); }));
    changing.run();
    print_pair("qlearning", "update_priorities", changing, 1e9, command.batch, file);
  }

  contest pushing(how);
  add(pushing, "ours", in_turn(pushed, [&](const auto& t) { both.ours.push(t); }));
  add(pushing, "plain", in_turn(plain_pushed, [&](const auto& t) { both.plain.push(t); }));
  pushing.run();
  print_pair("qlearning", "push" + suffix, pushing, 1e9, 1, file);
}

}  // namespace

int run(const qlearning_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  if (command.batch == 0 || command.batch > 10'000) throw input_error("--batch is 1..10000");
  start_json(command.json);
  std::optional<json_file> file;
  if (!command.json.empty()) file.emplace(command.json);
  json_file* const to = file ? &*file : nullptr;

  std::printf("Q-learning, %s, batches of %zu, %zu rounds; a ratio is how many times as fast as the loop\n\n",
              alidade::arch_name(), command.batch, command.rounds);
  std::printf(
      "update, ns a batch; step: a function for each transition, loop: one for the batch, known: that, "
      "compiled\n"
      "for this number of actions\n%6s %4s %8s %8s %8s %8s  step / ours, loop / ours, known / ours (min .. "
      "max)\n",
      "states", "acts", "ours", "step", "loop", "known");
  for (const shape& s : shapes) measure_update(s, command, to);

  std::printf("\n%-36s %9s %9s  plain / ours (min .. max)\n", "methods, ns a batch; 1000 x 8", "ours",
              "plain");
  for (const method& m : make_methods()) measure_method(m, command, to);

  std::printf("\n%-36s %9s %9s %9s  scalar / ours, O3 / ours (min .. max)\n", "4096 elements, ns", "ours",
              "scalar", "O3");
  for (const bool with_flags : {false, true}) {
    for (const bool aligned : {true, false}) {
      measure_q_update<float>(with_flags, aligned, command, to);
      measure_q_update<double>(with_flags, aligned, command, to);
    }
  }

  std::printf("\n%-36s %9s %9s  plain / ours (min .. max)\n", "buffer of 100000, ns a batch", "ours",
              "plain");
  for (const bool prioritised : {false, true}) measure_buffer(prioritised, command, to);
  if (file) file->finish();
  return 0;
}

}  // namespace bench
