// The architecture that the compiler's flags say; assertions off.
#undef ALIDADE_ARCH
#undef NDEBUG
#define NDEBUG
#define ALIDADE_ODR_PROBE probe_detected
#define ALIDADE_ODR_VIOLATIONS 0
#include "probe.inc"
