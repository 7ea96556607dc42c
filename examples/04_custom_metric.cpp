// Your own distance in every index: a function object over two vectors, smaller is nearer. It need not be a loop
// over coordinates (great_circle), and it may hold what is known only at run time (weighted_l2).
//
// alidade's own metrics have SIMD forms; one that you write is as fast as your compiler makes it.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numbers>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <alidade/alidade.hpp>

namespace {

// Kilometres between two places given as latitude and longitude in degrees (the haversine formula). Euclidean
// distance would put longitudes 179.9 and -179.9 at opposite ends of the world; at the equator they are 22 km apart.
struct great_circle {
  float operator()(std::span<const float> a, std::span<const float> b) const {
    constexpr double earth_radius = 6371.0;
    constexpr double radians = std::numbers::pi / 180;
    const double sin_latitude = std::sin((double{a[0]} - b[0]) * radians / 2);
    const double sin_longitude = std::sin((double{a[1]} - b[1]) * radians / 2);
    const double haversine = sin_latitude * sin_latitude + std::cos(a[0] * radians) *
                                                               std::cos(b[0] * radians) * sin_longitude *
                                                               sin_longitude;
    return static_cast<float>(2 * earth_radius * std::asin(std::sqrt(std::min(haversine, 1.0))));
  }
};

// Squared Euclidean distance in which each coordinate counts as much as its weight says.
struct weighted_l2 {
  std::vector<float> weights;

  float operator()(std::span<const float> a, std::span<const float> b) const {
    float sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
  }
};

static_assert(alidade::metric<great_circle, float> && alidade::metric<weighted_l2, float>);

// The share of the exact neighbours that the graph finds.
template <class Metric>
double agreement(alidade::matrix_view<float> points, alidade::matrix_view<float> queries,
                 const Metric& metric) {
  std::vector<std::uint64_t> keys(points.rows());
  std::iota(keys.begin(), keys.end(), 0);
  alidade::hnsw_index<float, Metric> graph(points.columns(), {}, metric);
  graph.add(keys, points, {.threads = 0});
  alidade::flat_index<float, Metric> exact(points.columns(), metric);
  exact.add(keys, points);

  std::size_t found = 0;
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const auto truth = exact.search(queries[i], {.k = 10});
    for (const auto& answer : graph.search(queries[i], {.k = 10, .ef = 64})) {
      found +=
          answer.distance <= truth.back().distance * 1.00001F ? 1 : 0;  // of equally near ones any will do
    }
    wanted += truth.size();
  }
  return static_cast<double>(found) / static_cast<double>(wanted);
}

}  // namespace

int main() {
  std::mt19937 random(7);
  const auto uniform = [&] { return static_cast<float>(random()) / 4294967296.0F; };  // in [0, 1]

  // Places spread evenly over the globe.
  std::vector<float> places;
  for (int i = 0; i < 5000; ++i) {
    places.push_back(std::asin(2 * uniform() - 1) * 180 / std::numbers::pi_v<float>);
    places.push_back(360 * uniform() - 180);
  }
  const alidade::matrix_view<float> all_places(places.data(), 5000, 2);
  const alidade::matrix_view<float> indexed_places(places.data(), 4900, 2);
  const alidade::matrix_view<float> asked_places(all_places[4900].data(), 100, 2);
  const double on_the_globe = agreement(indexed_places, asked_places, great_circle{});

  // The nearest places to one beside the date line lie on both sides of it.
  alidade::flat_index<float, great_circle> globe(2);
  for (std::size_t i = 0; i < indexed_places.rows(); ++i) globe.add(i, indexed_places[i]);
  const std::vector<float> taveuni = {-16.85F, 179.97F};
  std::puts("nearest to 16.85 S 179.97 E:");
  for (const auto& [key, kilometres] : globe.search(taveuni, {.k = 4})) {
    std::printf("  %7.2f %8.2f  %4.0f km\n", indexed_places[key][0], indexed_places[key][1], kilometres);
  }

  // Vectors whose first coordinates count most.
  constexpr std::size_t dimension = 32;
  std::vector<float> vectors(3100 * dimension);
  std::generate(vectors.begin(), vectors.end(), uniform);
  weighted_l2 metric{std::vector<float>(dimension)};
  for (std::size_t i = 0; i < dimension; ++i) metric.weights[i] = 1 / static_cast<float>(1 + i);
  const alidade::matrix_view<float> indexed(vectors.data(), 3000, dimension);
  const alidade::matrix_view<float> asked(vectors.data() + 3000 * dimension, 100, dimension);
  const double with_weights = agreement(indexed, asked, metric);

  std::printf("recall@10 against exact search: great circle %.3f, weighted l2 %.3f\n", on_the_globe,
              with_weights);
  return on_the_globe >= 0.95 && with_weights >= 0.95 ? 0 : 1;
}
