// What an index asks of its memory resource, recorded, and played back to pools.
#pragma once

#include "json_lines.hpp"
#include "pool_command.hpp"

namespace bench {

/// Records an index of the command's vectors that is searched while vectors are added, and shows how many of the
/// allocations pools answer with a block that they had before, and in what time.
void measure_trace(const pool_command&, json_file*);

}  // namespace bench
