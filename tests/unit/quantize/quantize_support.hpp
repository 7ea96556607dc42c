#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <alidade/memory/aligned.hpp>
#include <alidade/quantize/centred_form.hpp>
#include <alidade/quantize/pca4_model.hpp>

#include "../../support.hpp"

/// What the tests of models and their codes share.
namespace test {

inline constexpr alidade::detail::centred_form centred_forms[] = {alidade::detail::centred_form::distance,
                                                                  alidade::detail::centred_form::product};

/// Rows of independent, nearly normal numbers.
inline std::vector<float> normal_rows(std::size_t count, std::size_t dimension, std::uint32_t seed,
                                      float mean = 0, float deviation = 1) {
  random r(seed);
  std::vector<float> rows(count * dimension);
  for (float& x : rows) x = mean + deviation * r.normal();
  return rows;
}

template <class Vector>
double product_of(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

inline bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

/// Rows, and the codes that a model has for them once it has learnt. What is written or read behind codes or a prepared query, the address
/// sanitizer sees.
template <class Model>
struct coded_rows {
  std::size_t dimension, count;
  std::vector<float> rows;
  Model model;
  alidade::detail::aligned_bytes codes;

  template <class Codec>
  coded_rows(std::vector<float> rows_, std::size_t dimension_, const Codec& codec)
      : dimension(dimension_), count(rows_.size() / dimension_), rows(std::move(rows_)), model(codec) {}

  /// From the first rows; then all are encoded.
  void learn(alidade::detail::centred_form form, std::size_t train_rows, std::size_t threads) {
    const auto some = static_cast<std::ptrdiff_t>(std::min(train_rows, count) * dimension);
    std::vector<float> sample(rows.begin(), rows.begin() + some);
    model.train(sample, dimension, form, threads);
    codes = alidade::detail::aligned_bytes(count * model.code_bytes());
    std::memset(codes.data(), 0xa5, codes.size());
    encode(rows, codes);
  }

  void encode(std::span<const float> from, alidade::detail::aligned_bytes& to) const {
    std::vector<float> copy(from.begin(), from.end()), scratch(from.size() / dimension * model.row_floats());
    model.encode(copy, scratch, [&](std::size_t i) {
      return reinterpret_cast<std::uint8_t*>(to.data()) + i * model.code_bytes();
    });
  }

  std::span<const float> row(std::size_t i) const {
    return std::span(rows).subspan(i * dimension, dimension);
  }
  const std::uint8_t* code(std::size_t i) const {
    return reinterpret_cast<const std::uint8_t*>(codes.data()) + i * model.code_bytes();
  }
  /// The two floats behind the components.
  std::pair<float, float> tail(std::size_t i) const {
    float t[2];
    std::memcpy(t, code(i) + model.code_bytes() - 8, 8);
    return {t[0], t[1]};
  }

  std::vector<float> estimates(std::span<const float> query) const {
    alidade::detail::aligned_bytes scratch(model.query_bytes());
    std::memset(scratch.data(), 0x5a, scratch.size());
    std::vector<float> copy(query.begin(), query.end());  // which a model may centre
    const auto prepared = model.prepare(copy, scratch.data());
    std::vector<const std::uint8_t*> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(code(i));
    std::vector<float> out(count);
    model.estimate(prepared, all.data(), count, out.data());
    return out;
  }

  /// The estimates of these rows, in any order, are the expected ones of all, to the bit, together and one by one; and nothing is written
  /// behind them.
  template <class Query>
  void check_estimates(const Query& prepared, const std::vector<std::size_t>& which,
                       const std::vector<float>& expected) const {
    std::vector<const std::uint8_t*> chosen;
    for (const std::size_t i : which) chosen.push_back(code(i));
    std::vector<float> out(which.size() + 1, 4711.0f);
    model.estimate(prepared, chosen.data(), which.size(), out.data());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < which.size(); ++i) {
      wrong += static_cast<std::size_t>(!same_bits(out[i], expected[which[i]]));
      float alone = 0;
      model.estimate(prepared, &chosen[i], 1, &alone);
      wrong += static_cast<std::size_t>(!same_bits(alone, out[i]));
    }
    CHECK(wrong == 0);
    CHECK(out.back() == 4711.0f);
  }
};

/// The same by codes of pca4.
struct pca4_coded : coded_rows<alidade::detail::pca4_model> {
  pca4_coded(std::vector<float> rows_, std::size_t dimension_, alidade::detail::centred_form form,
             std::size_t code_bytes = 64, std::size_t train_rows = 100, std::size_t threads = 1)
      : coded_rows(std::move(rows_), dimension_, alidade::codecs::pca4{code_bytes, 8192, 42}) {
    CHECK(model.dimension() == 0);
    learn(form, train_rows, threads);
    CHECK(model.dimension() == dimension);
  }
};

}  // namespace test
