// Our kernels beside scalar code, the compiler's own and the peers', over memory of a chosen level.
#pragma once

#include "caches.hpp"
#include "contest.hpp"
#include "kernel_set.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace bench {

struct kernel_group {
  std::vector<element> types;
  metric distance = metric::l2;
  std::size_t dimension = 0;
  memory_level level = memory_level::l1;
  form how = form::pair;
  std::vector<std::string> peers;
  bool only_ours = false;  ///< without scalar code, the compiler's and the peers
};

/// A kernel's figures. Ratios are taken within rounds.
struct kernel_figures {
  element type = element::f32;
  metric distance = metric::l2;
  std::string name;               ///< "alidade", "scalar", "O3", or the peer
  spread ns;                      ///< a distance
  std::vector<double> ns_rounds;  ///< the same in each round
  double bytes = 0;               ///< that a distance takes from the level
  spread gb_s;
  spread of_load;              ///< share of the load bandwidth
  std::optional<spread> ours;  ///< how many times as long as ours it takes; none for ours
  std::optional<spread>
      than_f32;  ///< how many times as fast as our f32 kernel it is; of ours, when f32 is there
};

/// Times all kernels of the group in one contest, ours first for each type. Types without such a metric are left out. Of
/// bits, the f32 kernel they are set against is l2's. Throws a std::runtime_error when results differ.
[[nodiscard]] std::vector<kernel_figures> measure(const kernel_group&, const contest_options&);

}  // namespace bench
