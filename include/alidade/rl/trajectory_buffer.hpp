#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/detail/n_step.hpp>
#include <alidade/rl/detail/sum_tree.hpp>
#include <alidade/rl/sampled_transitions.hpp>
#include <alidade/rl/transition_batch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

struct trajectory_buffer_options {
  std::size_t capacity = 100'000;    ///< how many transitions it holds; 1 .. 2^32 - 1
  std::size_t n_steps = 1;           ///< over how many transitions rewards are summed; 1 or more
  double gamma = 0.99;               ///< the discount of one step; 0..1
  bool prioritised = false;          ///< sample by priority, not uniformly
  double priority_exponent = 0.6;    ///< alpha of Schaul et al.; 0 (uniform) .. 1
  double importance_exponent = 0.4;  ///< beta of Schaul et al.; 0 (no correction) .. 1 (a full one)
  double priority_floor = 1e-6;      ///< epsilon of Schaul et al., added to each error; above 0, finite
  std::uint64_t seed = 42;           ///< of what is sampled
  /// Where all memory comes from; null: operator new. It must outlive the buffer.
  memory_resource* memory = nullptr;
};

/// The newest transitions of an agent, from which it learns again: a ring of fixed capacity, whose memory is taken once, 21
/// bytes a transition of floats; 10.3 more where it is prioritised.
///
/// What is read and sampled are windows of up to n_steps transitions in the order of their coming. A window that begins at
/// transition t ends after one that is terminated or truncated, before one whose state is not the next_state of the one before,
/// at the newest transition, or with its n_steps-th. Of m transitions it has the reward
///
///   r(t) + gamma r(t+1) + .. + gamma^(m-1) r(t+m-1)
///
/// and the discount gamma^m (Sutton and Barto, Reinforcement Learning, 2nd ed., section 7.1). Both are computed in double from
/// the first term to the last, each product rounded, and rounded to T at the end, at most to T's largest finite number.
///
/// The same options and calls give the same samples on every platform. One thread at a time. A buffer that was moved from may
/// be destroyed or assigned to.
template <std::floating_point T = float>
class trajectory_buffer {
 public:
  using value_type = T;

  /// errc::invalid_option: an option is out of range; the buffer then has capacity 0. Throws what the resource throws; the second
  /// form sets errc::budget_exceeded where a pool is exhausted.
  explicit trajectory_buffer(const trajectory_buffer_options& options = {}) : trajectory_buffer(options, 0) {
    if (!valid(options)) detail::throw_error(errc::invalid_option);
    allocate();
  }
  trajectory_buffer(const trajectory_buffer_options& options, std::error_code& ec)
      : trajectory_buffer(options, 0) {
    ec.clear();
    if (!valid(options)) {
      ec = errc::invalid_option;
    } else if (!detail::unless_exhausted(ec, false, [this] { return allocate(); })) {
      *this = trajectory_buffer(options, 0);
    }
  }

  std::size_t capacity() const noexcept { return flags_.size(); }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const trajectory_buffer_options& options() const noexcept { return options_; }

  /// All bytes that it holds, itself included; all but itself are of options().memory.
  std::size_t memory_bytes() const noexcept {
    const std::size_t numbers =
        states_.capacity() + actions_.capacity() + next_states_.capacity() + next_actions_.capacity();
    return sizeof(*this) + numbers * sizeof(std::uint32_t) + rewards_.capacity() * sizeof(T) +
           flags_.capacity() + priorities_.memory_bytes();
  }

  /// Adds a transition, in place of the oldest when it is full. Its priority is the largest so far, 1 at first.
  /// errc::not_finite, and nothing changed: the reward is NaN or infinite; errc::invalid_option: the capacity is 0. O(1),
  /// O(log n) where prioritised.
  void push(const transition<T>& t) {
    std::error_code ec;
    push(t, ec);
    if (ec) detail::throw_error(ec);
  }
  void push(const transition<T>& t, std::error_code& ec) noexcept {
    ec.clear();
    if (!detail::is_finite(t.reward)) ec = errc::not_finite;
    if (capacity() == 0) ec = errc::invalid_option;
    if (!ec) append(t);
  }

  /// Adds all in their order, or none when one is refused: then the error names it, or it is returned instead of how many. Their
  /// discounts and weights are not kept. errc::size_mismatch, no row: the batch is not well formed.
  std::size_t push(const transition_batch<T>& batch) {
    std::error_code ec;
    const std::size_t result = push(batch, ec);
    if (ec) detail::throw_error(ec, result);
    return result;
  }
  std::size_t push(const transition_batch<T>& batch, std::error_code& ec) noexcept {
    ec.clear();
    if (!batch.is_well_formed()) return fail(errc::size_mismatch, error::no_row, ec);
    if (capacity() == 0) return fail(errc::invalid_option, error::no_row, ec);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!detail::is_finite(batch.rewards[i])) return fail(errc::not_finite, i, ec);
    }
    for (std::size_t i = 0; i < batch.size(); ++i) append(batch[i]);
    return batch.size();
  }

  /// Marks the newest transition as truncated, so that the next is not its continuation. Of an empty buffer nothing happens.
  void end_trajectory() noexcept {
    if (!empty()) flags_[slot_of(pushed_ - 1)] |= truncated;
  }

  /// Forgets all transitions and priorities. What is sampled later still depends on what was sampled before. O(capacity) where
  /// prioritised.
  void clear() noexcept {
    size_ = 0;
    priorities_.clear();
    largest_priority_ = 1;
  }

  /// The transition of an age, 0 the oldest; below size() (asserted).
  transition<T> operator[](std::size_t age) const noexcept {
    ALIDADE_ASSERT(age < size_);
    return at(slot_of(oldest() + age));
  }

  /// The window that begins at operator[](age); below size() (asserted). O(n_steps).
  n_step_window<T> window(std::size_t age) const noexcept {
    ALIDADE_ASSERT(age < size_);
    const std::size_t first = slot_of(oldest() + age);
    const auto following = [this](std::size_t slot) noexcept {
      const std::size_t next = slot + 1 == capacity() ? 0 : slot + 1;
      return flags_[slot] == 0 && states_[next] == next_states_[slot] ? next : detail::no_step;
    };
    const auto sum = detail::sum_steps<T>(
        first, std::min(options_.n_steps, size_ - age), options_.gamma,
        [this](std::size_t slot) noexcept { return rewards_[slot]; }, following);
    transition<T> step = at(sum.last);
    step.state = states_[first];
    step.action = actions_[first];
    step.reward = sum.reward;
    return {step, sum.discount, sum.length};
  }

  /// Draws `count` windows with replacement into `out`, over what is there.
  ///
  /// Uniformly, or where prioritised with probability P(i) = p(i) / sum of all p, one out of each of `count` equal parts of the
  /// sum; then the weights are (N P(i))^-beta over the largest that any transition in the buffer has, in (0, 1] (Schaul et al.,
  /// Prioritized experience replay, ICLR 2016, sections 3.3, 3.4 and B.2.1). That is (least p / p(i))^beta.
  ///
  /// errc::invalid_option, and nothing changed: the buffer is empty. Allocates only where `out` is to hold more than ever before.
  void sample(std::size_t count, sampled_transitions<T>& out) {
    std::error_code ec;
    draw(count, out, ec);
    if (ec) detail::throw_error(ec);
  }
  void sample(std::size_t count, sampled_transitions<T>& out, std::error_code& ec) {
    detail::unless_exhausted(ec, false, [&] { return draw(count, out, ec); });
  }

  /// Makes the priority of each position, as sample gave them, (|error| + priority_floor)^priority_exponent, within 2^-500 ..
  /// 2^500. Positions whose transitions are no longer there are skipped; of equal ones the last counts. Where the buffer is not
  /// prioritised the arguments are checked and nothing else is done.
  ///
  /// errc::not_finite names the row of an error that is NaN or infinite, which is returned too; errc::size_mismatch: the numbers
  /// differ. Nothing is changed then. Otherwise returns how many were changed. O(log n) each.
  std::size_t update_priorities(std::span<const std::uint64_t> positions, std::span<const T> td_errors) {
    std::error_code ec;
    const std::size_t result = update_priorities(positions, td_errors, ec);
    if (ec) detail::throw_error(ec, result);
    return result;
  }
  std::size_t update_priorities(std::span<const std::uint64_t> positions, std::span<const T> td_errors,
                                std::error_code& ec) noexcept {
    ec.clear();
    if (positions.size() != td_errors.size()) return fail(errc::size_mismatch, error::no_row, ec);
    for (std::size_t i = 0; i < td_errors.size(); ++i) {
      if (!detail::is_finite(td_errors[i])) return fail(errc::not_finite, i, ec);
    }
    if (!options_.prioritised) return 0;
    std::size_t changed = 0;
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (positions[i] < oldest() || positions[i] >= pushed_) continue;
      const double priority = priority_of(static_cast<double>(td_errors[i]));
      priorities_.set(slot_of(positions[i]), priority);
      largest_priority_ = std::max(largest_priority_, priority);
      ++changed;
    }
    return changed;
  }

  /// Beta of the weights from now on, 0..1 (asserted): it is annealed towards 1 (Schaul et al., section 3.4).
  void set_importance_exponent(double beta) noexcept {
    ALIDADE_ASSERT(in_unit(beta));
    options_.importance_exponent = beta;
  }

 private:
  static constexpr std::uint8_t terminated = 1, truncated = 2;  // in flags_

  /// Of capacity 0.
  trajectory_buffer(const trajectory_buffer_options& options, int)
      : options_(options),
        random_(options.seed),
        states_(options.memory),
        actions_(options.memory),
        rewards_(options.memory),
        next_states_(options.memory),
        next_actions_(options.memory),
        flags_(options.memory),
        priorities_(options.memory) {}

  bool allocate() {
    const std::size_t n = options_.capacity;
    if (options_.prioritised) priorities_ = detail::sum_tree(n, options_.memory);
    states_.resize(n);
    actions_.resize(n);
    rewards_.resize(n);
    next_states_.resize(n);
    next_actions_.resize(n);
    flags_.resize(n);
    return true;
  }

  static bool in_unit(double x) noexcept { return detail::is_finite(x) && x >= 0 && x <= 1; }
  static bool valid(const trajectory_buffer_options& o) noexcept {
    return o.capacity >= 1 && o.capacity <= 0xffffffffu && o.n_steps >= 1 && in_unit(o.gamma) &&
           in_unit(o.priority_exponent) && in_unit(o.importance_exponent) &&
           detail::is_finite(o.priority_floor) && o.priority_floor > 0;
  }

  static std::size_t fail(errc code, std::size_t row, std::error_code& ec) noexcept {
    ec = code;
    return row;
  }

  // Transitions are counted over the life of the buffer: those of oldest() .. pushed_ - 1 are in it.
  std::uint64_t oldest() const noexcept { return pushed_ - size_; }
  std::size_t slot_of(std::uint64_t position) const noexcept {
    return static_cast<std::size_t>(position % capacity());
  }

  transition<T> at(std::size_t slot) const noexcept {
    const bool is_terminated = (flags_[slot] & terminated) != 0,
               is_truncated = (flags_[slot] & truncated) != 0;
    return {states_[slot], actions_[slot], rewards_[slot],     next_states_[slot],
            is_terminated, is_truncated,   next_actions_[slot]};
  }

  void append(const transition<T>& t) noexcept {
    const std::size_t slot = slot_of(pushed_++);
    states_[slot] = t.state;
    actions_[slot] = t.action;
    rewards_[slot] = t.reward;
    next_states_[slot] = t.next_state;
    next_actions_[slot] = t.next_action;
    flags_[slot] = static_cast<std::uint8_t>((t.terminated ? terminated : 0) | (t.truncated ? truncated : 0));
    if (size_ < capacity()) ++size_;
    if (options_.prioritised) priorities_.set(slot, largest_priority_);
  }

  double priority_of(double td_error) const noexcept {
    const double distance =
        std::min(std::abs(td_error) + options_.priority_floor, std::numeric_limits<double>::max());
    return std::clamp(detail::power_of(distance, options_.priority_exponent), 0x1p-500, 0x1p+500);
  }

  bool draw(std::size_t count, sampled_transitions<T>& out, std::error_code& ec) {
    ec.clear();
    if (empty()) {
      ec = errc::invalid_option;
      return false;
    }
    out.restart(count, options_.prioritised);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t age = options_.prioritised
                                  ? draw_by_priority(i, count, out)
                                  : static_cast<std::size_t>(detail::uniform_below(random_, size_));
      out.add(window(age), oldest() + age);
    }
    return true;
  }

  /// The age that is drawn from part i of `count` of the sum of priorities; adds its weight.
  std::size_t draw_by_priority(std::size_t i, std::size_t count, sampled_transitions<T>& out) noexcept {
    const double place =
        (static_cast<double>(i) + detail::uniform_unit(random_)) / static_cast<double>(count);
    const std::size_t slot = priorities_.find(place * priorities_.total());
    const double ratio = priorities_.least_positive() / priorities_[slot];
    const double weight = detail::power_of(ratio, options_.importance_exponent);
    out.weights_.push_back(static_cast<T>(std::max(weight, double{std::numeric_limits<T>::min()})));
    const std::size_t first = slot_of(oldest());
    return slot >= first ? slot - first : slot + capacity() - first;
  }

  trajectory_buffer_options options_;
  splitmix64 random_;
  detail::resource_vector<std::uint32_t> states_, actions_;
  detail::resource_vector<T> rewards_;
  detail::resource_vector<std::uint32_t> next_states_, next_actions_;
  detail::resource_vector<std::uint8_t> flags_;
  detail::sum_tree priorities_;
  std::uint64_t pushed_ = 0;
  std::size_t size_ = 0;
  double largest_priority_ = 1;  // 2^-500 .. 2^500
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
