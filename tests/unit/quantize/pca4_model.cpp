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
using test::pca4_coded;
using test::product_of;
using test::same_bits;

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
