#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <alidade/ops/aggregate.hpp>

#include "../../support.hpp"
#include "placed.hpp"

using namespace alidade;

namespace {

constexpr double double_infinity = std::numeric_limits<double>::infinity();

template <class T>
std::vector<T> numbers(std::size_t n, std::uint32_t seed) {
  test::random r(seed);
  std::vector<T> v(n);
  for (T& x : v) {
    if constexpr (std::is_floating_point_v<T>) {
      x = static_cast<T>(r.uniform()) +
          static_cast<T>(0.3);  // no product, which some architectures would fuse
    } else if constexpr (std::is_signed_v<T>) {
      x = static_cast<T>(r.below(200000)) - 120000;
    } else {
      x = static_cast<T>(r.below(200000));
    }
  }
  return v;
}

/// By the definitions, in the widest type.
struct expected {
  long double sum = 0, absolute = 0, mean = 0, squares = 0, distance = 0;

  template <class T>
  expected(const T* p, std::size_t n, std::size_t step = 1) {
    for (std::size_t i = 0; i < n; ++i) {
      sum += static_cast<long double>(p[i * step]);
      absolute += std::abs(static_cast<long double>(p[i * step]));
    }
    if (n == 0) return;
    mean = sum / static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i) {
      const long double d = static_cast<long double>(p[i * step]) - mean;
      squares += d * d;
      distance += std::abs(d);
    }
  }
};

template <class T>
constexpr double sum_unit = std::is_same_v<T, float> ? 0x1p-24 : 0x1p-53;

/// What the oracle itself may be wrong by, where long double is double.
double slack(std::size_t n) {
  return static_cast<double>(n) * static_cast<double>(std::numeric_limits<long double>::epsilon());
}

template <class T>
void check(const ops::aggregates<T>& found, const T* p, std::size_t n, std::size_t step, double roundings) {
  const expected exact(p, n, step);
  REQUIRE(found.count == n);
  T low = p[0], high = p[0];
  for (std::size_t i = 0; i < n; ++i) {
    low = std::min(low, p[i * step]);
    high = std::max(high, p[i * step]);
  }
  CHECK(found.min == low);
  CHECK(found.max == high);
  const auto count = static_cast<double>(n), absolute = static_cast<double>(exact.absolute);
  if constexpr (std::is_floating_point_v<T>) {
    const double bound = (roundings * sum_unit<T> + 0x1p-52 + slack(n)) * absolute;
    CHECK(std::abs(static_cast<double>(static_cast<long double>(found.sum) - exact.sum)) <= bound);
    const double distance = static_cast<double>(exact.distance) / count;
    CHECK(std::abs(static_cast<double>(static_cast<long double>(found.mean) - exact.mean)) <=
          (roundings + 2) * sum_unit<T> * distance + (0x1p-51 + slack(n)) * absolute / count);
  } else {
    CHECK(static_cast<long double>(found.sum) == exact.sum);
    CHECK(std::abs(static_cast<double>(static_cast<long double>(found.mean) - exact.mean)) <=
          0x1p-50 * absolute / count);
  }
  const double squares = static_cast<double>(exact.squares);
  const double relative = std::is_same_v<T, float> ? 30 * 0x1p-24 : 0x1p-40;
  CHECK(std::abs(found.squared_deviations - squares) <= relative * squares);
  CHECK(found.variance() == found.squared_deviations / count);
}

template <class T>
std::uint64_t bits_of(T x) {
  if constexpr (sizeof(T) == 4) {
    return alidade::detail::bit_cast<std::uint32_t>(x);
  } else {
    return alidade::detail::bit_cast<std::uint64_t>(x);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("a run has the aggregates of its definition at every length and misalignment", T, float,
                   double, std::int32_t, std::uint32_t, std::int64_t) {
  for (const std::size_t n : test::lengths()) {
    const std::vector<T> values = numbers<T>(n, 17);
    for (const std::size_t offset : {0u, 1u, 3u}) {
      const test::placed<T> run(values, offset);
      const auto found = ops::aggregate(run.span());
      if (n != 0) check(found, values.data(), n, 1, 22);
      CHECK(ops::sum(run.span()) == found.sum);
      const auto extremes = ops::min_max(run.span());
      CHECK(extremes.min == found.min);
      CHECK(extremes.max == found.max);
      if (n != 0) {
        double magnitude = 0;
        for (const T x : values) magnitude += std::abs(static_cast<double>(x)) / static_cast<double>(n);
        CHECK(std::abs(ops::mean(run.span()) - found.mean) <=
              (std::is_floating_point_v<T> ? 48 * sum_unit<T> : 0x1p-50) * magnitude);
        CHECK(ops::variance(run.span()) == found.variance());
      }
    }
  }
}

TEST_CASE_TEMPLATE("a matrix has the aggregates of its columns at every width", T, float, double,
                   std::int32_t, std::uint32_t, std::int64_t) {
  for (const std::size_t rows : {1u, 15u, 16u, 17u, 255u, 256u, 257u, 600u}) {
    for (std::size_t columns = 1; columns <= 70; columns += columns < 34 ? 1 : 9) {
      for (const std::size_t padding : {0u, 3u}) {
        const std::size_t stride = columns + padding;
        const test::placed<T> data(numbers<T>(rows * stride - padding, 5), padding);
        const matrix_view<T> matrix(data.span().data(), rows, columns, stride);
        std::vector<ops::aggregates<T>> found(columns);
        ops::aggregate_columns(matrix, found);
        // A column of a few rows may have nearly no variance, which no bound relative to it covers.
        for (std::size_t j = 0; j < columns; ++j) check(found[j], matrix.data() + j, rows, stride, 32);
      }
    }
  }
}

TEST_CASE("sums and variances are the same bits as those of one lane") {
  for (const std::size_t n : test::lengths()) {
    const std::vector<float> x = numbers<float>(n, 3);
    const std::vector<double> y = numbers<double>(n, 4);
    CHECK(bits_of(ops::sum(x)) == bits_of(ops::detail::sum_of<float, simd::f32_scalar>(x.data(), n)));
    CHECK(bits_of(ops::sum(y)) == bits_of(ops::detail::sum_of<double, simd::f64_scalar>(y.data(), n)));
    ops::detail::aggregator<float> one;
    one.add_run<simd::f32_scalar>(x.data(), n);
    ops::aggregates<float> expected;
    one.finish(expected);
    CHECK(bits_of(ops::aggregate(x).squared_deviations) == bits_of(expected.squared_deviations));
    CHECK((n == 0 || bits_of(ops::aggregate(x).mean) == bits_of(expected.mean)));
    if (n == 0) continue;
    std::vector<ops::aggregates<float>> narrow(n), wide(n);
    const std::size_t columns = std::min<std::size_t>(n, 37), rows = n / columns;
    ops::detail::aggregate_columns<float, ops::aggregates<float>, simd::f32_scalar>(x.data(), rows, columns,
                                                                                    columns, narrow.data());
    wide.resize(columns);
    ops::aggregate_columns(matrix_view<float>(x.data(), rows, columns), wide);
    for (std::size_t j = 0; j < columns; ++j) {
      CHECK(bits_of(wide[j].sum) == bits_of(narrow[j].sum));
      CHECK(bits_of(wide[j].squared_deviations) == bits_of(narrow[j].squared_deviations));
      CHECK(bits_of(wide[j].mean) == bits_of(narrow[j].mean));
    }
  }
}

TEST_CASE("results are the same bits on every architecture") {
  const std::vector<float> x = numbers<float>(5000, 11);
  const std::vector<double> y = numbers<double>(5000, 12);
  const auto floats = ops::aggregate(x);
  const auto doubles = ops::aggregate(y);
  CHECK(bits_of(floats.sum) == 4654477098512023552u);
  CHECK(bits_of(floats.squared_deviations) == 4654912171062321922u);
  CHECK(bits_of(doubles.sum) == 4654133651489161215u);
  CHECK(bits_of(doubles.squared_deviations) == 4654979329968153623u);
  CHECK(bits_of(floats.mean) == 4599211282341025127u);
  CHECK(bits_of(doubles.mean) == 4598929930404175335u);
}

TEST_CASE_TEMPLATE("nothing has the aggregates of the empty set", T, float, double, std::int32_t,
                   std::uint32_t, std::int64_t) {
  const std::vector<T> none;
  const auto found = ops::aggregate(none);
  CHECK(found.count == 0);
  CHECK(found.sum == 0);
  CHECK(found.min ==
        (std::is_floating_point_v<T> ? static_cast<T>(double_infinity) : std::numeric_limits<T>::max()));
  CHECK(found.max ==
        (std::is_floating_point_v<T> ? static_cast<T>(-double_infinity) : std::numeric_limits<T>::lowest()));
  CHECK(std::isnan(found.mean));
  CHECK(std::isnan(found.variance()));
  CHECK(std::isnan(found.sample_variance()));
  CHECK(std::isnan(ops::mean(none)));
  std::vector<ops::aggregates<T>> columns(3);
  columns[1].count = 7;
  ops::aggregate_columns(matrix_view<T>(nullptr, 0, 3), columns);
  CHECK(columns[1].count == 0);
  CHECK(std::isnan(columns[1].mean));
  ops::aggregate_columns(matrix_view<T>(), {});
}

TEST_CASE_TEMPLATE("one NaN anywhere makes all but the count NaN", T, float, double) {
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  for (const std::size_t n : {1u, 2u, 7u, 16u, 63u, 64u, 65u, 200u, 1024u, 2500u}) {
    const std::size_t step = n < 100 ? 1 : n / 37;
    for (std::size_t at = 0; at < n; at += step) {
      std::vector<T> x = numbers<T>(n, 9);
      x[at] = nan;
      const auto all = ops::aggregate(x);
      CHECK(all.count == n);
      CHECK(std::isnan(all.sum));
      CHECK(std::isnan(all.mean));
      CHECK(std::isnan(all.min));
      CHECK(std::isnan(all.max));
      CHECK(std::isnan(all.variance()));
      CHECK(std::isnan(ops::sum(x)));
      CHECK(std::isnan(ops::min_max(x).min));
      CHECK(std::isnan(ops::min_max(x).max));
    }
  }
  const std::size_t rows = 300, columns = 21;
  std::vector<T> x = numbers<T>(rows * columns, 9);
  x[299 * columns + 20] = nan;
  std::vector<ops::aggregates<T>> found(columns);
  ops::aggregate_columns(matrix_view<T>(x.data(), rows, columns), found);
  for (std::size_t j = 0; j < columns; ++j) {
    CHECK(std::isnan(found[j].sum) == (j == 20));
    CHECK(std::isnan(found[j].min) == (j == 20));
    CHECK(std::isnan(found[j].variance()) == (j == 20));
  }
}

TEST_CASE_TEMPLATE("infinities are extremes", T, float, double) {
  std::vector<T> x = numbers<T>(1500, 2);
  x[700] = static_cast<T>(double_infinity);
  CHECK(ops::sum(x) == double_infinity);
  CHECK(ops::aggregate(x).mean == double_infinity);
  CHECK(ops::min_max(x).max == static_cast<T>(double_infinity));
  CHECK(ops::min_max(x).min == *std::min_element(x.begin(), x.end()));
  CHECK(std::isnan(ops::variance(x)));
  x[1400] = static_cast<T>(-double_infinity);
  CHECK(std::isnan(ops::sum(x)));
  const auto all = ops::aggregate(x);
  CHECK(all.min == static_cast<T>(-double_infinity));
  CHECK(all.max == static_cast<T>(double_infinity));
  CHECK(std::isnan(all.mean));
  CHECK(ops::min_max(x).min == static_cast<T>(-double_infinity));
}

TEST_CASE("floats of any size neither overflow nor underflow") {
  constexpr float most = std::numeric_limits<float>::max();
  const std::vector<float> large(3000, most);
  CHECK(ops::sum(large) == 3000.0 * static_cast<double>(most));
  CHECK(ops::aggregate(large).mean == static_cast<double>(most));
  CHECK(ops::aggregate(large).variance() == 0.0);
  std::vector<float> spread(2000);
  for (std::size_t i = 0; i < spread.size(); ++i) spread[i] = i % 2 == 0 ? most : -most;
  const double square = static_cast<double>(most) * static_cast<double>(most);
  CHECK(ops::variance(spread) == doctest::Approx(square).epsilon(1e-9));
  for (std::size_t i = 0; i < spread.size(); ++i) spread[i] = i % 2 == 0 ? 0x1p-100f : -0x1p-100f;
  CHECK(ops::variance(spread) == 0x1p-200);
  std::vector<ops::aggregates<float>> columns(2);
  ops::aggregate_columns(matrix_view<float>(large.data(), 1500, 2), columns);
  CHECK(columns[1].sum == 1500.0 * static_cast<double>(most));
}

TEST_CASE("the variance of close values far from zero keeps its digits") {
  std::vector<float> x(10000);
  std::vector<double> y(x.size());
  std::vector<std::int64_t> z(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int step = static_cast<int>(i * 7 % 5) - 2;  // -2 .. 2: variance 2
    x[i] = 8388608.0f + static_cast<float>(step);
    y[i] = 1e15 + step;
    z[i] = 4'000'000'000'000'000'000 + step;
  }
  CHECK(ops::variance(x) == doctest::Approx(2.0).epsilon(1e-6));
  CHECK(ops::variance(y) == doctest::Approx(2.0).epsilon(1e-12));
  CHECK(ops::variance(z) == doctest::Approx(2.0).epsilon(1e-12));
  std::vector<ops::aggregates<std::int64_t>> columns(1);
  ops::aggregate_columns(matrix_view<std::int64_t>(z.data(), z.size(), 1), columns);
  CHECK(columns[0].variance() == doctest::Approx(2.0).epsilon(1e-12));
}

TEST_CASE("a small value among large ones is not lost") {
  std::vector<double> x(4096, 0.0);
  x[0] = 1e100;
  x[1500] = 1.0;
  x[3000] = -1e100;
  CHECK(ops::sum(x) == 1.0);
}

TEST_CASE("sums of integers are exact at their largest") {
  const std::vector<std::int32_t> low(70001, std::numeric_limits<std::int32_t>::min());
  const std::vector<std::int32_t> high(70001, std::numeric_limits<std::int32_t>::max());
  const std::vector<std::uint32_t> full(70001, std::numeric_limits<std::uint32_t>::max());
  CHECK(ops::sum(low) == std::int64_t{-2147483648} * 70001);
  CHECK(ops::sum(high) == std::int64_t{2147483647} * 70001);
  CHECK(ops::sum(full) == std::uint64_t{4294967295} * 70001);

  // The largest int64 is the sum of these; one more wraps, and the mean does not care.
  std::vector<std::int64_t> x{std::int64_t{1} << 62, (std::int64_t{1} << 62) - 1};
  CHECK(ops::sum(x) == std::numeric_limits<std::int64_t>::max());
  CHECK(ops::mean(x) == 0x1p62);
  x.push_back(1);
  CHECK(ops::sum(x) == std::numeric_limits<std::int64_t>::min());
  CHECK(ops::mean(x) == doctest::Approx(0x1p63 / 3));
  CHECK(ops::aggregate(x).mean == doctest::Approx(0x1p63 / 3));
  const std::vector<std::int64_t> ends{std::numeric_limits<std::int64_t>::min(),
                                       std::numeric_limits<std::int64_t>::max()};
  CHECK(ops::variance(ends) == doctest::Approx(0x1p126));
  CHECK(ops::mean(std::vector<std::int64_t>(1000, -1)) == -1.0);
}

TEST_CASE_TEMPLATE("squares of integers are right where they no longer fit 64 bits", T, std::int32_t,
                   std::uint32_t, std::int64_t) {
  for (const unsigned bits : {26u, 27u, 28u, 31u}) {
    test::random r(bits);
    std::vector<T> x(2 * 1024 + 5);
    const std::uint32_t range = std::uint32_t{1} << bits;
    for (T& v : x) v = static_cast<T>(r.below(2) != 0 ? range - 1 : 0);
    x[0] = static_cast<T>(range - 1);
    check(ops::aggregate(x), x.data(), x.size(), 1, 0);
    std::vector<ops::aggregates<T>> columns(5);
    const std::size_t rows = x.size() / 5;
    ops::aggregate_columns(matrix_view<T>(x.data(), rows, 5), columns);
    for (std::size_t j = 0; j < 5; ++j) check(columns[j], x.data() + j, rows, 5, 0);
  }
}

TEST_CASE_TEMPLATE("aggregates of parts combine to those of the whole", T, float, double, std::int32_t,
                   std::uint32_t, std::int64_t) {
  const std::vector<T> x = numbers<T>(3000, 6);
  const std::span<const T> all(x);
  ops::aggregates<T> joined;
  for (const std::size_t first : {0u, 1u, 700u, 2999u}) {
    const std::size_t next = first == 0 ? 1 : first == 1 ? 700 : first == 700 ? 2999 : 3000;
    joined = ops::combine(joined, ops::aggregate(all.subspan(first, next - first)));
  }
  const auto whole = ops::aggregate(x);
  CHECK(joined.count == whole.count);
  CHECK(static_cast<double>(joined.sum) == doctest::Approx(static_cast<double>(whole.sum)).epsilon(1e-6));
  CHECK(joined.min == whole.min);
  CHECK(joined.max == whole.max);
  CHECK(joined.mean == doctest::Approx(whole.mean).epsilon(1e-6));
  CHECK(joined.variance() == doctest::Approx(whole.variance()).epsilon(1e-6));
  if constexpr (std::is_floating_point_v<T>) {
    const std::vector<T> broken{std::numeric_limits<T>::quiet_NaN()};
    for (const auto& both :
         {ops::combine(whole, ops::aggregate(broken)), ops::combine(ops::aggregate(broken), whole)}) {
      CHECK(std::isnan(both.min));
      CHECK(std::isnan(both.max));
      CHECK(std::isnan(both.sum));
    }
  }
}

TEST_CASE("floats far from zero combine within the bound of their variance") {
  std::vector<float> x(5000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 2 == 0 ? 16777215.0f : 16777214.0f;
  const std::span<const float> all(x);
  CHECK(ops::aggregate(x).mean == 16777214.5);
  CHECK(ops::variance(x) == doctest::Approx(0.25).epsilon(1e-6));
  for (const std::size_t part : {2u, 100u, 1000u, 1023u, 2500u, 4998u}) {
    ops::aggregates<float> joined;
    for (std::size_t i = 0; i < x.size(); i += part) {
      joined = ops::combine(joined, ops::aggregate(all.subspan(i, std::min(part, x.size() - i))));
    }
    const expected exact(x.data(), x.size());
    CHECK(std::abs(joined.squared_deviations - static_cast<double>(exact.squares)) <=
          40 * 0x1p-24 * static_cast<double>(exact.squares));
  }
  std::vector<ops::aggregates<float>> top(5), bottom(5);
  ops::aggregate_columns(matrix_view<float>(x.data(), 333, 5), top);
  ops::aggregate_columns(matrix_view<float>(x.data() + 333 * 5, 667, 5), bottom);
  for (std::size_t j = 0; j < 5; ++j) {
    CHECK(ops::combine(top[j], bottom[j]).variance() == doctest::Approx(0.25).epsilon(56 * 0x1p-24));
  }
}

TEST_CASE_TEMPLATE("what combining adds to the error of a variance is bounded", T, float, double,
                   std::int64_t) {
  const auto base = static_cast<T>(sizeof(T) == 4 ? 8e6 : 1.7e18);
  for (const int spread : {3, 5000, 1000000}) {
    test::random r(static_cast<std::uint32_t>(spread));
    std::vector<T> x(4000);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = base + static_cast<T>(r.below(static_cast<std::uint32_t>(spread))) + static_cast<T>(i / 8);
    }
    const std::span<const T> all(x);
    std::vector<double> offsets;  // exact, and small enough for an oracle of any precision
    for (const T value : x) offsets.push_back(static_cast<double>(value - base));
    const expected exact(offsets.data(), offsets.size());
    const double variance = static_cast<double>(exact.squares) / static_cast<double>(x.size());
    const double most = static_cast<double>(ops::min_max(x).max);
    for (const std::size_t part : {7u, 500u, 2000u, 3999u}) {
      ops::aggregates<T> joined;
      double calls = 0;
      for (std::size_t i = 0; i < x.size(); i += part) {
        joined = ops::combine(joined, ops::aggregate(all.subspan(i, std::min(part, x.size() - i))));
        calls += i == 0 ? 0 : 1;
      }
      const double e = calls * 0x1p-50 * most;
      const double relative = std::is_same_v<T, float> ? 40 * 0x1p-24 : 0x1p-40;
      // Doubles are rounded already, so that deviations from their exact mean are known to the last bit or so.
      CHECK(std::abs(joined.variance() - variance) <=
            relative * variance + 2 * e * std::sqrt(variance) + e * e + slack(x.size()) * variance);
    }
    if (std::is_same_v<T, std::int64_t> && spread > 5000) {
      CHECK(ops::variance(x) == doctest::Approx(variance).epsilon(1e-9));
    }
  }
}

TEST_CASE("the mean of an aggregate keeps digits among values of any size") {
  std::vector<double> x(1 << 20, 1.0);
  x[0] = 1e10;
  const double exact = (1e10 + static_cast<double>(x.size() - 1)) / static_cast<double>(x.size());
  CHECK(ops::aggregate(x).mean == doctest::Approx(exact).epsilon(1e-14));
  x.assign(3000, 1e308);  // sums overflow
  CHECK(ops::aggregate(x).mean == double_infinity);
}

TEST_CASE_TEMPLATE("a NaN in any block, next to infinities of both signs, is seen by min_max", T, float,
                   double) {
  for (const std::size_t at : {0u, 5u, 1023u, 1024u, 2047u, 2048u, 2999u}) {
    std::vector<T> x(3000, T(1));
    x[100] = static_cast<T>(double_infinity);
    x[200] = static_cast<T>(-double_infinity);
    CHECK(ops::min_max(x).min == static_cast<T>(-double_infinity));
    x[at] = std::numeric_limits<T>::quiet_NaN();
    CHECK(std::isnan(ops::min_max(x).min));
    CHECK(std::isnan(ops::min_max(x).max));
  }
}
