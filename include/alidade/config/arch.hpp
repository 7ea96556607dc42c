#pragma once

/// Which SIMD architecture this translation unit is compiled for.
///
/// The choice follows from the compiler's flags (`-march=native`, `-mavx2`, `-msimd128`, ...). Defining `ALIDADE_ARCH`
/// as one of the tokens below before the first include overrides it, downwards: the flags must permit the token.

// Each token has a number, so that the preprocessor can compare tokens; an unknown token compares equal to 0.
#define ALIDADE_ARCH_ID_scalar 1
#define ALIDADE_ARCH_ID_sse2 2
#define ALIDADE_ARCH_ID_sse4_1 3
#define ALIDADE_ARCH_ID_avx2 4
#define ALIDADE_ARCH_ID_avx512 5
#define ALIDADE_ARCH_ID_neon 6
#define ALIDADE_ARCH_ID_neon64 7
#define ALIDADE_ARCH_ID_wasm_simd128 8

#define ALIDADE_DETAIL_CAT(a, b) a##b
#define ALIDADE_DETAIL_EXPAND_CAT(a, b) ALIDADE_DETAIL_CAT(a, b)
#define ALIDADE_DETAIL_STRING(a) #a
#define ALIDADE_DETAIL_EXPAND_STRING(a) ALIDADE_DETAIL_STRING(a)

#if !defined(ALIDADE_ARCH)
#if defined(__AVX512F__) && defined(__AVX512CD__) && defined(__AVX512DQ__) && defined(__AVX512BW__)
#define ALIDADE_ARCH avx512
#elif defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER))
#define ALIDADE_ARCH avx2
#elif defined(__SSE4_1__)
#define ALIDADE_ARCH sse4_1
#elif defined(__SSE2__) || defined(_M_X64)
#define ALIDADE_ARCH sse2
#elif defined(__aarch64__) || defined(_M_ARM64)
#define ALIDADE_ARCH neon64
#elif defined(__ARM_NEON)
#define ALIDADE_ARCH neon
#elif defined(__wasm_simd128__)
#define ALIDADE_ARCH wasm_simd128
#else
#define ALIDADE_ARCH scalar
#endif
#endif

/// The number of the chosen architecture, to be compared with ALIDADE_ARCH_ID_* in the simd/ headers.
#define ALIDADE_ARCH_ID ALIDADE_DETAIL_EXPAND_CAT(ALIDADE_ARCH_ID_, ALIDADE_ARCH)

#if ALIDADE_ARCH_ID == 0
#error "ALIDADE_ARCH must be scalar, sse2, sse4_1, avx2, avx512, neon, neon64 or wasm_simd128"
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 && \
    !(defined(__AVX512F__) && defined(__AVX512CD__) && defined(__AVX512DQ__) && defined(__AVX512BW__))
#error "ALIDADE_ARCH=avx512 needs flags that permit AVX-512 F, CD, DQ and BW, such as -march=skylake-avx512"
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2 && \
    !(defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER)))
#error "ALIDADE_ARCH=avx2 needs flags that permit AVX2 and FMA, such as -mavx2 -mfma"
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1 && !(defined(__SSE4_1__) || defined(_M_X64))
#error "ALIDADE_ARCH=sse4_1 needs flags that permit SSE4.1, such as -msse4.1"
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2 && !(defined(__SSE2__) || defined(_M_X64))
#error "ALIDADE_ARCH=sse2 needs an x86 target with SSE2"
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64 && !(defined(__aarch64__) || defined(_M_ARM64))
#error "ALIDADE_ARCH=neon64 needs a 64-bit ARM target"
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon && !defined(__ARM_NEON)
#error "ALIDADE_ARCH=neon needs an ARM target with NEON, such as -mfpu=neon"
#elif ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_wasm_simd128 && !defined(__wasm_simd128__)
#error "ALIDADE_ARCH=wasm_simd128 needs -msimd128"
#endif

/// Instruction sets beside the architecture's own that some kernels are chosen by; each has a generic form too.
#if (ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 && defined(__AVX512VNNI__)) || \
    (ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2 && defined(__AVXVNNI__))
#define ALIDADE_HAS_VNNI 1
#else
#define ALIDADE_HAS_VNNI 0
#endif

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 && defined(__AVX512BF16__)
#define ALIDADE_HAS_AVX512_BF16 1
#else
#define ALIDADE_HAS_AVX512_BF16 0
#endif

#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 && defined(__AVX512VPOPCNTDQ__)
#define ALIDADE_HAS_VPOPCNTDQ 1
#else
#define ALIDADE_HAS_VPOPCNTDQ 0
#endif

// AVX-512 F has the conversion of its own width.
#if ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx512 || \
    (ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2 && (defined(__F16C__) || defined(_MSC_VER)))
#define ALIDADE_HAS_F16C 1
#else
#define ALIDADE_HAS_F16C 0
#endif

#if (ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_neon64) && \
    defined(__ARM_FEATURE_DOTPROD)
#define ALIDADE_HAS_DOTPROD 1
#else
#define ALIDADE_HAS_DOTPROD 0
#endif

// Architectures without a fused multiply-add, where the flags have one: compilers fuse some products and sums then, and not the
// same ones in each copy of a kernel. So all are fused by name.
#if (ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_scalar && defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)) || \
    ((ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse2 || ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_sse4_1) &&          \
     defined(__FMA__))
#define ALIDADE_HAS_EXTRA_FMA 1
#else
#define ALIDADE_HAS_EXTRA_FMA 0
#endif

/// The name of the chosen architecture as a string literal; alidade::arch_name() is the same as a function.
#define ALIDADE_ARCH_NAME ALIDADE_DETAIL_EXPAND_STRING(ALIDADE_ARCH)
