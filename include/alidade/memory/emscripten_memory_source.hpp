#pragma once

#include <alidade/config/compiler.hpp>

#if ALIDADE_IS_EMSCRIPTEN

#include <cstdint>
#include <system_error>
#include <type_traits>

#include <emscripten/heap.h>
#include <malloc.h>
#include <unistd.h>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_sample.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// The linear memory of a wasm module: the bytes in use against the most that the module may grow to (MAXIMUM_MEMORY
/// with ALLOW_MEMORY_GROWTH, by default 2 GiB; else the size that it has, which is also all that a STANDALONE_WASM
/// knows).
///
/// Linear memory never shrinks, so its size says what was once in use. In use is all below the break (static data,
/// stack, heap) but what the allocator has free: sbrk(0) - mallinfo().fordblks, of dlmalloc or emmalloc. mallinfo walks
/// all blocks of the heap, about 0.4 ms for 100,000: sample by the second, not by the insertion.
class emscripten_memory_source {
 public:
  memory_sample sample(std::error_code& ec) const noexcept {
    ec.clear();
    const auto end = reinterpret_cast<std::uintptr_t>(sbrk(0));
    // The field is a signed int up to Emscripten 3.1 at least, and from 2 GiB on negative.
    const auto free_field = mallinfo().fordblks;
    const std::uintptr_t free_bytes =
        static_cast<std::make_unsigned_t<decltype(mallinfo().fordblks)>>(free_field);
    return {free_bytes < end ? end - free_bytes : 0, emscripten_get_heap_max()};
  }
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade

#endif
