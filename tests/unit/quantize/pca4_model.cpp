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

#include <alidade/core/bits.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/quantize/pca4_model.hpp>
#include <alidade/quantize/projection.hpp>

#include "../../support.hpp"
#include "quantize_support.hpp"

namespace {

using alidade::detail::centred_form;
using test::centred_forms;
using test::normal_rows;
using test::product_of;
using test::same_bits;

struct pca4_coded : test::coded_rows<alidade::detail::pca4_model> {
  pca4_coded(std::vector<float> rows_, std::size_t dimension_, centred_form form, std::size_t code_bytes = 64,
             std::size_t train_rows = 100, std::size_t threads = 1)
      : coded_rows(std::move(rows_), dimension_, alidade::codecs::pca4{code_bytes, 8192, 42}) {
    CHECK(model.dimension() == 0);
    learn(form, train_rows, threads);
    CHECK(model.dimension() == dimension);
  }
};

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

float pca4_rounded_product(float a, float b) { return alidade::detail::unfused(a * b); }

}  // namespace

TEST_CASE("codes have the layout and the numbers that are documented") {
  for (const std::size_t code_bytes : {64u, 128u, 192u}) {
    for (const std::size_t d : {1u, 2u, 55u, 56u, 57u, 112u, 113u, 130u}) {
      if (code_bytes != 64 && d < 112) continue;
      for (const centred_form form : centred_forms) {
        CAPTURE(code_bytes);
        CAPTURE(d);
        CAPTURE(static_cast<int>(form));
        const std::vector<float> rows = normal_rows(40, d, 1, 0.5f);
        const pca4_coded x(rows, d, form, code_bytes);
        const std::size_t half = code_bytes - 8, n = std::min(d, 2 * half);
        CHECK(x.model.code_bytes() == code_bytes);
        CHECK(x.model.dimension() == d);
        CHECK(x.model.components() == n);
        // The projection that the model has, learnt again.
        alidade::detail::projection projection;
        std::vector<float> centred = rows;
        const std::size_t learnt = projection.learn_mean(centred, d);
        projection.learn_subspace(std::span(centred).first(learnt * d), 2 * half, 42, 1);
        double least_cosine = 1, worst_offset = 0, worst_factor = 0;
        std::size_t wrong = 0;
        for (std::size_t r = 0; r < x.count; ++r) {
          std::vector<float> y(n);
          std::vector<float> copy(x.row(r).begin(), x.row(r).end());
          projection.centre(copy);
          projection.apply(copy, y);
          double uy = 0, uu = 0, yy = 0;
          for (std::size_t i = 0; i < half; ++i) {
            for (const std::size_t upper : {0u, 1u}) {
              const std::size_t nibble = upper == 0 ? x.code(r)[i] & 15 : x.code(r)[i] >> 4,
                                at = i + upper * half;
              if (at >= n) {
                wrong += static_cast<std::size_t>(nibble != 0);
                continue;
              }
              const double u = static_cast<double>(nibble) - 7.5, v = static_cast<double>(y[at]);
              uy += u * v;
              uu += u * u;
              yy += v * v;
            }
          }
          least_cosine = std::min(least_cosine, uy / std::sqrt(uu * yy));
          const std::pair<float, float> tail = x.tail(r);
          const double scale = form == centred_form::distance ? 2 : 1;
          double squares = 0, with_mean = 0;
          for (std::size_t i = 0; i < d; ++i) {
            const double m = static_cast<double>(projection.mean()[i]),
                         c = static_cast<double>(x.row(r)[i]) - m;
            squares += c * c;
            with_mean += c * m;
          }
          const double offset = form == centred_form::distance ? squares : -with_mean;
          worst_offset = std::max(worst_offset, std::abs(static_cast<double>(tail.first) - offset) / squares);
          worst_factor =
              std::max(worst_factor, std::abs(static_cast<double>(tail.second) / (-scale * yy / uy) - 1));
        }
        CHECK(wrong == 0);
        CHECK(least_cosine > 0.985);
        CHECK(worst_offset < 1e-4);
        CHECK(worst_factor < 1e-3);
      }
    }
  }
}

TEST_CASE("estimates are what the formula says, to the bit, and the same one by one as together") {
  for (const std::size_t code_bytes : {64u, 128u, 192u}) {
    for (const centred_form form : centred_forms) {
      const std::size_t d = code_bytes == 64 ? 100 : 150;
      const pca4_coded x(normal_rows(40, d, 2, -0.25f), d, form, code_bytes);
      std::vector<float> query = normal_rows(1, d, 3);
      alidade::detail::aligned_bytes scratch(x.model.query_bytes());
      std::memset(scratch.data(), 0x33, scratch.size());
      const alidade::detail::pca4_query prepared = x.model.prepare(query, scratch.data());
      std::int64_t sum = 0;
      int largest = 0;
      for (std::size_t i = 0; i < code_bytes; ++i) {
        for (const std::int8_t q : {prepared.low[i], prepared.high[i]}) {
          sum += q;
          largest = std::max(largest, std::abs(static_cast<int>(q)));
          CHECK((i < code_bytes - 8 || q == 0));
        }
      }
      CHECK(largest == 127);
      CHECK(static_cast<double>(prepared.constant) ==
            doctest::Approx(-7.5 * static_cast<double>(prepared.scale) * static_cast<double>(sum))
                .epsilon(1e-5));
      std::vector<float> expected;
      for (std::size_t r = 0; r < x.count; ++r) {
        std::int64_t product = 0;
        for (std::size_t i = 0; i + 8 < code_bytes; ++i)
          product += prepared.low[i] * (x.code(r)[i] % 16) + prepared.high[i] * (x.code(r)[i] / 16);
        const std::pair<float, float> tail = x.tail(r);
        const float scaled =
            pca4_rounded_product(prepared.scale, static_cast<float>(product)) + prepared.constant;
        expected.push_back(pca4_rounded_product(tail.second, scaled) + tail.first);
      }
      test::random random(4);
      for (std::size_t count = 0; count <= 40; ++count) {
        std::vector<std::size_t> which;
        for (std::size_t i = 0; i < count; ++i)  // in any order, some of them twice
          which.push_back(count == 40 ? i : random.below(40));
        CAPTURE(code_bytes);
        CAPTURE(count);
        x.check_estimates(prepared, which, expected);
      }
    }
  }
}

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

TEST_CASE("an estimate is nearly exact for a query in the direction of the vector itself") {
  for (const std::size_t d : {1u, 2u, 3u, 20u, 100u, 112u}) {
    const pca4_coded x(normal_rows(60, d, 8, 1.0f), d, centred_form::distance);
    std::vector<double> mean(d);
    for (std::size_t r = 0; r < 60; ++r) {
      for (std::size_t i = 0; i < d; ++i) mean[i] += static_cast<double>(x.row(r)[i]) / 60;
    }
    for (std::size_t r = 0; r < 60; r += 7) {
      for (const double along : {1.0, -1.0, 0.25, 3.0}) {
        std::vector<float> query(d);
        double squares = 0;
        for (std::size_t i = 0; i < d; ++i) {
          const double centred = static_cast<double>(x.row(r)[i]) - mean[i];
          squares += centred * centred;
          query[i] = static_cast<float>(mean[i] + along * centred);
        }
        CAPTURE(d);
        CAPTURE(r);
        CAPTURE(along);
        const double estimate = static_cast<double>(x.estimates(query)[r]);
        CHECK(std::abs(estimate - squares * (1 - 2 * along)) < 0.01 * squares * std::abs(along) + 1e-4);
      }
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

TEST_CASE("codes are the same for any number of threads, on a second time and alone") {
  for (const std::size_t d : {100u, 120u}) {
    const std::vector<float> rows = normal_rows(70, d, 11, 2.0f);
    for (const centred_form form : centred_forms) {
      const pca4_coded one(rows, d, form);
      for (const std::size_t threads : {2u, 3u}) {
        const pca4_coded other(rows, d, form, 64, 100, threads);
        CHECK(std::memcmp(one.codes.data(), other.codes.data(), one.codes.size()) == 0);
      }
      alidade::detail::aligned_bytes again(one.codes.size());
      one.encode(rows, again);
      CHECK(std::memcmp(one.codes.data(), again.data(), again.size()) == 0);
      std::size_t different = 0;
      for (std::size_t r = 0; r < one.count; ++r) {
        alidade::detail::aligned_bytes alone(64);
        one.encode(one.row(r), alone);
        different += static_cast<std::size_t>(std::memcmp(alone.data(), one.code(r), 64) != 0);
      }
      CHECK(different == 0);
    }
  }
}

TEST_CASE("equal vectors, and the mean itself, have codes that do no harm") {
  for (const centred_form form : centred_forms) {
    for (const float value : {0.0f, 1.0f, -0.1f, 1e18f, 1e-18f, 1e-40f}) {
      for (const std::size_t d : {1u, 3u, 100u, 115u}) {
        CAPTURE(value);
        CAPTURE(d);
        const pca4_coded x(std::vector<float>(20 * d, value), d, form);
        const std::vector<float> own = x.estimates(x.row(0));
        for (const float e : own) {
          CHECK(std::isfinite(e));
          CHECK(same_bits(e, own[0]));
        }
        for (const float e : x.estimates(std::vector<float>(d, 3.0f))) CHECK(std::isfinite(e));
      }
    }
    // The mean among other vectors: as a row its estimate is 0, as a query it leaves the offsets.
    constexpr std::size_t d = 30;
    std::vector<float> rows = normal_rows(20, d, 12);
    for (std::size_t i = 0; i < 20 * d; ++i) rows.push_back(-rows[i]);
    rows.resize(41 * d, 0.0f);
    const pca4_coded x(rows, d, form);
    for (std::size_t r = 0; r < 41; ++r) CHECK(std::abs(x.estimates(x.row(r))[40]) < 1e-3f);
    const std::vector<float> from_mean = x.estimates(x.row(40));
    for (std::size_t r = 0; r < 41; ++r) {
      const double offset = form == centred_form::distance ? product_of(x.row(r), x.row(r)) : 0;
      CHECK(static_cast<double>(from_mean[r]) == doctest::Approx(offset).epsilon(1e-4).scale(1));
    }
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

TEST_CASE("numbers whose squares overflow, and infinity and NaN, end no program") {
  constexpr std::size_t d = 20;
  for (const centred_form form : centred_forms) {
    for (const float size : {1e20f, 1e30f, 3e38f, std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> rows = normal_rows(50, d, 15);
      for (std::size_t i = 49 * d; i < rows.size(); ++i) rows[i] = i % 2 == 0 ? size : -size;
      const pca4_coded x(rows, d, form, 64, 40);  // which it has not learnt from
      CHECK(x.estimates(x.row(49)).size() == 50);
      const std::vector<float> estimates = x.estimates(x.row(0));
      for (std::size_t r = 0; r < 49; ++r) CHECK(std::isfinite(estimates[r]));
      const pca4_coded learnt(rows, d, form, 64, 50);
      CHECK(learnt.estimates(learnt.row(49)).size() == 50);
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
