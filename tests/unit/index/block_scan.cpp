#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/index/flat_index.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

enum class shape { plain, far_from_origin, tiny, huge, few_values, one_row_many_times };

template <class T>
T make(double x) {
  if constexpr (sizeof(T) == 2) {
    return T(static_cast<float>(x));
  } else if constexpr (std::is_integral_v<T>) {
    const double moved = std::is_signed_v<T> ? 100 * x : 100 + 100 * x;
    return static_cast<T>(std::min(std::max(moved, static_cast<double>(std::numeric_limits<T>::min())),
                                   static_cast<double>(std::numeric_limits<T>::max())));
  } else {
    return static_cast<T>(x);
  }
}

template <class T>
std::vector<T> values_of(shape kind, std::size_t rows, std::size_t columns, test::random& r) {
  std::vector<T> out(rows * columns);
  for (std::size_t i = 0; i < out.size(); ++i) {
    double x = r.uniform();
    if (kind == shape::far_from_origin) x = 100 + 0.001 * x;
    if (kind == shape::tiny) x *= std::is_same_v<T, f16> ? 1e-6 : 1e-37;
    if (kind == shape::huge) x *= std::is_same_v<T, f16> ? 6e4 : 1e19;
    if (kind == shape::few_values) x = std::floor(2 * x) / 2;
    if (kind == shape::one_row_many_times) x = std::sin(static_cast<double>(i % columns));
    out[i] = make<T>(x);
  }
  if (kind == shape::one_row_many_times && !out.empty()) out.back() = make<T>(-0.5);
  return out;
}

/// A batch against one query at a time, which measures every pair.
template <class T, class Metric>
void compare(const std::vector<T>& values, const std::vector<T>& asked, std::size_t columns, std::size_t k) {
  flat_index<T, Metric> index(columns);
  std::error_code ec;
  for (std::size_t i = 0; i < values.size() / columns;
       ++i)  // keys out of order; what the metric refuses is left out
    index.add((i * 7919) % 100'003, std::span<const T>(values).subspan(i * columns, columns), ec);
  std::vector<T> good;
  for (std::size_t q = 0; q < asked.size() / columns; ++q) {
    const std::span<const T> query = std::span<const T>(asked).subspan(q * columns, columns);
    index.search(query, {.k = 1}, ec);
    if (!ec) good.insert(good.end(), query.begin(), query.end());
  }
  const matrix_view<T> batch(good.data(), good.size() / columns, columns);
  for (const std::size_t threads : {1u, 3u}) {
    const auto together = index.search(batch, {.k = k, .threads = threads});
    std::size_t different = 0;
    for (std::size_t q = 0; q < batch.rows(); ++q) {
      const auto alone = index.search(batch[q], {.k = k});
      different += !std::equal(alone.begin(), alone.end(), together[q].begin(), together[q].end());
    }
    CHECK(different == 0);
  }
}

template <class T, class Metric>
void check_batches(std::size_t rows, std::size_t columns, std::size_t queries, std::size_t k, shape kind) {
  test::random r(static_cast<std::uint32_t>(rows + 31 * columns + 7 * queries));
  const auto values = values_of<T>(kind, rows, columns, r), asked = values_of<T>(kind, queries, columns, r);
  compare<T, Metric>(values, asked, columns, k);
}

/// Rows and queries of different sizes, rows so near each other that rounding decides, and rows that bf16 holds exactly.
template <class T, class Metric>
void check_sizes() {
  constexpr std::size_t rows = 200, columns = 96, queries = 20;
  test::random r(21);
  for (const auto& [row_size, query_size] : {std::pair{1.0, 1e-24},
                                             {1e-25, 1.0},
                                             {1e18, 1e-30},
                                             {1.0, 1e-20},
                                             {1.2e19, 1.2e19},
                                             {1e38, 1e-30},
                                             {1e-30, 1e-30},
                                             {1e15, 1e15}}) {
    for (const double spread : {1e-7, 1e-4, 1.0}) {
      std::vector<T> values(rows * columns), asked(queries * columns);
      const auto one = r.vector<float>(columns);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double near = static_cast<double>(one[i % columns]) + spread * static_cast<double>(r.uniform());
        const double x = spread == 1.0 ? std::floor(8 * static_cast<double>(r.uniform())) : near;
        values[i] = static_cast<T>(row_size * x);
      }
      for (T& x : asked) x = static_cast<T>(query_size * static_cast<double>(r.uniform()));
      compare<T, Metric>(values, asked, columns, 5);
    }
  }
}

template <class T, class Metric>
void check_metric() {
  for (const shape kind : {shape::plain, shape::far_from_origin, shape::tiny, shape::huge, shape::few_values,
                           shape::one_row_many_times}) {
    check_batches<T, Metric>(300, 33, 30, 10, kind);
    check_batches<T, Metric>(70, 5, 13, 100, kind);
  }
  for (const std::size_t columns : {1u, 2u, 15u, 16u, 17u, 64u, 100u})
    check_batches<T, Metric>(150, columns, 25, 3, shape::plain);
  for (const std::size_t rows : {0u, 1u, 31u, 32u, 33u, 513u})
    check_batches<T, Metric>(rows, 20, 9, 5, shape::plain);
  for (const std::size_t queries : {1u, 7u, 8u, 12u, 24u})
    check_batches<T, Metric>(100, 20, queries, 5, shape::plain);
}

}  // namespace

TEST_CASE_TEMPLATE("a batch has the answers of its queries alone, bit for bit", T, float, double, f16, bf16,
                   std::int8_t, std::uint8_t) {
  check_metric<T, metrics::l2_squared>();
  check_metric<T, metrics::inner_product>();
  check_metric<T, metrics::cosine>();
}

TEST_CASE_TEMPLATE("so it has where sizes differ, vanish or overflow", T, float, double) {
  check_sizes<T, metrics::l2_squared>();
  check_sizes<T, metrics::inner_product>();
  check_sizes<T, metrics::cosine>();
}

TEST_CASE("so it has in reproducible metrics") {
  check_metric<float, metrics::reproducible<metrics::l2_squared>>();
  check_metric<float, metrics::reproducible<metrics::inner_product>>();
  check_metric<float, metrics::reproducible<metrics::cosine>>();
  check_metric<f16, metrics::reproducible<metrics::l2_squared>>();
}

TEST_CASE("estimates stay within what they say they may be off") {
  using tile = detail::product_tile;
  test::random r(9);
  for (const std::size_t n : {1u, 2u, 7u, 31u, 100u, 769u}) {
    for (const double scale : {1.0, 1e-18, 1e-37, 1e15}) {
      const std::size_t units = tile::units(n);
      std::vector<std::vector<float>> a(tile::rows), b(tile::width);
      std::vector<std::vector<std::uint32_t>> packed(tile::rows + tile::width,
                                                     std::vector<std::uint32_t>(units));
      std::vector<const std::uint32_t*> pointers;
      std::vector<double> norms, lost;
      std::vector<float> scratch(n);
      const auto add = [&](std::vector<float>& v) {
        v = r.vector<float>(n);
        double square = 0;
        for (float& x : v) {
          x = static_cast<float>(x * scale);
          square += static_cast<double>(x) * x;
        }
        auto& into = packed[pointers.size()];
        lost.push_back(tile::to_units(v.data(), n, scratch.data(), into.data()));
        norms.push_back(std::sqrt(square));
        pointers.push_back(into.data());
      };
      for (auto& v : a) add(v);
      for (auto& v : b) add(v);
      detail::aligned_bytes rows(tile::rows * units * 4), panel(tile::width * units * 4);
      auto* const row_words = reinterpret_cast<std::uint32_t*>(rows.data());
      auto* const panel_words = reinterpret_cast<std::uint32_t*>(panel.data());
      tile::pack(pointers.data(), pointers.size() - tile::width, tile::rows, units, row_words);
      tile::pack(pointers.data() + tile::rows, pointers.size() - tile::rows, tile::width, units, panel_words);
      tile::V sums[tile::rows][2];
      tile::multiply(std::make_index_sequence<tile::rows>{}, row_words, panel_words, units, sums);
      for (std::size_t i = 0; i < tile::rows; ++i) {
        float estimates[tile::width];
        store(estimates, sums[i][0]);
        store(estimates + tile::V::lanes, sums[i][1]);
        for (std::size_t j = 0; j < tile::width; ++j) {
          double product = 0;
          for (std::size_t m = 0; m < n; ++m) product += static_cast<double>(a[i][m]) * b[j][m];
          const double off = std::abs(static_cast<double>(estimates[j]) - product);
          CHECK(off <= tile::rounding(n, norms[i], lost[i], norms[tile::rows + j], lost[tile::rows + j]));
        }
      }
    }
  }
}
