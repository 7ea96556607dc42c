// Distance kernels of peers, for `alidade_bench kernels`: null where a peer has none for this type and metric.
#pragma once

#include "kernel_set.hpp"

#include <cstddef>
#include <span>

namespace bench {

struct kernel_peer {
  const char* name;
  bool built_in;  ///< whether this program was built with it
  const char* package;
  kernel_sweep (*find)(const kernel_id&, std::size_t columns);
};

[[nodiscard]] std::span<const kernel_peer> kernel_peers();

[[nodiscard]] bool has_hnswlib_kernels();
[[nodiscard]] kernel_sweep hnswlib_kernel(const kernel_id&, std::size_t columns);

[[nodiscard]] bool has_faiss_kernels();
[[nodiscard]] kernel_sweep faiss_kernel(const kernel_id&, std::size_t columns);

[[nodiscard]] bool has_eigen_kernels();
[[nodiscard]] kernel_sweep eigen_kernel(const kernel_id&, std::size_t columns);

[[nodiscard]] bool has_openblas_kernels();
[[nodiscard]] kernel_sweep openblas_kernel(const kernel_id&, std::size_t columns);

}  // namespace bench
