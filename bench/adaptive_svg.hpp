// A drawing of recall and latency over the queries of `adaptive`.
#pragma once

#include "adaptive_workload.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace bench {

/// Means over windows of queries.
struct drawn_series {
  std::string name, colour;
  std::vector<double> recall, us;
};

struct adaptive_drawing {
  std::string title;
  double target = 0;         ///< the recall asked for
  std::size_t window = 0;    ///< queries
  std::size_t learning = 0;  ///< queries
  std::span<const query_phase> phases;
  std::vector<drawn_series> series;
};

void write_svg(const std::string& path, const adaptive_drawing&);

}  // namespace bench
