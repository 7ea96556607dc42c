#include "rank_test.hpp"

#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace bench {
namespace {

constexpr std::size_t largest_exact = 50;

/// The probability of each u, of samples of m and n values without ties. The largest value of all is one of the first
/// sample with probability m / (m + n), and then adds nothing to u; else it is one of the second, and adds m.
std::vector<double> distribution(std::size_t m, std::size_t n) {
  // by_second[j] is the distribution for i of the first and j of the second, i growing.
  std::vector<std::vector<double>> by_second(n + 1, std::vector<double>{1});
  for (std::size_t i = 1; i <= m; ++i) {
    for (std::size_t j = 1; j <= n; ++j) {
      std::vector<double> p(i * j + 1, 0);
      const auto of_first = static_cast<double>(i) / static_cast<double>(i + j);
      for (std::size_t u = 0; u < by_second[j].size(); ++u) p[u] += of_first * by_second[j][u];
      for (std::size_t u = 0; u < by_second[j - 1].size(); ++u)
        p[u + i] += (1 - of_first) * by_second[j - 1][u];
      by_second[j] = std::move(p);
    }
  }
  return by_second[n];
}

double exact_p(double u, std::size_t m, std::size_t n) {
  const std::vector<double> p = distribution(m, n);
  const auto at = static_cast<std::size_t>(u);
  double below = 0, above = 0;
  for (std::size_t i = 0; i <= at; ++i) below += p[i];
  for (std::size_t i = at; i < p.size(); ++i) above += p[i];
  return std::min(1.0, 2 * std::min(below, above));
}

/// `ties` is the sum of t^3 - t over groups of t equal values.
double normal_p(double u, double m, double n, double ties) {
  const double all = m + n;
  const double variance = m * n / 12 * (all + 1 - ties / (all * (all - 1)));
  if (variance <= 0) return 1;
  const double distance = std::max(std::abs(u - m * n / 2) - 0.5, 0.0);
  return std::erfc(distance / std::sqrt(2 * variance));
}

}  // namespace

rank_test mann_whitney(const std::vector<double>& first, const std::vector<double>& second) {
  std::vector<std::pair<double, bool>> all;  // value, and whether it is one of the second sample
  all.reserve(first.size() + second.size());
  for (const double v : first) all.emplace_back(v, false);
  for (const double v : second) all.emplace_back(v, true);
  std::sort(all.begin(), all.end());
  rank_test result;
  double ties = 0, first_below = 0;
  for (std::size_t begin = 0; begin < all.size();) {
    std::size_t end = begin;
    double of_first = 0, of_second = 0;
    for (; end < all.size() && all[end].first == all[begin].first; ++end)
      (all[end].second ? of_second : of_first) += 1;
    result.u += of_second * (first_below + of_first / 2);
    first_below += of_first;
    const double equal = of_first + of_second;
    ties += equal * equal * equal - equal;
    begin = end;
  }
  result.exact = ties == 0 && first.size() <= largest_exact && second.size() <= largest_exact;
  result.p = result.exact ? exact_p(result.u, first.size(), second.size())
                          : normal_p(result.u, static_cast<double>(first.size()),
                                     static_cast<double>(second.size()), ties);
  return result;
}

double ratio_of(const std::vector<double>& first, const std::vector<double>& second) {
  std::vector<double> ratios;
  ratios.reserve(first.size() * second.size());
  for (const double a : first) {
    for (const double b : second) ratios.push_back(b / a);
  }
  return spread_of(std::move(ratios)).median;
}

const char* name_of(verdict v) {
  return v == verdict::faster ? "faster" : v == verdict::slower ? "slower" : "no difference";
}

judgement judge(const std::vector<double>& first, const std::vector<double>& second, const judging& by) {
  judgement j;
  j.test = mann_whitney(first, second);
  j.ratio = ratio_of(first, second);
  if (j.test.p < by.alpha && j.ratio >= 1 + by.min_effect) j.result = verdict::slower;
  if (j.test.p < by.alpha && j.ratio <= 1 / (1 + by.min_effect)) j.result = verdict::faster;
  return j;
}

std::string check_rank_test() {
  struct known {
    std::vector<double> first, second;
    double u, p;
    bool exact;
  };
  // Five and five that do not overlap: on each side 1 of C(10, 5) = 252 arrangements. Three and four with u = 3: 7 of
  // C(7, 3) = 35 have no more. Ties: four 2s and two 4s, so the variance is 16 / 12 (9 - 66 / 56) = 10.4286, and
  // p = erfc(3.5 / sqrt(2 * 10.4286)).
  const known cases[] = {
      {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}, 25, 2.0 / 252, true},
      {{6, 7, 8, 9, 10}, {1, 2, 3, 4, 5}, 0, 2.0 / 252, true},
      {{1, 5, 6}, {2, 3, 4, 0.5}, 3, 2 * 7.0 / 35, true},
      {{1, 2, 2, 3}, {2, 2, 4, 4}, 12, 0.278414, false},
      {{1, 1, 1}, {1, 1, 1}, 4.5, 1, false},
  };
  for (const known& k : cases) {
    const rank_test t = mann_whitney(k.first, k.second);
    if (t.u != k.u || t.exact != k.exact || std::abs(t.p - k.p) > 1e-4) {
      return "u " + std::to_string(t.u) + ", p " + std::to_string(t.p) + ", expected " + std::to_string(k.u) +
             ", " + std::to_string(k.p);
    }
  }
  // Two samples of 20: u = 127 is the critical value of a two-sided 5 % (Mann and Whitney's table, continued by
  // others).
  if (exact_p(127, 20, 20) > 0.05 || exact_p(128, 20, 20) <= 0.05)
    return "the critical value of 20 and 20 is not 127";
  // Where both can be computed they agree.
  if (std::abs(exact_p(900, 50, 50) - normal_p(900, 50, 50, 0)) > 1e-3)
    return "exact and normal p differ at 50 and 50";
  if (ratio_of({1, 2, 4}, {2, 4, 8}) != 2) return "the ratio of doubled values is not 2";
  return {};
}

}  // namespace bench
