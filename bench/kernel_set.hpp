// The library's distance kernels, compiled twice: as this build has them, and as plain scalar code.
#pragma once

#include "workload.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>

namespace bench {

/// Sum of the distances from a query to `count` rows of `columns` elements; one call for each row.
template <class T>
using kernel_sweep =
    std::function<double(const T* query, const T* rows, std::size_t count, std::size_t columns)>;

struct kernel_set {
  const char* arch;
  kernel_sweep<float> (*f32)(metric);
  kernel_sweep<std::uint8_t> (*u8)(metric);  ///< empty for cosine
};

/// Kernels of the architecture of this build.
[[nodiscard]] kernel_set native_kernels();

/// The same source with ALIDADE_ARCH=scalar, without auto-vectorisation. The library's inline namespace carries the
/// architecture, which keeps the two apart in one program.
[[nodiscard]] kernel_set scalar_kernels();

}  // namespace bench
