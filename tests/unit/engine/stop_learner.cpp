#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/engine/detail/stop_learner.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

using detail::rule_record;
using detail::stop_learner;
using detail::studied_step;

const std::vector<std::uint32_t> learner_widths{4, 6, 9, 14, 21, 32, 48, 72};
constexpr std::size_t learner_steps = 8;

/// A world with two kinds of searches. Of the easy ones all is found at step 1, of the hard ones at step 6; half of it before.
/// Easy ones look stale (nothing better comes), hard ones do not until all is found.
class learner_world {
 public:
  explicit learner_world(std::uint32_t seed, double noise = 0.1) : random_(seed), noise_(noise) {}

  struct search {
    bool is_hard;
    std::vector<studied_step> steps;
  };

  search draw() {
    search s{random_.below(2) == 1, {}};
    const std::size_t found_at = s.is_hard ? 6 : 1;
    for (std::size_t i = 0; i < learner_steps; ++i) {
      const double stale = (i >= found_at ? 0.7 : 0.3) + noise_ * static_cast<double>(random_.uniform());
      const double contrast = (s.is_hard ? 0.8 : 0.5) + noise_ * static_cast<double>(random_.uniform());
      s.steps.push_back({{stale, contrast}, i >= found_at ? 1.0 : 0.5, 25.0 * learner_widths[i]});
    }
    return s;
  }

 private:
  test::random random_;
  double noise_;
};

/// What a rule does with a search: at which step it ends.
std::size_t learner_end(const stop_learner& learner, std::size_t rule,
                        const std::vector<studied_step>& search) {
  std::size_t step = 0;
  while (learner.goes_on(0, rule, step, learner.look(step, search[step].features))) ++step;
  return step;
}

/// What a rule does in the mean over fresh searches.
rule_record learner_truth(const stop_learner& learner, std::size_t rule, std::uint32_t seed) {
  learner_world world(seed);
  rule_record r;
  constexpr int count = 2000;
  for (int i = 0; i < count; ++i) {
    const auto s = world.draw();
    const studied_step& end = s.steps[learner_end(learner, rule, s.steps)];
    r.recall += end.recall / count;
    r.cost += end.cost / count;
  }
  return r;
}

stop_learner learner_after(std::size_t studies, std::uint32_t seed, memory_resource* memory = nullptr) {
  stop_learner learner(learner_widths, memory);
  learner_world world(seed);
  for (std::size_t i = 0; i < studies; ++i) learner.add(world.draw().steps);
  return learner;
}

}  // namespace

TEST_CASE("a learner ends easy searches early and goes on with hard ones") {
  stop_learner learner = learner_after(1500, 91);
  CHECK(learner.studies() == 1500);
  CHECK(learner.steps() == learner_steps);
  learner.judge();
  // At a price at which a neighbour is worth it, and nothing beyond is.
  std::size_t good = 0;
  learner_world fresh(92);
  std::array<std::size_t, stop_learner::prices> easy{}, hard{}, easy_right{}, hard_right{};
  for (int i = 0; i < 500; ++i) {
    const auto s = fresh.draw();
    for (std::size_t rule = 0; rule < stop_learner::prices; ++rule) {
      const std::size_t end = learner_end(learner, rule, s.steps);
      (s.is_hard ? hard : easy)[rule] += 1;
      (s.is_hard ? hard_right : easy_right)[rule] += static_cast<std::size_t>(end == (s.is_hard ? 6 : 1));
    }
  }
  for (std::size_t rule = 0; rule < stop_learner::prices; ++rule) {
    const bool is_good = easy_right[rule] * 20 >= easy[rule] * 19 && hard_right[rule] * 20 >= hard[rule] * 19;
    good += static_cast<std::size_t>(is_good);
  }
  CHECK(good >= 3);
  // The best mix of recall 0.99 costs hardly more than to end each just when all is found.
  const double best = 25.0 * (learner_widths[1] + learner_widths[6]) / 2;
  const auto mix = detail::cheapest_with_recall(learner.records(), 0.99);
  const double cost = (1 - mix.second_share) * learner.records()[mix.first].cost +
                      mix.second_share * learner.records()[mix.second].cost;
  CHECK(cost < 1.1 * best);
  CHECK(cost > 0.9 * best);
  CHECK(cost < 0.65 * learner.records()[stop_learner::prices + 6].cost);  // the same at one width for all
}

TEST_CASE("recall and cost of all rules are judged as they are for fresh searches") {
  for (const std::uint32_t seed : {93u, 94u}) {
    stop_learner learner = learner_after(3000, seed);
    const auto records = learner.judge();
    REQUIRE(records.size() == stop_learner::prices + learner_steps);
    for (std::size_t rule = 0; rule < records.size(); ++rule) {
      const rule_record truth = learner_truth(learner, rule, seed + 1000);
      CHECK(records[rule].recall == doctest::Approx(truth.recall).epsilon(0.04));
      CHECK(records[rule].cost == doctest::Approx(truth.cost).epsilon(0.10));
      CHECK(records[rule].error >= 0);
      CHECK(records[rule].error < 0.01);  // of some 3,000 that are 0.5 or 1
      CHECK(records[rule].sure_recall() <= records[rule].recall);
    }
  }
}

TEST_CASE("rules that end at a step are judged exactly") {
  stop_learner learner(learner_widths, nullptr);
  learner_world world(95);
  std::array<double, learner_steps> recall{}, squares{}, cost{};
  for (int i = 0; i < 128; ++i) learner.add(world.draw().steps);  // only for what searches look like
  for (const rule_record& r : learner.judge()) CHECK((r.recall == 0 && r.cost == 0 && r.error == 0));
  constexpr int count = 400;
  for (int i = 0; i < count; ++i) {
    const auto s = world.draw();
    learner.add(s.steps);
    for (std::size_t step = 0; step < learner_steps; ++step) {
      recall[step] += s.steps[step].recall / count;
      squares[step] += s.steps[step].recall * s.steps[step].recall / count;
      cost[step] += s.steps[step].cost / count;
    }
  }
  const auto records = learner.judge();
  for (std::size_t step = 0; step < learner_steps; ++step) {
    const rule_record& r = records[stop_learner::prices + step];
    CHECK(r.recall == doctest::Approx(recall[step]).epsilon(1e-9));
    CHECK(r.cost == doctest::Approx(cost[step]).epsilon(1e-6));
    const double variance = std::max(squares[step] - recall[step] * recall[step], 0.0);
    CHECK(r.error == doctest::Approx(std::sqrt(variance / count)).epsilon(1e-6));
    for (std::size_t look = 0; look < detail::stop_states::looks; ++look) {
      for (std::size_t at = 0; at < learner_steps; ++at)
        CHECK(learner.goes_on(0, stop_learner::prices + step, at, look) == (at < step));
    }
  }
}

TEST_CASE("no rule goes on from the last step, and a higher price goes as far at least in the mean") {
  stop_learner learner = learner_after(2000, 96);
  for (std::size_t rule = 0; rule < stop_learner::prices + learner_steps; ++rule) {
    for (std::size_t look = 0; look < detail::stop_states::looks; ++look)
      CHECK_FALSE(learner.goes_on(0, rule, learner_steps - 1, look));
  }
  const auto records = learner.judge();
  for (std::size_t rule = 1; rule < stop_learner::prices; ++rule)
    CHECK(records[rule].cost >= 0.98 * records[rule - 1].cost);
  CHECK(records[stop_learner::prices - 1].recall > 0.99);
}

TEST_CASE(
    "a study that ends before the last width is believed to find no more there, at a cost in proportion") {
  stop_learner learner(learner_widths, nullptr);
  learner_world world(97);
  for (int i = 0; i < 128 + 50; ++i) {
    auto s = world.draw();
    s.steps.resize(i % 2 == 0 ? 1 : 5);
    for (studied_step& step : s.steps) step.recall = 0.75;
    learner.add(s.steps);
  }
  const auto records = learner.judge();
  for (std::size_t step = 0; step < learner_steps; ++step) {
    const rule_record& r = records[stop_learner::prices + step];
    CHECK(r.recall == doctest::Approx(0.75));
    CHECK(r.error == doctest::Approx(0).epsilon(1e-6));
    CHECK(r.cost == doctest::Approx(25.0 * learner_widths[step]).epsilon(1e-4));
  }
}

TEST_CASE("studies make looks that are met alike often") {
  stop_learner learner(learner_widths, nullptr);
  test::random r(98);
  const auto uniform = [&] { return static_cast<double>(r.uniform()); };
  const auto draw = [&] {
    std::vector<studied_step> s;
    for (std::size_t i = 0; i < learner_steps; ++i)
      s.push_back({{std::exp(3 * uniform()), 1e6 + 100 * uniform()}, 1, 100.0 * static_cast<double>(i + 1)});
    return s;
  };
  for (int i = 0; i < 128; ++i) learner.add(draw());
  for (const std::size_t step : {std::size_t{0}, learner_steps - 1}) {
    std::vector<int> met(detail::stop_states::looks, 0);
    constexpr int count = 6400;  // 200 each
    for (int i = 0; i < count; ++i) {
      const std::size_t look = learner.look(step, draw()[step].features);
      REQUIRE(look < met.size());
      ++met[look];
    }
    for (const int m : met) {
      CHECK(m > 60);
      CHECK(m < 500);
    }
  }
}

TEST_CASE("looks are in range whatever the features are, and whether there was a calibration or not") {
  constexpr double infinity = std::numeric_limits<double>::infinity(),
                   nan = std::numeric_limits<double>::quiet_NaN();
  const stop_learner untaught(learner_widths, nullptr), taught = learner_after(300, 99);
  for (const double x : {-infinity, -1.0, 0.0, 0.5, 1.0, 1e300, infinity, nan}) {
    for (const double y : {-infinity, -1.0, 0.0, 0.5, 1.0, 1e300, infinity, nan}) {
      for (std::size_t step = 0; step < learner_steps; ++step) {
        CHECK(untaught.look(step, {x, y}) < detail::stop_states::looks);
        CHECK(taught.look(step, {x, y}) < detail::stop_states::looks);
      }
    }
  }
}

TEST_CASE("features are numbers, whatever the distances are") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto contrast = [](std::vector<float> distances, std::size_t k) {
    detail::candidate_pool<float> pool;
    pool.reset(10);
    for (std::uint32_t slot = 0; slot < distances.size(); ++slot) pool.insert(distances[slot], slot);
    const auto f = detail::stop_features::of(search_progress<float>(pool), k);
    CHECK(f.stale == 0);  // no hop yet
    CHECK(f.contrast == f.contrast);
    return f.contrast;
  };
  CHECK(contrast({1, 2, 4}, 3) == 0.25);
  CHECK(contrast({1, 2, 4}, 2) == 0.5);
  CHECK(contrast({1, 2, 4}, 1) == 1);
  CHECK(contrast({1, 2, 4}, 10) == 0.25);  // fewer than k
  CHECK(contrast({-4, -2, -1}, 3) == 4);
  CHECK(contrast({0, 0, 0}, 3) == 0);
  CHECK(contrast({0, 0, 1}, 3) == 0);
  CHECK(contrast({-1, 0}, 2) == 0);
  CHECK(contrast({1, infinity}, 2) == 0);
  CHECK(contrast({infinity, infinity}, 2) == 0);
  CHECK(contrast({-infinity, -infinity}, 2) == 0);
  contrast({-infinity, -1}, 2);

  detail::candidate_pool<float> pool;
  pool.reset(3);
  pool.insert(1, 1);
  search_progress<float> progress(pool);
  progress.hops = 8;
  progress.improved_at = 2;
  CHECK(detail::stop_features::of(progress, 1).stale == 0.75);
  progress.improved_at = 8;
  CHECK(detail::stop_features::of(progress, 1).stale == 0);
}

TEST_CASE("a learner whose memory runs out while it calibrates does so with the next study") {
  learner_world world(106);
  memory_pool pool({.byte_limit = 3'000'000});
  stop_learner learner(learner_widths, &pool);
  std::vector<std::vector<studied_step>> studies;
  for (int i = 0; i < 700; ++i) studies.push_back(world.draw().steps);
  for (std::size_t i = 0; i < 127; ++i) learner.add(studies[i]);
  std::vector<std::pair<void*, std::size_t>> rest;
  std::error_code ec;
  for (std::size_t size = std::size_t{1} << 20; size >= 8; size /= 2) {
    while (void* const block = pool.allocate(size, 8, ec)) rest.emplace_back(block, size);
  }
  CHECK_THROWS_AS(learner.add(studies[127]), memory_pool_exhausted);
  CHECK(learner.studies() == 127);
  for (const auto& [block, size] : rest) pool.deallocate(block, size, 8);
  for (std::size_t i = 127; i < studies.size(); ++i) learner.add(studies[i]);
  const stop_learner untroubled = learner_after(700, 106);
  bool same = learner.studies() == 700;
  for (std::size_t rule = 0; rule < stop_learner::prices; ++rule) {
    for (std::size_t look = 0; look < detail::stop_states::looks; ++look)
      same = same && learner.goes_on(0, rule, 3, look) == untroubled.goes_on(0, rule, 3, look);
  }
  CHECK(same);
}

TEST_CASE("searches that all look alike are learnt from too") {
  stop_learner learner(learner_widths, nullptr);
  for (int i = 0; i < 1000; ++i) {
    std::vector<studied_step> s;
    for (std::size_t step = 0; step < learner_steps; ++step)
      s.push_back({{0.5, 1}, step < 3 ? 0.0 : 1.0, 10.0 * static_cast<double>(step + 1)});
    learner.add(s);
  }
  const auto mix = detail::cheapest_with_recall(learner.judge(), 1);
  CHECK(learner.records()[mix.second].cost == doctest::Approx(40));
  CHECK(mix.second_share == (mix.first == mix.second ? 0 : 1));
}

TEST_CASE("for studies that were missed count as many before them once more") {
  stop_learner learner(learner_widths, nullptr);
  const auto study = [&](double recall) {
    std::vector<studied_step> s;
    for (std::size_t i = 0; i < learner_steps; ++i) s.push_back({{0.5, 0.5}, recall, 100 * (1 + recall)});
    learner.add(s);
  };
  const auto miss = [&](int times) {
    for (int i = 0; i < times; ++i) learner.miss();
  };
  const auto fixed = [&] { return learner.judge()[stop_learner::prices + 2]; };
  for (int i = 0; i < 128; ++i) study(0);
  miss(10);  // none is kept yet that could count for these
  for (int i = 0; i < 8; ++i) study(0.5);
  for (int i = 0; i < 8; ++i) study(1);
  CHECK(fixed().recall == 0.75);
  CHECK(fixed().error == doctest::Approx(0.25 / 4));
  miss(8);
  CHECK(fixed().recall == doctest::Approx((8 * 0.5 + 16) / 24));
  CHECK(fixed().cost == doctest::Approx((8 * 150 + 16 * 200) / 24.0));
  // sqrt(sum of w^2 (x - mean)^2) / sum of w
  CHECK(fixed().error == doctest::Approx(std::sqrt(8 * (1.0 / 9) + 8 * 4 * (1.0 / 36)) / 24));
  miss(100);  // more than are kept: all count once more
  study(1);
  CHECK(fixed().recall == doctest::Approx((16 * 0.5 + 25) / 41));
  // Where the newest have taken the oldest ones' places, those before are still the last ones.
  for (int i = 0; i < 4096 - 17; ++i) study(0.5);
  for (int i = 0; i < 2; ++i) study(0.25);
  miss(4);
  CHECK(fixed().recall == doctest::Approx((0.5 * (12 + 4079 + 2) + 25 + 0.25 * 4) / 4122));
}

TEST_CASE("only the newest 4,096 studies count for the judgement") {
  stop_learner learner(learner_widths, nullptr);
  const auto study = [&](double recall, double cost) {
    std::vector<studied_step> s;
    for (std::size_t i = 0; i < learner_steps; ++i) s.push_back({{0.5, 0.5}, recall, cost});
    learner.add(s);
  };
  const auto fixed = [&] { return learner.judge()[stop_learner::prices + 2]; };
  for (int i = 0; i < 128; ++i) study(0.125, 7);
  for (int i = 0; i < 4096; ++i) study(0.25, 100);
  CHECK(fixed().recall == 0.25);
  CHECK(fixed().cost == 100);
  const std::size_t bytes = learner.memory_bytes();
  for (int i = 0; i < 1024; ++i) study(0.75, 300);
  CHECK(fixed().recall == 0.375);
  CHECK(fixed().cost == 150);
  for (int i = 0; i < 3072; ++i) study(0.75, 300);
  CHECK(fixed().recall == 0.75);
  CHECK(fixed().cost == 300);
  study(0.25, 300);
  CHECK(fixed().recall == 0.75 - 0.5 / 4096);
  CHECK(learner.studies() == 128 + 2 * 4096 + 1);
  CHECK(learner.memory_bytes() == bytes);
}

TEST_CASE("a learner follows a world that changes") {
  stop_learner learner = learner_after(1500, 101);
  // From now on nothing is found before the last step but one, whatever a search looks like.
  learner_world world(102);
  for (int i = 0; i < 4500; ++i) {
    auto s = world.draw();
    for (std::size_t step = 0; step < learner_steps; ++step) s.steps[step].recall = step < 6 ? 0.0 : 1.0;
    learner.add(s.steps);
  }
  const auto mix = detail::cheapest_with_recall(learner.judge(), 0.95);
  CHECK(learner.records()[mix.second].recall > 0.95);
  CHECK(learner_end(learner, mix.second, world.draw().steps) >= 6);
}

TEST_CASE("the same studies teach the same, to the bit") {
  stop_learner a = learner_after(1000, 103), b = learner_after(1000, 103), c = learner_after(1000, 104);
  const auto ra = a.judge(), rb = b.judge(), rc = c.judge();
  bool same = true, other = false;
  for (std::size_t rule = 0; rule < ra.size(); ++rule) {
    same = same && ra[rule].recall == rb[rule].recall && ra[rule].cost == rb[rule].cost &&
           ra[rule].error == rb[rule].error;
    other = other || ra[rule].recall != rc[rule].recall;
    for (std::size_t step = 0; step < learner_steps; ++step) {
      for (std::size_t look = 0; look < detail::stop_states::looks; ++look)
        same = same && a.goes_on(0, rule, step, look) == b.goes_on(0, rule, step, look);
    }
  }
  CHECK(same);
  CHECK(other);
}

TEST_CASE("a learner of a single step has nothing to decide, and of hundreds enough room") {
  stop_learner one(std::vector<std::uint32_t>{10}, nullptr);
  for (int i = 0; i < 200; ++i) one.add(std::vector<studied_step>{{{0.1, 0.2}, 0.5, 30}});
  for (const rule_record& r : one.judge()) {
    CHECK(r.recall == doctest::Approx(0.5));
    CHECK(r.cost == doctest::Approx(30));
  }
  std::vector<std::uint32_t> widths(100);
  for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = static_cast<std::uint32_t>(i + 1);
  stop_learner many(widths, nullptr);
  std::vector<studied_step> s(100);
  for (std::size_t i = 0; i < s.size(); ++i)
    s[i] = {{0.01 * static_cast<double>(i), 0.5}, i < 40 ? 0.0 : 1.0, static_cast<double>(i + 1)};
  for (int i = 0; i < 300; ++i) many.add(s);
  const auto records = many.judge();
  CHECK(records.size() == stop_learner::prices + 100);
  CHECK(records[stop_learner::prices + 39].recall == 0);
  CHECK(records[stop_learner::prices + 40].recall == 1);
  CHECK(records[stop_learner::prices + 99].cost == doctest::Approx(100));
}

TEST_CASE("a learner has all of its memory from its resource, and counts it") {
  memory_pool pool;
  {
    const std::size_t pooled = pool.stats().used_bytes;
    stop_learner learner(learner_widths, &pool);
    learner_world world(105);
    for (std::size_t i = 0; i < 600; ++i) {
      learner.add(world.draw().steps);
      if (i == 0 || i == 100 || i == 127 || i == 128 || i == 599)
        CHECK(static_cast<double>(learner.memory_bytes() - sizeof(learner)) ==
              doctest::Approx(static_cast<double>(pool.stats().used_bytes - pooled)).epsilon(0.05));
    }
    CHECK(pool.stats().used_bytes > 0);
  }
  CHECK(pool.stats().used_bytes == 0);
}

TEST_CASE("what studies miss that end early is taken from the deep ones") {
  // Each study thinks that it has found all from step 2 on; the deep ones see that it was three quarters.
  stop_learner learner(learner_widths, nullptr);
  for (int i = 0; i < 1000; ++i) {
    std::vector<studied_step> s;
    for (std::size_t step = 0; step < learner_steps; ++step) {
      const double seen = step < 2 ? 0.4 : 1.0;
      s.push_back({{0.5, 0.5}, seen, 10.0 * static_cast<double>(step + 1), 0.75 * seen});
    }
    learner.add(s, i % 8 == 0);
  }
  const auto records = learner.judge();
  CHECK(records[stop_learner::prices].recall == doctest::Approx(0.3));
  CHECK(records[stop_learner::prices + 5].recall == doctest::Approx(0.75));
  CHECK(records[stop_learner::prices + 5].error < 1e-6);
}
