// Whether one of two samples is slower than the other: a rank test, and an effect that matters.
#pragma once

#include <string>
#include <vector>

namespace bench {

/// The Mann-Whitney test (H. B. Mann and D. R. Whitney, On a test of whether one of two random variables is
/// stochastically larger than the other, Annals of Mathematical Statistics 18, 1947). It asks nothing of the
/// distributions, and outliers count as their rank only.
struct rank_test {
  double u = 0;  ///< pairs in which the second sample's value is the larger one; ties are halves
  double p = 1;  ///< of a u as far from the middle, on either side, if both come from one distribution
  bool exact =
      false;  ///< p by counting all arrangements: samples of at most 50 without ties; else the normal approximation,
              ///< with the corrections for ties and continuity (Lehmann, Nonparametrics, 1975, section 1.4)
};

/// Of non-empty samples.
[[nodiscard]] rank_test mann_whitney(const std::vector<double>& first, const std::vector<double>& second);

/// How many times the first the second is: the median of the ratios of all pairs, the estimate that belongs to the test
/// (J. L. Hodges and E. L. Lehmann, Estimates of location based on rank tests, 1963). Of positive values.
[[nodiscard]] double ratio_of(const std::vector<double>& first, const std::vector<double>& second);

struct judging {
  double alpha = 0.01;       ///< p must be below it
  double min_effect = 0.05;  ///< and the ratio 1 + min_effect or more, or 1 / (1 + min_effect) or less
};

enum class verdict { faster, no_difference, slower };

[[nodiscard]] const char* name_of(verdict);

struct judgement {
  rank_test test;
  double ratio = 1;                         ///< of times, second / first
  verdict result = verdict::no_difference;  ///< what the second is
};

/// Of times.
[[nodiscard]] judgement judge(const std::vector<double>& first, const std::vector<double>& second,
                              const judging&);

/// Compares the tests with values worked out by hand and from tables. Empty, or what was wrong.
[[nodiscard]] std::string check_rank_test();

}  // namespace bench
