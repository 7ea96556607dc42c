#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>

#include <alidade/config/compiler.hpp>
#include <alidade/perf/clock.hpp>
#include <alidade/perf/latency_histogram.hpp>
#include <alidade/perf/scoped_timer.hpp>

using namespace alidade::perf;
using std::chrono::steady_clock;

namespace {

std::uint64_t steady_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count());
}

/// Both clocks at one moment; the narrowest of several tries, because this thread may be interrupted between the
/// readings.
struct moment {
  tick t{};
  std::uint64_t ns = 0;
};

moment both_clocks() {
  moment best;
  std::uint64_t narrowest = ~std::uint64_t{0};
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t before = steady_ns();
    const tick t = tick_clock::now();
    const std::uint64_t width = steady_ns() - before;
    if (width < narrowest) {
      narrowest = width;
      best = {t, before + width / 2};
    }
  }
  return best;
}

struct sum_of_latencies {
  std::uint64_t records = 0, total = 0;
  void record(std::uint64_t ns) noexcept {
    ++records;
    total += ns;
  }
};

struct deaf {
  static constexpr bool records_nothing = true;
  void record(std::uint64_t) const noexcept {}
};

}  // namespace

TEST_CASE("the tick clock does not run backwards") {
  tick last = tick_clock::now();
  bool monotone = true;
  for (int i = 0; i < 200'000; ++i) {
    const tick now = tick_clock::now();
    monotone = monotone && now >= last;
    last = now;
  }
  CHECK(monotone);
}

TEST_CASE("the tick clock is within 1 % of the steady clock") {
  const clock_calibration& calibration = tick_clock::calibration();
  CHECK(calibration.ns_per_tick > 0);
  CHECK(calibration.relative_error >= 0);
  const moment begin = both_clocks();
  while (steady_ns() < begin.ns + 40'000'000) {}
  const moment end = both_clocks();
  const auto expected = static_cast<double>(end.ns - begin.ns);
  const auto measured = static_cast<double>(tick_clock::ns_between(begin.t, end.t));
  INFO("source ", name_of(calibration.source), ", ns a tick ", calibration.ns_per_tick, ", error ",
       calibration.relative_error, ", ", expected, " and ", measured, " ns");
  CHECK(std::abs(measured - expected) <= 0.01 * expected);
#if defined(__EMSCRIPTEN__)
  CHECK(calibration.source == clock_source::performance_now);
#elif ALIDADE_HAS_CNTVCT
  CHECK(calibration.source != clock_source::tsc);
#elif !ALIDADE_HAS_TSC
  CHECK(calibration.source == clock_source::steady);
#endif
}

TEST_CASE("distances of ticks are whole nanoseconds, none of them negative") {
  const double rate = tick_clock::calibration().ns_per_tick;
  CHECK(tick_clock::ns_between(tick{5}, tick{5}) == 0);
  CHECK(tick_clock::ns_between(tick{6}, tick{5}) == 0);
  for (const std::uint64_t ticks : {std::uint64_t{1}, std::uint64_t{1000}, std::uint64_t{0xffffffff},
                                    std::uint64_t{0x100000000}, std::uint64_t{1} << 45}) {
    const std::uint64_t begin = 123'456'789;
    const double ns = static_cast<double>(ticks) * rate;
    const auto got = static_cast<double>(tick_clock::ns_between(tick{begin}, tick{begin + ticks}));
    CHECK(std::abs(got - ns) <= 0.5 + 1e-8 * ns);
  }
}

TEST_CASE("every source has a name") {
  CHECK(std::string(name_of(clock_source::tsc)) == "tsc");
  CHECK(std::string(name_of(clock_source::cntvct)) == "cntvct_el0");
  CHECK(std::string(name_of(clock_source::performance_now)) == "performance.now");
  CHECK(std::string(name_of(clock_source::steady)) == "steady_clock");
}

TEST_CASE("a scoped timer records once, unless it is cancelled") {
  sum_of_latencies sink;
  { const scoped_timer timer(sink); }
  CHECK(sink.records == 1);
  {
    scoped_timer timer(sink);
    const std::uint64_t begin = steady_ns();
    while (steady_ns() < begin + 2'000'000) {}
    const std::uint64_t before = sink.total;
    const std::uint64_t ns = timer.stop();
    CHECK(ns >= 1'900'000);
    CHECK(sink.total - before == ns);
    CHECK(timer.stop() == 0);
  }
  CHECK(sink.records == 2);
  {
    scoped_timer timer(sink);
    timer.cancel();
    CHECK(timer.stop() == 0);
  }
  CHECK(sink.records == 2);
  latency_histogram histogram;
  for (int i = 0; i < 10; ++i) const scoped_timer timer(histogram);
  CHECK(histogram.count() == 10);
}

TEST_CASE("a scoped timer of a sink that records nothing is empty") {
  const deaf sink;
  scoped_timer timer(sink);
  static_assert(std::is_empty_v<decltype(timer)>);
  CHECK(timer.stop() == 0);
}
