// alidade_bench adaptive
#pragma once

#include "workload.hpp"

#include <cstddef>
#include <string>

namespace bench {

struct adaptive_command {
  source_options source;
  double recall = 0.95;  ///< the target
  std::size_t learning = 20'000;
  std::size_t measured = 20'000;
  std::size_t seeds = 5;
  std::size_t max_ef = 512;
  std::size_t M = 16;
  std::string svg;   ///< file for the drawing of the first seed, or empty
  std::string json;  ///< file for the JSON lines, or empty
};

/// Searches whose width adaptive_search chooses, against the best fixed width, while the mix of queries changes; and a whole
/// cycle of a service around such a search.
int run(const adaptive_command&);

}  // namespace bench
