#pragma once

#include <cstddef>
#include <span>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/numbers.hpp>
#include <alidade/ops/detail/transform.hpp>

/// Arithmetic on vectors, element by element, in float or double. Inputs and output have one length (asserted), any
/// length, at any alignment; nothing past their ends is touched. The output may be one of the inputs; otherwise it must
/// not overlap them. Each operation rounds as the formula says; multiply_add is fused where the architecture can.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

struct add_operation {
  template <class V>
  ALIDADE_FORCE_INLINE V operator()(V x, V y) const noexcept {
    return x + y;
  }
};

template <class V>
struct scale_operation {
  V factor;
  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept { return factor * x; }
};

struct multiply_add_operation {
  template <class V>
  ALIDADE_FORCE_INLINE V operator()(V x, V y, V z) const noexcept {
    return multiply_add(x, y, z);
  }
};

template <class V>
struct scaled_add_operation {
  V factor;
  ALIDADE_FORCE_INLINE V operator()(V x, V y) const noexcept { return multiply_add(factor, x, y); }
};

struct relu_operation {
  template <class V>
  ALIDADE_FORCE_INLINE V operator()(V x) const noexcept {
    return max(V::zero(), x);  // NaN where the second operand is
  }
};

template <class T>
inline void add(std::span<const T> x, std::span<const T> y, std::span<T> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size() && y.size() == out.size());
  transform<vector_of<T>, 4>(add_operation{}, out.data(), out.size(), x.data(), y.data());
}

template <class T>
inline void scale(T factor, std::span<const T> x, std::span<T> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size());
  using V = vector_of<T>;
  transform<V, 4>(scale_operation<V>{V::broadcast(factor)}, out.data(), out.size(), x.data());
}

template <class T>
inline void multiply_add(std::span<const T> x, std::span<const T> y, std::span<const T> z,
                         std::span<T> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size() && y.size() == out.size() && z.size() == out.size());
  transform<vector_of<T>, 4>(multiply_add_operation{}, out.data(), out.size(), x.data(), y.data(), z.data());
}

template <class T>
inline void multiply_add(T factor, std::span<const T> x, std::span<const T> y, std::span<T> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size() && y.size() == out.size());
  using V = vector_of<T>;
  transform<V, 4>(scaled_add_operation<V>{V::broadcast(factor)}, out.data(), out.size(), x.data(), y.data());
}

template <class T>
inline void relu(std::span<const T> x, std::span<T> out) noexcept {
  ALIDADE_ASSERT(x.size() == out.size());
  transform<vector_of<T>, 4>(relu_operation{}, out.data(), out.size(), x.data());
}

}  // namespace detail

/// out_i = x_i + y_i
inline void add(std::span<const float> x, std::span<const float> y, std::span<float> out) noexcept {
  detail::add<float>(x, y, out);
}
inline void add(std::span<const double> x, std::span<const double> y, std::span<double> out) noexcept {
  detail::add<double>(x, y, out);
}

/// out_i = factor * x_i
inline void scale(float factor, std::span<const float> x, std::span<float> out) noexcept {
  detail::scale<float>(factor, x, out);
}
inline void scale(double factor, std::span<const double> x, std::span<double> out) noexcept {
  detail::scale<double>(factor, x, out);
}

/// out_i = x_i * y_i + z_i
inline void multiply_add(std::span<const float> x, std::span<const float> y, std::span<const float> z,
                         std::span<float> out) noexcept {
  detail::multiply_add<float>(x, y, z, out);
}
inline void multiply_add(std::span<const double> x, std::span<const double> y, std::span<const double> z,
                         std::span<double> out) noexcept {
  detail::multiply_add<double>(x, y, z, out);
}

/// out_i = factor * x_i + y_i
inline void multiply_add(float factor, std::span<const float> x, std::span<const float> y,
                         std::span<float> out) noexcept {
  detail::multiply_add<float>(factor, x, y, out);
}
inline void multiply_add(double factor, std::span<const double> x, std::span<const double> y,
                         std::span<double> out) noexcept {
  detail::multiply_add<double>(factor, x, y, out);
}

/// out_i = x_i where it is positive, else 0 (of -0 a zero of either sign); NaN stays NaN.
inline void relu(std::span<const float> x, std::span<float> out) noexcept { detail::relu<float>(x, out); }
inline void relu(std::span<const double> x, std::span<double> out) noexcept { detail::relu<double>(x, out); }

}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
