// An architecture that the compiler's flags do not permit is an error that names the flags.
// expect: ALIDADE_ARCH=[a-z0-9_]+ needs
#if defined(ALIDADE_COMPILE_FAIL)
#undef ALIDADE_ARCH
#if defined(__wasm__)
#define ALIDADE_ARCH neon
#else
#define ALIDADE_ARCH wasm_simd128
#endif
#endif
#include <alidade/alidade.hpp>

int main() { return alidade::arch_name() == nullptr ? 1 : 0; }
