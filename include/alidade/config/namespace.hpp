#pragma once

#include <alidade/config/arch.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/version.hpp>

/// Everything lives in `alidade`, inside an inline namespace that names the version, the architecture, and whether there
/// are assertions and exceptions. Translation units that differ in these can be linked into one program: each calls its
/// own kernels. That is no run-time dispatch: what both instantiate of the standard library is shared, so a program must
/// run where all of its parts may.
// The instruction sets that change the code under one architecture's name are part of the name too.
#if ALIDADE_HAS_VNNI
#define ALIDADE_DETAIL_VNNI_TAG _vnni
#else
#define ALIDADE_DETAIL_VNNI_TAG
#endif
#if ALIDADE_HAS_AVX512_BF16
#define ALIDADE_DETAIL_BF16_TAG _bf16
#else
#define ALIDADE_DETAIL_BF16_TAG
#endif
#if ALIDADE_HAS_VPOPCNTDQ
#define ALIDADE_DETAIL_LAST_TAG _vpopcntdq
#elif ALIDADE_HAS_F16C && ALIDADE_ARCH_ID == ALIDADE_ARCH_ID_avx2
#define ALIDADE_DETAIL_LAST_TAG _f16c
#elif ALIDADE_HAS_DOTPROD
#define ALIDADE_DETAIL_LAST_TAG _dotprod
#elif ALIDADE_HAS_EXTRA_FMA
#define ALIDADE_DETAIL_LAST_TAG _fma
#else
#define ALIDADE_DETAIL_LAST_TAG
#endif
#define ALIDADE_DETAIL_ARCH_TAG                                                               \
  ALIDADE_DETAIL_EXPAND_CAT(ALIDADE_DETAIL_EXPAND_CAT(ALIDADE_ARCH, ALIDADE_DETAIL_VNNI_TAG), \
                            ALIDADE_DETAIL_EXPAND_CAT(ALIDADE_DETAIL_BF16_TAG, ALIDADE_DETAIL_LAST_TAG))

#if defined(NDEBUG)
#define ALIDADE_DETAIL_MODE_TAG _release
#else
#define ALIDADE_DETAIL_MODE_TAG _debug
#endif

#define ALIDADE_DETAIL_VERSION_TAG(major, minor) v##major##_##minor##_
#define ALIDADE_DETAIL_EXPAND_VERSION_TAG(major, minor) ALIDADE_DETAIL_VERSION_TAG(major, minor)
#define ALIDADE_DETAIL_VERSION ALIDADE_DETAIL_EXPAND_VERSION_TAG(ALIDADE_VERSION_MAJOR, ALIDADE_VERSION_MINOR)
#if ALIDADE_HAS_EXCEPTIONS
#define ALIDADE_DETAIL_ERROR_TAG
#else
#define ALIDADE_DETAIL_ERROR_TAG _noexcept
#endif

#define ALIDADE_ABI_NAMESPACE                                                                           \
  ALIDADE_DETAIL_EXPAND_CAT(ALIDADE_DETAIL_EXPAND_CAT(ALIDADE_DETAIL_VERSION, ALIDADE_DETAIL_ARCH_TAG), \
                            ALIDADE_DETAIL_EXPAND_CAT(ALIDADE_DETAIL_MODE_TAG, ALIDADE_DETAIL_ERROR_TAG))

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// The SIMD architecture that this translation unit was compiled for: "scalar", "sse2", "sse4_1", "avx2", "avx512",
/// "neon", "neon64" or "wasm_simd128".
constexpr const char* arch_name() noexcept { return ALIDADE_ARCH_NAME; }

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
