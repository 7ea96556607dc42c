#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <alidade/ops/quantize_int8.hpp>

#include "../../support.hpp"
#include "placed.hpp"

using namespace alidade;

namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

/// The documented formula.
int code_of(float x, const ops::int8_parameters& p) {
  const float product = x * (1.0f / p.scale);
  const double shifted = std::nearbyint(static_cast<double>(product) + p.zero_point);
  return static_cast<int>(std::clamp(shifted, static_cast<double>(p.lowest), 127.0));
}

std::vector<std::int8_t> quantized(const std::vector<float>& x, const ops::int8_parameters& p) {
  std::vector<std::int8_t> q(x.size());
  ops::quantize(x, p, q);
  return q;
}

}  // namespace

TEST_CASE("codes are those of the formula at every length and misalignment, and lead back") {
  test::random r(3);
  for (const std::size_t n : test::lengths()) {
    std::vector<float> values = r.vector<float>(n);
    for (float& x : values) x = 3.0f * x + 1.0f;
    for (const auto& p :
         {ops::int8_parameters{4.0f / 127, 0, -127}, ops::int8_parameters{6.0f / 255, -43, -128},
          ops::int8_parameters{0.01f, 5, -128}}) {
      for (const std::size_t offset : {0u, 1u, 3u}) {
        const test::placed<float> x(values, offset);
        test::placed<std::int8_t> q(n, offset + 2);
        test::placed<float> back(n, offset);
        ops::quantize(x.span(), p, q.span());
        ops::dequantize(q.span(), p, back.span());
        for (std::size_t i = 0; i < n; ++i) {
          REQUIRE(q.span()[i] == code_of(values[i], p));
          REQUIRE(back.span()[i] == p.scale * static_cast<float>(q.span()[i] - p.zero_point));
        }
      }
    }
  }
}

TEST_CASE("ties go to even, and what is infinite the range to its ends") {
  const ops::int8_parameters unit{1.0f, 0, -127}, full{1.0f, 0, -128};
  const std::vector<float> x{0.5f,   1.5f,   2.5f, -0.5f,   -1.5f,   -2.5f,
                             126.5f, 127.5f, 1e9f, -126.5f, -127.5f, -3e38f};
  CHECK(quantized(x, unit) == std::vector<std::int8_t>{0, 2, 2, 0, -2, -2, 126, 127, 127, -126, -127, -127});
  CHECK(quantized(x, full) == std::vector<std::int8_t>{0, 2, 2, 0, -2, -2, 126, 127, 127, -126, -128, -128});
  CHECK(quantized({3e38f, -3e38f, 0.0f}, {std::numeric_limits<float>::min(), 100, -128}) ==
        std::vector<std::int8_t>{127, -128, 100});
  std::vector<float> all(256), back(256);
  std::vector<std::int8_t> codes(256);
  for (int i = 0; i < 256; ++i) codes[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(i - 128);
  for (const std::int32_t zero : {-128, -1, 0, 127}) {
    ops::dequantize(codes, {0.25f, zero, -128}, all);
    CHECK(quantized(all, {0.25f, zero, -128}) == codes);
  }
}

TEST_CASE("parameters cover the range and represent zero exactly") {
  using ops::int8_scheme;
  for (const int8_scheme scheme : {int8_scheme::symmetric, int8_scheme::affine}) {
    for (const auto& [low, high] : std::vector<std::pair<float, float>>{{-1.0f, 1.0f},
                                                                        {-3.0f, 0.5f},
                                                                        {0.0f, 7.0f},
                                                                        {2.0f, 7.0f},
                                                                        {-9.0f, -2.0f},
                                                                        {-3.4e38f, 3.4e38f},
                                                                        {0.0f, 1e-40f},
                                                                        {-1e-44f, 0.0f},
                                                                        {5.0f, 5.0f}}) {
      const ops::int8_parameters p = ops::fit_int8(low, high, scheme);
      CHECK(p.scale >= std::numeric_limits<float>::min());
      CHECK(p.scale < infinite);
      CHECK(p.lowest == (scheme == int8_scheme::symmetric ? -127 : -128));
      if (scheme == int8_scheme::symmetric) CHECK(p.zero_point == 0);
      const std::vector<float> ends{low, high, 0.0f};
      const std::vector<std::int8_t> q = quantized(ends, p);
      for (std::size_t i = 0; i < 3; ++i) {
        const double back = static_cast<double>(p.scale) * (q[i] - p.zero_point);
        // An affine zero point is rounded, and may push one end out by half a step more.
        const double steps = scheme == int8_scheme::affine ? 1.0 + 0x1p-14 : 0.5 + 0x1p-14;
        CHECK(std::abs(back - static_cast<double>(ends[i])) <= steps * static_cast<double>(p.scale));
      }
      CHECK(q[2] == p.zero_point);
    }
    CHECK(ops::fit_int8(0.0f, 0.0f, scheme).scale == 1.0f);
  }
}

TEST_CASE("rows are quantized each by its own range") {
  using ops::int8_scheme;
  test::random r(4);
  for (const std::size_t columns : {0u, 1u, 7u, 16u, 17u, 100u}) {
    const std::size_t rows = 9, stride = columns + 2;
    std::vector<float> data(rows * stride);
    for (std::size_t i = 0; i < data.size(); ++i) {
      data[i] = r.uniform() * std::ldexp(1.0f, static_cast<int>(i / stride) - 4);
    }
    const matrix_view<float> view(data.data(), rows, columns, stride);
    for (const int8_scheme scheme : {int8_scheme::symmetric, int8_scheme::affine}) {
      std::vector<std::int8_t> codes(rows * columns);
      std::vector<ops::int8_parameters> parameters(rows);
      ops::quantize_rows(view, scheme, codes, parameters);
      for (std::size_t i = 0; i < rows && columns != 0; ++i) {
        const auto row = view[i];
        const auto expected = ops::fit_int8(*std::min_element(row.begin(), row.end()),
                                            *std::max_element(row.begin(), row.end()), scheme);
        CHECK(parameters[i].scale == expected.scale);
        CHECK(parameters[i].zero_point == expected.zero_point);
        for (std::size_t j = 0; j < columns; ++j) {
          REQUIRE(codes[i * columns + j] == code_of(row[j], expected));
        }
        const std::span<const std::int8_t> q(codes.data() + i * columns, columns);
        const ops::int8_error lost = ops::measure_int8_error(row, q, parameters[i]);
        const double step = static_cast<double>(parameters[i].scale);
        CHECK(lost.max_absolute <= (scheme == int8_scheme::affine ? 1.01 : 0.501) * step);
        CHECK(lost.rmse <= lost.max_absolute);
      }
    }
  }
}

TEST_CASE("what is not finite is refused by its place") {
  for (const float bad : {infinite, -infinite, std::numeric_limits<float>::quiet_NaN()}) {
    for (const std::size_t n : {1u, 5u, 16u, 33u, 100u}) {
      for (std::size_t at = 0; at < n; at += 1 + n / 20) {
        std::vector<float> x(n, 0.5f);
        x[at] = bad;
        std::vector<std::int8_t> q(n);
        std::error_code error;
        CHECK(ops::quantize(x, {}, q, error) == at);
        CHECK(error == errc::not_finite);
        ops::min_max_calibrator extremes;
        CHECK(extremes.observe(x, error) == at);
        CHECK(error == errc::not_finite);
        CHECK(extremes.parameters(ops::int8_scheme::symmetric).scale == 1.0f);
        ops::percentile_calibrator percentile(99);
        CHECK(percentile.observe(x, error) == at);
        CHECK(error == errc::not_finite);
      }
    }
    std::vector<float> x(5 * 20, 1.0f);
    x[3 * 20 + 19] = bad;
    std::vector<std::int8_t> q(x.size());
    std::vector<ops::int8_parameters> parameters(5);
    const matrix_view<float> rows(x.data(), 5, 20);
    std::error_code error;
    CHECK(ops::quantize_rows(rows, ops::int8_scheme::affine, q, parameters, error) == 3);
    CHECK(error == errc::not_finite);
    CHECK(parameters[3].scale == 1.0f);
    try {
      ops::quantize_rows(rows, ops::int8_scheme::affine, q, parameters);
      CHECK(false);
    } catch (const alidade::error& thrown) {
      CHECK(thrown.code() == errc::not_finite);
      CHECK(thrown.row() == 3);
    }
    CHECK_THROWS_AS(ops::quantize(x, {}, q), alidade::error);
  }
  std::error_code error = make_error_code(errc::not_finite);
  std::vector<std::int8_t> q(1);
  CHECK(ops::quantize(std::vector<float>{1.0f}, {}, q, error) == 1);
  CHECK(!error);
}

TEST_CASE("calibrators") {
  std::vector<float> x(1000);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>((i * 7) % 1000) - 200.0f;  // -200 .. 799
  using ops::int8_scheme;
  ops::min_max_calibrator extremes;
  extremes.observe(std::span<const float>(x).first(500));
  extremes.observe(std::span<const float>(x).last(500));
  extremes.observe({});
  CHECK(extremes.parameters(int8_scheme::symmetric).scale == 799.0f / 127);
  CHECK(extremes.parameters(int8_scheme::affine).scale == 999.0f / 255);
  CHECK(extremes.parameters(int8_scheme::affine).zero_point == -77);  // -128 + 200 / (999 / 255) = -76.95

  ops::percentile_calibrator all(100), most(90);
  all.observe(x);
  most.observe(x);
  CHECK(all.parameters(int8_scheme::symmetric).scale == 799.0f / 127);
  CHECK(all.parameters(int8_scheme::affine).scale == 999.0f / 255);
  // The 900th of |x| in order: 200 of the values are negative, and 1 .. 199 occur twice.
  CHECK(most.parameters(int8_scheme::symmetric).scale == 699.0f / 127);
  // The 900th of x is 699, the 100th -101.
  CHECK(most.parameters(int8_scheme::affine).scale == 800.0f / 255);
  CHECK(ops::percentile_calibrator(99).parameters(int8_scheme::affine).scale == 1.0f);
  std::error_code error;
  for (const double p : {50.0, 100.5, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    const ops::percentile_calibrator refused(p, error);
    CHECK(error == errc::invalid_option);
    CHECK_THROWS_AS(ops::percentile_calibrator{p}, alidade::error);
  }
}

TEST_CASE("percentiles are those of nearest rank") {
  using ops::int8_scheme;
  for (const std::size_t n : {1u, 10u, 100u, 1000u, 2000u, 12345u}) {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i + 1);  // the k-th smallest is k
    for (std::size_t tenths = 501; tenths <= 1000; tenths += n == 12345 ? 13 : 1) {
      ops::percentile_calibrator some(static_cast<double>(tenths) / 10);
      some.observe(x);
      const std::size_t rank = (tenths * n + 999) / 1000;
      REQUIRE(some.parameters(int8_scheme::symmetric).scale == static_cast<float>(rank) / 127);
      // Affine ranges hold 0, so the lower end shows where all are negative.
      std::vector<float> negative(n);
      for (std::size_t i = 0; i < n; ++i) negative[i] = -static_cast<float>(i + 1);  // the k-th is k - n - 1
      ops::percentile_calibrator below(static_cast<double>(tenths) / 10);
      below.observe(negative);
      const std::size_t lower = std::max<std::size_t>(1, ((1000 - tenths) * n + 999) / 1000);
      REQUIRE(below.parameters(int8_scheme::affine).scale ==
              ops::fit_int8(-static_cast<float>(n + 1 - lower), 0, int8_scheme::affine).scale);
    }
  }
}

TEST_CASE("the ends of the floats lead back to finite numbers") {
  using ops::int8_scheme;
  constexpr float most = std::numeric_limits<float>::max();
  for (const int8_scheme scheme : {int8_scheme::symmetric, int8_scheme::affine}) {
    for (const auto& [low, high] : std::vector<std::pair<float, float>>{{-most, most},
                                                                        {0.0f, most},
                                                                        {-most, 0.0f},
                                                                        {-most, 1.0f},
                                                                        {-most / 2, most},
                                                                        {-most, 0.99f * most},
                                                                        {-0.7f * most, most},
                                                                        {-0.99f * most, 0.995f * most}}) {
      const ops::int8_parameters p = ops::fit_int8(low, high, scheme);
      std::vector<std::int8_t> codes;
      for (int q = p.lowest; q <= 127; ++q) codes.push_back(static_cast<std::int8_t>(q));
      std::vector<float> back(codes.size());
      ops::dequantize(codes, p, back);
      for (const float x : back) REQUIRE(std::abs(x) <= most);
      const std::vector<float> ends{low, high, low / 2, high / 3};
      const ops::int8_error lost = ops::measure_int8_error(ends, quantized(ends, p), p);
      const double steps = scheme == int8_scheme::affine ? 1.0 + 0x1p-14 : 0.5 + 0x1p-14;
      CHECK(lost.max_absolute <= steps * static_cast<double>(p.scale));
      CHECK(lost.rmse <= lost.max_absolute);
      CHECK(lost.sqnr_db > 30);  // infinite where nothing is lost, but not NaN
    }
  }
}

TEST_CASE("measured errors are those of their definitions") {
  const std::vector<float> x{0.0f, 1.25f, -2.0f, 3.5f};
  const std::vector<std::int8_t> q{0, 1, -2, 3};
  const ops::int8_error lost = ops::measure_int8_error(x, q, {1.0f, 0, -127});
  CHECK(lost.max_absolute == 0.5);
  CHECK(lost.rmse == doctest::Approx(std::sqrt((0.0625 + 0.25) / 4)));
  CHECK(lost.sqnr_db == doctest::Approx(10 * std::log10((1.5625 + 4 + 12.25) / 0.3125)));
  const ops::int8_error none = ops::measure_int8_error({}, {}, {});
  CHECK(none.rmse == 0);
  CHECK(none.sqnr_db == static_cast<double>(infinite));
}
