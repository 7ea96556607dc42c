#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/memory_sample.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// How hard memory presses, in steps.
enum class pressure_tier : std::uint8_t { low, moderate, high, critical };

/// The pressure from which on a tier begins; the boundary itself belongs to the tier.
constexpr double tier_boundary(pressure_tier tier) noexcept {
  constexpr double boundaries[] = {0.0, 0.70, 0.85, 0.95};
  return boundaries[static_cast<std::size_t>(tier)];
}

/// The share of what a cache holds that it should give up under a tier of pressure.
constexpr double fraction_to_evict(pressure_tier tier) noexcept {
  constexpr double fractions[] = {0.10, 0.20, 0.30, 0.50};
  return fractions[static_cast<std::size_t>(tier)];
}

struct memory_monitor_options {
  /// How many samples the pressure is the mean of. 1..65,536; 4 bytes each.
  std::size_t capacity = 16;

  /// How far below its boundary the pressure must fall before a tier is left downwards. 0..0.5. Once the ring holds
  /// nothing but usages within half of it of a boundary, the tier changes once more at most, whatever their rhythm: the
  /// mean is no farther from the boundary than the usages are, and the trend adds at most as much again.
  double hysteresis = 0.03;
};

namespace detail {

/// The arithmetic of the monitor, in whole billionths: sums of them are exact and do not drift, and neither 0.70 nor
/// the mean of sixteen samples of 0.70 is a rounding error away from the boundary.
class pressure_ring {
 public:
  static constexpr std::int64_t one = 1'000'000'000;

  static bool valid(const memory_monitor_options& options) noexcept {
    return options.capacity >= 1 && options.capacity <= 65'536 && !is_nan(options.hysteresis) &&
           options.hysteresis >= 0.0 && options.hysteresis <= 0.5;
  }

  static std::int64_t billionths(double x) noexcept { return std::llround(x * static_cast<double>(one)); }

  explicit pressure_ring(const memory_monitor_options& options)
      : usages_(options.capacity), hysteresis_(billionths(options.hysteresis)) {}

  /// Of a usage in 0..1, rounded to the nearest billionth.
  void push(double usage) noexcept {
    const auto last = static_cast<std::uint32_t>(billionths(usage));
    if (count_ == usages_.size()) {
      sum_ -= usages_[next_];
    } else {
      ++count_;
    }
    usages_[next_] = last;
    sum_ += last;
    next_ = next_ + 1 == usages_.size() ? 0 : next_ + 1;
    const std::int64_t first = usages_[count_ < usages_.size() ? 0 : next_];

    // mean + (last - first) / 2 over a common denominator; at most 2 * 65,536 * 10^9 and far from overflow. Rounded
    // down, so that it is below a boundary where the exact value is.
    const auto n = static_cast<std::int64_t>(count_);
    pressure_ = std::clamp<std::int64_t>((2 * sum_ + n * (last - first)) / (2 * n), 0, one);

    while (tier_ != pressure_tier::critical && pressure_ >= boundary(neighbour(1))) tier_ = neighbour(1);
    while (tier_ != pressure_tier::low && pressure_ < boundary(tier_) - hysteresis_) tier_ = neighbour(-1);
  }

  std::int64_t pressure() const noexcept { return pressure_; }
  pressure_tier tier() const noexcept { return tier_; }
  std::size_t count() const noexcept { return count_; }
  std::size_t capacity() const noexcept { return usages_.size(); }

 private:
  static std::int64_t boundary(pressure_tier tier) noexcept { return billionths(tier_boundary(tier)); }
  pressure_tier neighbour(int step) const noexcept {
    return static_cast<pressure_tier>(static_cast<int>(tier_) + step);
  }

  std::vector<std::uint32_t> usages_;
  std::size_t next_ = 0;   // where the next sample goes; in a full ring the oldest lies there
  std::size_t count_ = 0;  // how many there are
  std::int64_t sum_ = 0;
  std::int64_t hysteresis_;
  std::int64_t pressure_ = 0;
  pressure_tier tier_ = pressure_tier::low;
};

}  // namespace detail

/// Watches how full memory is, through a source, and says how much a cache should give up.
///
/// It keeps the last usages (see alidade::usage) in a ring. Over these
///
///     pressure = clamp(mean + 0.5 * (last - first), 0, 1)
///
/// where first is the oldest in the ring: what fills quickly presses before it is full. Usages are kept in billionths,
/// and the pressure is rounded down to billionths, exactly. Tiers: below 0.70 low (evict 10 %), from 0.70 moderate (20
/// %), from 0.85 high (30 %), from 0.95 critical (50 %). A tier is entered at its boundary, and left downwards only
/// when the pressure falls below the boundary minus the hysteresis; from critical, 0.93 is still critical, and 0.84 is
/// high. Before the first sample the pressure is 0 and the tier low.
///
/// Threads: sample() must not overlap with itself, so one thread takes the samples. pressure(), tier(),
/// fraction_to_evict() and samples() may be called from any thread at any time; all four read one atomic word, which
/// state() reads once.
template <memory_source Source>
class memory_monitor {
 public:
  /// What the monitor knows, of one moment.
  struct state_type {
    double pressure;
    pressure_tier tier;
    std::size_t samples;
  };

  /// Options out of range are errc::invalid_option.
  explicit memory_monitor(Source source = Source(), const memory_monitor_options& options = {})
      : source_(std::move(source)), ring_(valid_or_default(options)) {
    if (!detail::pressure_ring::valid(options)) detail::throw_error(errc::invalid_option);
  }
  memory_monitor(Source source, const memory_monitor_options& options, std::error_code& ec)
      : source_(std::move(source)), ring_(valid_or_default(options)) {
    ec = detail::pressure_ring::valid(options) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  memory_monitor(const memory_monitor&) = delete;
  memory_monitor& operator=(const memory_monitor&) = delete;

  /// Takes a sample and returns the pressure. If the source cannot say, that is the error, and the monitor stays as it
  /// was. O(1), and nothing is allocated, beside what the source does.
  double sample() {
    std::error_code ec;
    const double pressure = sample(ec);
    if (ec) detail::throw_error(ec);
    return pressure;
  }
  double sample(std::error_code& ec) noexcept(noexcept(std::declval<Source&>().sample(ec))) {
    ec.clear();
    const auto& taken = source_.sample(ec);
    if (!ec) {
      ring_.push(usage(taken));
      publish();
    }
    return pressure();
  }

  double pressure() const noexcept { return state().pressure; }
  pressure_tier tier() const noexcept { return state().tier; }
  double fraction_to_evict() const noexcept { return alidade::fraction_to_evict(tier()); }
  std::size_t samples() const noexcept { return state().samples; }  ///< in the ring, so at most capacity()

  state_type state() const noexcept {
    // Relaxed: the word is all that is passed on.
    const std::uint64_t word = published_.load(std::memory_order_relaxed);
    return {static_cast<double>(word & pressure_mask) / static_cast<double>(detail::pressure_ring::one),
            static_cast<pressure_tier>(word >> tier_shift & 3),
            static_cast<std::size_t>(word >> samples_shift)};
  }

  std::size_t capacity() const noexcept { return ring_.capacity(); }
  Source& source() noexcept { return source_; }
  const Source& source() const noexcept { return source_; }

 private:
  // The published word: bits 0..29 pressure in billionths, 30..31 tier, 32..63 samples.
  static constexpr int tier_shift = 30;
  static constexpr int samples_shift = 32;
  static constexpr std::uint64_t pressure_mask = (std::uint64_t{1} << tier_shift) - 1;
  static_assert(detail::pressure_ring::one <= static_cast<std::int64_t>(pressure_mask));

  static memory_monitor_options valid_or_default(const memory_monitor_options& options) noexcept {
    return detail::pressure_ring::valid(options) ? options : memory_monitor_options{};
  }

  void publish() noexcept {
    published_.store(static_cast<std::uint64_t>(ring_.pressure()) |
                         static_cast<std::uint64_t>(ring_.tier()) << tier_shift |
                         static_cast<std::uint64_t>(ring_.count()) << samples_shift,
                     std::memory_order_relaxed);
  }

  Source source_;
  detail::pressure_ring ring_;
  std::atomic<std::uint64_t> published_{0};
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
