#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64

#include <arm_neon.h>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace simd {

/// A register of bytes.
struct bytes_native {
  static constexpr std::size_t size = 16;
  uint8x16_t value;

  static ALIDADE_FORCE_INLINE bytes_native zero() noexcept { return {vdupq_n_u8(0)}; }
  static ALIDADE_FORCE_INLINE bytes_native load(const void* p) noexcept {
    return {vld1q_u8(static_cast<const std::uint8_t*>(p))};
  }
  static ALIDADE_FORCE_INLINE bytes_native load_partial(const void* p, std::size_t count) noexcept {
    const auto* bytes = static_cast<const unsigned char*>(p);
    const std::uint64_t low = detail::load_bytes(bytes, count < 8 ? count : 8);
    const std::uint64_t high = count > 8 ? detail::load_bytes(bytes + 8, count - 8) : 0;
    return {vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(low), vcreate_u64(high)))};
  }
  friend ALIDADE_FORCE_INLINE bytes_native loaded_once(bytes_native a) noexcept {
    ALIDADE_KEEP_SIMD(a.value);
    return a;
  }
  friend ALIDADE_FORCE_INLINE bytes_native operator^(bytes_native a, bytes_native b) noexcept {
    return {veorq_u8(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native operator&(bytes_native a, bytes_native b) noexcept {
    return {vandq_u8(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native operator|(bytes_native a, bytes_native b) noexcept {
    return {vorrq_u8(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native flip_sign(bytes_native a) noexcept {
    return {veorq_u8(a.value, vdupq_n_u8(0x80))};
  }
  friend ALIDADE_FORCE_INLINE bytes_native absolute_difference(bytes_native a, bytes_native b) noexcept {
    return {vabdq_u8(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE bytes_native signed_absolute_difference(bytes_native a,
                                                                      bytes_native b) noexcept {
    return {vreinterpretq_u8_s8(vabdq_s8(vreinterpretq_s8_u8(a.value), vreinterpretq_s8_u8(b.value)))};
  }
  friend ALIDADE_FORCE_INLINE bytes_native max(bytes_native a, bytes_native b) noexcept {
    return {vmaxq_u8(a.value, b.value)};
  }
  friend ALIDADE_FORCE_INLINE std::uint8_t reduce_max(bytes_native a) noexcept {
    uint8x8_t b = vpmax_u8(vget_low_u8(a.value), vget_high_u8(a.value));
    b = vpmax_u8(b, b);
    b = vpmax_u8(b, b);
    return vget_lane_u8(vpmax_u8(b, b), 0);
  }
};

// The two instruction sets spell it differently.
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64
#define ALIDADE_DETAIL_NEON_NAME(a64, a32) a64
#else
#define ALIDADE_DETAIL_NEON_NAME(a64, a32) a32
#endif

namespace neon {
ALIDADE_FORCE_INLINE std::uint32_t total(uint32x4_t a) noexcept {
  const uint32x2_t halves = vadd_u32(vget_low_u32(a), vget_high_u32(a));
  return vget_lane_u32(vpadd_u32(halves, halves), 0);
}
}  // namespace neon

/// Products widen to 16 bits (at most 255^2), pairs of them are added to 32-bit lanes; the dot product extension does both.
struct unsigned_product_sum_native {
  uint32x4_t sum = vdupq_n_u32(0);

#if ALIDADE_HAS_DOTPROD
  static constexpr const char* instruction = "udot";
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    sum = vdotq_u32(sum, a.value, b.value);
  }
#else
  static constexpr const char* instruction = ALIDADE_DETAIL_NEON_NAME("umull", "vmull.u8");
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(a.value), vget_low_u8(b.value)));
    sum = vpadalq_u16(sum, vmull_u8(vget_high_u8(a.value), vget_high_u8(b.value)));
  }
#endif
  ALIDADE_FORCE_INLINE void merge(const unsigned_product_sum_native& other) noexcept {
    sum = vaddq_u32(sum, other.sum);
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept { return neon::total(sum); }
};

struct signed_product_sum_native {
  int32x4_t sum = vdupq_n_s32(0);

#if ALIDADE_HAS_DOTPROD
  static constexpr const char* instruction = "sdot";
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    sum = vdotq_s32(sum, vreinterpretq_s8_u8(a.value), vreinterpretq_s8_u8(b.value));
  }
#else
  static constexpr const char* instruction = ALIDADE_DETAIL_NEON_NAME("smull", "vmull.s8");
  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    const int8x16_t x = vreinterpretq_s8_u8(a.value), y = vreinterpretq_s8_u8(b.value);
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    sum = vpadalq_s16(sum, vmull_s8(vget_high_s8(x), vget_high_s8(y)));
  }
#endif
  ALIDADE_FORCE_INLINE void merge(const signed_product_sum_native& other) noexcept {
    sum = vaddq_s32(sum, other.sum);
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept {
    return neon::total(vreinterpretq_u32_s32(sum));
  }
};

struct difference_sum_native {
  static constexpr const char* instruction = ALIDADE_DETAIL_NEON_NAME("uadalp", "vpadal.u16");
  uint32x4_t sum = vdupq_n_u32(0);

  ALIDADE_FORCE_INLINE void add(bytes_native a, bytes_native b) noexcept {
    sum = vpadalq_u16(sum, vpaddlq_u8(vabdq_u8(a.value, b.value)));
  }
  ALIDADE_FORCE_INLINE void add_signed(bytes_native a, bytes_native b) noexcept {
    sum = vpadalq_u16(sum, vpaddlq_u8(signed_absolute_difference(a, b).value));
  }
  ALIDADE_FORCE_INLINE void merge(const difference_sum_native& other) noexcept {
    sum = vaddq_u32(sum, other.sum);
  }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept { return neon::total(sum); }
};

using bit_block_native = bytes_native;

struct bit_count_native {
  static constexpr const char* instruction = "cnt";
  uint32x4_t sum = vdupq_n_u32(0);

  ALIDADE_FORCE_INLINE void add(bytes_native a) noexcept {
    sum = vpadalq_u16(sum, vpaddlq_u8(vcntq_u8(a.value)));
  }
  ALIDADE_FORCE_INLINE void merge(const bit_count_native& other) noexcept { sum = vaddq_u32(sum, other.sum); }
  ALIDADE_FORCE_INLINE std::uint32_t total() const noexcept { return neon::total(sum); }
};

#undef ALIDADE_DETAIL_NEON_NAME

}  // namespace simd
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade

#endif
