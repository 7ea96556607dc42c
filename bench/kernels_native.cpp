#include "kernel_set_impl.hpp"

namespace bench {

kernel_set native_kernels() { return {alidade::arch_name(), f32_sweep, u8_sweep}; }

}  // namespace bench
