#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <alidade/simd/fixed_tree.hpp>
#include <alidade/simd/vec.hpp>

#include "../../support.hpp"

using namespace alidade::simd;

namespace {

template <class V>
std::vector<typename V::value_type> lanes_of(V v) {
  std::vector<typename V::value_type> out(V::lanes);
  store(out.data(), v);
  return out;
}

}  // namespace

TEST_CASE_TEMPLATE("operations on vectors are those of their lanes", V, f32_scalar, f64_scalar, f32, f64) {
  using T = typename V::value_type;
  // Small integers, so that everything but a quotient is exact.
  std::vector<T> a(V::lanes + 1), b(V::lanes + 1);
  for (std::size_t i = 0; i <= V::lanes; ++i) {
    a[i] = static_cast<T>(i) - 2;
    b[i] = static_cast<T>(3 * i % 7) + 1;
  }
  const V x = V::load(a.data() + 1), y = V::load(b.data() + 1);  // unaligned
  const auto check = [&](V result, auto expected) {
    const auto lanes = lanes_of(result);
    for (std::size_t i = 0; i < V::lanes; ++i) CHECK(lanes[i] == expected(a[i + 1], b[i + 1]));
  };
  check(x + y, [](T p, T q) { return p + q; });
  check(x - y, [](T p, T q) { return p - q; });
  check(x * y, [](T p, T q) { return p * q; });
  check(multiply_add(x, y, x), [](T p, T q) { return p * q + p; });
  check(rounded(x * y) + x, [](T p, T q) { return p * q + p; });
  check(abs(x), [](T p, T) { return std::abs(p); });
  check(min(x, y), [](T p, T q) { return p < q ? p : q; });
  check(max(x, y), [](T p, T q) { return p < q ? q : p; });
  check(select(x < y, x, V::zero()), [](T p, T q) { return p < q ? p : T(0); });
  check(select(x <= y, x, y), [](T p, T q) { return p <= q ? p : q; });
  check(select(x == y, V::broadcast(1), V::zero()), [](T p, T q) { return T(p == q); });
  check(select((x != y) & !(x < y), V::broadcast(1), V::zero()), [](T p, T q) { return T(p > q); });
  check(select((x == y) | (x < y), V::broadcast(1), V::zero()), [](T p, T q) { return T(p <= q); });
  const V nan = V::broadcast(std::numeric_limits<T>::quiet_NaN());
  CHECK(bits(nan != nan) == bits(x == x));
  CHECK_FALSE(any((nan == nan) | (nan < x) | (x <= nan)));
  const auto quotient = lanes_of(x / y);
  std::uint32_t less = 0;
  T sum = 0, least = a[1], greatest = a[1];
  for (std::size_t i = 0; i < V::lanes; ++i) {
    CHECK(quotient[i] == doctest::Approx(a[i + 1] / b[i + 1]));
    less |= static_cast<std::uint32_t>(a[i + 1] < b[i + 1]) << i;
    sum += a[i + 1];
    least = std::min(least, a[i + 1]);
    greatest = std::max(greatest, a[i + 1]);
  }
  CHECK(bits(x < y) == less);
  CHECK(any(x < y) == (less != 0));
  CHECK_FALSE(any(V::no_lanes()));
  CHECK(reduce_add(x) == sum);
  CHECK(reduce_min(x) == least);
  CHECK(reduce_max(x) == greatest);
  CHECK(reduce_add(V::zero()) == 0);
}

TEST_CASE_TEMPLATE("partial loads and stores touch what they are asked to and no more", V, f32_scalar,
                   f64_scalar, f32, f64) {
  using T = typename V::value_type;
  for (std::size_t count = 0; count < V::lanes; ++count) {
    std::vector<T> exact(count);  // under the address sanitizer, touching what is past the end ends the test
    for (std::size_t i = 0; i < count; ++i) exact[i] = static_cast<T>(i + 1);
    const V loaded = V::load_partial(exact.data(), count);
    const auto lanes = lanes_of(loaded);
    for (std::size_t i = 0; i < V::lanes; ++i) CHECK(lanes[i] == (i < count ? static_cast<T>(i + 1) : T(0)));
    std::vector<T> out(count);
    store_partial(out.data(), count, loaded);
    CHECK(out == exact);
  }
}

TEST_CASE_TEMPLATE("halves are widened as one by one", V, f32_scalar, f32) {
  const auto check = [](auto half) {
    using Half = decltype(half);
    std::vector<Half> in(V::lanes);
    std::size_t different = 0;
    for (std::uint32_t first = 0; first < 65'536; first += V::lanes) {
      for (std::size_t i = 0; i < V::lanes; ++i)
        in[i] = Half::from_bits(static_cast<std::uint16_t>(first + i));
      const auto out = lanes_of(V::load(in.data()));
      for (std::size_t i = 0; i < V::lanes; ++i) {
        const auto one = static_cast<float>(in[i]);
        different += static_cast<std::size_t>(alidade::detail::bit_cast<std::uint32_t>(out[i]) !=
                                              alidade::detail::bit_cast<std::uint32_t>(one));
      }
    }
    CHECK(different == 0);
    for (std::size_t count = 0; count < V::lanes; ++count) {
      const std::vector<Half> exact(count, Half(1.5f));
      CHECK(reduce_add(V::load_partial(exact.data(), count)) == 1.5f * static_cast<float>(count));
    }
  };
  check(alidade::f16{});
  check(alidade::bf16{});
}

TEST_CASE_TEMPLATE("a fixed tree adds in one order", V, f32, f64) {
  using T = typename V::value_type;
  using tree = fixed_tree<V>;
  using reference = fixed_tree<vec_scalar<T>>;
  static_assert(tree::lanes == 128 / sizeof(T) && reference::lanes == tree::lanes);
  test::random r(7);
  for (std::size_t n = 0; n < tree::lanes; ++n) {
    const auto a = r.vector<T>(n), b = r.vector<T>(n), c = r.vector<T>(tree::lanes);
    const auto sum = [&](auto one) {
      using Tree = decltype(one);
      const Tree x = Tree::load_partial(a.data(), n), y = Tree::load_partial(b.data(), n);
      return reduce_add(multiply_add(x, y, abs(x - y)) + Tree::load(c.data()));
    };
    CHECK(sum(tree{}) == sum(reference{}));
  }
}
