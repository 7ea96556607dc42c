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

// An operation has a value type and a step that needs the sum before it: were x * y the same in each turn, a compiler
// would take it out of the loop. Its `ops` count each multiplication and each addition of a step.

#if defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON) || defined(__wasm_simd128__))
using floats = float __attribute__((vector_size(16)));
using doubles = double __attribute__((vector_size(16)));
#else
using floats = float;
using doubles = double;
#endif

/// What C++ can say by itself.
template <class Value, class T>
struct multiply_then_add {
  using value = Value;
  static constexpr const char* how = sizeof(Value) == 16 ? "multiply, add, 16 bytes" : "multiply, add";
  static constexpr double ops = 2.0 * sizeof(Value) / sizeof(T);
  static value step(value sum, value x, value y) { return sum * x + y; }
};

#if defined(__AVX512F__)
struct fma_f32 {
  using value = __m512;
  static constexpr const char* how = "vfmadd, 64 bytes";
  static constexpr double ops = 32;
  static value step(value sum, value x, value y) { return _mm512_fmadd_ps(sum, x, y); }
};
struct fma_f64 {
  using value = __m512d;
  static constexpr const char* how = "vfmadd, 64 bytes";
  static constexpr double ops = 16;
  static value step(value sum, value x, value y) { return _mm512_fmadd_pd(sum, x, y); }
};
#elif defined(__FMA__)
struct fma_f32 {
  using value = __m256;
  static constexpr const char* how = "vfmadd, 32 bytes";
  static constexpr double ops = 16;
  static value step(value sum, value x, value y) { return _mm256_fmadd_ps(sum, x, y); }
};
struct fma_f64 {
  using value = __m256d;
  static constexpr const char* how = "vfmadd, 32 bytes";
  static constexpr double ops = 8;
  static value step(value sum, value x, value y) { return _mm256_fmadd_pd(sum, x, y); }
};
#elif defined(__aarch64__) && defined(__ARM_NEON)
struct fma_f32 {
  using value = float32x4_t;
  static constexpr const char* how = "fmla, 16 bytes";
  static constexpr double ops = 8;
  static value step(value sum, value x, value y) { return vfmaq_f32(y, sum, x); }
};
struct fma_f64 {
  using value = float64x2_t;
  static constexpr const char* how = "fmla, 16 bytes";
  static constexpr double ops = 4;
  static value step(value sum, value x, value y) { return vfmaq_f64(y, sum, x); }
};
#else
using fma_f32 = multiply_then_add<floats, float>;
#if defined(__ARM_NEON)
using fma_f64 = multiply_then_add<double, double>;  // no vectors of doubles
#else
using fma_f64 = multiply_then_add<doubles, double>;
#endif
#endif

#if defined(__AVX512VNNI__)
struct dot_i8 {
  using value = __m512i;
  static constexpr const char* how = "vpdpbusd, 64 bytes";
  static constexpr double ops = 128;
  static value step(value sum, value x, value y) { return _mm512_dpbusd_epi32(sum, x, y); }
};
#elif defined(__AVXVNNI__)
struct dot_i8 {
  using value = __m256i;
  static constexpr const char* how = "vpdpbusd, 32 bytes";
  static constexpr double ops = 64;
  static value step(value sum, value x, value y) { return _mm256_dpbusd_avx_epi32(sum, x, y); }
};
#elif defined(__AVX512BW__)
struct dot_i8 {
  using value = __m512i;
  static constexpr const char* how = "vpmaddwd, 64 bytes";
  static constexpr double ops = 64;
  static value step(value sum, value x, value y) { return _mm512_add_epi32(_mm512_madd_epi16(sum, x), y); }
};
#elif defined(__AVX2__)
struct dot_i8 {
  using value = __m256i;
  static constexpr const char* how = "vpmaddwd, 32 bytes";
  static constexpr double ops = 32;
  static value step(value sum, value x, value y) { return _mm256_add_epi32(_mm256_madd_epi16(sum, x), y); }
};
#elif defined(__SSE2__)
struct dot_i8 {
  using value = __m128i;
  static constexpr const char* how = "pmaddwd, 16 bytes";
  static constexpr double ops = 16;
  static value step(value sum, value x, value y) { return _mm_add_epi32(_mm_madd_epi16(sum, x), y); }
};
#elif defined(__ARM_FEATURE_DOTPROD)
struct dot_i8 {
  using value = int32x4_t;
  static constexpr const char* how = "sdot, 16 bytes";
  static constexpr double ops = 32;
  static value step(value sum, value x, value y) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(y));
  }
};
#elif defined(__wasm_simd128__)
struct dot_i8 {
  using value = v128_t;
  static constexpr const char* how = "i32x4.dot_i16x8_s, 16 bytes";
  static constexpr double ops = 16;
  static value step(value sum, value x, value y) { return wasm_i32x4_add(wasm_i32x4_dot_i16x8(sum, x), y); }
};
#else
using dot_i8 = multiply_then_add<std::uint32_t, std::uint32_t>;
#endif

#if defined(__AVX512BF16__)
struct dot_bf16 {
  using value = __m512;
  static constexpr const char* how = "vdpbf16ps, 64 bytes";
  static constexpr double ops = 64;
  static value step(value sum, value x, value y) { return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)y); }
};
#endif

/// As many as hide a latency of five cycles of two units, and fit the registers beside x and y.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t chains = 24;
#else
constexpr std::size_t chains = 12;
#endif

template <class Op, std::size_t... Chain>
void run_chains(std::index_sequence<Chain...>, std::size_t passes) {
  using value = typename Op::value;
  // Small numbers as any type, so that sums stay finite; not zero, which might be computed at less power; and unknown to
  // the compiler, which would compute equal sums once.
  value memory[sizeof...(Chain) + 2];
  std::memset(&memory, 0x3c, sizeof(memory));
  forget(&memory);
  const value x = memory[sizeof...(Chain)], y = memory[sizeof...(Chain) + 1];
  value sums[] = {memory[Chain]...};  // no pointer to these is ever taken: they stay in registers
  for (std::size_t pass = 0; pass < passes; ++pass) {
    ((sums[Chain] = Op::step(sums[Chain], x, y)), ...);
  }
  ((memory[Chain] = sums[Chain]), ...);
  forget(&memory);
}

template <class Op>
void run_loop(std::size_t passes) {
  run_chains<Op>(std::make_index_sequence<chains>{}, passes);
}

template <class Op>
constexpr peak_loop loop_of(const char* name) {
  return {name, Op::how, chains * Op::ops, run_loop<Op>};
}

constexpr std::array loops {
  loop_of<fma_f32>("f32"), loop_of<fma_f64>("f64"), loop_of<dot_i8>("int dot"),
#if defined(__AVX512BF16__)
      loop_of<dot_bf16>("bf16 dot"),
#endif
};

}  // namespace

std::span<const peak_loop> peak_loops() { return loops; }

}  // namespace bench
