#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/perf/counter.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

namespace detail {

/// Which values share a bucket: each below 128 has its own, and every power of two above is divided into 52 of equal
/// width, up to 2^43; larger ones share the last. The idea is HdrHistogram's (G. Tene, hdrhistogram.org), which divides
/// by powers of two; 52 leaves room for counts of 64 bits and 2.4 hours of nanoseconds in 16 KB.
///
///   0 .. 127 | 128 .. 255 in 52 | 256 .. 511 in 52 | ... | 2^42 .. 2^43 - 1 in 52 | more
///
/// The middle of a bucket is within 1/104 of every value in it: its half width is at most 2^e / 104, its values at
/// least 2^e.
struct log_linear {
  static constexpr std::uint64_t linear = 128;
  static constexpr unsigned linear_bits = 7;
  static constexpr unsigned bits = 43;
  static constexpr std::uint64_t parts = 52;
  static constexpr std::size_t over = linear + (bits - linear_bits) * parts;  ///< the last bucket
  static constexpr std::size_t buckets = over + 1;
  static constexpr std::uint64_t largest = (std::uint64_t{1} << bits) - 1;  ///< of the last bucket but one

  static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    if (value < linear) return static_cast<std::size_t>(value);
    if (value > largest) return over;
    const auto e = static_cast<unsigned>(std::bit_width(value)) - 1;
    const std::uint64_t fraction = value << (63 - e) << 1 >> 33;  // of 2^31
    return static_cast<std::size_t>(linear + (e - linear_bits) * parts + (fraction * parts >> 31));
  }

  /// The smallest value of a bucket, the inverse of index_of.
  static constexpr std::uint64_t lower_bound(std::size_t index) noexcept {
    if (index < linear) return index;
    if (index >= over) return largest + 1;
    const auto e = static_cast<unsigned>((index - linear) / parts) + linear_bits;
    const std::uint64_t part = (index - linear) % parts;
    const std::uint64_t fraction = ((part << 31) + parts - 1) / parts;
    const std::uint64_t above =
        e > 31 ? fraction << (e - 31) : (fraction + (std::uint64_t{1} << (31 - e)) - 1) >> (31 - e);
    return (std::uint64_t{1} << e) + above;
  }
  static constexpr std::uint64_t upper_bound(std::size_t index) noexcept {
    return index >= over ? std::numeric_limits<std::uint64_t>::max() : lower_bound(index + 1) - 1;
  }

  /// What a bucket's values are taken for: the middle; of the last, the least that they can be.
  static constexpr std::uint64_t middle(std::size_t index) noexcept {
    return index >= over ? largest + 1 : lower_bound(index) + (upper_bound(index) - lower_bound(index)) / 2;
  }
};

}  // namespace detail

/// Counts of latencies in nanoseconds, from which quantiles are read with a relative error of at most 1 %, exact below
/// 128 ns.
///
/// Fixed storage of 16 KB, nothing is allocated. From 0 to 2^43 - 1 ns, 2.4 hours. Larger values are counted as such:
/// saturated() says how many, quantiles among them are given as 2^43 ns, which they reach at least, while max() is
/// exact and mean() takes them as they are. The sum stops at 2^64 - 1 ns, 584 years; counts of buckets are modulo 2^64,
/// which record(value, n) and merge do not pass.
///
/// `Counter` says who may record while who looks (counter.hpp): latency_histogram is for one thread.
template <counting Counter>
class basic_latency_histogram {
  using scale = detail::log_linear;

 public:
  static constexpr std::uint64_t largest_value = scale::largest;

  /// At most 2 ns: touches two cache lines, of the value's bucket and of three numbers.
  void record(std::uint64_t ns) noexcept {
    sum_.add_saturating(ns);
    note_extremes(ns, ns);
    buckets_[scale::index_of(ns)].publish(1);
  }

  /// The same value n times.
  void record(std::uint64_t ns, std::uint64_t n) noexcept {
    if (n == 0) return;
    sum_.add_saturating(detail::saturating_product(ns, n));
    note_extremes(ns, ns);
    add_to_bucket(scale::index_of(ns), n);
  }

  /// Corrects for coordinated omission (G. Tene, "How not to measure latency"): a caller who sends one request every
  /// `expected_interval_ns` and waits for each answer sends nothing while one is late. Those requests would have waited
  /// too, so a value above the interval is recorded together with value - interval, value - 2 interval and so on, down
  /// to the interval (HdrHistogram's recordValueWithExpectedInterval). 100 ms at an interval of 10 ms are 100, 90, ...
  /// 10 ms.
  ///
  /// An interval of 0 corrects nothing. Takes a step for each bucket between the two, not for each value: 20 us at
  /// most.
  void record_corrected(std::uint64_t ns, std::uint64_t expected_interval_ns) noexcept {
    record(ns);
    const std::uint64_t interval = expected_interval_ns;
    if (interval == 0 || ns / interval < 2) return;
    const std::uint64_t missing = ns / interval - 1;
    const std::uint64_t first = ns - interval, last = ns - missing * interval;  // downwards
    // Their sum: (first + last) / 2 * missing, where one of the factors is even or the half is lost.
    const std::uint64_t both =
        first > std::numeric_limits<std::uint64_t>::max() - last ? ~std::uint64_t{0} : first + last;
    sum_.add_saturating(missing % 2 == 0 ? detail::saturating_product(both, missing / 2)
                                         : detail::saturating_product(both / 2, missing));
    note_extremes(last, first);
    std::uint64_t left = missing;
    for (std::size_t i = scale::index_of(last); left != 0; ++i) {
      // Those up to the bucket's upper bound that are left: last, last + interval, ...
      const std::uint64_t upper = std::min(scale::upper_bound(i), first);
      const std::uint64_t next = ns - left * interval;  // the smallest that is left
      if (upper < next) continue;
      const std::uint64_t here = std::min((upper - next) / interval + 1, left);
      add_to_bucket(i, here);
      left -= here;
    }
  }

  /// Adds what the other has recorded; as if its values had been recorded here. The other may be recording.
  template <class Other>
  void merge(const basic_latency_histogram<Other>& other) noexcept {
    if (other.empty()) return;
    for (std::size_t i = 0; i < scale::buckets; ++i) {
      if (const std::uint64_t n = other.buckets_[i].value(); n != 0) add_to_bucket(i, n);
    }
    // After the buckets: the extremes of all that was counted are there then.
    sum_.add_saturating(other.sum_.value());
    inverted_min_.raise(other.inverted_min_.value());
    max_.raise(other.max_.value());
  }

  /// What was recorded since `earlier`, a copy of this histogram's past. The extremes are those of the buckets, so
  /// within 1 %; a sum that has stopped gives 0.
  basic_latency_histogram since(const basic_latency_histogram& earlier) const noexcept {
    basic_latency_histogram result;
    for (std::size_t i = 0; i < scale::buckets; ++i) {
      const std::uint64_t n = buckets_[i].value() - earlier.buckets_[i].value();
      if (n == 0) continue;
      result.buckets_[i].add(n);
      result.note_extremes(std::max(scale::lower_bound(i), min()), std::min(scale::upper_bound(i), max()));
    }
    result.sum_.add(sum_.value() - earlier.sum_.value());
    return result;
  }

  void reset() noexcept {
    for (Counter& bucket : buckets_) bucket.reset();
    sum_.reset();
    inverted_min_.reset();
    max_.reset();
  }

  std::uint64_t count() const noexcept {
    std::uint64_t n = 0;
    for (const Counter& bucket : buckets_) n = detail::saturating_sum(n, bucket.value());
    return n;
  }
  /// Whether nothing was recorded; a value makes one of the two more than 0.
  bool empty() const noexcept { return (max_.value() | inverted_min_.value()) == 0; }

  /// The smallest and the largest value, exactly; 0 when there is none.
  std::uint64_t min() const noexcept { return empty() ? 0 : ~inverted_min_.value(); }
  std::uint64_t max() const noexcept { return max_.value(); }

  /// Of all values, exactly.
  std::uint64_t sum() const noexcept { return sum_.value(); }
  double mean() const noexcept {
    const std::uint64_t n = count();
    return n == 0 ? 0.0 : static_cast<double>(sum()) / static_cast<double>(n);
  }

  /// How many values were too large to be told apart.
  std::uint64_t saturated() const noexcept { return buckets_[scale::over].value(); }

  /// The smallest value that at least the share q of all values does not exceed, within 1 %; q in 0..1, so 0.5 is the
  /// median, 0 the minimum and 1 the maximum, exactly both. 0 when there is no value.
  std::uint64_t quantile(double q) const noexcept {
    ALIDADE_ASSERT(q >= 0 && q <= 1);
    const std::uint64_t n = count();
    if (n == 0) return 0;
    // ceil(q n), from the next smaller q: 0.07 * 100 is a little more than 7, and means 7.
    const double exact = std::ceil(std::nextafter(q, 0.0) * static_cast<double>(n));
    const std::uint64_t rank = exact <= 1                        ? 1
                               : exact >= static_cast<double>(n) ? n
                                                                 : static_cast<std::uint64_t>(exact);
    if (rank == 1) return min();
    if (rank == n) return max();
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < scale::buckets; ++i) {
      seen = detail::saturating_sum(seen, buckets_[i].value());
      if (seen >= rank) return std::clamp(scale::middle(i), min(), std::max(min(), max()));
    }
    return max();
  }

  /// How many values are at most `ns`; values within 1 % of it may be on either side.
  std::uint64_t count_up_to(std::uint64_t ns) const noexcept {
    const std::size_t last = scale::index_of(ns);
    std::uint64_t n = 0;
    for (std::size_t i = 0; i <= last; ++i) n = detail::saturating_sum(n, buckets_[i].value());
    return n;
  }

  /// Calls visitor(lower, upper, count) for each bucket that is not empty, in rising order; values are in lower..upper.
  template <class Visitor>
  void for_each_bucket(Visitor&& visitor) const {
    for (std::size_t i = 0; i < scale::buckets; ++i) {
      if (const std::uint64_t n = buckets_[i].value(); n != 0)
        visitor(scale::lower_bound(i), scale::upper_bound(i), n);
    }
  }

  friend bool operator==(const basic_latency_histogram&, const basic_latency_histogram&) = default;

 private:
  template <counting Other>
  friend class basic_latency_histogram;

  void note_extremes(std::uint64_t low, std::uint64_t high) noexcept {
    inverted_min_.raise(~low);
    max_.raise(high);
  }

  void add_to_bucket(std::size_t i, std::uint64_t n) noexcept {
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - buckets_[i].value();
    buckets_[i].publish(std::min(n, room));
  }

  // 24 bytes that every record touches, then 2,001 counts, of which it touches one.
  Counter sum_, inverted_min_, max_;
  std::array<Counter, scale::buckets> buckets_;
};

using latency_histogram = basic_latency_histogram<plain_counter>;

static_assert(sizeof(latency_histogram) == 8 * (3 + 2001) && sizeof(latency_histogram) <= 16 * 1024);
static_assert(latency_histogram::largest_value >= 3'600'000'000'000);

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
