#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <alidade/quantize/component_range.hpp>

#include "../../support.hpp"

namespace {

using alidade::detail::component_range;

}  // namespace

TEST_CASE("what components reach from has the medians, and the largest of the quantiles, by nearest rank") {
  const std::size_t d = 37;
  for (const std::size_t count : {1u, 2u, 3u, 100u, 201u}) {
    test::random r(2);
    std::vector<float> rows(count * d);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = (i % d == 5 ? 3.0f : 1.0f) * r.normal() + 2;
    for (const double quantile : {0.51, 0.9, 0.995, 1.0}) {
      for (const bool centred : {true, false}) {
        component_range c(nullptr), threaded(nullptr);
        c.learn(rows, d, quantile, centred, 1);
        threaded.learn(rows, d, quantile, centred, 3);
        float range = 0;
        for (std::size_t i = 0; i < d; ++i) {
          std::vector<float> column;
          for (std::size_t row = 0; row < count; ++row) column.push_back(rows[row * d + i]);
          std::sort(column.begin(), column.end());
          const float centre = centred ? column[count / 2] : 0;
          CHECK(c.centre()[i] == centre);
          for (float& x : column) x = std::abs(x - centre);
          std::sort(column.begin(), column.end());
          const auto rank = static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(count)));
          range = std::max(range, column[rank - 1]);
        }
        CHECK(c.range() == range);
        CHECK(threaded.range() == range);
        CHECK(std::equal(c.centre().begin(), c.centre().end(), threaded.centre().begin()));
      }
    }
  }
}

TEST_CASE("some rows far out, NaN and infinity move no range far") {
  const std::size_t d = 10, count = 1000;
  test::random r(3);
  std::vector<float> rows(count * d);
  for (float& x : rows) x = r.normal();
  component_range before(nullptr);
  before.learn(rows, d, 0.99, true, 1);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const float far : {1e6f, 1e30f, 3e38f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> with = rows;
    std::fill_n(with.begin() + 77 * d, d * 5, far);
    std::fill_n(with.begin() + 277 * d, d, -far);
    component_range c(nullptr);
    c.learn(with, d, 0.99, true, 1);
    CHECK(c.range() < before.range() * 1.5f);
    for (std::size_t i = 0; i < d; ++i) CHECK(std::abs(c.centre()[i] - before.centre()[i]) < 0.1f);
    // Such ones only, of either sign: no number comes out that is none.
    c.learn(std::vector<float>(3 * d, far), d, 1, true, 1);
    CHECK(std::isfinite(c.range()));
    std::vector<float> both(4 * d, far);
    std::fill_n(both.begin(), 2 * d, -far);
    c.learn(both, d, 1, true, 1);
    CHECK(std::isfinite(c.range()));
    CHECK(std::isfinite(c.centre()[0]));
  }
}

TEST_CASE("quantiles are above a half and at most one") {
  for (const double q : {0.500001, 0.9, 1.0}) CHECK(alidade::detail::valid_quantile(q));
  for (const double q : {0.5, 0.0, -1.0, 1.0000001, std::numeric_limits<double>::quiet_NaN(),
                         std::numeric_limits<double>::infinity()})
    CHECK_FALSE(alidade::detail::valid_quantile(q));
}
