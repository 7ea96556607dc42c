#pragma once

#include <concepts>
#include <cstdint>
#include <system_error>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What a source measures against when nobody says otherwise: 500 MB, in bytes.
inline constexpr std::uint64_t default_memory_budget = 500'000'000;

/// What a source of memory figures found at one moment.
struct memory_sample {
  std::uint64_t used_bytes = 0;
  std::uint64_t limit_bytes = 0;  ///< may be below used_bytes; 0: nothing may be used
  double stall = 0;  ///< share of time, 0..1, in which all work stood still for want of memory; 0: unknown
};

/// How full the memory of a sample is, in 0..1:
///
///     min(1, used_bytes / limit_bytes * (1 + stall))
///
/// so that of two that are equally full the one that stalls counts as fuller, and one that is nearly empty is not
/// called full because of a stall that freeing what it has would not end. A limit of 0 is full. A stall of NaN or below
/// 0 counts as 0, one above 1 as 1.
inline double usage(const memory_sample& sample) noexcept {
  if (sample.used_bytes >= sample.limit_bytes) return 1.0;
  const double stall =
      !detail::is_nan(sample.stall) && sample.stall > 0.0 ? (sample.stall < 1.0 ? sample.stall : 1.0) : 0.0;
  const double raised =
      static_cast<double>(sample.used_bytes) / static_cast<double>(sample.limit_bytes) * (1.0 + stall);
  return raised < 1.0 ? raised : 1.0;
}

/// A source says how much memory is used and how much may be: `sample(ec)` returns a memory_sample, or a type derived
/// from it, and sets `ec` where the figures are not to be had; what it returns then is not looked at.
/// Models: linux_memory_source, emscripten_memory_source, manual_memory_source, budget_source.
template <class Source>
concept memory_source = std::move_constructible<Source> && requires(Source& source, std::error_code& ec) {
  { source.sample(ec) } -> std::convertible_to<const memory_sample&>;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
