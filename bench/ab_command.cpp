#include "ab_command.hpp"

#include "child_process.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "statistics.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <optional>
#include <random>
#include <regex>
#include <string>
#include <vector>

namespace bench {
namespace {

struct samples {
  std::vector<double> a, b;
};

/// Runs both in rounds: two rounds A B B A or B A A B, as a coin says, so that what drifts slowly falls on both alike,
/// and nothing that comes at regular intervals on one of them. A sample is the best of several runs, those of the other
/// in between: interference only ever makes a run longer, and half of them may be hit on a machine with other work. One
/// run of each goes before, untimed, and brings files into memory.
class interleaving {
 public:
  explicit interleaving(const ab_command& command) : command_(command) {}

  samples run(const std::function<double(bool second)>& measure) {
    samples s;
    static_cast<void>(measure(false));
    static_cast<void>(measure(true));
    for (std::size_t round = 0; round < command_.rounds; ++round) {
      double best[2] = {0, 0};
      for (std::size_t i = 0; i < command_.best_of; ++i) {
        const bool b_first = next_order();
        for (const bool second : {b_first, !b_first}) {
          const double value = measure(second);
          const bool better = command_.more_is_better ? value > best[second] : value < best[second];
          if (i == 0 || better) best[second] = value;
        }
      }
      s.a.push_back(best[0]);
      s.b.push_back(best[1]);
    }
    return s;
  }

 private:
  /// Whether B goes first: by a coin, and then the other way round.
  bool next_order() {
    b_first_ = turn_++ % 2 == 0 ? (coins_() & 1) != 0 : !b_first_;
    return b_first_;
  }

  const ab_command& command_;
  std::mt19937 coins_{1};
  std::size_t turn_ = 0;
  bool b_first_ = false;
};

double number_in(const std::string& output, const std::regex& metric, const std::string& program) {
  std::smatch match;
  if (!std::regex_search(output, match, metric) || match.size() < 2) {
    throw input_error("ab: --metric is not found in the output of " + program);
  }
  const std::string text = match[1].str();
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != '\0' || !(value > 0)) {
    throw input_error("ab: --metric finds \"" + text + "\" in the output of " + program +
                      ", no number above 0");
  }
  return value;
}

void check(const ab_command& command) {
  if (command.rounds < 5)
    throw input_error("--rounds is at least 5: of fewer, no difference is certain to 1 %");
  if (!(command.by.alpha > 0) || command.by.alpha > 0.5)
    throw input_error("--alpha is above 0, and at most 0.5");
  if (!(command.by.min_effect >= 0)) throw input_error("--min-effect is not negative");
  if (command.best_of == 0) throw input_error("--best-of is at least 1");
  if (command.trials == 0) throw input_error("--trials is at least 1");
  if (command.more_is_better && command.metric.empty())
    throw input_error("--more-is-better is about a --metric");
  if (command.self_test && !command.metric.empty())
    throw input_error("--self-test measures times, no --metric");
  if (command.cpu && !command.metric.empty()) throw input_error("--cpu and --metric exclude each other");
  if (!command.self_test && (command.a.empty() || command.b.empty())) {
    throw input_error("two command lines are needed: alidade_bench ab [options] -- A... -- B...");
  }
  start_json(command.json);
}

void print(const char* name, const std::vector<double>& values, const char* unit) {
  const spread s = spread_of(values);
  std::printf("%s  %12.6g%s (%.6g .. %.6g)\n", name, s.median, unit, s.min, s.max);
}

int compare_programs(const ab_command& command) {
  std::optional<std::regex> metric;
  if (!command.metric.empty()) {
    try {
      metric.emplace(command.metric);
    } catch (const std::regex_error& error) {
      throw input_error("--metric: " + std::string(error.what()));
    }
  }
  const samples s = interleaving(command).run([&](bool second) {
    const std::vector<std::string>& line = second ? command.b : command.a;
    const child_result r = run_child(line, metric.has_value());
    if (metric) return number_in(r.output, *metric, line[0]);
    return command.cpu ? std::max(r.cpu_s, 1e-6) : r.wall_s;
  });
  // Of figures of which more is better, the time is the inverse: A and B change places.
  const judgement j = command.more_is_better ? judge(s.b, s.a, command.by) : judge(s.a, s.b, command.by);
  const char* const unit = metric ? "" : " s";
  print("A", s.a, unit);
  print("B", s.b, unit);
  std::printf("B takes %.3f times what A takes, p %.2g (%s), %zu rounds of the best of %zu: %s\n", j.ratio,
              j.test.p, j.test.exact ? "exact" : "normal approximation", command.rounds, command.best_of,
              name_of(j.result));
  if (!command.json.empty()) {
    json_file file(command.json);
    json row{{"kind", "ab"},
             {"ratio", j.ratio},
             {"p", j.test.p},
             {"exact", j.test.exact},
             {"result", name_of(j.result)}};
    row["a_rounds"] = s.a;
    row["b_rounds"] = s.b;
    file.write(row);
    file.finish();
  }
  return j.result == verdict::slower ? 1 : 0;
}

// --- self-test
// --------------------------------------------------------------------------------------------------------

volatile std::uint64_t spun;

/// A chain of multiplications: 4 cycles a step on any recent processor, and no memory.
void spin(std::uint64_t steps) {
  std::uint64_t x = spun;
  for (std::uint64_t i = 0; i < steps; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
  spun = x;
}

double now_s(bool cpu) {
#if defined(__linux__)
  timespec time{};
  if (cpu && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0) {
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
#else
  static_cast<void>(cpu);
#endif
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double time_spin(std::uint64_t steps, bool cpu) {
  const double start = now_s(cpu);
  spin(steps);
  return now_s(cpu) - start;
}

/// So many steps that they take about `seconds`; the shortest of several tries counts.
std::uint64_t steps_for(double seconds, bool cpu) {
  constexpr std::uint64_t tried = 200'000;
  double shortest = 1;
  for (int i = 0; i < 20; ++i) shortest = std::min(shortest, time_spin(tried, cpu));
  return static_cast<std::uint64_t>(static_cast<double>(tried) * seconds / shortest);
}

struct tally {
  std::size_t slower = 0, faster = 0;
};

tally try_often(const ab_command& command, std::uint64_t steps_a, std::uint64_t steps_b,
                std::vector<double>& ratios) {
  tally t;
  interleaving order(command);
  for (std::size_t trial = 0; trial < command.trials; ++trial) {
    const samples s =
        order.run([&](bool second) { return time_spin(second ? steps_b : steps_a, command.cpu); });
    const judgement j = judge(s.a, s.b, command.by);
    ratios.push_back(j.ratio);
    t.slower += static_cast<std::size_t>(j.result == verdict::slower);
    t.faster += static_cast<std::size_t>(j.result == verdict::faster);
  }
  return t;
}

int self_test(const ab_command& command) {
  if (const std::string wrong = check_rank_test(); !wrong.empty()) {
    std::printf("the rank test is wrong: %s\n", wrong.c_str());
    return 1;
  }
  const std::uint64_t steps = steps_for(0.001, command.cpu);
  std::vector<double> equal, slowed;
  const tally same = try_often(command, steps, steps, equal);
  const tally more = try_often(command, steps, steps + steps / 10, slowed);
  const spread equal_spread = spread_of(equal), slowed_spread = spread_of(slowed);
  const std::size_t alarms = same.slower + same.faster;
  const bool quiet = 50 * alarms <= command.trials, finds = 20 * more.slower >= 19 * command.trials;
  std::printf(
      "spinning 1 ms, %s time, %zu rounds of the best of %zu a trial, alpha %g, minimum effect %g %%\n",
      command.cpu ? "processor" : "wall", command.rounds, command.best_of, command.by.alpha,
      100 * command.by.min_effect);
  std::printf("A/A:        %zu false alarms in %zu trials (at most 2 %%: %s); ratios %.3f (%.3f .. %.3f)\n",
              alarms, command.trials, quiet ? "passed" : "FAILED", equal_spread.median, equal_spread.min,
              equal_spread.max);
  std::printf("A/A + 10 %%: %zu found in %zu trials (at least 95 %%: %s); ratios %.3f (%.3f .. %.3f)\n",
              more.slower, command.trials, finds ? "passed" : "FAILED", slowed_spread.median,
              slowed_spread.min, slowed_spread.max);
  if (!command.json.empty()) {
    json_file file(command.json);
    file.write({{"kind", "ab_self_test"},
                {"trials", command.trials},
                {"rounds", command.rounds},
                {"best_of", command.best_of},
                {"false_alarms", alarms},
                {"found", more.slower},
                {"ratios_equal", equal},
                {"ratios_slowed", slowed}});
    file.finish();
  }
  return quiet && finds ? 0 : 1;
}

}  // namespace

int take_command_lines(int argc, char** argv, ab_command& command) {
  if (argc < 2 || std::strcmp(argv[1], "ab") != 0) return argc;
  const auto is_separator = [&](int i) { return std::strcmp(argv[i], "--") == 0; };
  int first = 2;
  while (first < argc && !is_separator(first)) ++first;
  if (first == argc) return argc;
  std::vector<std::string>* line = &command.a;
  for (int i = first + 1; i < argc; ++i) {
    if (line == &command.a && is_separator(i)) {
      line = &command.b;
    } else {
      line->emplace_back(argv[i]);
    }
  }
  return first;
}

int run(const ab_command& command) {
  check(command);
  return command.self_test ? self_test(command) : compare_programs(command);
}

}  // namespace bench
