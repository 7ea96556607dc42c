#pragma once

/// Compiler and platform detection. Together with arch.hpp, assert.hpp and namespace.hpp this is the only place of the
/// library that asks who compiles it.

#if defined(_MSC_VER) && !defined(__clang__)
#define ALIDADE_FORCE_INLINE __forceinline
#define ALIDADE_NOINLINE __declspec(noinline)
#if __has_cpp_attribute(msvc::forceinline)
#define ALIDADE_FORCE_INLINE_LAMBDA [[msvc::forceinline]]
#else
#define ALIDADE_FORCE_INLINE_LAMBDA
#endif
#else
#define ALIDADE_FORCE_INLINE inline __attribute__((always_inline))
#define ALIDADE_NOINLINE __attribute__((noinline))
#define ALIDADE_FORCE_INLINE_LAMBDA __attribute__((always_inline))
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

// Where the operating system tells how much memory is in use: /proc and control groups, or the heap of a wasm module.
#if defined(__linux__)
#define ALIDADE_IS_LINUX 1
#else
#define ALIDADE_IS_LINUX 0
#endif

#if defined(__EMSCRIPTEN__)
#define ALIDADE_IS_EMSCRIPTEN 1
#else
#define ALIDADE_IS_EMSCRIPTEN 0
#endif

// libc++ has <memory_resource> only since version 16; Emscripten 3.1.6 brings 13.
#if __has_include(<memory_resource>)
#include <version>
#endif
#if __has_include(<memory_resource>) && defined(__cpp_lib_memory_resource)
#define ALIDADE_HAS_PMR 1
#else
#define ALIDADE_HAS_PMR 0
#endif

#if defined(__linux__) && __has_include(<sys/mman.h>)
#define ALIDADE_HAS_MADVISE 1
#else
#define ALIDADE_HAS_MADVISE 0
#endif

// Whether files are POSIX's, and whether they can be seen as memory. In WebAssembly that would be a copy.
#if (defined(__unix__) || defined(__APPLE__) || defined(__EMSCRIPTEN__)) && __has_include(<unistd.h>)
#define ALIDADE_HAS_POSIX_FILES 1
#else
#define ALIDADE_HAS_POSIX_FILES 0
#endif

#if ALIDADE_HAS_POSIX_FILES && !defined(__wasm__) && __has_include(<sys/mman.h>)
#define ALIDADE_HAS_MMAP 1
#else
#define ALIDADE_HAS_MMAP 0
#endif

// What counts cycles beside the clocks of the standard library: x86-64's time stamp counter, the virtual counter of 64-bit ARM.
#if defined(__x86_64__) || defined(_M_X64)
#define ALIDADE_HAS_TSC 1
#else
#define ALIDADE_HAS_TSC 0
#endif

#if defined(__aarch64__) && !defined(_MSC_VER)
#define ALIDADE_HAS_CNTVCT 1
#else
#define ALIDADE_HAS_CNTVCT 0
#endif

// Whether a product of two 64-bit integers is an instruction or two. In WebAssembly it is a call.
#if defined(__SIZEOF_INT128__) && !defined(__wasm__)
#define ALIDADE_HAS_INT128 1
#else
#define ALIDADE_HAS_INT128 0
#endif

// An empty instruction on a value keeps it as it is, in a register: compilers may not fuse the product that it is with a sum
// into one operation of one rounding, nor load it again for each use. `SIMD` takes a vector register, `SCALAR` a float or
// double variable.
#if defined(__wasm__) || (defined(_MSC_VER) && !defined(__clang__))
#define ALIDADE_KEEP_SIMD(x) static_cast<void>(0)
#define ALIDADE_KEEP_SCALAR(x) static_cast<void>(0)
#elif defined(__AVX512F__)
#define ALIDADE_KEEP_SIMD(x) asm("" : "+v"(x))
#define ALIDADE_KEEP_SCALAR(x) asm("" : "+v"(x))
#elif defined(__SSE2__)
#define ALIDADE_KEEP_SIMD(x) asm("" : "+x"(x))
#define ALIDADE_KEEP_SCALAR(x) asm("" : "+x"(x))
#elif defined(__aarch64__)
#define ALIDADE_KEEP_SIMD(x) asm("" : "+w"(x))
#define ALIDADE_KEEP_SCALAR(x) asm("" : "+w"(x))
#else
#define ALIDADE_KEEP_SIMD(x) asm("" : "+w"(x))
#define ALIDADE_KEEP_SCALAR(x) asm("" : "+m"(x))
#endif
