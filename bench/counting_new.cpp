#include "counting_new.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

namespace bench {
namespace {

/// Takes memory from malloc, so that the record of allocations does not record itself.
template <class T>
struct malloc_allocator {
  using value_type = T;
  malloc_allocator() = default;
  template <class U>
  explicit malloc_allocator(const malloc_allocator<U>&) {}
  T* allocate(std::size_t count) {
    auto* const block = static_cast<T*>(std::malloc(count * sizeof(T)));
    if (block == nullptr) std::abort();
    return block;
  }
  void deallocate(T* block, std::size_t) { std::free(block); }
  template <class U>
  bool operator==(const malloc_allocator<U>&) const {
    return true;
  }
};

using block_sizes = std::unordered_map<void*, std::size_t, std::hash<void*>, std::equal_to<>,
                                       malloc_allocator<std::pair<void* const, std::size_t>>>;

struct record {
  std::mutex mutex;
  block_sizes sizes;
  std::size_t live = 0;
  std::size_t peak = 0;
};

std::atomic<bool> counting{false};

record& the_record() {
  static record instance;
  return instance;
}

void note_new(void* block, std::size_t size) {
  record& r = the_record();
  const std::lock_guard lock(r.mutex);
  r.sizes[block] = size;
  r.live += size;
  r.peak = std::max(r.peak, r.live);
}

void note_delete(void* block) {
  record& r = the_record();
  const std::lock_guard lock(r.mutex);
  const auto found = r.sizes.find(block);
  if (found == r.sizes.end()) return;  // from before the counting
  r.live -= found->second;
  r.sizes.erase(found);
}

void* allocate(std::size_t size, std::size_t alignment) {
  const std::size_t wanted = std::max<std::size_t>(size, 1);
  void* const block = alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__
                          ? std::malloc(wanted)
                          : std::aligned_alloc(alignment, (wanted + alignment - 1) / alignment * alignment);
  if (block == nullptr) throw std::bad_alloc();
  if (counting.load(std::memory_order_relaxed)) note_new(block, size);
  return block;
}

void release(void* block) noexcept {
  if (block != nullptr && counting.load(std::memory_order_relaxed)) note_delete(block);
  std::free(block);
}

}  // namespace

allocation_count::allocation_count() {
  record& r = the_record();
  r.sizes.clear();
  r.live = 0;
  r.peak = 0;
  counting = true;
}

allocation_count::~allocation_count() { counting = false; }

std::size_t allocation_count::live_bytes() const {
  const std::lock_guard lock(the_record().mutex);
  return the_record().live;
}

std::size_t allocation_count::peak_bytes() const {
  const std::lock_guard lock(the_record().mutex);
  return the_record().peak;
}

std::size_t allocation_count::live_blocks() const {
  const std::lock_guard lock(the_record().mutex);
  return the_record().sizes.size();
}

}  // namespace bench

// The other forms of the standard library call these.
void* operator new(std::size_t size) { return bench::allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return bench::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { bench::release(block); }
void operator delete(void* block, std::size_t) noexcept { bench::release(block); }
void operator delete(void* block, std::align_val_t) noexcept { bench::release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { bench::release(block); }
