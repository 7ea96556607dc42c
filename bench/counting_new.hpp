// A global operator new that can count.
#pragma once

#include <cstddef>

namespace bench {

/// While one of these lives, what operator new hands out is recorded (and costs much more than usual). Otherwise
/// operator new is malloc and one predicted branch, so that timings do not suffer. One at a time.
class allocation_count {
 public:
  allocation_count();
  allocation_count(const allocation_count&) = delete;
  allocation_count& operator=(const allocation_count&) = delete;
  ~allocation_count();

  /// Bytes asked for since this began and not given back.
  [[nodiscard]] std::size_t live_bytes() const;
  /// The most that live_bytes() has been.
  [[nodiscard]] std::size_t peak_bytes() const;
  [[nodiscard]] std::size_t live_blocks() const;
};

}  // namespace bench
