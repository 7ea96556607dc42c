// Compiled with ALIDADE_ARCH=scalar and without auto-vectorisation: see CMakeLists.txt.

// A namespace of its own: where the whole build is scalar, the linker would else merge these functions, which are
// compiled without vectorisation, with the others, which are not.
#define alidade alidade_unvectorised

#include "kernel_set_impl.hpp"

#include <string_view>

namespace bench {

static_assert(std::string_view(arch_name()) == "scalar", "compile this file with -DALIDADE_ARCH=scalar");

kernel_sweep scalar_kernel(const kernel_id& id) { return find_kernel(id); }

}  // namespace bench
