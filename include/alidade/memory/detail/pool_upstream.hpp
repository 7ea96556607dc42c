#pragma once

#include <cstddef>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A pool's supplier. All that the pool has goes through it, its own tables too, so that the count is exact.
class pool_upstream {
 public:
  pool_upstream(memory_resource* resource, std::size_t limit, at_byte_limit at_limit) noexcept
      : resource_(resource), limit_(limit), at_limit_(at_limit) {}

  /// Throws what the resource throws; nothing has changed then.
  void* allocate(std::size_t bytes, std::size_t alignment) {
    void* const block = resource_->allocate(bytes, alignment);
    reserved_ += bytes;
    return block;
  }

  void* allocate_or_null(std::size_t bytes, std::size_t alignment) noexcept {
#if ALIDADE_HAS_EXCEPTIONS
    try {
      return allocate(bytes, alignment);
    } catch (...) {
      return nullptr;
    }
#else
    return allocate(bytes, alignment);
#endif
  }

  void deallocate(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    reserved_ -= bytes;
    resource_->deallocate(block, bytes, alignment);
  }

  /// Of a block that the pool does not keep.
  void* pass_through(std::size_t bytes, std::size_t alignment) {
    void* const block = allocate(bytes, alignment);
    passed_ += bytes;
    return block;
  }

  void take_back(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    passed_ -= bytes;
    deallocate(block, bytes, alignment);
  }

  /// Whether the limit lets so many bytes come that the pool does not keep for blocks.
  bool permits(std::size_t bytes) const noexcept { return passes_beyond_limit() || bytes <= room(); }

  /// How much more the pool may keep.
  std::size_t room() const noexcept {
    const std::size_t counted = passes_beyond_limit() ? reserved_ - passed_ : reserved_;
    return counted < limit_ ? limit_ - counted : 0;
  }

  /// From now on nothing is permitted.
  void close() noexcept {
    limit_ = 0;
    at_limit_ = at_byte_limit::fail;
  }

  bool passes_beyond_limit() const noexcept { return at_limit_ == at_byte_limit::upstream; }
  std::size_t reserved() const noexcept { return reserved_; }
  std::size_t limit() const noexcept { return limit_; }
  memory_resource* resource() const noexcept { return resource_; }

 private:
  memory_resource* resource_;
  std::size_t limit_;
  at_byte_limit at_limit_;
  std::size_t reserved_ = 0;
  std::size_t passed_ = 0;  ///< of these, in blocks that the pool does not keep
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
