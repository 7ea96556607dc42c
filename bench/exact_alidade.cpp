#include "exact.hpp"
#include "indexes.hpp"

#include <utility>

namespace bench {

exact_contestant exact_alidade(const workload& data, std::size_t k) {
  auto found = std::make_shared<matrix<std::uint64_t>>(data.queries.rows, k);
  return with_index_type(
      data.type, data.distance, index_kind::flat, codec_kind::none, [&]<class T, class Index>() {
        const auto index = std::make_shared<Index>(make_index<Index>(data.dimension(), {}));
        if constexpr (!is_graph<Index>) {
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
        } else {
          return exact_contestant{};  // a graph is not exact
        }
      });
}

exact_contestant exact_distances(const workload& data) {
  return with_index_type(
      data.type, data.distance, index_kind::flat, codec_kind::none, [&]<class T, class Index>() {
        using metric_type = typename metric_of<Index>::type;
        using distance = alidade::distance_result<metric_type, T>;
        using view = alidade::matrix_view<T>;
        const auto out = std::make_shared<std::vector<distance>>(tile_rows * tile_queries);
        const auto run = [&data, out] {
          for_tiles(data, [&](std::size_t query, std::size_t queries, std::size_t row, std::size_t rows) {
            many_to_many(metric_type{},
                         view(elements<T>::queries(data).row(query).data(), queries, data.dimension()),
                         view(elements<T>::base(data).row(row).data(), rows, data.dimension()),
                         std::span<distance>(out->data(), queries * rows));
          });
        };
        return exact_contestant{"many_to_many", alidade::arch_name(), true, run, nullptr};
      });
}

}  // namespace bench
