// Index and kernels in one file, because hnswlib defines functions that are not inline.
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

/// Kept for the last dimension: hnswlib asks the processor for its abilities each time a space is made, which takes
/// longer than many distances.
template <class Space>
Space& space_of(std::size_t columns) {
  static std::size_t made_for = columns;
  static Space space(columns);
  if (made_for != columns) {
    space = Space(columns);
    made_for = columns;
  }
  return space;
}

/// As hnswlib's graph does: the function and its parameter are taken out of the space once, and called for each row.
/// `negated`: its inner product is given as the distance 1 - ip.
template <class T, class Space, bool negated = false>
double sweep_space(const sweep_input& in) {
  Space& space = space_of<Space>(in.columns);
  const auto kernel = space.get_dist_func();
  void* const parameter = space.get_dist_func_param();
  const auto* const query = static_cast<const T*>(in.query);
  const auto* const rows = static_cast<const T*>(in.rows);
  double sum = 0;
  for (std::size_t pass = 0; pass < in.passes; ++pass) {
    for (std::size_t i = 0; i < in.count; ++i) {
      forget(query);
      sum += static_cast<double>(kernel(query, rows + i * in.columns, parameter));
    }
  }
  sum /= static_cast<double>(in.passes);
  return negated ? static_cast<double>(in.count) - sum : sum;
}

}  // namespace

std::unique_ptr<engine> make_hnswlib(const engine_request& request) {
  return std::make_unique<hnswlib_engine>(request);
}

bool has_hnswlib_kernels() { return true; }

kernel_sweep hnswlib_kernel(const kernel_id& id, std::size_t) {
  if (id.how != form::pair) return nullptr;
  if (id.type == element::f32 && id.distance == metric::l2) return sweep_space<float, hnswlib::L2Space>;
  if (id.type == element::f32 && id.distance == metric::ip) {
    return sweep_space<float, hnswlib::InnerProductSpace, true>;
  }
  if (id.type == element::u8 && id.distance == metric::l2)
    return sweep_space<unsigned char, hnswlib::L2SpaceI>;
  return nullptr;
}

}  // namespace bench

#else

namespace bench {

std::unique_ptr<engine> make_hnswlib(const engine_request&) {
  throw input_error("--peer hnswlib: this program was built without hnswlib (Debian: libhnswlib-dev)");
}

bool has_hnswlib_kernels() { return false; }
kernel_sweep hnswlib_kernel(const kernel_id&, std::size_t) { return nullptr; }

}  // namespace bench

#endif
