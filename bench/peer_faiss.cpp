#include "engine.hpp"
#include "failure.hpp"

#if defined(ALIDADE_BENCH_FAISS)

#include "normalised.hpp"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/HNSW.h>
#include <omp.h>

#include <algorithm>
#include <vector>

namespace bench {
namespace {

using id_type = faiss::Index::idx_t;

/// Faiss's graph search wants small to be near; its inner product is a similarity.
class negated final : public faiss::DistanceComputer {
 public:
  explicit negated(faiss::DistanceComputer* wrapped) : wrapped_(wrapped) {}
  void set_query(const float* x) override { wrapped_->set_query(x); }
  float operator()(id_type i) override { return -(*wrapped_)(i); }
  float symmetric_dis(id_type i, id_type j) override { return -wrapped_->symmetric_dis(i, j); }

 private:
  std::unique_ptr<faiss::DistanceComputer> wrapped_;
};

/// What a searching thread keeps between queries.
struct search_scratch {
  std::size_t build = 0;  ///< serial number of the build it was made for
  std::unique_ptr<faiss::DistanceComputer> distance;
  std::unique_ptr<faiss::VisitedTable> visited;
  std::vector<id_type> ids;
  std::vector<float> distances;
};

class faiss_engine final : public engine {
 public:
  explicit faiss_engine(const engine_request& request) : engine(request) {
    if (request.data.distance == metric::cosine) {
      base_ = normalised(request.data.base);
      queries_ = normalised(request.data.queries);
    }
  }

  [[nodiscard]] std::string arch() const override { return "as packaged"; }

  void build(std::size_t threads, std::atomic<std::size_t>& added) override {
    const matrix<float>& rows = base_.empty() ? request().data.base : base_;
    graph_.reset();
    flat_.reset();
    omp_set_num_threads(static_cast<int>(std::max<std::size_t>(1, threads)));
    const auto dimension = static_cast<int>(rows.columns);
    const bool l2 = request().data.distance == metric::l2;
    const faiss::MetricType distance = l2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT;
    faiss::Index* index = nullptr;
    if (request().index == index_kind::flat) {
      flat_ = std::make_unique<faiss::IndexFlat>(dimension, distance);
      index = flat_.get();
    } else {
      graph_ =
          std::make_unique<faiss::IndexHNSWFlat>(dimension, static_cast<int>(request().graph.M), distance);
      graph_->hnsw.efConstruction = static_cast<int>(request().graph.ef_construction);
      index = graph_.get();
    }
    index->add(static_cast<id_type>(rows.rows), rows.values.data());
    build_ = ++builds_;
    added = rows.rows;
  }

  /// Set on the graph: in Faiss 1.7.3 the efSearch of search parameters does not reach all of the search.
  void set_ef(std::size_t ef) override {
    if (graph_) graph_->hnsw.efSearch = static_cast<int>(ef);
  }

  /// IndexHNSW::search clears a table as long as the index for every call. Searching its graph directly with a table that
  /// is kept is faster for single queries, so that is what we compare with.
  std::size_t search(std::size_t query, std::span<std::uint64_t> keys) override {
    thread_local search_scratch scratch;
    if (scratch.build != build_) prepare(scratch);
    const auto k = static_cast<int>(keys.size());
    scratch.ids.assign(keys.size(), -1);
    scratch.distances.resize(keys.size());
    const float* const q = (queries_.empty() ? request().data.queries : queries_).row(query).data();
    if (graph_) {
      scratch.distance->set_query(q);
      graph_->hnsw.search(*scratch.distance, k, scratch.ids.data(), scratch.distances.data(),
                          *scratch.visited);
    } else {
      flat_->search(1, q, k, scratch.distances.data(), scratch.ids.data());
    }
    return copy_keys(scratch.ids, keys);
  }

  [[nodiscard]] bool has_batches() const override { return true; }

  void search_batch(matrix<std::uint64_t>& ids, std::vector<std::size_t>& found,
                    std::size_t threads) override {
    const matrix<float>& queries = queries_.empty() ? request().data.queries : queries_;
    batch_ids_.resize(ids.values.size());
    batch_distances_.resize(ids.values.size());
    omp_set_num_threads(static_cast<int>(threads));
    const faiss::Index& index = graph_ ? static_cast<const faiss::Index&>(*graph_) : *flat_;
    index.search(static_cast<id_type>(queries.rows), queries.values.data(), static_cast<id_type>(ids.columns),
                 batch_distances_.data(), batch_ids_.data());
    for (std::size_t query = 0; query < found.size(); ++query) {
      found[query] =
          copy_keys(std::span(batch_ids_).subspan(query * ids.columns, ids.columns), ids.row(query));
    }
  }

  [[nodiscard]] std::size_t bytes() const override {
    if (!graph_) return flat_->codes.size();
    const auto* vectors = dynamic_cast<const faiss::IndexFlat*>(graph_->storage);
    const faiss::HNSW& links = graph_->hnsw;
    return (vectors != nullptr ? vectors->codes.size() : 0) +
           links.neighbors.size() * sizeof(links.neighbors[0]) +
           links.offsets.size() * sizeof(links.offsets[0]) + links.levels.size() * sizeof(links.levels[0]);
  }

 private:
  /// Faiss fills what it did not find with -1.
  static std::size_t copy_keys(std::span<const id_type> ids, std::span<std::uint64_t> keys) {
    std::size_t count = 0;
    for (const id_type id : ids) {
      if (id >= 0) keys[count++] = static_cast<std::uint64_t>(id);
    }
    return count;
  }

  void prepare(search_scratch& scratch) const {
    omp_set_num_threads(1);
    scratch.build = build_;
    if (!graph_) return;
    scratch.distance.reset(graph_->storage->get_distance_computer());
    if (graph_->metric_type == faiss::METRIC_INNER_PRODUCT) {
      scratch.distance = std::make_unique<negated>(scratch.distance.release());
    }
    scratch.visited = std::make_unique<faiss::VisitedTable>(static_cast<int>(graph_->ntotal));
  }

  static inline std::size_t builds_ = 0;

  std::size_t build_ = 0;
  std::unique_ptr<faiss::IndexHNSWFlat> graph_;
  std::unique_ptr<faiss::IndexFlat> flat_;
  matrix<float> base_;     // normalised, for cosine
  matrix<float> queries_;  // likewise
  std::vector<id_type> batch_ids_;
  std::vector<float> batch_distances_;
};

}  // namespace

std::unique_ptr<engine> make_faiss(const engine_request& request) {
  return std::make_unique<faiss_engine>(request);
}

}  // namespace bench

#else

namespace bench {

std::unique_ptr<engine> make_faiss(const engine_request&) {
  throw input_error("--peer faiss: this program was built without Faiss (Debian: libfaiss-dev)");
}

}  // namespace bench

#endif
