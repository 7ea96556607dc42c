#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// XXH64 with seed 0 (Yann Collet, xxHash fast digest algorithm, specification 0.1.1): a checksum that finds what storage
/// and transport break. It is no defence against who wants to deceive. Four lanes of 8 bytes: 10 GB/s and more.
class xxhash64 {
 public:
  static std::uint64_t of(const void* data, std::size_t size) noexcept {
    const auto* p = static_cast<const unsigned char*>(data);
    const unsigned char* const end = p + size;
    std::uint64_t hash = prime5;
    if (size >= 32) {
      std::uint64_t lane[4] = {prime1 + prime2, prime2, 0, std::uint64_t{0} - prime1};
      for (; end - p >= 32; p += 32) {
        for (int i = 0; i < 4; ++i) lane[i] = round(lane[i], read<std::uint64_t>(p + 8 * i));
      }
      hash = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
      for (const std::uint64_t l : lane) hash = (hash ^ round(0, l)) * prime1 + prime4;
    }
    hash += size;
    for (; end - p >= 8; p += 8) {
      hash = rotate(hash ^ round(0, read<std::uint64_t>(p)), 27) * prime1 + prime4;
    }
    for (; end - p >= 4; p += 4) {
      hash = rotate(hash ^ read<std::uint32_t>(p) * prime1, 23) * prime2 + prime3;
    }
    for (; p != end; ++p) hash = rotate(hash ^ *p * prime5, 11) * prime1;
    hash = (hash ^ (hash >> 33)) * prime2;
    hash = (hash ^ (hash >> 29)) * prime3;
    return hash ^ (hash >> 32);
  }

 private:
  static constexpr std::uint64_t prime1 = 0x9e3779b185ebca87u;
  static constexpr std::uint64_t prime2 = 0xc2b2ae3d27d4eb4fu;
  static constexpr std::uint64_t prime3 = 0x165667b19e3779f9u;
  static constexpr std::uint64_t prime4 = 0x85ebca77c2b2ae63u;
  static constexpr std::uint64_t prime5 = 0x27d4eb2f165667c5u;

  static constexpr std::uint64_t rotate(std::uint64_t x, int by) noexcept { return x << by | x >> (64 - by); }
  static constexpr std::uint64_t round(std::uint64_t lane, std::uint64_t word) noexcept {
    return rotate(lane + word * prime2, 31) * prime1;
  }

  /// Little-endian, widened to 64 bits.
  template <class Word>
  static std::uint64_t read(const unsigned char* p) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
      Word word;
      std::memcpy(&word, p, sizeof(word));
      return word;
    } else {
      std::uint64_t word = 0;
      for (std::size_t i = 0; i < sizeof(Word); ++i) word |= std::uint64_t{p[i]} << (8 * i);
      return word;
    }
  }
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
