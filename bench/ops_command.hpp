// alidade_bench ops
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct ops_command {
  std::vector<std::size_t> columns{32};                ///< of what has columns
  std::vector<std::size_t> sizes{64, 256, 512, 1024};  ///< of the matrices that are multiplied
  std::size_t rounds = 25;
  std::string json;
};

/// Data operations in the first two caches against plain loops, and matrix products against the peak of this run.
int run(const ops_command&);

}  // namespace bench
