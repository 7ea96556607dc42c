#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/core/random.hpp>
#include <alidade/distance/distance.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/ops/elementwise.hpp>
#include <alidade/ops/matrix.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// An orthogonal projection: y = P x', x' = x - mean, to the subspace that keeps most of what rows differ in, turned at random within it so that
/// the components of y are alike.
///
/// The subspace is that of principal component analysis, by subspace iteration (Halko, Martinsson and Tropp, Finding structure with
/// randomness, SIAM Review 53:2, 2011, section 4.5) over products of matrices. Where there are no fewer components than dimensions nothing is
/// lost, and P is only the turn.
class projection {
 public:
  explicit projection(memory_resource* memory = nullptr) noexcept : matrix_(memory), mean_(memory) {}

  std::size_t dimension() const noexcept { return mean_.size(); }
  std::size_t components() const noexcept { return mean_.empty() ? 0 : matrix_.size() / mean_.size(); }
  std::span<const float> mean() const noexcept { return mean_; }
  /// P, row-major.
  std::span<const float> matrix() const noexcept { return matrix_; }

  /// Learns the mean of rows, at least one, and takes it from them. Those that count are moved to the front; returns how many.
  std::size_t learn_mean(std::span<float> rows, std::size_t dimension) {
    const std::size_t count = without_outliers(rows, rows.size() / dimension, dimension);
    matrix_.clear();
    centre(rows, count, dimension);
    return count;
  }

  /// Learns the subspace from centred rows, some of those of which the mean is. Depends on the rows and the seed only, for any number of threads.
  void learn_subspace(std::span<const float> rows, std::size_t most_components, std::uint64_t seed,
                      std::size_t threads) {
    const std::size_t dimension = this->dimension(), count = rows.size() / dimension;
    const std::size_t components = std::min(most_components, dimension);
    splitmix64 random(seed);
    matrix_.assign(components * dimension, 0);
    for (float& x : matrix_) x = draw(random);
    orthonormalise(matrix_, components, dimension);
    if (components == dimension) return;
    resource_vector<float> products(components * count, matrix_.get_allocator());
    for (int round = 0; round < rounds; ++round) {
      multiply_transposed(matrix_, components, rows, count, dimension, products, threads);
      // So that what comes next is of the order of X, not of its square, and neither overflows nor vanishes.
      for (std::size_t i = 0; i < components; ++i) to_unit(std::span(products).subspan(i * count, count));
      multiply(products, components, rows, count, dimension, matrix_, threads);
      orthonormalise(matrix_, components, dimension);
    }
    turn(components, dimension, random, threads);
  }

  /// What was learnt before: as many rows of P as there are components, each as long as the mean.
  void restore(std::span<const float> mean, std::span<const float> matrix) {
    mean_.assign(mean.begin(), mean.end());
    matrix_.assign(matrix.begin(), matrix.end());
  }

  /// Takes the mean from a row.
  void centre(std::span<float> x) const noexcept { ops::multiply_add(-1.0f, mean_, x, x); }

  /// y = P x' of a centred row; y has components() elements.
  void apply(std::span<const float> x, std::span<float> y) const noexcept {
    ops::matrix_vector(view(), x, y);
  }
  /// The same of many rows, one behind the other.
  void apply_to_rows(std::span<const float> rows, std::span<float> out) const {
    ops::matrix_multiply_transposed(matrix_view<float>(rows.data(), rows.size() / dimension(), dimension()),
                                    view(), out);
  }

  memory_resource* resource() const noexcept { return matrix_.get_allocator().resource(); }
  std::size_t memory_bytes() const noexcept {
    return (matrix_.capacity() + mean_.capacity()) * sizeof(float);
  }

 private:
  using vector = resource_vector<float>;

  matrix_view<float> view() const noexcept { return {matrix_.data(), components(), dimension()}; }

  /// The sum of four uniform numbers: near enough to a normal one for a direction at random.
  static float draw(splitmix64& random) noexcept {
    double sum = -2;
    for (int i = 0; i < 4; ++i) sum += uniform_unit(random);
    return static_cast<float>(sum);
  }

  /// Moves those rows to the front that are not more than a thousand times as far from one in the middle as half of them are, and returns
  /// how many. Of one that is farther mean and subspace would else be made alone.
  std::size_t without_outliers(std::span<float> rows, std::size_t count, std::size_t dimension) const {
    resource_vector<double> squares(count, 0, mean_.get_allocator()), sorted(mean_.get_allocator());
    const auto row = [&](std::size_t i) { return rows.begin() + static_cast<std::ptrdiff_t>(i * dimension); };
    // Squared distances from row `from`, and the median of them.
    const auto median_from = [&](std::size_t from) {
      for (std::size_t r = 0; r < count; ++r) {
        squares[r] = 0;
        for (std::size_t i = 0; i < dimension; ++i) {
          const double x = static_cast<double>(row(r)[static_cast<std::ptrdiff_t>(i)]) -
                           static_cast<double>(row(from)[static_cast<std::ptrdiff_t>(i)]);
          squares[r] += unfused(x * x);
        }
      }
      sorted.assign(squares.begin(), squares.end());
      const auto median = sorted.begin() + static_cast<std::ptrdiff_t>(count / 2);
      std::nth_element(sorted.begin(), median, sorted.end());
      return *median;
    };
    const std::size_t tried[] = {0, count / 3, 2 * count / 3};
    std::size_t best = 0;
    double least = median_from(best);
    for (const std::size_t from : tried) {
      const double median = median_from(from);
      if (median < least) {
        least = median;
        best = from;
      }
    }
    if (!(least > 0)) return count;  // half of them are the same
    median_from(best);
    std::size_t kept = 0;
    for (std::size_t r = 0; r < count; ++r) {
      if (!(squares[r] <= 1e6 * least)) continue;
      if (kept != r) std::copy_n(row(r), dimension, row(kept));
      ++kept;
    }
    return kept;
  }

  void centre(std::span<float> rows, std::size_t count, std::size_t dimension) {
    resource_vector<double> sums(dimension, 0, mean_.get_allocator());
    for (std::size_t r = 0; r < count; ++r) {
      for (std::size_t i = 0; i < dimension; ++i) sums[i] += static_cast<double>(rows[r * dimension + i]);
    }
    mean_.resize(dimension);
    for (std::size_t i = 0; i < dimension; ++i)
      mean_[i] = static_cast<float>(sums[i] / static_cast<double>(count));
    for (std::size_t r = 0; r < count; ++r) {
      for (std::size_t i = 0; i < dimension; ++i) rows[r * dimension + i] -= mean_[i];
    }
  }

  /// Makes rows orthogonal to those before them, and of length 1, by blocks (block Gram-Schmidt), each twice. A row that depends on
  /// those before it is replaced by an axis that does not.
  void orthonormalise(std::span<float> rows, std::size_t count, std::size_t dimension) const {
    const auto row = [&](std::size_t i) { return rows.subspan(i * dimension, dimension); };
    vector products(block * count, 0, matrix_.get_allocator());
    // Takes from rows first .. last what they have of rows begin .. end.
    const auto remove = [&](std::size_t first, std::size_t last, std::size_t begin, std::size_t end) {
      if (begin == end) return;
      const matrix_view<float> earlier(row(begin).data(), end - begin, dimension);
      const auto these = rows.subspan(first * dimension, (last - first) * dimension);
      const auto shares = std::span(products).first((last - first) * (end - begin));
      for (int pass = 0; pass < 2; ++pass) {
        ops::matrix_multiply_transposed(matrix_view<float>(these.data(), last - first, dimension), earlier,
                                        shares);
        for (float& x : shares) x = -x;
        ops::matrix_multiply_add(matrix_view<float>(shares.data(), last - first, end - begin), earlier,
                                 these);
      }
    };
    for (std::size_t first = 0; first < count; first += block) {
      const std::size_t last = std::min(first + block, count);
      for (std::size_t i = first; i < last; ++i) {
        to_unit(row(i));
        // Of numbers whose sums have overflowed nothing is left, or what they are would never be orthogonal to anything.
        if (!(length(row(i)) <= 2)) std::fill(row(i).begin(), row(i).end(), 0.0f);
      }
      remove(first, last, 0, first);
      for (std::size_t i = first; i < last; ++i) {
        remove(i, i + 1, first, i);
        std::size_t axis = i;
        while (!(length(row(i)) >= 1e-3f)) {
          std::fill(row(i).begin(), row(i).end(), 0.0f);
          row(i)[axis++ % dimension] = 1;
          remove(i, i + 1, 0, i);
        }
        to_unit(row(i));
        remove(i, i + 1, 0, i);  // of a row that had become short, what it has of the others had not
        to_unit(row(i));
      }
    }
  }

  static float length(std::span<const float> x) noexcept { return std::sqrt(alidade::inner_product(x, x)); }
  /// A row of zeros stays one.
  static void to_unit(std::span<float> x) noexcept { detail::normalise<float>(x, x); }

  /// Z = Q X^T, threads by rows of Q.
  static void multiply_transposed(std::span<const float> q, std::size_t components,
                                  std::span<const float> rows, std::size_t count, std::size_t dimension,
                                  std::span<float> z, std::size_t threads) {
    const matrix_view<float> x(rows.data(), count, dimension);
    parallel_for(components, share, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
      ops::matrix_multiply_transposed(
          matrix_view<float>(q.data() + begin * dimension, end - begin, dimension), x,
          z.subspan(begin * count, (end - begin) * count));
    });
  }
  /// Q = Z X, likewise.
  static void multiply(std::span<const float> z, std::size_t components, std::span<const float> rows,
                       std::size_t count, std::size_t dimension, std::span<float> q, std::size_t threads) {
    const matrix_view<float> x(rows.data(), count, dimension);
    parallel_for(components, share, threads, [&](std::size_t begin, std::size_t end, std::size_t) {
      ops::matrix_multiply(matrix_view<float>(z.data() + begin * count, end - begin, count), x,
                           q.subspan(begin * dimension, (end - begin) * dimension));
    });
  }

  /// P = R P for an orthogonal R at random.
  void turn(std::size_t components, std::size_t dimension, splitmix64& random, std::size_t threads) {
    vector rotation(components * components, 0, matrix_.get_allocator());
    for (float& x : rotation) x = draw(random);
    orthonormalise(rotation, components, components);
    vector turned(components * dimension, 0, matrix_.get_allocator());
    multiply(rotation, components, matrix_, components, dimension, turned, threads);
    matrix_ = std::move(turned);
  }

  static constexpr int rounds = 6;
  static constexpr std::size_t block = 16;
  static constexpr std::size_t share = 64;  // rows of a product that one thread takes at a time

  vector matrix_;  ///< P, row-major
  vector mean_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
