#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/simd/ops/u8.hpp>
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

/// The sums of one vector against several others, four accumulators each: a step costs a load for each row, so at two
/// loads a cycle the loop wants one or two multiply-adds started each cycle, and their latency is four. The order of
/// additions is the same for any number of rows, so a pair has one distance, bit for bit, whatever it is measured with.
// Rows are a parameter pack rather than a loop, so that the accumulators are registers at -O2 too.
template <class Step, simd::float_vector V, std::size_t... Row>
ALIDADE_FORCE_INLINE void reduce_rows(std::index_sequence<Row...>, const float* a, const float* const* rows,
                                      std::size_t n, float* out) noexcept {
  constexpr std::size_t count = sizeof...(Row);
  const float* const row[count] = {rows[Row]...};
  V sum0[count] = {(static_cast<void>(Row), V::zero())...};
  V sum1[count] = {(static_cast<void>(Row), V::zero())...};
  V sum2[count] = {(static_cast<void>(Row), V::zero())...};
  V sum3[count] = {(static_cast<void>(Row), V::zero())...};
  std::size_t i = 0;
  for (; i + 4 * V::lanes <= n; i += 4 * V::lanes) {
    const V x0 = V::load(a + i), x1 = V::load(a + i + V::lanes);
    const V x2 = V::load(a + i + 2 * V::lanes), x3 = V::load(a + i + 3 * V::lanes);
    ((sum0[Row] = Step::add(sum0[Row], x0, V::load(row[Row] + i))), ...);
    ((sum1[Row] = Step::add(sum1[Row], x1, V::load(row[Row] + i + V::lanes))), ...);
    ((sum2[Row] = Step::add(sum2[Row], x2, V::load(row[Row] + i + 2 * V::lanes))), ...);
    ((sum3[Row] = Step::add(sum3[Row], x3, V::load(row[Row] + i + 3 * V::lanes))), ...);
  }
  if (i + V::lanes <= n) {
    const V x = V::load(a + i);
    ((sum0[Row] = Step::add(sum0[Row], x, V::load(row[Row] + i))), ...);
    i += V::lanes;
  }
  if (i + V::lanes <= n) {
    const V x = V::load(a + i);
    ((sum1[Row] = Step::add(sum1[Row], x, V::load(row[Row] + i))), ...);
    i += V::lanes;
  }
  if (i + V::lanes <= n) {
    const V x = V::load(a + i);
    ((sum2[Row] = Step::add(sum2[Row], x, V::load(row[Row] + i))), ...);
    i += V::lanes;
  }
  if (i < n) {
    const V x = V::load_partial(a + i, n - i);
    ((sum3[Row] = Step::add(sum3[Row], x, V::load_partial(row[Row] + i, n - i))), ...);
  }
  ((out[Row] = reduce_add((sum0[Row] + sum1[Row]) + (sum2[Row] + sum3[Row]))), ...);
}

/// out[r] = the sum of the steps over `a` and rows[r], for `Rows` rows at once.
template <class Step, std::size_t Rows, simd::float_vector V = simd::f32>
ALIDADE_FORCE_INLINE void reduce_rows(const float* a, const float* const* rows, std::size_t n,
                                      float* out) noexcept {
  reduce_rows<Step, V>(std::make_index_sequence<Rows>{}, a, rows, n, out);
}

/// One pair of float vectors.
template <class Step, simd::float_vector V = simd::f32>
ALIDADE_FORCE_INLINE float reduce(const float* a, const float* b, std::size_t n) noexcept {
  float out;
  reduce_rows<Step, 1, V>(a, &b, n, &out);
  return out;
}

/// One pair of byte vectors; exact while the sum is below 2^32.
template <class Step, class Sum = simd::u8_sum_native>
ALIDADE_FORCE_INLINE std::uint32_t reduce(const std::uint8_t* a, const std::uint8_t* b,
                                          std::size_t n) noexcept {
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

/// As many rows at once as their accumulators fit the registers: sharing the loads of `a` saves up to three in eight.
inline constexpr std::size_t rows_at_once = simd::f32::registers >= 32 ? 4 : 2;

template <class Step, std::size_t Rows>
ALIDADE_FORCE_INLINE void reduce_rows(const std::uint8_t* a, const std::uint8_t* const* rows, std::size_t n,
                                      std::uint32_t* out) noexcept {
  for (std::size_t r = 0; r < Rows; ++r) out[r] = reduce<Step>(a, rows[r], n);
}

/// One vector against `count` rows anywhere in memory.
template <class Step, class T, class Out>
inline void reduce_many(const T* a, const T* const* rows, std::size_t count, std::size_t n,
                        Out* out) noexcept {
  std::size_t j = 0;
  for (; j + rows_at_once <= count; j += rows_at_once)
    reduce_rows<Step, rows_at_once>(a, rows + j, n, out + j);
  for (; j < count; ++j) out[j] = reduce<Step>(a, rows[j], n);
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
