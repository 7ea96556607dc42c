#include <doctest/doctest.h>

#include <cstdint>

#include <alidade/simd/ops/tag_group.hpp>

#include "../../support.hpp"

using namespace alidade;

TEST_CASE("matching bytes are those that are equal, one bit each") {
  test::random r(11);
  alignas(16) std::uint8_t bytes[16];
  for (int round = 0; round < 2000; ++round) {
    for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(r.below(round % 2 == 0 ? 4 : 256));
    const auto tag = static_cast<std::uint8_t>(round % 256);
    std::uint32_t expected = 0;
    for (std::uint32_t i = 0; i < 16; ++i) expected |= bytes[i] == tag ? 1u << i : 0u;
    CHECK(simd::matching_bytes(bytes, tag) == expected);
    CHECK(simd::matching_bytes_scalar(bytes, tag) == expected);
  }
}
