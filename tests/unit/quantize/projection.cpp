#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <alidade/quantize/projection.hpp>

#include "../../support.hpp"
#include "quantize_support.hpp"

namespace {

using projection_rows = std::vector<float>;

/// Rows whose deviation along the i-th of `dimension` orthogonal directions is deviation(i). The directions are the axes, reflected at
/// a hyperplane, so that none is near to an axis.
struct projection_planted {
  std::size_t dimension;
  std::vector<double> normal;

  projection_planted(std::size_t dimension_, std::uint32_t seed) : dimension(dimension_), normal(dimension_) {
    test::random r(seed);
    double squares = 0;
    for (double& x : normal) {
      x = static_cast<double>(r.normal());
      squares += x * x;
    }
    for (double& x : normal) x /= std::sqrt(squares);
  }

  void reflect(std::vector<double>& x) const {
    double product = 0;
    for (std::size_t i = 0; i < dimension; ++i) product += x[i] * normal[i];
    for (std::size_t i = 0; i < dimension; ++i) x[i] -= 2 * product * normal[i];
  }

  template <class Deviation>
  projection_rows rows(std::size_t count, std::uint32_t seed, const Deviation& deviation) const {
    test::random r(seed);
    projection_rows out;
    std::vector<double> x(dimension);
    for (std::size_t row = 0; row < count; ++row) {
      for (std::size_t i = 0; i < dimension; ++i) x[i] = deviation(i) * static_cast<double>(r.normal());
      reflect(x);
      for (const double v : x) out.push_back(static_cast<float>(v));
    }
    return out;
  }
};

/// The rows are left centred.
void projection_learn(alidade::detail::projection& p, std::span<float> rows, std::size_t dimension,
                      std::size_t components, std::uint64_t seed = 42, std::size_t threads = 1) {
  const std::size_t count = p.learn_mean(rows, dimension);
  p.learn_subspace(rows.first(count * dimension), components, seed, threads);
}

alidade::detail::projection projection_of(projection_rows rows, std::size_t dimension, std::size_t components,
                                          std::uint64_t seed = 42, std::size_t threads = 1) {
  alidade::detail::projection p;
  projection_learn(p, rows, dimension, components, seed, threads);
  return p;
}

std::vector<float> projection_applied(const alidade::detail::projection& p, std::span<const float> x) {
  std::vector<float> centred(x.begin(), x.end()), y(p.components(), 4711.0f);
  p.centre(centred);
  p.apply(centred, y);
  return y;
}

/// P itself, row-major: what axes `size` away from the mean become.
std::vector<double> projection_matrix(const alidade::detail::projection& p, double size = 1) {
  const std::size_t d = p.dimension(), n = p.components();
  std::vector<double> matrix(n * d);
  const std::vector<float> zero = projection_applied(p, p.mean());
  for (std::size_t i = 0; i < d; ++i) {
    std::vector<float> x(p.mean().begin(), p.mean().end());
    x[i] += static_cast<float>(size);
    const double moved = static_cast<double>(x[i]) - static_cast<double>(p.mean()[i]);
    const std::vector<float> y = projection_applied(p, x);
    for (std::size_t j = 0; j < n; ++j)
      matrix[j * d + i] = (static_cast<double>(y[j]) - static_cast<double>(zero[j])) / moved;
  }
  return matrix;
}

/// How far P P^T is from the identity. NaN is infinity.
double projection_defect(const alidade::detail::projection& p, double size = 1) {
  const std::vector<double> matrix = projection_matrix(p, size);
  const std::size_t d = p.dimension(), n = p.components();
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double product = i == j ? -1 : 0;
      for (std::size_t k = 0; k < d; ++k) product += matrix[i * d + k] * matrix[j * d + k];
      if (!(std::abs(product) <= worst)) worst = std::abs(product);
    }
  }
  return std::isnan(worst) ? std::numeric_limits<double>::infinity() : worst;
}

double projection_squares(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

/// Which share of the squared lengths of centred rows the projection keeps.
double projection_share(const alidade::detail::projection& p, const projection_rows& rows) {
  const std::size_t d = p.dimension();
  double kept = 0, all = 0;
  std::vector<float> x(d);
  for (std::size_t r = 0; r < rows.size() / d; ++r) {
    for (std::size_t i = 0; i < d; ++i) x[i] = rows[r * d + i] - p.mean()[i];
    all += projection_squares(x);
    kept += projection_squares(projection_applied(p, std::span(rows).subspan(r * d, d)));
  }
  return kept / all;
}

}  // namespace

TEST_CASE("a projection's rows are orthonormal, for any shape") {
  struct shape {
    std::size_t rows, dimension, components;
  };
  for (const shape& of :
       {shape{1, 1, 1}, shape{1, 1, 112}, shape{2, 1, 5}, shape{40, 2, 1}, shape{40, 3, 3}, shape{40, 7, 100},
        shape{100, 16, 15}, shape{100, 64, 64}, shape{100, 65, 64}, shape{100, 100, 112},
        shape{150, 113, 112}, shape{60, 200, 40}, shape{30, 131, 130}, shape{65, 97, 1}, shape{5, 64, 63}}) {
    const std::size_t count = of.rows, d = of.dimension, components = of.components;
    CAPTURE(count);
    CAPTURE(d);
    CAPTURE(components);
    const alidade::detail::projection p = projection_of(test::normal_rows(count, d, 1), d, components);
    CHECK(p.dimension() == d);
    CHECK(p.components() == std::min(d, components));
    CHECK(p.mean().size() == d);
    CHECK(projection_defect(p) < 2e-5);
  }
}

TEST_CASE("a projection of rows that depend on each other is one all the same") {
  constexpr std::size_t d = 70, components = 30;
  const auto check = [](const char* what, const projection_rows& rows, double size, std::size_t n) {
    CAPTURE(what);
    CAPTURE(n);
    const alidade::detail::projection p = projection_of(rows, d, n);
    CHECK(projection_defect(p, size) < 1e-4);
    for (std::size_t r = 0; r < std::min<std::size_t>(rows.size() / d, 5); ++r) {
      for (const float y : projection_applied(p, std::span(rows).subspan(r * d, d))) CHECK(std::isfinite(y));
    }
  };
  for (const std::size_t n : {components, d - 1, d}) {
    check("zero", projection_rows(d * 20), 1, n);
    check("equal", projection_rows(d * 20, 0.1f), 1, n);
    check("one", test::normal_rows(1, d, 2), 1, n);
    check("two", test::normal_rows(2, d, 3), 1, n);
    check("few", test::normal_rows(10, d, 4), 1, n);
    projection_rows rows;
    for (int copy = 0; copy < 10; ++copy) {
      const projection_rows some = test::normal_rows(3, d, 5);
      rows.insert(rows.end(), some.begin(), some.end());
    }
    check("copies", rows, 1, n);
    rows = projection_rows(d * 40);
    for (std::size_t r = 0; r < 40; ++r) rows[r * d + r % 4] = r % 2 == 0 ? 1.0f : -1.0f;
    check("along axes", rows, 1, n);
    rows = test::normal_rows(40, d, 6);
    for (std::size_t r = 0; r < 40; ++r) rows[r * d + 17] *= 1e6f;
    check("one axis for all", rows, 1e6, n);
    rows = test::normal_rows(40, d, 7);
    for (std::size_t i = 0; i < d; ++i) rows[i] *= 1e5f;
    check("an outlier", rows, 1e5, n);
    for (std::size_t i = 0; i < d; ++i) rows[i] = std::ldexp(1.0f, -static_cast<int>(i));
    for (std::size_t r = 1; r < 40; ++r) {
      for (std::size_t i = 0; i < d; ++i) rows[r * d + i] = (r % 2 == 0 ? 1.0f : -1.0f) * rows[i];
    }
    check("of all sizes, but one direction", rows, 1, n);
  }
}

TEST_CASE("a projection of very large and very small numbers is one") {
  constexpr std::size_t d = 40, count = 60;
  for (const int exponent : {-120, -100, -70, -50, -30, 30, 50, 60, 62}) {
    CAPTURE(exponent);
    projection_rows rows = test::normal_rows(count, d, 8);
    for (float& x : rows) x = std::ldexp(x, exponent);
    for (const std::size_t components : {std::size_t{10}, d}) {
      const alidade::detail::projection p = projection_of(rows, d, components);
      CHECK(projection_defect(p, std::ldexp(1.0, std::max(exponent, -90))) < 1e-4);
      for (const float y : projection_applied(p, std::span<const float>(rows).first(d)))
        CHECK(std::isfinite(y));
    }
    const projection_planted planted(d, 25);
    rows = planted.rows(count, 26, [](std::size_t i) { return i < 8 ? 1.0 : 0.01; });
    for (float& x : rows) x = std::ldexp(x, exponent);
    // Where subnormal numbers are taken for zero, so are products of 2^-120.
    if (exponent == -120 && test::flushes_subnormals()) continue;
    CHECK(projection_share(projection_of(rows, d, 10), rows) > 0.998);
  }
}

TEST_CASE("a projection keeps the subspace in which rows differ") {
  constexpr std::size_t d = 200, rank = 20, components = 40;
  const projection_planted planted(d, 9);
  const auto low_rank = [](std::size_t i) { return i < rank ? 1.0 : 0.01; };
  const alidade::detail::projection p = projection_of(planted.rows(300, 10, low_rank), d, components);
  CHECK(projection_defect(p) < 2e-5);
  const projection_rows others = planted.rows(100, 11, low_rank);  // which it has not seen
  CHECK(projection_share(p, others) > 0.998);
  // The planted directions themselves lie in it.
  const std::vector<double> matrix = projection_matrix(p);
  for (std::size_t i = 0; i < rank; ++i) {
    std::vector<double> direction(d);
    direction[i] = 1;
    planted.reflect(direction);
    double kept = 0;
    for (std::size_t j = 0; j < components; ++j) {
      double product = 0;
      for (std::size_t k = 0; k < d; ++k) product += matrix[j * d + k] * direction[k];
      kept += product * product;
    }
    CHECK(kept > 0.999);
  }
  // Fewer components than it needs keep their share.
  const double half_share =
      projection_share(projection_of(planted.rows(300, 10, low_rank), d, rank / 2), others);
  CHECK(half_share > 0.4);
  CHECK(half_share < 0.65);
}

TEST_CASE("a projection keeps nearly as much as any can where deviations fall off slowly") {
  constexpr std::size_t d = 120;
  const projection_planted planted(d, 12);
  const auto deviation = [](std::size_t i) { return std::pow(static_cast<double>(i) + 1, -0.7); };
  const projection_rows rows = planted.rows(400, 13, deviation);
  for (const std::size_t components : {5u, 30u, 90u}) {
    double best = 0, all = 0;
    for (std::size_t i = 0; i < d; ++i) {
      all += deviation(i) * deviation(i);
      if (i < components) best += deviation(i) * deviation(i);
    }
    CAPTURE(components);
    const double share = projection_share(projection_of(rows, d, components), rows);
    CHECK(share > 0.98 * best / all);
    CHECK(share < 1.00001);
  }
}

TEST_CASE("what is far from where rows differ is not what a projection keeps, however large the mean") {
  constexpr std::size_t d = 60, components = 8;
  const projection_planted planted(d, 14);
  projection_rows rows = planted.rows(200, 15, [](std::size_t i) { return i < components ? 1.0 : 0.001; });
  std::vector<double> away(d);  // along a direction in which rows hardly differ
  away[40] = 1000;
  planted.reflect(away);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] += static_cast<float>(away[i % d]);
  const alidade::detail::projection p = projection_of(rows, d, components);
  CHECK(projection_share(p, rows) > 0.999);
  for (std::size_t i = 0; i < d; ++i)
    CHECK(static_cast<double>(p.mean()[i]) == doctest::Approx(away[i]).epsilon(0.01).scale(20));
}

TEST_CASE("lengths and distances are kept where a projection has as many components as dimensions") {
  for (const std::size_t d : {1u, 2u, 17u, 64u, 100u}) {
    CAPTURE(d);
    const projection_rows rows = test::normal_rows(20, d, 16, 0.5f);
    const alidade::detail::projection p = projection_of(rows, d, 112);
    for (std::size_t r = 0; r + 1 < 20; ++r) {
      const std::span<const float> a = std::span(rows).subspan(r * d, d),
                                   b = std::span(rows).subspan(r * d + d, d);
      const std::vector<float> y = projection_applied(p, a), z = projection_applied(p, b);
      double exact = 0, found = 0, from_mean = 0;
      for (std::size_t i = 0; i < d; ++i) {
        exact += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
        found += std::pow(static_cast<double>(y[i]) - static_cast<double>(z[i]), 2);
        from_mean += std::pow(static_cast<double>(a[i]) - static_cast<double>(p.mean()[i]), 2);
      }
      CHECK(found == doctest::Approx(exact).epsilon(1e-4).scale(1));
      CHECK(projection_squares(y) == doctest::Approx(from_mean).epsilon(1e-4).scale(1));
    }
  }
}

TEST_CASE("a projection's components are alike, even where one direction is most of it") {
  constexpr std::size_t d = 64, count = 100;
  for (const std::size_t components : {std::size_t{32}, d}) {
    projection_rows rows = test::normal_rows(count, d, 17);
    for (std::size_t r = 0; r < count; ++r) rows[r * d + 3] *= 100.0f;
    const alidade::detail::projection p = projection_of(rows, d, components);
    std::vector<double> squares(components);
    double all = 0;
    for (std::size_t r = 0; r < count; ++r) {
      const std::vector<float> y = projection_applied(p, std::span<const float>(rows).subspan(r * d, d));
      for (std::size_t i = 0; i < components; ++i)
        squares[i] += static_cast<double>(y[i]) * static_cast<double>(y[i]);
      all += projection_squares(y);
    }
    CHECK(*std::max_element(squares.begin(), squares.end()) < 0.4 * all);
  }
}

TEST_CASE("a projection is the same for any number of threads, and another for another seed") {
  struct shape {
    std::size_t rows, dimension, components;
  };
  for (const shape& of : {shape{150, 140, 130}, shape{90, 66, 65}, shape{50, 40, 100}}) {
    const std::size_t count = of.rows, d = of.dimension, components = of.components;
    CAPTURE(components);
    const projection_rows rows = test::normal_rows(count, d, 18, 0.25f);
    const alidade::detail::projection one = projection_of(rows, d, components, 7, 1);
    const projection_rows probes = test::normal_rows(3, d, 19);
    std::vector<float> expected(3 * one.components());
    one.apply_to_rows(probes, expected);
    for (const std::size_t threads : {1u, 2u, 3u, 8u}) {
      CAPTURE(threads);
      const alidade::detail::projection other = projection_of(rows, d, components, 7, threads);
      std::vector<float> found(expected.size());
      other.apply_to_rows(probes, found);
      CHECK(found == expected);
      CHECK(std::equal(one.mean().begin(), one.mean().end(), other.mean().begin(), other.mean().end()));
    }
    std::vector<float> found(expected.size());
    projection_of(rows, d, components, 8, 1).apply_to_rows(probes, found);
    CHECK(found != expected);
  }
}

TEST_CASE("a projection that learns anew has forgotten what it knew") {
  const projection_rows rows = test::normal_rows(80, 50, 20, -2.0f);
  const alidade::detail::projection fresh = projection_of(rows, 50, 12);
  for (const std::size_t before : {10u, 50u, 90u}) {
    alidade::detail::projection p = projection_of(test::normal_rows(30, before, 21, 5.0f), before, 40, 3);
    projection_rows copy = rows;
    projection_learn(p, copy, 50, 12);
    CHECK(p.dimension() == 50);
    CHECK(p.components() == 12);
    for (std::size_t r = 0; r < 80; ++r) {
      const std::span<const float> x = std::span(rows).subspan(r * 50, 50);
      CHECK(projection_applied(p, x) == projection_applied(fresh, x));
    }
  }
}

TEST_CASE("a projection subtracts the mean, and leaves the rows it learnt from centred") {
  constexpr std::size_t d = 90, count = 70;
  for (const float mean : {0.0f, 1.0f, -300.0f}) {
    CAPTURE(mean);
    const projection_rows rows = test::normal_rows(count, d, 22, mean);
    for (const std::size_t components : {24u, 112u}) {
      projection_rows centred = rows;
      alidade::detail::projection p;
      CHECK(p.dimension() == 0);
      CHECK(p.components() == 0);
      projection_learn(p, centred, d, components);
      for (std::size_t i = 0; i < d; ++i) {
        double sum = 0;
        for (std::size_t r = 0; r < count; ++r) {
          sum += static_cast<double>(rows[r * d + i]);
          CHECK(centred[r * d + i] == rows[r * d + i] - p.mean()[i]);
        }
        CHECK(static_cast<double>(p.mean()[i]) ==
              doctest::Approx(sum / static_cast<double>(count)).epsilon(1e-6));
      }
      const double tolerance = 1e-4 * (1 + std::abs(static_cast<double>(mean)));
      for (const float y : projection_applied(p, p.mean()))
        CHECK(std::abs(static_cast<double>(y)) < tolerance);
      // The mean of what rows become is zero.
      std::vector<double> sums(p.components());
      for (std::size_t r = 0; r < count; ++r) {
        const std::vector<float> y = projection_applied(p, std::span(rows).subspan(r * d, d));
        for (std::size_t i = 0; i < y.size(); ++i) sums[i] += static_cast<double>(y[i]);
      }
      for (const double sum : sums) CHECK(std::abs(sum / static_cast<double>(count)) < tolerance);
    }
  }
}

TEST_CASE("rows are projected as each of them alone is") {
  for (const std::size_t d : {1u, 5u, 100u, 130u}) {
    const projection_rows rows = test::normal_rows(70, d, 23, 2.0f);
    const alidade::detail::projection p = projection_of(rows, d, 60);
    const std::size_t n = p.components();
    for (const std::size_t count : {0u, 1u, 2u, 13u, 70u}) {
      CAPTURE(d);
      CAPTURE(count);
      std::vector<float> out(count * n, 4711.0f);
      projection_rows centred(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count * d));
      for (std::size_t r = 0; r < count; ++r) p.centre(std::span(centred).subspan(r * d, d));
      p.apply_to_rows(centred, out);
      double worst = 0;
      for (std::size_t r = 0; r < count; ++r) {
        const std::vector<float> y = projection_applied(p, std::span(rows).subspan(r * d, d));
        for (std::size_t i = 0; i < n; ++i)
          worst = std::max(worst, std::abs(static_cast<double>(out[r * n + i]) - static_cast<double>(y[i])));
      }
      CHECK(worst < 5e-5);
    }
  }
}

TEST_CASE("a projection knows its memory") {
  alidade::detail::projection nothing;
  CHECK(nothing.memory_bytes() == 0);
  const alidade::detail::projection p = projection_of(test::normal_rows(30, 50, 24), 50, 20);
  CHECK(p.memory_bytes() >= (50 * 20 + 50) * sizeof(float));
  CHECK(p.memory_bytes() < 4 * (50 * 20 + 50 + 20) * sizeof(float));
}
