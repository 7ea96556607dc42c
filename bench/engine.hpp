// One interface over the indexes that are compared: ours and the peers'.
#pragma once

#include "parallel.hpp"
#include "workload.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace bench {

enum class index_kind { hnsw, packed, flat };

[[nodiscard]] const char* name_of(index_kind);

/// Whether its searches have a width, ef, that trades speed for recall. Others are measured at one point, ef 0.
[[nodiscard]] bool has_width(index_kind);

/// What a graph is searched by.
enum class codec_kind { none, pca4, sq8, f16, bf16 };

[[nodiscard]] const char* name_of(codec_kind);

struct graph_options {
  std::size_t M = 16;
  std::size_t ef_construction = 200;
  double alpha = 1.1;
  bool fill = true;
  std::uint64_t seed = 42;
  codec_kind codec = codec_kind::none;  ///< of our index
  std::size_t code_bytes = 0;
  std::size_t rerank = 0;  ///< 0: as the index has it
};

/// Everything that is needed to make an engine.
struct engine_request {
  const workload& data;
  index_kind index = index_kind::hnsw;
  graph_options graph;
  std::string name = "alidade";
};

/// "hnswlib" of "hnswlib:32:400".
[[nodiscard]] inline std::string kind_of(const std::string& name) { return name.substr(0, name.find(':')); }

/// An index over the base of a workload, which outlives it. Keys are row numbers.
class engine {
 public:
  explicit engine(const engine_request& request) : request_(request) {}
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;
  virtual ~engine() = default;

  [[nodiscard]] const std::string& library() const { return request_.name; }
  [[nodiscard]] const graph_options& graph() const { return request_.graph; }
  /// Instruction set of the distance kernels.
  [[nodiscard]] virtual std::string arch() const = 0;

  /// Makes a fresh index of all rows. May count added rows in `added` to show progress.
  virtual void build(std::size_t threads, std::atomic<std::size_t>& added) = 0;

  virtual void set_ef(std::size_t ef) = 0;
  /// What else a search is set by, as far as the index has it: candidates that are measured, and how far ahead they are asked for.
  struct setting {
    std::size_t rerank = 0;
    std::size_t prefetch = 0;

    friend bool operator==(const setting&, const setting&) = default;
  };
  virtual void set(const setting&) {}

  /// What the index finds by itself for a recall, from the first half of the queries.
  struct choice {
    std::size_t ef = 0;
    setting rest;
    double recall = 0;  ///< that it found
  };
  [[nodiscard]] virtual std::optional<choice> calibrate(double /*recall*/, std::size_t /*k*/) {
    return std::nullopt;
  }

  /// Where widths begin.
  [[nodiscard]] virtual std::size_t least_ef(std::size_t k) const { return k; }
  /// Writes the keys of the nearest rows of a query of the workload and returns how many; keys.size() are asked for.
  /// May be called from several threads at once.
  virtual std::size_t search(std::size_t query, std::span<std::uint64_t> keys) = 0;

  /// Whether the index has a search of a batch of its own.
  [[nodiscard]] virtual bool has_batches() const { return false; }
  /// All queries of the workload at once: row i of `ids` gets the keys of query i, found[i] of them. An index without
  /// such a search is asked in a loop.
  virtual void search_batch(matrix<std::uint64_t>& ids, std::vector<std::size_t>& found,
                            std::size_t threads) {
    parallel_for(found.size(), threads,
                 [&](std::size_t query, std::size_t) { found[query] = search(query, ids.row(query)); });
  }

  /// All memory of the index after the build.
  [[nodiscard]] virtual std::size_t bytes() const = 0;

  [[nodiscard]] std::size_t rows() const { return request_.data.size(); }

 protected:
  [[nodiscard]] const engine_request& request() const { return request_; }

 private:
  engine_request request_;
};

[[nodiscard]] std::unique_ptr<engine> make_alidade(const engine_request&);
/// These throw an input_error when the program was built without the peer.
[[nodiscard]] std::unique_ptr<engine> make_hnswlib(const engine_request&);
[[nodiscard]] std::unique_ptr<engine> make_faiss(const engine_request&);

}  // namespace bench
