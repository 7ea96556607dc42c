#include "exact.hpp"
#include "indexes.hpp"

#include <utility>

namespace bench {

exact_contestant exact_alidade(const workload& data, std::size_t k) {
  auto found = std::make_shared<matrix<std::uint64_t>>(data.queries.rows, k);
  return with_metric_type(data.type, data.distance, [&]<class T, class Metric>() {
    const auto index = std::make_shared<alidade::flat_index<T, Metric>>(data.dimension());
    add_rows(*index, elements<T>::base(data), 1);
    const auto& queries = elements<T>::queries(data);
    const alidade::matrix_view<T> view(queries.values.data(), queries.rows, queries.columns);
    const auto run = [index, view, found, k] {
      const auto results = index->search(view, {.k = k, .threads = 1});
      for (std::size_t query = 0; query < results.size(); ++query) {
        for (std::size_t i = 0; i < k; ++i) found->row(query)[i] = results[query][i].key;
      }
    };
    return exact_contestant{"alidade", alidade::arch_name(), true, run, found};
  });
}

exact_contestant exact_distances(const workload& data) {
  return with_metric_type(data.type, data.distance, [&]<class T, class Metric>() {
    using distance = alidade::distance_result<Metric, T>;
    using view = alidade::matrix_view<T>;
    const auto out = std::make_shared<std::vector<distance>>(tile_rows * tile_queries);
    const auto run = [&data, out] {
      for_tiles(data, [&](std::size_t query, std::size_t queries, std::size_t row, std::size_t rows) {
        many_to_many(Metric{}, view(elements<T>::queries(data).row(query).data(), queries, data.dimension()),
                     view(elements<T>::base(data).row(row).data(), rows, data.dimension()),
                     std::span<distance>(out->data(), queries * rows));
      });
    };
    return exact_contestant{"many_to_many", alidade::arch_name(), true, run, nullptr};
  });
}

}  // namespace bench
