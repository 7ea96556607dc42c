#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <alidade/distance/metric.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {
struct manhattan {
  double operator()(std::span<const float> a, std::span<const float> b) const {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
    return sum;
  }
};
struct not_a_metric {
  const char* operator()(std::span<const float>, std::span<const float>) const { return "far"; }
};

/// Over numbers, and not over bits; the other way round.
template <class Metric>
constexpr bool over_numbers =
    metric<Metric, float>&& metric<Metric, double>&& metric<Metric, f16>&& metric<Metric, bf16>&&
        metric<Metric, std::int8_t>&& metric<Metric, std::uint8_t> &&
    !metric<Metric, bits8>;
template <class Metric>
constexpr bool over_bits = metric<Metric, bits8> && !metric<Metric, float> && !metric<Metric, std::uint8_t>;
}  // namespace

static_assert(over_numbers<metrics::l2_squared> && over_numbers<metrics::inner_product>);
static_assert(over_numbers<metrics::cosine> && over_numbers<metrics::l1> && over_numbers<metrics::chebyshev>);
static_assert(over_numbers<metrics::reproducible<metrics::l2_squared>>);
static_assert(over_bits<metrics::hamming> && over_bits<metrics::jaccard>);
static_assert(over_bits<metrics::reproducible<metrics::hamming>>);
static_assert(over_numbers<metrics::reproducible<metrics::chebyshev>>);
static_assert(!metric<metrics::l2_squared, std::int32_t>);
static_assert(metric<manhattan, float> && !metric<not_a_metric, float>);
static_assert(std::is_same_v<distance_type<metrics::l2_squared, float>, float>);
static_assert(std::is_same_v<distance_type<metrics::l2_squared, double>, float>);
static_assert(std::is_same_v<distance_type<metrics::l2_squared, bf16>, float>);
static_assert(std::is_same_v<distance_type<metrics::l2_squared, std::uint8_t>, std::uint32_t>);
static_assert(std::is_same_v<distance_type<metrics::inner_product, std::uint8_t>, std::int32_t>);
static_assert(std::is_same_v<distance_type<metrics::inner_product, std::int8_t>, std::int32_t>);
static_assert(std::is_same_v<distance_type<metrics::cosine, std::int8_t>, float>);
static_assert(std::is_same_v<distance_type<metrics::hamming, bits8>, std::uint32_t>);
static_assert(std::is_same_v<distance_type<manhattan, float>, float>);

TEST_CASE("metric types rank as the functions say") {
  const std::vector<float> a{1, 2}, b{3, 5};
  const std::vector<std::uint8_t> c{1, 2}, d{3, 5};
  const std::vector<std::int8_t> e{-1, 2}, f{3, -5};
  CHECK(metrics::l2_squared{}(a, b) == 13.0f);
  CHECK(metrics::inner_product{}(a, b) == -13.0f);
  CHECK(metrics::l1{}(a, b) == 5.0f);
  CHECK(metrics::chebyshev{}(a, b) == 3.0f);
  CHECK(metrics::cosine{}(a, b) == doctest::Approx(1.0 - 13.0 / std::sqrt(5.0 * 34.0)).epsilon(1e-6));
  CHECK(metrics::reproducible<metrics::inner_product>{}(a, b) == -13.0f);
  CHECK(metrics::l2_squared{}(c, d) == 13u);
  CHECK(metrics::inner_product{}(c, d) == -13);
  CHECK(metrics::l2_squared{}(e, f) == 65u);
  CHECK(metrics::inner_product{}(e, f) == 13);
  const std::vector<bits8> g{bits8{0x0f}}, h{bits8{0x33}};
  CHECK(metrics::hamming{}(g, h) == 4u);
  CHECK(metrics::jaccard{}(g, h) == static_cast<float>(1.0 - 2.0 / 6.0));
}

TEST_CASE("the inner product of bytes holds up to the stated dimension") {
  const std::vector<std::uint8_t> full(33'025, 255);
  CHECK(metrics::inner_product{}(full, full) == -2'147'450'625);
  static_assert(metrics::inner_product::max_dimension<std::uint8_t> == 33'025);
  const std::vector<std::int8_t> low(131'071, -128);
  CHECK(metrics::inner_product{}(low, low) == -2'147'467'264);
  static_assert(metrics::inner_product::max_dimension<std::int8_t> == 131'071);
  static_assert(metrics::l2_squared::max_dimension<std::int8_t> == 66'051);
}

TEST_CASE_TEMPLATE("cosine prepares unit vectors of any scale and refuses the zero vector", T, float,
                   double) {
  for (const double scale : {1e-310, 1e-200, 1e-40, 1e-20, 1.0, 1e20, 1e38, 1e200, 1e308}) {
    const T x = static_cast<T>(scale);
    if (x == 0 || !(x <= std::numeric_limits<T>::max())) continue;
    const std::vector<T> in{x, -x, 0};
    std::vector<T> out(3);
    REQUIRE(metrics::cosine{}.prepare(std::span<const T>(in), std::span<T>(out)));
    CHECK(out[0] == doctest::Approx(std::sqrt(0.5)).epsilon(1e-4));
    CHECK(out[1] == doctest::Approx(-std::sqrt(0.5)).epsilon(1e-4));
    CHECK(out[2] == 0);
  }
  const std::vector<T> zero(3, 0);
  std::vector<T> out(3);
  CHECK_FALSE(metrics::cosine{}.prepare(std::span<const T>(zero), std::span<T>(out)));
}

TEST_CASE_TEMPLATE("cosine keeps other vectors as they are and refuses the zero vector", T, f16, bf16,
                   std::int8_t, std::uint8_t) {
  test::random r(1);
  const auto in = r.vector<T>(20);
  std::vector<T> out(20), zero(20, T{});
  REQUIRE(metrics::cosine{}.prepare(std::span<const T>(in), std::span<T>(out)));
  CHECK(std::memcmp(in.data(), out.data(), in.size() * sizeof(T)) == 0);
  CHECK_FALSE(metrics::cosine{}.prepare(std::span<const T>(zero), std::span<T>(out)));
  if constexpr (sizeof(T) == 2) {
    zero[3] = T(-0.0f);
    CHECK_FALSE(metrics::cosine{}.prepare(std::span<const T>(zero), std::span<T>(out)));
  }
}
