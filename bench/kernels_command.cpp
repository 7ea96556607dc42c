#include "commands.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "kernel_contest.hpp"
#include "operands.hpp"
#include "peer_kernels.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace bench {
namespace {

/// All that this program was built with, unless some are named.
std::vector<std::string> chosen_peers(const std::vector<std::string>& named) {
  std::vector<std::string> chosen;
  for (const kernel_peer& peer : kernel_peers()) {
    const bool wanted = std::find(named.begin(), named.end(), peer.name) != named.end();
    if (wanted && !peer.built_in) {
      throw input_error(std::string("--peer ") + peer.name +
                        ": this program was built without it (Debian: " + peer.package + ")");
    }
    if (wanted || (named.empty() && peer.built_in)) chosen.emplace_back(peer.name);
  }
  for (const std::string& name : named) {
    const auto known = [&](const kernel_peer& peer) { return name == peer.name; };
    if (name != "none" && std::none_of(kernel_peers().begin(), kernel_peers().end(), known)) {
      throw input_error("--peer " + name + ": the peers are hnswlib, faiss, eigen, openblas, or none");
    }
  }
  return chosen;
}

void check(const kernels_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  if (std::count(command.dimensions.begin(), command.dimensions.end(), 0U) != 0) {
    throw input_error("--dim is at least 1");
  }
  start_json(command.json);
}

void print(const kernel_group& group, const std::vector<kernel_figures>& lines) {
  for (const kernel_figures& f : lines) {
    std::printf("%-9s %-5s %5zu %-4s  %-9s %9.2f (%.2f .. %.2f)", name_of(f.distance), name_of(f.type),
                group.dimension, name_of(group.level), f.name.c_str(), f.ns.median, f.ns.min, f.ns.max);
    std::printf("  %7.1f GB/s  %5.1f %%", f.gb_s.median, 100 * f.of_load.median);
    if (f.ours)
      std::printf("   alidade %.2fx as fast (%.2f .. %.2f)", f.ours->median, f.ours->min, f.ours->max);
    if (f.than_f32) {
      std::printf("   %.2fx f32 (%.2f .. %.2f)", f.than_f32->median, f.than_f32->min, f.than_f32->max);
    }
    std::putchar('\n');
  }
  std::fflush(stdout);
}

json row_of(const kernel_group& group, const kernels_command& command, const kernel_figures& f) {
  json row{{"kind", "kernel"},
           {"kernel", f.name},
           {"type", name_of(f.type)},
           {"metric", name_of(f.distance)},
           {"dim", group.dimension},
           {"level", name_of(group.level)},
           {"form", group.how == form::pair ? "pair" : "many"}};
  if (f.name == "alidade") row["arch"] = native_arch();
  put(row, "ns", f.ns);
  row["bytes"] = f.bytes;
  put(row, "gb_s", f.gb_s);
  put(row, "of_load_bandwidth", f.of_load);
  if (f.ours) put(row, "alidade_times_as_fast", *f.ours);
  if (f.than_f32) put(row, "times_as_fast_as_f32", *f.than_f32);
  row["rounds"] = command.rounds;
  row["ns_rounds"] = f.ns_rounds;
  return row;
}

}  // namespace

int run(const kernels_command& command) {
  check(command);
  kernel_group group;
  group.types = command.types;
  group.how = command.how;
  group.peers = chosen_peers(command.peers);
  contest_options options;
  options.rounds = command.rounds;

  std::printf("alidade: %s; ns a distance: median (min .. max) of %zu rounds; share of the load bandwidth\n",
              native_arch(), command.rounds);
  std::vector<json> rows;
  for (const memory_level level : command.levels) {
    for (const metric distance : command.distances) {
      for (const std::size_t dimension : command.dimensions) {
        group.level = level;
        group.distance = distance;
        group.dimension = dimension;
        const std::vector<kernel_figures> lines = measure(group, options);
        print(group, lines);
        for (const kernel_figures& f : lines) rows.push_back(row_of(group, command, f));
      }
    }
  }
  if (rows.empty()) throw input_error("there is no such kernel: no --type has one of the --metric");
  if (!command.json.empty()) {
    json_file file(command.json);
    for (const json& row : rows) file.write(row);
    file.finish();
  }
  return 0;
}

}  // namespace bench
