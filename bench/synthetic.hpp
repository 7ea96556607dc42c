// A generated set, so that anybody can run the benchmark.
#pragma once

#include "matrix.hpp"

#include <cstddef>

namespace bench {

struct synthetic_set {
  matrix<float> base;
  matrix<float> queries;
};

/// Clustered vectors of low intrinsic dimension, as real descriptors are: a mixture of Gaussians in a latent space of at
/// most 24 dimensions, projected up at random, plus noise in every dimension. The same arguments give the same set; the
/// queries come from the same mixture and do not depend on the number of rows.
[[nodiscard]] synthetic_set make_synthetic(std::size_t rows, std::size_t queries, std::size_t dimension);

}  // namespace bench
