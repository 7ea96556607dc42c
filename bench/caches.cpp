#include "caches.hpp"

#include "kernel_buffer.hpp"
#include "parallel.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <limits>
#include <utility>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = 1024 * kib;

cache_sizes system_caches() {
  cache_sizes found;
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    int level = 0;
    std::string type;
    std::size_t size = 0;
    char unit = 'K';
    std::ifstream(folder + "/level") >> level;
    std::ifstream(folder + "/type") >> type;
    std::ifstream(folder + "/size") >> size >> unit;
    if (type == "Instruction") continue;
    size *= unit == 'M' ? mib : kib;
    if (level == 1) found.l1 = size;
    if (level == 2) found.l2 = size;
    if (level == 3) found.l3 = size;
  }
  found.source = "system";
  return found;
}

/// Nanoseconds a load, each of which needs the one before: the best of a few walks through all lines of a working set in
/// an order that no prefetcher guesses.
double latency_of(std::size_t bytes, std::size_t* memory) {
  constexpr std::size_t line = 64 / sizeof(std::size_t);
  const std::size_t lines = bytes / 64;
  std::vector<std::size_t> order(lines);
  for (std::size_t i = 0; i < lines; ++i) order[i] = i;
  std::uint64_t state = 1;
  for (std::size_t i = lines; i-- > 1;) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    std::swap(order[i], order[static_cast<std::size_t>(state >> 33U) % (i + 1)]);
  }
  for (std::size_t i = 0; i < lines; ++i) memory[order[i] * line] = order[(i + 1) % lines] * line;
  const std::size_t steps = std::max<std::size_t>(lines, 100000);
  double best = std::numeric_limits<double>::max();
  volatile std::size_t keep = 0;
  for (int walk = 0; walk < 5; ++walk) {
    std::size_t at = keep;
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < steps; ++i) at = memory[at];
    best = std::min(best, 1e9 * seconds_since(start) / static_cast<double>(steps));
    keep = at;
  }
  return best;
}

/// A cache ends where loads take this much longer than in its own plateau. Missing the TLB raises a plateau too, by less.
cache_sizes measured_caches() {
  constexpr double step = 1.7;
  const kernel_buffer memory(64 * mib);
  auto* const words = static_cast<std::size_t*>(memory.data());
  std::vector<std::pair<std::size_t, double>> curve;
  for (std::size_t size = 8 * kib; size <= memory.size(); size *= 2) {
    curve.emplace_back(size, latency_of(size, words));
    curve.emplace_back(size + size / 2, latency_of(std::min(size + size / 2, memory.size()), words));
  }
  std::vector<std::size_t> ends;
  double plateau = curve.front().second;
  for (std::size_t i = 1; i + 1 < curve.size() && ends.size() < 3; ++i) {
    if (curve[i].second <= step * plateau) continue;
    ends.push_back(curve[i - 1].first);
    i = std::min(i + 1, curve.size() - 1);  // one size beyond the edge the next plateau has begun
    plateau = curve[i].second;
  }
  ends.resize(3, 0);
  return {ends[0], ends[1], ends[2], "measured"};
}

}  // namespace

const char* name_of(memory_level level) {
  switch (level) {
    case memory_level::l1:
      return "L1";
    case memory_level::l2:
      return "L2";
    case memory_level::l3:
      return "L3";
    case memory_level::dram:
      break;
  }
  return "DRAM";
}

const cache_sizes& caches() {
  static const cache_sizes sizes = [] {
    cache_sizes found = system_caches();
    if (found.l1 == 0) found = measured_caches();
    if (found.l1 == 0) found.l1 = 32 * kib;
    return found;
  }();
  return sizes;
}

std::size_t working_set(memory_level level) {
  const cache_sizes& sizes = caches();
  switch (level) {
    case memory_level::l1:
      return sizes.l1 / 2;
    case memory_level::l2:
      return sizes.l2 / 2;
    case memory_level::l3:
      return sizes.l3 == 0 ? 0 : std::max(sizes.l3 / 4, std::min(2 * sizes.l2, sizes.l3 / 2));
    case memory_level::dram:
      break;
  }
  const std::size_t last = std::max({sizes.l1, sizes.l2, sizes.l3});
  return std::max({64 * mib, std::min(8 * last, 256 * mib), 2 * last});
}

}  // namespace bench
