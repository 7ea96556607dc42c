#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/rl/q_table.hpp>
#include <alidade/rl/transition_batch.hpp>
#include <alidade/simd/ops/array_checks.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What is wrong with a batch, and where: the first transition of which it is true.
struct batch_fault {
  errc code{};
  std::size_t row = error::no_row;
};

/// Whether transition i may be applied; the slow and sure way, which also tells why not.
template <class T>
inline errc fault_of(const transition_batch<T>& b, std::size_t i, const q_table<T>& table,
                     bool on_policy) noexcept {
  const auto in_unit = [](T x) { return x >= 0 && x <= 1; };
  if (b.states[i] >= table.states() || b.next_states[i] >= table.states() ||
      b.actions[i] >= table.actions() || (on_policy && b.next_actions[i] >= table.actions())) {
    return errc::out_of_range;
  }
  if (!is_finite(b.rewards[i])) return errc::not_finite;
  if (!b.discounts.empty() && !in_unit(b.discounts[i])) return errc::invalid_option;
  if (!b.weights.empty() && !in_unit(b.weights[i])) return errc::invalid_option;
  if (table.forbidden() == 0) return {};
  if (!table.allows(b.states[i], b.actions[i])) return errc::unavailable_action;
  if (b.is_terminated(i)) return {};
  if (on_policy ? !table.allows(b.next_states[i], b.next_actions[i])
                : is_no_value(table.max(b.next_states[i]))) {
    return errc::unavailable_action;
  }
  return {};
}

/// Looks at all transitions before any is applied. A terminated transition's next_action is not looked at but for its range.
template <class T>
inline batch_fault check_batch(const transition_batch<T>& b, const q_table<T>& table,
                               bool on_policy) noexcept {
  if (!b.is_well_formed() || (on_policy && b.next_actions.size() != b.size())) {
    return {errc::size_mismatch, error::no_row};
  }
  const auto all_in_unit = [](std::span<const T> values) {
    return std::all_of(values.begin(), values.end(), [](T x) { return x >= 0 && x <= 1; });
  };
  const bool good =
      simd::maximum_of(b.states) < table.states() && simd::maximum_of(b.next_states) < table.states() &&
      simd::maximum_of(b.actions) < table.actions() &&
      (!on_policy || simd::maximum_of(b.next_actions) < table.actions()) && simd::all_finite(b.rewards) &&
      all_in_unit(b.discounts) && all_in_unit(b.weights) && table.forbidden() == 0;
  if (good) return {};
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (const errc code = fault_of(b, i, table, on_policy); code != errc{}) return {code, i};
  }
  return {};
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
