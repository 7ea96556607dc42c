#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include <alidade/distance/many.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

template <class T, class Metric>
void check_many(const Metric& metric) {
  test::random r(3);
  // Up to some lengths half the sums are taken (kernels.hpp).
  for (const std::size_t n :
       {1u, 5u, 16u, 33u, 100u, 127u, 128u, 129u, 199u, 200u, 201u, 383u, 384u, 385u, 768u}) {
    for (const std::size_t rows : {0u, 1u, 3u, 4u, 9u, 67u}) {
      const std::size_t stride = n + 3;
      const auto base = r.vector<T>(rows * stride + 1), query = r.vector<T>(n);
      const matrix_view<T> view(base.data() + 1, rows, n, stride);
      std::vector<distance_result<Metric, T>> out(rows);
      one_to_many(metric, query, view, out);
      for (std::size_t i = 0; i < rows; ++i) CHECK(out[i] == metric(std::span<const T>(query), view[i]));

      const matrix_view<T> queries(base.data(), std::min<std::size_t>(rows, 7), n, stride - 1);
      std::vector<distance_result<Metric, T>> all(queries.rows() * rows);
      many_to_many(metric, queries, view, all);
      std::size_t different = 0;
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        for (std::size_t j = 0; j < rows; ++j) different += all[i * rows + j] != metric(queries[i], view[j]);
      }
      CHECK(different == 0);
    }
  }
}

struct first_component {
  float operator()(std::span<const float> a, std::span<const float> b) const { return a[0] - b[0]; }
};

}  // namespace

TEST_CASE_TEMPLATE("one to many and many to many are one to one many times, bit for bit", T, float, double,
                   f16, bf16, std::int8_t, std::uint8_t) {
  check_many<T>(metrics::l2_squared{});
  check_many<T>(metrics::inner_product{});
  check_many<T>(metrics::cosine{});
  check_many<T>(metrics::l1{});
  check_many<T>(metrics::chebyshev{});
  check_many<T>(metrics::reproducible<metrics::l2_squared>{});
  check_many<T>(metrics::reproducible<metrics::cosine>{});
}

TEST_CASE("one to many and many to many of bits, and in a metric of the user's") {
  check_many<bits8>(metrics::hamming{});
  check_many<bits8>(metrics::jaccard{});
  check_many<float>(first_component{});
}
