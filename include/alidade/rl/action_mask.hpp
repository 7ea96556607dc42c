#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What a policy returns where no action is allowed.
inline constexpr std::uint32_t no_action = std::numeric_limits<std::uint32_t>::max();

/// Which actions may be chosen: a view of bits that somebody else owns. Action a is allowed where bit a % 64 of word a / 64 is
/// set. Without words, as default-constructed, all are.
class action_mask {
 public:
  constexpr action_mask() noexcept = default;
  constexpr explicit action_mask(std::span<const std::uint64_t> words) noexcept : words_(words) {}

  /// Whether there are no words, so that every action is allowed.
  constexpr bool allows_all() const noexcept { return words_.empty(); }

  /// Whether it says of each of `actions` actions if it is allowed.
  constexpr bool covers(std::size_t actions) const noexcept {
    return allows_all() || words_.size() >= actions / 64 + (actions % 64 != 0 ? 1 : 0);
  }

  /// Whether action a is allowed; one past the words is a bug (asserted).
  constexpr bool allows(std::size_t a) const noexcept {
    ALIDADE_ASSERT(allows_all() || a / 64 < words_.size());
    return allows_all() || (words_[a / 64] >> (a % 64) & 1) != 0;
  }

 private:
  std::span<const std::uint64_t> words_;
};

namespace detail {

// Neither -infinity nor NaN. By bits, which -ffast-math leaves alone.
inline bool is_choosable(float q) noexcept {
  const auto bits = bit_cast<std::uint32_t>(q);
  return (bits & 0x7fffffffu) <= 0x7f800000u && bits != 0xff800000u;
}
inline bool is_choosable(double q) noexcept {
  const auto bits = bit_cast<std::uint64_t>(q);
  return (bits & 0x7fffffffffffffffu) <= 0x7ff0000000000000u && bits != 0xfff0000000000000u;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
