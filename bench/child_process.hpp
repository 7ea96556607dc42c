// Other programs, run and timed.
#pragma once

#include <string>
#include <vector>

namespace bench {

struct child_result {
  double wall_s = 0;
  double cpu_s = 0;    ///< of it and its children, user and system
  std::string output;  ///< what it wrote to standard output, when that was asked for
};

/// Whether this platform can run other programs.
[[nodiscard]] bool can_run_programs();

/// Runs a program, found as a shell would, and waits for its end. Its standard output is read or thrown away, its
/// errors go where ours go. Throws an input_error when it cannot be started or does not end with exit code 0.
[[nodiscard]] child_result run_child(const std::vector<std::string>& command, bool keep_output);

}  // namespace bench
