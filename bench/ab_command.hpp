// alidade_bench ab
#pragma once

#include "rank_test.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct ab_command {
  std::vector<std::string> a, b;  ///< command lines
  std::size_t best_of = 2;        ///< runs from which a round takes the best
  std::size_t rounds = 20;        ///< of which each gives a sample of either
  judging by;
  std::string metric;           ///< regular expression whose first group is a number; empty: the time
  bool more_is_better = false;  ///< of the metric
  bool cpu = false;             ///< processor time instead of wall time
  bool self_test = false;
  std::size_t trials = 50;  ///< of each kind in the self-test
  std::string json;
};

/// Takes what follows the first "--", which CLI11 would not keep apart, out of the arguments: the first command line up
/// to the second "--", and the second. Returns how many arguments are left. Does nothing for another subcommand.
int take_command_lines(int argc, char** argv, ab_command&);

/// Whether B is slower than A; then the exit code is 1. Or, in the self-test, whether that is found where it is so and
/// only there.
int run(const ab_command&);

}  // namespace bench
