#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// When entries expire, by slot, in nanoseconds of a clock: nothing until one does.
class expiry_times {
 public:
  explicit expiry_times(memory_resource* memory) noexcept : times_(memory) {}

  std::size_t memory_bytes() const noexcept { return times_.capacity() * sizeof(std::int64_t); }
  bool empty() const noexcept { return times_.empty(); }

  /// Makes room for so many slots; for an eighth more where there was some. Strong guarantee.
  void reserve(std::size_t slots) {
    if (times_.size() < slots) resize(slots + times_.size() / 8);
  }
  /// What memory_bytes() is after reserve(slots).
  std::size_t bytes_with(std::size_t slots) const noexcept {
    return times_.size() < slots ? (slots + times_.size() / 8) * sizeof(std::int64_t) : memory_bytes();
  }
  /// Gives back what is beyond so many slots. Whether that was anything. Strong guarantee.
  bool shrink(std::size_t slots) {
    const std::size_t before = times_.capacity();
    if (before > slots) resize(slots);
    return times_.capacity() < before;
  }

  /// `time_to_live` from `now` on; for ever where the clock does not reach so far.
  void set(std::uint32_t slot, std::int64_t now, std::chrono::nanoseconds time_to_live) noexcept {
    constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    times_[slot] = now > 0 && time_to_live.count() > last - now ? last : now + time_to_live.count();
  }
  bool is_over(std::uint32_t slot, std::int64_t now) const noexcept { return times_[slot] <= now; }
  void relocate(std::uint32_t from, std::uint32_t to) noexcept { times_[to] = times_[from]; }

 private:
  void resize(std::size_t slots) {
    resource_vector<std::int64_t> all(times_.get_allocator());
    all.reserve(slots);
    all.assign(times_.begin(), times_.begin() + static_cast<std::ptrdiff_t>(std::min(times_.size(), slots)));
    all.resize(slots);
    times_ = std::move(all);
  }

  resource_vector<std::int64_t> times_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
