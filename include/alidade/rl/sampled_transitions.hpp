#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/transition_batch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

template <std::floating_point T>
class trajectory_buffer;

/// Up to n_steps transitions of one episode taken as one.
template <class T>
struct n_step_window {
  transition<T> step;      ///< state and action of the first, the sum of rewards, all else of the last
  T discount = 1;          ///< of the value of step.next_state: gamma^length
  std::size_t length = 1;  ///< how many transitions they are
};

/// What trajectory_buffer::sample writes to. It keeps its memory from one call to the next.
template <class T>
class sampled_transitions {
 public:
  explicit sampled_transitions(memory_resource* memory = nullptr) noexcept
      : steps_(memory), discounts_(memory), weights_(memory), positions_(memory) {}

  std::size_t size() const noexcept { return steps_.size(); }
  bool empty() const noexcept { return steps_.empty(); }

  /// All columns, but `weights` only of a prioritised buffer. Valid until it is sampled into again.
  transition_batch<T> batch() const noexcept {
    transition_batch<T> result = steps_.batch();
    result.discounts = discounts_;
    result.weights = weights_;
    return result;
  }

  /// For each transition which it was, counted over the life of the buffer: for update_priorities.
  std::span<const std::uint64_t> positions() const noexcept { return positions_; }

 private:
  friend class trajectory_buffer<T>;

  /// Makes it empty, with room for `count`. Strong guarantee.
  void restart(std::size_t count, bool weighted) {
    steps_.reserve(count);
    discounts_.reserve(count);
    weights_.reserve(weighted ? count : 0);
    positions_.reserve(count);
    steps_.clear();
    discounts_.clear();
    weights_.clear();
    positions_.clear();
  }

  void add(const n_step_window<T>& window, std::uint64_t position) noexcept {
    steps_.push_back(window.step);
    discounts_.push_back(window.discount);
    positions_.push_back(position);
  }

  transitions<T> steps_;
  detail::resource_vector<T> discounts_, weights_;
  detail::resource_vector<std::uint64_t> positions_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
