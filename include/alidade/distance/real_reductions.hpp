#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/half.hpp>
#include <alidade/simd/fixed_tree.hpp>
#include <alidade/simd/ops/bf16_dot.hpp>
#include <alidade/simd/ops/half.hpp>
#include <alidade/simd/vec.hpp>

/// What is accumulated over two vectors of real numbers, block by block; kernels.hpp has the loops.
///
/// A reduction R over elements of type T: `R::block_type` is what `R::load(p)` makes of `R::size` elements and
/// `R::load_partial(p, count)` of fewer; a default constructed R is the empty sum; `add(a, b)` takes two blocks, `merge`
/// another sum. `result(a, b, n)` finishes; it is given the vectors as well, for the few that need a second look.
/// `R::accumulators` sums run side by side, of `R::width` registers each; half as many below `R::short_length` elements, where
/// there is one: setting up and merging costs more than it gains there. `R::instruction` names what R was chosen for.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// How sums of floats are taken. `fast`: the processor's own order, products and sums fused where it can. `reproducible`:
/// one order, nothing fused: the same result, bit for bit, on every architecture but 32-bit NEON, which flushes
/// subnormal numbers to zero (NaN may differ in payload). Sums of integers are exact, and the same, in either.
struct fast_policy {};
struct reproducible_policy {};
inline constexpr fast_policy fast{};
inline constexpr reproducible_policy reproducible{};

namespace detail {

template <class T>
concept real_element =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, f16> || std::same_as<T, bf16>;

/// What sums over T are computed in.
template <real_element T>
using real_of = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <real_element T>
double to_double(T x) noexcept {
  if constexpr (std::is_same_v<T, double>) return x;
  if constexpr (!std::is_same_v<T, double>) return static_cast<double>(static_cast<float>(x));
}

template <class T, class Policy>
using vector_for = std::conditional_t<
    std::is_same_v<Policy, reproducible_policy>,
    std::conditional_t<std::is_same_v<T, double>, simd::fixed_tree<simd::f64>, simd::fixed_tree<simd::f32>>,
    std::conditional_t<std::is_same_v<T, double>, simd::f64, simd::f32>>;

/// Registers of one V, and how many V to accumulate in: four hide the latency of an addition; a fixed tree is its own.
template <class V>
inline constexpr std::size_t width_of = 1;
template <class V, class Parts>
inline constexpr std::size_t width_of<simd::fixed_tree<V, Parts>> = simd::fixed_tree<V, Parts>::parts;
template <class V>
inline constexpr std::size_t accumulators_of = 4;
template <class V, class Parts>
inline constexpr std::size_t accumulators_of<simd::fixed_tree<V, Parts>> = 1;

/// Elements are taken a Block at a time; sums are kept in vectors V.
template <real_element T, class Block>
struct real_reduction {
  using element = T;
  using block_type = Block;
  using result_type = real_of<T>;
  static constexpr std::size_t size = Block::lanes;
  static constexpr std::size_t registers = simd::f32::registers;
  static constexpr const char* instruction = [] {
    if constexpr (requires { Block::instruction; }) return Block::instruction;
    return simd::load_instruction<T>;
  }();

  static ALIDADE_FORCE_INLINE Block load(const T* p) noexcept { return Block::load(p); }
  static ALIDADE_FORCE_INLINE Block load_partial(const T* p, std::size_t count) noexcept {
    return Block::load_partial(p, count);
  }
};

template <real_element T, class V, class Block = V>
struct real_sum : real_reduction<T, Block> {
  static constexpr std::size_t width = width_of<V>;
  static constexpr std::size_t accumulators = accumulators_of<V>;
  static constexpr std::size_t short_length = V::lanes == 16 && accumulators == 4 ? 200 : 0;
  V sum = V::zero();

  ALIDADE_FORCE_INLINE void merge(const real_sum& other) noexcept { sum = sum + other.sum; }
  ALIDADE_FORCE_INLINE real_of<T> result(const T*, const T*, std::size_t) const noexcept {
    return reduce_add(sum);
  }
};

/// sum (a_i - b_i)^2
template <real_element T, class V>
struct real_squared_difference : real_sum<T, V> {
  ALIDADE_FORCE_INLINE void add(const V& a, const V& b) noexcept {
    const V difference = a - b;
    this->sum = multiply_add(difference, difference, this->sum);
  }
};

/// sum a_i b_i
template <real_element T, class V, class Block = V>
struct real_product : real_sum<T, V, Block> {
  ALIDADE_FORCE_INLINE void add(const Block& a, const Block& b) noexcept {
    this->sum = multiply_add(a, b, this->sum);
  }
};

/// sum |a_i - b_i|
template <real_element T, class V>
struct real_absolute_difference : real_sum<T, V> {
  ALIDADE_FORCE_INLINE void add(const V& a, const V& b) noexcept { this->sum = this->sum + abs(a - b); }
};

/// max |a_i - b_i|. The processor's maximum may drop a NaN, so that is kept apart.
template <real_element T, class V>
struct real_largest_difference : real_reduction<T, V> {
  static constexpr std::size_t width = 2;
  static constexpr std::size_t accumulators = 2;
  V largest = V::zero();
  typename V::mask nan = V::no_lanes();

  ALIDADE_FORCE_INLINE void add(V a, V b) noexcept {
    const V difference = abs(a - b);
    largest = max(largest, difference);
    nan = nan | (difference != difference);
  }
  ALIDADE_FORCE_INLINE void merge(const real_largest_difference& other) noexcept {
    largest = max(largest, other.largest);
    nan = nan | other.nan;
  }
  ALIDADE_FORCE_INLINE real_of<T> result(const T*, const T*, std::size_t) const noexcept {
    if (any(nan)) return std::numeric_limits<real_of<T>>::quiet_NaN();
    return reduce_max(largest);
  }
};

/// A power of two to scale by twice, since its square may be out of range: of the largest |x_i| that makes 0.5 .. 4. Only doubles
/// need it: no square of another type leaves the range of double.
template <class T>
double half_scale_of(const T* x, std::size_t n) noexcept {
  double largest = 0;
  if constexpr (std::is_same_v<T, double>) {
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  }
  return largest > 0 && is_finite(largest) ? std::ldexp(1.0, -std::ilogb(largest) / 2) : 1.0;
}

/// Into [0, 2], which rounding may leave; a NaN stays one.
template <class Real>
Real clamp_cosine(Real distance) noexcept {
  return distance < Real(0) ? Real(0) : distance > Real(2) ? Real(2) : distance;
}

/// The cosine distance of vectors whose sums of squares leave the range of their type. In double no square of a float
/// overflows or vanishes, and none of it is rounded; doubles are scaled by a power of two first. Out of line: it is
/// rarely called. In order, and by the same rounded steps on every architecture.
template <real_element T>
ALIDADE_NOINLINE real_of<T> cosine_of_extreme_norms(const T* a, const T* b, std::size_t n) noexcept {
  const double scale_a = half_scale_of(a, n), scale_b = half_scale_of(b, n);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = to_double(a[i]) * scale_a * scale_a, y = to_double(b[i]) * scale_b * scale_b;
    double xy = x * y, xx = x * x, yy = y * y;
    ALIDADE_KEEP_SCALAR(xy);
    ALIDADE_KEEP_SCALAR(xx);
    ALIDADE_KEEP_SCALAR(yy);
    ab += xy;
    aa += xx;
    bb += yy;
  }
  if (aa == 0 || bb == 0) {
    return is_finite(aa + bb) ? real_of<T>(1) : std::numeric_limits<real_of<T>>::quiet_NaN();
  }
  return static_cast<real_of<T>>(clamp_cosine(1.0 - ab / std::sqrt(aa * bb)));
}

/// 1 - ab / sqrt(aa bb) from the sums, where they are within bounds that no term has left or lost digits to: both sums
/// are above the tiny one over the huge one, and below that.
template <real_element T>
ALIDADE_FORCE_INLINE real_of<T> cosine_from_sums(real_of<T> ab, real_of<T> aa, real_of<T> bb, const T* a,
                                                 const T* b, std::size_t n) noexcept {
  using Real = real_of<T>;
  constexpr Real tiny = sizeof(Real) == 4 ? Real(1e-16) : Real(1e-140);
  constexpr Real huge = sizeof(Real) == 4 ? Real(1e12) : Real(1e140);
  const Real norms = aa * bb;
  if (!(norms > tiny) || !(aa + bb < huge)) return cosine_of_extreme_norms(a, b, n);
  return clamp_cosine(Real(1) - ab / std::sqrt(norms));
}

/// 1 - sum a_i b_i / sqrt(sum a_i^2 sum b_i^2), the three sums in one pass.
template <real_element T, class V, class Block = V>
struct real_cosine : real_reduction<T, Block> {
  static constexpr std::size_t width = 3 * width_of<V>;
  static constexpr std::size_t accumulators =
      V::lanes >= 8 ? accumulators_of<V> : std::min<std::size_t>(2, accumulators_of<V>);
  static constexpr std::size_t short_length = accumulators < 4 ? 0 : V::lanes == 16 ? 384 : 128;
  V ab = V::zero(), aa = V::zero(), bb = V::zero();

  ALIDADE_FORCE_INLINE void add(const Block& a, const Block& b) noexcept {
    ab = multiply_add(a, b, ab);
    aa = multiply_add(a, a, aa);
    bb = multiply_add(b, b, bb);
  }
  ALIDADE_FORCE_INLINE void merge(const real_cosine& other) noexcept {
    ab = ab + other.ab;
    aa = aa + other.aa;
    bb = bb + other.bb;
  }
  ALIDADE_FORCE_INLINE real_of<T> result(const T* a, const T* b, std::size_t n) const noexcept {
    const real_of<T> sum_aa = reduce_add(aa), sum_bb = reduce_add(bb);
    return cosine_from_sums<T>(reduce_add(ab), sum_aa, sum_bb, a, b, n);
  }
};

#if ALIDADE_HAS_AVX512_BF16
template <class T, class Policy>
inline constexpr bool in_bf16_blocks = std::is_same_v<T, bf16>&& std::is_same_v<Policy, fast_policy>;
template <class T, class Policy>
using product_block_for =
    std::conditional_t<in_bf16_blocks<T, Policy>, simd::bf16_block, vector_for<T, Policy>>;
#else
template <class T, class Policy>
using product_block_for = vector_for<T, Policy>;
#endif

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
