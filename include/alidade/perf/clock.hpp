#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

#if ALIDADE_HAS_TSC
#if __has_include(<cpuid.h>)
#include <cpuid.h>
#else
#include <intrin.h>
#endif
#elif ALIDADE_IS_EMSCRIPTEN
#include <emscripten/emscripten.h>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

/// What tick_clock reads.
enum class clock_source : unsigned char {
  tsc,              ///< the time stamp counter of x86-64, where the processor says that its rate is constant
  cntvct,           ///< the virtual counter of 64-bit ARM
  performance_now,  ///< the JavaScript engine's clock
  steady,           ///< std::chrono::steady_clock
};

constexpr const char* name_of(clock_source source) noexcept {
  switch (source) {
    case clock_source::tsc:
      return "tsc";
    case clock_source::cntvct:
      return "cntvct_el0";
    case clock_source::performance_now:
      return "performance.now";
    case clock_source::steady:
      return "steady_clock";
  }
  return "unknown";
}

/// A reading of tick_clock: ticks since some moment.
enum class tick : std::uint64_t {};

struct clock_calibration {
  clock_source source = clock_source::steady;
  double ns_per_tick = 1;
  double relative_error = 0;  ///< bound on that of ns_per_tick, against std::chrono::steady_clock
};

namespace detail {

inline std::uint64_t steady_ns() noexcept {
  using std::chrono::nanoseconds, std::chrono::steady_clock;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count());
}

/// Whether the counter keeps its rate in all states of power. Of x86-64: CPUID 8000'0007h, EDX bit 8, "invariant TSC"
/// (Intel SDM volume 3, section 18.17.1; AMD APM volume 3, appendix E). ARM's counter always does (DDI 0487, D12.1).
inline bool counts_steadily() noexcept {
#if ALIDADE_HAS_TSC && __has_include(<cpuid.h>)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;
#elif ALIDADE_HAS_TSC
  int registers[4] = {};
  __cpuid(registers, static_cast<int>(0x80000000u));
  if (static_cast<unsigned>(registers[0]) < 0x80000007u) return false;
  __cpuid(registers, static_cast<int>(0x80000007u));
  return (registers[3] >> 8 & 1) != 0;
#else
  return ALIDADE_HAS_CNTVCT != 0;
#endif
}

inline constexpr clock_source cycle_counter = ALIDADE_HAS_TSC != 0 ? clock_source::tsc : clock_source::cntvct;

/// Not ordered with the instructions around it: what the processor has in flight, a few hundred instructions, may be
/// counted or not, up to some tens of nanoseconds. A fence would make each reading 5 to 20 ns dearer, and the work
/// around it slower.
inline std::uint64_t read_cycles() noexcept {
#if ALIDADE_HAS_TSC && __has_include(<cpuid.h>)
  return __builtin_ia32_rdtsc();
#elif ALIDADE_HAS_TSC
  return __rdtsc();
#elif ALIDADE_HAS_CNTVCT
  std::uint64_t cycles;
  asm volatile("mrs %0, cntvct_el0" : "=r"(cycles));
  return cycles;
#else
  return 0;
#endif
}

/// One moment on both clocks: the counter read between two readings of the steady clock, `width` apart.
struct clock_anchor {
  std::uint64_t cycles = 0;
  std::uint64_t ns = 0;
  std::uint64_t width = ~std::uint64_t{0};
};

/// The narrowest of 32 tries, so that one during which the thread was interrupted does not count.
inline clock_anchor take_anchor() noexcept {
  clock_anchor best;
  for (int i = 0; i < 32; ++i) {
    const std::uint64_t before = steady_ns();
    const std::uint64_t cycles = read_cycles();
    const std::uint64_t width = steady_ns() - before;
    if (width < best.width) best = {cycles, before + width / 2, width};
  }
  return best;
}

/// The rate between two anchors. Each reading of the counter lies within half a width of the anchor's time, and is
/// whole ticks; steady_clock counts whole nanoseconds.
inline clock_calibration rate_between(const clock_anchor& a, const clock_anchor& b) noexcept {
  clock_calibration c{cycle_counter, 0, 1};
  if (b.cycles <= a.cycles || b.ns <= a.ns) return c;
  const auto ns = static_cast<double>(b.ns - a.ns);
  c.ns_per_tick = ns / static_cast<double>(b.cycles - a.cycles);
  c.relative_error = (static_cast<double>(a.width + b.width) / 2 + 2 + c.ns_per_tick) / ns;
  return c;
}

/// Watches both clocks for 5 ms, in two halves. A counter whose halves disagree by more than their errors and 200 ppm
/// (the steady clock may be slewed meanwhile) is not believed.
inline clock_calibration calibrate() noexcept {
#if ALIDADE_IS_EMSCRIPTEN
  return {clock_source::performance_now, 1, 0};
#else
  constexpr std::uint64_t half = 2'500'000;
  if (!counts_steadily()) return {};
  const auto anchor_at = [](std::uint64_t ns) {
    while (steady_ns() < ns) {}
    return take_anchor();
  };
  const clock_anchor begin = take_anchor();
  const clock_anchor middle = anchor_at(begin.ns + half);
  const clock_anchor end = anchor_at(begin.ns + 2 * half);
  const clock_calibration first = rate_between(begin, middle), second = rate_between(middle, end);
  const double apart = second.ns_per_tick - first.ns_per_tick;
  const double bound = (first.relative_error + second.relative_error + 2e-4) * first.ns_per_tick;
  if (first.ns_per_tick <= 0 || second.ns_per_tick <= 0 || apart > bound || -apart > bound) return {};
  return rate_between(begin, end);
#endif
}

/// What was calibrated, once for the program. The rest is written before `ready` says more than `not_yet`.
struct clock_state {
  enum class what : unsigned char { not_yet, cycles, other };

  std::atomic<what> ready{what::not_yet};
  std::uint32_t fraction = 0;  ///< ns_per_tick = whole + fraction / 2^32
  std::uint64_t whole = 1;
  clock_calibration calibration;
};

inline clock_state& shared_clock_state() noexcept {
  static constinit clock_state state;
  return state;
}

ALIDADE_NOINLINE inline const clock_state& calibrated_clock_state() noexcept {
  static const bool once = [] {
    clock_state& state = shared_clock_state();
    state.calibration = calibrate();
    const double rate = state.calibration.ns_per_tick;
    state.whole = static_cast<std::uint64_t>(rate);
    state.fraction = static_cast<std::uint32_t>((rate - static_cast<double>(state.whole)) * 0x1p32);
    const bool cycles = state.calibration.source == cycle_counter;
    state.ready.store(cycles ? clock_state::what::cycles : clock_state::what::other,
                      std::memory_order_release);
    return true;
  }();
  static_cast<void>(once);
  return shared_clock_state();
}

ALIDADE_NOINLINE inline std::uint64_t read_calibrated_clock() noexcept {
  return calibrated_clock_state().calibration.source == cycle_counter ? read_cycles() : steady_ns();
}

}  // namespace detail

/// The clock of the timers: the cheapest that this machine has and that can be trusted.
///
/// A cycle counter is calibrated once, at the first use, by reading it between two readings of
/// std::chrono::steady_clock, at two moments 5 ms apart. The reading is within half the distance of the two (some 20 ns
/// each), so ns_per_tick is right to about 1 part in 10^5; calibration() tells the bound that was reached. To that
/// comes what the system itself corrects steady_clock by, at most 500 ppm. The thread that comes first spends those 5
/// ms; perf::monitor does it when it is made.
///
/// Resolution: a cycle of the counter, on x86-64 below 1 ns, on ARM 1 to 52 ns (CNTFRQ_EL0); in browsers 5 us on pages
/// that are isolated (COOP, COEP) and 100 us on others, where times of single searches say little. A reading costs 10
/// ns on a virtual AMD Zen 5 and less on other machines.
class tick_clock {
 public:
  ALIDADE_FORCE_INLINE static tick now() noexcept {
#if ALIDADE_IS_EMSCRIPTEN
    return tick{static_cast<std::uint64_t>(emscripten_get_now() * 1e6)};
#else
    using state = detail::clock_state;
    const bool cycles =
        detail::shared_clock_state().ready.load(std::memory_order_relaxed) == state::what::cycles;
    return tick{cycles ? detail::read_cycles() : detail::read_calibrated_clock()};
#endif
  }

  /// Nanoseconds from one reading to a later one, rounded; modulo 2^64. 0 when `end` is before `begin`, as it can be
  /// where processors count a little apart.
  ALIDADE_FORCE_INLINE static std::uint64_t ns_between(tick begin, tick end) noexcept {
    if (end <= begin) return 0;
    // Whole numbers: conversions to double and back would take three times as long, which nothing hides behind a
    // reading of the counter.
    const std::uint64_t ticks = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(begin);
    const std::uint64_t high = ticks >> 32, low = ticks & 0xffffffffu, half = std::uint64_t{1} << 31;
    const detail::clock_state& state = calibrated();
    return ticks * state.whole + high * state.fraction + ((low * state.fraction + half) >> 32);
  }

  static const clock_calibration& calibration() noexcept { return calibrated().calibration; }

 private:
  ALIDADE_FORCE_INLINE static const detail::clock_state& calibrated() noexcept {
    const detail::clock_state& state = detail::shared_clock_state();
    const bool ready = state.ready.load(std::memory_order_acquire) != detail::clock_state::what::not_yet;
    return ready ? state : detail::calibrated_clock_state();
  }
};

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
