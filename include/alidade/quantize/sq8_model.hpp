#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/distance/byte_reductions.hpp>
#include <alidade/distance/kernels.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/ops/elementwise.hpp>
#include <alidade/quantize/centred_form.hpp>
#include <alidade/quantize/codecs.hpp>
#include <alidade/quantize/component_range.hpp>
#include <alidade/quantize/signed_bytes.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// A query as codes are measured by it.
struct sq8_query {
  const std::int8_t* bytes;  ///< its components, then zeros: as many as products are taken of
  float scale;               ///< of these bytes
};

/// Codes of a signed byte a dimension, then zeros, and in the last eight bytes two floats: estimate = offset + factor * <q, u>.
class sq8_model {
 public:
  using options_type = codecs::sq8;
  using query_type = sq8_query;

  static constexpr std::size_t least_rows = 512;
  static constexpr char name[] = "sq8 ";

  static bool valid(const codecs::sq8& o) noexcept { return valid_quantile(o.quantile) && o.train_rows >= 1; }

  explicit sq8_model(const codecs::sq8& options, memory_resource* memory = nullptr) noexcept
      : options_(options), components_(memory) {}

  std::size_t code_bytes() const noexcept { return padded_row_bytes(dimension() + sizeof(code_tail)); }
  std::size_t dimension() const noexcept { return components_.centre().size(); }
  std::span<const float> centre() const noexcept { return components_.centre(); }
  float range() const noexcept { return components_.range(); }
  const codecs::sq8& options() const noexcept { return options_; }
  std::size_t sample_rows() const noexcept { return options_.train_rows; }

  /// Learns from rows of floats.
  void train(std::span<const float> rows, std::size_t dimension, centred_form form, std::size_t threads) {
    form_ = form;
    components_.learn(rows, dimension, options_.quantile, true, threads);
  }

  /// As bytes: `saved`, then the centre.
  std::size_t saved_bytes() const noexcept { return sizeof(saved) + dimension() * sizeof(float); }
  void save(std::span<std::byte> out) const noexcept {
    const saved head{options_.train_rows, options_.quantile, range(), static_cast<std::uint32_t>(form_)};
    std::memcpy(out.data(), &head, sizeof(head));
    std::memcpy(out.data() + sizeof(head), centre().data(), centre().size_bytes());
  }

  /// The opposite, of bytes that are aligned to floats; false, and nothing is learnt, where that cannot be.
  bool restore(std::span<const std::byte> in, std::size_t dimension, centred_form form) {
    saved head;
    if (in.size() != sizeof(head) + dimension * sizeof(float)) return false;
    std::memcpy(&head, in.data(), sizeof(head));
    if (head.train_rows > std::numeric_limits<std::size_t>::max()) return false;
    const codecs::sq8 options{head.quantile, static_cast<std::size_t>(head.train_rows)};
    const std::span<const float> centre(reinterpret_cast<const float*>(in.data() + sizeof(head)), dimension);
    if (!valid(options) || head.form != static_cast<std::uint32_t>(form) || !is_finite(head.range) ||
        head.range < 0 || !std::all_of(centre.begin(), centre.end(), [](float x) { return is_finite(x); }))
      return false;
    options_ = options;
    form_ = form;
    components_.restore(centre, head.range);
    return true;
  }

  std::size_t row_floats() const noexcept { return dimension(); }
  /// Codes of rows, one behind the other, each of code_bytes() at out(i). `centred` has row_floats() for each.
  template <class Out>
  void encode(std::span<const float> rows, std::span<float> centred, const Out& out) const {
    const std::size_t d = dimension();
    for (std::size_t r = 0; r < rows.size() / d; ++r) {
      const std::span<float> x = centred.subspan(r * d, d);
      ops::multiply_add(-1.0f, centre(), rows.subspan(r * d, d), x);
      encode_centred(x, out(r));
    }
  }

  /// Which share of a code's components is at an end of the range.
  double saturation(const std::uint8_t* code) const noexcept {
    const std::span<const std::int8_t> u(reinterpret_cast<const std::int8_t*>(code), dimension());
    const auto at_ends = std::count_if(u.begin(), u.end(), [](std::int8_t x) { return std::abs(x) >= 127; });
    return static_cast<double>(at_ends) / static_cast<double>(dimension());
  }

  /// Bytes of scratch that a query needs, from a multiple of 64 on.
  std::size_t query_bytes() const noexcept { return bytes_multiplied(); }

  /// The query is left centred.
  sq8_query prepare(std::span<float> query, std::byte* scratch) const noexcept {
    auto* const bytes = reinterpret_cast<std::int8_t*>(scratch);
    ops::multiply_add(-1.0f, centre(), query, query);
    const float step = to_signed_bytes_of(query, most_query_byte(dimension()), bytes);
    std::memset(bytes + dimension(), 0, bytes_multiplied() - dimension());
    return {bytes, step};
  }

  /// Estimates of so many codes: the nearer, the less.
  void estimate(const sq8_query& query, const std::uint8_t* const* codes, std::size_t count,
                float* out) const noexcept {
    const std::int8_t* rows[group];
    std::int32_t products[group];
    const std::size_t tail_at = code_bytes() - sizeof(code_tail);
    for (std::size_t first = 0; first < count; first += group) {
      const std::size_t here = std::min(group, count - first);
      for (std::size_t j = 0; j < here; ++j) rows[j] = reinterpret_cast<const std::int8_t*>(codes[first + j]);
      reduce_many<byte_product<std::int8_t, simd::byte_sums>>(query.bytes, rows, here, bytes_multiplied(),
                                                              products);
      for (std::size_t j = 0; j < here; ++j) {
        code_tail t;
        std::memcpy(&t, codes[first + j] + tail_at, sizeof(t));
        const float product = unfused(query.scale * static_cast<float>(products[j]));
        out[first + j] = nan_to_infinity(unfused(t.factor * product) + t.offset);
      }
    }
  }

  memory_resource* resource() const noexcept { return components_.resource(); }
  std::size_t memory_bytes() const noexcept { return components_.memory_bytes(); }

 private:
  struct saved {
    std::uint64_t train_rows;
    double quantile;
    float range;
    std::uint32_t form;
  };
  static_assert(sizeof(saved) == 24);

  static constexpr std::size_t group = 64;

  /// Whole registers of them; of a code's tail what is among them meets zeros of the query.
  std::size_t bytes_multiplied() const noexcept { return padded_row_bytes(dimension()); }

  void encode_centred(std::span<const float> x, std::uint8_t* code) const noexcept {
    auto* const u = reinterpret_cast<std::int8_t*>(code);
    const float own = largest_magnitude(x), range = components_.range();
    double squares = 0, with_centre = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double v = static_cast<double>(x[i]);
      squares += v * v;
      with_centre += v * static_cast<double>(centre()[i]);
    }
    double product = round_to(x, own, u);
    // Beyond the range what is clamped may lose less than longer steps do.
    if (own > range && range > 0) {
      const double cosine = product / length_of(u);
      const double clamped = round_to(x, range, u);
      if (!(clamped / length_of(u) > cosine)) product = round_to(x, own, u);
    }
    std::memset(code + x.size(), 0, code_bytes() - x.size());
    const code_tail t = tail_of(form_, squares, with_centre, product > 0 ? squares / product : 0);
    std::memcpy(code + code_bytes() - sizeof(t), &t, sizeof(t));
  }

  /// u = round(127 x / range), clamped; returns <u, x>.
  static double round_to(std::span<const float> x, float range, std::int8_t* u) noexcept {
    to_signed_bytes(x, std::max(range / 127, least_step), u);
    double product = 0;
    for (std::size_t i = 0; i < x.size(); ++i) product += u[i] * static_cast<double>(x[i]);
    return product;
  }
  double length_of(const std::int8_t* u) const noexcept {
    std::int64_t squares = 0;
    for (std::size_t i = 0; i < dimension(); ++i) squares += u[i] * u[i];
    return std::sqrt(static_cast<double>(squares));
  }

  codecs::sq8 options_;
  centred_form form_ = centred_form::distance;
  component_range components_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
