#include "exact.hpp"
#include "failure.hpp"

#if defined(ALIDADE_BENCH_FAISS)

#include <faiss/IndexFlat.h>
#include <omp.h>

#include <algorithm>

namespace bench {

exact_contestant exact_faiss(const workload& data, std::size_t k) {
  omp_set_num_threads(1);
  const auto distance = data.distance == metric::l2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT;
  const auto index = std::make_shared<faiss::IndexFlat>(static_cast<int>(data.dimension()), distance);
  index->add(static_cast<faiss::Index::idx_t>(data.size()), data.base.values.data());
  const auto found = std::make_shared<matrix<std::uint64_t>>(data.queries.rows, k);
  const auto ids = std::make_shared<std::vector<faiss::Index::idx_t>>(data.queries.rows * k);
  const auto distances = std::make_shared<std::vector<float>>(data.queries.rows * k);
  const auto run = [=, &data] {
    index->search(static_cast<faiss::Index::idx_t>(data.queries.rows), data.queries.values.data(),
                  static_cast<faiss::Index::idx_t>(k), distances->data(), ids->data());
    std::transform(ids->begin(), ids->end(), found->values.begin(),
                   [](faiss::Index::idx_t id) { return static_cast<std::uint64_t>(id); });
  };
  return {"faiss", "as packaged", false, run, found};
}

}  // namespace bench

#else

namespace bench {

exact_contestant exact_faiss(const workload&, std::size_t) {
  throw input_error("--peer faiss: this program was built without Faiss (Debian: libfaiss-dev)");
}

}  // namespace bench

#endif
