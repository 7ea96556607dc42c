// Which kernels a translation unit gets from the compiler's flags. check.cmake compiles this to assembly for each processor
// and looks for the instructions in the functions, so that the names cannot drift from the code.
#include <alidade/distance/metric.hpp>
#include <alidade/simd/ops/nibble_products.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

using namespace alidade;

namespace {

template <class Metric, class T>
constexpr bool chosen(std::string_view instruction) {
  return kernel_instruction<Metric, T>() == instruction;
}

}  // namespace

static_assert(std::string_view(arch_name()) == EXPECT_ARCH);
static_assert(chosen<metrics::l2_squared, float>(EXPECT_ARCH));
static_assert(chosen<metrics::l2_squared, std::uint8_t>(EXPECT_UNSIGNED));
static_assert(chosen<metrics::l2_squared, std::int8_t>(EXPECT_UNSIGNED));  // differences have no sign
static_assert(chosen<metrics::inner_product, std::uint8_t>(EXPECT_UNSIGNED));
static_assert(chosen<metrics::inner_product, std::int8_t>(EXPECT_SIGNED));
static_assert(chosen<metrics::cosine, std::int8_t>(EXPECT_SIGNED));
static_assert(chosen<metrics::l1, std::uint8_t>(EXPECT_SUM));
static_assert(chosen<metrics::hamming, bits8>(EXPECT_BITS));
static_assert(chosen<metrics::jaccard, bits8>(EXPECT_BITS));
static_assert(chosen<metrics::l2_squared, f16>(EXPECT_F16));
static_assert(chosen<metrics::inner_product, bf16>(EXPECT_BF16));
static_assert(chosen<metrics::cosine, bf16>(EXPECT_BF16));
static_assert(chosen<metrics::l2_squared, bf16>(EXPECT_ARCH));
static_assert(std::string_view(simd::nibble_instruction) == EXPECT_NIBBLES);
static_assert(chosen<metrics::reproducible<metrics::inner_product>, bf16>(EXPECT_ARCH));

extern "C" {
std::uint32_t test_unsigned(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  return inner_product(a, b);
}
std::int32_t test_signed(std::span<const std::int8_t> a, std::span<const std::int8_t> b) {
  return inner_product(a, b);
}
std::uint32_t test_sum(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) { return l1(a, b); }
std::uint32_t test_bits(std::span<const bits8> a, std::span<const bits8> b) { return hamming(a, b); }
float test_f16(std::span<const f16> a, std::span<const f16> b) { return l2_squared(a, b); }
void test_nibbles(const std::int8_t* low, const std::int8_t* high, std::size_t bytes,
                  const std::uint8_t* const* rows, std::int32_t* out) {
  simd::nibble_products(low, high, bytes, rows, out);
}
float test_bf16(std::span<const bf16> a, std::span<const bf16> b) { return inner_product(a, b); }
}
