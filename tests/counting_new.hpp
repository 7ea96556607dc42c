#pragma once

#include <cstddef>

/// The test program's operator new counts.
namespace test {

struct allocation_counts {
  std::size_t calls;  ///< how often operator new was called so far
  std::size_t bytes;  ///< how many bytes asked for are not given back
};

allocation_counts allocations() noexcept;

}  // namespace test
