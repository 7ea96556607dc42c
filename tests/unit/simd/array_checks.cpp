#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <alidade/core/bits.hpp>
#include <alidade/simd/ops/array_checks.hpp>

#include "../../support.hpp"

namespace {

namespace checks = alidade::simd;

constexpr std::size_t checks_longest = 70;

template <class T>
std::vector<T> checks_not_finite() {
  using limits = std::numeric_limits<T>;
  std::vector<T> values{limits::infinity(), -limits::infinity(), limits::quiet_NaN(), -limits::quiet_NaN()};
  // NaNs of every kind of payload: a lowest bit alone, a highest alone, all of them.
  using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const bits infinity = alidade::detail::bit_cast<bits>(limits::infinity());
  const bits sign = bits{1} << (8 * sizeof(T) - 1);
  const bits quiet = bits{1} << (limits::digits - 2);
  for (const bits payload : {quiet | 1, quiet, static_cast<bits>(~sign & ~infinity)}) {
    values.push_back(alidade::detail::bit_cast<T>(static_cast<bits>(infinity | payload)));
    values.push_back(alidade::detail::bit_cast<T>(static_cast<bits>(sign | infinity | payload)));
  }
  return values;
}

template <class T>
std::vector<T> checks_extreme_but_finite() {
  using limits = std::numeric_limits<T>;
  return {limits::max(), limits::lowest(),      limits::min(), -limits::min(), limits::denorm_min(),
          T(0),          -limits::denorm_min(), T(-0.0),       T(1),           T(-1.5)};
}

}  // namespace

TEST_CASE_TEMPLATE("one value that is not finite is seen at every place of every length", T, float, double) {
  const std::vector<T> bad = checks_not_finite<T>(), good = checks_extreme_but_finite<T>();
  const T infinity = std::numeric_limits<T>::infinity();
  std::size_t wrong = 0;
  for (std::size_t offset = 0; offset < 17; ++offset) {
    for (std::size_t length = 0; length <= checks_longest; ++length) {
      // What lies before and behind is not finite: it must not be looked at.
      alignas(64) T room[checks_longest + 32];
      std::fill(std::begin(room), std::end(room), infinity);
      T* const values = room + offset;
      for (std::size_t i = 0; i < length; ++i) values[i] = good[(i + offset) % good.size()];
      const std::span<const T> seen(values, length);
      wrong += static_cast<std::size_t>(!checks::all_finite(seen));
      for (std::size_t place = 0; place < length; ++place) {
        const T before = values[place];
        values[place] = bad[(place + length + offset) % bad.size()];
        wrong += static_cast<std::size_t>(checks::all_finite(seen));
        values[place] = before;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("each value that is not finite is seen beside each that is", T, float, double) {
  std::size_t wrong = 0;
  for (const T good : checks_extreme_but_finite<T>()) {
    for (const std::size_t length : {1u, 2u, 3u, 4u, 5u, 8u, 9u, 16u, 17u, 31u, 64u, 67u}) {
      std::vector<T> values(length, good);
      const std::span<const T> seen(values);
      wrong += static_cast<std::size_t>(!checks::all_finite(seen));
      for (const T bad : checks_not_finite<T>()) {
        for (std::size_t place = 0; place < length; ++place) {
          values[place] = bad;
          wrong += static_cast<std::size_t>(checks::all_finite(seen));
          values[place] = good;
        }
      }
      std::fill(values.begin(), values.end(), std::numeric_limits<T>::quiet_NaN());
      wrong += static_cast<std::size_t>(checks::all_finite(seen));
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a double whose lower half looks like an infinite float is finite") {
  std::vector<double> values;
  for (const std::uint64_t low :
       {0x7f800000u, 0xff800000u, 0xffffffffu, 0x7fffffffu, 0xfff00000u, 0x7ff00000u}) {
    for (const std::uint64_t high : {0x7fefffffu, 0xffefffffu, 0u, 0x80000000u, 0x3ff00000u, 0x7f800000u})
      values.push_back(alidade::detail::bit_cast<double>(high << 32 | low));
  }
  for (std::size_t length = 0; length <= values.size(); ++length)
    CHECK(checks::all_finite(std::span<const double>(values).first(length)));
  // The smallest NaN that has its payload in the lower half only.
  values[7] = alidade::detail::bit_cast<double>(std::uint64_t{0x7ff00000} << 32 | 1);
  CHECK_FALSE(checks::all_finite(std::span<const double>(values)));
}

TEST_CASE("the largest of unsigned integers is that of a loop, at every place of every length") {
  constexpr std::uint32_t most = 0xffffffffu;
  CHECK(checks::maximum_of({}) == 0);
  test::random r(31);
  std::size_t wrong = 0;
  for (std::size_t offset = 0; offset < 17; ++offset) {
    for (std::size_t length = 0; length <= checks_longest; ++length) {
      alignas(64) std::uint32_t room[checks_longest + 32];
      std::fill(std::begin(room), std::end(room), most);
      std::uint32_t* const values = room + offset;
      for (std::size_t i = 0; i < length; ++i) values[i] = r.below(1000);
      const std::span<const std::uint32_t> seen(values, length);
      const std::uint32_t largest = length == 0 ? 0 : *std::max_element(values, values + length);
      wrong += static_cast<std::size_t>(checks::maximum_of(seen) != largest);
      for (std::size_t place = 0; place < length; ++place) {
        const std::uint32_t before = values[place];
        // Beyond the largest signed integer, where a signed comparison goes wrong.
        for (const std::uint32_t x : {1000u, 0x7fffffffu, 0x80000000u, most}) {
          values[place] = x;
          wrong += static_cast<std::size_t>(checks::maximum_of(seen) != x);
        }
        values[place] = before;
      }
      std::fill(values, values + length, 0u);
      wrong += static_cast<std::size_t>(checks::maximum_of(seen) != 0);
    }
  }
  CHECK(wrong == 0);
}
