#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/policies.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What a next state s' is worth to a learner, in the words of Sutton and Barto, Reinforcement Learning, 2nd edition.
enum class td_method : std::uint8_t {
  q_learning,      ///< max_a Q(s', a) (6.5)
  sarsa,           ///< Q(s', a') of the action a' that was taken there (6.4); wants next_actions
  expected_sarsa,  ///< sum_a pi(a | s') Q(s', a) under the target policy pi (6.6)
  double_q,        ///< of two tables, one chosen at random learns Q_other(s', argmax_a Q_chosen(s', a)) (6.7)
};

/// What becomes of transitions of one batch that meet: of which several change the same entry, or one reads a row that an
/// earlier one has changed.
enum class duplicates : std::uint8_t {
  /// One after the other: the same bits as a loop over the transitions.
  sequential,
  /// All targets are computed from the table as it was before the batch, and each entry moves by alpha times the mean of its
  /// errors. As no entry goes past the mean of its targets, nothing diverges for any alpha, however often a pair occurs
  /// (adding up the errors of n equal transitions diverges where n alpha > 2). With alpha 1 and each possible outcome of a
  /// pair once for each part of its probability, a batch is an exact backup.
  snapshot_mean,
};

/// What a trace becomes when its pair is visited again (Singh and Sutton, Reinforcement learning with replacing eligibility
/// traces, Machine Learning 22, 1996).
enum class eligibility : std::uint8_t { replacing, accumulating };

struct q_learner_options {
  td_method method = td_method::q_learning;
  double alpha = 0.1;   ///< step size, 0 < alpha <= 1
  double gamma = 0.99;  ///< discount of a step, 0..1
  duplicates on_duplicates = duplicates::sequential;

  /// Of expected SARSA.
  std::variant<epsilon_greedy, softmax, greedy> target_policy = epsilon_greedy{0.1};

  /// Above 1, a batch is transitions in the order in which they came, and each learns from up to so many from itself on: the
  /// window ends after one that is terminated or truncated, before one whose state is not the next_state of the one before,
  /// and with the batch (7.1 to 7.3; of Q-learning without correction for actions that were not greedy). What
  /// trajectory_buffer samples has its steps summed up already: it wants 1.
  std::size_t n_steps = 1;

  /// Above 0, at most 1: batches are transitions in the order in which they came, and each error also changes the pairs
  /// before it, by (gamma lambda)^k k steps back. With Q-learning Watkins's Q(lambda), whose traces end where an action was not
  /// greedy (12.10); with SARSA that of 12.7. Wants next_actions, `sequential`, n_steps of 1.
  double lambda = 0;
  eligibility traces = eligibility::replacing;
  /// Traces that have faded below this are forgotten. 0: none is.
  double trace_floor = 1e-6;

  std::uint64_t seed = 42;  ///< which table of double Q-learning learns

  /// Where all memory of tables and of updates comes from; null: operator new. It must outlive the learner.
  memory_resource* memory = nullptr;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
