#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <alidade/quantize/pca4_model.hpp>

#include "../../support.hpp"
#include "quantize_support.hpp"

namespace {

using alidade::detail::centred_form;
using test::centred_forms;
using test::normal_rows;
using test::pca4_coded;
using test::product_of;

/// What the estimates are of, less what is the same for all rows.
double pca4_exact(centred_form form, std::span<const float> query, std::span<const float> row) {
  return form == centred_form::distance ? product_of(row, row) - 2 * product_of(query, row)
                                        : -product_of(query, row);
}

/// How estimates differ from what they are of, but for a constant, in units of the deviation of what they are of; and how often the
/// nearest row is among those of the 20 best estimates.
struct pca4_quality {
  double error = 0, bias = 0, correlation = 0;
  std::size_t found = 0;
};

pca4_quality pca4_measured(const pca4_coded& x, centred_form form, const std::vector<float>& queries) {
  const std::size_t n = x.count, query_count = queries.size() / x.dimension;
  pca4_quality all;
  for (std::size_t q = 0; q < query_count; ++q) {
    const std::span<const float> query = std::span(queries).subspan(q * x.dimension, x.dimension);
    const std::vector<float> estimates = x.estimates(query);
    std::vector<double> exact(n);
    double mean = 0, estimated_mean = 0;
    for (std::size_t i = 0; i < n; ++i) {
      exact[i] = pca4_exact(form, query, x.row(i));
      mean += exact[i] / static_cast<double>(n);
      estimated_mean += static_cast<double>(estimates[i]) / static_cast<double>(n);
    }
    double exact_squares = 0, squares = 0, products = 0, errors = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double a = exact[i] - mean, b = static_cast<double>(estimates[i]) - estimated_mean;
      exact_squares += a * a;
      squares += b * b;
      products += a * b;
      errors += (a - b) * (a - b);
    }
    all.error += std::sqrt(errors / exact_squares) / static_cast<double>(query_count);
    all.bias += (products / exact_squares - 1) / static_cast<double>(query_count);
    all.correlation += products / std::sqrt(exact_squares * squares) / static_cast<double>(query_count);
    const auto nearest =
        static_cast<std::size_t>(std::min_element(exact.begin(), exact.end()) - exact.begin());
    std::size_t before = 0;
    for (const float e : estimates) before += static_cast<std::size_t>(e < estimates[nearest]);
    all.found += static_cast<std::size_t>(before < 20);
  }
  return all;
}

}  // namespace

TEST_CASE("estimates come near to distances and have no bias, where all dimensions are kept") {
  struct shape {
    std::size_t code_bytes, dimension;
    double error;
  };
  for (const shape& of :
       {shape{64, 16, 0.14}, shape{64, 100, 0.14}, shape{64, 112, 0.14}, shape{128, 200, 0.14}}) {
    const std::size_t d = of.dimension;
    for (const centred_form form : centred_forms) {
      CAPTURE(d);
      CAPTURE(static_cast<int>(form));
      const pca4_coded x(normal_rows(1000, d, 5), d, form, of.code_bytes);
      const pca4_quality all = pca4_measured(x, form, normal_rows(25, d, 6));
      CHECK(all.error < of.error);
      CHECK(std::abs(all.bias) < 0.02);
      CHECK(all.correlation > 0.99);
      CHECK(all.found >= 24);
    }
  }
}

TEST_CASE(
    "the nearest are among the best estimates, with a large mean, and where most dimensions are dropped") {
  constexpr std::size_t d = 150, rank = 40;
  test::random r(7);
  const std::vector<float> basis = r.vector<float>(rank * d);
  for (const float mean : {0.0f, 1.0f, 50.0f}) {
    std::vector<float> points(1025 * d);
    for (std::size_t row = 0; row < 1025; ++row) {
      std::vector<float> c(rank);
      for (float& v : c) v = r.normal();
      for (std::size_t i = 0; i < d; ++i) {
        float v = mean * (i % 3 == 0 ? -1.0f : 1.0f) + 0.05f * r.normal();
        for (std::size_t j = 0; j < rank; ++j) v += c[j] * basis[j * d + i];
        points[row * d + i] = v;
      }
    }
    const std::vector<float> queries(points.begin() + 1000 * d, points.end());
    points.resize(1000 * d);
    for (const centred_form form : centred_forms) {
      CAPTURE(mean);
      CAPTURE(static_cast<int>(form));
      const pca4_coded x(points, d, form);
      const pca4_quality all = pca4_measured(x, form, queries);
      CHECK(all.error < 0.15);
      CHECK(std::abs(all.bias) < 0.02);
      CHECK(all.correlation > 0.99);
      CHECK(all.found >= 24);
    }
  }
}

TEST_CASE("a code with room for more of the components estimates better") {
  constexpr std::size_t d = 200;
  const std::vector<float> rows = normal_rows(300, d, 9), queries = normal_rows(5, d, 10);
  for (const centred_form form : centred_forms) {
    const pca4_quality some = pca4_measured(pca4_coded(rows, d, form, 64, 150), form, queries);
    const pca4_quality all = pca4_measured(pca4_coded(rows, d, form, 128, 150), form, queries);
    CHECK(some.error > 0.3);
    CHECK(some.error < 0.9);  // of the part that is kept it is as good
    CHECK(all.error < 0.14);
    CHECK(all.correlation > some.correlation);
  }
}

TEST_CASE("huge and tiny numbers have estimates of the order that others have") {
  constexpr std::size_t d = 100;
  for (const centred_form form : centred_forms) {
    const std::vector<float> rows = normal_rows(200, d, 13), queries = normal_rows(10, d, 14);
    for (const float factor : {1e18f, 1e9f, 1e-9f, 1e-16f}) {
      std::vector<float> scaled = rows, scaled_queries = queries;
      for (float& v : scaled) v *= factor;
      for (float& v : scaled_queries) v *= factor;
      const pca4_coded x(scaled, d, form);
      const pca4_quality all = pca4_measured(x, form, scaled_queries);
      CAPTURE(factor);
      CHECK(all.error < 0.15);
      CHECK(std::abs(all.bias) < 0.03);
      CHECK(all.found == 10);
    }
    // Of other sizes than what was learnt from; what is below the smallest normal number may count as zero.
    for (const float factor : {1e18f, 1e10f, 1e-10f, 1e-18f, 1e-30f, 1e-38f, 1e-42f}) {
      std::vector<float> mixed = rows;
      for (std::size_t i = 100 * d; i < mixed.size(); ++i) mixed[i] *= factor;
      const pca4_coded x(mixed, d, form);
      std::vector<float> query(queries.begin(), queries.begin() + d);
      for (const float of : {1.0f, factor, 0.0f}) {
        CAPTURE(factor);
        CAPTURE(of);
        for (float& v : query) v *= of;
        for (const float e : x.estimates(query)) CHECK(std::isfinite(e));
      }
    }
  }
}

TEST_CASE("the width of codes is chosen by how late neighbours come") {
  // Deviations along the axes: a few directions are all, or all are as good as each other.
  const auto chosen = [](std::size_t d, std::size_t count, double fall, std::size_t threads,
                         std::size_t asked = 0) {
    std::vector<float> rows = normal_rows(count, d, 31);
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i] *= static_cast<float>(std::pow(static_cast<double>(i % d + 1), -fall));
    alidade::detail::pca4_model model(alidade::codecs::pca4{.code_bytes = asked});
    CHECK(model.code_bytes() == asked);
    model.train(rows, d, centred_form::distance, threads);
    CHECK(model.components() == std::min(d, 2 * (model.code_bytes() - 8)));
    return model.code_bytes();
  };
  CHECK(chosen(400, 600, 1.5, 1) == 64);
  CHECK(chosen(320, 2000, 0, 1) == 192);
  CHECK(chosen(112, 600, 0, 1) == 64);   // nothing is left out
  CHECK(chosen(200, 600, 0, 1) == 128);  // nor here
  CHECK(chosen(200, 600, 0, 3) == 128);
  CHECK(chosen(200, 100, 0, 1, 64) == 64);
  CHECK(chosen(200, 100, 1.5, 1, 192) == 192);
  for (const std::size_t count : {1u, 2u, 7u, 8u, 9u, 16u, 20u}) {
    CAPTURE(count);
    CHECK(chosen(130, count, 0, 1) >= 64);
  }
}

TEST_CASE("the width of codes of inner products is chosen by inner products") {
  // Long vectors are everybody's neighbours, by the one direction that all have: any width tells them.
  constexpr std::size_t d = 320, count = 800;
  std::vector<float> rows = normal_rows(count, d, 32);
  for (std::size_t i = 0; i < count; ++i) rows[i * d] = 1000 + 100 * static_cast<float>(i);
  for (const centred_form form : centred_forms) {
    std::vector<float> copy = rows;
    alidade::detail::pca4_model model(alidade::codecs::pca4{});
    model.train(copy, d, form, 1);
    CHECK(model.code_bytes() == 64);
  }
  // Where that direction is the same for all, it is not.
  for (std::size_t i = 0; i < count; ++i) rows[i * d] = 1000;
  alidade::detail::pca4_model model(alidade::codecs::pca4{});
  model.train(rows, d, centred_form::product, 1);
  CHECK(model.code_bytes() == 192);
}
