#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/detail/td_update.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Errors of a batch by the entry that they are of: a hash table with linear probing, at most half full, of the entries in
/// the order in which they first occur. It keeps its memory.
template <class T>
class error_means {
 public:
  explicit error_means(memory_resource* memory) noexcept : sums_(memory), places_(memory) {}

  /// Makes it empty, with room for `count` entries.
  void reset(std::size_t count) {
    sums_.clear();
    sums_.reserve(count);
    const std::size_t needed = std::bit_ceil(std::max<std::size_t>(2 * count, 8));
    if (places_.size() < needed) places_.resize(needed);
    mask_ = needed - 1;
    std::fill_n(places_.begin(), needed, none);
  }

  void add(T* entry, T error) noexcept {
    std::size_t place = static_cast<std::size_t>(mix64(reinterpret_cast<std::uintptr_t>(entry))) & mask_;
    while (places_[place] != none && sums_[places_[place]].entry != entry) place = (place + 1) & mask_;
    if (places_[place] == none) {
      places_[place] = static_cast<std::uint32_t>(sums_.size());
      sums_.push_back({entry, 0, 0});
    }
    sum& s = sums_[places_[place]];
    s.errors += error;
    ++s.count;
  }

  void apply(T alpha) const noexcept {
    for (const sum& s : sums_) *s.entry += unfused(alpha * (s.errors / static_cast<T>(s.count)));
  }

  std::size_t memory_bytes() const noexcept {
    return sums_.capacity() * sizeof(sum) + places_.capacity() * sizeof(std::uint32_t);
  }

 private:
  struct sum {
    T* entry;
    T errors;
    std::uint32_t count;
  };
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  resource_vector<sum> sums_;
  resource_vector<std::uint32_t> places_;
  std::size_t mask_ = 0;
};

/// q(s, a) += alpha * mean of w * error over the transitions of (s, a), with all errors of the table as it was. Their sum is
/// in T, in the order of the batch.
template <class T, class Learns>
inline void update_by_means(const q_table<T>& table, const batch_reader<T>& reader, const Learns& learns,
                            std::span<T> td_errors, error_means<T>& means) {
  const transition_batch<T>& b = reader.batch;
  means.reset(b.size());
  with_rows<T>(table.stride(), [&](const auto& rows) {
    const T* const any = learns.table(0);
    for (std::size_t i = 0; i < prefetch_distance; ++i) prefetch_transition<true>(any, rows.stride(), b, i);
    for (std::size_t i = 0; i < b.size(); ++i) {
      prefetch_transition<true>(any, rows.stride(), b, i + prefetch_distance);
      const T after = learns.next(rows, b.next_states[i] * rows.stride(), i);
      T* const entry = learns.table(i) + b.states[i] * rows.stride() + b.actions[i];
      const T error = td_error(*entry, b.rewards[i], reader.discount(i), b.is_terminated(i) ? T(0) : after);
      means.add(entry, b.weights.empty() ? error : unfused(b.weights[i] * error));
      if (!td_errors.empty()) td_errors[i] = error;
    }
  });
  means.apply(reader.alpha);
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
