#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <alidade/simd/ops/sorted_insert.hpp>

#include "../../support.hpp"

TEST_CASE("a number comes to its place among sorted ones, whatever their number, and the last one goes") {
  constexpr std::size_t block = alidade::simd::sorted_insert_block;
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(), most = -(least + 1);
  test::random r(11);
  // First what is pushed out lies behind, later there is room, as in a pool that was widened.
  for (std::size_t n = 1; n <= 700; n += n < 200 ? 1 : 83) {
    std::vector<std::int64_t> numbers(block + (n + 2 * block - 1) / block * block, most);
    numbers[block - 1] = least;
    std::int64_t* const a = numbers.data() + block;
    for (std::size_t i = 0; i < n; ++i) {
      const std::int64_t magnitude = static_cast<std::int64_t>(r.below(1u << 30)) << r.below(33);
      a[i] = (r.below(2) == 0 ? magnitude : -magnitude) * 2;  // even: what is inserted is odd
    }
    std::sort(a, a + n);
    const std::int64_t behind = a[(n + block - 1) / block * block] = 4711;
    std::vector<std::int64_t> expected(a, a + n);
    std::size_t wrong = 0;
    for (int round = 0; round < 20; ++round) {
      if (round == 10) {
        expected[n - 1] = most;
        std::fill(a + n - 1, a + (n + block - 1) / block * block, most);
      }
      const std::size_t next_to = r.below(static_cast<std::uint32_t>(n));
      const std::int64_t x =
          round == 0 ? least + 1 : (expected[next_to] == most ? 1 : expected[next_to] - 1) | 1;
      if (x >= expected[n - 1] || std::binary_search(expected.begin(), expected.end(), x)) continue;
      const auto place = std::lower_bound(expected.begin(), expected.end(), x);
      const auto wanted = static_cast<std::size_t>(place - expected.begin());
      expected.insert(place, x);
      expected.pop_back();
      wrong += static_cast<std::size_t>(alidade::simd::sorted_insert(a, n, x) != wanted);
      wrong += static_cast<std::size_t>(!std::equal(expected.begin(), expected.end(), a));
    }
    CAPTURE(n);
    CHECK(wrong == 0);
    CHECK(numbers[block - 1] == least);
    CHECK(a[(n + block - 1) / block * block] == behind);
  }
}
