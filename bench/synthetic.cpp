#include "synthetic.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace bench {
namespace {

// About as hard for a graph of 10,000 rows as SIFT descriptors are: hnswlib needs an ef near 30 for a recall of 0.95.
constexpr std::size_t latent_limit = 24;
constexpr std::size_t clusters = 100;
constexpr double cluster_spread = 2;  // standard deviation in a latent dimension; that of the centres is 1
constexpr double noise = 0.2;

/// splitmix64. The standard distributions differ between libraries; this gives the same set everywhere.
class generator {
 public:
  explicit generator(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  double uniform() { return static_cast<double>(next() >> 11U) * 0x1p-53; }
  /// Nearly normal (the sum of twelve uniforms), without functions whose last bit differs between C libraries.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

matrix<double> normal_matrix(generator& random, std::size_t rows, std::size_t columns, double scale) {
  matrix<double> result(rows, columns);
  for (double& x : result.values) x = scale * random.normal();
  return result;
}

matrix<float> sample(generator random, std::size_t rows, const matrix<double>& centres,
                     const matrix<double>& projection) {
  const std::size_t latent = centres.columns;
  matrix<float> result(rows, projection.columns);
  std::vector<double> point(latent);
  std::vector<double> row(projection.columns);
  for (std::size_t i = 0; i < rows; ++i) {
    const auto centre = centres.row(static_cast<std::size_t>(random.next() % centres.rows));
    for (std::size_t j = 0; j < latent; ++j) point[j] = centre[j] + cluster_spread * random.normal();
    for (double& x : row) x = noise * random.normal();
    for (std::size_t j = 0; j < latent; ++j) {
      const auto direction = projection.row(j);
      for (std::size_t d = 0; d < row.size(); ++d) row[d] += point[j] * direction[d];
    }
    std::transform(row.begin(), row.end(), result.row(i).begin(),
                   [](double x) { return static_cast<float>(x); });
  }
  return result;
}

/// base^exponent, by square roots: these are rounded alike everywhere, which std::pow is not. The exponent is not negative.
double power(double base, double exponent) {
  double result = 1;
  double rest = exponent;
  for (; rest >= 1; rest -= 1) result *= base;
  for (double root = base; rest > 0;) {
    root = std::sqrt(root);
    if (root == 1) break;  // and so are those that would follow
    rest *= 2;
    if (rest >= 1) {
      result *= root;
      rest -= 1;
    }
  }
  return result;
}

/// Standard deviations along the principal directions.
std::vector<double> deviations(std::size_t dimension, double decay) {
  std::vector<double> variances(dimension);
  double sum = 0;
  for (std::size_t j = 0; j < dimension; ++j) {
    variances[j] = 1 / power(static_cast<double>(j + 1), decay);
    sum += variances[j];
  }
  constexpr double mixture =
      1 + cluster_spread * cluster_spread;  // variance that the centres and clusters add up to
  const double scale = static_cast<double>(dimension) / (mixture * sum);
  for (double& v : variances) v = std::sqrt(v * scale);
  return variances;
}

/// A random rotation in D log D: thrice random signs, a permutation, and Walsh-Hadamard transforms of blocks that cover
/// the row. Ailon and Chazelle (2009) have one block of a power of 2; here its length is a power of 4, so that
/// normalising is exact, and the last block ends with the row and overlaps the one before.
class rotation {
 public:
  rotation(generator& random, std::size_t dimension) : moved_(dimension) {
    while (block_ * 4 <= dimension) {
      block_ *= 4;
      scale_ /= 2;
    }
    for (round& r : rounds_) {
      r.from.resize(dimension);
      r.sign.resize(dimension);
      std::iota(r.from.begin(), r.from.end(), std::size_t{0});
      for (std::size_t i = dimension; i > 1; --i) {
        std::swap(r.from[i - 1], r.from[static_cast<std::size_t>(random.next() % i)]);
      }
      for (double& x : r.sign) x = random.next() >> 63U != 0 ? -1 : 1;
    }
  }

  void operator()(std::vector<double>& row) {
    for (const round& r : rounds_) {
      for (std::size_t i = 0; i < row.size(); ++i) moved_[i] = r.sign[i] * row[r.from[i]];
      row.swap(moved_);
      std::size_t begin = 0;
      for (; begin + block_ <= row.size(); begin += block_) transform(row.data() + begin);
      if (begin < row.size()) transform(row.data() + row.size() - block_);
    }
  }

 private:
  struct round {
    std::vector<std::size_t> from;
    std::vector<double> sign;
  };

  /// Walsh-Hadamard, in place.
  void transform(double* values) const {
    for (std::size_t half = 1; half < block_; half *= 2) {
      for (std::size_t pair = 0; pair < block_; pair += 2 * half) {
        for (std::size_t i = pair; i < pair + half; ++i) {
          const double a = values[i], b = values[i + half];
          values[i] = a + b;
          values[i + half] = a - b;
        }
      }
    }
    for (std::size_t i = 0; i < block_; ++i) values[i] *= scale_;
  }

  std::size_t block_ = 1;
  double scale_ = 1;
  std::array<round, 3> rounds_;
  std::vector<double> moved_;
};

matrix<float> sample(generator random, std::size_t rows, const matrix<double>& centres,
                     const std::vector<double>& deviation, rotation& rotate) {
  matrix<float> result(rows, deviation.size());
  std::vector<double> row(deviation.size());
  for (std::size_t i = 0; i < rows; ++i) {
    const auto centre = centres.row(static_cast<std::size_t>(random.next() % centres.rows));
    // The spread is a power of 2: the same with a fused multiply-add or without.
    for (std::size_t j = 0; j < row.size(); ++j) {
      row[j] = deviation[j] * (centre[j] + cluster_spread * random.normal());
    }
    rotate(row);
    std::transform(row.begin(), row.end(), result.row(i).begin(),
                   [](double x) { return static_cast<float>(x); });
  }
  return result;
}

}  // namespace

synthetic_set make_synthetic(std::size_t rows, std::size_t queries, std::size_t dimension) {
  generator random(2718281828);
  const std::size_t latent = std::min(dimension, latent_limit);
  const matrix<double> centres = normal_matrix(random, clusters, latent, 1.0);
  const matrix<double> projection =
      normal_matrix(random, latent, dimension, 1 / std::sqrt(static_cast<double>(latent)));
  return {sample(generator(1), rows, centres, projection),
          sample(generator(2), queries, centres, projection)};
}

synthetic_set make_spectrum(std::size_t rows, std::size_t queries, std::size_t dimension, double decay) {
  generator random(3141592653);
  const matrix<double> centres = normal_matrix(random, clusters, dimension, 1.0);
  rotation rotate(random, dimension);
  const std::vector<double> deviation = deviations(dimension, decay);
  return {sample(generator(1), rows, centres, deviation, rotate),
          sample(generator(2), queries, centres, deviation, rotate)};
}

}  // namespace bench
