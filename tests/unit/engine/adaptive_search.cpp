#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <vector>

#include <alidade/engine/adaptive_search.hpp>
#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using namespace alidade;

namespace {

constexpr std::size_t engine_rows = 3000, engine_queries = 1000, engine_dimension = 16;
using engine_index = hnsw_index<float>;
using engine_type = adaptive_search<engine_index>;

/// An index, queries of the same kind, and their true neighbours, made once.
struct engine_world {
  test::dataset<float> data{engine_rows + engine_queries, engine_dimension, 401};
  engine_index index{engine_dimension, {.M = 6, .ef_construction = 40}};
  flat_index<float> flat{engine_dimension};

  engine_world() {
    index.add(std::span(data.keys).first(engine_rows), data.view(0, engine_rows));
    flat.add(std::span(data.keys).first(engine_rows), data.view(0, engine_rows));
  }
  std::span<const float> query(std::size_t i) const { return data.view()[engine_rows + i % engine_queries]; }

  static const engine_world& shared() {
    static const engine_world world;
    return world;
  }
};

constexpr adaptive_search_options engine_options{.target = search_target::recall_at_least(0.9),
                                                 .k = 10,
                                                 .max_ef = 200,
                                                 .default_ef = 40,
                                                 .warm_up = 1500,
                                                 .warm_up_share = 0.4};

/// Answers, distances computed and recall of `count` fresh searches, by the first half of the queries.
struct engine_run {
  double recall = 0, distances = 0;
  std::size_t wrong = 0;
};

std::vector<float> engine_fresh_query(test::random& r, const engine_world& world) {
  // Between two of the same kind, a little nearer to one.
  const auto a = world.query(r.below(engine_queries));
  std::vector<float> q(a.begin(), a.end());
  for (float& x : q) x += 0.1f * r.normal();
  return q;
}

template <class Search>
engine_run engine_measure(const Search& search, std::size_t count, std::uint32_t seed) {
  const engine_world& world = engine_world::shared();
  test::random r(seed);
  engine_run run;
  std::vector<neighbor<float>> out(10);
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<float> q = engine_fresh_query(r, world);
    std::error_code ec;
    run.distances += search(q, out, ec) / static_cast<double>(count);
    run.wrong += static_cast<std::size_t>(bool(ec) || !std::is_sorted(out.begin(), out.end()));
    const auto truth = world.flat.search(q, {.k = 10});
    for (const auto& n : out)
      run.recall += (n.distance <= truth.back().distance ? 0.1 : 0) / static_cast<double>(count);
  }
  return run;
}

void engine_teach(engine_type& engine, std::size_t searches, std::uint32_t seed, double pressure = 0) {
  const engine_world& world = engine_world::shared();
  test::random r(seed);
  std::vector<neighbor<float>> out(engine.options().k);
  std::error_code ec;
  for (std::size_t i = 0; i < searches && !ec; ++i)
    engine.search(engine_fresh_query(r, world), out, ec, pressure);
  REQUIRE_FALSE(ec);
}

std::size_t engine_distances(const engine_index& index, std::span<const float> q, std::size_t k,
                             std::size_t ef) {
  counting_observer counts;
  std::vector<neighbor<float>> out(k);
  std::error_code ec;
  index.search(q, {.k = k, .ef = ef}, out, ec, counts);
  return counts.distances;
}

bool engine_same_stats(const adaptive_search_stats& a, const adaptive_search_stats& b) {
  return a.searches == b.searches && a.studies == b.studies && a.exact_checks == b.exact_checks &&
         a.total_distances == b.total_distances && a.study_share == b.study_share &&
         a.exact_share == b.exact_share && a.is_tuned == b.is_tuned && a.recall == b.recall &&
         a.distances == b.distances && a.reference_recall == b.reference_recall;
}

}  // namespace

TEST_CASE("before it is tuned an engine's searches are those of the default width") {
  const engine_world& world = engine_world::shared();
  adaptive_search_options options = engine_options;
  options.warm_up_share = options.study_share = 0;
  engine_type engine(world.index, options);
  double distances = 0;
  for (std::size_t i = 0; i < 600; ++i) {
    const auto expected = world.index.search(world.query(i), {.k = 10, .ef = 40});
    REQUIRE(engine.search(world.query(i)) == expected);
    distances += static_cast<double>(engine_distances(world.index, world.query(i), 10, 40));
  }
  const adaptive_search_stats s = engine.stats();
  CHECK(s.searches == 600);
  CHECK(s.studies == 0);
  CHECK(s.exact_checks == 0);
  CHECK(s.total_distances == distances);
  CHECK(s.study_share == 0);
  CHECK(s.exact_share == 0);
  CHECK_FALSE(s.is_tuned);
  CHECK(s.ns_per_distance >= 0);
  CHECK(s.reference_recall == 1);
}

TEST_CASE("an engine meets its recall with hardly more distances than the best fixed width") {
  const engine_world& world = engine_world::shared();
  for (const double target : {0.8, 0.9, 0.97}) {
    adaptive_search_options options = engine_options;
    options.target = search_target::recall_at_least(target);
    options.study_share = 0;  // so that what is measured are searches by the rule
    options.exact_share = 0;
    engine_type engine(world.index, options);
    engine_teach(engine, 2500, 402);
    REQUIRE(engine.stats().is_tuned);
    const double before = engine.stats().total_distances;
    double last = before;
    const engine_run adaptive = engine_measure(
        [&](const std::vector<float>& q, std::vector<neighbor<float>>& out, std::error_code& ec) {
          CHECK(engine.search(q, out, ec) == 10);
          const double cost = engine.stats().total_distances - last;
          last += cost;
          CHECK(cost <= 1.25 * static_cast<double>(engine_distances(world.index, q, 10, 200)));
          return cost;
        },
        1000, 403);
    CHECK(adaptive.wrong == 0);
    CHECK(adaptive.recall >= target - 0.02);
    CHECK(engine.stats().recall >= target - 0.01);
    CHECK(engine.stats().recall == doctest::Approx(adaptive.recall).epsilon(0.03));
    CHECK(engine.stats().distances == doctest::Approx(adaptive.distances).epsilon(0.1));
    // The cheapest width of at least that recall.
    for (std::size_t ef = 10; ef <= 200; ++ef) {
      const engine_run fixed = engine_measure(
          [&](const std::vector<float>& q, std::vector<neighbor<float>>& out, std::error_code& ec) {
            counting_observer counts;
            world.index.search(q, {.k = 10, .ef = ef}, out, ec, counts);
            return static_cast<double>(counts.distances);
          },
          300, 403);
      if (fixed.recall < adaptive.recall - 0.005) continue;
      CHECK(adaptive.distances <= 1.05 * fixed.distances);
      break;
    }
  }
}

TEST_CASE("an engine studies and checks within its shares, whatever the searches cost") {
  const engine_world& world = engine_world::shared();
  adaptive_search_options options = engine_options;
  options.warm_up = 1000;
  options.warm_up_share = 0.4;
  options.study_share = 0.05;
  options.first_exact_checks = 5;
  options.exact_share = 0.01;
  engine_type engine(world.index, options);
  engine_teach(engine, 1000, 404);
  const adaptive_search_stats warm = engine.stats();
  CHECK(warm.searches == 1000);
  CHECK(warm.studies >= 340);  // 400, and four standard deviations
  CHECK(warm.studies <= 460);
  CHECK(warm.exact_checks >= 5);
  engine_teach(engine, 4000, 405);
  const adaptive_search_stats later = engine.stats();
  CHECK(later.studies - warm.studies >= 145);
  CHECK(later.studies - warm.studies <= 255);
  CHECK(later.exact_checks >= 5);
  const auto most = static_cast<double>(engine_rows);
  const double checked = later.exact_share * later.total_distances;
  CHECK(checked == doctest::Approx(static_cast<double>(later.exact_checks * engine_rows)));
  CHECK(checked <= std::max(0.01 * later.total_distances, 5 * most) + most);
  CHECK(later.reference_recall > 0.95);
  CHECK(later.reference_recall <= 1);
}

TEST_CASE("which searches are studied does not depend on how hard the queries are") {
  const engine_world& world = engine_world::shared();
  engine_type of_near(world.index, engine_options), of_far(world.index, engine_options);
  const std::vector<float> far(engine_dimension, 20);
  for (std::size_t i = 0; i < 2000; ++i) {
    of_near.search(world.data.view()[i]);
    of_far.search(far);
    REQUIRE(of_near.stats().studies == of_far.stats().studies);
  }
  CHECK(of_near.stats().total_distances != of_far.stats().total_distances);
}

TEST_CASE(
    "a study's answer is at least as good as that of the default width, and hardly more than the widest") {
  const engine_world& world = engine_world::shared();
  adaptive_search_options options = engine_options;
  options.default_ef = 10;
  engine_type engine(world.index, options);
  std::uint64_t studies = 0, checks = 0;
  double total = 0, gained = 0;
  for (std::size_t i = 0; i < 600; ++i) {
    const auto found = engine.search(world.query(i));
    const adaptive_search_stats s = engine.stats();
    const double check_cost = static_cast<double>(s.exact_checks - checks) * static_cast<double>(engine_rows);
    CHECK(s.total_distances - total - check_cost <=
          1.25 * static_cast<double>(engine_distances(world.index, world.query(i), 10, 200)));
    if (s.studies > studies) {
      const auto narrow = world.index.search(world.query(i), {.k = 10, .ef = 10});
      gained += static_cast<double>(narrow.back().distance - found.back().distance);
      CHECK(found.back().distance <= narrow.back().distance + 1e-3f);
    }
    studies = s.studies;
    checks = s.exact_checks;
    total = s.total_distances;
  }
  CHECK(studies > 50);
  CHECK(gained > 0);
}

TEST_CASE("under memory pressure nothing is studied") {
  const engine_world& world = engine_world::shared();
  engine_type engine(world.index, engine_options), always(world.index, [] {
    adaptive_search_options o = engine_options;
    o.quiet_pressure = 0;
    return o;
  }());
  for (const double pressure : {0.85, 0.9, 1.0, 5.0, std::numeric_limits<double>::quiet_NaN()})
    engine_teach(engine, 100, 406, pressure);
  CHECK(engine.stats().studies == 0);
  CHECK(engine.stats().study_share == 0);
  CHECK_FALSE(engine.stats().is_tuned);
  engine_teach(engine, 50, 407, 0.84);
  CHECK(engine.stats().studies > 0);
  engine_teach(always, 300, 408);
  CHECK(always.stats().studies == 0);
}

TEST_CASE("with the target of a recall the same calls give the same answers") {
  const engine_world& world = engine_world::shared();
  adaptive_search_options options = engine_options;
  options.warm_up = 1500;
  engine_type a(world.index, options), b(world.index, options);
  test::random r(409);
  std::size_t differ = 0;
  for (std::size_t i = 0; i < 2500; ++i) {
    const auto q = engine_fresh_query(r, world);
    const double pressure = i % 5 == 0 ? 0.9 : 0.1;
    differ += static_cast<std::size_t>(a.search(q, pressure) != b.search(q, pressure));
  }
  CHECK(differ == 0);
  CHECK(a.stats().is_tuned);
  CHECK(engine_same_stats(a.stats(), b.stats()));
}

TEST_CASE("a latency that leaves time is met by wider searches than one that does not") {
  const engine_world& world = engine_world::shared();
  const auto cost_of = [&](double ns) {
    adaptive_search_options options = engine_options;
    options.target = search_target::latency_at_most_ns(ns);
    options.exact_share = 0;
    engine_type engine(world.index, options);
    engine_teach(engine, 2500, 410);
    CHECK(engine.stats().is_tuned);
    CHECK(engine.stats().ns_per_distance > 0);
    return engine.stats().distances;
  };
  // So little that only the narrowest will do, and so much that any will.
  const double least = cost_of(1e-3), most = cost_of(1e12);
  CHECK(least < most);
  CHECK(most < static_cast<double>(engine_rows));
}

TEST_CASE("options out of range are refused, by both forms") {
  const engine_world& world = engine_world::shared();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  const auto is_refused = [&](const auto& change) {
    adaptive_search_options options = engine_options;
    change(options);
    std::error_code ec;
    const engine_type engine(world.index, options, ec);
    bool thrown = false;
    try {
      const engine_type other(world.index, options);
    } catch (const error& e) {
      thrown = e.code() == errc::invalid_option;
    }
    CHECK(thrown == (ec == errc::invalid_option));
    return ec == errc::invalid_option;
  };
  CHECK_FALSE(is_refused([](auto&) {}));
  using o = adaptive_search_options;
  for (const double bad : {0.0, 1.0, -0.5, 1.5, nan, infinity, -infinity})
    CHECK(is_refused([&](o& x) { x.target = search_target::recall_at_least(bad); }));
  for (const double bad : {0.0, -1.0, nan, infinity, -infinity})
    CHECK(is_refused([&](o& x) { x.target = search_target::latency_at_most_ns(bad); }));
  CHECK(is_refused([](o& x) { x.k = 0; }));
  CHECK(is_refused([](o& x) { x.k = 41; }));  // above default_ef
  CHECK(is_refused([](o& x) { x.k = x.default_ef = 201; }));
  CHECK(is_refused([](o& x) { x.max_ef = 39; }));
  CHECK(is_refused([](o& x) { x.max_ef = 65'536; }));
  CHECK(is_refused([](o& x) { x.max_ef = std::numeric_limits<std::size_t>::max(); }));
  CHECK(is_refused([](o& x) { x.default_ef = 9; }));
  CHECK(is_refused([](o& x) { x.default_ef = 201; }));
  for (const double bad : {-0.01, 1.01, nan, infinity}) {
    CHECK(is_refused([&](o& x) { x.warm_up_share = bad; }));
    CHECK(is_refused([&](o& x) { x.study_share = bad; }));
    CHECK(is_refused([&](o& x) { x.exact_share = bad; }));
  }
  CHECK(is_refused([](o& x) { x.quiet_pressure = nan; }));
  // The ends of the ranges.
  CHECK_FALSE(is_refused([](o& x) { x.k = x.max_ef = x.default_ef = 1; }));
  CHECK_FALSE(is_refused([](o& x) { x.max_ef = 65'535; }));
  CHECK_FALSE(is_refused([](o& x) { x.warm_up_share = x.study_share = x.exact_share = 1; }));
  CHECK_FALSE(is_refused([](o& x) { x.warm_up_share = x.study_share = x.exact_share = 0; }));
  CHECK_FALSE(is_refused([](o& x) { x.warm_up = x.first_exact_checks = 0; }));
  CHECK_FALSE(is_refused([](o& x) { x.target = search_target::latency_at_most_ns(1e-9); }));
}

TEST_CASE("errors are those of the index's search, and change nothing") {
  const engine_world& world = engine_world::shared();
  engine_type engine(world.index, engine_options);
  const auto refuse_all = [&] {
    const adaptive_search_stats before = engine.stats();
    const std::vector<neighbor<float>> untouched(10, {5, 5.0f});
    auto out = untouched;
    std::error_code ec;
    std::vector<float> bad(engine_dimension, 1);
    CHECK(engine.search(std::span<const float>(bad).first(15), out, ec) == 0);
    CHECK(ec == errc::dimension_mismatch);
    CHECK(engine.search(bad, std::span(out).first(9), ec) == 0);
    CHECK(ec == errc::size_mismatch);
    bad[7] = std::numeric_limits<float>::quiet_NaN();
    CHECK(engine.search(bad, out, ec) == 0);
    CHECK(ec == errc::not_finite);
    CHECK(out == untouched);
    CHECK_THROWS_AS(engine.search(bad), error);
    CHECK(engine_same_stats(engine.stats(), before));
  };
  refuse_all();  // the first search
  engine.search(world.query(0));
  refuse_all();  // where a study was due
  engine_teach(engine, 1500, 411);
  REQUIRE(engine.stats().is_tuned);
  refuse_all();
  std::vector<neighbor<float>> out(12, {5, 5.0f});
  std::error_code ec = errc::not_finite;
  CHECK(engine.search(world.query(1), out, ec) == 10);  // more room than it takes
  CHECK_FALSE(ec);
  CHECK(out[10].key == 5);
}

TEST_CASE("an index of nothing, of fewer than k, and one that grows while it is searched") {
  const engine_world& world = engine_world::shared();
  engine_index index(engine_dimension, {.M = 6, .ef_construction = 40});
  flat_index<float> flat(engine_dimension);
  adaptive_search_options options = engine_options;
  options.warm_up = 800;
  engine_type engine(index, options);
  CHECK(engine.search(world.query(0)).empty());
  CHECK(engine.stats().searches == 1);
  const auto add = [&](std::size_t first, std::size_t count) {
    index.add(std::span(world.data.keys).subspan(first, count), world.data.view(first, count));
    flat.add(std::span(world.data.keys).subspan(first, count), world.data.view(first, count));
  };
  for (std::size_t i = 0; i < 10; ++i) {
    add(i, 1);
    CHECK(engine.search(world.query(i)) == flat.search(world.query(i), {.k = 10}));
  }
  CHECK(engine.stats().studies == 0);  // of k there is nothing to study
  std::size_t rows = 10;
  for (const std::size_t to : {11u, 15u, 40u, 150u, 600u, 1500u, 3000u}) {
    add(rows, to - rows);
    rows = to;
    double recall = 0;
    for (std::size_t i = 0; i < 250; ++i) {
      const auto found = engine.search(world.query(i));
      REQUIRE(found.size() == 10);
      REQUIRE(std::is_sorted(found.begin(), found.end()));
      const float kth = flat.search(world.query(i), {.k = 10}).back().distance;
      for (const auto& n : found) recall += n.distance <= kth ? 1.0 / 2500 : 0;
    }
    CHECK(recall > 0.8);
  }
  CHECK(engine.stats().is_tuned);
}

TEST_CASE("an engine for one neighbour, and one whose widths are all the same") {
  const engine_world& world = engine_world::shared();
  for (const std::size_t k : {1u, 2u, 30u}) {
    for (const std::size_t max_ef : {k, k + 1, 100 * k}) {
      adaptive_search_options options = engine_options;
      options.k = k;
      options.default_ef = k;
      options.max_ef = std::min<std::size_t>(max_ef, 200);
      options.warm_up = 600;
      engine_type engine(world.index, options);
      engine_teach(engine, 900, 412);
      CHECK(engine.stats().studies > 100);
      CHECK(engine.search(world.query(0)).size() == k);
      CHECK(engine.stats().recall <= 1);
    }
  }
}

TEST_CASE("distances that are all infinite do no harm") {
  engine_index index(4, {.M = 4, .ef_construction = 10});
  test::random r(413);
  for (std::uint64_t key = 0; key < 200; ++key) {
    std::vector<float> v(4);
    for (float& x : v) x = r.uniform() < 0 ? -3e38f : 3e38f * r.uniform();
    index.add(key, v);
  }
  engine_type engine(index, engine_options);
  for (int i = 0; i < 600; ++i) {
    const std::vector<float> query{3e38f, r.uniform(), -3e38f, 1};
    CHECK(engine.search(query).size() == 10);
  }
  CHECK(engine.stats().studies > 128);
}

TEST_CASE("a search that is refused does not take another's turn") {
  const engine_world& world = engine_world::shared();
  adaptive_search_options options = engine_options;
  options.study_share = options.exact_share = 0;
  engine_type a(world.index, options), b(world.index, options);
  const std::vector<float> bad(engine_dimension, std::numeric_limits<float>::infinity());
  std::vector<neighbor<float>> out(10);
  std::error_code ec;
  engine_teach(a, 1500, 415);
  engine_teach(b, 1500, 415);
  for (std::size_t i = 0; i < 500; ++i) {
    CHECK(b.search(bad, out, ec) == 0);
    REQUIRE(a.search(world.query(i)) == b.search(world.query(i)));
  }
  CHECK(engine_same_stats(a.stats(), b.stats()));
}

TEST_CASE(
    "an engine has all of its memory from its resource, counts it, and allocates nothing after the warm-up") {
  const engine_world& world = engine_world::shared();
  memory_pool pool;
  {
    adaptive_search_options options = engine_options;
    options.memory = &pool;
    options.study_share = 0.2;
    std::vector<neighbor<float>> out(10);
    std::error_code ec;
    test::random r(414);
    std::vector<std::vector<float>> queries;
    for (int i = 0; i < 300; ++i) queries.push_back(engine_fresh_query(r, world));
    engine_type engine(world.index, options);
    test::allocation_counts of_new = test::allocations();
    std::size_t of_pool = 0;
    for (std::size_t i = 0; i < 9000; ++i) {
      engine.search(queries[i % 300], out, ec);
      if (i == 1500) {
        of_new = test::allocations();
        of_pool = pool.stats().allocations;
      }
    }
    CHECK_FALSE(ec);
    CHECK(engine.stats().is_tuned);
    CHECK(test::allocations().calls == of_new.calls);
    CHECK(pool.stats().allocations == of_pool);
    const auto used = static_cast<double>(pool.stats().used_bytes),
               counted = static_cast<double>(engine.memory_bytes() - sizeof(engine));
    CHECK(counted == doctest::Approx(used).epsilon(0.05));
  }
  CHECK(pool.stats().used_bytes == 0);
}
