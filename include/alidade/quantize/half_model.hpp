#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/half.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/quantize/centred_form.hpp>
#include <alidade/quantize/codecs.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

template <class Half>
inline constexpr char half_name[5] = "bf16";
template <>
inline constexpr char half_name<f16>[5] = "f16 ";

/// Rows as half floats, to which nothing has to be learnt.
template <class Half, class Options>
class half_model {
 public:
  using options_type = Options;
  using query_type = const Half*;

  static constexpr std::size_t least_rows = 1;
  static constexpr const char (&name)[5] = half_name<Half>;

  static bool valid(const Options&) noexcept { return true; }

  explicit half_model(const Options& options, memory_resource* memory = nullptr) noexcept
      : options_(options), memory_(memory) {}

  std::size_t code_bytes() const noexcept { return padded_row_bytes(dimension_ * sizeof(Half)); }
  std::size_t dimension() const noexcept { return dimension_; }
  const Options& options() const noexcept { return options_; }
  std::size_t sample_rows() const noexcept { return 0; }

  void train(std::span<const float>, std::size_t dimension, centred_form form, std::size_t) noexcept {
    dimension_ = dimension;
    form_ = form;
  }

  /// There is nothing to save.
  std::size_t saved_bytes() const noexcept { return 0; }
  void save(std::span<std::byte>) const noexcept {}
  bool restore(std::span<const std::byte> in, std::size_t dimension, centred_form form) noexcept {
    train({}, dimension, form, 1);
    return in.empty();
  }

  std::size_t row_floats() const noexcept { return 0; }
  /// Codes of rows, one behind the other, each of code_bytes() at out(i).
  template <class Out>
  void encode(std::span<const float> rows, std::span<float>, const Out& out) const {
    for (std::size_t r = 0; r < rows.size() / dimension_; ++r)
      narrow(rows.subspan(r * dimension_, dimension_), out(r));
  }

  /// Which share of a code's components is as far out as codes reach.
  double saturation(const std::uint8_t* code) const noexcept {
    const std::span<const Half> x(reinterpret_cast<const Half*>(code), dimension_);
    const auto clamped =
        std::count_if(x.begin(), x.end(), [](Half h) { return std::abs(static_cast<float>(h)) >= largest; });
    return static_cast<double>(clamped) / static_cast<double>(dimension_);
  }

  std::size_t query_bytes() const noexcept { return code_bytes(); }
  query_type prepare(std::span<const float> query, std::byte* scratch) const noexcept {
    narrow(query, scratch);
    return reinterpret_cast<const Half*>(scratch);
  }

  /// Estimates of so many codes: the nearer, the less.
  void estimate(query_type query, const std::uint8_t* const* codes, std::size_t count,
                float* out) const noexcept {
    const Half* rows[group];
    const std::size_t n = code_bytes() / sizeof(Half);
    for (std::size_t first = 0; first < count; first += group) {
      const std::size_t here = std::min(group, count - first);
      for (std::size_t j = 0; j < here; ++j) rows[j] = reinterpret_cast<const Half*>(codes[first + j]);
      if (form_ == centred_form::distance) {
        metrics::l2_squared{}.many(query, rows, here, n, out + first);
        // NaN is in no codes but those of a damaged file.
        for (std::size_t j = 0; j < here; ++j) out[first + j] = nan_to_infinity(out[first + j]);
      } else {
        metrics::inner_product{}.many(query, rows, here, n, out + first);
      }
    }
  }

  memory_resource* resource() const noexcept { return memory_; }
  std::size_t memory_bytes() const noexcept { return 0; }

 private:
  static constexpr std::size_t group = 64;
  static constexpr float largest = std::is_same_v<Half, f16> ? 65504.0f : 0x1.fep+127f;

  /// Numbers that have no half float count as the largest that has one: of finite ones differences of two are no NaN.
  template <class Byte>
  void narrow(std::span<const float> x, Byte* out) const noexcept {
    auto* const halves = reinterpret_cast<Half*>(out);
    for (std::size_t i = 0; i < x.size(); ++i) halves[i] = Half(std::max(-largest, std::min(largest, x[i])));
    std::memset(out + x.size() * sizeof(Half), 0, code_bytes() - x.size() * sizeof(Half));
  }

  [[no_unique_address]] Options options_;
  memory_resource* memory_;
  std::size_t dimension_ = 0;
  centred_form form_ = centred_form::distance;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
