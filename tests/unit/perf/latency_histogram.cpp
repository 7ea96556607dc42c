#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <alidade/perf/latency_histogram.hpp>

#include "../../support.hpp"

using alidade::perf::latency_histogram;
using scale = alidade::perf::detail::log_linear;

namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

/// 31 random bits of the tests' generator, and from these 62.
std::uint64_t wide(test::random& r) { return std::uint64_t{r.below(1u << 31)} << 31 | r.below(1u << 31); }

/// The distributions: constants, uniform in several ranges, log-uniform over everything, exponential with a long tail,
/// two humps far apart, and the values around the bounds of buckets.
std::vector<std::vector<std::uint64_t>> distributions() {
  test::random r(7);
  std::vector<std::vector<std::uint64_t>> all{
      {0}, {1}, {scale::largest}, {127, 128, 129}, std::vector<std::uint64_t>(1000, 123'456)};
  const auto add = [&](std::size_t n, auto value) {
    std::vector<std::uint64_t> values(n);
    for (std::uint64_t& v : values) v = value();
    all.push_back(values);
  };
  add(5000, [&] { return std::uint64_t{r.below(128)}; });
  add(5000, [&] { return std::uint64_t{r.below(1000)}; });
  add(20000, [&] { return 20'000 + std::uint64_t{r.below(30'000)}; });
  add(20000, [&] { return wide(r) >> (19 + r.below(43)); });  // up to 2^43 - 1
  add(20000, [&] { return static_cast<std::uint64_t>(-5e4 * std::log((r.below(1u << 24) + 1) * 0x1p-24)); });
  add(9999, [&] {
    return r.below(100) < 98 ? 30'000 + std::uint64_t{r.below(3000)}
                             : 3'600'000'000'000 + wide(r) % 1'000'000;
  });
  std::vector<std::uint64_t> edges;
  for (std::size_t i = 0; i < scale::over; ++i) {
    edges.push_back(scale::lower_bound(i));
    edges.push_back(scale::upper_bound(i));
  }
  all.push_back(edges);
  return all;
}

latency_histogram histogram_of(const std::vector<std::uint64_t>& values) {
  latency_histogram h;
  for (const std::uint64_t v : values) h.record(v);
  return h;
}

}  // namespace

TEST_CASE(
    "buckets cover all values without gaps, in order, and none is wider than a fiftieth of its values") {
  CHECK(scale::lower_bound(0) == 0);
  bool in_order = true, narrow = true, inverse = true;
  for (std::size_t i = 0; i < scale::over; ++i) {
    const std::uint64_t low = scale::lower_bound(i), high = scale::upper_bound(i);
    in_order = in_order && low <= high && (i == 0 || scale::upper_bound(i - 1) + 1 == low);
    inverse = inverse && scale::index_of(low) == i && scale::index_of(high) == i &&
              scale::index_of(low + (high - low) / 2) == i;
    // The middle is within 1 % of every value: 100 * (high - middle) <= low, and the other way round.
    const std::uint64_t middle = scale::middle(i);
    narrow = narrow && 100 * (high - middle) <= high && 100 * (middle - low) <= low;
    if (high < 128) narrow = narrow && low == high;
  }
  CHECK(in_order);
  CHECK(inverse);
  CHECK(narrow);
  CHECK(scale::upper_bound(scale::over - 1) == scale::largest);
  CHECK(scale::largest == (std::uint64_t{1} << 43) - 1);
  CHECK(scale::index_of(scale::largest + 1) == scale::over);
  CHECK(scale::index_of(most) == scale::over);
}

TEST_CASE("quantiles are within 1 % of a sorted vector's, and the other figures exact") {
  for (const std::vector<std::uint64_t>& values : distributions()) {
    const latency_histogram h = histogram_of(values);
    std::vector<std::uint64_t> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    CHECK(h.count() == values.size());
    CHECK(h.min() == sorted.front());
    CHECK(h.max() == sorted.back());
    long double sum = 0;
    for (const std::uint64_t v : values) sum += static_cast<long double>(v);
    CHECK(static_cast<double>(h.sum()) == doctest::Approx(static_cast<double>(sum)).epsilon(1e-12));
    CHECK(h.mean() ==
          doctest::Approx(static_cast<double>(sum) / static_cast<double>(values.size())).epsilon(1e-12));
    CHECK(h.saturated() == 0);
    std::uint64_t before = 0;
    for (const unsigned share :
         {0u, 1u, 100u, 700u, 2500u, 5000u, 9000u, 9500u, 9900u, 9990u, 9999u, 10000u}) {
      // The smallest value that at least share / 10,000 of all do not exceed, in whole numbers.
      const std::uint64_t rank =
          std::max<std::uint64_t>((std::uint64_t{share} * values.size() + 9999) / 10000, 1);
      const auto expected = static_cast<double>(sorted[static_cast<std::size_t>(rank - 1)]);
      const std::uint64_t got = h.quantile(share / 10000.0);
      CAPTURE(share);
      CHECK(std::abs(static_cast<double>(got) - expected) <= 0.01 * expected);
      CHECK(got >= before);
      before = got;
    }
    CHECK(h.quantile(0) == sorted.front());
    CHECK(h.quantile(1) == sorted.back());
  }
}

TEST_CASE("counts up to a value are those of a sorted vector, but for the values within 1 % of it") {
  for (const std::vector<std::uint64_t>& values : distributions()) {
    const latency_histogram h = histogram_of(values);
    for (std::uint64_t bound = 1; bound < scale::largest; bound = bound * 7 / 2 + 1) {
      std::uint64_t surely = 0, perhaps = 0;
      for (const std::uint64_t v : values) {
        if (v <= bound) ++surely;
        if (static_cast<double>(v) <= 1.02 * static_cast<double>(bound)) ++perhaps;
      }
      const std::uint64_t got = h.count_up_to(bound);
      CHECK(surely <= got);
      CHECK(got <= perhaps);
    }
    CHECK(h.count_up_to(most) == values.size());
  }
}

TEST_CASE("an empty histogram is 0 everywhere, and a reset one is empty") {
  latency_histogram h;
  const latency_histogram fresh;
  for (int round = 0; round < 2; ++round) {
    CHECK(h == fresh);
    CHECK(h.empty());
    CHECK(h.count() == 0);
    CHECK(h.min() == 0);
    CHECK(h.max() == 0);
    CHECK(h.sum() == 0);
    CHECK(h.mean() == 0.0);
    CHECK(h.quantile(0.5) == 0);
    CHECK(h.count_up_to(most) == 0);
    h.record(0);  // the one value whose count is all that it leaves
    CHECK_FALSE(h.empty());
    CHECK(h.count() == 1);
    CHECK(h.quantile(0.99) == 0);
    h.record(5);
    h.record(most);
    h.reset();
  }
}

TEST_CASE("values beyond the range are counted as such, and nothing overflows") {
  latency_histogram h;
  h.record(scale::largest);
  CHECK(h.saturated() == 0);
  h.record(scale::largest + 1);
  h.record(scale::largest + 2);
  h.record(most);
  CHECK(h.saturated() == 3);
  CHECK(h.count() == 4);
  CHECK(h.max() == most);
  CHECK(h.min() == scale::largest);
  CHECK(h.quantile(0.5) == scale::largest + 1);
  CHECK(h.quantile(0.75) == scale::largest + 1);
  CHECK(h.quantile(1) == most);
  CHECK(h.sum() == most);  // stopped
  h.record(1);
  CHECK(h.sum() == most);

  latency_histogram many;
  many.record(10, most - 1);
  CHECK(many.sum() == most);
  many.record(10, 5);
  CHECK(many.count() == most);
  many.record(20, 7);
  CHECK(many.count() == most);
  CHECK(many.quantile(0.5) == 10);
  many.record(1, 0);
  CHECK(many.min() == 10);
  latency_histogram twice = many;
  twice.merge(many);
  CHECK(twice.count() == most);
}

TEST_CASE("merging is recording together") {
  latency_histogram all, merged;
  for (const std::vector<std::uint64_t>& values : distributions()) {
    for (const std::uint64_t v : values) all.record(v);
    merged.merge(histogram_of(values));
  }
  CHECK(merged == all);
  merged.merge(latency_histogram());
  CHECK(merged == all);
  latency_histogram one;
  one.merge(merged);
  CHECK(one == all);
}

TEST_CASE("recording n times is recording n times") {
  latency_histogram once, often;
  for (const std::uint64_t v : {std::uint64_t{0}, std::uint64_t{77}, std::uint64_t{1'000'003}}) {
    often.record(v, 13);
    for (int i = 0; i < 13; ++i) once.record(v);
  }
  CHECK(once == often);
}

TEST_CASE("what was recorded since a copy was made") {
  test::random r(3);
  latency_histogram h, fresh;
  for (int i = 0; i < 1000; ++i) h.record(r.below(1'000'000));
  const latency_histogram earlier = h;
  CHECK(h.since(earlier) == latency_histogram());
  for (int i = 0; i < 500; ++i) {
    const std::uint64_t v = 5000 + r.below(100'000);
    h.record(v);
    fresh.record(v);
  }
  const latency_histogram since = h.since(earlier);
  CHECK(since.count() == 500);
  CHECK(since.sum() == fresh.sum());
  for (const double q : {0.01, 0.5, 0.99}) CHECK(since.quantile(q) == fresh.quantile(q));
  for (const double q : {0.0, 1.0}) {
    const auto expected = static_cast<double>(fresh.quantile(q));
    CHECK(std::abs(static_cast<double>(since.quantile(q)) - expected) <= 0.02 * expected);
  }
}

// Tene's example: a system answers at once for 100 s, then stalls for 100 s. A caller who asks every 10 ms and waits
// sees 10,000 good answers and a single one of 100 s, as if the system were bad for 1 of 10,001 requests; it was half
// the time.
TEST_CASE("coordinated omission, an example worked by hand") {
  latency_histogram naive, corrected;
  constexpr std::uint64_t ms = 1'000'000;
  for (int i = 0; i < 10'000; ++i) {
    naive.record(1 * ms);
    corrected.record_corrected(1 * ms, 10 * ms);
  }
  naive.record(100'000 * ms);
  corrected.record_corrected(100'000 * ms, 10 * ms);
  CHECK(naive.count() == 10'001);
  CHECK(naive.quantile(0.9999) <= 1'010'000);
  // 100,000 ms, 99,990 ms and so on, down to 10 ms: 10,000 values.
  CHECK(corrected.count() == 20'000);
  CHECK(corrected.min() == 1 * ms);
  CHECK(corrected.max() == 100'000 * ms);
  CHECK(corrected.sum() == 10'000 * ms + 10 * ms * (10'000ull * 10'001 / 2));
  CHECK(corrected.quantile(0.5) <= 1'010'000);
  CHECK(static_cast<double>(corrected.quantile(0.75)) == doctest::Approx(50'000e6).epsilon(0.011));
  CHECK(static_cast<double>(corrected.quantile(0.99)) == doctest::Approx(98'000e6).epsilon(0.011));

  // 100 at an interval of 30: 70 and 40, and no 10.
  latency_histogram small, by_hand;
  small.record_corrected(100, 30);
  for (const std::uint64_t v : {100u, 70u, 40u}) by_hand.record(v);
  CHECK(small == by_hand);
}

TEST_CASE("the correction by buckets records what HdrHistogram's loop records") {
  test::random r(11);
  for (int round = 0; round < 600; ++round) {
    const std::uint64_t interval = r.below(4) == 0 ? r.below(5) : 1 + r.below(1u << r.below(20));
    const std::uint64_t value = round % 3 == 0 ? interval * r.below(5) : r.below(1u << (1 + r.below(21)));
    latency_histogram by_buckets, by_loop;
    by_buckets.record_corrected(value, interval);
    by_loop.record(value);
    if (interval != 0 && value > interval) {
      for (std::uint64_t missing = value - interval; missing >= interval; missing -= interval)
        by_loop.record(missing);
    }
    CAPTURE(value);
    CAPTURE(interval);
    CHECK(by_buckets == by_loop);
  }
}

TEST_CASE("the correction of extreme values ends, and saturates") {
  latency_histogram h;
  h.record_corrected(most, 1);
  CHECK(h.count() == most);
  CHECK(h.sum() == most);
  CHECK(h.min() == 1);
  CHECK(h.max() == most);
  h.reset();
  h.record_corrected(3'600'000'000'000, 1);  // an hour, every nanosecond
  CHECK(h.count() == 3'600'000'000'000);
  CHECK(static_cast<double>(h.quantile(0.5)) == doctest::Approx(1.8e12).epsilon(0.01));
  h.reset();
  h.record_corrected(most, most / 2);
  CHECK(h.count() == 2);
  h.reset();
  h.record_corrected(most, most / 3);
  CHECK(h.count() == 3);
  CHECK(h.sum() == most);
}

TEST_CASE("buckets that are visited hold all values once") {
  for (const std::vector<std::uint64_t>& values : distributions()) {
    const latency_histogram h = histogram_of(values);
    std::uint64_t count = 0, end = 0;
    bool right = true;
    h.for_each_bucket([&](std::uint64_t lower, std::uint64_t upper, std::uint64_t n) {
      right = right && n > 0 && lower <= upper && (count == 0 || lower > end);
      right = right && n == static_cast<std::uint64_t>(
                                std::count_if(values.begin(), values.end(),
                                              [&](std::uint64_t v) { return lower <= v && v <= upper; }));
      count += n;
      end = upper;
    });
    CHECK(right);
    CHECK(count == values.size());
  }
}

TEST_CASE("a histogram is 16 KB and no more") {
  static_assert(sizeof(latency_histogram) <= 16384);
  static_assert(std::is_trivially_copyable_v<latency_histogram>);
  CHECK(latency_histogram::largest_value >= 3'600'000'000'000);
}
