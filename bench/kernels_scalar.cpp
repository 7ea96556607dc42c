// Compiled with ALIDADE_ARCH=scalar and without auto-vectorisation: see CMakeLists.txt.
#include "kernel_set_impl.hpp"

#include <string_view>

namespace bench {

static_assert(std::string_view(alidade::arch_name()) == "scalar",
              "compile this file with -DALIDADE_ARCH=scalar");

kernel_set scalar_kernels() { return {alidade::arch_name(), f32_sweep, u8_sweep}; }

}  // namespace bench
