#include "../counting_new.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> calls{0}, bytes{0};
std::atomic<std::size_t> until_failure{0};  // 0: none is to fail

// In front of each block: its size. Wide enough to keep the block aligned.
constexpr std::size_t header_of(std::size_t alignment) { return alignment > 16 ? alignment : 16; }

void* allocate(std::size_t size, std::size_t alignment) {
  if (until_failure.load(std::memory_order_relaxed) != 0 && until_failure.fetch_sub(1) == 1)
    throw std::bad_alloc();
  alignment = header_of(alignment);  // WebAssembly's aligned_alloc knows none below 4
  const std::size_t header = alignment;
  const std::size_t total = (header + size + alignment - 1) / alignment * alignment;
  void* const block = std::aligned_alloc(alignment, total);
  if (block == nullptr) throw std::bad_alloc();
  *static_cast<std::size_t*>(block) = size;
  calls.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(size, std::memory_order_relaxed);
  return static_cast<std::byte*>(block) + header;
}

void release(void* pointer, std::size_t alignment) noexcept {
  if (pointer == nullptr) return;
  void* const block = static_cast<std::byte*>(pointer) - header_of(alignment);
  bytes.fetch_sub(*static_cast<std::size_t*>(block), std::memory_order_relaxed);
  std::free(block);
}

}  // namespace

test::allocation_counts test::allocations() noexcept { return {calls, bytes}; }

test::failing_allocation::failing_allocation(std::size_t n) noexcept { until_failure = n; }
test::failing_allocation::~failing_allocation() { until_failure = 0; }

void* operator new(std::size_t size) { return allocate(size, 16); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* pointer) noexcept { release(pointer, 16); }
void operator delete(void* pointer, std::size_t) noexcept { release(pointer, 16); }
void operator delete(void* pointer, std::align_val_t alignment) noexcept {
  release(pointer, static_cast<std::size_t>(alignment));
}
void operator delete(void* pointer, std::size_t, std::align_val_t alignment) noexcept {
  release(pointer, static_cast<std::size_t>(alignment));
}
