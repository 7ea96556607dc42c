#pragma once

/// `ALIDADE_ASSERT(condition)` guards against bugs of the caller. It is `assert` unless the program defines its own
/// before the first include; what data can cause is never asserted but reported as an error.
#if !defined(ALIDADE_ASSERT)
#include <cassert>
#define ALIDADE_ASSERT(condition) assert(condition)
#endif
