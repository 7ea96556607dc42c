#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/calibration.hpp>
#include <alidade/index/detail/code_set.hpp>
#include <alidade/index/detail/exact_answers.hpp>
#include <alidade/index/detail/filtered_search.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/search_scratch.hpp>
#include <alidade/index/neighbor.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/index/search_progress.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/key_map.hpp>

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
  std::size_t removed_nodes =
      0;  ///< whose vectors were removed, and whose slots no others have got yet; not counted above
  std::size_t unreachable = 0;  ///< vectors to which level 0 does not lead from where searches enter it
};

namespace detail {

/// The vectors, the graph and perhaps the codes of an index, and the searches of them. hnsw_index and packed_index are one each, which
/// differ in where these lie:
///
/// - `Vectors`: size(), slots(), is_removed(slot), removed(), key(slot), contains(key), row(slot), view(), and what vector_form has;
/// - `Graph`: what graph_search says, and size(), which is of slots, level(slot), leads_to_removed(), checksum();
/// - `Codes`: no_codes, or are_in_use() and search(...) as pca4_codes has them.
template <class Vectors, class Graph, class Codes>
class graph_index {
  using T = typename Vectors::input_type;
  using element = typename Vectors::value_type;

 public:
  using value_type = T;
  using distance_type = typename Vectors::D;
  using neighbor_type = neighbor<distance_type>;

  std::size_t size() const noexcept { return vectors_.size(); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t dimension() const noexcept { return vectors_.dimension(); }
  bool contains(std::uint64_t key) const noexcept { return vectors_.contains(key); }

  /// The vector of a key, as it is kept: of length 1 under cosine, rounded by storage::f16 and the like. Without one: errc::unknown_key.
  std::vector<T> get(std::uint64_t key) const {
    std::error_code ec;
    std::vector<T> vector(dimension());
    get(key, vector, ec);
    if (ec) throw_error(ec);
    return vector;
  }
  /// Into `out`, of dimension() elements; false where there is none.
  bool get(std::uint64_t key, std::span<T> out, std::error_code& ec) const {
    ec.clear();
    const std::uint32_t slot = vectors_.find(key);
    if (slot == key_map::npos) return fail(errc::unknown_key, ec) != 0;
    if (out.size() != dimension()) return fail(errc::size_mismatch, ec) != 0;
    return unless_exhausted(ec, false, [&] { return vectors_.restore(vectors_.row(slot), out), true; });
  }

  /// The nearest to the vector of a key, without itself; errors are those of get() and of a search.
  std::vector<neighbor_type> search_by_key(std::uint64_t key, const search_options& options = {}) const {
    std::error_code ec;
    std::vector<neighbor_type> found = search_by_key(key, options, ec);
    if (ec) throw_error(ec);
    return found;
  }
  std::vector<neighbor_type> search_by_key(std::uint64_t key, search_options options,
                                           std::error_code& ec) const {
    std::vector<T> vector(dimension());
    if (!get(key, vector, ec)) return {};
    if (options.k == 0) return fail(errc::invalid_option, ec), std::vector<neighbor_type>();
    const std::size_t k = std::min(options.k, size());
    options.k = k + 1;
    std::vector<neighbor_type> found = search(vector, options, ec);
    std::erase_if(found, [key](const neighbor_type& n) { return n.key == key; });
    if (found.size() > k) found.resize(k);
    return found;
  }

  /// Gives back what earlier searches and additions needed beside the index and left for later ones, and returns how many
  /// bytes. A pool then has them free, and its own trim() gives them to the system. May overlap with searches, whose memory
  /// stays.
  std::size_t trim() noexcept { return scratches_.trim() + codes_.trim(); }

  /// The k nearest that a search of width ef finds (arXiv 1603.09320, algorithm 5), sorted, ties by key; fewer than k when
  /// there are fewer, none when the index is empty.
  std::vector<neighbor_type> search(std::span<const T> query, const search_options& options = {}) const {
    std::error_code ec;
    std::vector<neighbor_type> found(std::min(options.k, size()));
    null_observer none;
    found.resize(search_one(query, options, found, ec, whole_search(options, none)));
    if (ec) throw_error(ec);
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
    return unless_exhausted(ec, std::size_t{0}, [&] {
      return search_one(query, options, out, ec, whole_search(options, observer));
    });
  }

  /// The same, but the width of the search is decided on the way: pacer.first_width() and pacer.next_width(progress) say it
  /// (search_progress.hpp); options.ef, or k where that is more, is the most. It is a search of vectors, whatever the codec, and options.budget
  /// is the pacer's business; options.filter is errc::invalid_option. The last width may be below k. Where it is at most twice the first the
  /// answers are those of a search of that width, but for which of several at one distance; where it is more, by steps that at most double, they
  /// nearly always are. Where removed vectors leave fewer than k, all are measured.
  template <search_pacer<distance_type> Pacer, search_observer Observer = null_observer>
  std::size_t search_in_steps(std::span<const T> query, const search_options& options,
                              std::span<neighbor_type> out, Pacer&& pacer, std::error_code& ec,
                              Observer&& observer = {}) const {
    if (is_filtered(options)) return fail(errc::invalid_option, ec);
    const auto run = [&](const graph_search&, scratch_type& scratch) {
      const graph_search graph(vectors_.view(), graph_);  // through removed nodes as through others
      const std::size_t k = std::min(options.k, size());
      // A default that was chosen for searches by codes may be narrower than any by vectors.
      const std::size_t ef = options.ef != 0 ? options.ef : std::max(defaults_.ef, default_ef);
      const std::size_t most = std::min(std::max(ef, k), size());
      const std::uint32_t entry = graph.descend(scratch.query(), 0, scratch, observer);
      graph.start(scratch.query(), entry, std::min(std::max<std::size_t>(k, 2), most), most, scratch,
                  observer);
      graph.search_in_steps(scratch.query(), k, most, scratch, observer, pacer);
      scratch.pool.leave_out(removed_in(vectors_, graph_));
    };
    return unless_exhausted(ec, std::size_t{0}, [&] { return search_one(query, options, out, ec, run); });
  }

  /// The k nearest, exactly: every vector is measured, or every one that the filter allows. Into `out`, which must have room for
  /// min(k, size()), sorted, ties by key; returns how many there are.
  std::size_t search_exact(std::span<const T> query, std::size_t k, std::span<neighbor_type> out,
                           std::error_code& ec, const search_filter& filter = {}) const {
    ec.clear();
    if (k == 0) return fail(errc::invalid_option, ec);
    if (out.size() < std::min(k, size())) return fail(errc::size_mismatch, ec);
    return unless_exhausted(ec, std::size_t{0}, [&] {
      typename scratches::lease scratch(scratches_);
      scratch->resize(graph_.size(), vectors_.query_elements(), graph_.capacity(0));
      const auto prepared = vectors_.prepare_query(query, scratch->query());
      if (prepared.first != errc{}) return fail(prepared.first, ec);
      if (empty()) return std::size_t{0};
      if (filter.what() == search_filter::kind::everything) return scan(k, out, *scratch, prepared.second);
      return scan_slots_of(scratch->filter.prepare_exact(vectors_, filter), k, out, *scratch,
                           prepared.second);
    });
  }

  /// The k nearest of each row of `queries`, by options.threads threads.
  search_results<distance_type> search(matrix_view<T> queries, const search_options& options = {}) const {
    std::error_code ec;
    std::size_t row = error::no_row;
    auto results = search_batch(queries, options, ec, row);
    if (ec) throw_error(ec, row);
    return results;
  }
  search_results<distance_type> search(matrix_view<T> queries, const search_options& options,
                                       std::error_code& ec) const {
    return unless_exhausted(ec, search_results<distance_type>(), [&] {
      std::size_t row = error::no_row;
      return search_batch(queries, options, ec, row);
    });
  }

  /// Finds, for queries of the kind of these, the quickest setting of searches for k neighbours that has the recall that is asked for, and makes
  /// it the one that searches with ef = 0 use. It compares with the true neighbours, which costs size() distances a query, and searches all
  /// queries some hundred times; some hundred to a thousand queries that are not vectors of the index are right. Which setting is the quickest
  /// depends on the machine and the hour, so the choice may differ from run to run. Must not overlap with searches. No queries, no vectors, or
  /// options out of range are errc::invalid_option; of a query that is refused the error names the row. Then nothing has changed.
  calibration calibrate(matrix_view<T> queries, const calibration_options& options = {}) {
    std::error_code ec;
    std::size_t row = error::no_row;
    auto result = calibrate_checked(queries, options, ec, row);
    if (ec) throw_error(ec, row);
    return result;
  }
  calibration calibrate(matrix_view<T> queries, const calibration_options& options, std::error_code& ec) {
    return unless_exhausted(ec, calibration(), [&] {
      std::size_t row = error::no_row;
      return calibrate_checked(queries, options, ec, row);
    });
  }

  /// What searches with ef = 0 use: `ef`, `rerank` and `prefetch` of it, which pack() keeps.
  const search_options& search_defaults() const noexcept { return defaults_; }
  /// Must not overlap with searches. Where options.ef is 0 it is 64 again; each counts as 2^30 - 1 where it is more.
  void set_search_defaults(const search_options& options) noexcept {
    const auto limited = [](std::size_t x) { return std::min(x, max_index_rows); };
    defaults_ = {.ef = limited(options.ef == 0 ? default_ef : options.ef),
                 .rerank = limited(options.rerank),
                 .prefetch = limited(options.prefetch)};
  }

  graph_stats stats() const {
    graph_stats s;
    if (empty()) return s;
    s.levels = graph_.max_level() + 1;
    s.removed_nodes = graph_.size() - size();
    s.nodes_per_level.assign(s.levels, 0);
    s.min_degree = graph_.capacity(0);
    std::size_t degrees = 0, kept = 0;
    for (std::size_t slot = 0; slot < graph_.size(); ++slot) {
      if (vectors_.is_removed(slot)) continue;
      for (std::size_t l = 0; l <= graph_.level(slot); ++l) ++s.nodes_per_level[l];
      const std::size_t degree = graph_.degree(0, slot);
      s.min_degree = std::min(s.min_degree, degree);
      s.max_degree = std::max(s.max_degree, degree);
      degrees += degree;
      const link* links = graph_.links(0, slot);
      kept += static_cast<std::size_t>(
          std::count_if(links, links + degree, [](auto l) { return l.rank() == edge_rank::kept; }));
    }
    s.unreachable = size() - count_reachable();
    s.mean_degree = static_cast<double>(degrees) / static_cast<double>(size());
    s.mean_kept_degree = static_cast<double>(kept) / static_cast<double>(size());
    return s;
  }

  /// A hash of the whole graph: equal for equal graphs.
  std::uint64_t graph_checksum() const noexcept { return graph_.checksum(); }

 protected:
  using graph_search = filtered_search<typename Vectors::view_type, Graph>;
  using scratch_type = typename graph_search::scratch_type;
  using scratches = scratch_pool<scratch_type>;

  graph_index(Vectors vectors, Graph graph, Codes codes, memory_resource* memory)
      : vectors_(std::move(vectors)),
        graph_(std::move(graph)),
        codes_(std::move(codes)),
        scratches_(memory) {}

  // Copies of a derived object's base are of no use.
  graph_index(graph_index&&) noexcept = default;
  graph_index& operator=(graph_index&&) noexcept = default;
  ~graph_index() = default;

  /// Of all that is here, beside itself.
  std::size_t held_bytes() const {
    return vectors_.memory_bytes() + graph_.memory_bytes() + scratches_.memory_bytes() +
           codes_.memory_bytes();
  }

  static constexpr std::size_t default_ef = 64;

  Vectors vectors_;
  Graph graph_;
  [[no_unique_address]] Codes codes_;
  search_options defaults_{.ef = default_ef};
  mutable scratches scratches_;

 private:
  static std::size_t fail(errc code, std::error_code& ec) noexcept {
    ec = code;
    return 0;
  }

  search_options resolved(search_options options) const noexcept {
    if (options.ef != 0) return options;
    options.ef = defaults_.ef;
    if (options.rerank == 0) options.rerank = defaults_.rerank;
    if (options.prefetch == 0) options.prefetch = defaults_.prefetch;
    return options;
  }

  calibration calibrate_checked(matrix_view<T> queries, const calibration_options& options,
                                std::error_code& ec, std::size_t& bad_row) {
    if (!vectors_.check_queries(queries, options.k, ec, bad_row)) return {};
    if (queries.rows() == 0 || empty() || !(options.target_recall > 0 && options.target_recall <= 1) ||
        options.max_ef == 0 || options.rounds == 0) {
      ec = errc::invalid_option;
      return {};
    }
    std::vector<distance_type> farthest(queries.rows());
    resource_vector<std::error_code> errors(queries.rows(), scratches_.resource());
    parallel_for(queries.rows(), 1, options.threads, [&](std::size_t i, std::size_t, std::size_t) {
      std::vector<neighbor_type> exact(std::min(options.k, size()));
      search_exact(queries[i], options.k, exact, errors[i]);
      if (!errors[i]) farthest[i] = exact.back().distance;
    });
    if (!first_error(errors, ec, bad_row)) return {};
    calibrator<graph_index> run(*this, queries, farthest, options);
    calibration result = run.run(codes_.are_in_use());
    set_search_defaults(result.options);
    return result;
  }

  static bool first_error(std::span<const std::error_code> errors, std::error_code& ec, std::size_t& row) {
    const auto bad =
        std::find_if(errors.begin(), errors.end(), [](const std::error_code& e) { return bool(e); });
    if (bad == errors.end()) return true;
    ec = *bad;
    row = static_cast<std::size_t>(bad - errors.begin());
    return false;
  }

  /// The vectors to which links lead from the entry point, through removed nodes too.
  std::size_t count_reachable() const {
    resource_vector<std::uint8_t> reached(graph_.size(), 0, scratches_.resource());
    resource_vector<std::uint32_t> queue(1, graph_.entry_point(), scratches_.resource());
    std::size_t count = 0;
    reached[queue[0]] = 1;
    while (!queue.empty()) {
      const std::uint32_t slot = queue.back();
      queue.pop_back();
      count += static_cast<std::size_t>(!vectors_.is_removed(slot));
      const link* const links = graph_.links(0, slot);
      for (std::size_t i = 0; i < graph_.capacity(0); ++i) {
        if (std::exchange(reached[links[i].slot()], std::uint8_t{1}) == 0) queue.push_back(links[i].slot());
      }
    }
    return count;
  }

  /// A distance from a query that was prepared with that factor.
  static distance_type scaled(distance_type distance, float factor) noexcept {
    if constexpr (Vectors::scales_queries) {
      return distance * factor;
    } else {
      return distance;
    }
  }

  /// `Run` does the search proper: run(graph, scratch).
  template <class Run>
  std::size_t search_one(std::span<const T> query, const search_options& options,
                         std::span<neighbor_type> out, std::error_code& ec, const Run& run) const {
    ec.clear();
    if (options.k == 0) return fail(errc::invalid_option, ec);
    if (out.size() < std::min(options.k, size())) return fail(errc::size_mismatch, ec);
    typename scratches::lease scratch(scratches_);
    prepare_filter(options, *scratch);
    return search(query, options, out, ec, *scratch, run);
  }

  static bool is_filtered(const search_options& options) noexcept {
    return options.filter.what() != search_filter::kind::everything;
  }
  void prepare_filter(const search_options& options, scratch_type& scratch) const {
    if (is_filtered(options))
      scratch.filter.prepare(vectors_, options.filter, std::max(resolved(options).ef, options.k),
                             graph_.capacity(0));
  }

  /// A search of one width.
  template <search_observer Observer>
  auto whole_search(const search_options& options, Observer& observer) const {
    return [this, options = resolved(options), &observer](const graph_search& graph, scratch_type& scratch) {
      if constexpr (!std::is_base_of_v<no_codes, Codes>) {
        if (codes_.are_in_use())
          return codes_.search(vectors_, graph_, scratch.query(), options, scratch, observer);
      }
      const std::uint32_t entry = graph.descend(scratch.query(), 0, scratch, observer);
      const std::size_t ef = std::min(std::max(options.ef, options.k), size());
      if (is_filtered(options))
        return graph.run(scratch.query(), entry, scratch.filter, ef, ef, 0, options.budget, scratch,
                         observer);
      graph.start(scratch.query(), entry, ef, scratch, observer);
      graph.search_layer(scratch.query(), 0, ef, 0, options.budget, scratch, observer);
    };
  }

  template <class Run>
  std::size_t search(std::span<const T> query, const search_options& options, std::span<neighbor_type> out,
                     std::error_code& ec, scratch_type& scratch, const Run& run) const {
    scratch.resize(graph_.size(), vectors_.query_elements(), graph_.capacity(0));
    const auto prepared = vectors_.prepare_query(query, scratch.query());
    if (prepared.first != errc{}) return fail(prepared.first, ec);
    if (empty()) return 0;
    const bool filtered = is_filtered(options);
    if (filtered) scratch.filter.begin_search();
    if (filtered && scratch.filter.way() == filter_way::scan)
      return scan_allowed(options.k, out, scratch, prepared.second);
    run(graph_search(vectors_.view(), graph_, removed_in(vectors_, graph_)), scratch);
    if (filtered && scratch.filter.way() == filter_way::scan)
      return scan_allowed(options.k, out, scratch, prepared.second);
    // What is no answer may lie around the query as far as a search can see.
    if (options.budget == 0 && scratch.pool.size() < std::min(options.k, size())) {
      if (filtered) return scan_allowed(options.k, out, scratch, prepared.second);
      if (graph_.leads_to_removed()) return scan(options.k, out, scratch, prepared.second);
    }
    const auto answer = [&](std::size_t i) {
      return neighbor_type{vectors_.key(scratch.pool.slot(i)),
                           scaled(ordered(scratch.pool.distance(i)), prepared.second)};
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

  /// Exact search for the scratch's query.
  std::size_t scan(std::size_t k, std::span<neighbor_type> out, scratch_type& scratch, float factor) const {
    return exact_to(k, out, factor, [&](exact_answers<distance_type>& answers) {
      scan_all(vectors_, static_cast<const element*>(scratch.query()), std::span(&answers, 1));
    });
  }

  /// Of what the scratch's filter allows.
  std::size_t scan_allowed(std::size_t k, std::span<neighbor_type> out, scratch_type& scratch,
                           float factor) const {
    return scan_slots_of(scratch.filter.list(vectors_), k, out, scratch, factor);
  }
  std::size_t scan_slots_of(std::span<const std::uint32_t> slots, std::size_t k, std::span<neighbor_type> out,
                            scratch_type& scratch, float factor) const {
    return exact_to(k, out, factor, [&](exact_answers<distance_type>& answers) {
      scan_slots(vectors_, slots, static_cast<const element*>(scratch.query()), answers);
    });
  }
  /// scan(answers) offers what there is.
  template <class Scan>
  std::size_t exact_to(std::size_t k, std::span<neighbor_type> out, float factor, const Scan& scan) const {
    exact_answers<distance_type> answers(out.first(std::min(k, size())));
    scan(answers);
    answers.sort();
    for (std::size_t i = 0; i < answers.count(); ++i) out[i].distance = scaled(out[i].distance, factor);
    return answers.count();
  }

  search_results<distance_type> search_batch(matrix_view<T> queries, const search_options& options,
                                             std::error_code& ec, std::size_t& bad_row) const {
    if (!vectors_.check_queries(queries, options.k, ec, bad_row)) return {};
    search_results<distance_type> results(queries.rows(), std::min(options.k, size()));
    resource_vector<std::error_code> errors(queries.rows(), scratches_.resource());
    parallel_for(queries.rows(), 16, options.threads, [&](std::size_t begin, std::size_t end, std::size_t) {
      typename scratches::lease scratch(scratches_);
      prepare_filter(options, *scratch);
      null_observer none;
      for (std::size_t i = begin; i < end; ++i) {
        results.set_count(i, search(queries[i], options, results.slots(i), errors[i], *scratch,
                                    whole_search(options, none)));
      }
    });
    if (!first_error(errors, ec, bad_row)) return {};
    return results;
  }
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
