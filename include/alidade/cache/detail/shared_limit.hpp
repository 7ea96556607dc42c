#pragma once

#include <atomic>
#include <cstddef>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/aligned.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A quantity of which several threads together use no more than a limit. Only a limit that is lowered can be below what is used.
class alignas(cache_line) shared_limit {
 public:
  explicit shared_limit(std::size_t limit) noexcept : limit_(limit) {}

  std::size_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  void set_limit(std::size_t limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }
  std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  std::size_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }

  /// Gives back `given`, which the caller has, and takes `taken` for it, at once. False, and nothing done: that would be, or
  /// stay, above the limit.
  bool exchange(std::size_t given, std::size_t taken) noexcept {
    std::size_t used = this->used();
    do {
      if (above_limit(used - given, taken) != 0) return false;
      if (given == taken) return true;
    } while (!used_.compare_exchange_weak(used, used - given + taken, std::memory_order_relaxed));
    raise_peak(used - given + taken);
    return true;
  }
  /// How much there must be given back beside `given` before an exchange can succeed.
  std::size_t missing(std::size_t given, std::size_t taken) const noexcept {
    return above_limit(used() - given, taken);
  }

  void give_back(std::size_t n) noexcept { used_.fetch_sub(n, std::memory_order_relaxed); }
  /// Whatever the limit.
  void take(std::size_t n) noexcept { raise_peak(used_.fetch_add(n, std::memory_order_relaxed) + n); }

 private:
  std::size_t above_limit(std::size_t rest, std::size_t taken) const noexcept {
    const std::size_t limit = this->limit();
    if (rest > limit) return rest - limit + taken;
    return taken > limit - rest ? taken - (limit - rest) : 0;
  }
  void raise_peak(std::size_t used) noexcept {
    std::size_t peak = this->peak();
    while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {}
  }

  std::atomic<std::size_t> limit_, used_{0}, peak_{0};
};

/// A part of a cache's budgets.
struct allowance {
  std::size_t bytes = 0, entries = 0;

  bool empty() const noexcept { return bytes == 0 && entries == 0; }
};

/// What the shards of a cache share. Entries are counted where their number is limited.
struct cache_budgets {
  shared_limit bytes, entries;
  bool limits_entries;
};

/// What a call has taken from shards to put something in; what is left of it goes back at the end.
class allowance_in_hand : public allowance {
 public:
  explicit allowance_in_hand(cache_budgets& budgets) noexcept : budgets_(budgets) {}
  allowance_in_hand(const allowance_in_hand&) = delete;
  allowance_in_hand& operator=(const allowance_in_hand&) = delete;
  ~allowance_in_hand() {
    if (bytes != 0) budgets_.bytes.give_back(bytes);
    if (budgets_.limits_entries && entries != 0) budgets_.entries.give_back(entries);
  }

 private:
  cache_budgets& budgets_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
