// The architecture that the compiler's flags say; assertions on, and replaced by a counter.
#undef ALIDADE_ARCH
#undef NDEBUG
#include <cstdint>

namespace {
std::uint64_t violations = 0;
}

#define ALIDADE_ASSERT(condition) ((condition) ? static_cast<void>(0) : static_cast<void>(++violations))
#define ALIDADE_ODR_PROBE probe_asserting
#define ALIDADE_ODR_VIOLATIONS violations
#include "probe.inc"
