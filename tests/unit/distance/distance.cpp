#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <alidade/distance/distance.hpp>

#include "../../support.hpp"

namespace {

/// A vector that ends where its allocation ends and starts at a chosen misalignment, so that the address sanitizer sees
/// every read out of bounds.
template <class T>
struct placed {
  std::vector<T> storage;
  std::span<const T> span;
  placed(std::span<const T> values, std::size_t offset) : storage(offset + values.size()) {
    if (!values.empty()) std::memcpy(storage.data() + offset, values.data(), values.size_bytes());
    span = std::span<const T>(storage).subspan(offset);
  }
};

struct sums {
  double l2 = 0, ip = 0, aa = 0, bb = 0, absolute_ip = 0;
  template <class T>
  sums(std::span<const T> a, std::span<const T> b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = a[i], y = b[i];
      l2 += (x - y) * (x - y);
      ip += x * y;
      aa += x * x;
      bb += y * y;
      absolute_ip += std::abs(x * y);
    }
  }
};

/// The documented bound: (n / 4 + 8) eps * sum |term|, and a rounding of the result.
double bound(std::size_t n, double absolute_sum) {
  return (static_cast<double>(n) / 4 + 8) * 0x1p-24 * absolute_sum;
}

/// 1..300, and lengths about multiples of every register width.
std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 0; n <= 300; ++n) all.push_back(n);
  for (std::size_t n : {383u, 384u, 511u, 513u, 768u, 784u, 1023u, 1026u, 1536u}) all.push_back(n);
  return all;
}

}  // namespace

TEST_CASE("float distances stay within the documented bound at every length and misalignment") {
  test::random r(1);
  for (const std::size_t n : lengths()) {
    const auto x = r.vector<float>(n), y = r.vector<float>(n);
    const sums exact{std::span<const float>(x), std::span<const float>(y)};
    for (const std::size_t offset : {0u, 1u, 3u}) {
      const placed<float> a(x, offset), b(y, offset + 1);
      CHECK(std::abs(alidade::l2_squared(a.span, b.span) - exact.l2) <= bound(n, exact.l2));
      CHECK(std::abs(alidade::inner_product(a.span, b.span) - exact.ip) <= bound(n, exact.absolute_ip));
      const double cosine = n == 0 ? 1.0 : 1.0 - exact.ip / std::sqrt(exact.aa * exact.bb);
      const double tolerance = 2 * bound(n, 1.0) + 0x1p-22;
      CHECK(std::abs(alidade::cosine(a.span, b.span) - cosine) <= tolerance);
    }
  }
}

TEST_CASE("byte distances are exact at every length and misalignment") {
  test::random r(2);
  for (const std::size_t n : lengths()) {
    const auto x = r.vector<std::uint8_t>(n), y = r.vector<std::uint8_t>(n);
    const sums exact{std::span<const std::uint8_t>(x), std::span<const std::uint8_t>(y)};
    for (const std::size_t offset : {0u, 1u, 7u}) {
      const placed<std::uint8_t> a(x, offset), b(y, offset + 1);
      CHECK(alidade::l2_squared(a.span, b.span) == static_cast<std::uint32_t>(exact.l2));
      CHECK(alidade::inner_product(a.span, b.span) == static_cast<std::uint32_t>(exact.ip));
    }
  }
}

TEST_CASE("byte distances are right up to the stated length") {
  const std::vector<std::uint8_t> zero(66051, 0), full(66051, 255);
  const std::uint32_t largest = 4294966275u;  // 255 * 255 * 66,051; one byte more would not fit
  CHECK(alidade::l2_squared(std::span<const std::uint8_t>(zero), full) == largest);
  CHECK(alidade::inner_product(std::span<const std::uint8_t>(full), full) == largest);
}

TEST_CASE("cosine at its edges") {
  using span = std::span<const float>;
  const std::vector<float> zero(5, 0.0f), x{1, 2, 3, 4, 5}, minus{-1, -2, -3, -4, -5};
  CHECK(alidade::cosine(span(zero), span(x)) == 1.0f);
  CHECK(alidade::cosine(span(zero), span(zero)) == 1.0f);
  CHECK(alidade::cosine(span{}, span{}) == 1.0f);
  CHECK(alidade::cosine(span(x), span(x)) == doctest::Approx(0.0).epsilon(1e-6));
  CHECK(alidade::cosine(span(x), span(minus)) == doctest::Approx(2.0));
  CHECK(alidade::cosine(span(x), span(x)) >= 0.0f);
  CHECK(alidade::cosine(span(x), span(minus)) <= 2.0f);

  SUBCASE("norms whose squares leave float's range") {
    for (const float scale : {1e-38f, 1e-30f, 1e-15f, 1e15f, 1e30f}) {
      const std::vector<float> a{scale, 0, 0}, b{scale, scale, 0};
      CHECK(alidade::cosine(span(a), span(b)) == doctest::Approx(1.0 - std::sqrt(0.5)).epsilon(1e-5));
      const std::vector<float> unit{1, 0, 0};
      CHECK(alidade::cosine(span(b), span(unit)) == doctest::Approx(1.0 - std::sqrt(0.5)).epsilon(1e-5));
    }
  }
}

TEST_CASE("NaN and infinity propagate as in the formulas") {
  using span = std::span<const float>;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  infinity = std::numeric_limits<float>::infinity();
  for (const std::size_t n : {1u, 4u, 17u, 100u}) {
    for (std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
      std::vector<float> a(n, 1.0f), b(n, 2.0f);
      a[at] = nan;
      CHECK(std::isnan(alidade::l2_squared(span(a), span(b))));
      CHECK(std::isnan(alidade::inner_product(span(a), span(b))));
      CHECK(std::isnan(alidade::cosine(span(a), span(b))));
      a[at] = infinity;
      CHECK(alidade::l2_squared(span(a), span(b)) == infinity);
      CHECK(alidade::inner_product(span(a), span(b)) == infinity);
      CHECK(std::isnan(alidade::cosine(span(a), span(b))));
    }
  }
}

TEST_CASE("one to many is one to one many times, bit for bit") {
  test::random r(3);
  for (const std::size_t n : {1u, 5u, 16u, 33u, 100u}) {
    for (const std::size_t rows : {0u, 1u, 3u, 4u, 9u, 130u}) {
      const std::size_t stride = n + 3;
      const auto base = r.vector<float>(rows * stride + 1), query = r.vector<float>(n);
      const alidade::matrix_view<float> view(base.data() + 1, rows, n, stride);
      std::vector<float> l2(rows), ip(rows), cos(rows);
      alidade::l2_squared_many(query, view, l2);
      alidade::inner_product_many(query, view, ip);
      alidade::cosine_many(query, view, cos);
      for (std::size_t i = 0; i < rows; ++i) {
        CHECK(l2[i] == alidade::l2_squared(std::span<const float>(query), view[i]));
        CHECK(ip[i] == alidade::inner_product(std::span<const float>(query), view[i]));
        CHECK(cos[i] == alidade::cosine(std::span<const float>(query), view[i]));
      }
      const auto bytes = r.vector<std::uint8_t>(rows * stride + 1), byte_query = r.vector<std::uint8_t>(n);
      const alidade::matrix_view<std::uint8_t> byte_view(bytes.data() + 1, rows, n, stride);
      std::vector<std::uint32_t> byte_l2(rows), byte_ip(rows);
      alidade::l2_squared_many(byte_query, byte_view, byte_l2);
      alidade::inner_product_many(byte_query, byte_view, byte_ip);
      for (std::size_t i = 0; i < rows; ++i) {
        CHECK(byte_l2[i] == alidade::l2_squared(std::span<const std::uint8_t>(byte_query), byte_view[i]));
        CHECK(byte_ip[i] == alidade::inner_product(std::span<const std::uint8_t>(byte_query), byte_view[i]));
      }
    }
  }
}
