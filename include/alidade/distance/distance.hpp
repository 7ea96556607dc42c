#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <type_traits>

#include <alidade/config/assert.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/element_of.hpp>
#include <alidade/core/half.hpp>
#include <alidade/distance/byte_reductions.hpp>
#include <alidade/distance/kernels.hpp>
#include <alidade/distance/real_reductions.hpp>

/// Distances and similarities of two vectors: anything with std::data() and std::size() (spans, vectors, arrays).
///
/// | | float, double, f16, bf16 | int8, uint8 | bits8 |
/// | --- | --- | --- | --- |
/// | l2_squared, l1, chebyshev | float (double for double) | uint32, exact | |
/// | inner_product | float (double for double) | int32, uint32, exact | |
/// | cosine | float (double for double) | float | |
/// | hamming | | | uint32, exact |
/// | jaccard | | | float |
///
/// Vectors have one element type (checked by the compiler) and equal length (asserted), any length, at any alignment;
/// nothing past their end is read. Of length 0 sums are 0. NaN and infinity propagate as in the formula; a NaN component
/// makes every result NaN.
///
/// Sums of real numbers, n = length, u = 2^-24 (double: 2^-53), to first order: the error is at most
/// (n / 4 + 8) u sum |term_i|, since four or more accumulators share the terms (two, so n / 2, each sum of a cosine in a scalar
/// build, and of doubles on 32-bit NEON; Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), beside a smallest subnormal for each term
/// that underflows. f16 and bf16 are widened exactly and computed as floats; with AVX-512 BF16, the products and cosines of
/// bf16 take subnormal numbers for zero, in and out: an error of at most 2^-126 more for each term, and 2^-126 times the
/// other factor. 32-bit NEON flushes so in every kernel of floats. A float sum overflows to infinity above 3.4e38. None of
/// this holds under -ffast-math.
///
/// With `alidade::reproducible` as first argument the sum is taken in one order without fused operations, so that every
/// architecture gives the same bits (see reproducible_policy); the bound holds with n / 32 (double: n / 16) in place of n / 4.
///
/// Sums of bytes are exact modulo 2^32: right up to length 66,051 (squares of differences up to 255^2; products of unsigned
/// bytes), 131,071 (products of signed bytes, up to 128^2, in int32) or 16,843,009 (absolute differences). Bits are right
/// up to 2^29 - 1 bytes.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

template <class A, class B>
concept vectors_of_one_type = requires(const A& a, const B& b) {
  { std::size(a) } -> std::convertible_to<std::size_t>;
  { std::size(b) } -> std::convertible_to<std::size_t>;
  requires std::same_as<element_of<A>, element_of<B>>;
};

/// Which reductions compute the distances of elements T, by policy.
template <class T, class Policy>
struct reductions {};

template <real_element T, class Policy>
struct reductions<T, Policy> {
  using l2_squared = real_squared_difference<T, vector_for<T, Policy>>;
  using inner_product = real_product<T, vector_for<T, Policy>, product_block_for<T, Policy>>;
  using cosine = real_cosine<T, vector_for<T, Policy>, product_block_for<T, Policy>>;
  using l1 = real_absolute_difference<T, vector_for<T, Policy>>;
  using chebyshev = real_largest_difference<T, vector_for<T, fast_policy>>;  // no order to keep
};

template <byte_element T, class Policy>
struct reductions<T, Policy> {
  using l2_squared = byte_squared_difference<T, simd::byte_sums>;
  using inner_product = byte_product<T, simd::byte_sums>;
  using cosine = byte_cosine<T, simd::byte_sums>;
  using l1 = byte_absolute_difference<T, simd::byte_sums>;
  using chebyshev = byte_largest_difference<T, simd::byte_sums>;
};

template <class Policy>
struct reductions<bits8, Policy> {
  using hamming = bit_difference<simd::byte_sums>;
  using jaccard = bit_jaccard<simd::byte_sums>;
};

struct l2_squared_of {
  template <class T, class Policy>
  using reduction = typename reductions<T, Policy>::l2_squared;
};
struct inner_product_of {
  template <class T, class Policy>
  using reduction = typename reductions<T, Policy>::inner_product;
};
struct cosine_of {
  template <class T, class Policy>
  using reduction = typename reductions<T, Policy>::cosine;
};
struct l1_of {
  template <class T, class Policy>
  using reduction = typename reductions<T, Policy>::l1;
};
struct chebyshev_of {
  template <class T, class Policy>
  using reduction = typename reductions<T, Policy>::chebyshev;
};
struct hamming_of {
  template <class T, class Policy>
  using reduction = typename reductions<T, Policy>::hamming;
};
struct jaccard_of {
  template <class T, class Policy>
  using reduction = typename reductions<T, Policy>::jaccard;
};

template <class Distance, class T>
concept defined_for = requires {
  typename Distance::template reduction<T, fast_policy>;
};

/// A distance as a function: f(a, b), or f(alidade::reproducible, a, b).
template <class Distance>
struct distance_function {
  template <class A, class B>
  requires vectors_of_one_type<A, B> && defined_for<Distance, element_of<A>> ALIDADE_FORCE_INLINE auto
  operator()(const A& a, const B& b) const noexcept {
    return (*this)(fast, a, b);
  }

  template <class Policy, class A, class B>
  requires vectors_of_one_type<A, B> && defined_for<Distance, element_of<A>> ALIDADE_FORCE_INLINE auto
  operator()(Policy, const A& a, const B& b) const noexcept {
    ALIDADE_ASSERT(std::size(a) == std::size(b));
    return reduce<typename Distance::template reduction<element_of<A>, Policy>>(std::data(a), std::data(b),
                                                                                std::size(a));
  }
};

}  // namespace detail

/// Squared Euclidean distance: sum (a_i - b_i)^2.
inline constexpr detail::distance_function<detail::l2_squared_of> l2_squared{};

/// Inner product: sum a_i b_i. A similarity: larger is nearer. The metric for indexes is its negative.
inline constexpr detail::distance_function<detail::inner_product_of> inner_product{};

/// Cosine distance: 1 - sum a_i b_i / sqrt(sum a_i^2 * sum b_i^2), in [0, 2], in one pass. When a norm is zero (length 0
/// included) the direction is undefined and the distance is 1, on every architecture. Norms of any finite size are
/// right: where their squares leave the type's range, the sums are taken again in double, or scaled.
inline constexpr detail::distance_function<detail::cosine_of> cosine{};

/// Manhattan distance: sum |a_i - b_i|.
inline constexpr detail::distance_function<detail::l1_of> l1{};

/// Chebyshev distance: max |a_i - b_i|, 0 of length 0. A difference of real numbers is rounded once, the same on every
/// architecture but for 32-bit NEON's flushing.
inline constexpr detail::distance_function<detail::chebyshev_of> chebyshev{};

/// Hamming distance: the number of bits that differ.
inline constexpr detail::distance_function<detail::hamming_of> hamming{};

/// Jaccard distance of sets of bits: 1 - |a and b| / |a or b|; of two empty sets 0. The counts are exact, the quotient is
/// rounded to double and then to float.
inline constexpr detail::distance_function<detail::jaccard_of> jaccard{};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
