#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/index/neighbor.hpp>
#include <alidade/simd/prefetch.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A distance that has an order: infinity where it is NaN. Vectors from outside that nobody has looked at may lead to that.
template <class D>
D ordered(D distance) noexcept {
  if constexpr (std::is_same_v<D, float>) {
    return nan_to_infinity(distance);
  } else {
    return distance;
  }
}

/// A query's nearest so far: a heap with the worst on top, in the place of its results.
template <class D>
class exact_answers {
 public:
  explicit exact_answers(std::span<neighbor<D>> slots) : slots_(slots) {}
  std::size_t count() const noexcept { return count_; }
  bool full() const noexcept { return count_ == slots_.size(); }
  /// No farther one is an answer; of the same distance one with a smaller key is.
  bool rules_out(D distance) const noexcept { return full() && slots_[0].distance < distance; }
  double bound() const noexcept {
    return full() ? static_cast<double>(slots_[0].distance) : std::numeric_limits<double>::infinity();
  }

  void offer(const neighbor<D>& offered) {
    if (!full()) {
      slots_[count_++] = offered;
      std::push_heap(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(count_));
    } else if (offered < slots_[0]) {
      std::pop_heap(slots_.begin(), slots_.end());
      slots_.back() = offered;
      std::push_heap(slots_.begin(), slots_.end());
    }
  }
  void sort() { std::sort_heap(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(count_)); }

 private:
  std::span<neighbor<D>> slots_;
  std::size_t count_ = 0;
};

/// Offers every vector that is not removed to every query's answers, block by block of vectors. `queries`: prepared, a set's stride apart.
template <class VectorSet, class T, class D>
inline void scan_all(const VectorSet& vectors, const T* queries, std::span<exact_answers<D>> answers) {
  constexpr std::size_t block = 64;
  const T* rows[block];
  D distances[block];
  const auto view = vectors.view();
  for (std::size_t first = 0; first < vectors.slots(); first += block) {
    const std::size_t count = std::min(block, vectors.slots() - first);
    for (std::size_t j = 0; j < count; ++j) rows[j] = vectors.row(first + j);
    for (std::size_t query = 0; query < answers.size(); ++query) {
      view.distances(queries + query * vectors.stride(), rows, count, distances);
      for (std::size_t j = 0; j < count; ++j) {
        if (!answers[query].rules_out(distances[j]) && !vectors.is_removed(first + j))
          answers[query].offer({vectors.key(first + j), ordered(distances[j])});
      }
    }
  }
}

/// The same of some slots and one query.
template <class VectorSet, class T, class D>
void scan_slots(const VectorSet& vectors, std::span<const std::uint32_t> slots, const T* query,
                exact_answers<D>& answers) {
  constexpr std::size_t block = 16;
  const T* rows[block];
  D distances[block];
  const auto view = vectors.view();
  for (std::size_t first = 0; first < slots.size(); first += block) {
    const std::size_t count = std::min(block, slots.size() - first);
    for (std::size_t j = 0; j < count; ++j) {
      rows[j] = vectors.row(slots[first + j]);
      simd::prefetch(rows[j], view.row_bytes());
    }
    view.distances(query, rows, count, distances);
    for (std::size_t j = 0; j < count; ++j) {
      if (!answers.rules_out(distances[j]))
        answers.offer({vectors.key(slots[first + j]), ordered(distances[j])});
    }
  }
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
