#include "operands.hpp"

#include <alidade/core/half.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace bench {
namespace {

class generator {
 public:
  /// xorshift64*: uniform in 32 bits.
  std::uint32_t bits() {
    state_ ^= state_ >> 12U;
    state_ ^= state_ << 25U;
    state_ ^= state_ >> 27U;
    return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1dU) >> 32U);
  }
  float number() { return static_cast<float>(bits() >> 8U) * 0x1p-23F - 0.75F; }

 private:
  std::uint64_t state_ = 0x9e3779b97f4a7c15U;
};

template <class T, class Make>
void fill_with(void* memory, std::size_t bytes, Make make) {
  // The rest repeats the first megabyte, which is quicker and no different to a kernel.
  constexpr std::size_t period = std::size_t{1} << 20U;
  auto* const values = static_cast<T*>(memory);
  const std::size_t first = std::min(bytes, period);
  for (std::size_t i = 0; i < first / sizeof(T); ++i) values[i] = make();
  auto* const raw = static_cast<unsigned char*>(memory);
  for (std::size_t at = period; at < bytes; at += period)
    std::memcpy(raw + at, raw, std::min(period, bytes - at));
}

}  // namespace

std::size_t element_bytes(element type) {
  switch (type) {
    case element::f32:
      return 4;
    case element::f64:
      return 8;
    case element::f16:
    case element::bf16:
      return 2;
    default:
      return 1;
  }
}

std::size_t columns_of(element type, std::size_t dimension) {
  return type == element::bits ? (dimension + 7) / 8 : dimension;
}

void fill(element type, void* memory, std::size_t bytes) {
  generator random;
  switch (type) {
    case element::f32:
      return fill_with<float>(memory, bytes, [&] { return random.number(); });
    case element::f64:
      return fill_with<double>(memory, bytes, [&] { return static_cast<double>(random.number()); });
    case element::f16:
      return fill_with<alidade::f16>(memory, bytes, [&] { return alidade::f16(random.number()); });
    case element::bf16:
      return fill_with<alidade::bf16>(memory, bytes, [&] { return alidade::bf16(random.number()); });
    default:
      return fill_with<std::uint8_t>(memory, bytes, [&] { return static_cast<std::uint8_t>(random.bits()); });
  }
}

}  // namespace bench
