#pragma once

#include <cstdint>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/perf/clock.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

/// Takes latencies: a latency_histogram, a series of a monitor, or your own.
template <class Sink>
concept latency_sink = requires(Sink& sink, std::uint64_t ns) {
  sink.record(ns);
};

/// A sink that says so is not worth looking at the clock for: `static constexpr bool records_nothing = true`.
template <class Sink>
concept null_sink = latency_sink<Sink> && Sink::records_nothing;

/// Records into the sink how long it lived: two readings of tick_clock and a record. The sink outlives it.
///
///     const alidade::perf::scoped_timer timer(histogram);
template <latency_sink Sink>
class [[nodiscard]] scoped_timer {
 public:
  explicit scoped_timer(Sink& sink) noexcept : sink_(&sink), begin_(tick_clock::now()) {}
  scoped_timer(const scoped_timer&) = delete;
  scoped_timer& operator=(const scoped_timer&) = delete;
  ~scoped_timer() {
    if (sink_ != nullptr) record(tick_clock::now());
  }

  /// Records now and not later. Returns the nanoseconds; 0 when it was stopped or cancelled before.
  std::uint64_t stop() { return sink_ != nullptr ? record(tick_clock::now()) : 0; }

  /// Records nothing: of an operation that failed, say.
  void cancel() noexcept { sink_ = nullptr; }

 private:
  std::uint64_t record(tick end) {
    const std::uint64_t ns = tick_clock::ns_between(begin_, end);
    std::exchange(sink_, nullptr)->record(ns);
    return ns;
  }

  Sink* sink_;
  tick begin_;
};

/// Leaves no code.
template <null_sink Sink>
class [[nodiscard]] scoped_timer<Sink> {
 public:
  explicit constexpr scoped_timer(Sink&) noexcept {}
  scoped_timer(const scoped_timer&) = delete;
  scoped_timer& operator=(const scoped_timer&) = delete;
  ~scoped_timer() {
  }  // not defaulted: compilers warn of unused variables that have nothing to do at their end

  static constexpr std::uint64_t stop() noexcept { return 0; }
  static constexpr void cancel() noexcept {}
};

template <class Sink>
scoped_timer(Sink&) -> scoped_timer<Sink>;

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
