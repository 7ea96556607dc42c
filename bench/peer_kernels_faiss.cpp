#include "peer_kernels.hpp"

#if defined(ALIDADE_BENCH_FAISS)

#include <faiss/utils/distances.h>
#include <faiss/utils/hamming.h>

namespace bench {
namespace {

template <float (*function)(const float*, const float*, std::size_t)>
struct pair_of {
  float operator()(const float* a, const float* b, std::size_t n) const { return function(a, b, n); }
};

template <void (*function)(float*, const float*, const float*, std::size_t, std::size_t)>
struct rows_of {
  void operator()(const float* query, const float* rows, std::size_t count, std::size_t columns,
                  float* out) const {
    function(out, query, rows, columns, count);
  }
};

/// Of whole 64-bit words; the rows lie at multiples of eight bytes.
struct hamming {
  int operator()(const unsigned char* a, const unsigned char* b, std::size_t n) const {
    return faiss::hamming(reinterpret_cast<const uint64_t*>(a), reinterpret_cast<const uint64_t*>(b), n / 8);
  }
};

}  // namespace

bool has_faiss_kernels() { return true; }

kernel_sweep faiss_kernel(const kernel_id& id, std::size_t columns) {
  if (id.type == element::bits) {
    const bool possible = id.distance == metric::hamming && id.how == form::pair && columns % 8 == 0;
    return possible ? sweep_pairs<unsigned char, hamming> : nullptr;
  }
  if (id.type != element::f32) return nullptr;
  const bool pair = id.how == form::pair;
  switch (id.distance) {
    case metric::l2:
      return pair ? sweep_pairs<float, pair_of<faiss::fvec_L2sqr>>
                  : sweep_many<float, float, rows_of<faiss::fvec_L2sqr_ny>>;
    case metric::ip:
      return pair ? sweep_pairs<float, pair_of<faiss::fvec_inner_product>>
                  : sweep_many<float, float, rows_of<faiss::fvec_inner_products_ny>>;
    case metric::l1:
      return pair ? sweep_pairs<float, pair_of<faiss::fvec_L1>> : nullptr;
    case metric::chebyshev:
      return pair ? sweep_pairs<float, pair_of<faiss::fvec_Linf>> : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace bench

#else

namespace bench {

bool has_faiss_kernels() { return false; }
kernel_sweep faiss_kernel(const kernel_id&, std::size_t) { return nullptr; }

}  // namespace bench

#endif
