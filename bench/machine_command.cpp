#include "commands.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "machine.hpp"
#include "roofline.hpp"

#include <array>
#include <cstdio>

namespace bench {
namespace {

constexpr std::size_t dimension = 768;
constexpr std::array types{element::f32, element::f64, element::f16, element::bf16,
                           element::i8,  element::u8,  element::bits};
constexpr std::array distances{metric::l2,        metric::ip,      metric::cosine, metric::l1,
                               metric::chebyshev, metric::hamming, metric::jaccard};

void print(const machine& here, const machine_roofs& roofs) {
  const cache_sizes& cache = caches();
  std::printf("cpu       %s, %u cores\n", here.cpu.c_str(), here.cores);
  std::printf("compiler  %s\nflags     %s\n", here.compiler.c_str(), here.flags.c_str());
  std::printf("arch      %s (kernels)\n", here.arch.c_str());
  std::printf("caches    L1d %zu KiB, L2 %zu KiB, L3 %zu KiB (%s)\n", cache.l1 / 1024, cache.l2 / 1024,
              cache.l3 / 1024, cache.source.c_str());
  std::printf("huge pages %s\n\n%-22s %10s %10s\n", here.huge_pages.c_str(), "roof, one thread", "best",
              "median");
  for (const roof& r : roofs.loads) {
    std::printf("%-8s %13s %10.1f %10.1f GB/s   %s, %zu KiB\n", r.name.c_str(), "", r.best, r.median,
                r.how.c_str(), r.bytes / 1024);
  }
  for (const roof& r : roofs.peaks) {
    std::printf("%-8s %13s %10.1f %10.1f GOP/s  %s\n", r.name.c_str(), "", r.best, r.median, r.how.c_str());
  }
}

void print(const std::vector<placed_kernel>& placed) {
  std::printf("\n%-9s %-5s %9s %9s %9s %9s   bound by (d = %zu, in L1)\n", "metric", "type", "ns", "best ns",
              "op/byte", "GOP/s", dimension);
  for (const placed_kernel& k : placed) {
    std::printf("%-9s %-5s %9.2f %9.2f %9.3f %9.1f   %5.1f %% of %s\n", name_of(k.distance), name_of(k.type),
                k.ns.median, k.ns.min, k.intensity, k.gops, 100 * k.of_bound, k.bound.c_str());
  }
}

void write(const std::string& path, const machine_roofs& roofs, const std::vector<placed_kernel>& placed) {
  json_file file(path);
  const cache_sizes& cache = caches();
  file.write(
      {{"kind", "caches"}, {"l1d", cache.l1}, {"l2", cache.l2}, {"l3", cache.l3}, {"source", cache.source}});
  const auto write_roof = [&](const roof& r, const char* unit) {
    json row{{"kind", "roof"}, {"name", r.name}, {"how", r.how},
             {"unit", unit},   {"best", r.best}, {"median", r.median}};
    if (r.bytes != 0) row["working_set"] = r.bytes;
    file.write(row);
  };
  for (const roof& r : roofs.loads) write_roof(r, "GB/s");
  for (const roof& r : roofs.peaks) write_roof(r, "GOP/s");
  for (const placed_kernel& k : placed) {
    json row{{"kind", "roofline"},
             {"type", name_of(k.type)},
             {"metric", name_of(k.distance)},
             {"dim", dimension},
             {"level", "L1"}};
    put(row, "ns", k.ns);
    row["operations_per_byte"] = k.intensity;
    row["gops"] = k.gops;
    row["bound"] = k.bound;
    row["of_bound"] = k.of_bound;
    file.write(row);
  }
  file.finish();
}

}  // namespace

int run(const machine_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  start_json(command.json);
  start_file("--svg", command.svg);
  const machine here = describe_machine();
  contest_options options;
  options.rounds = command.rounds;
  const machine_roofs roofs = measure_roofs(options);
  print(here, roofs);

  std::vector<placed_kernel> placed;
  for (const metric distance : distances) {
    kernel_group group;
    group.types.assign(types.begin(), types.end());
    group.distance = distance;
    group.dimension = dimension;
    group.only_ours = true;
    for (const kernel_figures& f : measure(group, options)) {
      if (f.distance == distance) placed.push_back(place(f, dimension, roofs));
    }
  }
  print(placed);
  if (!command.svg.empty()) {
    write_svg(command.svg, here.cpu + ", " + here.arch + ", " + here.compiler, roofs, placed);
  }
  if (!command.json.empty()) write(command.json, roofs, placed);
  return 0;
}

}  // namespace bench
