#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/half.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/vector_view.hpp>
#include <alidade/index/options.hpp>
#include <alidade/storage/row_storage.hpp>
#include <alidade/storage/section_file.hpp>
#include <alidade/storage/section_image.hpp>

/// How a graph index is written: an object of kind "HNSW" in the format of storage/section_file.hpp, little-endian, each section at a
/// multiple of 64 bytes. Everything is by slot, 0 .. count - 1, in the order in which the index has its vectors.
///
///     SHAP  index_shape: element type, metric, codec, dimension, how much there is of everything, where the graph is entered
///     OPTS  index_settings: what the graph was built with
///     ROWS  count rows of `stride` elements: vectors as the metric has prepared them, then zeros
///     KEYS  count uint64: the user's keys; 0 of what was removed
///     KORD  count - removed uint32: the slots in rising order of their keys, which are all different, without those that were removed
///     LEVL  count uint8: the highest level of each node
///     LNK0  count rows of row_storage<link>::stride_of(2 M) uint32, of which the first 2 M count: links of level 0, the neighbour's
///           slot in the lower 30 bits, its edge_rank in the upper two; what is left of a row is links to the node itself
///     UPPR  count uint32: the sum of the levels of the nodes before
///     LNKU  upper_rows rows of row_storage<link>::stride_of(M) uint32: those of the levels from 1 on, the levels of a node behind
///           each other, nodes in the order of their slots
///
/// where some vectors were removed to which links lead yet
///
///     RMVD  (count + 63) / 64 uint64: bit slot % 64 of number slot / 64 is set of those
///
/// and where its vectors have codes
///
///     MODL  what the codec has learnt, as its model writes it
///     CODE  count rows of code_bytes bytes
///
/// Other sections are passed over, for later versions to have more.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

inline constexpr section_name index_kind_name = name_of("HNSW");
inline constexpr std::uint32_t index_version = 1;

template <class T>
constexpr file_kind index_file_kind() noexcept {
  return {index_kind_name, index_version, element_code<T>()};
}

namespace sections {
inline constexpr section_name shape = name_of("SHAP"), settings = name_of("OPTS"), rows = name_of("ROWS"),
                              keys = name_of("KEYS"), key_order = name_of("KORD"), levels = name_of("LEVL"),
                              links = name_of("LNK0"), first_upper_rows = name_of("UPPR"),
                              upper_links = name_of("LNKU"), removed = name_of("RMVD"),
                              model = name_of("MODL"), codes = name_of("CODE");
}  // namespace sections

/// Of an element type, which its size does not tell.
template <class T>
inline constexpr section_name element_name = 0;
template <>
inline constexpr section_name element_name<float> = name_of("f32 ");
template <>
inline constexpr section_name element_name<double> = name_of("f64 ");
template <>
inline constexpr section_name element_name<f16> = name_of("f16 ");
template <>
inline constexpr section_name element_name<bf16> = name_of("bf16");
template <>
inline constexpr section_name element_name<std::int8_t> = name_of("i8  ");
template <>
inline constexpr section_name element_name<std::uint8_t> = name_of("u8  ");
template <>
inline constexpr section_name element_name<bits8> = name_of("bits");

using metric_name = std::array<char, 32>;

/// A metric that files can name.
template <class Metric>
concept named_metric = requires {
  { Metric::name } -> std::convertible_to<std::string_view>;
  requires !std::string_view(Metric::name).empty() &&
      std::string_view(Metric::name).size() < sizeof(metric_name);
};

/// Zeros of one that has none.
template <class Metric>
constexpr metric_name metric_name_of() noexcept {
  metric_name name{};
  if constexpr (named_metric<Metric>) {
    const std::string_view text = Metric::name;
    for (std::size_t i = 0; i < text.size(); ++i) name[i] = text[i];
  }
  return name;
}

/// Section SHAP.
struct index_shape {
  section_name element;
  section_name codec;  ///< "none" where there are no codes, be it that there are too few vectors for them
  metric_name metric;
  std::uint64_t dimension;
  std::uint64_t stride;
  std::uint64_t count;  ///< of slots
  std::uint64_t M;
  std::uint64_t upper_rows;
  std::uint64_t code_bytes;   ///< of each code; 0 where there are none
  std::uint64_t model_bytes;  ///< of section MODL
  std::uint64_t removed;      ///< how many of the slots have no vector any more
  std::uint32_t entry_point;  ///< hnsw_graph::npos where there are no vectors
  std::uint32_t max_level;    ///< the entry point's, and no other node's is higher
};
static_assert(sizeof(index_shape) == 112 && std::is_trivially_copyable_v<index_shape>);

/// Section OPTS.
struct index_settings {
  std::uint64_t ef_construction;
  std::uint64_t seed;
  float alpha;
  std::uint32_t fill;
  std::uint64_t ef;        ///< of searches that do not say it
  std::uint64_t rerank;    ///< likewise
  std::uint64_t prefetch;  ///< likewise
};
static_assert(sizeof(index_settings) == 48 && std::is_trivially_copyable_v<index_settings>);

/// The ranges of hnsw_options.
inline bool valid_options(const hnsw_options& o) noexcept {
  return o.M >= 2 && o.M <= 512 && o.ef_construction >= 1 && o.ef_construction <= 65535 && o.alpha >= 1.0f &&
         o.alpha <= 4.0f;
}

/// Reads and checks what all else is measured by; then count is below 2^30, and sizes of sections that follow from the shape are less than
/// 2^63.
template <class T, metric<T> Metric>
errc read_shape(const section_view& file, index_shape& shape, hnsw_options& options,
                search_options& defaults) noexcept {
  index_settings settings{};
  if (!file.get(sections::shape, shape) || !file.get(sections::settings, settings))
    return errc::corrupted_data;
  if (shape.element != element_name<T> || shape.metric != metric_name_of<Metric>()) return errc::wrong_format;
  constexpr std::uint64_t most_upper_rows = std::numeric_limits<std::uint32_t>::max();
  if (shape.count > max_index_rows || shape.dimension > max_dimension || shape.M > 512 ||
      settings.ef_construction > 65535 || settings.fill > 1 || shape.upper_rows > most_upper_rows)
    return errc::corrupted_data;
  const auto dimension = static_cast<std::size_t>(shape.dimension);
  if (!vector_form<T, Metric>::valid_dimension(dimension) ||
      shape.stride != row_storage<T>::stride_of(dimension))
    return errc::corrupted_data;
  options.M = static_cast<std::size_t>(shape.M);
  options.ef_construction = static_cast<std::size_t>(settings.ef_construction);
  options.seed = settings.seed;
  options.alpha = settings.alpha;
  options.fill = settings.fill != 0;
  if (settings.ef == 0 || std::max({settings.ef, settings.rerank, settings.prefetch}) > max_index_rows)
    return errc::corrupted_data;
  defaults.ef = static_cast<std::size_t>(settings.ef);
  defaults.rerank = static_cast<std::size_t>(settings.rerank);
  defaults.prefetch = static_cast<std::size_t>(settings.prefetch);
  return valid_options(options) ? errc{} : errc::corrupted_data;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
