// alidade_bench perf
#pragma once

#include <cstddef>
#include <string>

namespace bench {

struct perf_command {
  std::size_t rounds = 50;
  std::size_t rows = 10000;  ///< of the index that is searched with and without a monitor
  std::size_t dimension = 128;
  std::string json;
};

/// What watching costs: a record, a timer, and a monitor around each search.
int run(const perf_command&);

}  // namespace bench
