#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/index/detail/code_search.hpp>
#include <alidade/index/detail/code_set.hpp>
#include <alidade/index/detail/index_format.hpp>
#include <alidade/index/detail/packed_graph.hpp>
#include <alidade/index/detail/packed_vectors.hpp>
#include <alidade/index/observer.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/section_image.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Codes in an image: what code_set has for searches. Of its own it has the model.
template <class T, class Metric, class Model>
class packed_codes {
 public:
  packed_codes(const typename Model::options_type& options, memory_resource* memory)
      : model_(options, memory), search_(memory) {}

  /// Takes memory for the model.
  errc open(const section_view& file, const index_shape& shape) {
    // Few vectors have no codes.
    if (shape.codec == name_of("none"))
      return shape.count - shape.removed < Model::least_rows ? errc{} : errc::wrong_format;
    if (shape.codec != name_of(Model::name)) return errc::wrong_format;
    if (shape.code_bytes == 0 || shape.code_bytes > most_code_bytes || shape.count == 0)
      return errc::corrupted_data;
    const std::size_t stride =
        row_storage<std::uint8_t>::stride_of(static_cast<std::size_t>(shape.code_bytes));
    std::span<const std::byte> model;
    std::span<const std::uint8_t> codes;
    if (!file.get(sections::model, shape.model_bytes, model) ||
        !file.get(sections::codes, shape.count * stride, codes))
      return errc::corrupted_data;
    if (!model_.restore(model, static_cast<std::size_t>(shape.dimension), centred_form_of<Metric>::form) ||
        model_.code_bytes() != shape.code_bytes)
      return errc::corrupted_data;
    codes_ = {codes.data(), stride};
    return errc{};
  }

  bool are_in_use() const noexcept { return codes_.stride() != 0; }

  template <class Scratch, search_observer Observer>
  void search(const packed_vectors<T, Metric>& rows, const packed_graph& graph, const T* query,
              const search_options& options, Scratch& exact, Observer& observer) const {
    search_.run(rows, graph, model_, codes_, query, options, exact, observer);
  }

  std::size_t memory_bytes() const { return model_.memory_bytes() + search_.memory_bytes(); }
  std::size_t trim() noexcept { return search_.trim(); }

 private:
  static constexpr std::uint64_t most_code_bytes = std::uint64_t{1} << 24;

  Model model_;
  flat_rows<std::uint8_t> codes_;
  code_search<packed_vectors<T, Metric>, packed_graph, Model, flat_rows<std::uint8_t>> search_;
};

/// What an index's codes are in an image.
template <class Codes>
struct packed_form_of;
template <>
struct packed_form_of<no_codes> {
  using type = no_codes;
};
template <class Model>
struct packed_form_of<rows_as_codes<Model>> {
  using type = rows_as_codes<Model>;
};
template <class T, class Metric, class Model>
struct packed_form_of<code_set<T, Metric, Model>> {
  using type = packed_codes<T, Metric, Model>;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
