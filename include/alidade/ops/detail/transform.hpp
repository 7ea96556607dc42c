#pragma once

#include <cstddef>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/ops/detail/numbers.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace ops {
namespace detail {

template <simd::real_vector V, class Operation, std::size_t... J, class... In>
ALIDADE_FORCE_INLINE std::size_t transform_whole(std::index_sequence<J...>, const Operation& operation,
                                                 typename V::value_type* out, std::size_t n,
                                                 const In*... in) noexcept {
  constexpr std::size_t step = sizeof...(J) * V::lanes;
  std::size_t i = 0;
  for (; i + step <= n; i += step) {
    const auto at = [&](std::size_t j) noexcept { return operation(V::load(in + j)...); };
    const V result[] = {at(i + J * V::lanes)...};
    (store(out + i + J * V::lanes, result[J]), ...);
  }
  return i;
}

/// out[i] = operation(x[i], y[i], ...), computed in `AtOnce` vectors a step. Inputs may be the output itself: a place is read
/// before it is written.
template <simd::real_vector V, std::size_t AtOnce, class Operation, class... In>
inline void transform(const Operation& operation, typename V::value_type* out, std::size_t n,
                      const In*... in) noexcept {
  std::size_t i = transform_whole<V>(std::make_index_sequence<AtOnce>{}, operation, out, n, in...);
  for (; i + V::lanes <= n; i += V::lanes) store(out + i, operation(V::load(in + i)...));
  if (i < n) store_partial(out + i, n - i, operation(V::load_partial(in + i, n - i)...));
}

}  // namespace detail
}  // namespace ops
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
