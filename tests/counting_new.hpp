#pragma once

#include <cstddef>

/// The test program's operator new counts.
namespace test {

struct allocation_counts {
  std::size_t calls;  ///< how often operator new was called so far
  std::size_t bytes;  ///< how many bytes asked for are not given back
};

allocation_counts allocations() noexcept;

/// While it lives, operator new throws at the n-th call from now, and from then on works again.
class failing_allocation {
 public:
  explicit failing_allocation(std::size_t n) noexcept;
  failing_allocation(const failing_allocation&) = delete;
  failing_allocation& operator=(const failing_allocation&) = delete;
  ~failing_allocation();
};

}  // namespace test
