#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/code_set.hpp>
#include <alidade/index/detail/graph_index.hpp>
#include <alidade/index/detail/index_format.hpp>
#include <alidade/index/detail/packed_codes.hpp>
#include <alidade/index/detail/packed_graph.hpp>
#include <alidade/index/detail/packed_vectors.hpp>
#include <alidade/index/options.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_pool_options.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/codecs.hpp>
#include <alidade/storage/mapped_file.hpp>
#include <alidade/storage/replace_file.hpp>
#include <alidade/storage/section_image.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

template <class T, metric<T> Metric, class Codec, class Storage>
class hnsw_index;

/// An index that does not change any more: made by hnsw_index::pack(), all of it one image in memory that is also its file, with the nodes in
/// an order in which neighbours lie near each other. Its answers are those of the index it was made from, but for which of several at one
/// distance a search finds.
///
/// It can be opened where it lies, in a file that is mapped or in bytes that you have, without a copy of vectors, codes or links. What is
/// opened may come from anywhere: all sizes, levels, links and keys are checked first, in time linear in them (see open_options), and
/// what cannot be is an error, never a crash:
///
/// - errc::wrong_format: no index of a graph, or of another element type, metric or codec;
/// - errc::unsupported_version: by a later version of the library;
/// - errc::corrupted_data: torn or damaged;
/// - errc::misaligned: bytes that do not begin at a multiple of 64.
///
/// The searches are those of graph_index (detail/graph_index.hpp), as hnsw_index has them too. They may run from several threads at once. A
/// search allocates nothing after one as wide on the same index, but for the vector that the convenient form returns, until trim(). A moved-from
/// index may only be destroyed or assigned to. Memory that runs out is as in hnsw_index.
template <class T, metric<T> Metric = metrics::l2_squared, class Codec = codecs::none>
class packed_index
    : public detail::graph_index<
          detail::packed_vectors<T, Metric>, detail::packed_graph,
          typename detail::packed_form_of<typename detail::codes_of<Codec, T, Metric>::type>::type> {
  using vectors = detail::packed_vectors<T, Metric>;
  using codes = typename detail::packed_form_of<typename detail::codes_of<Codec, T, Metric>::type>::type;
  using base = detail::graph_index<vectors, detail::packed_graph, codes>;

 public:
  /// Of no vectors, nor a dimension.
  packed_index() : packed_index(Metric{}, nullptr) {}

  /// Over bytes that you keep, unchanged, for as long as the index is in use. They begin at a multiple of 64 and are what image() was, no
  /// more and no less. The metric is given where it has constants of its own, which the bytes have not.
  static packed_index open(std::span<const std::byte> bytes, const open_options& options = {},
                           Metric metric = {}) requires detail::named_metric<Metric> {
    std::error_code ec;
    packed_index opened = open_unguarded(bytes, options, std::move(metric), ec);
    if (ec) detail::throw_error(ec);
    return opened;
  }
  /// Returns an index of no vectors where there is an error.
  static packed_index open(std::span<const std::byte> bytes, const open_options& options, Metric metric,
                           std::error_code& ec) requires detail::named_metric<Metric> {
    return unless_exhausted(options, metric, ec, [&] { return open_unguarded(bytes, options, metric, ec); });
  }

  /// Over a file, which is mapped where the system can do that, else read (storage/mapped_file.hpp). Beside the errors above there are those
  /// of the system.
  static packed_index map(const std::string& path, const open_options& options = {},
                          Metric metric = {}) requires detail::named_metric<Metric> {
    std::error_code ec;
    packed_index opened = map_unguarded(path, options, std::move(metric), ec);
    if (ec) detail::throw_error(ec);
    return opened;
  }
  static packed_index map(const std::string& path, const open_options& options, Metric metric,
                          std::error_code& ec) requires detail::named_metric<Metric> {
    return unless_exhausted(options, metric, ec, [&] { return map_unguarded(path, options, metric, ec); });
  }

  /// Writes image() to a file, under another name beside it first, and flushes it to the disk: at any time there is under the path the file that
  /// was there, whole, or the new one. On failure the old one is as it was. Errors are those of the system, and errc::invalid_option where there
  /// is no image.
  void save(const std::string& path) const requires detail::named_metric<Metric> {
    std::error_code ec;
    save(path, ec);
    if (ec) detail::throw_error(ec);
  }
  void save(const std::string& path, std::error_code& ec) const requires detail::named_metric<Metric> {
    if (image_.empty()) {
      ec = errc::invalid_option;
    } else {
      detail::replace_file(path, image_, ec);
    }
  }

  /// What a file of the index holds (detail/index_format.hpp), for open(). Empty where there is no dimension.
  std::span<const std::byte> image() const noexcept { return image_; }

  /// Those the graph was built with, but for `memory`, which is this index's own.
  const hnsw_options& options() const noexcept { return options_; }

  /// All bytes that the index holds, itself included; all but itself are of options().memory. image() counts where the index has it in memory
  /// of its own, and not where it is mapped or yours. What a search has in use meanwhile is left out.
  std::size_t memory_bytes() const {
    return sizeof(*this) + base::held_bytes() + own_.size() + file_.memory_bytes();
  }

 private:
  friend class hnsw_index<T, Metric, Codec, storage::full>;

  packed_index(Metric metric, memory_resource* memory)
      : base(vectors(std::move(metric)), detail::packed_graph(), codes(Codec{}, memory), memory) {
    options_.memory = memory;
  }

  /// Of an image that this library has just made, which is taken.
  packed_index(detail::aligned_bytes image, const Metric& metric, memory_resource* memory)
      : packed_index(metric, memory) {
    own_ = std::move(image);
    const errc code = take({own_.data(), own_.size()}, 0, false);
    ALIDADE_ASSERT(code == errc{});
    static_cast<void>(code);
  }

  static packed_index open_unguarded(std::span<const std::byte> bytes, const open_options& options,
                                     Metric metric, std::error_code& ec) {
    packed_index opened(metric, options.memory);
    opened.take_checked(bytes, options, ec);
    return ec ? packed_index(std::move(metric), options.memory) : std::move(opened);
  }

  static packed_index map_unguarded(const std::string& path, const open_options& options, Metric metric,
                                    std::error_code& ec) {
    packed_index opened(metric, options.memory);
    opened.file_ = mapped_file(path, options.memory, ec);
    if (!ec) opened.take_checked(opened.file_.bytes(), options, ec);
    return ec ? packed_index(std::move(metric), options.memory) : std::move(opened);
  }

  template <class F>
  static packed_index unless_exhausted(const open_options& options, const Metric& metric, std::error_code& ec,
                                       const F& f) {
    return detail::unless_exhausted(ec, packed_index(metric, options.memory), f);
  }

  void take_checked(std::span<const std::byte> image, const open_options& options, std::error_code& ec) {
    constexpr std::size_t small = std::size_t{1} << 20;
    errc code = take(image, options.verify ? std::numeric_limits<std::size_t>::max() : small, true);
    if (code == errc{} && options.verify && !this->vectors_.has_sound_rows()) code = errc::corrupted_data;
    ec = code == errc{} ? std::error_code{} : make_error_code(code);
  }

  /// Checksums of sections up to a length are looked at, and links and keys, or not.
  errc take(std::span<const std::byte> image, std::size_t most_checked, bool is_checked) {
    detail::section_view file;
    detail::index_shape shape{};
    if (const errc code = file.open(image, detail::index_file_kind<T>(), most_checked); code != errc{})
      return code;
    if (const errc code = detail::read_shape<T, Metric>(file, shape, options_, this->defaults_);
        code != errc{})
      return code;
    if (const errc code = this->vectors_.open(file, shape); code != errc{}) return code;
    if (const errc code = this->graph_.open(file, shape); code != errc{}) return code;
    if (const errc code = this->codes_.open(file, shape); code != errc{}) return code;
    this->graph_.set_leads_to_removed(this->vectors_.size() != this->vectors_.slots());
    if (is_checked && !(this->vectors_.has_sound_keys() && this->graph_.is_sound()))
      return errc::corrupted_data;
    image_ = image;
    return errc{};
  }

  hnsw_options options_;
  std::span<const std::byte> image_;
  detail::aligned_bytes own_;  ///< where image_ is, unless it is elsewhere
  mapped_file file_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
