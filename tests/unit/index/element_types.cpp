#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

/// Rows near a few centres, in any element type.
template <class T>
std::vector<T> clustered(std::size_t rows, std::size_t columns) {
  test::random r(5);
  constexpr std::size_t centres = 20;
  const auto centre = r.vector<T>(centres * columns);
  std::vector<T> values(rows * columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T base = centre[(i / columns % centres) * columns + i % columns];
    const float noise = 0.2f * r.normal();
    if constexpr (std::is_floating_point_v<T>) {
      values[i] = base + static_cast<T>(noise);
    } else if constexpr (sizeof(T) == 2) {
      values[i] = T(static_cast<float>(base) + noise);
    } else if constexpr (std::is_same_v<T, bits8>) {
      values[i] = static_cast<bits8>(static_cast<unsigned>(base) ^ (r.below(3) == 0 ? 1u << r.below(8) : 0u));
    } else {
      const float moved = static_cast<float>(base) + 20.0f * noise;
      values[i] = static_cast<T>(std::clamp(moved, static_cast<float>(std::numeric_limits<T>::min()),
                                            static_cast<float>(std::numeric_limits<T>::max())));
    }
  }
  return values;
}

template <class T>
struct sample {
  static constexpr std::size_t rows = 600, queries = 50, k = 10;
  static constexpr std::size_t columns =
      std::is_same_v<T, bits8> ? 32 : 19;  // neither a multiple of the registers' lanes

  sample() : keys(rows) {
    for (std::size_t i = 0; i < rows; ++i) keys[i] = 7 * i;
  }
  std::vector<T> values = clustered<T>(rows, columns);
  std::vector<std::uint64_t> keys;
  matrix_view<T> data{values.data(), rows, columns};
  matrix_view<T> asked{values.data(), queries, columns};
};

/// The flat index against a sort of all distances, by the metric's own call.
template <class T, class Metric>
void check_flat_index() {
  const sample<T> s;
  flat_index<T, Metric> flat(s.columns);
  flat.add(s.keys, s.data);
  const auto exact = flat.search(s.asked, {.k = s.k});
  std::size_t wrong = 0;
  for (std::size_t q = 0; q < s.queries; ++q) {
    std::vector<double> distances;
    for (std::size_t i = 0; i < s.rows; ++i)
      distances.push_back(static_cast<double>(Metric{}(s.asked[q], s.data[i])));
    std::nth_element(distances.begin(), distances.begin() + (s.k - 1), distances.end());
    const auto worst = static_cast<double>(exact[q].back().distance);
    wrong += !(std::abs(worst - distances[s.k - 1]) <= 1e-5 * (1 + std::abs(worst)));
    CHECK(exact[q].size() == s.k);
  }
  CHECK(wrong == 0);
}

/// The graph against the flat index. Of a type and a metric it knows no more than the distances that the flat index asks for
/// too, and it is the longest to compile: so each type and each metric is there, and not every pair.
template <class T, class Metric>
void check_graph() {
  const sample<T> s;
  flat_index<T, Metric> flat(s.columns);
  hnsw_index<T, Metric> graph(s.columns, {.M = 12, .ef_construction = 100});
  flat.add(s.keys, s.data);
  graph.add(s.keys, s.data);
  const auto exact = flat.search(s.asked, {.k = s.k});
  const auto found = graph.search(s.asked, {.k = s.k, .ef = 80});
  CHECK(test::recall(found, exact, s.queries) >= 0.95);
}

}  // namespace

TEST_CASE_TEMPLATE("exact search over every type of number", T, float, double, f16, bf16, std::int8_t,
                   std::uint8_t) {
  check_flat_index<T, metrics::l2_squared>();
  check_flat_index<T, metrics::inner_product>();
  check_flat_index<T, metrics::cosine>();
  check_flat_index<T, metrics::l1>();
  check_flat_index<T, metrics::chebyshev>();
}

TEST_CASE("exact search over bits") {
  check_flat_index<bits8, metrics::hamming>();
  check_flat_index<bits8, metrics::jaccard>();
}

TEST_CASE("graphs over every type and in every metric") {
  check_graph<float, metrics::l2_squared>();
  check_graph<double, metrics::cosine>();
  check_graph<f16, metrics::inner_product>();
  check_graph<bf16, metrics::cosine>();
  check_graph<std::int8_t, metrics::l1>();
  check_graph<std::int8_t, metrics::cosine>();
  check_graph<std::uint8_t, metrics::inner_product>();
  check_graph<std::uint8_t, metrics::chebyshev>();
  check_graph<bits8, metrics::hamming>();
  check_graph<bits8, metrics::jaccard>();
}

TEST_CASE_TEMPLATE("indexes refuse what is not finite and name the row", T, float, double, f16, bf16) {
  const auto of = [](double x) {
    if constexpr (sizeof(T) == 2) {
      return T(static_cast<float>(x));
    } else {
      return static_cast<T>(x);
    }
  };
  flat_index<T> index(3);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    std::vector<T> values(12, of(1.5));
    values[7] = of(bad);
    const std::vector<std::uint64_t> keys{1, 2, 3, 4};
    std::error_code ec;
    CHECK(index.add(keys, matrix_view<T>(values.data(), 4, 3), ec) == 2);
    CHECK(ec == errc::not_finite);
    CHECK(index.empty());
  }
  const std::vector<T> largest(3, std::is_same_v<T, double> ? of(1e308) : of(65'504.0));
  index.add(1, largest);
  CHECK(index.size() == 1);
}

TEST_CASE_TEMPLATE("the cosine metric refuses vectors of norm zero", T, float, double, f16, bf16, std::int8_t,
                   std::uint8_t) {
  flat_index<T, metrics::cosine> index(3);
  const std::vector<T> zero(3, T{});
  std::error_code ec;
  index.add(1, zero, ec);
  CHECK(ec == errc::zero_norm);
}

TEST_CASE("an index refuses a dimension beyond the metric's bound") {
  std::error_code ec;
  flat_index<std::uint8_t, metrics::inner_product> products(33'026, {}, ec);
  CHECK(ec == errc::invalid_option);
  flat_index<std::int8_t, metrics::inner_product> signed_products(131'072, {}, ec);
  CHECK(ec == errc::invalid_option);
  flat_index<std::int8_t, metrics::inner_product> just(131'071, {}, ec);
  CHECK(!ec);
  flat_index<std::int8_t, metrics::l2_squared> differences(66'052, {}, ec);
  CHECK(ec == errc::invalid_option);
}
