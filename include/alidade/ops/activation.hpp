#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/activation_kernels.hpp>
#include <alidade/ops/detail/aggregation.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/ops/detail/transform.hpp>

/// Activation functions of float vectors. Input and output have one length (asserted), any length, at any alignment;
/// nothing past their ends is touched. The output may be the input; otherwise they must not overlap.
///
/// Errors in units in the last place of the result, over all floats, subnormal results included, with fused
/// multiply-add and without:
///
/// | | largest error | at -infinity | at +infinity |
/// | --- | --- | --- | --- |
/// | sigmoid | 2.5 | 0 | 1 |
/// | tanh | 2.5 | -1 | 1 |
/// | gelu | 8 (fused: 6.5) | 0 | +infinity |
///
/// 32-bit NEON takes subnormal numbers for zero, and cannot divide: with its approximate reciprocals the errors are up to 2
/// more.
/// NaN gives NaN; nothing overflows. Results of fused and other architectures may differ within these bounds.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {

/// out_i = 1 / (1 + e^-x_i)
inline void sigmoid(std::span<const float> x, std::span<float> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size());
  detail::transform<simd::f32, 2>(detail::sigmoid_operation{}, out.data(), out.size(), x.data());
}

/// out_i = tanh x_i, an odd function: tanh -x = -tanh x to the bit, and of -0 it is -0.
inline void tanh(std::span<const float> x, std::span<float> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size());
  detail::transform<simd::f32, 2>(detail::tanh_operation{}, out.data(), out.size(), x.data());
}

/// out_i = x_i Phi(x_i) = x_i (1 + erf(x_i / sqrt 2)) / 2, the Gaussian error linear unit itself, not its approximation by
/// tanh (Hendrycks and Gimpel, arXiv:1606.08415).
inline void gelu(std::span<const float> x, std::span<float> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size());
  detail::transform<simd::f32, 2>(detail::gelu_operation{}, out.data(), out.size(), x.data());
}

namespace detail {

template <simd::real_vector V>
struct shifted_exponential {
  V shift;
  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept { return exponential_below_one(x - shift); }
};

template <simd::real_vector V>
struct scaled {
  V factor;
  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept { return factor * x; }
};

template <simd::real_vector V = simd::f32>
inline void softmax(const float* x, float* out, std::size_t n) noexcept {
  if (n == 0) return;
  const float high = extremes_of<float, V>(x, n).high;
  if (is_nan(high)) {
    std::fill(out, out + n, high);
    return;
  }
  if (!is_finite(high)) {
    const auto share = 1.0f / static_cast<float>(std::count(x, x + n, high));
    for (std::size_t i = 0; i < n; ++i) out[i] = x[i] == high ? share : 0.0f;
    return;
  }
  const shifted_exponential<V> exponential{V::broadcast(high)};
  double sum = 0;
  for (std::size_t i = 0; i < n; i += block_length) {
    const std::size_t now = std::min(n - i, block_length);
    transform<V, 2>(exponential, out + i, now, x + i);
    sum += static_cast<double>(block_sum<V>(out + i, now));
  }
  transform<V, 4>(scaled<V>{V::broadcast(static_cast<float>(1.0 / sum))}, out, n,
                  static_cast<const float*>(out));
}

}  // namespace detail

/// out_i = e^(x_i - m) / sum_j e^(x_j - m) with m = max x: between 0 and 1, summing to 1 within 2^-20.
///
/// The relative error of a result is at most (26 + |x_i - m|) 2^-24, beside one smallest subnormal: x_i - m is rounded, and
/// so the exponential of it is off by a part of that. Where the maximum is infinite, the elements equal to it have equal
/// shares and the others 0: so +infinity takes all, and of nothing but -infinity each has 1 / n. A NaN anywhere makes all
/// results NaN.
inline void softmax(std::span<const float> x, std::span<float> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size());
  detail::softmax(x.data(), out.data(), out.size());
}

}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
