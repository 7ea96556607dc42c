// alidade_bench pool
#pragma once

#include "workload.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct pool_command {
  source_options source;  ///< vectors of the recorded trace; 10,000 generated ones if it names none
  std::vector<std::size_t> sizes{64, 256, 1024, 3072, 12288, 65536};
  std::size_t threads = 2;   ///< that churn at once, each for itself
  bool glibc_trims = false;  ///< leaves it to glibc to return the top of its heap
  std::size_t rounds = 25;
  std::string json;
};

/// The memory pools against malloc and the pools of the standard library.
int run(const pool_command&);

}  // namespace bench
