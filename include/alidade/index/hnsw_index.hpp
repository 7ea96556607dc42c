#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/core/random.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/code_set.hpp>
#include <alidade/index/detail/exact_answers.hpp>
#include <alidade/index/detail/graph_builder.hpp>
#include <alidade/index/detail/graph_search.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/link_journal.hpp>
#include <alidade/index/detail/search_scratch.hpp>
#include <alidade/index/detail/vector_set.hpp>
#include <alidade/index/neighbor.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/index/search_progress.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/codecs.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What a graph looks like.
struct graph_stats {
  std::size_t levels = 0;                    ///< how many levels there are; 0 when the index is empty
  std::vector<std::size_t> nodes_per_level;  ///< how many nodes are on each
  std::size_t min_degree = 0;                ///< out-degrees on level 0
  std::size_t max_degree = 0;
  double mean_degree = 0;
  double mean_kept_degree = 0;  ///< of these, edges that the relative neighbourhood rule keeps
};

/// Approximate nearest neighbours by a Hierarchical Navigable Small World graph (Malkov and Yashunin, arXiv 1603.09320).
///
/// Keys are yours; vectors (of which types, distance.hpp says) are copied into the index's own storage. They are checked on the
/// way in: a wrong dimension, NaN or infinity, a norm of zero under the cosine metric, or a key in use are errors that
/// name the row and leave the index as it was. So does memory that runs out. Where it is a memory_pool's, that is
/// memory_pool_exhausted, in the forms with an error_code errc::budget_exceeded; anything else that the options' resource
/// throws passes through both forms. Without exceptions either ends the program.
///
/// The same vectors in the same calls, with the same options, give the same graph, for any number of threads.
///
/// Whenever an eighth of the vectors is new the whole graph is connected again: a call that adds so many leaves every
/// vector within reach of a search that is wide enough. In between a new vector is always linked from one of its
/// neighbours, but may in rare cases push another out of reach until then.
///
/// Searches may run from several threads at once; adding must not overlap with anything else. A search allocates nothing
/// after one as wide on the same index, but for the vector that the convenient form returns, until trim(). A moved-from
/// index may only be destroyed or assigned to.
///
/// With codecs::pca4 the graph is searched by codes, once there are 512 vectors, and the candidates are measured by their vectors: several
/// times as fast, for 64 bytes a vector more. What a search has for distances is exact all the same.
template <class T, metric<T> Metric = metrics::l2_squared, class Codec = codecs::none>
class hnsw_index {
 public:
  using value_type = T;
  using distance_type = alidade::distance_type<Metric, T>;
  using neighbor_type = neighbor<distance_type>;

  /// For vectors of `dimension` components, 1..1,048,576 or up to the metric's own limit. Options out of range are
  /// errc::invalid_option.
  explicit hnsw_index(std::size_t dimension, const hnsw_options& options = {}, Metric metric = {},
                      const Codec& codec = {})
      : hnsw_index(unchecked{}, dimension, options, std::move(metric), codec) {
    if (!valid(dimension, options, codec)) detail::throw_error(errc::invalid_option);
  }
  hnsw_index(std::size_t dimension, const hnsw_options& options, Metric metric, std::error_code& ec)
      : hnsw_index(dimension, options, std::move(metric), Codec{}, ec) {}
  hnsw_index(std::size_t dimension, const hnsw_options& options, Metric metric, const Codec& codec,
             std::error_code& ec)
      : hnsw_index(unchecked{}, dimension, options, std::move(metric), codec) {
    ec = valid(dimension, options, codec) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  std::size_t size() const noexcept { return graph_.size(); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t dimension() const noexcept { return vectors_.dimension(); }
  const hnsw_options& options() const noexcept { return options_; }
  bool contains(std::uint64_t key) const noexcept { return vectors_.contains(key); }

  /// All bytes that the index holds, itself included; all but itself are of options().memory. What a search has in use
  /// meanwhile is left out.
  std::size_t memory_bytes() const {
    return sizeof(*this) + vectors_.memory_bytes() + graph_.memory_bytes() + scratches_.memory_bytes() +
           codes_.memory_bytes();
  }

  /// Gives back what earlier searches and additions needed beside the index and left for later ones, and returns how many
  /// bytes. A pool then has them free, and its own trim() gives them to the system. May overlap with searches, whose memory
  /// stays.
  std::size_t trim() noexcept { return scratches_.trim() + codes_.trim(); }

  /// Makes room for `rows` vectors in all; worth it before many single adds. Strong guarantee.
  void reserve(std::size_t rows) {
    transaction change(*this);
    vectors_.reserve(rows);
    graph_.reserve(rows, 0);
    change.commit();
  }

  /// Adds one vector.
  void add(std::uint64_t key, std::span<const T> vector) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()));
  }
  void add(std::uint64_t key, std::span<const T> vector, std::error_code& ec) {
    add({&key, 1}, matrix_view<T>(vector.data(), 1, vector.size()), {}, ec);
  }

  /// Adds all rows, or none when one is refused: then the error names it. Meanwhile the old links of vectors that get new
  /// ones are kept, at most as much again as all links take.
  void add(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options = {}) {
    std::error_code ec;
    const std::size_t row = add_rows(keys, rows, options, ec);
    if (ec) detail::throw_error(ec, row);
  }

  /// Returns how many were added, or the first that is refused, or error::no_row where a pool is exhausted.
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, std::error_code& ec) {
    return add(keys, rows, {}, ec);
  }
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options,
                  std::error_code& ec) {
    return detail::unless_exhausted(ec, error::no_row, [&] { return add_rows(keys, rows, options, ec); });
  }

  /// The k nearest that a search of width ef finds (arXiv 1603.09320, algorithm 5), sorted, ties by key; fewer than k when
  /// there are fewer, none when the index is empty.
  std::vector<neighbor_type> search(std::span<const T> query, const search_options& options = {}) const {
    std::error_code ec;
    std::vector<neighbor_type> found(std::min(options.k, size()));
    null_observer none;
    found.resize(search_one(query, options, found, ec, whole_search(options, none)));
    if (ec) detail::throw_error(ec);
    return found;
  }
  std::vector<neighbor_type> search(std::span<const T> query, const search_options& options,
                                    std::error_code& ec) const {
    std::vector<neighbor_type> found(std::min(options.k, size()));
    found.resize(search(query, options, found, ec));
    return found;
  }

  /// The same into `out`, which must have room for min(k, size()) answers; returns how many there are.
  /// The observer sees the hops and distances of the search.
  template <search_observer Observer = null_observer>
  std::size_t search(std::span<const T> query, const search_options& options, std::span<neighbor_type> out,
                     std::error_code& ec, Observer&& observer = {}) const {
    return detail::unless_exhausted(ec, std::size_t{0}, [&] {
      return search_one(query, options, out, ec, whole_search(options, observer));
    });
  }

  /// The same, but the width of the search is decided on the way: pacer.first_width() and pacer.next_width(progress) say it
  /// (search_progress.hpp); options.ef, or k where that is more, is the most. The last width may be below k. Where it is at most
  /// twice the first the answers are those of a search of that width, but for which of several at one distance; where it is more,
  /// by steps that at most double, they nearly always are.
  template <search_pacer<distance_type> Pacer, search_observer Observer = null_observer>
  std::size_t search_in_steps(std::span<const T> query, const search_options& options,
                              std::span<neighbor_type> out, Pacer&& pacer, std::error_code& ec,
                              Observer&& observer = {}) const {
    const auto run = [&](const graph_search& graph, scratch_type& scratch) {
      const std::size_t k = std::min(options.k, size()), most = std::min(std::max(options.ef, k), size());
      const std::uint32_t entry = graph.descend(scratch.query(), 0, scratch, observer);
      graph.start(scratch.query(), entry, std::min(std::max<std::size_t>(k, 2), most), most, scratch,
                  observer);
      graph.search_in_steps(scratch.query(), k, most, scratch, observer, pacer);
    };
    return detail::unless_exhausted(ec, std::size_t{0},
                                    [&] { return search_one(query, options, out, ec, run); });
  }

  /// The k nearest, exactly: every vector is measured. Into `out`, which must have room for min(k, size()), sorted, ties by key;
  /// returns how many there are.
  std::size_t search_exact(std::span<const T> query, std::size_t k, std::span<neighbor_type> out,
                           std::error_code& ec) const {
    ec.clear();
    if (k == 0) return fail(errc::invalid_option, ec);
    if (out.size() < std::min(k, size())) return fail(errc::size_mismatch, ec);
    return detail::unless_exhausted(ec, std::size_t{0}, [&] {
      typename scratches::lease scratch(scratches_);
      scratch->resize(size(), vectors_.stride(), graph_.capacity(0));
      if (const errc code = vectors_.prepare(query, scratch->query()); code != errc{}) return fail(code, ec);
      detail::exact_answers<distance_type> answers(out.first(std::min(k, size())));
      detail::scan_all(vectors_, static_cast<const T*>(scratch->query()), std::span(&answers, 1));
      answers.sort();
      return answers.count();
    });
  }

  /// The k nearest of each row of `queries`, by options.threads threads.
  search_results<distance_type> search(matrix_view<T> queries, const search_options& options = {}) const {
    std::error_code ec;
    std::size_t row = error::no_row;
    auto results = search_batch(queries, options, ec, row);
    if (ec) detail::throw_error(ec, row);
    return results;
  }
  search_results<distance_type> search(matrix_view<T> queries, const search_options& options,
                                       std::error_code& ec) const {
    return detail::unless_exhausted(ec, search_results<distance_type>(), [&] {
      std::size_t row = error::no_row;
      return search_batch(queries, options, ec, row);
    });
  }

  graph_stats stats() const {
    graph_stats s;
    if (empty()) return s;
    s.levels = graph_.max_level() + 1;
    s.nodes_per_level.assign(s.levels, 0);
    s.min_degree = graph_.capacity(0);
    std::size_t degrees = 0, kept = 0;
    for (std::size_t slot = 0; slot < size(); ++slot) {
      for (std::size_t l = 0; l <= graph_.level(slot); ++l) ++s.nodes_per_level[l];
      const std::size_t degree = graph_.degree(0, slot);
      s.min_degree = std::min(s.min_degree, degree);
      s.max_degree = std::max(s.max_degree, degree);
      degrees += degree;
      const detail::link* links = graph_.links(0, slot);
      kept += static_cast<std::size_t>(
          std::count_if(links, links + degree, [](auto l) { return l.rank() == detail::edge_rank::kept; }));
    }
    s.mean_degree = static_cast<double>(degrees) / static_cast<double>(size());
    s.mean_kept_degree = static_cast<double>(kept) / static_cast<double>(size());
    return s;
  }

  /// A hash of the whole graph: equal for equal graphs.
  std::uint64_t graph_checksum() const noexcept { return graph_.checksum(); }

 private:
  using vectors = detail::vector_set<T, Metric>;
  using pruning_metric = typename detail::pruning_metric_of<Metric>::type;
  using graph_search = detail::graph_search<detail::vector_view<T, Metric>>;
  using scratch_type = typename graph_search::scratch_type;
  using scratches = detail::scratch_pool<scratch_type>;
  struct unchecked {};

  static constexpr bool is_coded = !std::is_same_v<Codec, codecs::none>;
  using codes = typename detail::codes_of<Codec, T, Metric>::type;

  hnsw_index(unchecked, std::size_t dimension, const hnsw_options& options, Metric metric, const Codec& codec)
      : options_(valid(dimension, options, codec) ? options : hnsw_options{}),
        vectors_(vectors::valid_dimension(dimension) ? dimension : 1, std::move(metric), options_.memory),
        graph_(options_.M, options_.memory),
        codes_(codec, options_.memory),
        scratches_(options_.memory) {}

  static bool valid(std::size_t dimension, const hnsw_options& o, const Codec& codec) noexcept {
    return codes::valid(codec) && vectors::valid_dimension(dimension) && o.M >= 2 && o.M <= 512 &&
           o.ef_construction >= 1 && o.ef_construction <= 65535 && o.alpha >= 1.0f && o.alpha <= 4.0f;
  }

  static std::size_t fail(errc code, std::error_code& ec) noexcept {
    ec = code;
    return 0;
  }

  /// floor(-ln(uniform(0, 1]) / ln M): the level distribution of arXiv 1603.09320, section 4.1, with its mL = 1 / ln M.
  std::size_t random_level(std::size_t slot) const noexcept {
    const std::uint64_t bits = detail::mix64(options_.seed ^ detail::mix64(slot)) >> 11;  // 53 of them
    const double uniform = static_cast<double>(bits + 1) * 0x1p-53;
    const double level = -std::log(uniform) / std::log(static_cast<double>(options_.M));
    return static_cast<std::size_t>(std::min(level, 63.0));
  }

  /// Adds all rows or, when one is refused, none, and returns which. Strong guarantee.
  std::size_t add_rows(std::span<const std::uint64_t> keys, matrix_view<T> rows, const add_options& options,
                       std::error_code& ec) {
    if (const std::size_t bad = vectors_.check(keys, rows, ec); ec) return bad;
    transaction change(*this);
    const std::size_t first = size();
    const std::size_t result = vectors_.append(keys, rows, shuffled(rows.rows()), ec);
    if (ec || result == 0) return result;
    std::size_t upper_rows = 0;
    for (std::size_t slot = first; slot < vectors_.size(); ++slot) upper_rows += random_level(slot);
    graph_.reserve(vectors_.size(), upper_rows);
    for (std::size_t slot = first; slot < vectors_.size(); ++slot) graph_.append(random_level(slot));
    const std::size_t threads = std::min(detail::resolve_threads(options.threads), rows.rows() / 16 + 1);
    codes_.extend(vectors_, threads);
    change.journal.begin(rows.rows(), threads);
    if constexpr (std::is_same_v<pruning_metric, Metric>) {
      link(first, vectors_.view(), change.journal, threads);
    } else {
      const pruning_metric pruning{};
      link(first, vectors_.view(pruning), change.journal, threads);
    }
    change.commit();
    return result;
  }

  /// Links the rows from `first` on.
  void link(std::size_t first, const detail::vector_view<T, pruning_metric>& pruning,
            detail::link_journal& journal, std::size_t threads) {
    detail::graph_builder<T, Metric> builder(vectors_.view(), pruning, graph_, journal, scratches_, options_,
                                             threads);
    builder.link_from(first);
    // A repair looks at every node: once for each eighth that is added, it costs a constant number of looks a vector.
    unrepaired_ += size() - first;
    if (unrepaired_ * repair_share >= size()) {
      builder.repair();
      unrepaired_ = 0;
    } else {
      builder.repair_from(first);
    }
  }

  /// The order in which the rows of one call are inserted. Whatever order they come in, each batch is then a fair sample
  /// of the call, so that the nodes of the next one, which do not see each other, find neighbours like them.
  detail::resource_vector<std::uint32_t> shuffled(std::size_t count) const {
    detail::resource_vector<std::uint32_t> order(count, options_.memory);
    std::iota(order.begin(), order.end(), 0u);
    for (std::size_t i = count; i > 1; --i) {
      const std::uint64_t other = detail::mix64(options_.seed + detail::mix64(i)) % i;
      std::swap(order[i - 1], order[static_cast<std::size_t>(other)]);
    }
    return order;
  }

  /// A change that, unless it is committed, is undone.
  struct transaction {
    explicit transaction(hnsw_index& i)
        : index(i),
          rows(i.vectors_.size()),
          row_capacity(i.vectors_.row_capacity()),
          unrepaired(i.unrepaired_),
          end(i.graph_.mark_end()),
          codes_end(i.codes_.mark_end()),
          journal(i.graph_, i.options_.memory) {}
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    ~transaction() {
      if (is_committed) return;
      journal.undo();
      index.graph_.truncate(end);
      index.vectors_.truncate(rows, row_capacity);
      index.codes_.undo(codes_end);
      index.unrepaired_ = unrepaired;
    }

    void commit() noexcept {
      is_committed = true;
      index.codes_.commit();
    }

    hnsw_index& index;
    std::size_t rows, row_capacity, unrepaired;
    detail::hnsw_graph::mark end;
    [[no_unique_address]] typename codes::mark codes_end;
    detail::link_journal journal;
    bool is_committed = false;
  };

  /// `Run` does the search proper: run(graph, scratch).
  template <class Run>
  std::size_t search_one(std::span<const T> query, const search_options& options,
                         std::span<neighbor_type> out, std::error_code& ec, const Run& run) const {
    ec.clear();
    if (options.k == 0) return fail(errc::invalid_option, ec);
    if (out.size() < std::min(options.k, size())) return fail(errc::size_mismatch, ec);
    typename scratches::lease scratch(scratches_);
    return search(query, options, out, ec, *scratch, run);
  }

  /// A search of one width.
  template <search_observer Observer>
  auto whole_search(const search_options& options, Observer& observer) const {
    return [this, &options, &observer](const graph_search& graph, scratch_type& scratch) {
      if constexpr (is_coded) {
        if (codes_.are_in_use())
          return codes_.search(vectors_, graph_, scratch.query(), options, scratch, observer);
      }
      const std::uint32_t entry = graph.descend(scratch.query(), 0, scratch, observer);
      const std::size_t ef = std::min(std::max(options.ef, options.k), size());
      graph.start(scratch.query(), entry, ef, scratch, observer);
      graph.search_layer(scratch.query(), 0, scratch, observer);
    };
  }

  template <class Run>
  std::size_t search(std::span<const T> query, const search_options& options, std::span<neighbor_type> out,
                     std::error_code& ec, scratch_type& scratch, const Run& run) const {
    scratch.resize(size(), vectors_.stride(), graph_.capacity(0));
    if (const errc code = vectors_.prepare(query, scratch.query()); code != errc{}) return fail(code, ec);
    if (empty()) return 0;
    run(graph_search(vectors_.view(), graph_), scratch);
    const auto answer = [&](std::size_t i) {
      return neighbor_type{vectors_.key(scratch.pool.slot(i)), scratch.pool.distance(i)};
    };
    const std::size_t count = std::min(options.k, scratch.pool.size());
    for (std::size_t i = 0; i < count; ++i) out[i] = answer(i);
    const auto answers = out.first(count);
    std::sort(answers.begin(), answers.end());
    // The pool breaks ties by slot. Of those at the last answer's distance the smallest keys are to stay.
    for (std::size_t i = count; i < scratch.pool.size() && answer(i).distance == answers.back().distance;
         ++i) {
      const neighbor_type tied = answer(i);
      if (!(tied < answers.back())) continue;
      const auto position = std::upper_bound(answers.begin(), answers.end(), tied);
      std::copy_backward(position, answers.end() - 1, answers.end());
      *position = tied;
    }
    return count;
  }

  search_results<distance_type> search_batch(matrix_view<T> queries, const search_options& options,
                                             std::error_code& ec, std::size_t& bad_row) const {
    if (!vectors_.check_queries(queries, options.k, ec, bad_row)) return {};
    search_results<distance_type> results(queries.rows(), std::min(options.k, size()));
    detail::resource_vector<std::error_code> errors(queries.rows(), options_.memory);
    detail::parallel_for(queries.rows(), 16, options.threads,
                         [&](std::size_t begin, std::size_t end, std::size_t) {
                           typename scratches::lease scratch(scratches_);
                           null_observer none;
                           for (std::size_t i = begin; i < end; ++i) {
                             results.set_count(i, search(queries[i], options, results.slots(i), errors[i],
                                                         *scratch, whole_search(options, none)));
                           }
                         });
    const auto bad =
        std::find_if(errors.begin(), errors.end(), [](const std::error_code& e) { return bool(e); });
    if (bad == errors.end()) return results;
    ec = *bad;
    bad_row = static_cast<std::size_t>(bad - errors.begin());
    return {};
  }

  static constexpr std::size_t repair_share = 8;

  hnsw_options options_;
  std::size_t unrepaired_ = 0;  // vectors added since the graph's connection was last seen to
  vectors vectors_;
  detail::hnsw_graph graph_;
  [[no_unique_address]] codes codes_;
  mutable scratches scratches_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
