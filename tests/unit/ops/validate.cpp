#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include <alidade/ops/validate.hpp>

#include "../../support.hpp"
#include "placed.hpp"

using namespace alidade;

namespace {

template <class T>
struct parameters {
  std::size_t rows, columns, stride;
  test::placed<T> data;
  std::vector<T> lower, upper;

  parameters(std::size_t rows_, std::size_t columns_, std::size_t padding)
      : rows(rows_),
        columns(columns_),
        stride(columns_ + padding),
        data(rows_ == 0 ? 0 : rows_ * stride - padding, padding),
        lower(columns_),
        upper(columns_) {
    test::random r(static_cast<std::uint32_t>(rows * 131 + columns));
    for (std::size_t j = 0; j < columns; ++j) {
      lower[j] = static_cast<T>(r.uniform());
      upper[j] = lower[j] + static_cast<T>(1 + r.uniform());
    }
    for (T& x : data.span()) x = std::numeric_limits<T>::quiet_NaN();  // also between the rows
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        const std::uint32_t kind = r.below(4);
        at(i, j) = kind == 0   ? lower[j]
                   : kind == 1 ? upper[j]
                               : lower[j] + static_cast<T>(0.4) * (upper[j] - lower[j]);
      }
    }
  }
  T& at(std::size_t i, std::size_t j) { return data.span()[i * stride + j]; }
  matrix_view<T> view() { return {data.span().data(), rows, columns, stride}; }

  /// By the definition.
  ops::range_report expected(std::vector<std::uint8_t>& mask) {
    ops::range_report report;
    mask.assign(rows, 0);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        const T x = at(i, j);
        if (lower[j] <= x && x <= upper[j]) continue;
        if (report.elements == 0) report.first = {i, j};
        report.rows += static_cast<std::size_t>(mask[i] == 0);
        mask[i] = 1;
        ++report.elements;
      }
    }
    return report;
  }

  void check() {
    std::vector<std::uint8_t> mask, found_mask(rows, 77);
    const ops::range_report exact = expected(mask);
    const ops::range_report found = ops::validate_range(view(), lower, upper, found_mask);
    CHECK(found.elements == exact.elements);
    CHECK(found.rows == exact.rows);
    CHECK(found.first == exact.first);
    CHECK(found.valid() == exact.valid());
    CHECK(found_mask == mask);
    const ops::range_report unmasked = ops::validate_range(view(), lower, upper);
    CHECK(unmasked.elements == exact.elements);
    CHECK(unmasked.first == exact.first);
    CHECK(ops::first_out_of_range(view(), lower, upper) == exact.first);
    CHECK(ops::is_in_range(view(), lower, upper) == exact.valid());
  }
};

}  // namespace

TEST_CASE_TEMPLATE("rows on and within their bounds are valid, one element beyond is found", T, float,
                   double) {
  for (std::size_t columns = 0; columns <= 67; columns += columns < 20 ? 1 : 3) {
    for (const std::size_t rows : {0u, 1u, 2u, 9u, 63u, 64u, 65u, 200u}) {
      for (const std::size_t padding : {0u, 5u}) {
        if (rows == 0 && columns == 0 && padding != 0) continue;
        parameters<T> p(rows, columns, padding);
        p.check();
        test::random r(7);
        if (rows * columns == 0) continue;
        const std::size_t i = r.below(static_cast<std::uint32_t>(rows)),
                          j = r.below(static_cast<std::uint32_t>(columns));
        const T good = p.at(i, j);
        p.at(i, j) = std::numeric_limits<T>::quiet_NaN();
        p.check();
        p.at(i, j) = std::nextafter(p.upper[j], std::numeric_limits<T>::infinity());
        p.check();
        p.at(i, j) = -std::numeric_limits<T>::infinity();
        p.check();
        p.at(i, j) = good;
        for (std::size_t bad = 0; bad < rows; bad += 3) {
          p.at(bad, bad % columns) = -100;
          p.at(bad, 0) = 100;
        }
        p.check();
      }
    }
  }
}

TEST_CASE("every place of a violation is found") {
  for (const std::size_t columns : {1u, 3u, 16u, 17u, 33u}) {
    const std::size_t rows = 300 / columns + 70;
    parameters<float> p(rows, columns, 0);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        const float good = p.at(i, j);
        p.at(i, j) = 1e9f;
        REQUIRE(ops::first_out_of_range(p.view(), p.lower, p.upper) == ops::element_position{i, j});
        REQUIRE(ops::validate_range(p.view(), p.lower, p.upper).elements == 1);
        p.at(i, j) = good;
      }
    }
  }
}

TEST_CASE("the search in a row ends with the row") {
  const std::vector<float> x{1.0f, 2.0f}, low{0.0f, 0.0f}, high{3.0f, 3.0f};
  CHECK(ops::detail::first_violation_in(x.data(), 2, low.data(), high.data()) == 1);
  CHECK(ops::detail::first_violation_in(x.data(), 1, low.data(), high.data()) == 0);
}

TEST_CASE("infinite bounds let everything but NaN pass, NaN bounds nothing") {
  constexpr float infinity = std::numeric_limits<float>::infinity(),
                  nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{-infinity, -1.0f, 0.0f, infinity, nan, -0.0f};
  const matrix_view<float> rows(x.data(), x.size(), 1);
  const std::vector<float> low{-infinity}, high{infinity}, none{nan}, zero{0.0f};
  CHECK(ops::first_out_of_range(rows, low, high) == ops::element_position{4, 0});
  CHECK(ops::validate_range(rows, low, high).elements == 1);
  CHECK(ops::validate_range(rows, none, high).elements == 6);
  CHECK(ops::validate_range(rows, low, none).elements == 6);
  CHECK(ops::validate_range(rows, zero, zero).elements == 4);  // -0 equals 0
}
