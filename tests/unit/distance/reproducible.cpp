#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <vector>

#include <alidade/distance/distance.hpp>
#include <alidade/index/hnsw_index.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

template <class T>
using scalar_tree = simd::fixed_tree<simd::vec_scalar<detail::real_of<T>>>;

/// FNV-1a over the bits of results.
class digest {
 public:
  template <class T>
  void add(T x) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &x, sizeof(T));
    for (const unsigned char byte : bytes) state_ = (state_ ^ byte) * 0x100000001b3u;
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

const std::vector<std::size_t>& digest_lengths() {
  static const std::vector<std::size_t> all{0,  1,  2,  3,  7,  8,   15,  16,  17,  31,  32,  33,
                                            47, 63, 64, 65, 96, 100, 127, 128, 130, 300, 784, 1537};
  return all;
}

template <class T>
void add_numbers(digest& d, test::random& r) {
  for (const std::size_t n : digest_lengths()) {
    const auto a = r.vector<T>(n), b = r.vector<T>(n);
    d.add(l2_squared(reproducible, a, b));
    d.add(inner_product(reproducible, a, b));
    d.add(cosine(reproducible, a, b));
    d.add(l1(reproducible, a, b));
    d.add(chebyshev(a, b));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("reproducible sums of real numbers are those of scalar code, bit for bit", T, float,
                   double, f16, bf16) {
  using tree = scalar_tree<T>;
  test::random r(11);
  for (std::size_t n = 0; n <= 300; ++n) {
    const auto a = r.vector<T>(n), b = r.vector<T>(n);
    const auto check = [&](auto distance, auto reduction) {
      CHECK(distance(reproducible, a, b) == detail::reduce<decltype(reduction)>(a.data(), b.data(), n));
    };
    check(l2_squared, detail::real_squared_difference<T, tree>{});
    check(inner_product, detail::real_product<T, tree>{});
    check(cosine, detail::real_cosine<T, tree>{});
    check(l1, detail::real_absolute_difference<T, tree>{});
    check(chebyshev, detail::real_largest_difference<T, simd::vec_scalar<detail::real_of<T>>>{});
  }
}

TEST_CASE_TEMPLATE("sums of bytes are those of scalar code", T, std::int8_t, std::uint8_t) {
  using scalar = simd::byte_sums_scalar;
  test::random r(12);
  for (std::size_t n = 0; n <= 300; ++n) {
    const auto a = r.vector<T>(n), b = r.vector<T>(n);
    const auto check = [&](auto distance, auto reduction) {
      CHECK(distance(a, b) == detail::reduce<decltype(reduction)>(a.data(), b.data(), n));
    };
    check(l2_squared, detail::byte_squared_difference<T, scalar>{});
    check(inner_product, detail::byte_product<T, scalar>{});
    check(cosine, detail::byte_cosine<T, scalar>{});
    check(l1, detail::byte_absolute_difference<T, scalar>{});
    check(chebyshev, detail::byte_largest_difference<T, scalar>{});
  }
}

// The constants below are from the scalar build; every other has to come to the same.
TEST_CASE("reproducible distances have the same bits on every architecture") {
  test::random r(13);
  digest reals, integers;
  add_numbers<float>(reals, r);
  add_numbers<double>(reals, r);
  add_numbers<f16>(reals, r);
  add_numbers<bf16>(reals, r);
  add_numbers<std::int8_t>(integers, r);
  add_numbers<std::uint8_t>(integers, r);
  for (const std::size_t n : digest_lengths()) {
    const auto a = r.vector<bits8>(n), b = r.vector<bits8>(n);
    integers.add(hamming(a, b));
    integers.add(jaccard(a, b));
  }
  CHECK(reals.value() == 10311382314522901559u);
  CHECK(integers.value() == 5410861346092013868u);
}

TEST_CASE("a graph in a reproducible metric is the same on every architecture") {
  constexpr std::size_t rows = 500, columns = 24;
  test::random r(14);
  const auto values = r.vector<float>(rows * columns);
  const matrix_view<float> data(values.data(), rows, columns);
  std::vector<std::uint64_t> keys(rows);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  const auto digest_of = [&](auto metric) {
    hnsw_index<float, decltype(metric)> index(columns, {.M = 8, .ef_construction = 60});
    index.add(keys, data);
    digest d;
    for (std::size_t i = 0; i < rows; i += 7) {
      for (const auto& found : index.search(data[i], {.k = 10, .ef = 20})) {
        d.add(found.key);
        d.add(found.distance);
      }
    }
    return d.value();
  };
  CHECK(digest_of(metrics::reproducible<metrics::l2_squared>{}) == 105409098809104135u);
  CHECK(digest_of(metrics::reproducible<metrics::inner_product>{}) == 11594560813467006963u);
  CHECK(digest_of(metrics::reproducible<metrics::cosine>{}) == 2272024609220500270u);
}
