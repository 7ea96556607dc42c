#include "kernel_set_impl.hpp"

namespace bench {

const char* native_arch() { return arch_name(); }

kernel_sweep native_kernel(const kernel_id& id) { return find_kernel(id); }

}  // namespace bench
