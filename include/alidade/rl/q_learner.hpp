#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/detail/batch_check.hpp>
#include <alidade/rl/detail/eligibility_traces.hpp>
#include <alidade/rl/detail/n_step.hpp>
#include <alidade/rl/detail/snapshot_mean.hpp>
#include <alidade/rl/detail/td_update.hpp>
#include <alidade/rl/options.hpp>
#include <alidade/rl/q_table.hpp>
#include <alidade/rl/q_update.hpp>
#include <alidade/rl/transition_batch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Learns action values from batches of transitions: for each
///
///     error = reward + gamma * next - Q(state, action)
///     Q(state, action) <- Q(state, action) + alpha * error
///
/// where next is what the method makes of Q(next_state, .), and 0 after a transition that is terminated (one that is truncated
/// still counts on its next state). Each operation is rounded to T, float or double, in this order and none is fused: the
/// values are the same bits on every architecture. A batch's discounts stand in for gamma, its weights multiply alpha.
///
///     alidade::q_learner<float> learner(states, actions, {.alpha = 0.1, .gamma = 0.99});
///     learner.update(batch);
///     const std::uint32_t action = learner.table().argmax(state);
///
/// Batches are checked before anything is applied. Errors name the first transition at fault:
///
/// - errc::size_mismatch, no row: the arrays' lengths do not fit, or next_actions are missing that the method wants;
/// - errc::out_of_range: a state or an action is not in the table;
/// - errc::not_finite: a reward is NaN or infinite;
/// - errc::invalid_option: a discount or a weight is not in 0..1; with no row, the batch has discounts where n_steps or lambda are
///   to make them, or weights where lambda is set;
/// - errc::unavailable_action: the state does not have the action, or the next state, which the agent goes on from, has none.
///
/// Learning from single steps with discounts of at most gamma, values stay below (largest |reward|) / (1 - gamma) or what they were
/// at first, whichever is more; with gamma 1 they grow by at most the largest reward an update. What overflows becomes
/// infinite, NaN may follow, and -infinity is then taken for an action that the state does not have.
///
/// One thread at a time. A moved-from learner may only be destroyed or assigned to.
template <class T = float>
class q_learner {
 public:
  using value_type = T;

  /// A table of so many states and actions, all values `initial`. Options out of range, and shapes that q_table refuses, are
  /// errc::invalid_option.
  q_learner(std::size_t states, std::size_t actions, const q_learner_options& options = {}, T initial = 0)
      : q_learner(q_table<T>(states, actions, initial, options.memory), options) {}
  q_learner(std::size_t states, std::size_t actions, const q_learner_options& options, T initial,
            std::error_code& ec)
      : q_learner(unchecked{}, q_table<T>(states, actions, initial, options.memory, ec), options) {
    if (!ec && !are_valid(options)) ec = errc::invalid_option;
  }

  /// Goes on from a table, which may lack actions in some states. The second table of double Q-learning begins as a copy.
  explicit q_learner(q_table<T> table, const q_learner_options& options = {})
      : q_learner(unchecked{}, std::move(table), options) {
    if (!are_valid(options)) detail::throw_error(errc::invalid_option);
  }
  q_learner(q_table<T> table, const q_learner_options& options, std::error_code& ec)
      : q_learner(unchecked{}, std::move(table), options) {
    ec = are_valid(options) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  const q_learner_options& options() const noexcept { return options_; }

  /// What was learnt; of double Q-learning one of two tables, for which `values` has the mean.
  const q_table<T>& table() const noexcept { return tables_[0]; }
  /// Double Q-learning's other table; of other methods the only one.
  const q_table<T>& second_table() const noexcept { return tables_[is_double() ? 1 : 0]; }

  /// out[a] = what action a is worth in the state: Q(state, a), of double Q-learning the mean of both tables. `out` has as many
  /// elements as there are actions (asserted).
  void values(std::size_t state, std::span<T> out) const noexcept {
    const std::span<const T> first = table()[state], second = second_table()[state];
    ALIDADE_ASSERT(out.size() == first.size());
    for (std::size_t a = 0; a < out.size(); ++a)
      out[a] = is_double() ? (first[a] + second[a]) / T(2) : first[a];
  }

  /// Another step size from now on, 0 < alpha <= 1; else errc::invalid_option, and it stays.
  void set_alpha(double alpha) {
    std::error_code ec;
    set_alpha(alpha, ec);
    if (ec) detail::throw_error(ec);
  }
  void set_alpha(double alpha, std::error_code& ec) noexcept {
    ec.clear();
    if (detail::is_step_size<T>(alpha)) {
      options_.alpha = alpha;
    } else {
      ec = errc::invalid_option;
    }
  }

  /// Applies a batch.
  void update(const transition_batch<T>& batch) { update(batch, std::span<T>{}); }

  /// td_errors[i] = the error of transition i when it was applied: what prioritised sampling wants to know. It has as many elements
  /// as the batch, else errc::size_mismatch, or none.
  void update(const transition_batch<T>& batch, std::span<T> td_errors) {
    std::error_code ec;
    const std::size_t bad = apply(batch, td_errors, ec);
    if (ec) detail::throw_error(ec, bad);
  }

  /// Returns how many were applied, or the transition at fault, or error::no_row. A pool that is exhausted is
  /// errc::budget_exceeded.
  std::size_t update(const transition_batch<T>& batch, std::error_code& ec) { return update(batch, {}, ec); }
  std::size_t update(const transition_batch<T>& batch, std::span<T> td_errors, std::error_code& ec) {
    return detail::unless_exhausted(ec, error::no_row, [&] { return apply(batch, td_errors, ec); });
  }

  /// Forgets the traces of Q(lambda) and SARSA(lambda): the next transition is not the last one's continuation. What is terminated,
  /// truncated, or begins in another state than the last one's next is known to be so.
  void end_trajectory() noexcept {
    traces_.clear();
    last_state_.reset();
  }

  /// All bytes that the learner holds, itself included.
  std::size_t memory_bytes() const noexcept {
    std::size_t tables = 0;
    for (const q_table<T>& t : tables_) tables += t.memory_bytes();
    return sizeof(*this) + tables + means_.memory_bytes() + traces_.memory_bytes() + windows_.memory_bytes();
  }

 private:
  struct unchecked {};

  q_learner(unchecked, q_table<T> table, const q_learner_options& options)
      : options_(options),
        tables_(options.memory),
        means_(options.memory),
        traces_(options.memory),
        windows_(options.memory) {
    tables_.reserve(is_double() ? 2 : 1);
    tables_.push_back(std::move(table));
    if (is_double()) tables_.push_back(tables_.front());
  }

  static bool are_valid(const q_learner_options& o) noexcept {
    const bool has_traces = o.lambda > 0;
    return detail::is_step_size<T>(o.alpha) && detail::is_discount(o.gamma) &&
           detail::is_discount(o.lambda) && o.n_steps >= 1 && detail::is_discount(o.trace_floor) &&
           std::visit([](const auto& policy) { return valid(policy); }, o.target_policy) &&
           (!has_traces || (o.n_steps == 1 && o.on_duplicates == duplicates::sequential &&
                            (o.method == td_method::q_learning || o.method == td_method::sarsa)));
  }

  bool is_double() const noexcept { return options_.method == td_method::double_q; }
  bool has_traces() const noexcept { return options_.lambda > 0; }
  bool wants_next_actions() const noexcept { return options_.method == td_method::sarsa || has_traces(); }

  std::size_t apply(const transition_batch<T>& batch, std::span<T> td_errors, std::error_code& ec) {
    ec.clear();
    const auto fail = [&ec](errc code, std::size_t row) {
      ec = code;
      return row;
    };
    if (!td_errors.empty() && td_errors.size() != batch.size())
      return fail(errc::size_mismatch, error::no_row);
    const detail::batch_fault fault = detail::check_batch(batch, table(), wants_next_actions());
    if (fault.code != errc{}) return fail(fault.code, fault.row);
    const bool makes_discounts = options_.n_steps > 1 || has_traces();
    if ((makes_discounts && !batch.discounts.empty()) || (has_traces() && !batch.weights.empty())) {
      return fail(errc::invalid_option, error::no_row);
    }
    if (batch.empty()) return 0;
    if (has_traces()) {
      update_with_traces(batch, td_errors);
    } else if (options_.n_steps > 1) {
      windows_.assign(batch, options_.n_steps, options_.gamma);
      update_by_method(windows_.batch(batch), td_errors);
    } else {
      update_by_method(batch, td_errors);
    }
    return batch.size();
  }

  void update_by_method(const transition_batch<T>& batch, std::span<T> td_errors) {
    T* const q = tables_[0].row(0);
    switch (options_.method) {
      case td_method::q_learning:
        return update_by(batch, td_errors, detail::learns_from_best<T>{q});
      case td_method::sarsa:
        return update_by(batch, td_errors, detail::learns_from_taken<T>{q, batch.next_actions.data()});
      case td_method::expected_sarsa:
        return std::visit(
            [&](const auto& policy) {
              using policy_type = std::remove_cvref_t<decltype(policy)>;
              update_by(batch, td_errors,
                        detail::learns_from_expected<T, policy_type>{q, policy, table().actions()});
            },
            options_.target_policy);
      case td_method::double_q:
        update_by(batch, td_errors,
                  detail::learns_from_other<T>{{q, tables_[1].row(0)}, options_.seed, transitions_});
        transitions_ += batch.size();
        return;
    }
  }

  template <class Learns>
  void update_by(const transition_batch<T>& batch, std::span<T> td_errors, const Learns& learns) {
    const detail::batch_reader<T> reader{batch, static_cast<T>(options_.alpha),
                                         static_cast<T>(options_.gamma)};
    if (options_.on_duplicates == duplicates::sequential) {
      detail::update_in_order(table(), reader, learns, td_errors);
    } else {
      detail::update_by_means(table(), reader, learns, td_errors, means_);
    }
  }

  /// Watkins's Q(lambda), or SARSA(lambda).
  void update_with_traces(const transition_batch<T>& b, std::span<T> td_errors) {
    traces_.reserve(b.size());
    T* const q = tables_[0].row(0);
    const std::size_t stride = table().stride();
    const T gamma = static_cast<T>(options_.gamma), alpha = static_cast<T>(options_.alpha);
    const T fading = static_cast<T>(options_.gamma * options_.lambda);
    const bool off_policy = options_.method == td_method::q_learning;
    for (std::size_t i = 0; i < b.size(); ++i) {
      if (last_state_ != b.states[i]) traces_.clear();
      const T best = b.is_terminated(i) ? T(0) : table().max(b.next_states[i]);
      const T taken = b.is_terminated(i) ? T(0) : q[b.next_states[i] * stride + b.next_actions[i]];
      const std::size_t entry = b.states[i] * stride + b.actions[i];
      const T error = detail::td_error(q[entry], b.rewards[i], gamma, off_policy ? best : taken);
      traces_.visit(entry, options_.traces);
      traces_.apply(q, detail::unfused(alpha * error));
      last_state_ = b.next_states[i];
      if (b.is_last(i)) {
        end_trajectory();
      } else if (off_policy && taken != best) {
        traces_.clear();
      } else {
        traces_.fade(fading, static_cast<T>(options_.trace_floor));
      }
      if (!td_errors.empty()) td_errors[i] = error;
    }
  }

  q_learner_options options_;
  detail::resource_vector<q_table<T>> tables_;
  std::uint64_t transitions_ = 0;  ///< that double Q-learning has seen
  detail::error_means<T> means_;
  detail::eligibility_traces<T> traces_;
  std::optional<std::uint32_t>
      last_state_;  ///< in which the next transition begins if it goes on from the last
  detail::n_step_windows<T> windows_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
