#include "commands.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "rank_test.hpp"
#include "statistics.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

/// Calls body(row) for each JSON line of a file; what it misses in a row is the user's mistake.
void for_each_row(const std::string& path, const std::function<void(const json&)>& body) {
  std::ifstream file(path);
  if (!file) throw input_error(path + ": cannot be read");
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    try {
      body(json::parse(line));
    } catch (const json::exception& error) {
      throw input_error(path + ", line " + std::to_string(number) + ": " + error.what());
    }
  }
}

/// "alidade l2 f32 768 L1 pair", and its line.
std::map<std::string, json> kernels_in(const std::string& path) {
  std::map<std::string, json> kernels;
  for_each_row(path, [&](const json& row) {
    if (row.at("kind") != "kernel") return;
    std::string key;
    for (const char* field : {"kernel", "metric", "type"}) key += row.at(field).get<std::string>() + ' ';
    key += std::to_string(row.at("dim").get<std::size_t>());
    for (const char* field : {"level", "form"}) key += ' ' + row.at(field).get<std::string>();
    static_cast<void>(row.at("ns").get<double>());
    kernels[key] = row;
  });
  if (kernels.empty()) throw input_error(path + ": holds no line of kind \"kernel\"");
  return kernels;
}

// --- regression
// -------------------------------------------------------------------------------------------------------

/// What was measured under one name: the rounds of each run, a line of the file.
using runs = std::vector<std::vector<double>>;

/// The fields that say what a line is about, one behind the other.
std::string key_of(const json& row) {
  std::string key;
  for (const char* field : {"kind", "name", "kernel", "library", "dataset", "metric", "type", "n", "queries",
                            "dim", "k", "pool", "pattern", "size", "columns", "level", "form"}) {
    const auto found = row.find(field);
    if (found == row.end()) continue;
    if (!key.empty()) key += ' ';
    key += found->is_string() ? found->get<std::string>() : found->dump();
  }
  return key;
}

std::map<std::string, runs> runs_in(const std::string& path, bool all) {
  std::map<std::string, runs> found;
  for_each_row(path, [&](const json& row) {
    const auto rounds = row.find("ns_rounds");
    if (rounds == row.end() || rounds->empty()) return;
    const auto kernel = row.find("kernel");
    if (!all && kernel != row.end() && *kernel != "alidade") return;
    found[key_of(row)].push_back(rounds->get<std::vector<double>>());
  });
  if (found.empty()) throw input_error(path + ": holds no line with the rounds of a measurement (ns_rounds)");
  return found;
}

/// Rounds of one run have its memory and its hour in common, so medians of runs are what can be compared, if there are
/// enough of them: with five on each side a p below 0.01 is possible (2 / 252). Of fewer runs, all rounds.
std::vector<double> sample_of(const runs& all, bool medians) {
  std::vector<double> sample;
  for (const std::vector<double>& rounds : all) {
    if (medians) {
      sample.push_back(spread_of(rounds).median);
    } else {
      sample.insert(sample.end(), rounds.begin(), rounds.end());
    }
  }
  return sample;
}

int find_regressions(const compare_command& command) {
  const std::map<std::string, runs> before = runs_in(command.first, command.all);
  const std::map<std::string, runs> after = runs_in(command.second, command.all);
  std::printf("%-52s %10s %10s   second / first, p\n", "", "first ns", "second ns");
  std::size_t common = 0, slower = 0;
  for (const auto& [key, first_runs] : before) {
    const auto other = after.find(key);
    if (other == after.end()) continue;
    ++common;
    const bool medians = std::min(first_runs.size(), other->second.size()) >= 5;
    const std::vector<double> first = sample_of(first_runs, medians),
                              second = sample_of(other->second, medians);
    const judgement j = judge(first, second, command.by);
    if (j.result == verdict::slower) ++slower;
    std::printf("%-52s %10.4g %10.4g   %.3f  %.1e  %s (%s)\n", key.c_str(), spread_of(first).median,
                spread_of(second).median, j.ratio, j.test.p, name_of(j.result), medians ? "runs" : "rounds");
  }
  if (common == 0) throw input_error("the files have no measurement in common");
  std::printf("%zu of %zu slower in the second, by %g %% and more, p below %g\n", slower, common,
              100 * command.by.min_effect, command.by.alpha);
  return slower == 0 ? 0 : 1;
}

}  // namespace

int run(const compare_command& command) {
  if (command.regression) return find_regressions(command);
  const auto before = kernels_in(command.first);
  const auto after = kernels_in(command.second);
  std::printf("%-42s %10s %10s   speed of the first / the second\n", "kernel", "first ns", "second ns");
  std::size_t common = 0, slower = 0;
  for (const auto& [key, row] : before) {
    const auto other = after.find(key);
    if (other == after.end() || (!command.all && row.at("kernel") != "alidade")) continue;
    const auto ns = row.at("ns").get<double>(), other_ns = other->second.at("ns").get<double>();
    const double speed = other_ns / ns;
    ++common;
    const bool below = speed < command.at_least && row.at("kernel") == "alidade";
    if (below) ++slower;
    std::printf("%-42s %10.2f %10.2f   %.3f%s\n", key.c_str(), ns, other_ns, speed, below ? "  below" : "");
  }
  if (common == 0) throw input_error("the files have no kernel in common");
  if (command.at_least > 0) std::printf("%zu of %zu below %g\n", slower, common, command.at_least);
  return slower == 0 ? 0 : 1;
}

}  // namespace bench
