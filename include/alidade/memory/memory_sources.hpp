#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/emscripten_memory_source.hpp>
#include <alidade/memory/linux_memory_source.hpp>
#include <alidade/memory/memory_sample.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// A source that is told: by tests, or by a program whose system sends it memory warnings. Starts with nothing used.
/// set() and set_usage() may be called from any thread, at any time.
class manual_memory_source {
 public:
  manual_memory_source() noexcept = default;  ///< with the default budget as its limit

  /// A limit of 0 is errc::invalid_option.
  explicit manual_memory_source(std::uint64_t limit_bytes) : limit_(limit_bytes) {
    if (limit_bytes == 0) detail::throw_error(errc::invalid_option);
  }
  manual_memory_source(std::uint64_t limit_bytes, std::error_code& ec) noexcept
      : limit_(limit_bytes == 0 ? default_memory_budget : limit_bytes) {
    ec = limit_bytes == 0 ? make_error_code(errc::invalid_option) : std::error_code{};
  }

  manual_memory_source(const manual_memory_source& other) noexcept
      : limit_(other.limit_), used_(other.used_bytes()) {}
  manual_memory_source& operator=(const manual_memory_source&) = delete;

  /// More than the limit counts as full.
  void set(std::uint64_t used_bytes) noexcept { used_.store(used_bytes, std::memory_order_relaxed); }

  /// The same as a share of the limit, to the nearest byte. Below 0 counts as 0, above 1 as 1; NaN or infinity is
  /// errc::not_finite, and the usage stays as it was.
  void set_usage(double usage) {
    std::error_code ec;
    set_usage(usage, ec);
    if (ec) detail::throw_error(ec);
  }
  void set_usage(double usage, std::error_code& ec) noexcept {
    ec = detail::is_finite(usage) ? std::error_code{} : make_error_code(errc::not_finite);
    if (ec) return;
    // Apart, because a limit near 2^64 rounds up to it as a double and would not convert back.
    const double limit = static_cast<double>(limit_);
    set(usage >= 1.0 ? limit_ : static_cast<std::uint64_t>(std::round(std::max(usage, 0.0) * limit)));
  }

  std::uint64_t used_bytes() const noexcept { return used_.load(std::memory_order_relaxed); }
  std::uint64_t limit_bytes() const noexcept { return limit_; }

  memory_sample sample(std::error_code& ec) const noexcept {
    ec.clear();
    return {used_bytes(), limit_};
  }

 private:
  std::uint64_t limit_ = default_memory_budget;
  std::atomic<std::uint64_t> used_{0};
};

/// What something uses, against a budget of bytes: `budget_source([&] { return index.memory_bytes(); },
/// 2'000'000'000)`. The function is called once a sample, by the thread that samples. Below 0 counts as 0. What it
/// throws, the sample throws.
template <std::invocable Used>
requires std::integral<std::invoke_result_t<Used&>>
class budget_source {
 public:
  /// A budget of 0 is errc::invalid_option.
  explicit budget_source(Used used, std::uint64_t budget_bytes = default_memory_budget)
      : used_(std::move(used)), budget_(budget_bytes) {
    if (budget_bytes == 0) detail::throw_error(errc::invalid_option);
  }
  budget_source(Used used, std::uint64_t budget_bytes, std::error_code& ec)
      : used_(std::move(used)), budget_(budget_bytes == 0 ? default_memory_budget : budget_bytes) {
    ec = budget_bytes == 0 ? make_error_code(errc::invalid_option) : std::error_code{};
  }

  std::uint64_t budget_bytes() const noexcept { return budget_; }

  memory_sample sample(std::error_code& ec) noexcept(std::is_nothrow_invocable_v<Used&>) {
    ec.clear();
    const auto bytes = used_();
    if constexpr (std::signed_integral<std::invoke_result_t<Used&>>) {
      if (bytes < 0) return {0, budget_};
    }
    return {static_cast<std::uint64_t>(bytes), budget_};
  }

 private:
  Used used_;
  std::uint64_t budget_;
};

/// Stands where the library cannot ask the system: every sample is std::errc::function_not_supported.
class no_memory_source {
 public:
  memory_sample sample(std::error_code& ec) const noexcept {
    ec = std::make_error_code(std::errc::function_not_supported);
    return {};
  }
};

/// What the system says of this process's memory, on whatever system the program is compiled for.
#if ALIDADE_IS_LINUX
using system_memory_source = linux_memory_source;
#elif ALIDADE_IS_EMSCRIPTEN
using system_memory_source = emscripten_memory_source;
#else
using system_memory_source = no_memory_source;
#endif

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
