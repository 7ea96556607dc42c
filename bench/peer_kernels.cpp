#include "peer_kernels.hpp"

#include <array>

namespace bench {

std::span<const kernel_peer> kernel_peers() {
  static const std::array<kernel_peer, 4> peers{{
      {"hnswlib", has_hnswlib_kernels(), "libhnswlib-dev", hnswlib_kernel},
      {"faiss", has_faiss_kernels(), "libfaiss-dev", faiss_kernel},
      {"eigen", has_eigen_kernels(), "libeigen3-dev", eigen_kernel},
      {"openblas", has_openblas_kernels(), "libopenblas-dev", openblas_kernel},
  }};
  return peers;
}

}  // namespace bench
