// A whole cycle of a service around an adaptive search.
#pragma once

#include "json_lines.hpp"

namespace bench {

/// Prints how long a request takes from its check to the record of its latency. `file` may be null.
void measure_full_cycle(json_file* file);

}  // namespace bench
