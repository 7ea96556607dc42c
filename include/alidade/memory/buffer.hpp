#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/checked_product.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Numbers in a resource's memory that grow in number and never shrink: what searches write into without a look at how
/// much room there is. Unlike a vector's, its elements may be copied into as bytes.
template <class T>
class buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit buffer(memory_resource* memory) noexcept : memory_(memory) {}

  std::size_t size() const noexcept { return bytes_.size() / element_bytes; }
  T* data() noexcept { return reinterpret_cast<T*>(bytes_.data()); }
  const T* data() const noexcept { return reinterpret_cast<const T*>(bytes_.data()); }
  T& operator[](std::size_t i) noexcept { return data()[i]; }
  const T& operator[](std::size_t i) const noexcept { return data()[i]; }

  /// Makes it `count` elements long if it is shorter; the new ones are of zero bits. Strong guarantee.
  void grow(std::size_t count) {
    if (count <= size()) return;
    aligned_bytes longer(checked_product(count, element_bytes), memory_);
    if (bytes_.size() != 0) std::memcpy(longer.data(), bytes_.data(), bytes_.size());
    std::memset(longer.data() + bytes_.size(), 0, longer.size() - bytes_.size());
    bytes_ = std::move(longer);
  }

  std::size_t memory_bytes() const noexcept { return bytes_.size(); }

 private:
  // NOLINTNEXTLINE(bugprone-sizeof-expression): T may be a pointer
  static constexpr std::size_t element_bytes = sizeof(T);

  memory_resource* memory_;
  aligned_bytes bytes_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
