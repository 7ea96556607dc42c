#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>

#include <alidade/config/namespace.hpp>
#include <alidade/perf/scoped_timer.hpp>
#include <alidade/perf/snapshot.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

/// A monitor that watches nothing: with it, code that takes its monitor as a template parameter compiles to what it
/// would be without one. Not even the clock is read. A test compares the machine code.
///
///     template <alidade::perf::latency_monitor Monitor> class service { ... };
class null_monitor {
 public:
  class series {
   public:
    static constexpr bool records_nothing = true;

    constexpr void record(std::uint64_t) const noexcept {}
    constexpr void record_corrected(std::uint64_t, std::uint64_t) const noexcept {}
    explicit constexpr operator bool() const noexcept { return false; }
    constexpr std::string_view name() const noexcept { return {}; }
    friend constexpr bool operator==(const series&, const series&) = default;
  };

  constexpr null_monitor() noexcept = default;
  explicit null_monitor(const monitor_options&) noexcept {}
  null_monitor(const monitor_options&, std::error_code& ec) noexcept { ec.clear(); }
  null_monitor(const null_monitor&) = delete;
  null_monitor& operator=(const null_monitor&) = delete;

  static series add_series(std::string_view, const series_options& = {}) noexcept { return {}; }
  static series add_series(std::string_view, const series_options&, std::error_code& ec) noexcept {
    ec.clear();
    return {};
  }
  static constexpr series find(std::string_view) noexcept { return {}; }
  static constexpr std::size_t size() noexcept { return 0; }
  static void snapshot(series, series_snapshot& out) noexcept { out = {}; }
  template <class Visitor>
  static constexpr void visit(Visitor&&) noexcept {}
  static constexpr health evaluate() noexcept { return health::ok; }
  static constexpr health state() noexcept { return health::ok; }
  static constexpr void prepare_thread() noexcept {}
  static constexpr std::size_t threads() noexcept { return 0; }
  static constexpr std::size_t memory_bytes() noexcept { return sizeof(null_monitor); }
};

static_assert(latency_monitor<null_monitor>);

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
