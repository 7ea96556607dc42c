#pragma once

#include <cstdint>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What a distance is in terms of centred vectors, x = mean + x', and a query q = mean + q', less what is the same for all x.
enum class centred_form : std::uint32_t {
  distance,  ///< |q - x|^2:  |x'|^2 - 2 <q', x'>
  product    ///< -<q, x>:  -<mean, x'> - <q', x'>
};

/// The last bytes of a code, of numbers u: estimate = offset + factor * <q', u>.
struct code_tail {
  float offset, factor;
};
static_assert(sizeof(code_tail) == 8);

/// `squares`: |x'|^2; `with_mean`: <mean, x'>; `share`: what <q', u> is to be multiplied with to be <q', x'>.
inline code_tail tail_of(centred_form form, double squares, double with_mean, double share) noexcept {
  return form == centred_form::distance
             ? code_tail{static_cast<float>(squares), static_cast<float>(-2 * share)}
             : code_tail{static_cast<float>(-with_mean), static_cast<float>(-share)};
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
