// Where and how a measurement was taken.
#pragma once

#include <string>

namespace bench {

struct machine {
  std::string cpu;
  unsigned cores = 0;
  std::string compiler;
  std::string flags;  ///< as the build passed them
  std::string arch;   ///< instruction set of our kernels
  std::string huge_pages;
};

[[nodiscard]] machine describe_machine();

}  // namespace bench
