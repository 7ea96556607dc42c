#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/core/random.hpp>
#include <alidade/rl/detail/q_rows.hpp>
#include <alidade/rl/q_table.hpp>
#include <alidade/rl/transition_batch.hpp>
#include <alidade/simd/prefetch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// reward + discount * next - q
template <class T>
ALIDADE_FORCE_INLINE T td_error(T q, T reward, T discount, T next) noexcept {
  return (reward + unfused(discount * next)) - q;
}

// Which table transition i of a batch changes, and what its next state is worth, whose row lies `offset` elements from the
// begin of the table.

template <class T>
struct learns_from_best {
  T* q;
  T* table(std::size_t) const noexcept { return q; }
  template <class Rows>
  ALIDADE_FORCE_INLINE T next(const Rows& rows, std::size_t offset, std::size_t) const noexcept {
    return rows.maximum(q + offset);
  }
};

template <class T>
struct learns_from_taken {
  T* q;
  const std::uint32_t* next_actions;
  T* table(std::size_t) const noexcept { return q; }
  template <class Rows>
  ALIDADE_FORCE_INLINE T next(const Rows&, std::size_t offset, std::size_t i) const noexcept {
    return q[offset + next_actions[i]];
  }
};

template <class T, class Policy>
struct learns_from_expected {
  T* q;
  Policy policy;
  std::size_t actions;
  T* table(std::size_t) const noexcept { return q; }
  template <class Rows>
  T next(const Rows&, std::size_t offset, std::size_t) const noexcept {
    return policy.expectation(std::span<const T>(q + offset, actions));
  }
};

/// One of two tables, at random, learns what the other says of its own best action.
template <class T>
struct learns_from_other {
  T* q[2];
  std::uint64_t seed;
  std::uint64_t first;  ///< how many transitions there were before the batch
  std::size_t chosen(std::size_t i) const noexcept {
    return static_cast<std::size_t>(mix64(seed ^ mix64(first + i)) >> 63);
  }
  T* table(std::size_t i) const noexcept { return q[chosen(i)]; }
  template <class Rows>
  ALIDADE_FORCE_INLINE T next(const Rows& rows, std::size_t offset, std::size_t i) const noexcept {
    const std::size_t mine = chosen(i);
    const T* const row = q[mine] + offset;
    return q[1 - mine][offset + lowest_action_with(row, rows.stride(), rows.maximum(row))];
  }
};

/// A batch as the loops below want it: what is empty is one value, read again and again.
template <class T>
struct batch_reader {
  const transition_batch<T>& batch;
  T alpha, gamma;
  std::uint8_t never = 0;
  const std::uint8_t* terminated = batch.terminated.empty() ? &never : batch.terminated.data();
  std::size_t terminated_step = batch.terminated.empty() ? 0 : 1;

  ALIDADE_FORCE_INLINE T discount(std::size_t i) const noexcept {
    return batch.discounts.empty() ? gamma : batch.discounts[i];
  }
  ALIDADE_FORCE_INLINE T step_size(std::size_t i) const noexcept {
    return batch.weights.empty() ? alpha : unfused(alpha * batch.weights[i]);
  }
};

/// From this size of a table on, rows are asked for before they are needed; that many transitions before.
inline constexpr std::size_t far_table_bytes = std::size_t{256} << 10;
inline constexpr std::size_t prefetch_distance = 16;

template <bool Far, class T>
ALIDADE_FORCE_INLINE void prefetch_transition(const T* q, std::size_t stride, const transition_batch<T>& b,
                                              std::size_t i) noexcept {
  if constexpr (Far) {
    if (i >= b.size()) return;
    simd::prefetch(q + b.next_states[i] * stride, stride * sizeof(T));
    simd::prefetch(q + b.states[i] * stride + b.actions[i]);
  }
}

/// The plain batch, whose every transition has the learner's alpha and gamma and of whose errors nobody asks, is the one
/// that must be fast.
template <bool Plain, bool Far, class T, class Rows, class Learns>
inline void update_in_order(const Rows& rows, const batch_reader<T>& reader, const Learns& learns,
                            std::span<T> td_errors) noexcept {
  const transition_batch<T>& b = reader.batch;
  const std::uint32_t* const states = b.states.data();
  const std::uint32_t* const actions = b.actions.data();
  const std::uint32_t* const next_states = b.next_states.data();
  const T* const rewards = b.rewards.data();
  const std::uint8_t* terminated = reader.terminated;
  const std::size_t stride = rows.stride(), terminated_step = reader.terminated_step;
  const T alpha = reader.alpha, gamma = reader.gamma;
  const std::size_t n = b.size();
  const T* const any = learns.table(0);
  for (std::size_t i = 0; Far && i < prefetch_distance; ++i) prefetch_transition<Far>(any, stride, b, i);
  for (std::size_t i = 0; i < n; ++i, terminated += terminated_step) {
    prefetch_transition<Far>(any, stride, b, i + prefetch_distance);
    const T after = learns.next(rows, next_states[i] * stride, i);
    const T next = *terminated != 0 ? T(0) : after;
    T& entry = learns.table(i)[states[i] * stride + actions[i]];
    const T error = td_error(entry, rewards[i], Plain ? gamma : reader.discount(i), next);
    entry += unfused((Plain ? alpha : reader.step_size(i)) * error);
    if (!Plain && !td_errors.empty()) td_errors[i] = error;
  }
}

template <class T, class Learns>
inline void update_in_order(const q_table<T>& table, const batch_reader<T>& reader, const Learns& learns,
                            std::span<T> td_errors) noexcept {
  const transition_batch<T>& b = reader.batch;
  const bool plain = b.discounts.empty() && b.weights.empty() && td_errors.empty();
  with_rows<T>(table.stride(), [&](const auto& rows) {
    if (!plain) {  // of this one there is no quicker form
      update_in_order<false, true>(rows, reader, learns, td_errors);
    } else if (table.memory_bytes() >= far_table_bytes) {
      update_in_order<true, true>(rows, reader, learns, td_errors);
    } else {
      update_in_order<true, false>(rows, reader, learns, td_errors);
    }
  });
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
