#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/simd/ops/u8.hpp>
#include <alidade/simd/prefetch.hpp>
#include <alidade/simd/vec.hpp>

/// The loops that everything stands on, over raw pointers. Each is a reduction of a step over two vectors; the steps say
/// what is summed, the loops how.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// sum (a_i - b_i)^2
struct squared_difference_step {
  template <simd::float_vector V>
  static ALIDADE_FORCE_INLINE V add(V sum, V a, V b) noexcept {
    const V difference = a - b;
    return multiply_add(difference, difference, sum);
  }
  template <class Sum>
  static ALIDADE_FORCE_INLINE void add(Sum& sum, const std::uint8_t* a, const std::uint8_t* b) noexcept {
    sum.add_squared_difference(a, b);
  }
};

/// sum a_i b_i
struct product_step {
  template <simd::float_vector V>
  static ALIDADE_FORCE_INLINE V add(V sum, V a, V b) noexcept {
    return multiply_add(a, b, sum);
  }
  template <class Sum>
  static ALIDADE_FORCE_INLINE void add(Sum& sum, const std::uint8_t* a, const std::uint8_t* b) noexcept {
    sum.add_product(a, b);
  }
};

/// One pair of float vectors. Four accumulators: a step costs two loads, so at two loads a cycle the loop needs one
/// multiply-add started each cycle, and its latency is four.
template <class Step, simd::float_vector V = simd::f32>
ALIDADE_FORCE_INLINE float reduce(const float* a, const float* b, std::size_t n) noexcept {
  V s0 = V::zero(), s1 = V::zero(), s2 = V::zero(), s3 = V::zero();
  std::size_t i = 0;
  for (; i + 4 * V::lanes <= n; i += 4 * V::lanes) {
    s0 = Step::add(s0, V::load(a + i), V::load(b + i));
    s1 = Step::add(s1, V::load(a + i + V::lanes), V::load(b + i + V::lanes));
    s2 = Step::add(s2, V::load(a + i + 2 * V::lanes), V::load(b + i + 2 * V::lanes));
    s3 = Step::add(s3, V::load(a + i + 3 * V::lanes), V::load(b + i + 3 * V::lanes));
  }
  for (; i + V::lanes <= n; i += V::lanes) s0 = Step::add(s0, V::load(a + i), V::load(b + i));
  if (i < n) s1 = Step::add(s1, V::load_partial(a + i, n - i), V::load_partial(b + i, n - i));
  return reduce_add((s0 + s1) + (s2 + s3));
}

/// One vector against four rows at a time: a fifth fewer loads than four pairs, and four streams of cache misses in
/// flight instead of one. Two accumulators a row hide the latency of the multiply-add.
template <class Step, simd::float_vector V = simd::f32>
ALIDADE_FORCE_INLINE void reduce4(const float* a, const float* const* rows, std::size_t n, float* out) noexcept {
  const float *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  V s0 = V::zero(), s1 = V::zero(), s2 = V::zero(), s3 = V::zero();
  V t0 = V::zero(), t1 = V::zero(), t2 = V::zero(), t3 = V::zero();
  std::size_t i = 0;
  for (; i + 2 * V::lanes <= n; i += 2 * V::lanes) {
    const V x = V::load(a + i), y = V::load(a + i + V::lanes);
    s0 = Step::add(s0, x, V::load(r0 + i));
    s1 = Step::add(s1, x, V::load(r1 + i));
    s2 = Step::add(s2, x, V::load(r2 + i));
    s3 = Step::add(s3, x, V::load(r3 + i));
    t0 = Step::add(t0, y, V::load(r0 + i + V::lanes));
    t1 = Step::add(t1, y, V::load(r1 + i + V::lanes));
    t2 = Step::add(t2, y, V::load(r2 + i + V::lanes));
    t3 = Step::add(t3, y, V::load(r3 + i + V::lanes));
  }
  for (; i < n; i += V::lanes) {
    const bool whole = i + V::lanes <= n;
    const auto load = [&](const float* p) { return whole ? V::load(p + i) : V::load_partial(p + i, n - i); };
    const V x = load(a);
    s0 = Step::add(s0, x, load(r0));
    s1 = Step::add(s1, x, load(r1));
    s2 = Step::add(s2, x, load(r2));
    s3 = Step::add(s3, x, load(r3));
  }
  out[0] = reduce_add(s0 + t0);
  out[1] = reduce_add(s1 + t1);
  out[2] = reduce_add(s2 + t2);
  out[3] = reduce_add(s3 + t3);
}

/// One pair of byte vectors; exact while the sum is below 2^32.
template <class Step, class Sum = simd::u8_sum_native>
ALIDADE_FORCE_INLINE std::uint32_t reduce(const std::uint8_t* a, const std::uint8_t* b, std::size_t n) noexcept {
  Sum s0, s1;
  std::size_t i = 0;
  for (; i + 2 * Sum::block <= n; i += 2 * Sum::block) {
    Step::add(s0, a + i, b + i);
    Step::add(s1, a + i + Sum::block, b + i + Sum::block);
  }
  if (i + Sum::block <= n) {
    Step::add(s0, a + i, b + i);
    i += Sum::block;
  }
  simd::u8_sum_scalar rest;
  for (; i < n; ++i) Step::add(rest, a + i, b + i);
  return s0.total() + s1.total() + rest.total();
}

template <class Step>
ALIDADE_FORCE_INLINE void reduce4(const std::uint8_t* a, const std::uint8_t* const* rows, std::size_t n,
                                  std::uint32_t* out) noexcept {
  for (std::size_t j = 0; j < 4; ++j) out[j] = reduce<Step>(a, rows[j], n);
}

/// One vector against `count` rows anywhere in memory. While a group of four is summed, the next one is prefetched.
template <class Step, class T, class Out>
inline void reduce_many(const T* a, const T* const* rows, std::size_t count, std::size_t n, Out* out) noexcept {
  std::size_t j = 0;
  for (; j + 4 <= count; j += 4) {
    for (std::size_t next = j + 4; next < count && next < j + 8; ++next) simd::prefetch(rows[next], n * sizeof(T));
    reduce4<Step>(a, rows + j, n, out + j);
  }
  for (; j < count; ++j) out[j] = reduce<Step>(a, rows[j], n);
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
