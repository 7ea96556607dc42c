#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/index_format.hpp>
#include <alidade/index/detail/vector_view.hpp>
#include <alidade/storage/key_map.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/section_image.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Vectors in an image, each with the user's key: what vector_set has for searches. Owns nothing.
template <class T, metric<T> Metric>
class packed_vectors : public vector_form<T, Metric> {
  using form = vector_form<T, Metric>;

 public:
  using view_type = vector_view<T, Metric, flat_rows<T>>;

  /// Of none, nor a dimension.
  explicit packed_vectors(Metric metric) : form(0, std::move(metric)) {}

  /// Where the sections are; nothing but their sizes is checked.
  errc open(const section_view& file, const index_shape& shape) noexcept {
    std::span<const T> rows;
    std::span<const std::uint64_t> removed;
    if (!file.get(sections::keys, shape.count, keys_) ||
        !file.get(sections::rows, shape.count * shape.stride, rows))
      return errc::corrupted_data;
    if (shape.removed != 0 &&
        (shape.removed >= shape.count ||
         !file.get(sections::removed, slot_bits::words_for(static_cast<std::size_t>(shape.count)), removed)))
      return errc::corrupted_data;
    if (!file.get(sections::key_order, shape.count - shape.removed, key_order_)) return errc::corrupted_data;
    removed_ = slot_bits(removed);
    this->set_dimension(static_cast<std::size_t>(shape.dimension));
    rows_ = {rows.data(), this->stride()};
    return errc{};
  }

  /// Whether the order of the keys is one, and they are all different.
  bool has_sound_keys() const noexcept {
    if (removed_.count() != slots() - size() || removed_.has_beyond(slots())) return false;
    for (std::size_t i = 0; i < size(); ++i) {
      if (key_order_[i] >= slots() || is_removed(key_order_[i])) return false;
      // Keys that rise are of different slots, so that each slot comes once.
      if (i != 0 && keys_[key_order_[i - 1]] >= keys_[key_order_[i]]) return false;
    }
    return true;
  }

  /// Whether all numbers are finite, and rows end in zeros, as vectors are stored.
  bool has_sound_rows() const noexcept {
    const std::size_t dimension = this->dimension(), padding = this->stride() - dimension;
    for (std::size_t slot = 0; slot < slots(); ++slot) {
      if (!all_finite(std::span<const T>(row(slot), dimension))) return false;
      const auto* const last = reinterpret_cast<const std::byte*>(row(slot) + dimension);
      if (!std::all_of(last, last + padding * sizeof(T), [](std::byte b) { return b == std::byte{}; }))
        return false;
    }
    return true;
  }

  std::size_t size() const noexcept { return key_order_.size(); }
  std::size_t slots() const noexcept { return keys_.size(); }
  slot_bits removed() const noexcept { return removed_; }
  bool is_removed(std::size_t slot) const noexcept { return removed_.contains(slot); }
  const T* row(std::size_t slot) const noexcept { return rows_[slot]; }
  std::uint64_t key(std::size_t slot) const noexcept { return keys_[slot]; }
  bool contains(std::uint64_t key) const noexcept { return find(key) != key_map::npos; }
  std::uint32_t find(std::uint64_t key) const noexcept {
    const auto found =
        std::lower_bound(key_order_.begin(), key_order_.end(), key,
                         [this](std::uint32_t slot, std::uint64_t k) { return keys_[slot] < k; });
    return found != key_order_.end() && keys_[*found] == key ? *found : key_map::npos;
  }

  view_type view() const { return {rows_, this->dimension(), this->metric()}; }
  std::size_t memory_bytes() const noexcept { return 0; }

 private:
  flat_rows<T> rows_;
  std::span<const std::uint64_t> keys_;
  std::span<const std::uint32_t> key_order_;
  slot_bits removed_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
