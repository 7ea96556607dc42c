#include "engine.hpp"
#include "failure.hpp"
#include "indexes.hpp"

#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace bench {
namespace {

/// `Index` is a flat_index or an hnsw_index over elements of type T; `Searched` is the same, or what an hnsw_index is packed to.
template <class T, class Index, class Searched = Index>
class alidade_engine final : public engine {
 public:
  explicit alidade_engine(const engine_request& request)
      : engine(request), setting_{request.graph.rerank, 0} {}

  [[nodiscard]] std::size_t least_ef(std::size_t k) const override {
    return request().graph.codec == codec_kind::none ? k : 4;
  }
  [[nodiscard]] std::string arch() const override { return alidade::arch_name(); }

  void build(std::size_t threads, std::atomic<std::size_t>& added) override {
    index_.reset();
    const auto& base = elements<T>::base(request().data);
    auto index = make_index<Index>(base.columns, request().graph);
    add_rows(index, base, threads);
    if constexpr (std::is_same_v<Searched, Index>) {
      index_.emplace(std::move(index));
    } else {
      index_.emplace(index.pack());
    }
    added = base.rows;
  }

  void set_ef(std::size_t ef) override { ef_ = ef; }
  void set(const setting& s) override { setting_ = s; }

  [[nodiscard]] std::optional<choice> calibrate(double recall, std::size_t k) override {
    if constexpr (is_graph<Index>) {
      const auto& queries = elements<T>::queries(request().data);
      const alidade::matrix_view<T> half(queries.values.data(), (queries.rows + 1) / 2, queries.columns);
      const alidade::calibration found = index_->calibrate(half, {.k = k, .target_recall = recall});
      return choice{found.options.ef, {found.options.rerank, found.options.prefetch}, found.recall};
    } else {
      return std::nullopt;
    }
  }

  std::size_t search(std::size_t query, std::span<std::uint64_t> keys) override {
    const std::span<const T> vector = elements<T>::queries(request().data).row(query);
    if constexpr (is_graph<Index>) {
      const alidade::search_options options{
          .k = keys.size(), .ef = ef_, .rerank = setting_.rerank, .prefetch = setting_.prefetch};
      thread_local std::vector<typename Index::neighbor_type> found;
      found.resize(keys.size());
      std::error_code failure;
      const std::size_t count = index_->search(vector, options, found, failure);
      if (failure) throw std::system_error(failure);
      return copy_keys(std::span(found).first(count), keys);
    } else {
      return copy_keys(index_->search(vector, {.k = keys.size()}), keys);
    }
  }

  [[nodiscard]] bool has_batches() const override { return true; }

  void search_batch(matrix<std::uint64_t>& ids, std::vector<std::size_t>& found,
                    std::size_t threads) override {
    const auto& queries = elements<T>::queries(request().data);
    const alidade::matrix_view<T> view(queries.values.data(), queries.rows, queries.columns);
    const auto results = index_->search(view, batch_options(ids.columns, threads));
    for (std::size_t query = 0; query < found.size(); ++query) {
      found[query] = copy_keys(results[query], ids.row(query));
    }
  }

  [[nodiscard]] std::size_t bytes() const override { return index_->memory_bytes(); }

 private:
  [[nodiscard]] auto batch_options(std::size_t k, std::size_t threads) const {
    if constexpr (is_graph<Index>) {
      return alidade::search_options{
          .k = k, .ef = ef_, .threads = threads, .rerank = setting_.rerank, .prefetch = setting_.prefetch};
    } else {
      return alidade::flat_search_options{.k = k, .threads = threads};
    }
  }

  template <class Neighbors>
  static std::size_t copy_keys(const Neighbors& found, std::span<std::uint64_t> keys) {
    for (std::size_t i = 0; i < found.size(); ++i) keys[i] = found[i].key;
    return found.size();
  }

  std::optional<Searched> index_;
  std::size_t ef_ = 0;
  setting setting_;
};

}  // namespace

const char* name_of(codec_kind codec) {
  constexpr const char* names[] = {"none", "pca4", "sq8", "f16", "bf16"};
  return names[static_cast<std::size_t>(codec)];
}

const char* name_of(index_kind kind) {
  switch (kind) {
    case index_kind::hnsw:
      return "hnsw";
    case index_kind::packed:
      return "packed";
    case index_kind::flat:
      break;
  }
  return "flat";
}

bool has_width(index_kind kind) {
  switch (kind) {
    case index_kind::hnsw:
    case index_kind::packed:
      return true;
    case index_kind::flat:
      break;
  }
  return false;
}

std::unique_ptr<engine> make_alidade(const engine_request& request) {
  return with_index_type(request.data.type, request.data.distance, request.index, request.graph.codec,
                         [&]<class T, class Index>() -> std::unique_ptr<engine> {
                           if constexpr (is_graph<Index>) {
                             if (request.index == index_kind::packed) {
                               using packed = decltype(std::declval<const Index&>().pack());
                               return std::make_unique<alidade_engine<T, Index, packed>>(request);
                             }
                           }
                           return std::make_unique<alidade_engine<T, Index>>(request);
                         });
}

}  // namespace bench
