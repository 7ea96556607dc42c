#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/index/neighbor.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What calibrate() aims for.
struct calibration_options {
  std::size_t k = 10;           ///< how many neighbours searches will ask for; at least 1
  double target_recall = 0.95;  ///< recall@k in the mean over queries, 0 < target_recall <= 1
  std::size_t max_ef = 4096;    ///< the widest search that is tried; at least 1
  std::size_t rounds = 5;       ///< of timing, from which medians are taken; at least 1
  std::size_t threads = 1;      ///< for the true neighbours and for recall, not for times; 0: all cores
};

/// A setting of searches, and what it was found to do.
struct calibration_trial {
  search_options options;
  double recall = 0;        ///< of the sample
  double microseconds = 0;  ///< a query, one thread: the median of the rounds
};

/// What calibrate() has found.
struct calibration {
  /// The quickest setting with the recall that was asked for; the one with the highest recall that was tried where none has it.
  search_options options;
  bool is_reached = false;
  double recall = 0;                      ///< its recall@k over the sample
  double standard_error = 0;              ///< of that, as an estimate for other queries of the kind
  double microseconds = 0;                ///< its time a query, one thread
  double hops = 0;                        ///< nodes expanded a query
  double distances = 0;                   ///< distances computed a query, by codes or vectors
  std::vector<calibration_trial> trials;  ///< what was compared by time
};

namespace detail {

/// Looks for the quickest setting of an index's searches that reaches a recall. `Index`: search() as graph_index has it.
template <class Index>
class calibrator {
  using T = typename Index::value_type;
  using D = typename Index::distance_type;

 public:
  /// `farthest`: of each query the distance of the k-th true neighbour.
  calibrator(const Index& index, matrix_view<T> queries, std::span<const D> farthest,
             const calibration_options& options)
      : index_(index),
        queries_(queries),
        farthest_(farthest),
        options_(options),
        k_(std::min(options.k, index.size())),
        most_(std::min(options.max_ef, index.size())),
        found_(k_) {}

  /// Without codes the width is all there is to choose.
  calibration run(bool by_codes) {
    calibration result;
    if (by_codes) {
      try_with_codes();
    } else {
      std::size_t ef = k_;
      if (find_ef(k_, 0, ef)) try_later(ef, 0);
    }
    result.is_reached = !trials_.empty();
    if (trials_.empty()) try_later(most_, by_codes ? std::max(most_, k_) : 0);
    measure_times(trials_);
    search_options best = quickest(trials_);
    if (by_codes) {
      std::vector<calibration_trial> depths;
      for (const std::size_t depth : {4u, 8u, 16u, 32u}) {
        depths.push_back({best, 0, 0});
        depths.back().options.prefetch = depth;
      }
      measure_times(depths);
      best = quickest(depths);
    }
    finish(best, result);
    return result;
  }

 private:
  /// For each of some numbers of candidates the least width. The more are measured, the narrower a search may be.
  void try_with_codes() {
    std::size_t ef = std::max<std::size_t>(k_, 1), unchanged = 0;
    bool any = false;
    for (std::size_t rerank = k_; rerank <= std::max(most_, k_) && unchanged < 2;
         rerank += std::max<std::size_t>(rerank / 4, 1)) {
      std::size_t narrower = ef;
      if (!find_ef(1, rerank, narrower)) continue;
      unchanged = any && narrower >= ef ? unchanged + 1 : 0;
      any = true;
      ef = narrower;
      try_later(ef, rerank);
      if (ef == 1) break;
    }
  }

  void try_later(std::size_t ef, std::size_t rerank) {
    calibration_trial trial;
    trial.options = setting(ef, rerank);
    trials_.push_back(trial);
  }

  search_options setting(std::size_t ef, std::size_t rerank) const {
    search_options options;
    options.k = options_.k;
    options.ef = ef;
    options.rerank = rerank;
    options.threads = options_.threads;
    return options;
  }

  /// The least ef from `least` on that has the recall, from a guess; false where none has. Recall is taken to rise with ef, but among so few
  /// candidates none that is much wider finds more.
  bool find_ef(std::size_t least, std::size_t rerank, std::size_t& ef) {
    const auto is_enough = [&](std::size_t width) {
      return recall_of(setting(width, rerank)) >= options_.target_recall;
    };
    const std::size_t most =
        std::max(least, rerank == 0 ? most_ : std::min(most_, std::max<std::size_t>(8 * rerank, 64)));
    std::size_t high = std::clamp(ef, least, most);
    std::size_t low = least;  // everything below `low` is not enough
    while (!is_enough(high)) {
      if (high == most) return false;
      low = high + 1;
      high = std::min(2 * high, most);
    }
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (is_enough(middle)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    ef = high;
    return true;
  }

  double recall_of(const search_options& options) {
    const auto results = index_.search(queries_, options);
    std::size_t correct = 0;
    for (std::size_t i = 0; i < queries_.rows(); ++i) correct += count_correct(i, results[i]);
    return share(correct);
  }

  double share(std::size_t correct) const noexcept {
    return static_cast<double>(correct) / static_cast<double>(k_ * queries_.rows());
  }

  std::size_t count_correct(std::size_t query, std::span<const neighbor<D>> answers) const {
    return static_cast<std::size_t>(std::count_if(
        answers.begin(), answers.end(), [&](const auto& a) { return !(farthest_[query] < a.distance); }));
  }

  void measure_times(std::vector<calibration_trial>& trials) {
    std::vector<std::vector<double>> times(trials.size());
    for (std::size_t round = 0; round < options_.rounds; ++round) {
      for (std::size_t i = 0; i < trials.size(); ++i) times[i].push_back(time_of(trials[i].options));
    }
    for (std::size_t i = 0; i < trials.size(); ++i) {
      const auto median = times[i].begin() + static_cast<std::ptrdiff_t>(times[i].size() / 2);
      std::nth_element(times[i].begin(), median, times[i].end());
      trials[i].microseconds = *median;
      trials[i].recall = recall_of(trials[i].options);
    }
  }

  double time_of(const search_options& options) {
    const auto begin = std::chrono::steady_clock::now();
    std::error_code ec;
    for (std::size_t i = 0; i < queries_.rows(); ++i)
      index_.search(queries_[i], options, std::span(found_), ec);
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
    return time.count() / static_cast<double>(queries_.rows());
  }

  static search_options quickest(const std::vector<calibration_trial>& trials) {
    return std::min_element(trials.begin(), trials.end(),
                            [](const auto& a, const auto& b) { return a.microseconds < b.microseconds; })
        ->options;
  }

  void finish(const search_options& best, calibration& result) {
    counting_observer counts;
    std::error_code ec;
    std::size_t correct = 0;
    double squares = 0;
    for (std::size_t i = 0; i < queries_.rows(); ++i) {
      const std::size_t count = index_.search(queries_[i], best, std::span(found_), ec, counts);
      const std::size_t of_query = count_correct(i, std::span(found_).first(count));
      correct += of_query;
      squares += static_cast<double>(of_query) * static_cast<double>(of_query);
    }
    const auto n = static_cast<double>(queries_.rows());
    result.options = best;
    result.options.threads = search_options{}.threads;
    result.recall = share(correct);
    const double mean_square = squares / (n * static_cast<double>(k_) * static_cast<double>(k_));
    result.standard_error = std::sqrt(std::max(mean_square - result.recall * result.recall, 0.0) / n);
    result.hops = static_cast<double>(counts.hops) / n;
    result.distances = static_cast<double>(counts.distances) / n;
    std::vector<calibration_trial> chosen{{best, 0, 0}};
    measure_times(chosen);
    result.microseconds = chosen[0].microseconds;
    result.trials = std::move(trials_);
  }

  const Index& index_;
  matrix_view<T> queries_;
  std::span<const D> farthest_;
  const calibration_options& options_;
  std::size_t k_, most_;
  std::vector<neighbor<D>> found_;
  std::vector<calibration_trial> trials_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
