#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What a search is to be tuned for.
class search_target {
 public:
  enum class kind : std::uint8_t { recall, latency };

  /// A mean recall@k of at least this, 0 < recall < 1, at the least work.
  static constexpr search_target recall_at_least(double recall) noexcept { return {kind::recall, recall}; }
  /// A mean latency of at most that many nanoseconds, at the best recall.
  static constexpr search_target latency_at_most_ns(double ns) noexcept { return {kind::latency, ns}; }

  constexpr kind what() const noexcept { return kind_; }
  constexpr double value() const noexcept { return value_; }
  friend bool operator==(const search_target&, const search_target&) = default;

 private:
  constexpr search_target(kind k, double value) noexcept : kind_(k), value_(value) {}
  kind kind_;
  double value_;
};

struct adaptive_search_options {
  search_target target = search_target::recall_at_least(0.95);
  std::size_t k = 10;        ///< how many neighbours are searched for; 1 or more
  std::size_t max_ef = 512;  ///< no search is ever wider; at least k, at most 65,535

  /// The width of searches until enough is known, and of all that the bounds are too tight for; k .. max_ef.
  std::size_t default_ef = 64;

  /// Searches are studied now and then: such a one goes on until nothing better seems to come, which takes some five times as long.
  /// Of the first `warm_up` searches this share is studied, of later ones `study_share`; 0..1, drawn for each by its number.
  std::size_t warm_up = 20'000;
  double warm_up_share = 0.2;
  double study_share = 0.0025;

  /// Of studied searches a few are compared with the true neighbours, for which every vector is measured: the first
  /// `first_exact_checks`, or as many as show the recall that is wanted, spread over the warm-up, then with at most this share
  /// of all distance computations, 0..1.
  std::size_t first_exact_checks = 32;
  double exact_share = 0.002;

  /// From this memory pressure on (0..1, see memory_monitor) nothing is studied.
  double quiet_pressure = 0.85;

  memory_resource* memory =
      nullptr;  ///< where what is learnt is kept; null: operator new. It must outlive the engine.
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
