#pragma once

#include <iterator>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What anything with std::data() holds: spans, vectors, arrays.
template <class R>
using element_of = std::remove_cvref_t<decltype(*std::data(std::declval<const R&>()))>;

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
