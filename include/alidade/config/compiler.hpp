#pragma once

/// Compiler and platform detection. Together with arch.hpp, assert.hpp and namespace.hpp this is the only place of the
/// library that asks who compiles it.

#if defined(_MSC_VER) && !defined(__clang__)
#define ALIDADE_FORCE_INLINE __forceinline
#define ALIDADE_NOINLINE __declspec(noinline)
#else
#define ALIDADE_FORCE_INLINE inline __attribute__((always_inline))
#define ALIDADE_NOINLINE __attribute__((noinline))
#endif

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define ALIDADE_HAS_EXCEPTIONS 1
#else
#define ALIDADE_HAS_EXCEPTIONS 0
#endif

// WebAssembly has threads only when the whole program is compiled with -pthread; starting a std::thread elsewhere aborts.
#if defined(__wasm__) && !defined(__EMSCRIPTEN_PTHREADS__)
#define ALIDADE_HAS_THREADS 0
#else
#define ALIDADE_HAS_THREADS 1
#endif

#if defined(__linux__) && __has_include(<sys/mman.h>)
#define ALIDADE_HAS_MADVISE 1
#else
#define ALIDADE_HAS_MADVISE 0
#endif
