// Peers have no cosine distance: they get unit vectors and the inner product. Queries are normalised outside the timing,
// which is in the peers' favour.
#pragma once

#include "matrix.hpp"

#include <cmath>

namespace bench {

inline matrix<float> normalised(const matrix<float>& rows) {
  matrix<float> result = rows;
  for (std::size_t i = 0; i < result.rows; ++i) {
    double squares = 0;
    for (const float x : result.row(i)) squares += static_cast<double>(x) * static_cast<double>(x);
    if (squares == 0) continue;
    const double scale = 1 / std::sqrt(squares);
    for (float& x : result.row(i)) x = static_cast<float>(x * scale);
  }
  return result;
}

}  // namespace bench
