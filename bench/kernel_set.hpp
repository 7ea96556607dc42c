// Distance kernels to measure, each null where there is none for this type and metric.
#pragma once

#include "kernel_sweep.hpp"

namespace bench {

struct kernel_id {
  element type;
  metric distance;
  form how;
};

/// The library's kernels of the architecture of this build.
[[nodiscard]] const char* native_arch();
[[nodiscard]] kernel_sweep native_kernel(const kernel_id&);

/// The same source with ALIDADE_ARCH=scalar, without auto-vectorisation.
[[nodiscard]] kernel_sweep scalar_kernel(const kernel_id&);

/// The loop that one would write by hand, with this build's flags.
[[nodiscard]] kernel_sweep plain_kernel(const kernel_id&);

}  // namespace bench
