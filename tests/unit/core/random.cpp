#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <alidade/core/random.hpp>

using namespace alidade;

namespace {

/// Gives the numbers of a list, one after the other.
struct random_script {
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }
  std::uint64_t operator()() { return numbers.at(next++); }

  std::vector<std::uint64_t> numbers;
  std::size_t next = 0;
};

static_assert(std::uniform_random_bit_generator<splitmix64> && random_bits_64<splitmix64>);
static_assert(!random_bits_64<std::mt19937>);

}  // namespace

TEST_CASE("a folded product has all 128 bits, with and without an instruction for them") {
  constexpr std::uint64_t all = ~std::uint64_t{0};
  static_assert(detail::fold_multiply(0, all) == 0);
  static_assert(detail::fold_multiply(1, all) == all);
  static_assert(detail::fold_multiply(all, all) == (1 ^ (all - 1)));
  static_assert(detail::fold_multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32) == 1);
  // 0x00b403f44f128915'0c93a7b79aeda89b, computed with integers of any size.
  static_assert(detail::fold_multiply(0x9e3779b97f4a7c15u, 0x0123456789abcdefu) == 0x0c27a443d5ff218eu);
  CHECK(detail::mix64(0) == 0xe220a8397b1dcdafu);  // the first number of SplitMix64 with seed 0
}

TEST_CASE("splitmix64 gives the published numbers") {
  // Those of the reference implementation (prng.di.unimi.it/splitmix64.c).
  splitmix64 zero(0), other(1234567);
  for (const std::uint64_t x : {0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu})
    CHECK(zero() == x);
  for (const std::uint64_t x : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u})
    CHECK(other() == x);
}

TEST_CASE("splitmix64 goes on from a state that was saved") {
  splitmix64 random(99);
  for (int i = 0; i < 10; ++i) random();
  splitmix64 again(random.state());
  CHECK(again == random);
  for (int i = 0; i < 10; ++i) CHECK(again() == random());
  CHECK(again != splitmix64(99));
}

TEST_CASE("a product of 128 bits is the same by halves") {
  constexpr std::uint64_t all = ~std::uint64_t{0};
  static_assert(detail::wide_product(all, all) == detail::product128{all - 1, 1});
  static_assert(detail::wide_product_of_halves(all, all) == detail::product128{all - 1, 1});
  static_assert(detail::wide_product(0x9e3779b97f4a7c15u, 0x0123456789abcdefu) ==
                detail::product128{0x00b403f44f128915u, 0x0c93a7b79aeda89bu});
  splitmix64 random(4);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t a = random() >> (i % 64), b = random() >> (i / 64);
    CHECK(detail::wide_product(a, b) == detail::wide_product_of_halves(a, b));
  }
}

TEST_CASE("a number in [0, 1) has 53 bits and never is 1") {
  random_script script{{0, ~std::uint64_t{0}, std::uint64_t{1} << 11, std::uint64_t{1} << 63, 2047}};
  CHECK(detail::uniform_unit(script) == 0);
  CHECK(detail::uniform_unit(script) == 1 - 0x1p-53);
  CHECK(detail::uniform_unit(script) == 0x1p-53);
  CHECK(detail::uniform_unit(script) == 0.5);
  CHECK(detail::uniform_unit(script) == 0);
}

TEST_CASE("a number below n is drawn again exactly where it would be biased") {
  constexpr std::uint64_t all = ~std::uint64_t{0};
  random_script thirds{{0, all, 0x5555555555555555u, 0x5555555555555556u, 1}};
  CHECK(detail::uniform_below(thirds, 3) == 2);  // 2^64 is 1 modulo 3: of 2^64 numbers the 0 is too many
  CHECK(detail::uniform_below(thirds, 3) == 0);
  CHECK(detail::uniform_below(thirds, 3) == 1);
  CHECK(detail::uniform_below(thirds, 3) == 0);
  CHECK(thirds.next == 5);
  random_script powers{{0, all, 1}};
  CHECK(detail::uniform_below(powers, 1) == 0);
  CHECK(detail::uniform_below(powers, 8) == 7);
  CHECK(detail::uniform_below(powers, std::uint64_t{1} << 63) == 0);
  CHECK(powers.next == 3);
  // Of n a little over half of 2^64 nearly every second number is refused.
  constexpr std::uint64_t half = (std::uint64_t{1} << 63) + 1;
  random_script refused{{0, 2, 4, 1}};
  CHECK(detail::uniform_below(refused, half) == 0);
  CHECK(refused.next == 4);
}

TEST_CASE("numbers below n are uniform") {
  for (const std::uint64_t n :
       {std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{10}, std::uint64_t{1000}, std::uint64_t{3} << 62}) {
    splitmix64 random(n);
    const std::uint64_t parts = n < 1000 ? n : 3;
    std::vector<double> counts(static_cast<std::size_t>(parts));
    for (int i = 0; i < 30'000; ++i) {
      const std::uint64_t x = detail::uniform_below(random, n);
      REQUIRE(x < n);
      ++counts[static_cast<std::size_t>(n < 1000 ? x : x / (n / 3) < 3 ? x / (n / 3) : 2)];
    }
    const double expected = 30'000.0 / static_cast<double>(parts);
    for (const double c : counts) CHECK(std::abs(c - expected) < 5 * std::sqrt(expected));
  }
}
