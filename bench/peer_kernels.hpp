// Distance kernels of peers, for `alidade_bench kernels`.
#pragma once

#include "workload.hpp"

#include <cstddef>
#include <functional>

namespace bench {

/// Sum of the distances from a query to `count` rows of `columns` floats.
using peer_kernel =
    std::function<float(const float* query, const float* rows, std::size_t count, std::size_t columns)>;

/// Empty when hnswlib is not there or has no such metric (its cosine is the inner product of unit vectors).
[[nodiscard]] peer_kernel hnswlib_kernel(metric, std::size_t dimension);

}  // namespace bench
