#include "kernel_sweep.hpp"
#include "roofs.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace bench {
namespace {

#if defined(__GNUC__) && defined(__AVX512F__)
constexpr std::size_t width = 64;
#elif defined(__GNUC__) && defined(__AVX__)
constexpr std::size_t width = 32;
#elif defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON) || defined(__wasm_simd128__))
constexpr std::size_t width = 16;
#else
constexpr std::size_t width = sizeof(std::uint64_t);
#endif

#if defined(__GNUC__)
using word = std::uint64_t __attribute__((vector_size(width), may_alias));
#else
using word = std::uint64_t;
#endif

/// Results that are kept apart, so that none waits for another: eight loads a turn. In WebAssembly four, because V8 keeps
/// some of eight in memory; elsewhere eight, because from DRAM four loaded 28 GB/s where eight loaded 39 (Zen 5).
constexpr std::size_t step = 8;
#if defined(__wasm__)
constexpr std::size_t results = 4;
#else
constexpr std::size_t results = 8;
#endif
static_assert(load_step % (step * sizeof(word)) == 0);

template <std::size_t... Load>
word load_with(std::index_sequence<Load...>, const word* begin, const word* end, std::size_t passes) {
  word sums[results] = {};
  for (std::size_t pass = 0; pass < passes; ++pass) {
    forget(begin);
    // A moving pointer and constant offsets: WebAssembly would else compute an address for each load.
    for (const word* p = begin; p != end; p += step) ((sums[Load % results] ^= p[Load]), ...);
  }
  word all = sums[0];
  for (std::size_t i = 1; i < results; ++i) all ^= sums[i];
  return all;
}

}  // namespace

std::size_t load_width() { return sizeof(word); }

/// Exclusive or is the cheapest use of a loaded value.
void load_all(const void* memory, std::size_t bytes, std::size_t passes) {
  const auto* const words = static_cast<const word*>(memory);
  volatile word keep =
      load_with(std::make_index_sequence<step>{}, words, words + bytes / sizeof(word), passes);
  static_cast<void>(keep);
}

}  // namespace bench
