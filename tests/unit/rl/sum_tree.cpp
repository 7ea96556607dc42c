#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include <alidade/core/portable_math.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/memory_pool.hpp>
#include <alidade/rl/detail/sum_tree.hpp>

#include "../../counting_new.hpp"

using namespace alidade;
using alidade::detail::sum_tree;

namespace {

/// The least positive of the weights, or 0.
double sum_tree_least(const std::vector<double>& weights) {
  double least = 0;
  for (const double w : weights) {
    if (w > 0 && (least == 0 || w < least)) least = w;
  }
  return least;
}

/// Small integers, of which all sums are exact, and a third of them zero.
double sum_tree_integer(splitmix64& random) {
  const std::uint64_t x = detail::uniform_below(random, 15);
  return x < 5 ? 0 : static_cast<double>(x);
}

}  // namespace

TEST_CASE("a sum tree agrees with a list of weights, of whatever capacity") {
  splitmix64 random(1);
  std::vector<std::size_t> capacities(70);
  std::iota(capacities.begin(), capacities.end(), std::size_t{1});
  for (const std::size_t n : {511u, 512u, 513u, 520u, 4096u, 4097u}) capacities.push_back(n);
  for (const std::size_t n : capacities) {
    sum_tree tree(n, nullptr);
    std::vector<double> weights(n);
    CHECK(tree.capacity() == n);
    CHECK(tree.total() == 0);
    CHECK(tree.least_positive() == 0);
    for (std::size_t round = 0; round < 40; ++round) {
      const auto i = static_cast<std::size_t>(detail::uniform_below(random, n));
      weights[i] = sum_tree_integer(random);
      tree.set(i, weights[i]);
      REQUIRE(tree.total() == std::accumulate(weights.begin(), weights.end(), 0.0));
      REQUIRE(tree.least_positive() == sum_tree_least(weights));
      REQUIRE(tree[i] == weights[i]);
    }
    double before = 0;
    bool found = true;
    for (std::size_t i = 0; i < n; ++i) {
      if (weights[i] > 0) {
        for (const double u : {before, before + 0.5, std::nextafter(before + weights[i], 0.0)})
          found = found && tree.find(u) == i;
      }
      before += weights[i];
    }
    CHECK(found);
  }
}

TEST_CASE("the last of a sum tree's weights is found where all before are zero, and the first") {
  for (const std::size_t n : {1u, 7u, 8u, 9u, 64u, 65u, 600u}) {
    for (const std::size_t only : {std::size_t{0}, n / 2, n - 1}) {
      sum_tree tree(n, nullptr);
      tree.set(only, 0.3);
      for (const double u : {0.0, 0.1, 0.29999, 0.3, 0.31, 1e300}) CHECK(tree.find(u) == only);
      CHECK(tree.least_positive() == 0.3);
      tree.set(only, 0);
      CHECK(tree.total() == 0);
      CHECK(tree.least_positive() == 0);
    }
  }
}

TEST_CASE("past the end of a sum tree the last positive weight is found") {
  for (const std::size_t n : {2u, 9u, 64u, 65u, 600u}) {
    sum_tree tree(n, nullptr);
    for (std::size_t i = 0; i + 1 < n; ++i) tree.set(i, 0.1);
    for (const double u : {tree.total(), std::nextafter(tree.total(), 1e300), 2 * tree.total(), 1e300})
      CHECK(tree.find(u) == n - 2);
  }
}

TEST_CASE("a weight of zero is never found, however the sums round") {
  splitmix64 random(2);
  for (int round = 0; round < 200; ++round) {
    const auto n = static_cast<std::size_t>(1 + detail::uniform_below(random, 100));
    sum_tree tree(n, nullptr);
    for (std::size_t i = 0; i < n; ++i) {
      const double exponent = (detail::uniform_unit(random) - 0.5) * 200;
      tree.set(i, detail::uniform_below(random, 3) == 0 ? detail::two_to_the(exponent) : 0);
    }
    if (tree.total() == 0) continue;
    bool positive = true;
    const auto check = [&](double u) { positive = positive && tree[tree.find(u)] > 0; };
    for (int i = 0; i < 50; ++i) check(detail::uniform_unit(random) * tree.total());
    check(0);
    check(tree.total());
    check(std::nextafter(tree.total(), 0.0));
    check(std::nextafter(tree.total(), 1e300));
    CHECK(positive);
  }
}

TEST_CASE("found are the intervals of real sums too, but for rounding") {
  splitmix64 random(3);
  for (const std::size_t n : {5u, 50u, 500u}) {
    sum_tree tree(n, nullptr);
    std::vector<double> ends(n);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double w = detail::uniform_unit(random);
      tree.set(i, w);
      ends[i] = sum += w;
    }
    CHECK(tree.total() == doctest::Approx(sum).epsilon(1e-14));
    for (int round = 0; round < 2000; ++round) {
      const double u = detail::uniform_unit(random) * tree.total();
      const std::size_t i = tree.find(u);
      CHECK((i == 0 || ends[i - 1] <= u + 1e-12 * sum));
      CHECK(ends[i] > u - 1e-12 * sum);
    }
  }
}

TEST_CASE("huge and small weights leave no traces in a sum tree") {
  sum_tree tree(100, nullptr);
  for (std::size_t i = 0; i < 100; ++i) tree.set(i, 1);
  tree.set(50, 1e300);
  CHECK(tree.total() == 1e300);
  CHECK(tree.find(2e299) == 50);
  tree.set(50, std::numeric_limits<double>::denorm_min());
  CHECK(tree.total() == 99);
  CHECK(tree.least_positive() == std::numeric_limits<double>::denorm_min());
  CHECK(tree.find(49.5) == 49);
  CHECK(tree.find(50) == 50);
  CHECK(tree.find(std::nextafter(50.0, 51.0)) == 51);
  tree.set(50, 1);
  CHECK(tree.total() == 100);
  CHECK(tree.least_positive() == 1);
}

TEST_CASE("a sum depends on the weights, not on how they came about") {
  splitmix64 random(4);
  sum_tree once(333, nullptr), often(333, nullptr);
  for (int i = 0; i < 20'000; ++i)
    often.set(static_cast<std::size_t>(detail::uniform_below(random, 333)),
              1e6 * detail::uniform_unit(random));
  std::vector<double> weights(333);
  for (double& w : weights) w = detail::uniform_unit(random);
  for (std::size_t i = 333; i-- > 0;) often.set(i, weights[i]);
  for (std::size_t i = 0; i < 333; ++i) once.set(i, weights[i]);
  CHECK(once.total() == often.total());
  CHECK(once.least_positive() == often.least_positive());
}

TEST_CASE("a sum tree that was cleared is as a new one") {
  sum_tree tree(100, nullptr);
  for (std::size_t i = 0; i < 100; ++i) tree.set(i, 2);
  tree.clear();
  CHECK(tree.total() == 0);
  CHECK(tree.least_positive() == 0);
  for (std::size_t i = 0; i < 100; ++i) CHECK(tree[i] == 0);
  tree.set(77, 3);
  CHECK(tree.total() == 3);
  CHECK(tree.least_positive() == 3);
  CHECK(tree.find(1) == 77);
  sum_tree none;
  none.clear();
  CHECK(none.total() == 0);
  CHECK(none.memory_bytes() == 0);
  CHECK(sum_tree(0, nullptr).memory_bytes() == 0);
}

TEST_CASE("a sum tree takes 10.3 bytes a weight, of its resource, and only once") {
  memory_pool pool;
  {
    const std::size_t before = test::allocations().calls;
    CHECK(sum_tree(&pool).memory_bytes() == 0);
    CHECK(pool.stats().used_bytes == 0);
    sum_tree tree(100'000, &pool);
    CHECK(pool.stats().used_bytes == tree.memory_bytes());
    CHECK(tree.memory_bytes() < 1'030'000);
    const std::size_t allocations = pool.stats().allocations, pooled = test::allocations().calls;
    for (std::size_t i = 0; i < 100'000; i += 7) tree.set(i, 1);
    CHECK(tree.find(1) == 7);
    tree.clear();
    CHECK(pool.stats().allocations == allocations);
    CHECK(test::allocations().calls == pooled);
    CHECK(pooled > before);
    sum_tree moved(std::move(tree));
    moved.set(99'999, 2);
    CHECK(moved.find(1) == 99'999);
    CHECK(pool.stats().used_bytes == moved.memory_bytes());
  }
  CHECK(pool.stats().used_bytes == 0);
}
