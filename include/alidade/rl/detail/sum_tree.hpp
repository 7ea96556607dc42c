#pragma once

#include <array>
#include <cstddef>
#include <cstring>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Weights 0 .. capacity - 1, with their sum, the least positive one, and where in the sum a number falls: what proportional
/// prioritisation samples from (Schaul et al., Prioritized experience replay, ICLR 2016, appendix B.2.1).
///
/// A tree of groups of eight numbers, each a cache line, level after level in one array from the weights upwards, up to the
/// level that is one group; what a level lacks of whole groups is zeros. Of capacity 70:
///
///   | w0 .. w7 | w8 .. w15 | ...     | w64 .. w69 0 0 |        level 0, 9 groups
///   | s0 .. s7 | s8 0 0 0 0 0 0 0 |                            level 1, 2 groups: s0 = w0 + .. + w7
///   | t0 t1 0 0 0 0 0 0 |                                      level 2: t0 = s0 + .. + s7; total = t0 + t1
///
/// A second array has the least positive weights below each number from level 1 on, 0 where there is none. 10.3 bytes a
/// weight. Sums are always computed anew from the eight below, never changed by differences, and so depend on the weights
/// alone, not on how they came about.
class sum_tree {
  static constexpr std::size_t width = 8;

 public:
  explicit sum_tree(memory_resource* memory = nullptr) noexcept : sums_(memory), least_(memory) {}

  /// All weights are 0. Throws what the resource throws.
  sum_tree(std::size_t capacity, memory_resource* memory) : sum_tree(memory) {
    std::size_t end = 0;
    for (std::size_t count = capacity; count != 0; count = count > width ? groups_of(count) : 0) {
      first_[levels_++] = end;
      end += round_up(count, width);
    }
    sums_.grow(end);
    if (levels_ > 1) least_.grow(end - first_[1]);
    capacity_ = capacity;
  }

  std::size_t capacity() const noexcept { return capacity_; }
  double total() const noexcept { return total_; }
  /// 0 where no weight is positive.
  double least_positive() const noexcept { return least_positive_; }

  double operator[](std::size_t i) const noexcept {
    ALIDADE_ASSERT(i < capacity_);
    return sums_[i];
  }

  /// Makes weight i `weight`, which is finite and not negative; nor may the sum of all be infinite. O(log n).
  void set(std::size_t i, double weight) noexcept {
    ALIDADE_ASSERT(i < capacity_ && is_finite(weight) && weight >= 0);
    sums_[i] = weight;
    for (std::size_t level = 0;; ++level) {
      i /= width;
      const std::size_t group = first_[level] + i * width;
      const double sum = sum_of(sums_.data() + group);
      const double least = least_of(level == 0 ? sums_.data() + group : least_.data() + (group - first_[1]));
      if (level + 1 == levels_) {
        total_ = sum;
        least_positive_ = least;
        return;
      }
      sums_[first_[level + 1] + i] = sum;
      least_[first_[level + 1] - first_[1] + i] = least;
    }
  }

  /// The i whose weights before it sum to at most u, and with its own to more than u; u in [0, total()), which is positive.
  /// Sums are those of the tree: another order of addition may round to the neighbour. What is rounded past the end falls
  /// to the last positive weight, and never to one that is zero. O(log n).
  std::size_t find(double u) const noexcept {
    ALIDADE_ASSERT(total_ > 0 && u >= 0);
    std::size_t at = 0;
    for (std::size_t level = levels_; level-- > 0;) {
      const double* const group = sums_.data() + first_[level] + at * width;
      std::size_t found = 0;
      double in_found = u;
      for (std::size_t i = 0; i < width; ++i) {
        if (!(group[i] > 0)) continue;
        found = i;
        in_found = u;
        if (u < group[i]) break;
        u -= group[i];
      }
      u = in_found;
      at = at * width + found;
    }
    return at;
  }

  /// Makes all weights 0. O(n).
  void clear() noexcept {
    if (sums_.size() != 0) std::memset(sums_.data(), 0, sums_.memory_bytes());
    if (least_.size() != 0) std::memset(least_.data(), 0, least_.memory_bytes());
    total_ = least_positive_ = 0;
  }

  /// What it holds outside of itself.
  std::size_t memory_bytes() const noexcept { return sums_.memory_bytes() + least_.memory_bytes(); }

 private:
  static constexpr std::size_t groups_of(std::size_t count) noexcept { return (count - 1) / width + 1; }

  static double sum_of(const double* x) noexcept {
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
  }
  static double least_of(const double* x) noexcept {
    double least = 0;
    for (std::size_t i = 0; i < width; ++i) {
      if (x[i] > 0 && (least == 0 || x[i] < least)) least = x[i];
    }
    return least;
  }

  buffer<double> sums_, least_;
  std::array<std::size_t, 22> first_{};  // where each level begins; 8^22 > 2^64
  std::size_t levels_ = 0, capacity_ = 0;
  double total_ = 0, least_positive_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
