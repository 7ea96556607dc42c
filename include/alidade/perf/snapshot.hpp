#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include <alidade/config/namespace.hpp>
#include <alidade/perf/health.hpp>
#include <alidade/perf/latency_histogram.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

/// What happened from one evaluation of a series to the next.
struct interval_summary {
  double seconds = 0;
  std::uint64_t count = 0;
  std::uint64_t quantile_ns = 0;  ///< the quantile that the series' limits name

  double per_second() const noexcept { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }
};

/// A series as it was at one moment; 16 KB. While others record it may miss those of their latencies that are under
/// way, but holds none in part: count and quantiles belong together, and the sum may be ahead by the latencies under
/// way.
struct series_snapshot {
  std::string_view name = {};  ///< the monitor's, as long as that lives
  health state = health::ok;
  double seconds = 0;          ///< since the series was added
  interval_summary last = {};  ///< the last interval that was evaluated; empty before the first
  latency_histogram latency = {};

  /// Over all of its time.
  double per_second() const noexcept {
    return seconds > 0 ? static_cast<double>(latency.count()) / seconds : 0;
  }
};

/// A series has changed its state.
struct alert {
  std::string_view series = {};  ///< the monitor's, as long as that lives
  health from = health::ok;
  health to = health::ok;
  interval_summary interval = {};  ///< that changed it
};

struct series_options {
  health_limits limits = {};  ///< without limits, as it comes, the series is always ok
};

struct monitor_options {
  /// How many threads at once record into memory of their own, 0..256; 0 means one for each core. Each costs 16 KB a
  /// series. More threads may record: they share one more block, by atomic additions.
  std::size_t threads = 0;

  /// Called by evaluate(), in the thread that calls it and with no lock held, after each change of a state; it may call
  /// the monitor. What it throws leaves evaluate(): the series before it are evaluated, those behind it next time.
  std::function<void(const alert&)> on_alert = nullptr;
};

/// What monitor and null_monitor have in common, for code that takes either as a template parameter.
template <class Monitor>
concept latency_monitor = requires(Monitor& m, const Monitor& seen, typename Monitor::series s,
                                   series_snapshot& out) {
  { m.add_series(std::string_view{}, series_options{}) } -> std::same_as<typename Monitor::series>;
  { seen.find(std::string_view{}) } -> std::same_as<typename Monitor::series>;
  { seen.size() } -> std::same_as<std::size_t>;
  { m.evaluate() } -> std::same_as<health>;
  { seen.state() } -> std::same_as<health>;
  seen.snapshot(s, out);
  seen.visit([](const series_snapshot&) {});
  s.record(std::uint64_t{});
  s.record_corrected(std::uint64_t{}, std::uint64_t{});
};

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
