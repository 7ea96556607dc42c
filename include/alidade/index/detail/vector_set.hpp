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
#include <alidade/storage/slot_set.hpp>
#include <alidade/storage/storage.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Checked vectors in storage that grows, each with the user's key, and distances to them. A vector that was removed leaves a slot, with its
/// row as it was, until another vector gets it.
template <class T, metric<T> Metric>
class vector_set : public vector_form<T, Metric> {
  using form = vector_form<T, Metric>;

 public:
  using view_type = vector_view<T, Metric>;
  static constexpr std::size_t max_rows = max_index_rows;

  static constexpr bool calibrates = false;

  vector_set(std::size_t dimension, Metric metric, memory_resource* memory = nullptr,
             const storage::full& = {})
      : form(dimension, std::move(metric)), rows_(dimension, memory), keys_(memory), removed_(memory) {}

  static bool valid(const storage::full&) noexcept { return true; }

  std::size_t size() const noexcept { return slots() - removed_.count(); }
  std::size_t slots() const noexcept { return keys_.size(); }
  /// The slots without a vector.
  slot_bits removed() const noexcept { return removed_.bits(); }
  bool is_removed(std::size_t slot) const noexcept { return removed_.contains(slot); }
  const T* row(std::size_t slot) const noexcept { return rows_[slot]; }
  std::uint64_t key(std::size_t slot) const noexcept { return keys_.key(slot); }
  bool contains(std::uint64_t key) const noexcept { return keys_.find(key) != key_map::npos; }
  /// The slot of a key, or key_map::npos.
  std::uint32_t find(std::uint64_t key) const noexcept { return keys_.find(key); }

  /// Room for so many slots in all.
  void reserve(std::size_t slots) {
    if (slots > max_rows) throw_error(errc::too_many_rows, max_rows);
    keys_.reserve(slots);
    rows_.reserve(slots);
    if (removed_.count() != 0) removed_.reserve(slots);
  }

  /// Before any is removed, of so many slots.
  void reserve_removed(std::size_t slots) { removed_.reserve(slots); }
  /// The vector of a slot that has one is gone.
  void remove(std::uint32_t slot) noexcept {
    keys_.erase(keys_.key(slot));
    removed_.insert(slot);
  }
  /// Or is there again, as long as nothing else has got its slot or key.
  void unremove(std::uint32_t slot) noexcept {
    keys_.insert_at(slot, keys_.key(slot));
    removed_.erase(slot);
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
    if (rows.rows() > max_rows - slots()) return fail(errc::too_many_rows, max_rows - slots(), ec);
    return rows.rows();
  }

  /// Adds all rows or, when one is refused, none, and returns which; on success returns how many. Rows go to the slots
  /// in the order given, or as they come when that is empty: first to those of `reused`, which have no vector, then to new ones. Strong
  /// guarantee.
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<T> rows,
                  std::span<const std::uint32_t> order, std::span<const std::uint32_t> reused,
                  std::error_code& ec) {
    return add(keys, rows, order, reused, ec,
               [this](std::span<const T> in, T* out) { return this->prepare(in, out); });
  }

  /// Rows and keys of some of the slots, which have vectors, in a new order.
  struct renumbered_slots {
    row_storage<T> rows;
    key_map keys;
  };
  renumbered_slots renumbered(std::span<const std::uint32_t> order) const {
    renumbered_slots result{row_storage<T>(this->dimension(), rows_.resource()), key_map(rows_.resource())};
    result.rows.reserve(order.size());
    result.keys.reserve(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      std::copy_n(row(order[i]), this->stride(), result.rows[i]);
      result.keys.insert(key(order[i]));
    }
    return result;
  }
  /// Has these instead of all it had.
  void adopt(renumbered_slots&& slots) noexcept {
    rows_ = std::move(slots.rows);
    keys_ = std::move(slots.keys);
    removed_ = slot_set(rows_.resource());
  }

  /// Of no vectors any more; the memory stays.
  void clear() noexcept {
    keys_.clear();
    removed_.clear();
  }

  struct mark {
    std::size_t rows, capacity;
  };
  mark mark_end() const noexcept { return {slots(), rows_.capacity()}; }

  /// Forgets the slots that are newer, and gives back the room for rows that was made since.
  void truncate(const mark& end) noexcept {
    keys_.truncate(end.rows);
    rows_.shrink(end.capacity);
  }

  std::size_t memory_bytes() const noexcept {
    return keys_.memory_bytes() + rows_.memory_bytes() + removed_.memory_bytes();
  }

 protected:
  /// `write` checks a row and writes its stored form. Where one is refused others were written, which count no more.
  template <class Input, class Write>
  std::size_t add(std::span<const std::uint64_t> keys, matrix_view<Input> rows,
                  std::span<const std::uint32_t> order, std::span<const std::uint32_t> reused,
                  std::error_code& ec, const Write& write) {
    if (const std::size_t bad = check(keys, rows, ec); ec) return bad;
    const std::size_t before = slots(), count = rows.rows(), old = std::min(reused.size(), count);
    reserve(before + count - old);
    const auto slot_of = [&](std::size_t i) { return i < old ? reused[i] : before + i - old; };
    const auto put = [&](std::size_t i, std::uint64_t key) {
      if (i >= old) return keys_.insert(key);
      if (!keys_.insert_at(reused[i], key)) return false;
      removed_.erase(reused[i]);
      return true;
    };
    const auto take_back = [&](std::size_t end) {
      keys_.truncate(before);
      for (std::size_t i = 0; i < std::min(end, old); ++i) remove(reused[i]);
    };
    for (std::size_t i = 0; i < count; ++i) {
      errc code = write(rows[i], rows_[slot_of(i)]);
      if (code == errc{} && !put(i, keys[i])) code = errc::duplicate_key;
      if (code != errc{}) {
        take_back(i);
        return fail(code, i, ec);
      }
    }
    if (!order.empty()) {  // all are good: once more, in that order
      take_back(count);
      for (std::size_t i = 0; i < count; ++i) {
        write(rows[order[i]], rows_[slot_of(i)]);
        put(i, keys[order[i]]);
      }
    }
    return count;
  }

  static std::size_t fail(errc code, std::size_t row, std::error_code& ec) noexcept {
    ec = code;
    return row;
  }

 private:
  row_storage<T> rows_;
  key_map keys_;
  slot_set removed_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
