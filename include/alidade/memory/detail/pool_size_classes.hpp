#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Sizes of blocks: 8, 16, 24 .. 64, then four to a power of two: 80, 96, 112, 128, 160 .. 1,048,576. A block is at
/// most a quarter longer than what it is asked to hold, or 7 bytes where that is more.
///
/// Asked for an alignment A, a block holds a multiple of A bytes. As every class from 4 A up is a multiple of A, and so
/// are those of A, 2 A and 3 A bytes, blocks laid end to end from a multiple of 64 are aligned by themselves, up to 64.
inline constexpr std::size_t pool_class_count = 64;
inline constexpr std::size_t pool_largest_block = std::size_t{1} << 20;
inline constexpr std::size_t pool_largest_alignment = 64;

/// The number of the last byte of `size` bytes rounded up to a multiple of the alignment, a power of two. Zero bytes
/// count as one. This way round, nothing can overflow.
constexpr std::size_t pool_last_byte(std::size_t size, std::size_t alignment) noexcept {
  return (size - static_cast<std::size_t>(size != 0)) | (alignment - 1);
}

/// Whether a class of at most `Largest` bytes, a power of two, holds it, by one comparison. Where the product
/// overflows, the last byte alone is too large.
template <std::uint64_t Largest = pool_largest_block>
constexpr bool pool_class_holds(std::size_t last_byte, std::size_t alignment) noexcept {
  return (last_byte | alignment * (Largest / pool_largest_alignment / 2)) < Largest;
}

constexpr std::size_t pool_class_of(std::size_t last_byte) noexcept {
  const auto shift = static_cast<unsigned>(std::bit_width(last_byte | 32)) - 3U;
  return (last_byte >> shift) + 4 * (std::size_t{shift} - 3);
}

constexpr std::size_t pool_block_bytes(std::size_t size_class) noexcept {
  if (size_class < 8) return 8 * (size_class + 1);
  return (size_class % 4 + 5) << (size_class / 4 + 2);
}

static_assert(pool_block_bytes(pool_class_of(3071)) == 3072, "768 floats");
static_assert(pool_block_bytes(pool_class_count - 1) == pool_largest_block);
static_assert(pool_class_of(pool_largest_block - 1) == pool_class_count - 1);

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
