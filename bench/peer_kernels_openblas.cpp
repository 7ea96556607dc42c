#include "peer_kernels.hpp"

#if defined(ALIDADE_BENCH_OPENBLAS)

#include <cblas.h>

namespace bench {
namespace {

blasint length(std::size_t n) { return static_cast<blasint>(n); }

struct dot {
  float operator()(const float* a, const float* b, std::size_t n) const {
    return cblas_sdot(length(n), a, 1, b, 1);
  }
  double operator()(const double* a, const double* b, std::size_t n) const {
    return cblas_ddot(length(n), a, 1, b, 1);
  }
};

struct times_vector {
  void operator()(const float* query, const float* rows, std::size_t count, std::size_t n, float* out) const {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, length(count), length(n), 1, rows, length(n), query, 1, 0, out,
                1);
  }
  void operator()(const double* query, const double* rows, std::size_t count, std::size_t n,
                  double* out) const {
    cblas_dgemv(CblasRowMajor, CblasNoTrans, length(count), length(n), 1, rows, length(n), query, 1, 0, out,
                1);
  }
};

}  // namespace

bool has_openblas_kernels() { return true; }

kernel_sweep openblas_kernel(const kernel_id& id, std::size_t) {
  if (id.distance != metric::ip) return nullptr;
  openblas_set_num_threads(1);
  const bool pair = id.how == form::pair;
  if (id.type == element::f32) return pair ? sweep_pairs<float, dot> : sweep_many<float, float, times_vector>;
  if (id.type == element::f64) {
    return pair ? sweep_pairs<double, dot> : sweep_many<double, double, times_vector>;
  }
  return nullptr;
}

}  // namespace bench

#else

namespace bench {

bool has_openblas_kernels() { return false; }
kernel_sweep openblas_kernel(const kernel_id&, std::size_t) { return nullptr; }

}  // namespace bench

#endif
