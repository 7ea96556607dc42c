#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/half.hpp>
#include <alidade/distance/real_reductions.hpp>
#include <alidade/simd/ops/bytes.hpp>

/// What is accumulated over two vectors of bytes or bits: exact, modulo 2^32. `S` is a set of sums (simd/ops/bytes.hpp).
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

template <class T>
concept byte_element = std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>;

template <class T, class Block, class Sum>
struct byte_reduction {
  using element = T;
  using block_type = Block;
  using result_type = std::uint32_t;
  static constexpr std::size_t size = Block::size;
  static constexpr std::size_t registers = simd::f32::registers;
  static constexpr std::size_t width = sizeof(Sum) > Block::size ? 2 : 1;
  static constexpr std::size_t accumulators = 2;
  static constexpr std::size_t short_length = Block::size == 64 ? 384 : 0;
  static constexpr const char* instruction = Sum::instruction;

  static ALIDADE_FORCE_INLINE Block load(const T* p) noexcept { return Block::load(p); }
  static ALIDADE_FORCE_INLINE Block load_partial(const T* p, std::size_t count) noexcept {
    return Block::load_partial(p, count);
  }
};

/// |a_i - b_i| as unsigned bytes.
template <byte_element T, class Bytes>
ALIDADE_FORCE_INLINE Bytes difference_of(const Bytes& a, const Bytes& b) noexcept {
  if constexpr (std::is_signed_v<T>) {
    return signed_absolute_difference(a, b);
  } else {
    return absolute_difference(a, b);
  }
}

/// sum (a_i - b_i)^2
template <byte_element T, class S>
struct byte_squared_difference : byte_reduction<T, typename S::bytes, typename S::unsigned_product_sum> {
  static constexpr std::size_t max_length = 66'051;
  typename S::unsigned_product_sum sum;

  ALIDADE_FORCE_INLINE void add(const typename S::bytes& a, const typename S::bytes& b) noexcept {
    const typename S::bytes difference = difference_of<T>(a, b);
    sum.add(difference, difference);
  }
  ALIDADE_FORCE_INLINE void merge(const byte_squared_difference& other) noexcept { sum.merge(other.sum); }
  ALIDADE_FORCE_INLINE std::uint32_t result(const T*, const T*, std::size_t) const noexcept {
    return sum.total();
  }
};

template <byte_element T, class S>
using product_sum =
    std::conditional_t<std::is_signed_v<T>, typename S::signed_product_sum, typename S::unsigned_product_sum>;

/// sum a_i b_i
template <byte_element T, class S>
struct byte_product : byte_reduction<T, typename S::bytes, product_sum<T, S>> {
  static constexpr std::size_t max_length = std::is_signed_v<T> ? 131'071 : 66'051;
  using result_type = std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>;
  product_sum<T, S> sum;

  ALIDADE_FORCE_INLINE void add(const typename S::bytes& a, const typename S::bytes& b) noexcept {
    sum.add(a, b);
  }
  ALIDADE_FORCE_INLINE void merge(const byte_product& other) noexcept { sum.merge(other.sum); }
  ALIDADE_FORCE_INLINE result_type result(const T*, const T*, std::size_t) const noexcept {
    return static_cast<result_type>(sum.total());
  }
};

/// sum |a_i - b_i|
template <byte_element T, class S>
struct byte_absolute_difference : byte_reduction<T, typename S::bytes, typename S::difference_sum> {
  static constexpr std::size_t max_length = 16'843'009;
  typename S::difference_sum sum;

  ALIDADE_FORCE_INLINE void add(const typename S::bytes& a, const typename S::bytes& b) noexcept {
    if constexpr (std::is_signed_v<T>) {
      sum.add_signed(a, b);
    } else {
      sum.add(a, b);
    }
  }
  ALIDADE_FORCE_INLINE void merge(const byte_absolute_difference& other) noexcept { sum.merge(other.sum); }
  ALIDADE_FORCE_INLINE std::uint32_t result(const T*, const T*, std::size_t) const noexcept {
    return sum.total();
  }
};

/// max |a_i - b_i|
template <byte_element T, class S>
struct byte_largest_difference : byte_reduction<T, typename S::bytes, typename S::difference_sum> {
  typename S::bytes largest = S::bytes::zero();

  ALIDADE_FORCE_INLINE void add(const typename S::bytes& a, const typename S::bytes& b) noexcept {
    largest = max(largest, difference_of<T>(a, b));
  }
  ALIDADE_FORCE_INLINE void merge(const byte_largest_difference& other) noexcept {
    largest = max(largest, other.largest);
  }
  ALIDADE_FORCE_INLINE std::uint32_t result(const T*, const T*, std::size_t) const noexcept {
    return reduce_max(largest);
  }
};

/// 1 - sum a_i b_i / sqrt(sum a_i^2 sum b_i^2): the sums are exact, what follows is in double.
template <byte_element T, class S>
struct byte_cosine : byte_reduction<T, typename S::bytes, product_sum<T, S>> {
  static constexpr std::size_t max_length = std::is_signed_v<T> ? 131'071 : 66'051;
  using result_type = float;
  using base = byte_reduction<T, typename S::bytes, product_sum<T, S>>;
  static constexpr std::size_t width = 3 * base::width;
  static constexpr std::size_t accumulators = 1;
  product_sum<T, S> ab, aa, bb;

  ALIDADE_FORCE_INLINE void add(const typename S::bytes& a, const typename S::bytes& b) noexcept {
    ab.add(a, b);
    aa.add(a, a);
    bb.add(b, b);
  }
  ALIDADE_FORCE_INLINE void merge(const byte_cosine& other) noexcept {
    ab.merge(other.ab);
    aa.merge(other.aa);
    bb.merge(other.bb);
  }
  ALIDADE_FORCE_INLINE float result(const T*, const T*, std::size_t) const noexcept {
    using signed_or_not = std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>;
    const double norms = static_cast<double>(aa.total()) * static_cast<double>(bb.total());
    if (norms == 0) return 1;
    const auto product = static_cast<double>(static_cast<signed_or_not>(ab.total()));
    return static_cast<float>(clamp_cosine(1.0 - product / std::sqrt(norms)));
  }
};

/// The number of bits that differ.
template <class S>
struct bit_difference : byte_reduction<bits8, typename S::bit_block, typename S::bit_count> {
  typename S::bit_count count;

  ALIDADE_FORCE_INLINE void add(const typename S::bit_block& a, const typename S::bit_block& b) noexcept {
    count.add(a ^ b);
  }
  ALIDADE_FORCE_INLINE void merge(const bit_difference& other) noexcept { count.merge(other.count); }
  ALIDADE_FORCE_INLINE std::uint32_t result(const bits8*, const bits8*, std::size_t) const noexcept {
    return count.total();
  }
};

/// 1 - |a and b| / |a or b|
template <class S>
struct bit_jaccard : byte_reduction<bits8, typename S::bit_block, typename S::bit_count> {
  using result_type = float;
  static constexpr std::size_t width = 2;
  static constexpr std::size_t accumulators = 2;
  typename S::bit_count both, either;

  ALIDADE_FORCE_INLINE void add(const typename S::bit_block& a, const typename S::bit_block& b) noexcept {
    both.add(a & b);
    either.add(a | b);
  }
  ALIDADE_FORCE_INLINE void merge(const bit_jaccard& other) noexcept {
    both.merge(other.both);
    either.merge(other.either);
  }
  ALIDADE_FORCE_INLINE float result(const bits8*, const bits8*, std::size_t) const noexcept {
    const std::uint32_t all = either.total();
    if (all == 0) return 0;
    return static_cast<float>(1.0 - static_cast<double>(both.total()) / static_cast<double>(all));
  }
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
