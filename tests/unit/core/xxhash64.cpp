#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <alidade/core/xxhash64.hpp>

using alidade::detail::xxhash64;

namespace {

std::uint64_t xxhash64_of(std::string_view text) { return xxhash64::of(text.data(), text.size()); }

}  // namespace

TEST_CASE("XXH64 gives the published answers") {
  CHECK(xxhash64_of("") == 0xef46db3751d8e999u);
  CHECK(xxhash64::of(nullptr, 0) == 0xef46db3751d8e999u);
  CHECK(xxhash64_of("a") == 0xd24ec4f1a98c6e5bu);
  CHECK(xxhash64_of("abc") == 0x44bc2cf5ad770999u);
  CHECK(xxhash64_of("Nobody inspects the spammish repetition") == 0xfbcea83c8a378bf1u);
}

TEST_CASE("XXH64 of each length up to 100 is what another implementation says") {
  std::array<unsigned char, 101> data{};
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * 37 + 11);
  // The digests of all prefixes, little-endian, in one digest.
  std::vector<unsigned char> digests;
  for (std::size_t n = 0; n <= 100; ++n) {
    const std::uint64_t digest = xxhash64::of(data.data(), n);
    for (unsigned i = 0; i < 8; ++i) digests.push_back(static_cast<unsigned char>(digest >> (8 * i)));
  }
  CHECK(xxhash64::of(digests.data(), digests.size()) == 0xe14538551f68ed2cu);
}

TEST_CASE("XXH64 does not depend on where the bytes are, and on each bit of them") {
  std::vector<unsigned char> bytes(150, 0x5a);
  for (const std::size_t n : {1u, 3u, 4u, 7u, 8u, 31u, 32u, 33u, 63u, 64u, 77u}) {
    const std::uint64_t digest = xxhash64::of(bytes.data(), n);
    for (std::size_t offset = 1; offset < 16; ++offset)
      CHECK(xxhash64::of(bytes.data() + offset, n) == digest);
    for (std::size_t bit = 0; bit < 8 * n; ++bit) {
      const auto flip = static_cast<unsigned char>(1u << bit % 8);
      bytes[bit / 8] ^= flip;
      CHECK(xxhash64::of(bytes.data(), n) != digest);
      bytes[bit / 8] ^= flip;
    }
  }
}
