#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/rl/detail/q_rows.hpp>
#include <alidade/simd/ops/array_checks.hpp>
#include <alidade/simd/ops/float_bytes.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The step size of an update is in (0, 1], in T too; the discount in [0, 1].
template <class T>
constexpr bool is_step_size(double alpha) noexcept {
  return alpha > 0 && alpha <= 1 && static_cast<T>(alpha) != T(0);
}
constexpr bool is_discount(double gamma) noexcept { return gamma >= 0 && gamma <= 1; }

/// q + alpha * (reward + gamma * next - q), each operation rounded, on numbers or on vectors of them.
template <simd::real_vector V>
struct q_step {
  V alpha, gamma;

  ALIDADE_FORCE_INLINE V operator()(V q, V reward, V next) const noexcept {
    return q + rounded(alpha * ((reward + rounded(gamma * next)) - q));
  }
};

template <class T>
inline void q_update_unchecked(T* q, const T* rewards, const T* next, std::size_t n, T alpha,
                               T gamma) noexcept {
  using V = q_vector<T>;
  const q_step<V> step{V::broadcast(alpha), V::broadcast(gamma)};
  // A copy of the step: one in memory might, for all the compiler knows, be what q points to.
  const auto at = [=](std::size_t i) noexcept {
    return step(V::load(q + i), V::load(rewards + i), V::load(next + i));
  };
  std::size_t i = 0;
  for (; i + 2 * V::lanes <= n; i += 2 * V::lanes) {
    const V first = at(i), second = at(i + V::lanes);
    store(q + i, first);
    store(q + i + V::lanes, second);
  }
  if (i + V::lanes <= n) {
    store(q + i, at(i));
    i += V::lanes;
  }
  if (i < n) {
    const std::size_t left = n - i;
    store_partial(q + i, left,
                  step(V::load_partial(q + i, left), V::load_partial(rewards + i, left),
                       V::load_partial(next + i, left)));
  }
}

/// Where flags are set, 0 instead of what comes next.
template <class T>
inline void q_update_unchecked(T* q, const T* rewards, const T* next, const std::uint8_t* flags,
                               std::size_t n, T alpha, T gamma) noexcept {
  constexpr std::size_t block = 256;
  T kept[block];
  for (std::size_t i = 0; i < n; i += block) {
    const std::size_t count = std::min(block, n - i);
    std::size_t j = 0;
    if constexpr (std::is_same_v<q_vector<T>, simd::f32>) {
      using V = simd::f32;
      for (; j + V::lanes <= count; j += V::lanes) {
        const V flag = simd::load_bytes<V>(reinterpret_cast<const std::int8_t*>(flags + i + j));
        store(kept + j, select(flag == V::zero(), V::load(next + i + j), V::zero()));
      }
    }
    std::transform(next + i + j, next + i + count, flags + i + j, kept + j,
                   [](T x, std::uint8_t flag) { return flag != 0 ? T(0) : x; });
    q_update_unchecked(q + i, rewards + i, kept, count, alpha, gamma);
  }
}

template <class T>
inline std::size_t q_update(std::span<T> q, std::span<const T> rewards, std::span<const T> next_max_q,
                            std::span<const std::uint8_t> terminated, bool has_flags, double alpha,
                            double gamma, std::error_code& ec) noexcept {
  const auto fail = [&ec](errc code, std::size_t at) {
    ec = code;
    return at;
  };
  ec.clear();
  const std::size_t n = q.size();
  if (!is_step_size<T>(alpha) || !is_discount(gamma)) {
    return fail(errc::invalid_option, error::no_row);
  }
  if (rewards.size() != n || next_max_q.size() != n || (has_flags && terminated.size() != n)) {
    return fail(errc::size_mismatch, error::no_row);
  }
  if (!simd::all_finite(rewards)) {
    std::size_t i = 0;
    while (is_finite(rewards[i])) ++i;
    return fail(errc::not_finite, i);
  }
  if (!simd::all_finite(next_max_q)) {
    // What follows the end of an episode is of no interest.
    for (std::size_t i = 0; i < n; ++i) {
      if (!is_finite(next_max_q[i]) && !(has_flags && terminated[i] != 0)) return fail(errc::not_finite, i);
    }
  }
  const T step = static_cast<T>(alpha), discount = static_cast<T>(gamma);
  if (has_flags) {
    q_update_unchecked(q.data(), rewards.data(), next_max_q.data(), terminated.data(), n, step, discount);
  } else {
    q_update_unchecked(q.data(), rewards.data(), next_max_q.data(), n, step, discount);
  }
  return n;
}

}  // namespace detail

/// q_i <- q_i + alpha * (rewards_i + gamma * next_max_q_i - q_i), in place: one step of Q-learning (Watkins and Dayan,
/// Q-learning, Machine Learning 8, 1992) for each element. Each operation is rounded to T, float or double, none is fused:
/// the results are the same bits on every architecture and as of that formula in a loop.
///
/// 0 < alpha <= 1 and 0 <= gamma <= 1, else errc::invalid_option. Lengths differ: errc::size_mismatch. A reward or a next
/// value that is not finite is errc::not_finite, and the error's row is its i. On error nothing is changed. q may be
/// `rewards` or `next_max_q` itself, else it must not overlap them.
///
/// |q| stays below max(|q|, |reward| + gamma |next|) but for rounding, and nothing overflows where twice that does not.
template <class T>
inline void q_update(std::span<T> q, std::type_identity_t<std::span<const T>> rewards,
                     std::type_identity_t<std::span<const T>> next_max_q, double alpha, double gamma) {
  std::error_code ec;
  const std::size_t bad = detail::q_update<T>(q, rewards, next_max_q, {}, false, alpha, gamma, ec);
  if (ec) detail::throw_error(ec, bad);
}
/// Returns how many were updated, or the i of the error.
template <class T>
inline std::size_t q_update(std::span<T> q, std::type_identity_t<std::span<const T>> rewards,
                            std::type_identity_t<std::span<const T>> next_max_q, double alpha, double gamma,
                            std::error_code& ec) noexcept {
  return detail::q_update<T>(q, rewards, next_max_q, {}, false, alpha, gamma, ec);
}

/// The same; where terminated_i is not 0, next_max_q_i (which may then be anything) counts as 0.
template <class T>
inline void q_update(std::span<T> q, std::type_identity_t<std::span<const T>> rewards,
                     std::type_identity_t<std::span<const T>> next_max_q,
                     std::span<const std::uint8_t> terminated, double alpha, double gamma) {
  std::error_code ec;
  const std::size_t bad = detail::q_update<T>(q, rewards, next_max_q, terminated, true, alpha, gamma, ec);
  if (ec) detail::throw_error(ec, bad);
}
template <class T>
inline std::size_t q_update(std::span<T> q, std::type_identity_t<std::span<const T>> rewards,
                            std::type_identity_t<std::span<const T>> next_max_q,
                            std::span<const std::uint8_t> terminated, double alpha, double gamma,
                            std::error_code& ec) noexcept {
  return detail::q_update<T>(q, rewards, next_max_q, terminated, true, alpha, gamma, ec);
}

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
