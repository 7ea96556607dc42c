#include <doctest/doctest.h>

#include <cstdint>

#include <alidade/core/random.hpp>

using namespace alidade;

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
