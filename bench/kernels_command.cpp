#include "commands.hpp"
#include "failure.hpp"
#include "kernel_set.hpp"
#include "parallel.hpp"
#include "peer_kernels.hpp"
#include "statistics.hpp"
#include "synthetic.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t rows_swept =
    32;  // they stay in the first-level cache: the kernel is measured, not memory

template <class T>
struct entry {
  std::string name;
  kernel_sweep<T> sweep;
  std::size_t repetitions = 1;
  std::vector<double> nanoseconds;  ///< a call, in each round
};

template <class T>
struct inputs {
  std::vector<T> query;
  std::vector<T> rows;
  std::size_t columns;
};

template <class T>
inputs<T> make_inputs(std::size_t columns) {
  const synthetic_set set = make_synthetic(rows_swept, 1, columns);
  inputs<T> result{std::vector<T>(columns), std::vector<T>(rows_swept * columns), columns};
  const auto convert = [](float x) {
    if constexpr (std::is_same_v<T, float>) return x;
    return static_cast<T>(std::clamp(128 + 32 * x, 0.0F, 255.0F));
  };
  std::transform(set.queries.values.begin(), set.queries.values.end(), result.query.begin(), convert);
  std::transform(set.base.values.begin(), set.base.values.end(), result.rows.begin(), convert);
  return result;
}

volatile double keep = 0;  // results go here, so that the sweeps cannot be optimised away

template <class T>
double seconds_for(const entry<T>& e, const inputs<T>& in) {
  const auto start = std::chrono::steady_clock::now();
  double sum = 0;
  for (std::size_t i = 0; i < e.repetitions; ++i) {
    sum += e.sweep(in.query.data(), in.rows.data(), rows_swept, in.columns);
  }
  keep = sum;
  return seconds_since(start);
}

/// Repeats until a measurement takes long enough for the clock.
template <class T>
void calibrate(entry<T>& e, const inputs<T>& in) {
  constexpr double enough = 0.005;
  while (seconds_for(e, in) < enough) e.repetitions *= 2;
}

template <class T>
void print_table(std::size_t columns, const std::vector<entry<T>>& entries) {
  const entry<T>& ours = entries.front();
  for (const entry<T>& e : entries) {
    const spread ns = spread_of(e.nanoseconds);
    std::printf("%5zu  %-16s %9.2f %9.2f .. %8.2f", columns, e.name.c_str(), ns.median, ns.min, ns.max);
    if (&e != &ours) {
      std::vector<double> ratios;
      for (std::size_t i = 0; i < e.nanoseconds.size(); ++i)
        ratios.push_back(e.nanoseconds[i] / ours.nanoseconds[i]);
      const spread times = spread_of(ratios);
      std::printf("   %6.2fx (%.2f .. %.2f)", times.median, times.min, times.max);
    }
    std::putchar('\n');
  }
}

template <class T>
void measure(const kernels_command& command, std::size_t columns, std::vector<entry<T>> entries) {
  const inputs<T> in = make_inputs<T>(columns);
  for (entry<T>& e : entries) calibrate(e, in);
  for (std::size_t round = 0; round < command.rounds; ++round) {
    for (std::size_t turn = 0; turn < entries.size(); ++turn) {
      entry<T>& e = entries[(turn + round) % entries.size()];
      const auto calls = static_cast<double>(e.repetitions * rows_swept);
      e.nanoseconds.push_back(1e9 * seconds_for(e, in) / calls);
    }
  }
  print_table(columns, entries);
}

template <class T>
std::vector<entry<T>> pair_of(const kernel_sweep<T>& native, const kernel_sweep<T>& scalar) {
  std::vector<entry<T>> entries(2);
  entries[0].name = native_kernels().arch;
  entries[0].sweep = native;
  entries[1].name = "plain scalar";
  entries[1].sweep = scalar;
  return entries;
}

}  // namespace

int run(const kernels_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  if (command.type == element::u8 && command.distance == metric::cosine) {
    throw input_error("--type u8 has the metrics l2 and ip");
  }
  std::printf("%s of %s, ns a call, %zu rounds; the ratio is how many times faster the first line is\n",
              name_of(command.distance), name_of(command.type), command.rounds);
  std::printf("%5s  %-16s %9s %21s   ratio (min .. max)\n", "dim", "kernel", "median", "(min .. max)");
  const kernel_set native = native_kernels();
  const kernel_set scalar = scalar_kernels();
  for (const std::size_t columns : command.dimensions) {
    if (columns == 0) throw input_error("--dim is at least 1");
    if (command.type == element::u8) {
      measure(command, columns, pair_of(native.u8(command.distance), scalar.u8(command.distance)));
      continue;
    }
    auto entries = pair_of(native.f32(command.distance), scalar.f32(command.distance));
    if (const peer_kernel peer = hnswlib_kernel(command.distance, columns)) {
      entry<float> e;
      e.name = "hnswlib";
      e.sweep = peer;
      entries.push_back(std::move(e));
    }
    measure(command, columns, std::move(entries));
  }
  return 0;
}

}  // namespace bench
