// alidade_bench qlearning
#pragma once

#include <cstddef>
#include <string>

namespace bench {

struct qlearning_command {
  std::size_t batch = 100;  ///< transitions of a batch; targets are those of 100
  std::size_t rounds = 25;
  std::string json;
};

/// Batches of Q-learning, and the buffer that they are sampled from, against plain loops.
int run(const qlearning_command&);

}  // namespace bench
