#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <limits>

#include <alidade/simd/ops/maximum.hpp>

#include "../../support.hpp"

namespace {

/// Whether the largest of the numbers in so many bytes is found, at each place and among random ones.
template <class V, std::size_t Bytes>
bool maximum_is_found() {
  using T = typename V::value_type;
  constexpr std::size_t count = Bytes / sizeof(T);
  const T infinity = std::numeric_limits<T>::infinity();
  // What lies behind is larger: it must not be looked at.
  alignas(64) T numbers[2 * count];
  test::random r(static_cast<std::uint32_t>(count));
  bool found = true;
  for (int round = 0; round < 200; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      numbers[i] = r.below(4) == 0 ? -infinity : static_cast<T>(r.uniform()) - T(round % 3);
      numbers[count + i] = T(1000);
    }
    found = found && alidade::simd::maximum<V, Bytes>(numbers) == *std::max_element(numbers, numbers + count);
  }
  for (const T background : {-infinity, T(-1e30), T(0), T(-0.0)}) {
    for (std::size_t place = 0; place < count; ++place) {
      std::fill_n(numbers, count, background);
      found = found && alidade::simd::maximum<V, Bytes>(numbers) == background;
      for (const T largest : {T(1), std::numeric_limits<T>::min(), infinity}) {
        numbers[place] = largest;
        found = found &&
                alidade::simd::maximum<V, Bytes>(numbers) == (largest > background ? largest : background);
      }
    }
  }
  return found;
}

}  // namespace

TEST_CASE_TEMPLATE("the largest of 16, 32 and 64 bytes of numbers is that of a loop", V, alidade::simd::f32,
                   alidade::simd::f64, alidade::simd::f32_scalar, alidade::simd::f64_scalar) {
  CHECK(maximum_is_found<V, 16>());
  CHECK(maximum_is_found<V, 32>());
  CHECK(maximum_is_found<V, 64>());
}
