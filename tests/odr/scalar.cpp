// The scalar architecture, whatever the compiler's flags say; assertions off.
#undef ALIDADE_ARCH
#define ALIDADE_ARCH scalar
#undef NDEBUG
#define NDEBUG
#define ALIDADE_ODR_PROBE probe_scalar
#define ALIDADE_ODR_VIOLATIONS 0
#include "probe.inc"
