#include "commands.hpp"
#include "failure.hpp"
#include "json_lines.hpp"

#include <cstdio>
#include <map>
#include <string>

namespace bench {
namespace {

/// "alidade l2 f32 768 L1 pair", and its line.
std::map<std::string, json> kernels_in(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw input_error(path + ": cannot be read");
  std::map<std::string, json> kernels;
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    try {
      const json row = json::parse(line);
      if (row.at("kind") != "kernel") continue;
      std::string key;
      for (const char* field : {"kernel", "metric", "type"}) key += row.at(field).get<std::string>() + ' ';
      key += std::to_string(row.at("dim").get<std::size_t>());
      for (const char* field : {"level", "form"}) key += ' ' + row.at(field).get<std::string>();
      static_cast<void>(row.at("ns").get<double>());
      kernels[key] = row;
    } catch (const json::exception& error) {
      throw input_error(path + ", line " + std::to_string(number) + ": " + error.what());
    }
  }
  if (kernels.empty()) throw input_error(path + ": holds no line of kind \"kernel\"");
  return kernels;
}

}  // namespace

int run(const compare_command& command) {
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
