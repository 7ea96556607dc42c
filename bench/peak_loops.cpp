#include "kernel_sweep.hpp"
#include "roofs.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace bench {
namespace {

/// As many as hide a latency of five cycles of two units, and fit the registers beside x and y.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t chains = 24;
#else
constexpr std::size_t chains = 12;
#endif

template <class Value>
Value result_of(Value (*step)(Value, Value, Value));

template <class Step>
using value_of = decltype(result_of(+Step{}));

template <class Step, std::size_t... Chain>
void run_chains(std::index_sequence<Chain...>, std::size_t passes) {
  using value = value_of<Step>;
  // Small numbers as any type, so that sums stay finite; not zero, which might be computed at less power; and unknown to
  // the compiler, which would compute equal sums once.
  value memory[sizeof...(Chain) + 2];
  std::memset(&memory, 0x3c, sizeof(memory));
  forget(&memory);
  const value x = memory[sizeof...(Chain)], y = memory[sizeof...(Chain) + 1];
  value sums[] = {memory[Chain]...};  // no pointer to these is ever taken: they stay in registers
  for (std::size_t pass = 0; pass < passes; ++pass) {
    ((sums[Chain] = Step{}(sums[Chain], x, y)), ...);
  }
  ((memory[Chain] = sums[Chain]), ...);
  forget(&memory);
}

template <class Step>
void run_loop(std::size_t passes) {
  run_chains<Step>(std::make_index_sequence<chains>{}, passes);
}

/// A step takes a sum, x and y, and needs the sum before it: were x * y the same in each turn, a compiler would take it
/// out of the loop. It multiplies and adds once for each Factor that a register holds.
template <class Factor, class Step>
constexpr peak_loop loop_of(const char* name, const char* how, Step) {
  constexpr double ops = 2.0 * sizeof(value_of<Step>) / sizeof(Factor);
  return {name, how, chains * ops, run_loop<Step>};
}

/// What C++ can say by itself.
template <class Value, class Factor>
constexpr peak_loop multiply_then_add(const char* name) {
  return loop_of<Factor>(name, sizeof(Value) == 16 ? "multiply, add, 16 bytes" : "multiply, add",
                         [](Value sum, Value x, Value y) { return sum * x + y; });
}

#if defined(__AVX512F__)
constexpr peak_loop f32 = loop_of<float>(
    "f32", "vfmadd, 64 bytes", [](__m512 sum, __m512 x, __m512 y) { return _mm512_fmadd_ps(sum, x, y); });
constexpr peak_loop f64 = loop_of<double>(
    "f64", "vfmadd, 64 bytes", [](__m512d sum, __m512d x, __m512d y) { return _mm512_fmadd_pd(sum, x, y); });
#elif defined(__FMA__)
constexpr peak_loop f32 = loop_of<float>(
    "f32", "vfmadd, 32 bytes", [](__m256 sum, __m256 x, __m256 y) { return _mm256_fmadd_ps(sum, x, y); });
constexpr peak_loop f64 = loop_of<double>(
    "f64", "vfmadd, 32 bytes", [](__m256d sum, __m256d x, __m256d y) { return _mm256_fmadd_pd(sum, x, y); });
#elif defined(__aarch64__) && defined(__ARM_NEON)
constexpr peak_loop f32 =
    loop_of<float>("f32", "fmla, 16 bytes",
                   [](float32x4_t sum, float32x4_t x, float32x4_t y) { return vfmaq_f32(y, sum, x); });
constexpr peak_loop f64 =
    loop_of<double>("f64", "fmla, 16 bytes",
                    [](float64x2_t sum, float64x2_t x, float64x2_t y) { return vfmaq_f64(y, sum, x); });
#else
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON) || defined(__wasm_simd128__))
using floats = float __attribute__((vector_size(16)));
#else
using floats = float;
#endif
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__wasm_simd128__))
using doubles = double __attribute__((vector_size(16)));
#else
using doubles = double;  // 32-bit NEON has no vectors of these
#endif
constexpr peak_loop f32 = multiply_then_add<floats, float>("f32");
constexpr peak_loop f64 = multiply_then_add<doubles, double>("f64");
#endif

#if defined(__AVX512VNNI__)
constexpr peak_loop int_dot =
    loop_of<std::int8_t>("int dot", "vpdpbusd, 64 bytes",
                         [](__m512i sum, __m512i x, __m512i y) { return _mm512_dpbusd_epi32(sum, x, y); });
#elif defined(__AVXVNNI__)
constexpr peak_loop int_dot = loop_of<std::int8_t>(
    "int dot", "vpdpbusd, 32 bytes",
    [](__m256i sum, __m256i x, __m256i y) { return _mm256_dpbusd_avx_epi32(sum, x, y); });
#elif defined(__AVX512BW__)
constexpr peak_loop int_dot = loop_of<std::int16_t>(
    "int dot", "vpmaddwd, 64 bytes",
    [](__m512i sum, __m512i x, __m512i y) { return _mm512_add_epi32(_mm512_madd_epi16(sum, x), y); });
#elif defined(__AVX2__)
constexpr peak_loop int_dot = loop_of<std::int16_t>(
    "int dot", "vpmaddwd, 32 bytes",
    [](__m256i sum, __m256i x, __m256i y) { return _mm256_add_epi32(_mm256_madd_epi16(sum, x), y); });
#elif defined(__SSE2__)
constexpr peak_loop int_dot = loop_of<std::int16_t>(
    "int dot", "pmaddwd, 16 bytes",
    [](__m128i sum, __m128i x, __m128i y) { return _mm_add_epi32(_mm_madd_epi16(sum, x), y); });
#elif defined(__ARM_FEATURE_DOTPROD)
constexpr peak_loop int_dot =
    loop_of<std::int8_t>("int dot", "sdot, 16 bytes", [](int32x4_t sum, int32x4_t x, int32x4_t y) {
      return vdotq_s32(sum, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(y));
    });
#elif defined(__wasm_simd128__)
constexpr peak_loop int_dot = loop_of<std::int16_t>(
    "int dot", "i32x4.dot_i16x8_s, 16 bytes",
    [](v128_t sum, v128_t x, v128_t y) { return wasm_i32x4_add(wasm_i32x4_dot_i16x8(sum, x), y); });
#else
constexpr peak_loop int_dot = multiply_then_add<std::uint32_t, std::uint32_t>("int dot");
#endif

constexpr std::array loops {
  f32, f64, int_dot,
#if defined(__AVX512BF16__)
      loop_of<std::uint16_t>("bf16 dot", "vdpbf16ps, 64 bytes", [](__m512 sum, __m512 x, __m512 y) {
        return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)y);
      }),
#endif
};

}  // namespace

std::span<const peak_loop> peak_loops() { return loops; }

}  // namespace bench
