#pragma once

#include <cstdint>
#include <limits>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

inline constexpr std::uint32_t no_slot = std::numeric_limits<std::uint32_t>::max();

/// An entry's neighbours in the list of its policy.
struct slot_link {
  std::uint32_t previous = no_slot;
  std::uint32_t next = no_slot;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
