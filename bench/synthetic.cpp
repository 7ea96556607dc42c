#include "synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

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

}  // namespace bench
