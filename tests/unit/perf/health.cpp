#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>

#include <alidade/perf/health.hpp>

using namespace alidade::perf;

namespace {

constexpr health_limits both_limits{
    .degraded_ns = 1000, .critical_ns = 5000, .recovery = 0.8, .hold = 2, .min_count = 10};

/// The states after each of some intervals: o, d or c.
std::string states(const health_limits& under, std::initializer_list<std::uint64_t> values) {
  health_tracker tracker;
  std::string result;
  for (const std::uint64_t ns : values) result += name_of(tracker.update(under, ns, 100))[0];
  return result;
}

}  // namespace

TEST_CASE("a limit itself belongs to the worse state, which is entered at once") {
  CHECK(states(both_limits, {0, 999, 1000, 4999, 5000}) == "ooddc");
  CHECK(states(both_limits, {5000}) == "c");
}

TEST_CASE("a state is left when two intervals in a row are below 0.8 of its limit") {
  CHECK(states(both_limits, {1000, 799, 799}) == "ddo");
  CHECK(states(both_limits, {1000, 800, 800, 800, 800}) == "ddddd");
  CHECK(states(both_limits, {1000, 799, 800, 799, 799}) == "ddddo");
  CHECK(states(both_limits, {5000, 4000, 4000, 3999, 3999}) == "ccccd");
}

TEST_CASE("from critical to the worst state that all intervals of the row deserve") {
  CHECK(states(both_limits, {6000, 100, 100}) == "cco");
  CHECK(states(both_limits, {6000, 100, 3000}) == "ccd");
  CHECK(states(both_limits, {6000, 3000, 100, 100, 100}) == "ccddo");
}

TEST_CASE("a value that swings about a limit changes the state once") {
  CHECK(states(both_limits, {990, 1010, 990, 1010, 990, 1010, 990}) == "odddddd");
}

TEST_CASE("intervals with few latencies neither end a row nor lengthen it") {
  health_tracker tracker;
  CHECK(tracker.update(both_limits, 9000, 9) == health::ok);
  CHECK(tracker.update(both_limits, 1500, 10) == health::degraded);
  CHECK(tracker.update(both_limits, 100, 10) == health::degraded);
  CHECK(tracker.update(both_limits, 0, 0) == health::degraded);
  CHECK(tracker.update(both_limits, 9000, 9) == health::degraded);
  CHECK(tracker.update(both_limits, 100, 10) == health::ok);
  CHECK(tracker.state() == health::ok);
}

TEST_CASE("limits of 0 are none") {
  constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  CHECK(states({}, {0, 1000, huge}) == "ooo");
  CHECK(states({.degraded_ns = 100, .hold = 1}, {huge, 79}) == "do");
  CHECK(states({.critical_ns = 100, .hold = 1}, {99, 100, 80, 79}) == "occo");
  CHECK(states({.degraded_ns = 100, .critical_ns = 100, .recovery = 1, .hold = 1}, {100, 99, 100}) == "coc");
}

TEST_CASE("limits out of range are invalid") {
  CHECK(valid(health_limits{}));
  CHECK(valid(both_limits));
  CHECK(valid(
      {.quantile = 0, .degraded_ns = 5, .critical_ns = 5, .recovery = 1, .hold = 1'000'000, .min_count = 1}));
  CHECK_FALSE(valid({.quantile = -0.01}));
  CHECK_FALSE(valid({.quantile = 1.01}));
  CHECK_FALSE(valid({.quantile = std::numeric_limits<double>::quiet_NaN()}));
  CHECK_FALSE(valid({.degraded_ns = 6, .critical_ns = 5}));
  CHECK_FALSE(valid({.recovery = 0}));
  CHECK_FALSE(valid({.recovery = 1.5}));
  CHECK_FALSE(valid({.recovery = std::numeric_limits<double>::quiet_NaN()}));
  CHECK_FALSE(valid({.hold = 0}));
  CHECK_FALSE(valid({.hold = 1'000'001}));
  CHECK_FALSE(valid({.min_count = 0}));
}
