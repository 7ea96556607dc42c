#pragma once

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/simd/ops/float_bits.hpp>

/// Activation functions of vectors of floats. Polynomials and rational functions are minimax approximations, found by the
/// Remez exchange in 50 digits; the errors beside them are those of exact arithmetic. `min(limit, x)` and `max(limit, x)`
/// are written in this order because every architecture then returns the second operand where it is NaN.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

template <simd::real_vector V>
ALIDADE_FORCE_INLINE V constant(float x) noexcept {
  return V::broadcast(x);
}

/// x = n ln 2 + r with integral n and |r| <= 0.35, for |x| < 2^7; and 2^(n + Scale), which must be a normal number.
///
/// Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits, where an exponent's bias can be added too. The first 15
/// bits of ln 2 times n are exact, and so is what they leave of x (Cody and Waite, Software Manual for the Elementary
/// Functions, 1980).
template <simd::real_vector V, int Scale = 0>
struct reduced {
  V r, power;

  explicit ALIDADE_FORCE_INLINE reduced(V x) noexcept {
    const V magic = constant<V>(12582912.0f + 127.0f + static_cast<float>(Scale));
    const V biased = rounded(multiply_add(x, constant<V>(0x1.715476p+0f), magic));
    const V n = biased - magic;
    power = simd::power_of_two_of_bits(biased);
    r = multiply_add(n, constant<V>(-0x1.7f7d1cp-20f), multiply_add(n, constant<V>(-0x1.62e4p-1f), x));
  }
};

/// e^r for |r| <= 0.35, within 2^-28.
template <simd::real_vector V>
ALIDADE_FORCE_INLINE V exponential_near_zero(V r) noexcept {
  V p = constant<V>(0x1.6a1a90p-10f);
  p = multiply_add(p, r, constant<V>(0x1.123fc6p-7f));
  p = multiply_add(p, r, constant<V>(0x1.555916p-5f));
  p = multiply_add(p, r, constant<V>(0x1.55548ap-3f));
  p = multiply_add(p, r, constant<V>(0x1.fffffcp-2f));
  p = multiply_add(p, r, constant<V>(1.0f));
  return multiply_add(p, r, constant<V>(1.0f));
}

/// e^r - 1 for |r| <= 0.35, within 2^-31 of itself.
template <simd::real_vector V>
ALIDADE_FORCE_INLINE V exponential_minus_one_near_zero(V r) noexcept {
  V p = constant<V>(0x1.a03330p-13f);
  p = multiply_add(p, r, constant<V>(0x1.6d78d8p-10f));
  p = multiply_add(p, r, constant<V>(0x1.11118ep-7f));
  p = multiply_add(p, r, constant<V>(0x1.5554aap-5f));
  p = multiply_add(p, r, constant<V>(0x1.555554p-3f));
  p = multiply_add(p, r, constant<V>(0.5f));
  return multiply_add(r * r, p, r);
}

/// e^x for x <= 0. Below -104 it rounds to 0; subnormal results are rounded once, when the scale is taken off.
template <simd::real_vector V>
ALIDADE_FORCE_INLINE V exponential_below_one(V x) noexcept {
  const reduced<V, 64> part(max(constant<V>(-104.0f), x));
  return exponential_near_zero(part.r) * part.power * constant<V>(0x1p-64f);
}

/// 1 / (1 + e^-x), both sides of the fraction times 2^-64: so e^104 is still a float, and the division rounds a subnormal
/// result once. Below -104 it is 0, and from 18 on 1.
struct sigmoid_operation {
  template <simd::real_vector V>
  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept {
    const V one = constant<V>(0x1p-64f);
    const reduced<V, -64> part(min(constant<V>(104.0f), max(constant<V>(-40.0f), V::zero() - x)));
    return one / multiply_add(exponential_near_zero(part.r), part.power, one);
  }
};

/// t / (t + 2) with t = e^2|x| - 1, which about zero is the polynomial alone and so keeps its digits. From 9.02 on tanh
/// rounds to 1.
struct tanh_operation {
  template <simd::real_vector V>
  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept {
    const V magnitude = min(constant<V>(9.02f), abs(x));
    const reduced<V> part(magnitude + magnitude);
    const V t =
        multiply_add(part.power, exponential_minus_one_near_zero(part.r), part.power - constant<V>(1.0f));
    return simd::with_sign_of(t / (t + constant<V>(2.0f)), x);
  }
};

/// x Phi(x), Phi the normal distribution function, as max(x, 0) - a Q with a = |x| and
/// Q = Phi(-a) = e^(-a^2 / 2) M(a), where M is a rational function within 2^-27. From 14.5 on a Q rounds to 0. The fraction
/// is scaled by 2^64, so that it is the division that rounds a subnormal result.
struct gelu_operation {
  template <simd::real_vector V>
  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept {
    const V a = min(constant<V>(14.5f), abs(x));
    // a = head + tail, where head has 12 bits: its square is exact, and what is left of a^2 is small.
    const V magic = constant<V>(49152.0f), head = rounded(a + magic) - magic, tail = a - head;
    const V rest = tail * (a + head) * constant<V>(0.5f);
    const reduced<V, 64> part(head * head * constant<V>(-0.5f));
    const V e = exponential_near_zero(part.r - rest) * part.power;

    V p = constant<V>(0x1.0e4140p-8f);
    p = multiply_add(p, a, constant<V>(0x1.4d4732p-5f));
    p = multiply_add(p, a, constant<V>(0x1.7791e6p-3f));
    p = multiply_add(p, a, constant<V>(0x1.c104eep-2f));
    p = multiply_add(p, a, constant<V>(0.5f));
    V q = constant<V>(0x1.52b5dcp+57f);
    q = multiply_add(q, a, constant<V>(0x1.a1ba72p+60f));
    q = multiply_add(q, a, constant<V>(0x1.e123c4p+62f));
    q = multiply_add(q, a, constant<V>(0x1.33ffaep+64f));
    q = multiply_add(q, a, constant<V>(0x1.acc4a8p+64f));
    q = multiply_add(q, a, constant<V>(0x1p+64f));
    return max(V::zero(), x) - (a * e) * p / q;
  }
};

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
