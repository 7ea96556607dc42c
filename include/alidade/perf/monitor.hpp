#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/perf/clock.hpp>
#include <alidade/perf/detail/thread_number.hpp>
#include <alidade/perf/detail/utf8.hpp>
#include <alidade/perf/latency_histogram.hpp>
#include <alidade/perf/scoped_timer.hpp>
#include <alidade/perf/snapshot.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

/// Watches the latencies of named series.
///
///     alidade::perf::monitor monitor;
///     const auto searches = monitor.add_series("search", {.limits = {.degraded_ns = 2'000'000}});
///     ...
///     { const alidade::perf::scoped_timer timer(searches); index.search(query); }   // in any thread
///     ...
///     monitor.evaluate();                                                           // every few seconds
///     std::puts(alidade::perf::to_text(monitor).c_str());
///
/// Each series has a histogram for each of `threads` threads, and one that further threads share. A thread records into
/// its own by plain loads and stores, 2 ns; into the shared one by atomic additions, 10 ns and more. When a thread ends
/// its numbers stay where they are and the next thread adds to them. Snapshots add up the histograms; they take no lock
/// that a recording thread would wait for, because those take none.
///
/// Memory: 16 KB * (threads + 2) a series, taken by add_series. From then on nothing is allocated, but that the C
/// library notes once a thread, at its first record or at prepare_thread(), that it must be told of the thread's end.
///
/// Shared libraries whose symbols are hidden count threads for themselves: do not hand a series to one.
///
/// All members may be called from several threads at once. The monitor outlives its series' handles.
class monitor {
  struct series_data;

 public:
  /// Names a series; a copy names the same. An empty one records nothing.
  class series {
   public:
    series() noexcept = default;

    void record(std::uint64_t ns) const noexcept {
      if (data_ != nullptr) data_->with_own([&](auto& histogram) { histogram.record(ns); });
    }
    /// For a latency of requests that are to come at regular intervals; see basic_latency_histogram.
    void record_corrected(std::uint64_t ns, std::uint64_t expected_interval_ns) const noexcept {
      if (data_ != nullptr) {
        data_->with_own([&](auto& histogram) { histogram.record_corrected(ns, expected_interval_ns); });
      }
    }

    explicit operator bool() const noexcept { return data_ != nullptr; }
    std::string_view name() const noexcept { return data_ != nullptr ? std::string_view(data_->name) : ""; }
    friend bool operator==(const series&, const series&) = default;

   private:
    friend class monitor;
    explicit series(series_data* data) noexcept : data_(data) {}

    series_data* data_ = nullptr;
  };

  /// Threads out of range are errc::invalid_option. Calibrates the clock if nobody has.
  explicit monitor(const monitor_options& options = {}) : monitor(unchecked{}, options) {
    if (!valid(options)) alidade::detail::throw_error(errc::invalid_option);
  }
  monitor(const monitor_options& options, std::error_code& ec) : monitor(unchecked{}, options) {
    ec = valid(options) ? std::error_code{} : make_error_code(errc::invalid_option);
  }
  monitor(const monitor&) = delete;
  monitor& operator=(const monitor&) = delete;
  ~monitor() {
    for (series_data* s = first(); s != nullptr;) delete std::exchange(s, next(s));
  }

  /// Adds a series, also while others record. An empty name, one that is not UTF-8, or limits out of range are
  /// errc::invalid_option; a name in use is errc::duplicate_key. Then, and when memory runs out, the monitor is as it
  /// was.
  series add_series(std::string_view name, const series_options& options = {}) {
    std::error_code ec;
    const series added = add_series(name, options, ec);
    if (ec) alidade::detail::throw_error(ec);
    return added;
  }
  series add_series(std::string_view name, const series_options& options, std::error_code& ec) {
    ec.clear();
    if (name.empty() || !detail::is_utf8(name) || !valid(options.limits)) {
      ec = errc::invalid_option;
      return {};
    }
    auto added = std::make_unique<series_data>(name, options, threads_);
    const std::lock_guard lock(mutex_);
    std::atomic<series_data*>* end = &first_;
    for (series_data* s; (s = end->load(std::memory_order_relaxed)) != nullptr; end = &s->next) {
      if (s->name == name) {
        ec = errc::duplicate_key;
        return {};
      }
    }
    end->store(added.get(), std::memory_order_release);
    return series(added.release());
  }

  /// The series of that name, or an empty handle.
  series find(std::string_view name) const noexcept {
    for (series_data* s = first(); s != nullptr; s = next(s)) {
      if (s->name == name) return series(s);
    }
    return {};
  }

  std::size_t size() const noexcept {
    std::size_t n = 0;
    for (const series_data* s = first(); s != nullptr; s = next(s)) ++n;
    return n;
  }

  /// Writes what a series of this monitor is now; of an empty handle, nothing at all. About 1 us for each thread that
  /// has recorded.
  void snapshot(series s, series_snapshot& out) const {
    out.name = s.name();
    out.state = health::ok;
    out.seconds = 0;
    out.last = {};
    out.latency.reset();
    if (s.data_ == nullptr) return;
    {
      const std::lock_guard lock(mutex_);
      out.state = s.data_->tracker.state();
      out.last = s.data_->last;
    }
    out.seconds = seconds_between(s.data_->begin, tick_clock::now());
    s.data_->collect(out.latency);
  }

  /// Calls visitor(const series_snapshot&) for each series, in the order in which they were added. Takes 16 KB of
  /// stack.
  template <class Visitor>
  void visit(Visitor&& visitor) const {
    series_snapshot one;
    for (series_data* s = first(); s != nullptr; s = next(s)) {
      snapshot(series(s), one);
      visitor(static_cast<const series_snapshot&>(one));
    }
  }

  /// Judges what each series has recorded since the last time, and calls on_alert for each whose state changes. Returns
  /// the worst state. Call it at regular intervals: one is what the limits are about. A series takes 4 us. Takes 32 KB
  /// of stack.
  health evaluate() {
    for (series_data* s = first(); s != nullptr; s = next(s)) {
      const std::optional<alert> changed = evaluate(*s);
      if (changed && on_alert_) on_alert_(*changed);
    }
    return state();
  }

  /// The worst state of all series, as of the last evaluation.
  health state() const noexcept {
    health worst = health::ok;
    const std::lock_guard lock(mutex_);
    for (const series_data* s = first(); s != nullptr; s = next(s))
      worst = std::max(worst, s->tracker.state());
    return worst;
  }

  /// Does now what the calling thread's first record would do, which takes a microsecond.
  static void prepare_thread() noexcept { static_cast<void>(detail::thread_number()); }

  /// How many threads have memory of their own.
  std::size_t threads() const noexcept { return threads_; }

  /// All bytes that the monitor holds, itself included.
  std::size_t memory_bytes() const noexcept {
    std::size_t bytes = sizeof(*this);
    for (const series_data* s = first(); s != nullptr; s = next(s)) {
      bytes += sizeof(*s) + s->own.capacity() * sizeof(own_histogram) + s->name.capacity();
    }
    return bytes;
  }

 private:
  struct unchecked {};

  // On lines of their own, so that no two threads write to one.
  struct alignas(64) own_histogram : basic_latency_histogram<owned_counter> {};
  struct alignas(64) shared_histogram : basic_latency_histogram<counter> {};

  struct series_data {
    series_data(std::string_view name_, const series_options& options_, std::size_t threads_)
        : name(name_), limits(options_.limits), own(threads_) {}

    /// Calls body with the histogram into which this thread records.
    template <class Body>
    void with_own(const Body& body) noexcept {
      const std::size_t number = detail::thread_number();
      if (number < own.size()) {
        body(own[number]);
      } else {
        body(shared);
      }
    }

    void collect(latency_histogram& into) const noexcept {
      for (const own_histogram& one : own) into.merge(one);
      into.merge(shared);
    }

    const std::string name;
    const health_limits limits;
    const tick begin = tick_clock::now();
    std::vector<own_histogram> own;  ///< by the numbers of threads; never resized
    std::atomic<series_data*> next{nullptr};

    // Of the evaluations, under the monitor's lock.
    health_tracker tracker;
    interval_summary last;
    tick evaluated = begin;
    latency_histogram seen;  ///< all that was evaluated

    shared_histogram shared;
  };

  monitor(unchecked, const monitor_options& options)
      : threads_(alidade::detail::resolve_threads(valid(options) ? options.threads : 1)),
        on_alert_(options.on_alert) {
    static_cast<void>(tick_clock::calibration());
  }

  static bool valid(const monitor_options& options) noexcept {
    return options.threads <= detail::thread_numbers::count;
  }
  static bool valid(const health_limits& limits) noexcept { return perf::valid(limits); }

  static double seconds_between(tick begin, tick end) noexcept {
    return 1e-9 * static_cast<double>(tick_clock::ns_between(begin, end));
  }

  series_data* first() const noexcept { return first_.load(std::memory_order_acquire); }
  static series_data* next(const series_data* s) noexcept { return s->next.load(std::memory_order_acquire); }

  std::optional<alert> evaluate(series_data& s) {
    const std::lock_guard lock(mutex_);
    const tick now = tick_clock::now();
    latency_histogram all;
    s.collect(all);
    const latency_histogram interval = all.since(s.seen);
    s.seen = all;
    s.last = {seconds_between(s.evaluated, now), interval.count(), interval.quantile(s.limits.quantile)};
    s.evaluated = now;
    const health before = s.tracker.state();
    const health after = s.tracker.update(s.limits, s.last.quantile_ns, s.last.count);
    if (after == before) return std::nullopt;
    return alert{s.name, before, after, s.last};
  }

  const std::size_t threads_;
  const std::function<void(const alert&)> on_alert_;
  mutable std::mutex mutex_;  ///< of adding series and of evaluations; recording does not take it
  std::atomic<series_data*> first_{nullptr};
};

static_assert(latency_monitor<monitor>);
static_assert(sizeof(monitor::series) == sizeof(void*));

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
