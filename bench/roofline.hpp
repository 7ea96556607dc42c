// Kernels under the roofs of a machine: Williams, Waterman and Patterson, Roofline (2009).
#pragma once

#include "kernel_contest.hpp"
#include "roofs.hpp"

#include <string>
#include <vector>

namespace bench {

struct placed_kernel {
  element type;
  metric distance;
  spread ns;             ///< a distance
  double intensity = 0;  ///< operations a byte loaded
  double gops = 0;       ///< 1e9 operations a second, in the best round
  std::string bound;     ///< the roof above it: "load" or the name of a peak
  double of_bound = 0;   ///< share of that roof, best round against best round
};

/// Operations for each component: additions, subtractions, multiplications, absolute values, comparisons, counts of bits.
[[nodiscard]] double operations(metric);

/// Bits have no arithmetic roof, because there is none for counting them; halves have that of the floats they become,
/// unless there are instructions for their products.
[[nodiscard]] placed_kernel place(const kernel_figures&, std::size_t dimension, const machine_roofs&);

/// Draws roofs and kernels, both axes logarithmic. Throws an input_error when the file cannot be written.
void write_svg(const std::string& path, const std::string& title, const machine_roofs&,
               const std::vector<placed_kernel>&);

}  // namespace bench
