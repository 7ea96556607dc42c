#include "exact.hpp"
#include "failure.hpp"

#if defined(ALIDADE_BENCH_OPENBLAS)

#include <cblas.h>

namespace bench {

exact_contestant exact_sgemm(const workload& data) {
  const auto out = std::make_shared<std::vector<float>>(tile_rows * tile_queries);
  const auto run = [&data, out] {
    openblas_set_num_threads(1);
    for_tiles(data, [&](std::size_t query, std::size_t queries, std::size_t row, std::size_t rows) {
      const auto columns = static_cast<blasint>(data.dimension());
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<blasint>(queries),
                  static_cast<blasint>(rows), columns, 1, data.queries.row(query).data(), columns,
                  data.base.row(row).data(), columns, 0, out->data(), static_cast<blasint>(rows));
    });
  };
  return {"sgemm", openblas_get_corename(), false, run, nullptr};
}

}  // namespace bench

#else

namespace bench {

exact_contestant exact_sgemm(const workload&) {
  throw input_error("--peer openblas: this program was built without OpenBLAS (Debian: libopenblas-dev)");
}

}  // namespace bench

#endif
