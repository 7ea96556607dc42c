#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <vector>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/checked_product.hpp>

#if ALIDADE_HAS_PMR
#include <memory_resource>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

#if ALIDADE_HAS_PMR

/// Where memory comes from: std::pmr::memory_resource, or a class with its interface where the standard library has
/// none.
using memory_resource = std::pmr::memory_resource;

/// The resource that calls operator new and operator delete.
inline memory_resource* new_delete_resource() noexcept { return std::pmr::new_delete_resource(); }

#else

class memory_resource {
 public:
  virtual ~memory_resource() = default;

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
    return do_allocate(bytes, alignment);
  }
  void deallocate(void* block, std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
    do_deallocate(block, bytes, alignment);
  }
  bool is_equal(const memory_resource& other) const noexcept { return do_is_equal(other); }

  friend bool operator==(const memory_resource& a, const memory_resource& b) noexcept {
    return &a == &b || a.is_equal(b);
  }

 private:
  virtual void* do_allocate(std::size_t bytes, std::size_t alignment) = 0;
  virtual void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) = 0;
  virtual bool do_is_equal(const memory_resource& other) const noexcept = 0;
};

#endif

namespace detail {

/// From the resource; from operator new where it is null.
inline void* allocate_from(memory_resource* resource, std::size_t bytes, std::size_t alignment) {
  if (resource != nullptr) return resource->allocate(bytes, alignment);
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator new(bytes);
  return ::operator new (bytes, std::align_val_t{alignment});
}

/// Takes back what allocate_from() gave for the same arguments.
inline void deallocate_to(memory_resource* resource, void* block, std::size_t bytes,
                          std::size_t alignment) noexcept {
  if (resource != nullptr) return resource->deallocate(block, bytes, alignment);
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator delete(block);
  ::operator delete (block, std::align_val_t{alignment});
}

}  // namespace detail

#if !ALIDADE_HAS_PMR

namespace detail {

class new_delete final : public memory_resource {
 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    return allocate_from(nullptr, bytes, alignment);
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
    deallocate_to(nullptr, block, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace detail

inline memory_resource* new_delete_resource() noexcept {
  static detail::new_delete resource;
  return &resource;
}

#endif

/// A standard allocator over a resource, for containers where std::pmr is missing. Of a concrete pool it also calls the
/// inlined functions, which std::pmr::polymorphic_allocator cannot; what containers allocate is then never virtual.
/// The resource must outlive whatever uses it. A null memory_resource* stands for operator new. Copies of a container use
/// the same resource.
template <class T, class Resource = memory_resource>
class resource_allocator {
 public:
  using value_type = T;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;

  // Implicit, as from std::pmr::memory_resource*, so that containers can be given the pool.
  // NOLINTNEXTLINE(google-explicit-constructor)
  resource_allocator(Resource* resource) noexcept : resource_(resource) {}

  template <class U>
  // NOLINTNEXTLINE(google-explicit-constructor)
  resource_allocator(const resource_allocator<U, Resource>& other) noexcept : resource_(other.resource()) {}

  /// Throws std::bad_array_new_length where the bytes cannot be counted, and what the resource throws.
  [[nodiscard]] T* allocate(std::size_t count) {
    const std::size_t bytes = detail::checked_product(count, size);
    if constexpr (std::is_same_v<Resource, memory_resource>) {
      return static_cast<T*>(detail::allocate_from(resource_, bytes, alignof(T)));
    } else {
      return static_cast<T*>(resource_->allocate(bytes, alignof(T)));
    }
  }

  void deallocate(T* block, std::size_t count) noexcept {
    if constexpr (std::is_same_v<Resource, memory_resource>) {
      detail::deallocate_to(resource_, block, count * size, alignof(T));
    } else {
      resource_->deallocate(block, count * size, alignof(T));
    }
  }

  Resource* resource() const noexcept { return resource_; }

  template <class U>
  friend bool operator==(const resource_allocator& a, const resource_allocator<U, Resource>& b) noexcept {
    return a.resource() == b.resource();
  }

 private:
  static constexpr std::size_t size = sizeof(T);  // NOLINT(bugprone-sizeof-expression): T may be a pointer

  Resource* resource_;
};

namespace detail {

/// A vector whose elements are in a resource's memory; to be constructed with a memory_resource*, which may be null.
template <class T>
using resource_vector = std::vector<T, resource_allocator<T>>;

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
