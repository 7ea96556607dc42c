#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <ostream>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/random.hpp>
#include <alidade/engine/detail/rule_choice.hpp>
#include <alidade/engine/detail/stop_features.hpp>
#include <alidade/engine/detail/stop_learner.hpp>
#include <alidade/engine/options.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/index/search_progress.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/perf/clock.hpp>
#include <alidade/storage/section_file.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

struct adaptive_search_stats {
  std::uint64_t searches = 0;
  std::uint64_t studies = 0;       ///< searches that went on to see what would have come
  std::uint64_t exact_checks = 0;  ///< of these, compared with the true neighbours
  double total_distances = 0;      ///< computed by all searches
  double study_share = 0;          ///< of these, those of studies
  double exact_share = 0;          ///< and those of exact checks
  bool is_tuned = false;           ///< whether widths are chosen by what was learnt
  double recall = 0;  ///< what the rule in use reaches in the mean of the last studies; 0 before it is tuned
  double distances = 0;         ///< and how many distances it computes
  double ns_per_distance = 0;   ///< of searches that are no studies
  double reference_recall = 1;  ///< recall of studies themselves, as the exact checks have it
};

/// Searches an index with a width that is chosen for each query while it is searched for, to meet a target in the mean:
/// a recall at the least work, or a latency at the best recall.
///
///     alidade::adaptive_search engine(index, {.target = alidade::search_target::recall_at_least(0.95)});
///     engine.search(query, neighbors, error);
///
/// A search of HNSW of width ef ends when the ef nearest that it has found are all expanded. How far it must go differs from query
/// to query, and shows on the way: by how long nothing better was found, and how much nearer the first is than the k-th. At widths
/// that grow by half the engine looks at this, and a rule that Q-learning has learnt says whether to go on (compare Li et al.,
/// Improving approximate nearest neighbor search through learned adaptive early termination, SIGMOD 2020, which predicts the
/// end once).
///
/// What ending earlier or later would have been worth is learnt from studies: now and then a search goes on until nothing
/// better seems to come, within the bounds that the options set. A study answers its query too, only later. Few of them are
/// compared with the true neighbours, by which the recall of all is corrected. Until there are enough studies each search has width
/// default_ef; none is ever wider than max_ef.
///
/// The target is met in the mean over queries as they come. Under another mix of queries the rule still decides for each by
/// itself; how strict it is follows within some hundred studies.
///
/// With the target of a recall the same calls on the same index give the same answers, on every run. A latency is a
/// measurement, so with that target they need not.
///
/// Every few hundred studies all rules are judged anew, within the search that it comes to: some milliseconds.
///
/// The index may grow meanwhile. It must outlive the engine. One thread at a time. A moved-from engine may only be destroyed or
/// assigned to.
template <class Index>
class adaptive_search {
 public:
  using value_type = typename Index::value_type;
  using neighbor_type = typename Index::neighbor_type;

  /// Options out of range: errc::invalid_option.
  explicit adaptive_search(const Index& index, const adaptive_search_options& options = {})
      : adaptive_search(unchecked{}, index, options) {
    if (!valid(options)) detail::throw_error(errc::invalid_option);
  }
  adaptive_search(const Index& index, const adaptive_search_options& options, std::error_code& ec)
      : adaptive_search(unchecked{}, index, options) {
    ec = valid(options) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  const adaptive_search_options& options() const noexcept { return options_; }

  /// The k nearest that the engine finds, sorted, ties by key. Errors are those of the index's search. From a memory pressure of
  /// options().quiet_pressure on, 0..1 as memory_monitor has it, this one is not studied.
  std::vector<neighbor_type> search(std::span<const value_type> query, double memory_pressure = 0) {
    std::error_code ec;
    std::vector<neighbor_type> found(std::min(options_.k, index_->size()));
    found.resize(search(query, found, ec, memory_pressure));
    if (ec) detail::throw_error(ec);
    return found;
  }

  /// The same into `out`, which must have room for min(k, size of the index) answers; returns how many there are. Allocates nothing
  /// once is_tuned.
  std::size_t search(std::span<const value_type> query, std::span<neighbor_type> out, std::error_code& ec,
                     double memory_pressure = 0) {
    const bool due = is_due_for_study(), study = due && memory_pressure < options_.quiet_pressure;
    const std::size_t found = detail::unless_exhausted(ec, std::size_t{0}, [&] {
      return study ? search_and_study(query, out, ec) : search_by_rule(query, out, ec);
    });
    if (!ec) {
      ++numbers_.searches;
      if (due && !study) learner_.miss();
      if (numbers_.searches == options_.warm_up && is_tuned()) choose();
    }
    return found;
  }

  adaptive_search_stats stats() const noexcept {
    adaptive_search_stats s;
    s.searches = numbers_.searches;
    s.studies = learner_.studies();
    s.exact_checks = numbers_.exact_checks;
    s.total_distances = numbers_.distances;
    const auto share = [this](double part) { return numbers_.distances > 0 ? part / numbers_.distances : 0; };
    s.study_share = share(numbers_.study_distances);
    s.exact_share = share(numbers_.exact_distances);
    s.is_tuned = is_tuned();
    s.recall = deep_recall() * mixed([](const detail::rule_record& r) { return r.recall; });
    s.distances = mixed([](const detail::rule_record& r) { return r.cost; });
    s.ns_per_distance = numbers_.timed_distances > 0 ? numbers_.timed_ns / numbers_.timed_distances : 0;
    s.reference_recall = deep_recall();
    return s;
  }

  /// Writes what was learnt in binary form (see storage/section_file.hpp; kind "ADPT"): after the index it may go to the same stream.
  /// A stream that fails is std::errc::io_error.
  void save(std::ostream& out) const {
    std::error_code ec;
    save(out, ec);
    if (ec) detail::throw_error(ec);
  }
  void save(std::ostream& out, std::error_code& ec) const {
    const saved_state state{numbers_,   mix_.first,      mix_.second,   mix_.second_share,
                            options_.k, options_.max_ef, target_kind(), options_.target.value()};
    detail::section_writer file(file_kind);
    file.add_value(detail::name_of("ENGI"), state);
    file.add(detail::name_of("GOON"), std::span<const std::uint8_t>(go_on_));
    learner_.save(file);
    file.write(out, ec);
  }

  /// Goes on from what save() wrote, and reads no byte behind it: with the same options, index and calls then come the same answers.
  /// Whether it was saved for this index is not known. errc::wrong_format,
  /// unsupported_version, corrupted_data: it is something else, or damaged; errc::invalid_option: it was saved by an engine with
  /// another k or max_ef. On error the engine is as it was.
  void load(std::istream& in) {
    std::error_code ec;
    load(in, ec);
    if (ec) detail::throw_error(ec);
  }
  void load(std::istream& in, std::error_code& ec) {
    detail::unless_exhausted(ec, false, [&] { return load_checked(in, ec); });
  }

  /// All bytes that the engine holds, itself included.
  std::size_t memory_bytes() const noexcept {
    return sizeof(*this) - sizeof(learner_) + learner_.memory_bytes() +
           study_.capacity() * sizeof(detail::studied_step) + seen_.capacity() * sizeof(double) +
           truth_.capacity() * sizeof(neighbor_type) + go_on_.capacity();
  }

 private:
  struct unchecked {};

  /// All that is counted. Distances are computations; those of `timed` fade.
  struct numbers {
    std::uint64_t searches = 0, exact_checks = 0;
    std::uint64_t has_choice = 0,
                  next_choice = studies_before_choice;  ///< made once, and again after so many studies
    double distances = 0, study_distances = 0, exact_distances = 0;
    double timed_ns = 0, timed_distances = 0;
    double deep_hits = 0;  ///< recall of the exact checks, added up
    double turn = 0;       ///< when the second rule is to be used
  };
  struct saved_state {
    numbers counted;
    std::uint64_t first_rule, second_rule;
    double second_share;
    std::uint64_t k, max_ef;
    std::uint64_t target_kind;
    double target;
  };
  static_assert(sizeof(saved_state) == 18 * 8 && std::is_trivially_copyable_v<saved_state>);
  static constexpr detail::file_kind file_kind{detail::name_of("ADPT"), 1, detail::element_code<float>()};
  static constexpr std::uint64_t studies_before_choice = 256;

  using progress_type = search_progress<typename Index::distance_type>;

  adaptive_search(unchecked, const Index& index, const adaptive_search_options& options)
      : index_(&index),
        options_(valid(options) ? options : adaptive_search_options{}),
        learner_(widths_for(options_), options_.memory),
        study_(options_.memory),
        seen_(options_.memory),
        truth_(options_.memory),
        go_on_(2 * detail::stop_learner::halves * learner_.steps() * detail::stop_states::looks, 0,
               options_.memory) {
    study_.reserve(learner_.steps());
    seen_.reserve(learner_.steps() * options_.k);
    truth_.reserve(options_.k);
  }

  std::uint64_t target_kind() const noexcept { return static_cast<std::uint64_t>(options_.target.what()); }

  bool load_checked(std::istream& in, std::error_code& ec) {
    detail::section_reader file;
    file.read(in, file_kind, ec);
    saved_state state{};
    if (!ec && !file.get(detail::name_of("ENGI"), state)) ec = errc::corrupted_data;
    if (!ec && (state.k != options_.k || state.max_ef != options_.max_ef)) ec = errc::invalid_option;
    if (ec) return false;
    adaptive_search restored(unchecked{}, *index_, options_);
    if (!restored.restore(file, state)) {
      ec = errc::corrupted_data;
      return false;
    }
    *this = std::move(restored);
    // The options of now may be others.
    if (is_tuned() && (state.target_kind != target_kind() || state.target != options_.target.value()))
      choose();
    return true;
  }

  bool restore(const detail::section_reader& file, const saved_state& state) {
    const auto go_on = file.get<std::uint8_t>(detail::name_of("GOON"), go_on_.size());
    if (go_on.empty() || !learner_.restore(file)) return false;
    const numbers& n = state.counted;
    for (const double x :
         {n.distances, n.study_distances, n.exact_distances, n.timed_ns, n.timed_distances, n.deep_hits}) {
      if (!detail::is_finite(x) || x < 0) return false;
    }
    if (!in_unit(n.turn) || !in_unit(state.second_share) || state.first_rule >= learner_.records().size() ||
        state.second_rule >= learner_.records().size()) {
      return false;
    }
    for (std::size_t i = 0; i < go_on.size(); ++i) {
      const std::size_t step = i / detail::stop_states::looks % learner_.steps();
      if (go_on[i] > 1 || (go_on[i] == 1 && step + 1 == learner_.steps())) return false;
    }
    numbers_ = n;
    mix_ = {static_cast<std::uint32_t>(state.first_rule), static_cast<std::uint32_t>(state.second_rule),
            state.second_share};
    go_on_.assign(go_on.begin(), go_on.end());
    return true;
  }

  static bool in_unit(double x) noexcept { return x >= 0 && x <= 1; }
  static bool valid(const adaptive_search_options& o) noexcept {
    const double target = o.target.value();
    const bool good_target = o.target.what() == search_target::kind::recall
                                 ? target > 0 && target < 1
                                 : target > 0 && detail::is_finite(target);
    return good_target && o.k >= 1 && o.max_ef >= o.k && o.max_ef <= 65535 && o.default_ef >= o.k &&
           o.default_ef <= o.max_ef && in_unit(o.warm_up_share) && in_unit(o.study_share) &&
           in_unit(o.exact_share) && !(o.quiet_pressure != o.quiet_pressure);
  }

  /// From two fifths of k up by half until max_ef.
  static std::vector<std::uint32_t> widths_for(const adaptive_search_options& o) {
    std::vector<std::uint32_t> widths;
    for (std::size_t width = (2 * o.k + 4) / 5; width < o.max_ef;
         width += std::max<std::size_t>(width / 2, 1)) {
      widths.push_back(static_cast<std::uint32_t>(width));
    }
    widths.push_back(static_cast<std::uint32_t>(o.max_ef));
    return widths;
  }

  bool is_tuned() const noexcept { return numbers_.has_choice != 0; }

  template <class Value>
  double mixed(const Value& value) const noexcept {
    return (1 - mix_.second_share) * value(learner_.records()[mix_.first]) +
           mix_.second_share * value(learner_.records()[mix_.second]);
  }

  double share_to_study() const noexcept {
    return numbers_.searches < options_.warm_up ? options_.warm_up_share : options_.study_share;
  }

  /// Drawn for each search alone. By what studies cost instead, the cheap ones, of easy queries, would be more of them than of
  /// searches.
  bool is_due_for_study() const noexcept {
    splitmix64 draw(numbers_.searches);
    return detail::uniform_unit(draw) < share_to_study() && index_->size() > options_.k;
  }

  /// Goes on where the table of the rule in use says so.
  struct rule_pacer {
    const adaptive_search& engine;
    const std::uint8_t* go_on;
    std::size_t step = 0;

    std::size_t first_width() const noexcept { return engine.learner_.width(0); }
    std::size_t next_width(const progress_type& progress) noexcept {
      const auto features = detail::stop_features::of(progress, engine.options_.k);
      if (go_on[step * detail::stop_states::looks + engine.learner_.look(step, features)] == 0) return 0;
      return engine.learner_.width(++step);
    }
  };

  std::size_t search_by_rule(std::span<const value_type> query, std::span<neighbor_type> out,
                             std::error_code& ec) {
    counting_observer counts;
    const perf::tick begin = perf::tick_clock::now();
    std::size_t found = 0;
    const double turn = numbers_.turn;
    if (is_tuned()) {
      numbers_.turn += mix_.second_share;
      const bool second = numbers_.turn >= 1;
      if (second) numbers_.turn -= 1;
      const std::size_t which = (second ? detail::stop_learner::halves : 0) +
                                static_cast<std::size_t>(numbers_.searches % detail::stop_learner::halves);
      rule_pacer pacer{*this, go_on_.data() + which * learner_.steps() * detail::stop_states::looks};
      found =
          index_->search_in_steps(query, {.k = options_.k, .ef = options_.max_ef}, out, pacer, ec, counts);
    } else {
      found = index_->search(query, {.k = options_.k, .ef = options_.default_ef}, out, ec, counts);
    }
    if (ec) {
      numbers_.turn = turn;
      return found;
    }
    const auto ns = static_cast<double>(perf::tick_clock::ns_between(begin, perf::tick_clock::now()));
    const auto cost = static_cast<double>(counts.distances);
    numbers_.distances += cost;
    constexpr double kept = 1 - 1.0 / 1024;
    numbers_.timed_ns = kept * numbers_.timed_ns + ns;
    numbers_.timed_distances = kept * numbers_.timed_distances + cost;
    return found;
  }

  /// Goes on until the k nearest have not changed for five sixths of the hops, at six times their number at least, or
  /// (a deep one) to the end; and notes every step.
  struct study_pacer {
    adaptive_search& engine;
    bool is_deep;
    std::size_t settled_at = 0;  ///< the step; 0: not

    std::size_t first_width() const noexcept { return engine.learner_.width(0); }
    std::size_t next_width(const progress_type& progress) {
      const std::size_t k = engine.options_.k;
      const auto cost = static_cast<double>(progress.distances);
      engine.study_.push_back({detail::stop_features::of(progress, k), 0, cost, 0});
      for (std::size_t i = 0; i < k; ++i) engine.seen_.push_back(static_cast<double>(progress.distance(i)));
      const std::size_t step = engine.study_.size();
      const bool is_settled = progress.hops >= 6 * progress.improved_at && progress.width >= 6 * k;
      if (is_settled && settled_at == 0) settled_at = step - 1;
      return (is_settled && !is_deep) || step == engine.learner_.steps() ? 0 : engine.learner_.width(step);
    }
  };

  std::size_t search_and_study(std::span<const value_type> query, std::span<neighbor_type> out,
                               std::error_code& ec) {
    study_.clear();
    seen_.clear();
    counting_observer counts;
    const bool is_deep = learner_.studies() % studies_to_a_deep_one == 0;
    study_pacer pacer{*this, is_deep};
    const search_options widest{.k = options_.k, .ef = options_.max_ef};
    const std::size_t found = index_->search_in_steps(query, widest, out, pacer, ec, counts);
    if (ec) return found;
    numbers_.distances += static_cast<double>(counts.distances);
    numbers_.study_distances += static_cast<double>(counts.distances);
    if (study_.empty() || found < options_.k) return found;
    // What was found on the way down counts at each step alike.
    const double before = std::max(static_cast<double>(counts.distances) - study_.back().cost, 0.0);
    for (detail::studied_step& step : study_) step.cost += before;
    const auto kth = static_cast<double>(out[options_.k - 1].distance);
    if (is_deep && is_time_for_exact_check()) check_exactly(query);
    // What a study that is not deep would have taken for the k nearest.
    const std::size_t settled = pacer.settled_at != 0 ? pacer.settled_at : study_.size() - 1;
    const double settled_kth = seen_[(settled + 1) * options_.k - 1];
    for (std::size_t step = 0; step < study_.size(); ++step) {
      study_[step].recall = recall_at(step, settled_kth);
      study_[step].deep_recall = recall_at(step, kth);
    }
    learner_.add(study_, is_deep);
    if (learner_.studies() >= numbers_.next_choice) choose();
    return found;
  }

  /// Which part of the k nearest at a step of the study are no farther than that.
  double recall_at(std::size_t step, double kth) const noexcept {
    const auto* const first = seen_.data() + step * options_.k;
    const auto hits = std::count_if(first, first + options_.k, [kth](double d) { return d <= kth; });
    return static_cast<double>(hits) / static_cast<double>(options_.k);
  }

  /// Recall of deep studies. One neighbour more is counted as missed than was: a few checks do not show a recall of 1.
  double deep_recall() const noexcept {
    const auto checks = static_cast<double>(numbers_.exact_checks);
    return numbers_.exact_checks == 0 ? 1
                                      : numbers_.deep_hits / (checks + 1 / static_cast<double>(options_.k));
  }

  /// In distances, for each search, after the warm-up.
  double cost_of_studies() const noexcept {
    const auto studies = static_cast<double>(learner_.studies());
    return studies > 0 ? options_.study_share * numbers_.study_distances / studies : 0;
  }

  /// At first as many as the options say, or as it takes to show that recall.
  bool is_time_for_exact_check() const noexcept {
    double first = static_cast<double>(options_.first_exact_checks);
    if (options_.target.what() == search_target::kind::recall) {
      first = std::max(first, 2 / ((1 - options_.target.value()) * static_cast<double>(options_.k)));
    }
    const auto checks = static_cast<double>(numbers_.exact_checks);
    if (checks < first) {
      // Over three quarters of the warm-up, since they wait for deep studies and are to be done at its end.
      return static_cast<double>(numbers_.searches) * first >=
             0.75 * checks * static_cast<double>(options_.warm_up);
    }
    return numbers_.exact_distances + static_cast<double>(index_->size()) <
           options_.exact_share * numbers_.distances;
  }

  /// How many of the true neighbours the last step of the study has. Where memory does not allow to find them, nothing happens.
  void check_exactly(std::span<const value_type> query) {
    truth_.resize(options_.k);
    std::error_code ec;
    index_->search_exact(query, options_.k, truth_, ec);
    if (ec) return;
    numbers_.distances += static_cast<double>(index_->size());
    numbers_.exact_distances += static_cast<double>(index_->size());
    ++numbers_.exact_checks;
    numbers_.deep_hits += recall_at(study_.size() - 1, static_cast<double>(truth_.back().distance));
  }

  void choose() {
    const std::span<const detail::rule_record> rules = learner_.judge();
    if (options_.target.what() == search_target::kind::recall) {
      mix_ = detail::cheapest_with_recall(rules, std::min(options_.target.value() / deep_recall(), 1.0));
    } else {
      const double per_distance =
          numbers_.timed_distances > 0 ? numbers_.timed_ns / numbers_.timed_distances : 1;
      mix_ = detail::best_within_cost(rules, options_.target.value() / per_distance - cost_of_studies());
    }
    const std::uint32_t chosen[2] = {mix_.first, mix_.second};
    std::uint8_t* out = go_on_.data();
    for (const std::uint32_t rule : chosen) {
      for (std::size_t half = 0; half < detail::stop_learner::halves; ++half) {
        for (std::size_t step = 0; step < learner_.steps(); ++step) {
          for (std::size_t look = 0; look < detail::stop_states::looks; ++look) {
            *out++ = learner_.goes_on(half, rule, step, look) ? 1 : 0;
          }
        }
      }
    }
    numbers_.has_choice = 1;
    numbers_.next_choice = learner_.studies() + std::max<std::uint64_t>(learner_.studies() / 16, 32);
  }

  static constexpr std::uint64_t studies_to_a_deep_one = 4;

  const Index* index_;
  adaptive_search_options options_;
  detail::stop_learner learner_;
  detail::resource_vector<detail::studied_step> study_;
  detail::resource_vector<double> seen_;  ///< the distances of the k nearest at each step of the study
  detail::resource_vector<neighbor_type> truth_;

  detail::rule_mix mix_;
  detail::resource_vector<std::uint8_t> go_on_;  ///< of both rules of the mix, each half, step and look
  numbers numbers_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
