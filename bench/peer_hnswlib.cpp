#include "engine.hpp"
#include "failure.hpp"
#include "peer_kernels.hpp"

#if defined(ALIDADE_BENCH_HNSWLIB)

#include "normalised.hpp"
#include "parallel.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include <hnswlib/hnswlib.h>

namespace bench {
namespace {

std::unique_ptr<hnswlib::SpaceInterface<float>> make_space(metric distance, std::size_t dimension) {
  if (distance == metric::l2) return std::make_unique<hnswlib::L2Space>(dimension);
  return std::make_unique<hnswlib::InnerProductSpace>(dimension);
}

/// Node and bucket of an unordered_map from label to slot, as libstdc++ lays them out.
std::size_t map_bytes(const std::unordered_map<hnswlib::labeltype, hnswlib::tableint>& map) {
  return map.size() * (sizeof(void*) + sizeof(*map.begin())) + map.bucket_count() * sizeof(void*);
}

class hnswlib_engine final : public engine {
  using graph_index = hnswlib::HierarchicalNSW<float>;
  using flat_index = hnswlib::BruteforceSearch<float>;

 public:
  explicit hnswlib_engine(const engine_request& request)
      : engine(request), space_(make_space(request.data.distance, request.data.dimension())) {
    if (request.data.distance == metric::cosine) {
      base_ = normalised(request.data.base);
      queries_ = normalised(request.data.queries);
    }
  }

  [[nodiscard]] std::string library() const override { return "hnswlib"; }
  [[nodiscard]] std::string arch() const override {
#if defined(USE_AVX512)
    return "avx512";
#elif defined(USE_AVX)
    return "avx";
#elif defined(USE_SSE)
    return "sse";
#else
    return "scalar";
#endif
  }

  void build(std::size_t threads, std::atomic<std::size_t>& added) override {
    const matrix<float>& rows = base_.empty() ? request().data.base : base_;
    graph_.reset();
    flat_.reset();
    if (request().index == index_kind::flat) {
      flat_ = std::make_unique<flat_index>(space_.get(), rows.rows);
      for (std::size_t i = 0; i < rows.rows; ++i) flat_->addPoint(rows.row(i).data(), i);
      return;
    }
    graph_ = std::make_unique<graph_index>(space_.get(), rows.rows, request().graph.M,
                                           request().graph.ef_construction, request().graph.seed);
    parallel_for(rows.rows, threads, added,
                 [&](std::size_t i, std::size_t) { graph_->addPoint(rows.row(i).data(), i); });
  }

  void set_ef(std::size_t ef) override {
    if (graph_) graph_->setEf(ef);
  }

  std::size_t search(std::size_t query, std::span<std::uint64_t> keys) override {
    const matrix<float>& queries = queries_.empty() ? request().data.queries : queries_;
    const float* const q = queries.row(query).data();
    auto found = graph_ ? graph_->searchKnn(q, keys.size()) : flat_->searchKnn(q, keys.size());
    const std::size_t count = found.size();
    for (std::size_t i = count; i-- > 0; found.pop()) keys[i] = found.top().second;
    return count;
  }

  [[nodiscard]] std::size_t bytes() const override {
    if (!graph_) return flat_->maxelements_ * flat_->size_per_element_;
    std::size_t upper = 0;
    for (std::size_t i = 0; i < graph_->cur_element_count; ++i) {
      const auto levels = static_cast<std::size_t>(graph_->element_levels_[i]);
      if (levels > 0) upper += levels * graph_->size_links_per_element_ + 1;
    }
    return graph_->max_elements_ *
               (graph_->size_data_per_element_ + sizeof(char*) + sizeof(int) + sizeof(std::mutex)) +
           graph_->link_list_update_locks_.size() * sizeof(std::mutex) + map_bytes(graph_->label_lookup_) +
           upper;
  }

 private:
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<graph_index> graph_;
  std::unique_ptr<flat_index> flat_;
  matrix<float> base_;     // normalised, for cosine
  matrix<float> queries_;  // likewise
};

}  // namespace

std::unique_ptr<engine> make_hnswlib(const engine_request& request) {
  return std::make_unique<hnswlib_engine>(request);
}

peer_kernel hnswlib_kernel(metric distance, std::size_t dimension) {
  if (distance == metric::cosine) return {};
  const std::shared_ptr<hnswlib::SpaceInterface<float>> space = make_space(distance, dimension);
  return [space](const float* query, const float* rows, std::size_t count, std::size_t columns) {
    const auto kernel = space->get_dist_func();
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum += kernel(query, rows + i * columns, space->get_dist_func_param());
    return sum;
  };
}

}  // namespace bench

#else

namespace bench {

std::unique_ptr<engine> make_hnswlib(const engine_request&) {
  throw input_error("--peer hnswlib: this program was built without hnswlib (Debian: libhnswlib-dev)");
}

peer_kernel hnswlib_kernel(metric, std::size_t) { return {}; }

}  // namespace bench

#endif
