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

/// Vectors whose variances along the principal directions fall as j^-decay, j from 1: a mixture of Gaussians, centres and
/// clusters with that spectrum alike, under a random rotation. Components have variance 1 in the mean; decay lies in
/// [0, spectrum_limit], and 0 makes all directions alike. The same arguments give the same set, as above. Of fewer than 4
/// dimensions the rotation only permutes and reflects.
[[nodiscard]] synthetic_set make_spectrum(std::size_t rows, std::size_t queries, std::size_t dimension,
                                          double decay);

inline constexpr double spectrum_limit = 8;

}  // namespace bench
