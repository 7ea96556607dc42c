#include <doctest/doctest.h>

#include <cmath>
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
}  // namespace

static_assert(metric<metrics::l2_squared, float> && metric<metrics::l2_squared, std::uint8_t>);
static_assert(metric<metrics::inner_product, float> && metric<metrics::inner_product, std::uint8_t>);
static_assert(metric<metrics::cosine, float> && !metric<metrics::cosine, std::uint8_t>);
static_assert(metric<manhattan, float> && !metric<not_a_metric, float>);
static_assert(std::is_same_v<distance_type<metrics::l2_squared, float>, float>);
static_assert(std::is_same_v<distance_type<metrics::l2_squared, std::uint8_t>, std::uint32_t>);
static_assert(std::is_same_v<distance_type<metrics::inner_product, std::uint8_t>, std::int32_t>);
static_assert(std::is_same_v<distance_type<manhattan, float>, float>);

TEST_CASE("metric types rank as the functions say") {
  const std::vector<float> a{1, 2}, b{3, 5};
  const std::vector<std::uint8_t> c{1, 2}, d{3, 5};
  CHECK(metrics::l2_squared{}(std::span<const float>(a), std::span<const float>(b)) == 13.0f);
  CHECK(metrics::inner_product{}(std::span<const float>(a), std::span<const float>(b)) == -13.0f);
  CHECK(metrics::l2_squared{}(std::span<const std::uint8_t>(c), std::span<const std::uint8_t>(d)) == 13u);
  CHECK(metrics::inner_product{}(std::span<const std::uint8_t>(c), std::span<const std::uint8_t>(d)) == -13);
  CHECK(metrics::cosine{}(a, b) == doctest::Approx(1.0 - 13.0 / std::sqrt(5.0 * 34.0)).epsilon(1e-6));
}

TEST_CASE("the inner product of bytes holds up to the stated dimension") {
  const std::vector<std::uint8_t> full(33025, 255);
  CHECK(metrics::inner_product{}(std::span<const std::uint8_t>(full), std::span<const std::uint8_t>(full)) ==
        -2147450625);
}

TEST_CASE("cosine prepares unit vectors of any scale and refuses the zero vector") {
  for (const float scale : {1e-40f, 1e-20f, 1.0f, 1e20f, 1e38f}) {
    const std::vector<float> in{scale, -scale, 0.0f};
    std::vector<float> out(3);
    REQUIRE(metrics::cosine{}.prepare(in, out));
    CHECK(out[0] == doctest::Approx(std::sqrt(0.5)).epsilon(1e-4));
    CHECK(out[1] == doctest::Approx(-std::sqrt(0.5)).epsilon(1e-4));
    CHECK(out[2] == 0.0f);
  }
  const std::vector<float> zero(3, 0.0f);
  std::vector<float> out(3);
  CHECK_FALSE(metrics::cosine{}.prepare(zero, out));
}
