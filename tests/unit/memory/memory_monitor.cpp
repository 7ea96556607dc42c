#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <alidade/memory/memory_monitor.hpp>
#include <alidade/memory/memory_sources.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using alidade::manual_memory_source;
using alidade::memory_monitor;
using alidade::memory_sample;
using alidade::pressure_tier;

namespace {

static_assert(alidade::memory_source<manual_memory_source>);
static_assert(alidade::memory_source<alidade::system_memory_source>);
static_assert(alidade::memory_source<alidade::no_memory_source>);
static_assert(!alidade::memory_source<int>);

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double step = 1e-9;  // the resolution of usages and pressures
constexpr pressure_tier upper_tiers[] = {pressure_tier::moderate, pressure_tier::high,
                                         pressure_tier::critical};

/// A monitor whose usages are set by hand, in billionths.
struct bench : memory_monitor<manual_memory_source> {
  explicit bench(const alidade::memory_monitor_options& options = {})
      : memory_monitor(manual_memory_source(1'000'000'000), options) {}

  double push(double usage) {
    source().set_usage(usage);
    return sample();
  }
};

int tier_changes(bench& monitor, double low, double high, int half_period, int rounds) {
  int changes = 0;
  for (int i = 0; i < rounds; ++i) {
    const pressure_tier before = monitor.tier();
    monitor.push(i / half_period % 2 == 0 ? low : high);
    changes += monitor.tier() != before;
  }
  return changes;
}

}  // namespace

TEST_CASE("usage is used over limit, raised by stalls, within 0..1") {
  CHECK(alidade::usage({.used_bytes = 70, .limit_bytes = 100}) == 0.70);
  CHECK(alidade::usage({.used_bytes = 0, .limit_bytes = 100}) == 0);
  CHECK(alidade::usage({.used_bytes = 100, .limit_bytes = 100}) == 1);
  CHECK(alidade::usage({.used_bytes = 101, .limit_bytes = 100}) == 1);
  CHECK(alidade::usage({.used_bytes = 0, .limit_bytes = 0}) == 1);
  const auto most = std::numeric_limits<std::uint64_t>::max();
  CHECK(alidade::usage({.used_bytes = most, .limit_bytes = most}) == 1);
  CHECK(alidade::usage({.used_bytes = most / 2, .limit_bytes = most}) == 0.5);

  CHECK(alidade::usage({.used_bytes = 50, .limit_bytes = 100, .stall = 0.5}) == 0.75);
  CHECK(alidade::usage({.used_bytes = 50, .limit_bytes = 100, .stall = 1}) == 1);
  CHECK(alidade::usage({.used_bytes = 25, .limit_bytes = 100, .stall = 7}) == 0.5);
  CHECK(alidade::usage({.used_bytes = 90, .limit_bytes = 100, .stall = 0.5}) == 1);
  CHECK(alidade::usage({.used_bytes = 50, .limit_bytes = 100, .stall = not_a_number}) == 0.5);
  CHECK(alidade::usage({.used_bytes = 50, .limit_bytes = 100, .stall = -1}) == 0.5);
}

TEST_CASE("the tiers are those of the table") {
  CHECK(alidade::fraction_to_evict(pressure_tier::low) == 0.10);
  CHECK(alidade::fraction_to_evict(pressure_tier::moderate) == 0.20);
  CHECK(alidade::fraction_to_evict(pressure_tier::high) == 0.30);
  CHECK(alidade::fraction_to_evict(pressure_tier::critical) == 0.50);
  CHECK(alidade::tier_boundary(pressure_tier::low) == 0);
  CHECK(alidade::tier_boundary(pressure_tier::moderate) == 0.70);
  CHECK(alidade::tier_boundary(pressure_tier::high) == 0.85);
  CHECK(alidade::tier_boundary(pressure_tier::critical) == 0.95);
  CHECK(alidade::default_memory_budget == 500'000'000);
}

TEST_CASE("pressures worked by hand") {
  bench monitor({.capacity = 4});
  CHECK(monitor.capacity() == 4);
  CHECK(monitor.pressure() == 0);
  CHECK(monitor.tier() == pressure_tier::low);
  CHECK(monitor.fraction_to_evict() == 0.10);
  CHECK(monitor.samples() == 0);

  CHECK(monitor.push(0.2) == 0.2);  // mean 0.2, no trend
  CHECK(monitor.push(0.4) == 0.4);  // mean 0.3 + 0.5 * 0.2
  CHECK(monitor.push(0.6) == 0.6);  // mean 0.4 + 0.5 * 0.4
  CHECK(monitor.push(0.8) == 0.8);  // mean 0.5 + 0.5 * 0.6
  CHECK(monitor.samples() == 4);
  CHECK(monitor.tier() == pressure_tier::moderate);
  CHECK(monitor.push(0.2) == 0.4);    // 0.4 0.6 0.8 0.2: mean 0.5 - 0.5 * 0.2
  CHECK(monitor.push(0.9) == 0.775);  // 0.6 0.8 0.2 0.9: mean 0.625 + 0.5 * 0.3
  CHECK(monitor.samples() == 4);
  CHECK(monitor.fraction_to_evict() == 0.20);
  CHECK(monitor.state().pressure == 0.775);
  CHECK(monitor.state().tier == pressure_tier::moderate);
  CHECK(monitor.state().samples == 4);

  bench thirds({.capacity = 3});
  for (const double usage : {0.1, 0.1, 0.2}) thirds.push(usage);
  CHECK(thirds.pressure() == 0.183333333);  // 0.4 / 3 + 0.05, rounded down
}

TEST_CASE("pressure is clamped to 0..1") {
  bench falling({.capacity = 3});
  for (const double usage : {0.6, 0.0, 0.0}) falling.push(usage);
  CHECK(falling.pressure() == 0);  // mean 0.2 - 0.3
  bench rising({.capacity = 3});
  for (const double usage : {0.2, 1.0, 1.0}) rising.push(usage);
  CHECK(rising.pressure() == 1);  // mean 0.7333 + 0.4
  CHECK(rising.tier() == pressure_tier::critical);
}

TEST_CASE("a ring of one has no trend") {
  bench monitor({.capacity = 1});
  for (const double usage : {0.3, 0.9, 0.0, 1.0}) CHECK(monitor.push(usage) == usage);
  CHECK(monitor.samples() == 1);
}

TEST_CASE("a boundary belongs to the higher tier, exactly, for any number of samples") {
  for (const pressure_tier tier : upper_tiers) {
    const double boundary = alidade::tier_boundary(tier);
    for (const std::size_t capacity : {1u, 3u, 7u, 16u, 1000u}) {
      bench at({.capacity = capacity}), below({.capacity = capacity});
      for (std::size_t i = 0; i < 2 * capacity + 1; ++i) {
        CHECK(at.push(boundary) == boundary);
        CHECK(at.tier() == tier);
        CHECK(below.push(boundary - step) < boundary);
        CHECK(static_cast<int>(below.tier()) == static_cast<int>(tier) - 1);
      }
    }
  }
  // Means that hit a boundary from usages that do not, the first in binary fractions a little below it.
  bench mixed({.capacity = 3});
  for (const double usage : {0.65, 0.80, 0.65}) mixed.push(usage);
  CHECK(mixed.pressure() == 0.70);
  CHECK(mixed.tier() == pressure_tier::moderate);
  bench under({.capacity = 3, .hysteresis = 0});
  for (const double usage : {0.65, 0.80 - step, 0.65}) under.push(usage);
  CHECK(under.pressure() == 0.699999999);
  CHECK(under.tier() == pressure_tier::low);
}

TEST_CASE("a tier is left downwards only below its boundary minus the hysteresis") {
  bench monitor({.capacity = 1});
  const auto tier_at = [&](double usage) {
    monitor.push(usage);
    return monitor.tier();
  };
  CHECK(tier_at(0.95) == pressure_tier::critical);
  CHECK(tier_at(0.92) == pressure_tier::critical);
  CHECK(tier_at(0.92 - step) == pressure_tier::high);
  CHECK(tier_at(0.95 - step) == pressure_tier::high);
  CHECK(tier_at(0.82) == pressure_tier::high);
  CHECK(tier_at(0.82 - step) == pressure_tier::moderate);
  CHECK(tier_at(0.85 - step) == pressure_tier::moderate);
  CHECK(tier_at(0.67) == pressure_tier::moderate);
  CHECK(tier_at(0.67 - step) == pressure_tier::low);
  CHECK(tier_at(0.70 - step) == pressure_tier::low);
  CHECK(tier_at(1.0) == pressure_tier::critical);
  CHECK(tier_at(0.84) == pressure_tier::high);
  CHECK(tier_at(1.0) == pressure_tier::critical);
  CHECK(tier_at(0.68) == pressure_tier::moderate);
  CHECK(tier_at(1.0) == pressure_tier::critical);
  CHECK(tier_at(0.0) == pressure_tier::low);

  bench plain({.capacity = 1, .hysteresis = 0});
  plain.push(0.70);
  CHECK(plain.tier() == pressure_tier::moderate);
  plain.push(0.70 - step);
  CHECK(plain.tier() == pressure_tier::low);
}

TEST_CASE("a square wave around a boundary changes the tier at most once") {
  for (const pressure_tier tier : upper_tiers) {
    const double boundary = alidade::tier_boundary(tier);
    int without = 0;
    for (int half_period = 1; half_period <= 40; ++half_period) {
      for (const double start : {boundary - 0.015, boundary + 0.015}) {
        bench monitor, restless({.hysteresis = 0});
        for (std::size_t i = 0; i < monitor.capacity(); ++i) {
          monitor.push(start);
          restless.push(start);
        }
        CHECK(tier_changes(monitor, boundary - 0.015, boundary + 0.015, half_period, 1000) <= 1);
        CHECK(monitor.tier() == tier);
        without += tier_changes(restless, boundary - 0.015, boundary + 0.015, half_period, 1000);
      }
    }
    CHECK(without > 80 * 10);  // it is the hysteresis that keeps them from it
  }
}

TEST_CASE("random walks agree with a naive model") {
  test::random r(11);
  for (const std::uint32_t capacity : {1u, 2u, 5u, 16u, 64u}) {
    for (const int width : {0, 30, 200}) {
      bench monitor({.capacity = capacity, .hysteresis = width / 1000.0});
      std::deque<int> ring;  // thousandths
      int usage = 500, tier = 0;
      for (int i = 0; i < 4000; ++i) {
        usage = std::clamp(usage + static_cast<int>(r.below(161)) - 80 + (usage < 700 ? 3 : -3), 0, 1000);
        if (r.below(200) == 0) usage = static_cast<int>(r.below(1001));
        ring.push_back(usage);
        if (ring.size() > capacity) ring.pop_front();
        const double pressure = monitor.push(usage / 1000.0);

        // Pressure times 2n, in thousandths.
        const int n = static_cast<int>(ring.size());
        int sum = 0;
        for (const int u : ring) sum += u;
        const int expected = std::clamp(2 * sum + n * (ring.back() - ring.front()), 0, 2000 * n);
        const int boundaries[] = {0, 700 * 2 * n, 850 * 2 * n, 950 * 2 * n};
        int entered = 0, kept = 0;
        for (int t = 1; t < 4; ++t) {
          if (expected >= boundaries[t]) entered = t;
          if (t <= tier && expected >= boundaries[t] - width * 2 * n) kept = t;
        }
        tier = std::max(entered, kept);

        REQUIRE(pressure <= expected / (2000.0 * n) + 1e-15);
        REQUIRE(pressure > expected / (2000.0 * n) - 1.001 * step);
        REQUIRE(static_cast<int>(monitor.tier()) == tier);
        REQUIRE(monitor.samples() == ring.size());
      }
    }
  }
}

TEST_CASE("options out of range are refused") {
  const alidade::memory_monitor_options bad[] = {
      {.capacity = 0},       {.capacity = 65'537},  {.capacity = static_cast<std::size_t>(-1)},
      {.hysteresis = -0.01}, {.hysteresis = 0.501}, {.hysteresis = not_a_number},
  };
  for (const auto& options : bad) {
    std::error_code ec;
    memory_monitor monitor(manual_memory_source(100), options, ec);
    CHECK(ec == alidade::errc::invalid_option);
    CHECK(monitor.capacity() == 16);
    CHECK_THROWS_AS(bench{options}, alidade::error);
  }
  for (const auto& options : {alidade::memory_monitor_options{.capacity = 65'536, .hysteresis = 0.5},
                              alidade::memory_monitor_options{.capacity = 1, .hysteresis = 0}}) {
    std::error_code ec = alidade::errc::invalid_option;
    memory_monitor monitor(manual_memory_source(100), options, ec);
    CHECK_FALSE(ec);
    CHECK(monitor.capacity() == options.capacity);
  }
}

TEST_CASE("the longest ring overflows nothing") {
  bench monitor({.capacity = 65'536});
  for (int i = 0; i < 65'536; ++i) monitor.push(1.0);
  CHECK(monitor.pressure() == 1);
  CHECK(monitor.samples() == 65'536);
  CHECK(monitor.push(0.0) == doctest::Approx(65'535 / 65'536.0 - 0.5).epsilon(1e-8));
}

TEST_CASE("a source that cannot say leaves the monitor as it was") {
  struct moody_source {
    bool fails = false;
    bool throws = false;
    memory_sample sample(std::error_code& ec) const {
      if (throws) throw std::runtime_error("moody");
      if (fails) ec = std::make_error_code(std::errc::io_error);
      return {fails ? std::uint64_t{99} : std::uint64_t{40}, 100};
    }
  };
  memory_monitor monitor(moody_source{});
  CHECK(monitor.sample() == 0.4);
  monitor.source().fails = true;
  std::error_code ec;
  CHECK(monitor.sample(ec) == 0.4);
  CHECK(ec == std::errc::io_error);
  CHECK_THROWS_AS(monitor.sample(), alidade::error);
  monitor.source() = {.throws = true};
  CHECK_THROWS_AS(monitor.sample(ec), std::runtime_error);
  CHECK(monitor.samples() == 1);
  CHECK(monitor.pressure() == 0.4);
  monitor.source() = {};
  CHECK(monitor.sample(ec) == 0.4);
  CHECK_FALSE(ec);
  CHECK(monitor.samples() == 2);
  static_assert(!noexcept(monitor.sample(ec)));
  static_assert(noexcept(std::declval<bench&>().sample(ec)));
}

TEST_CASE("sampling allocates nothing") {
  bench monitor({.capacity = 100});
  const auto before = test::allocations();
  for (int i = 0; i < 1000; ++i) monitor.push(i / 1000.0);
  CHECK(test::allocations().calls == before.calls);
}

TEST_CASE(
    "other threads read while one samples, and never see the tier of one sample with the pressure of "
    "another") {
  if constexpr (!ALIDADE_HAS_THREADS) {
    MESSAGE("skipped: no threads");
    return;
  }
  bench monitor({.capacity = 4});
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  readers.reserve(2);
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) {
        const auto state = monitor.state();
        const auto above = static_cast<int>(state.tier) + 1;
        const bool low_enough =
            above > 3 || state.pressure < alidade::tier_boundary(static_cast<pressure_tier>(above));
        const bool high_enough = state.pressure >= alidade::tier_boundary(state.tier) - 0.03 - step;
        if (!low_enough || !high_enough || state.samples > 4) ++wrong;
        if (monitor.pressure() > 1 || monitor.fraction_to_evict() < 0.1 || monitor.samples() > 4) ++wrong;
      }
    });
  }
  test::random r(3);
  for (int i = 0; i < 20'000; ++i) monitor.push(r.below(1001) / 1000.0);
  done = true;
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
}
