// What pools and contestants take their memory from; operator new counts in this program.
#pragma once

#include <alidade/memory/memory_resource.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace bench {

class malloc_resource final : public alidade::memory_resource {
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    alignment = std::max(alignment, sizeof(void*));
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  }
  void do_deallocate(void* block, std::size_t, std::size_t) override { std::free(block); }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace bench
