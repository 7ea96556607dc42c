#pragma once

#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014,
/// section 3): a bijection that turns consecutive integers into independent-looking ones, the same on every platform.
constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Upper half xor lower half of the 128 bits of a * b: a hash in one multiplication where `b` has many bits set, of which the
/// lower bits are the better ones (Wang Yi, wyhash; the multiplication is that of MUM by Vladimir Makarov).
constexpr std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) noexcept {
#if ALIDADE_HAS_INT128
  __extension__ using uint128 = unsigned __int128;
  const uint128 product = static_cast<uint128>(a) * b;
  return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
#else
  constexpr std::uint64_t low_half = 0xffffffffu;
  const std::uint64_t low = (a & low_half) * (b & low_half), high = (a >> 32) * (b >> 32);
  const std::uint64_t cross = (a >> 32) * (b & low_half) + (low >> 32);
  const std::uint64_t other = (a & low_half) * (b >> 32) + (cross & low_half);
  return (high + (cross >> 32) + (other >> 32)) ^ (other << 32 | (low & low_half));
#endif
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
