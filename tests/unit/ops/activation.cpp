#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include <alidade/ops/activation.hpp>

#include "../../support.hpp"
#include "placed.hpp"

using namespace alidade;

namespace {

constexpr float float_infinity = std::numeric_limits<float>::infinity();
constexpr float float_nan = std::numeric_limits<float>::quiet_NaN();

double exact_sigmoid(double x) {
  const double t = std::exp(-std::abs(x));
  return (x < 0 ? t : 1.0) / (1.0 + t);
}
double exact_tanh(double x) { return std::tanh(x); }
double exact_gelu(double x) {
  return x == -float_infinity ? 0.0 : 0.5 * x * std::erfc(-x * 0.70710678118654752440);
}

/// The distance between floats about x.
double ulp(double x) {
  const int exponent = x == 0 ? -126 : std::max(std::ilogb(x), -126);
  return std::ldexp(1.0, exponent - 23);
}

struct worst {
  double error = 0;
  float at = 0;
};

/// The largest error in ULP over every `step`-th float, from the one of bits `first` on.
template <class V, class Operation, class Exact>
worst worst_error(Exact exact, std::uint32_t first, std::uint32_t step, bool flushing) {
  constexpr std::size_t block = 4096;
  std::vector<float> x(block), y(block);
  worst found;
  std::uint64_t bits = first;
  while (bits < (std::uint64_t{1} << 32)) {
    std::size_t n = 0;
    for (; n < block && bits < (std::uint64_t{1} << 32); bits += step) {
      x[n++] = alidade::detail::bit_cast<float>(static_cast<std::uint32_t>(bits));
    }
    ops::detail::transform<V, 2>(Operation{}, y.data(), n, x.data());
    for (std::size_t i = 0; i < n; ++i) {
      if (std::isnan(x[i])) {
        if (!std::isnan(y[i])) return {float_infinity, x[i]};
        continue;
      }
      const double wanted = exact(static_cast<double>(x[i]));
      if (std::isinf(wanted)) {
        if (static_cast<double>(y[i]) != wanted) return {float_infinity, x[i]};
        continue;
      }
      if (flushing && (std::abs(wanted) < 0x1.1p-126 || std::abs(x[i]) < 0x1p-126f)) continue;
      const double error = std::abs(static_cast<double>(y[i]) - wanted) / ulp(wanted);
      if (!(error <= found.error)) found = {error, x[i]};
    }
  }
  return found;
}

/// One float in 4,099; with ALIDADE_TEST_EXHAUSTIVE=1 every float.
template <class Operation, class Exact>
void check_errors(Exact exact, double bound) {
  const char* const wish = std::getenv("ALIDADE_TEST_EXHAUSTIVE");
  const bool all = wish != nullptr && std::strcmp(wish, "1") == 0;
  const std::uint32_t step = all ? 1 : 4099;
  if (test::flushes_subnormals()) bound += 2;  // its division is approximate too
  const worst native = worst_error<simd::f32, Operation>(exact, 0, step, test::flushes_subnormals());
  INFO("at " << native.at);
  CHECK(native.error <= bound);
  const worst scalar = worst_error<simd::f32_scalar, Operation>(exact, 0, step, test::flushes_subnormals());
  INFO("one lane: at " << scalar.at);
  CHECK(scalar.error <= bound);
  if (all)
    MESSAGE("largest errors: " << native.error << " at " << native.at << ", one lane " << scalar.error);
}

using function = void (*)(std::span<const float>, std::span<float>);

float one(function f, float x) {
  float out = 77;
  f({&x, 1}, {&out, 1});
  return out;
}

}  // namespace

TEST_CASE("sigmoid is within its bound") { check_errors<ops::detail::sigmoid_operation>(exact_sigmoid, 2.5); }
TEST_CASE("tanh is within its bound") { check_errors<ops::detail::tanh_operation>(exact_tanh, 2.5); }
TEST_CASE("gelu is within its bound") { check_errors<ops::detail::gelu_operation>(exact_gelu, 8); }

TEST_CASE("activations at their limits") {
  CHECK(one(ops::sigmoid, float_infinity) == 1.0f);
  CHECK(one(ops::sigmoid, -float_infinity) == 0.0f);
  CHECK(one(ops::sigmoid, 0.0f) == 0.5f);
  CHECK(one(ops::tanh, float_infinity) == 1.0f);
  CHECK(one(ops::tanh, -float_infinity) == -1.0f);
  CHECK(one(ops::tanh, 20.0f) == 1.0f);
  CHECK(one(ops::tanh, 0.0f) == 0.0f);
  CHECK(std::signbit(one(ops::tanh, -0.0f)));
  CHECK(one(ops::tanh, -1e-30f) == -1e-30f);
  CHECK(one(ops::gelu, float_infinity) == float_infinity);
  CHECK(one(ops::gelu, -float_infinity) == 0.0f);
  CHECK(one(ops::gelu, 100.0f) == 100.0f);
  CHECK(one(ops::gelu, 0.0f) == 0.0f);
  CHECK(one(ops::gelu, std::numeric_limits<float>::max()) == std::numeric_limits<float>::max());
  for (const function f : {function(ops::sigmoid), function(ops::tanh), function(ops::gelu)}) {
    CHECK(std::isnan(one(f, float_nan)));
    CHECK(std::isnan(one(f, -float_nan)));
  }
}

TEST_CASE("activations work at every length and misalignment, in place too") {
  test::random r(5);
  for (const std::size_t n : test::lengths()) {
    const std::vector<float> values = r.vector<float>(n);
    for (const std::size_t offset : {0u, 1u, 3u}) {
      for (const function f : {function(ops::sigmoid), function(ops::tanh), function(ops::gelu)}) {
        test::placed<float> x(values, offset), out(n, offset + 1);
        f(x.span(), out.span());
        f(x.span(), x.span());
        for (std::size_t i = 0; i < n; ++i) {
          REQUIRE(x.span()[i] == out.span()[i]);
          REQUIRE(out.span()[i] == one(f, values[i]));
        }
      }
    }
  }
}

TEST_CASE("softmax is within its bound at every length and misalignment, in place too") {
  test::random r(6);
  for (const float spread : {1.0f, 30.0f, 200.0f}) {
    for (const std::size_t n : test::lengths()) {
      std::vector<float> values = r.vector<float>(n);
      for (float& x : values) x *= spread;
      const double high = n == 0 ? 0 : static_cast<double>(*std::max_element(values.begin(), values.end()));
      double sum = 0;
      for (const float x : values) sum += std::exp(static_cast<double>(x) - high);
      for (const std::size_t offset : {0u, 3u}) {
        test::placed<float> x(values, offset), out(n, offset + 1);
        ops::softmax(x.span(), out.span());
        ops::softmax(x.span(), x.span());
        double total = 0;
        for (std::size_t i = 0; i < n; ++i) {
          const double distance = high - static_cast<double>(values[i]);
          const double wanted = std::exp(-distance) / sum;
          const double bound =
              (26 + distance) * 0x1p-24 * wanted + (test::flushes_subnormals() ? 0x1.1p-126 : 0x1p-149);
          REQUIRE(std::abs(static_cast<double>(out.span()[i]) - wanted) <= bound);
          REQUIRE(x.span()[i] == out.span()[i]);
          total += static_cast<double>(out.span()[i]);
        }
        if (n != 0) CHECK(std::abs(total - 1.0) <= 0x1p-20);
      }
    }
  }
}

TEST_CASE("softmax of infinities and NaN") {
  std::vector<float> x{1.0f, float_infinity, -float_infinity, float_infinity, 3.0f}, out(5);
  ops::softmax(x, out);
  CHECK(out == std::vector<float>{0.0f, 0.5f, 0.0f, 0.5f, 0.0f});
  x = {-float_infinity, -float_infinity, -float_infinity, -float_infinity};
  ops::softmax(x, x);
  CHECK(x == std::vector<float>{0.25f, 0.25f, 0.25f, 0.25f});
  x = {2.0f, -float_infinity, 2.0f};
  ops::softmax(x, x);
  CHECK(x == std::vector<float>{0.5f, 0.0f, 0.5f});
  x = {1.0f, float_nan, float_infinity};
  ops::softmax(x, x);
  for (const float p : x) CHECK(std::isnan(p));
  x = {3e38f, -3e38f};
  ops::softmax(x, x);
  CHECK(x == std::vector<float>{1.0f, 0.0f});
}
