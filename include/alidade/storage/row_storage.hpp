#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <type_traits>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Rows of equal size in flat memory that grows without ever moving a row.
///
///     granules:  [ p0 | p1 | p2 | p3 | ... ]        row i is at  granules[i >> shift] + (i & mask) * stride
///     extents:   [ granules 0, 1, 2 ][ 3 ][ 4 ] ... one allocation each; a bulk reserve makes one large extent
///
/// A row starts at a multiple of its stride; strides of a cache line or more are whole lines, smaller ones are powers of
/// two, so that no row straddles more lines than it must. The first reservation sets the size of a granule: a 64th of
/// it, so that a small set stays small and the table of a large one stays in the first-level cache.
template <class T>
class row_storage {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit row_storage(std::size_t columns, memory_resource* memory = nullptr) noexcept
      : stride_(stride_of(columns)), granules_(memory), extents_(memory) {}
  row_storage(row_storage&&) noexcept = default;
  row_storage& operator=(row_storage&&) noexcept = default;

  /// Elements from the start of a row to the start of the next.
  std::size_t stride() const noexcept { return stride_; }
  static constexpr std::size_t stride_of(std::size_t columns) noexcept {
    return padded_row_bytes(std::max<std::size_t>(columns, 1) * sizeof(T)) / sizeof(T);
  }
  std::size_t capacity() const noexcept { return granules_.size() << shift_; }

  T* operator[](std::size_t row) noexcept { return granules_[row >> shift_] + (row & mask_) * stride_; }
  const T* operator[](std::size_t row) const noexcept {
    return granules_[row >> shift_] + (row & mask_) * stride_;
  }

  /// Makes room for `rows` rows in all, their contents indeterminate, and not much more: less than one granule, or a
  /// sixteenth when the storage grows by few rows. Strong guarantee.
  void reserve(std::size_t rows) {
    if (rows <= capacity()) return;
    const std::size_t row_bytes = stride_ * sizeof(T);
    if (granules_.empty()) {
      const std::size_t target =
          std::clamp(checked_product(rows, row_bytes) / 64, smallest_granule, huge_page);
      shift_ = static_cast<unsigned>(std::bit_width(std::max<std::size_t>(target / row_bytes, 1)) - 1);
      mask_ = (std::size_t{1} << shift_) - 1;
    }
    const std::size_t missing = (rows - capacity() + mask_) >> shift_;
    const std::size_t added = std::max(missing, granules_.size() / 16);
    const std::size_t granule_bytes = row_bytes << shift_;
    extents_.reserve(extents_.size() + 1);
    granules_.reserve(granules_.size() + added);
    memory_resource* const memory = extents_.get_allocator().resource();
    aligned_bytes& extent = extents_.emplace_back(checked_product(added, granule_bytes), memory);
    for (std::size_t g = 0; g < added; ++g)
      granules_.push_back(reinterpret_cast<T*>(extent.data() + g * granule_bytes));
  }

  /// Gives back what was reserved since the capacity was `capacity`.
  void shrink(std::size_t capacity) noexcept {
    const std::size_t granule_bytes = (stride_ * sizeof(T)) << shift_;
    while (this->capacity() > capacity) {
      granules_.resize(granules_.size() - extents_.back().size() / granule_bytes);
      extents_.pop_back();
    }
  }

  memory_resource* resource() const noexcept { return extents_.get_allocator().resource(); }

  std::size_t memory_bytes() const noexcept {
    std::size_t total = granules_.capacity() * sizeof(T*) + extents_.capacity() * sizeof(aligned_bytes);
    for (const auto& extent : extents_) total += extent.size();
    return total;
  }

 private:
  static constexpr std::size_t smallest_granule = std::size_t{16} << 10;

  std::size_t stride_;
  std::size_t mask_ = 0;
  unsigned shift_ = 0;
  resource_vector<T*> granules_;
  resource_vector<aligned_bytes> extents_;
};

/// The rows of a storage, to be read; it must outlive this.
template <class T>
class stored_rows {
 public:
  // Implicit: it is nothing but a reference. NOLINTNEXTLINE(google-explicit-constructor)
  stored_rows(const row_storage<T>& rows) noexcept : rows_(&rows) {}

  std::size_t stride() const noexcept { return rows_->stride(); }
  const T* operator[](std::size_t row) const noexcept { return (*rows_)[row]; }

 private:
  const row_storage<T>* rows_;
};

/// The same of rows that lie one behind the other.
template <class T>
class flat_rows {
 public:
  flat_rows() noexcept = default;
  flat_rows(const T* first, std::size_t stride) noexcept : first_(first), stride_(stride) {}

  std::size_t stride() const noexcept { return stride_; }
  const T* operator[](std::size_t row) const noexcept { return first_ + row * stride_; }

 private:
  const T* first_ = nullptr;
  std::size_t stride_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
