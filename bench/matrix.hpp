// A row-major matrix that owns its values.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace bench {

template <class T>
struct matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<T> values;

  matrix() = default;
  matrix(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}

  [[nodiscard]] std::span<const T> row(std::size_t i) const { return {values.data() + i * columns, columns}; }
  [[nodiscard]] std::span<T> row(std::size_t i) { return {values.data() + i * columns, columns}; }
  [[nodiscard]] bool empty() const { return rows == 0; }
};

}  // namespace bench
