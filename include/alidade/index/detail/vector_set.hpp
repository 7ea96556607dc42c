#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/vector_view.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/key_map.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/storage.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Checked vectors in storage that grows, each with the user's key, and distances to them.
template <class T, metric<T> Metric>
class vector_set : public vector_form<T, Metric> {
  using form = vector_form<T, Metric>;

 public:
  using view_type = vector_view<T, Metric>;
  static constexpr std::size_t max_rows = max_index_rows;

  static constexpr bool calibrates = false;

  vector_set(std::size_t dimension, Metric metric, memory_resource* memory = nullptr,
             const storage::full& = {})
      : form(dimension, std::move(metric)), rows_(dimension, memory), keys_(memory) {}

  static bool valid(const storage::full&) noexcept { return true; }

  std::size_t size() const noexcept { return keys_.size(); }
  const T* row(std::size_t slot) const noexcept { return rows_[slot]; }
  std::uint64_t key(std::size_t slot) const noexcept { return keys_.key(slot); }
  bool contains(std::uint64_t key) const noexcept { return keys_.find(key) != key_map::npos; }

  void reserve(std::size_t rows) {
    if (rows > max_rows) throw_error(errc::too_many_rows, max_rows);
    keys_.reserve(rows);
    rows_.reserve(rows);
  }

  /// The vectors under the set's own metric, or under another that takes their stored form.
  view_type view() const { return {rows_, this->dimension(), this->metric()}; }
  template <class Other>
  vector_view<T, Other> view(const Other& other) const {
    return {rows_, this->dimension(), other};
  }

  /// Whether keys and rows fit each other and the set, before anything is looked at or made room for.
  template <class Input>
  std::size_t check(std::span<const std::uint64_t> keys, matrix_view<Input> rows,
                    std::error_code& ec) const noexcept {
    ec.clear();
    if (keys.size() != rows.rows()) return fail(errc::size_mismatch, std::min(keys.size(), rows.rows()), ec);
    if (rows.rows() != 0 && rows.columns() != this->dimension()) return fail(errc::dimension_mismatch, 0, ec);
    if (rows.rows() > max_rows - size()) return fail(errc::too_many_rows, max_rows - size(), ec);
    return rows.rows();
  }

  /// Appends all rows or, when one is refused, none, and returns which; on success returns how many. Rows go to the slots
  /// in the order given, or as they come when that is empty. Strong guarantee.
  std::size_t append(std::span<const std::uint64_t> keys, matrix_view<T> rows,
                     std::span<const std::uint32_t> order, std::error_code& ec) {
    return append(keys, rows, order, ec,
                  [this](std::span<const T> in, T* out) { return this->prepare(in, out); });
  }

  struct mark {
    std::size_t rows, capacity;
  };
  mark mark_end() const noexcept { return {size(), rows_.capacity()}; }

  /// Forgets the rows that are newer, and gives back the room for rows that was made since.
  void truncate(const mark& end) noexcept {
    keys_.truncate(end.rows);
    rows_.shrink(end.capacity);
  }

  std::size_t memory_bytes() const noexcept { return keys_.memory_bytes() + rows_.memory_bytes(); }

 protected:
  /// `write` checks a row and writes its stored form. Where one is refused others were written, which count no more.
  template <class Input, class Write>
  std::size_t append(std::span<const std::uint64_t> keys, matrix_view<Input> rows,
                     std::span<const std::uint32_t> order, std::error_code& ec, const Write& write) {
    if (const std::size_t bad = check(keys, rows, ec); ec) return bad;
    const std::size_t before = size();
    reserve(before + rows.rows());
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      errc code = write(rows[i], rows_[before + i]);
      if (code == errc{} && !keys_.insert(keys[i])) code = errc::duplicate_key;
      if (code != errc{}) {
        keys_.truncate(before);
        return fail(code, i, ec);
      }
    }
    if (!order.empty()) {  // all are good: once more, in that order
      keys_.truncate(before);
      for (std::size_t i = 0; i < rows.rows(); ++i) {
        write(rows[order[i]], rows_[before + i]);
        keys_.insert(keys[order[i]]);
      }
    }
    return rows.rows();
  }

  static std::size_t fail(errc code, std::size_t row, std::error_code& ec) noexcept {
    ec = code;
    return row;
  }

 private:
  row_storage<T> rows_;
  key_map keys_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
