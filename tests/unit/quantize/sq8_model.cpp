#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <alidade/core/portable_math.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/quantize/sq8_model.hpp>

#include "../../support.hpp"
#include "quantize_support.hpp"

namespace {

using alidade::detail::centred_form;
using test::centred_forms;
using test::normal_rows;
using test::product_of;

struct sq8_coded : test::coded_rows<alidade::detail::sq8_model> {
  sq8_coded(std::vector<float> rows_, std::size_t d, centred_form form, std::size_t train_rows = 100,
            std::size_t threads = 1)
      : coded_rows(std::move(rows_), d, alidade::codecs::sq8{}) {
    learn(form, train_rows, threads);
  }

  const std::int8_t* bytes(std::size_t i) const { return reinterpret_cast<const std::int8_t*>(code(i)); }
  std::vector<double> centred(std::span<const float> x) const {
    std::vector<double> c;
    for (std::size_t i = 0; i < dimension; ++i)
      c.push_back(static_cast<double>(x[i]) - static_cast<double>(model.centre()[i]));
    return c;
  }
};

double sq8_largest(const std::vector<double>& a) {
  double most = 0;
  for (const double x : a) most = std::max(most, std::abs(x));
  return most;
}

/// The root of the mean square of what estimates are off, less what is the same for all rows of a query, in units of what the docstring
/// says it is, with (max |x_i|) as what the rows' own steps are made of.
double sq8_error(const sq8_coded& x, centred_form form, const std::vector<float>& queries) {
  double squares = 0, expected = 0;
  for (std::size_t q = 0; q < queries.size() / x.dimension; ++q) {
    const std::span<const float> query = std::span(queries).subspan(q * x.dimension, x.dimension);
    const std::vector<float> estimates = x.estimates(query);
    const std::vector<double> y = x.centred(query);
    std::vector<double> errors;
    for (std::size_t r = 0; r < x.count; ++r) {
      const std::vector<double> c = x.centred(x.row(r));
      double with_centre = 0;
      for (std::size_t i = 0; i < c.size(); ++i)
        with_centre += c[i] * static_cast<double>(x.model.centre()[i]);
      const double product = product_of(y, c);
      const double exact =
          form == centred_form::distance ? product_of(c, c) - 2 * product : -with_centre - product;
      errors.push_back(static_cast<double>(estimates[r]) - exact);
      const double of_row = sq8_largest(c) * std::sqrt(product_of(y, y)),
                   of_query = sq8_largest(y) * std::sqrt(product_of(c, c));
      const double unit = (form == centred_form::distance ? 2 : 1) * 0.00227;
      expected += unit * unit * (of_row * of_row + of_query * of_query);
    }
    for (const double e : errors) squares += e * e;
  }
  return std::sqrt(squares / expected);
}

}  // namespace

TEST_CASE("codes of bytes have the layout and the numbers that are documented") {
  for (const std::size_t d : {1u, 2u, 3u, 8u, 9u, 24u, 25u, 56u, 57u, 64u, 130u}) {
    for (const centred_form form : centred_forms) {
      CAPTURE(d);
      CAPTURE(static_cast<int>(form));
      const sq8_coded x(normal_rows(120, d, 1, 0.5f), d, form);
      const std::size_t code_bytes = x.model.code_bytes();
      CHECK(code_bytes >= d + 8);
      CHECK(code_bytes < d + 8 + std::max<std::size_t>(d + 8, 64));
      std::size_t wrong = 0, clamped = 0;
      double worst_factor = 0, worst_offset = 0;
      for (std::size_t r = 0; r < x.count; ++r) {
        const std::vector<double> c = x.centred(x.row(r));
        const double own = sq8_largest(c), range = static_cast<double>(x.model.range());
        // By the one step or the other.
        bool by_own = true, by_range = true;
        double product = 0;
        for (std::size_t i = 0; i < d; ++i) {
          const auto is = [&](double reach) {
            const double exact = std::clamp(127 * c[i] / reach, -127.0, 127.0);
            return std::abs(exact - x.bytes(r)[i]) < 0.501;
          };
          by_own = by_own && is(own);
          by_range = by_range && is(range);
          product += c[i] * x.bytes(r)[i];
        }
        wrong += static_cast<std::size_t>(!by_own && !by_range);
        clamped += static_cast<std::size_t>(!by_own);
        for (std::size_t i = d; i + 8 < code_bytes; ++i) wrong += static_cast<std::size_t>(x.code(r)[i] != 0);
        const double squares = product_of(c, c), scale = form == centred_form::distance ? 2 : 1;
        double with_centre = 0;
        for (std::size_t i = 0; i < d; ++i) with_centre += c[i] * static_cast<double>(x.model.centre()[i]);
        const auto [offset, factor] = x.tail(r);
        if (squares == 0) {
          CHECK(factor == 0);
          continue;
        }
        worst_factor =
            std::max(worst_factor, std::abs(static_cast<double>(factor) / (-scale * squares / product) - 1));
        worst_offset =
            std::max(worst_offset, std::abs(static_cast<double>(offset) -
                                            (form == centred_form::distance ? squares : -with_centre)) /
                                       (squares + std::abs(with_centre)));
      }
      CHECK(wrong == 0);
      CHECK(worst_factor < 1e-5);
      CHECK(worst_offset < 1e-5);
      if (d > 50) CHECK(clamped < 60);
    }
  }
}

TEST_CASE("estimates by bytes are what the formula says, to the bit, and the same one by one as together") {
  for (const std::size_t d : {1u, 7u, 20u, 56u, 100u, 128u, 200u}) {
    for (const centred_form form : centred_forms) {
      const sq8_coded x(normal_rows(150, d, 2, -0.25f), d, form);
      std::vector<float> query = normal_rows(1, d, 3);
      alidade::detail::aligned_bytes scratch(x.model.query_bytes());
      std::memset(scratch.data(), 0x33, scratch.size());
      const alidade::detail::sq8_query prepared = x.model.prepare(query, scratch.data());
      std::vector<float> expected;
      for (std::size_t r = 0; r < x.count; ++r) {
        std::int64_t product = 0;
        for (std::size_t i = 0; i < d; ++i) product += prepared.bytes[i] * x.bytes(r)[i];
        const auto [offset, factor] = x.tail(r);
        const float scaled = alidade::detail::unfused(prepared.scale * static_cast<float>(product));
        expected.push_back(alidade::detail::unfused(factor * scaled) + offset);
      }
      int largest = 0;
      for (std::size_t i = 0; i < d; ++i) largest = std::max(largest, std::abs(int{prepared.bytes[i]}));
      CHECK(largest == 127);
      for (std::size_t i = d; i < x.model.query_bytes(); ++i) CHECK(prepared.bytes[i] == 0);
      test::random random(4);
      for (const std::size_t count : {0u, 1u, 2u, 3u, 4u, 5u, 8u, 63u, 64u, 65u, 130u}) {
        std::vector<std::size_t> which;
        for (std::size_t i = 0; i < count; ++i) which.push_back(random.below(150));
        x.check_estimates(prepared, which, expected);
      }
    }
  }
}

TEST_CASE("estimates by bytes are off by what is documented, whatever the vectors are like") {
  const std::size_t d = 96, count = 200;
  for (const centred_form form : centred_forms) {
    for (const int kind : {0, 1, 2, 3, 4}) {
      test::random r(5);
      std::vector<float> all(220 * d);
      for (std::size_t i = 0; i < all.size(); ++i) {
        float x = r.normal();
        if (kind == 1) x = x * (i % d == 3 ? 100.0f : 1.0f);       // one dimension of its own scale
        if (kind == 2) x = r.below(50) == 0 ? 20 * x : 0.01f * x;  // spikes
        if (kind == 3) x += 500.0f + static_cast<float>(i % 5);    // a large mean
        if (kind == 4) x *= i / d % 10 == 0 ? 1000.0f : 1.0f;      // some vectors far out
        all[i] = x;
      }
      const std::vector<float> queries(all.begin() + count * d, all.end());
      all.resize(count * d);
      const sq8_coded x(all, d, form);
      CAPTURE(kind);
      CAPTURE(static_cast<int>(form));
      // Products with a mean of 500 are floats of 48,000, off by 2^-9.
      const double error = sq8_error(x, form, queries);
      CHECK(error < 1.35);
      CHECK(error > 0.1);
    }
  }
}

TEST_CASE(
    "an estimate by bytes is nearly exact for a query in the direction of the vector itself, far out as "
    "well") {
  for (const std::size_t d : {1u, 2u, 20u, 100u}) {
    std::vector<float> rows = normal_rows(60, d, 8, 1.0f);
    for (std::size_t i = 50 * d; i < rows.size(); ++i) rows[i] *= 1e4f;
    const sq8_coded x(rows, d, centred_form::distance, 50);
    for (std::size_t r = 0; r < 60; r += 7) {
      const std::vector<double> c = x.centred(x.row(r));
      const double squares = product_of(c, c);
      for (const double along : {1.0, -1.0, 0.25, 3.0}) {
        std::vector<float> query(d);
        for (std::size_t i = 0; i < d; ++i)
          query[i] = static_cast<float>(static_cast<double>(x.model.centre()[i]) + along * c[i]);
        const double estimate = static_cast<double>(x.estimates(query)[r]);
        CHECK(std::abs(estimate - squares * (1 - 2 * along)) < 0.01 * squares * std::abs(along) + 1e-4);
      }
    }
  }
}

TEST_CASE("codes of bytes are the same for any number of threads") {
  const std::vector<float> rows = normal_rows(70, 100, 11, 2.0f);
  const sq8_coded one(rows, 100, centred_form::distance);
  for (const std::size_t threads : {2u, 3u}) {
    const sq8_coded other(rows, 100, centred_form::distance, 100, threads);
    CHECK(std::memcmp(one.codes.data(), other.codes.data(), one.codes.size()) == 0);
  }
}

TEST_CASE("equal vectors have codes of bytes that do no harm") {
  for (const centred_form form : centred_forms) {
    for (const float value : {0.0f, 1.0f, -0.1f, 1e18f, 1e-18f, 1e-40f}) {
      for (const std::size_t d : {1u, 3u, 100u}) {
        const sq8_coded x(std::vector<float>(20 * d, value), d, form);
        const std::vector<float> own = x.estimates(x.row(0));
        for (const float e : own) CHECK((std::isfinite(e) && e == own[0]));
        for (const float e : x.estimates(std::vector<float>(d, 3.0f))) CHECK(std::isfinite(e));
      }
    }
  }
}

TEST_CASE("huge and tiny numbers have estimates by bytes like others, and such as overflow end no program") {
  constexpr std::size_t d = 40;
  for (const centred_form form : centred_forms) {
    const std::vector<float> rows = normal_rows(200, d, 13), queries = normal_rows(10, d, 14);
    for (const float factor : {1e18f, 1e9f, 1e-9f, 1e-16f}) {
      std::vector<float> scaled = rows, scaled_queries = queries;
      for (float& v : scaled) v *= factor;
      for (float& v : scaled_queries) v *= factor;
      const sq8_coded x(scaled, d, form);
      CHECK(sq8_error(x, form, scaled_queries) < 1.35);
    }
    for (const float factor : {1e18f, 1e-10f, 1e-30f, 1e-38f, 1e-42f}) {
      std::vector<float> mixed = rows;
      for (std::size_t i = 100 * d; i < mixed.size(); ++i) mixed[i] *= factor;
      const sq8_coded x(mixed, d, form);
      std::vector<float> query(queries.begin(), queries.begin() + d);
      for (const float of : {1.0f, factor, 0.0f}) {
        for (float& v : query) v *= of;
        for (const float e : x.estimates(query)) CHECK(std::isfinite(e));
      }
    }
    for (const float size : {1e20f, 1e30f, 3e38f, std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> some = normal_rows(50, d, 15);
      for (std::size_t i = 49 * d; i < some.size(); ++i) some[i] = i % 2 == 0 ? size : -size;
      for (const std::size_t learnt_from : {40u, 50u}) {
        const sq8_coded x(some, d, form, learnt_from);
        const std::vector<float> estimates = x.estimates(x.row(0));
        for (std::size_t r = 0; r < 49; ++r) CHECK(std::isfinite(estimates[r]));
        for (const float e : x.estimates(x.row(49))) CHECK_FALSE(std::isnan(e));
      }
    }
  }
}

TEST_CASE("sums of products of so many dimensions that 127 times 127 would overflow are right") {
  for (const std::size_t d : {133'143u, 133'145u, 300'000u}) {
    std::vector<float> rows(3 * d, 1.0f);
    std::fill_n(rows.begin() + static_cast<std::ptrdiff_t>(d), d, -1.0f);
    std::fill_n(rows.begin() + static_cast<std::ptrdiff_t>(2 * d), d, 0.0f);
    const sq8_coded x(rows, d, centred_form::distance, 3);
    const auto n = static_cast<double>(d);
    const std::vector<float> of_one = x.estimates(x.row(0)), of_other = x.estimates(x.row(1));
    CHECK(static_cast<double>(of_one[0]) == doctest::Approx(-n).epsilon(1e-4));
    CHECK(static_cast<double>(of_one[1]) == doctest::Approx(3 * n).epsilon(1e-4));
    CHECK(of_one[2] == 0.0f);
    CHECK(static_cast<double>(of_other[1]) == doctest::Approx(-n).epsilon(1e-4));
    CHECK(static_cast<double>(of_other[0]) == doctest::Approx(3 * n).epsilon(1e-4));
  }
}

TEST_CASE("options of codes of bytes have their ranges") {
  using alidade::detail::sq8_model;
  CHECK(sq8_model::valid({}));
  CHECK(sq8_model::valid({.quantile = 1, .train_rows = 1}));
  CHECK_FALSE(sq8_model::valid({.quantile = 0.5}));
  CHECK_FALSE(sq8_model::valid({.quantile = 1.01}));
  CHECK_FALSE(sq8_model::valid({.quantile = std::numeric_limits<double>::quiet_NaN()}));
  CHECK_FALSE(sq8_model::valid({.train_rows = 0}));
}

TEST_CASE("a model of bytes is saved and restored, and what it cannot have saved is refused") {
  using alidade::detail::sq8_model;
  const sq8_coded x(normal_rows(100, 20, 16, 1.0f), 20, centred_form::distance);
  alidade::detail::aligned_bytes bytes(x.model.saved_bytes());
  const std::span<std::byte> saved(bytes.data(), bytes.size());
  x.model.save(saved);
  sq8_model other(alidade::codecs::sq8{});
  REQUIRE(other.restore(saved, 20, centred_form::distance));
  CHECK(other.code_bytes() == x.model.code_bytes());
  CHECK(other.range() == x.model.range());
  alidade::detail::aligned_bytes codes(x.codes.size());
  std::vector<float> scratch(100 * 20);
  other.encode(x.rows, scratch, [&](std::size_t i) {
    return reinterpret_cast<std::uint8_t*>(codes.data()) + i * other.code_bytes();
  });
  CHECK(std::memcmp(codes.data(), x.codes.data(), codes.size()) == 0);

  sq8_model refused(alidade::codecs::sq8{});
  CHECK_FALSE(refused.restore(saved, 21, centred_form::distance));
  CHECK_FALSE(refused.restore(saved, 20, centred_form::product));
  CHECK_FALSE(refused.restore(saved.first(saved.size() - 4), 20, centred_form::distance));
  CHECK_FALSE(refused.restore({}, 20, centred_form::distance));
  const auto spoilt = [&](std::size_t at, auto value) {
    alidade::detail::aligned_bytes bad(bytes.size());
    std::memcpy(bad.data(), bytes.data(), bytes.size());
    std::memcpy(bad.data() + at, &value, sizeof(value));
    return refused.restore(std::span<const std::byte>(bad.data(), bad.size()), 20, centred_form::distance);
  };
  CHECK(spoilt(0, std::uint64_t{1}));
  CHECK_FALSE(spoilt(0, std::uint64_t{0}));
  CHECK_FALSE(spoilt(8, 0.5));
  CHECK_FALSE(spoilt(8, std::numeric_limits<double>::quiet_NaN()));
  CHECK_FALSE(spoilt(16, -1.0f));
  CHECK_FALSE(spoilt(16, std::numeric_limits<float>::infinity()));
  CHECK_FALSE(spoilt(20, std::uint32_t{7}));
  CHECK_FALSE(spoilt(24, std::numeric_limits<float>::quiet_NaN()));
}
