#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/index_format.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/section_image.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The links of a graph in an image: what hnsw_graph has for searches. Owns nothing.
class packed_graph {
 public:
  packed_graph() noexcept = default;

  /// Where the sections are; nothing but their sizes is checked.
  errc open(const section_view& file, const index_shape& shape) noexcept {
    const auto M = static_cast<std::size_t>(shape.M);
    const std::size_t stride = row_storage<link>::stride_of(2 * M),
                      upper_stride = row_storage<link>::stride_of(M);
    std::span<const link> links, upper;
    if (!file.get(sections::levels, shape.count, levels_) ||
        !file.get(sections::first_upper_rows, shape.count, first_upper_row_) ||
        !file.get(sections::links, shape.count * stride, links) ||
        !file.get(sections::upper_links, shape.upper_rows * upper_stride, upper))
      return errc::corrupted_data;
    base_ = {links.data(), stride};
    upper_ = {upper.data(), upper_stride};
    M_ = M;
    upper_rows_ = static_cast<std::size_t>(shape.upper_rows);
    entry_point_ = shape.entry_point;
    max_level_ = shape.max_level;
    return errc{};
  }

  /// Whether every link leads to a node of its level, and the entry point to the highest: then no search leaves the image. In time
  /// linear in the links.
  bool is_sound() const noexcept {
    if (size() == 0) return entry_point_ == hnsw_graph::npos && max_level_ == 0 && upper_rows_ == 0;
    if (entry_point_ >= size() || levels_[entry_point_] != max_level_) return false;
    std::size_t upper_rows = 0;
    for (std::size_t slot = 0; slot < size(); ++slot) {
      if (levels_[slot] > max_level_ || first_upper_row_[slot] != upper_rows) return false;
      upper_rows += levels_[slot];
      if (upper_rows > upper_rows_) return false;
    }
    if (upper_rows != upper_rows_) return false;
    for (std::size_t slot = 0; slot < size(); ++slot) {
      for (std::size_t l = 0; l <= levels_[slot]; ++l) {
        if (!are_sound(links(l, slot), l)) return false;
      }
    }
    return true;
  }

  bool leads_to_removed() const noexcept { return leads_to_removed_; }
  void set_leads_to_removed(bool leads) noexcept { leads_to_removed_ = leads; }

  std::size_t size() const noexcept { return levels_.size(); }
  std::size_t capacity(std::size_t level) const noexcept { return level == 0 ? 2 * M_ : M_; }
  std::size_t level(std::size_t slot) const noexcept { return levels_[slot]; }
  std::uint32_t entry_point() const noexcept { return entry_point_; }
  std::size_t max_level() const noexcept { return max_level_; }
  const link* links(std::size_t level, std::size_t slot) const noexcept {
    return level == 0 ? base_[slot] : upper_[first_upper_row_[slot] + level - 1];
  }
  std::size_t degree(std::size_t level, std::size_t slot) const noexcept {
    return degree_in(*this, level, slot);
  }
  std::uint64_t checksum() const noexcept { return checksum_of(*this); }
  std::size_t memory_bytes() const noexcept { return 0; }

 private:
  bool are_sound(const link* row, std::size_t level) const noexcept {
    bool sound = true;
    for (std::size_t i = 0; i < capacity(level); ++i) {
      sound = sound && row[i].slot() < size() && row[i].rank() <= edge_rank::kept &&
              (level == 0 || levels_[row[i].slot()] >= level);
    }
    return sound;
  }

  flat_rows<link> base_, upper_;
  std::span<const std::uint8_t> levels_;
  std::span<const std::uint32_t> first_upper_row_;
  std::size_t M_ = 2;
  std::size_t upper_rows_ = 0;
  std::size_t max_level_ = 0;
  std::uint32_t entry_point_ = hnsw_graph::npos;
  bool leads_to_removed_ = false;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
