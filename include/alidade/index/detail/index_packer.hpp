#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/index_format.hpp>
#include <alidade/index/detail/node_order.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/section_image.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Writes an index as an image (index_format.hpp), its nodes in a given order.
template <class Vectors, class Graph, class Codes>
class index_packer {
  using T = typename Vectors::value_type;
  using Metric = typename Vectors::metric_type;

 public:
  /// `order`: the slot that is to become slot i, for each i; all but those to which no link leads.
  index_packer(const Vectors& vectors, const Graph& graph, const Codes& codes, const hnsw_options& options,
               const search_options& defaults, std::span<const std::uint32_t> order)
      : vectors_(vectors),
        graph_(graph),
        codes_(codes),
        options_(options),
        defaults_(defaults),
        order_(order),
        file_(index_file_kind<T>()) {}

  /// All memory is the options', whose the image's is too.
  aligned_bytes image() {
    const std::size_t n = order_.size(), M = options_.M;
    const auto removed = static_cast<std::size_t>(std::count_if(
        order_.begin(), order_.end(), [&](std::uint32_t slot) { return vectors_.is_removed(slot); }));
    index_shape shape{element_name<T>,
                      name_of("none"),
                      metric_name_of<Metric>(),
                      vectors_.dimension(),
                      vectors_.stride(),
                      n,
                      M,
                      0,
                      0,
                      0,
                      removed,
                      hnsw_graph::npos,
                      0};
    for (const std::uint32_t slot : order_) shape.upper_rows += level_of(slot);
    codes_.describe(shape);
    file_.template add<index_shape>(sections::shape, 1);
    file_.template add<index_settings>(sections::settings, 1);
    file_.template add<std::uint64_t>(sections::keys, n);
    file_.template add<std::uint32_t>(sections::key_order, n - removed);
    if (removed != 0) file_.template add<std::uint64_t>(sections::removed, slot_bits::words_for(n));
    file_.template add<std::uint8_t>(sections::levels, n);
    file_.template add<std::uint32_t>(sections::first_upper_rows, n);
    const std::size_t upper_stride = row_storage<link>::stride_of(M),
                      stride = row_storage<link>::stride_of(2 * M);
    const auto upper_rows = static_cast<std::size_t>(shape.upper_rows);
    file_.template add<link>(sections::upper_links, checked_product(upper_rows, upper_stride));
    if (shape.code_bytes != 0) {
      file_.template add<std::byte>(sections::model, static_cast<std::size_t>(shape.model_bytes));
      file_.template add<std::uint8_t>(sections::codes,
                                       checked_product(n, static_cast<std::size_t>(shape.code_bytes)));
    }
    file_.template add<link>(sections::links, checked_product(n, stride));
    file_.template add<T>(sections::rows, checked_product(n, vectors_.stride()));
    file_.make_room(options_.memory);

    put_vectors();
    put_links(shape);
    if (shape.code_bytes != 0) codes_.put(file_, order_);
    file_.put(sections::shape, shape);
    file_.put(sections::settings,
              index_settings{options_.ef_construction, options_.seed, options_.alpha, options_.fill,
                             defaults_.ef, defaults_.rerank, defaults_.prefetch});
    return file_.finish();
  }

 private:
  /// A removed node may have been higher than what is left.
  std::size_t level_of(std::uint32_t slot) const noexcept {
    return std::min(graph_.level(slot), graph_.max_level());
  }

  void put_vectors() {
    const std::span<T> rows = file_.template get<T>(sections::rows);
    const auto keys = file_.template get<std::uint64_t>(sections::keys);
    const auto key_order = file_.template get<std::uint32_t>(sections::key_order);
    std::span<std::uint64_t> removed;
    if (key_order.size() != keys.size()) removed = file_.template get<std::uint64_t>(sections::removed);
    std::fill(removed.begin(), removed.end(), 0u);
    std::size_t of_keys = 0;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      std::copy_n(vectors_.row(order_[i]), vectors_.stride(), rows.data() + i * vectors_.stride());
      const bool is_removed = vectors_.is_removed(order_[i]);
      keys[i] = is_removed ? 0 : vectors_.key(order_[i]);
      if (is_removed) {
        removed[i / 64] |= std::uint64_t{1} << (i % 64);
      } else {
        key_order[of_keys++] = static_cast<std::uint32_t>(i);
      }
    }
    std::sort(key_order.begin(), key_order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return keys[a] < keys[b]; });
  }

  void put_links(index_shape& shape) {
    resource_vector<std::uint32_t> place(graph_.size(), options_.memory);
    for (std::size_t i = 0; i < order_.size(); ++i) place[order_[i]] = static_cast<std::uint32_t>(i);
    const std::span<link> base = file_.template get<link>(sections::links);
    const std::span<link> upper = file_.template get<link>(sections::upper_links);
    const auto levels = file_.template get<std::uint8_t>(sections::levels);
    const auto first_upper_row = file_.template get<std::uint32_t>(sections::first_upper_rows);
    const std::size_t stride = row_storage<link>::stride_of(graph_.capacity(0));
    const std::size_t upper_stride = row_storage<link>::stride_of(graph_.capacity(1));
    std::size_t upper_rows = 0;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const std::uint32_t slot = order_[i];
      levels[i] = static_cast<std::uint8_t>(level_of(slot));
      first_upper_row[i] = static_cast<std::uint32_t>(upper_rows);
      put_row(0, slot, place, base.subspan(i * stride, stride));
      for (std::size_t l = 1; l <= level_of(slot); ++l)
        put_row(l, slot, place, upper.subspan(upper_rows++ * upper_stride, upper_stride));
    }
    if (order_.empty()) return;
    shape.entry_point = place[graph_.entry_point()];
    shape.max_level = static_cast<std::uint32_t>(graph_.max_level());
  }

  void put_row(std::size_t level, std::uint32_t slot, std::span<const std::uint32_t> place,
               std::span<link> out) {
    const link* const row = graph_.links(level, slot);
    const std::size_t count = graph_.capacity(level);
    for (std::size_t i = 0; i < count; ++i) out[i] = link(place[row[i].slot()], row[i].rank());
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(count), out.end(), link());
  }

  const Vectors& vectors_;
  const Graph& graph_;
  const Codes& codes_;
  const hnsw_options& options_;
  const search_options& defaults_;
  std::span<const std::uint32_t> order_;
  section_image_writer file_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
