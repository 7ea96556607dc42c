#pragma once

#include <cstddef>
#include <span>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Vectors as the rows of a row-major matrix that somebody else owns. `stride` is the number of elements from the start
/// of one row to the start of the next, at least `columns`.
template <class T>
class matrix_view {
 public:
  using value_type = T;

  constexpr matrix_view() noexcept = default;

  constexpr matrix_view(const T* data, std::size_t rows, std::size_t columns) noexcept
      : matrix_view(data, rows, columns, columns) {}

  constexpr matrix_view(const T* data, std::size_t rows, std::size_t columns, std::size_t stride) noexcept
      : data_(data), rows_(rows), columns_(columns), stride_(stride) {
    ALIDADE_ASSERT(stride >= columns);
    ALIDADE_ASSERT(data != nullptr || rows == 0 || columns == 0);
  }

  constexpr const T* data() const noexcept { return data_; }
  constexpr std::size_t rows() const noexcept { return rows_; }
  constexpr std::size_t columns() const noexcept { return columns_; }
  constexpr std::size_t stride() const noexcept { return stride_; }

  constexpr std::span<const T> operator[](std::size_t row) const noexcept {
    ALIDADE_ASSERT(row < rows_);
    return {data_ + row * stride_, columns_};
  }

 private:
  const T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
