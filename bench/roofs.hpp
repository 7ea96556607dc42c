// What bounds a kernel: how fast each level of memory can be loaded from, and how fast the vector units compute.
#pragma once

#include "caches.hpp"
#include "contest.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace bench {

/// Loads from memory (a multiple of load_step bytes) into the widest registers of this build, `passes` times over.
void load_all(const void* memory, std::size_t bytes, std::size_t passes);
inline constexpr std::size_t load_step = 1024;

/// Bytes of such a register.
[[nodiscard]] std::size_t load_width();

/// A loop that does nothing but one kind of arithmetic, with enough independent sums to hide its latency.
struct peak_loop {
  const char* name;
  const char* how;      ///< instruction
  double ops_per_pass;  ///< a multiplication and an addition are two
  void (*run)(std::size_t passes);
};

/// The first is f32's.
[[nodiscard]] std::span<const peak_loop> peak_loops();

/// In 1e9 bytes or operations a second. The best round is the roof: nothing that disturbs makes it faster.
struct roof {
  std::string name;
  std::string how;
  std::size_t bytes = 0;  ///< working set; 0 for arithmetic
  double best = 0;
  double median = 0;
};

struct machine_roofs {
  std::vector<roof> loads;  ///< by memory_level, as far as there are such levels
  std::vector<roof> peaks;  ///< as peak_loops()
};

[[nodiscard]] machine_roofs measure_roofs(const contest_options&);

}  // namespace bench
