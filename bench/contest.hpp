// Times several pieces of work side by side on a machine that is shared and whose clock changes: in each round each
// piece runs for a short slice, they take turns in going first, and ratios are taken within a round.
#pragma once

#include "statistics.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct contest_options {
  std::size_t rounds = 25;
  double slice_s = 0.001;  ///< about; one repetition may take longer
  /// Counts this thread's processor time where the system can, so that being interrupted does not count. False for work
  /// that starts threads or waits.
  bool own_time = true;
  bool warm_up = true;  ///< one untimed repetition before each slice, which brings the data back to its cache
};

class contest {
 public:
  /// Does the work so many times.
  using work = std::function<void(std::size_t repetitions)>;

  explicit contest(const contest_options& options) : options_(options) {}

  /// Returns the number of the contestant.
  std::size_t add(std::string name, work body);

  /// Finds how many repetitions fill a slice, then times all rounds.
  void run();

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] const std::string& name(std::size_t i) const { return entries_[i].name; }

  /// Seconds a repetition, in each round.
  [[nodiscard]] const std::vector<double>& seconds(std::size_t i) const { return entries_[i].seconds; }
  [[nodiscard]] spread time(std::size_t i) const { return spread_of(entries_[i].seconds); }
  /// Scaled, in the order of the rounds: what JSON lines have as "ns_rounds".
  [[nodiscard]] std::vector<double> rounds(std::size_t i, double scale) const;

  /// How many times as long `slow` takes as `fast`, scaled: the spread of the ratios of each round.
  [[nodiscard]] spread ratio(std::size_t slow, std::size_t fast, double scale = 1) const;

 private:
  struct entry {
    std::string name;
    work body;
    std::size_t repetitions = 1;
    std::vector<double> seconds;
  };

  [[nodiscard]] double now() const;
  [[nodiscard]] double seconds_for(const entry&) const;
  void calibrate(entry&) const;

  contest_options options_;
  std::vector<entry> entries_;
};

}  // namespace bench
