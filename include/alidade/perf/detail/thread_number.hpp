#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {
namespace detail {

/// Small numbers for the threads that are alive: a thread has its own from its first question to its end, then it goes
/// to the next that asks. The lowest that is free is given, so that few threads have small numbers whatever came before
/// them.
///
/// Who gets a number sees all that its owner before did: giving back releases, taking acquires. So what belongs to a
/// number is written by one thread at a time, without locked instructions.
class thread_numbers {
 public:
  static constexpr std::uint32_t count = 256;
  /// Of a thread that came when there was no number left.
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max() - 1;

  std::uint32_t take() noexcept {
    for (std::uint32_t w = 0; w < taken_.size(); ++w) {
      std::uint32_t bits = taken_[w].load(std::memory_order_relaxed);
      while (bits != ~std::uint32_t{0}) {
        const auto bit = static_cast<std::uint32_t>(std::countr_one(bits));
        const std::uint32_t with = bits | std::uint32_t{1} << bit;
        if (taken_[w].compare_exchange_weak(bits, with, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
          return w * 32 + bit;
        }
      }
    }
    return none;
  }

  void give_back(std::uint32_t number) noexcept {
    if (number < count) {
      taken_[number / 32].fetch_and(~(std::uint32_t{1} << number % 32), std::memory_order_release);
    }
  }

 private:
  std::array<std::atomic<std::uint32_t>, count / 32> taken_{};
};

#if ALIDADE_HAS_THREADS

inline thread_numbers& all_thread_numbers() noexcept {
  static constinit thread_numbers numbers;
  return numbers;
}

/// Trivial to make and to destroy, so that a look at it is one load.
inline std::uint32_t& own_thread_number() noexcept {
  static constinit thread_local std::uint32_t number = std::numeric_limits<std::uint32_t>::max();
  return number;
}

ALIDADE_NOINLINE inline std::uint32_t take_thread_number() noexcept {
  struct holder {
    holder() noexcept { own_thread_number() = all_thread_numbers().take(); }
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    ~holder() {
      // What other thread-local objects record in their destructors goes where threads without a number record.
      all_thread_numbers().give_back(own_thread_number());
      own_thread_number() = thread_numbers::none;
    }
  };
  static thread_local const holder held;
  return own_thread_number();
}

/// The number of the calling thread.
inline std::uint32_t thread_number() noexcept {
  const std::uint32_t number = own_thread_number();
  return number != std::numeric_limits<std::uint32_t>::max() ? number : take_thread_number();
}

#else

inline std::uint32_t thread_number() noexcept { return 0; }

#endif

}  // namespace detail
}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
