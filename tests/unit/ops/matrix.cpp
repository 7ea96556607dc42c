#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <alidade/ops/matrix.hpp>

#include "../../support.hpp"
#include "placed.hpp"

using namespace alidade;

namespace {

/// Rows that end where their allocation ends.
template <class T>
struct matrix {
  std::size_t rows, columns, stride;
  test::placed<T> data;

  matrix(std::size_t rows_, std::size_t columns_, std::size_t padding, std::uint32_t seed)
      : rows(rows_),
        columns(columns_),
        stride(columns_ + padding),
        data(rows_ * columns_ == 0 ? 0 : rows_ * stride - padding, padding) {
    test::random r(seed);
    for (T& x : data.span()) x = std::numeric_limits<T>::quiet_NaN();  // between the rows
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) data.span()[i * stride + j] = static_cast<T>(r.uniform());
    }
  }
  double at(std::size_t i, std::size_t j) const { return static_cast<double>(data.span()[i * stride + j]); }
  matrix_view<T> view() const { return {data.span().data(), rows, columns, stride}; }
};

template <class T>
constexpr double product_unit = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;

/// sum a_il b_lj (or b_jl) and sum |a_il b_lj|
struct term_sum {
  double sum = 0, absolute = 0;
  template <class T>
  term_sum(const matrix<T>& a, const matrix<T>& b, bool transposed, std::size_t i, std::size_t j) {
    long double exact = 0;
    for (std::size_t l = 0; l < a.columns; ++l) {
      const double y = transposed ? b.at(j, l) : b.at(l, j);
      exact += static_cast<long double>(a.at(i, l)) * static_cast<long double>(y);
      absolute += std::abs(a.at(i, l) * y);
    }
    sum = static_cast<double>(exact);
  }
};

template <class T>
void check(std::size_t m, std::size_t n, std::size_t k, std::size_t padding) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const matrix<T> a(m, k, padding, 1), b(k, n, padding + 1, 2), transposed(n, k, padding, 3);
  test::placed<T> product(m * n, padding), sum(m * n, 0), inner(m * n, 1);
  std::fill(sum.storage.begin(), sum.storage.end(), T(0.25));
  ops::matrix_multiply(a.view(), b.view(), product.span());
  ops::matrix_multiply_add(a.view(), b.view(), sum.span());
  ops::matrix_multiply_transposed(a.view(), transposed.view(), inner.span());
  const double roundings = static_cast<double>(std::min<std::size_t>(k, 384) + k / 64 + 2);
  const double oracle =
      static_cast<double>(k) * static_cast<double>(std::numeric_limits<long double>::epsilon());
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const term_sum exact(a, b, false, i, j), exact_inner(a, transposed, true, i, j);
      const double bound = roundings * product_unit<T> + oracle + 0x1p-52;
      REQUIRE(std::abs(static_cast<double>(product.span()[i * n + j]) - exact.sum) <= bound * exact.absolute);
      REQUIRE(std::abs(static_cast<double>(inner.span()[i * n + j]) - exact_inner.sum) <=
              bound * exact_inner.absolute);
      REQUIRE(std::abs(static_cast<double>(sum.span()[i * n + j]) - (exact.sum + 0.25)) <=
              bound * (exact.absolute + 0.25));
    }
  }
}

}  // namespace

TEST_CASE_TEMPLATE("products of matrices of small shapes", T, float, double) {
  for (std::size_t m = 0; m <= 27; m += m < 5 ? 1 : 2) {
    for (const std::size_t n : {0u, 1u, 2u, 3u, 5u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 70u}) {
      for (const std::size_t k : {0u, 1u, 2u, 3u, 8u, 33u}) check<T>(m, n, k, m % 3);
    }
  }
}

TEST_CASE_TEMPLATE("products of matrices about the edges of tiles and blocks", T, float, double) {
  using shape = ops::detail::tiling<ops::detail::vector_of<T>>;
  const std::size_t depth = shape::depth, rows = shape::rows, width = shape::width;
  for (const std::size_t k : {depth - 1, depth, depth + 1, 2 * depth + 3})
    check<T>(2 * rows + 1, width + 1, k, 1);
  for (const std::size_t m : {rows - 1, rows, rows + 1, 2 * rows, 2 * rows + 1, 3 * rows - 1}) {
    check<T>(m, 2 * width - 1, 7, 0);
  }
  check<T>(shape::block_rows + 1, width + 3, 5, 0);
  check<T>(3, shape::block_columns + 2, 3, 0);
  check<T>(2 * rows + 5, shape::block_columns + 2, 3, 0);
}

TEST_CASE_TEMPLATE("products of a matrix and a vector at every length and misalignment", T, float, double) {
  for (const std::size_t k : test::lengths()) {
    for (const std::size_t m : {0u, 1u, 3u, 4u, 5u, 9u}) {
      const matrix<T> a(m, k, m % 2, 4), x(1, k, 3, 5);
      test::placed<T> y(m, 1);
      ops::matrix_vector(a.view(), std::span<const T>(x.data.span()), y.span());
      for (std::size_t i = 0; i < m; ++i) {
        const term_sum exact(a, x, true, i, 0);
        const double bound =
            (static_cast<double>(k) / 2 + 8) * product_unit<T> +
            static_cast<double>(k) * static_cast<double>(std::numeric_limits<long double>::epsilon());
        REQUIRE(std::abs(static_cast<double>(y.span()[i]) - exact.sum) <= bound * exact.absolute);
      }
    }
  }
}

TEST_CASE("one lane computes the same products of integers") {
  constexpr std::size_t m = 29, n = 75, k = 400;
  test::random r(9);
  std::vector<float> a(m * k), b(k * n), wide(m * n), narrow(m * n);
  for (float& x : a) x = static_cast<float>(r.below(64)) - 32.0f;
  for (float& x : b) x = static_cast<float>(r.below(64)) - 32.0f;
  ops::matrix_multiply(matrix_view<float>(a.data(), m, k), matrix_view<float>(b.data(), k, n), wide);
  ops::detail::multiply<simd::f32_scalar>(m, n, k, {a.data(), k, 1}, {b.data(), n, 1}, narrow.data(), false);
  CHECK(wide == narrow);  // sums below 2^24 are exact in any order
}

TEST_CASE("NaN and infinity reach the results they belong to, and no others") {
  std::vector<float> a(3 * 5, 1.0f), b(5 * 20, 1.0f), c(3 * 20);
  a[1 * 5 + 2] = std::numeric_limits<float>::quiet_NaN();
  b[3 * 20 + 19] = std::numeric_limits<float>::infinity();
  ops::matrix_multiply(matrix_view<float>(a.data(), 3, 5), matrix_view<float>(b.data(), 5, 20), c);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 20; ++j) {
      const float x = c[i * 20 + j];
      if (i == 1) {
        CHECK(std::isnan(x));
      } else {
        CHECK(x == (j == 19 ? std::numeric_limits<float>::infinity() : 5.0f));
      }
    }
  }
}
