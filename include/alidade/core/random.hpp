#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <alidade/config/assert.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

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

struct product128 {
  std::uint64_t high, low;
  friend constexpr bool operator==(const product128&, const product128&) = default;
};

/// The 128 bits of a * b, by four products of 32 bits.
constexpr product128 wide_product_of_halves(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t low_half = 0xffffffffu;
  const std::uint64_t low = (a & low_half) * (b & low_half), high = (a >> 32) * (b >> 32);
  const std::uint64_t cross = (a >> 32) * (b & low_half) + (low >> 32);
  const std::uint64_t other = (a & low_half) * (b >> 32) + (cross & low_half);
  return {high + (cross >> 32) + (other >> 32), other << 32 | (low & low_half)};
}

/// The 128 bits of a * b.
constexpr product128 wide_product(std::uint64_t a, std::uint64_t b) noexcept {
#if ALIDADE_HAS_INT128
  __extension__ using uint128 = unsigned __int128;
  const uint128 product = static_cast<uint128>(a) * b;
  return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
#else
  return wide_product_of_halves(a, b);
#endif
}

/// Upper half xor lower half of the 128 bits of a * b: a hash in one multiplication where `b` has many bits set, of which the
/// lower bits are the better ones (Wang Yi, wyhash; the multiplication is that of MUM by Vladimir Makarov).
constexpr std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) noexcept {
  const product128 product = wide_product(a, b);
  return product.high ^ product.low;
}

}  // namespace detail

/// A generator of 64 random bits a call, the same on every platform: SplitMix64 (Steele, Lea, Flood: Fast splittable
/// pseudorandom number generators, OOPSLA 2014). 8 bytes of state, period 2^64, every number once in it. Models
/// std::uniform_random_bit_generator. Not for secrets.
class splitmix64 {
 public:
  using result_type = std::uint64_t;

  constexpr explicit splitmix64(std::uint64_t seed) noexcept : state_(seed) {}

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

  constexpr result_type operator()() noexcept {
    const result_type result = detail::mix64(state_);
    state_ += 0x9e3779b97f4a7c15u;
    return result;
  }

  /// As a seed it gives a generator that goes on where this one is.
  constexpr std::uint64_t state() const noexcept { return state_; }

  friend constexpr bool operator==(const splitmix64&, const splitmix64&) = default;

 private:
  std::uint64_t state_;
};

/// What gives 64 random bits a call: splitmix64, std::mt19937_64.
template <class R>
concept random_bits_64 = requires(R& random) {
  { random() } -> std::same_as<std::uint64_t>;
  requires R::min()
  == 0 && R::max() == std::numeric_limits<std::uint64_t>::max();
};

namespace detail {

/// Uniform among the 2^53 multiples of 2^-53 in [0, 1).
template <random_bits_64 Random>
constexpr double uniform_unit(Random& random) noexcept(noexcept(random())) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

/// Uniform in 0 .. n - 1, without bias; n >= 1. Draws once, and again with a probability below n / 2^64 (Lemire: Fast random
/// integer generation in an interval, arXiv 1805.10941, algorithm 5).
template <random_bits_64 Random>
constexpr std::uint64_t uniform_below(Random& random, std::uint64_t n) noexcept(noexcept(random())) {
  ALIDADE_ASSERT(n != 0);
  product128 product = wide_product(random(), n);
  if (product.low < n) {
    const std::uint64_t surplus = (0 - n) % n;  // 2^64 modulo n
    while (product.low < surplus) product = wide_product(random(), n);
  }
  return product.high;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
