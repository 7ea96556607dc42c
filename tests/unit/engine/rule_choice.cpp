#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <alidade/engine/detail/rule_choice.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

using detail::rule_mix;
using detail::rule_record;

/// What a mix does in the mean.
struct rule_choice_mean {
  double sure_recall, recall, cost;

  rule_choice_mean(const std::vector<rule_record>& rules, const rule_mix& mix) {
    const rule_record &a = rules[mix.first], &b = rules[mix.second];
    const double s = mix.second_share;
    sure_recall = (1 - s) * a.sure_recall() + s * b.sure_recall();
    recall = (1 - s) * a.recall + s * b.recall;
    cost = (1 - s) * a.cost + s * b.cost;
  }
};

/// The share of the second of two, value u and v, so that the mean is `wanted`; false where none in 0..1 is.
bool rule_choice_share(double u, double v, double wanted, double& share) {
  if (u == v) return false;
  share = (wanted - u) / (v - u);
  return share >= 0 && share <= 1;
}

/// By looking at all pairs, and at what the mean can be at most: the least cost of the wanted recall; -1 where none has it.
double rule_choice_least_cost(const std::vector<rule_record>& rules, double wanted) {
  double best = -1;
  const auto offer = [&](double cost) {
    if (best < 0 || cost < best) best = cost;
  };
  for (const rule_record& a : rules) {
    if (a.sure_recall() >= wanted) offer(a.cost);
    for (const rule_record& b : rules) {
      double share = 0;
      if (rule_choice_share(a.sure_recall(), b.sure_recall(), wanted, share))
        offer((1 - share) * a.cost + share * b.cost);
    }
  }
  return best;
}

/// The best recall of that cost; -1 where all cost more.
double rule_choice_best_recall(const std::vector<rule_record>& rules, double most) {
  double best = -1;
  for (const rule_record& a : rules) {
    if (a.cost <= most) best = std::max(best, a.recall);
    for (const rule_record& b : rules) {
      double share = 0;
      if (rule_choice_share(a.cost, b.cost, most, share))
        best = std::max(best, (1 - share) * a.recall + share * b.recall);
    }
  }
  return best;
}

/// Few distinct values, so that equal ones are common, or many.
std::vector<rule_record> rule_choice_some(test::random& r, std::size_t count, bool with_ties) {
  std::vector<rule_record> rules(count);
  for (rule_record& rule : rules) {
    rule.recall = with_ties ? r.below(5) / 4.0 : r.below(1000) / 999.0;
    rule.cost = with_ties ? 10.0 * r.below(4) : 1 + r.below(100000) / 7.0;
    rule.error = r.below(3) == 0 ? 0 : r.below(100) / 1000.0;
  }
  return rules;
}

bool rule_choice_is_sound(const std::vector<rule_record>& rules, const rule_mix& mix) {
  return mix.first < rules.size() && mix.second < rules.size() && mix.second_share >= 0 &&
         mix.second_share <= 1;
}

}  // namespace

TEST_CASE("of all pairs of rules the cheapest that has the wanted recall is chosen") {
  test::random r(71);
  std::size_t wrong = 0, mixed = 0, none = 0;
  for (int round = 0; round < 4000; ++round) {
    const bool with_ties = round % 2 == 0;
    const auto rules = rule_choice_some(r, 1 + r.below(8), with_ties);
    const double wanted = with_ties ? r.below(9) / 8.0 : r.below(1000) / 999.0;
    const rule_mix mix = detail::cheapest_with_recall(rules, wanted);
    if (!rule_choice_is_sound(rules, mix)) {
      ++wrong;
      continue;
    }
    const rule_choice_mean mean(rules, mix);
    const double least = rule_choice_least_cost(rules, wanted);
    mixed += static_cast<std::size_t>(mix.second_share > 0 && mix.second_share < 1);
    if (least >= 0) {
      wrong += static_cast<std::size_t>(mean.sure_recall < wanted - 1e-12 ||
                                        mean.cost > least * (1 + 1e-12) + 1e-12);
    } else {
      ++none;
      double best = rules[0].sure_recall();
      for (const rule_record& rule : rules) best = std::max(best, rule.sure_recall());
      wrong += static_cast<std::size_t>(mean.sure_recall != best || mix.second_share != 0);
    }
  }
  CHECK(wrong == 0);
  CHECK(mixed > 500);
  CHECK(none > 300);
}

TEST_CASE("of all pairs of rules the best within the cost is chosen") {
  test::random r(72);
  std::size_t wrong = 0, mixed = 0, none = 0;
  for (int round = 0; round < 4000; ++round) {
    const bool with_ties = round % 2 == 0;
    const auto rules = rule_choice_some(r, 1 + r.below(8), with_ties);
    const double most = with_ties ? 5.0 * r.below(8) : r.below(100000) / 7.0;
    const rule_mix mix = detail::best_within_cost(rules, most);
    if (!rule_choice_is_sound(rules, mix)) {
      ++wrong;
      continue;
    }
    const rule_choice_mean mean(rules, mix);
    const double best = rule_choice_best_recall(rules, most);
    mixed += static_cast<std::size_t>(mix.second_share > 0 && mix.second_share < 1);
    if (best >= 0) {
      wrong += static_cast<std::size_t>(mean.cost > most * (1 + 1e-12) || mean.recall < best - 1e-12);
    } else {
      ++none;
      double least = rules[0].cost;
      for (const rule_record& rule : rules) least = std::min(least, rule.cost);
      wrong += static_cast<std::size_t>(mean.cost != least || mix.second_share != 0);
    }
  }
  CHECK(wrong == 0);
  CHECK(mixed > 500);
  CHECK(none > 100);
}

TEST_CASE("a single rule is chosen whatever is wanted") {
  const std::vector<rule_record> one{{0.8, 100, 0.1}};
  for (const double x : {0.0, 0.5, 0.7, 0.75, 0.8, 1.0, 50.0, 100.0, 1000.0}) {
    for (const rule_mix& mix : {detail::cheapest_with_recall(one, x), detail::best_within_cost(one, x)}) {
      CHECK(mix.first == 0);
      CHECK(mix.second == 0);
      CHECK(mix.second_share == 0);
    }
  }
}

TEST_CASE("a rule's recall counts less its error, and half way between two rules they take turns") {
  const std::vector<rule_record> rules{{0.8, 100, 0}, {1.0, 300, 0.1}};  // surely 0.8 and 0.9
  rule_mix mix = detail::cheapest_with_recall(rules, 0.85);
  CHECK(mix.first == 0);
  CHECK(mix.second == 1);
  CHECK(mix.second_share == doctest::Approx(0.5));
  mix = detail::cheapest_with_recall(rules, 0.95);  // none has it surely
  CHECK(mix.first == 1);
  CHECK(mix.second == 1);
  mix = detail::cheapest_with_recall(rules, 0.8);
  CHECK(rule_choice_mean(rules, mix).cost == 100);
  mix = detail::best_within_cost(rules, 150);  // here the error does not count
  CHECK(rule_choice_mean(rules, mix).recall == doctest::Approx(0.85));
  CHECK(rule_choice_mean(rules, mix).cost == doctest::Approx(150));
}

TEST_CASE("a rule that costs more than the lower hull of the others is left out") {
  const std::vector<rule_record> rules{{0.5, 10, 0}, {0.6, 90, 0}, {0.9, 100, 0}, {0.4, 500, 0}};
  const rule_mix mix = detail::cheapest_with_recall(rules, 0.6);
  CHECK(mix.first == 0);
  CHECK(mix.second == 2);
  CHECK(mix.second_share == doctest::Approx(0.25));
  CHECK(rule_choice_mean(rules, mix).cost == doctest::Approx(32.5));
}

TEST_CASE("of rules that are equally good the cheapest is chosen") {
  const std::vector<rule_record> rules{{0.9, 70, 0}, {0.9, 30, 0}, {0.9, 50, 0}};
  CHECK(rule_choice_mean(rules, detail::cheapest_with_recall(rules, 0.9)).cost == 30);
  CHECK(rule_choice_mean(rules, detail::cheapest_with_recall(rules, 0.1)).cost == 30);
  CHECK(rule_choice_mean(rules, detail::best_within_cost(rules, 100)).cost == 30);
  CHECK(rule_choice_mean(rules, detail::best_within_cost(rules, 60)).cost == 30);
  CHECK(rule_choice_mean(rules, detail::best_within_cost(rules, 10)).cost == 30);
  // Where none reaches what is wanted too.
  CHECK(rule_choice_mean(rules, detail::cheapest_with_recall(rules, 0.95)).cost == 30);
}
