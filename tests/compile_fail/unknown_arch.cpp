// A misspelt architecture is an error that lists the right names.
// expect: ALIDADE_ARCH must be scalar
#if defined(ALIDADE_COMPILE_FAIL)
#undef ALIDADE_ARCH
#define ALIDADE_ARCH avx3
#endif
#include <alidade/alidade.hpp>

int main() { return alidade::arch_name() == nullptr ? 1 : 0; }
