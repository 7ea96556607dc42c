#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What a rule for ending searches does in the mean.
struct rule_record {
  double recall = 0;
  double cost = 0;   ///< distance computations
  double error = 0;  ///< standard error of the recall

  /// What the recall of a rule is at least, 84 times of 100; a little less often of one that is chosen for it.
  double sure_recall() const noexcept { return recall - error; }
};

/// Two rules in turns: `second` for that share of searches.
struct rule_mix {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  double second_share = 0;
};

/// Of all pairs of rules the one that has the wanted recall in the mean at the least cost. Where none has it, the rule with the
/// best recall, the cheapest of those.
inline rule_mix cheapest_with_recall(std::span<const rule_record> rules, double wanted) noexcept {
  rule_mix best;
  double best_cost = -1;
  for (std::uint32_t b = 0; b < rules.size(); ++b) {
    if (rules[b].sure_recall() < wanted) {
      const double more = rules[b].sure_recall() - rules[best.first].sure_recall();
      if (best_cost < 0 && (more > 0 || (more == 0 && rules[b].cost < rules[best.first].cost)))
        best = {b, b, 0};
      continue;
    }
    if (best_cost < 0 || rules[b].cost < best_cost) {
      best = {b, b, 0};
      best_cost = rules[b].cost;
    }
    for (std::uint32_t a = 0; a < rules.size(); ++a) {
      if (rules[a].sure_recall() >= wanted || rules[a].cost >= rules[b].cost) continue;
      const double share =
          (wanted - rules[a].sure_recall()) / (rules[b].sure_recall() - rules[a].sure_recall());
      const double cost = rules[a].cost + share * (rules[b].cost - rules[a].cost);
      if (cost < best_cost) {
        best = {a, b, share};
        best_cost = cost;
      }
    }
  }
  return best;
}

/// Of all pairs of rules the one with the best recall that costs at most so much in the mean, the cheapest of those. Where
/// all cost more, the cheapest rule.
inline rule_mix best_within_cost(std::span<const rule_record> rules, double most) noexcept {
  rule_mix best;
  double best_recall = -1, best_cost = 0;
  for (std::uint32_t a = 0; a < rules.size(); ++a) {
    if (rules[a].cost > most) {
      if (best_recall < 0 && rules[a].cost < rules[best.first].cost) best = {a, a, 0};
      continue;
    }
    if (rules[a].recall > best_recall || (rules[a].recall == best_recall && rules[a].cost < best_cost)) {
      best = {a, a, 0};
      best_recall = rules[a].recall;
      best_cost = rules[a].cost;
    }
    for (std::uint32_t b = 0; b < rules.size(); ++b) {
      if (rules[b].cost <= most || rules[b].recall <= rules[a].recall) continue;
      const double share = (most - rules[a].cost) / (rules[b].cost - rules[a].cost);
      const double recall = rules[a].recall + share * (rules[b].recall - rules[a].recall);
      if (recall > best_recall) {
        best = {a, b, share};
        best_recall = recall;
        best_cost = most;
      }
    }
  }
  return best;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
