#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/distance/many.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/ops/detail/aggregation.hpp>
#include <alidade/ops/detail/int8_kernels.hpp>
#include <alidade/ops/elementwise.hpp>
#include <alidade/quantize/codecs.hpp>
#include <alidade/quantize/projection.hpp>
#include <alidade/simd/ops/float_bytes.hpp>
#include <alidade/simd/ops/nibble_products.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What a distance is in terms of centred vectors, x = mean + x', and a query q = mean + q', less what is the same for all x.
enum class centred_form {
  distance,  ///< |q - x|^2:  |x'|^2 - 2 <q', x'>
  product    ///< -<q, x>:  -<mean, x'> - <q', x'>
};

/// A query as codes are measured by it.
struct pca4_query {
  const std::int8_t* low;   ///< the first half of its components, then zeros: as many bytes as a code has
  const std::int8_t* high;  ///< the second half
  float scale;              ///< of these bytes
  float constant;           ///< -7.5 times their sum, times the scale
};

/// Codes of `bytes` bytes: the first half of the components in the lower halves of the bytes, the second in the upper ones, but for the last
/// eight bytes, which are two floats: estimate = offset + factor * <q, u>.
class pca4_model {
 public:
  using options_type = codecs::pca4;
  using query_type = pca4_query;

  static constexpr std::size_t least_rows = 512;

  static bool valid(const codecs::pca4& o) noexcept {
    return (o.code_bytes == 64 || o.code_bytes == 128 || o.code_bytes == 192) && o.train_rows >= 1;
  }

  explicit pca4_model(const codecs::pca4& options, memory_resource* memory = nullptr) noexcept
      : options_(options), projection_(memory), bytes_(memory), scales_(memory) {}

  std::size_t code_bytes() const noexcept { return options_.code_bytes; }
  bool is_trained() const noexcept { return projection_.dimension() != 0; }
  std::size_t dimension() const noexcept { return projection_.dimension(); }
  std::size_t components() const noexcept { return projection_.components(); }
  const codecs::pca4& options() const noexcept { return options_; }
  std::size_t sample_rows() const noexcept { return options_.train_rows; }

  /// Learns from rows of floats, which are left centred.
  void train(std::span<float> rows, std::size_t dimension, centred_form form, std::size_t threads) {
    form_ = form;
    projection_.train(rows, dimension, 2 * half(), options_.seed, threads);
    const std::size_t stride = byte_stride();
    bytes_.grow(components() * stride);
    scales_.assign(components(), 0);
    for (std::size_t i = 0; i < components(); ++i)
      scales_[i] =
          to_bytes(projection_.matrix().subspan(i * dimension, dimension), 127, bytes_.data() + i * stride);
    mean_square_of_scales_ = mean_square(scales_);
  }

  std::size_t row_floats() const noexcept { return components(); }
  /// Codes of rows, one behind the other, each of code_bytes() at out(i). `projected` has row_floats() for each.
  template <class Out>
  void encode(std::span<const float> rows, std::span<float> projected, const Out& out) const {
    const std::size_t d = dimension(), n = components();
    projection_.apply_to_rows(rows, projected);
    for (std::size_t r = 0; r < rows.size() / d; ++r)
      encode_projected(rows.subspan(r * d, d), projected.subspan(r * n, n), out(r));
  }

  /// Bytes of scratch that a query needs, from a multiple of 64 on.
  std::size_t query_bytes() const noexcept {
    return 2 * code_bytes() + byte_stride() + components() * (sizeof(float) + sizeof(std::int32_t));
  }

  /// Projects the query, which is left centred, in bytes where what is lost is less than what codes lose.
  pca4_query prepare(std::span<float> query, std::byte* scratch) const noexcept {
    auto* const low = reinterpret_cast<std::int8_t*>(scratch);
    auto* const high = low + code_bytes();
    auto* const centred = high + code_bytes();
    auto* const products = reinterpret_cast<std::int32_t*>(centred + byte_stride());
    const std::span<float> y(reinterpret_cast<float*>(products + components()), components());
    ops::multiply_add(-1.0f, projection_.mean(), query, query);
    // No sum of products of 127 and the most exceeds 31 bits; up to 133,143 dimensions the most is 127, at 1,048,576 it is 16.
    const std::size_t most = std::min<std::size_t>(127, ((std::size_t{1} << 31) - 1) / (127 * dimension()));
    const float step = to_bytes(query, static_cast<float>(most), centred);
    const matrix_view<std::int8_t> rows(bytes_.data(), components(), dimension(), byte_stride());
    one_to_many(alidade::inner_product, std::span<const std::int8_t>(centred, dimension()), rows,
                std::span(products, components()));
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = step * scales_[i] * static_cast<float>(products[i]);
    // Where it is, as of a query that is far off in a direction in which no vector differs, the same in floats.
    const double rounding =
        static_cast<double>(step) * static_cast<double>(step) +
        mean_square_of_scales_ * static_cast<double>(alidade::inner_product(query, query));
    if (!(rounding < 0.01 * mean_square(y))) projection_.apply_to_centred(query, y);
    std::memset(scratch, 0, 2 * code_bytes());
    const std::size_t first = std::min(half(), y.size());
    const float scale = to_bytes(y, 127, low, first, high);
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < half(); ++i) sum += low[i] + high[i];
    return {low, high, scale, -7.5f * scale * static_cast<float>(sum)};
  }

  /// Estimates of so many codes: the nearer, the less.
  void estimate(const pca4_query& query, const std::uint8_t* const* codes, std::size_t count,
                float* out) const noexcept {
    std::size_t i = 0;
    for (; i + group <= count; i += group) estimate_group(query, codes + i, out + i);
    if (i == count) return;
    const std::uint8_t* last[group];
    float estimates[group];
    for (std::size_t j = 0; j < group; ++j) last[j] = codes[std::min(i + j, count - 1)];
    estimate_group(query, last, estimates);
    std::copy(estimates, estimates + (count - i), out + i);
  }

  memory_resource* resource() const noexcept { return projection_.resource(); }
  std::size_t memory_bytes() const noexcept {
    return projection_.memory_bytes() + bytes_.memory_bytes() + scales_.capacity() * sizeof(float);
  }

 private:
  struct tail {
    float offset, factor;
  };
  static_assert(sizeof(tail) == 8);

  static constexpr std::size_t group = simd::nibble_group;

  void estimate_group(const pca4_query& query, const std::uint8_t* const* codes, float* out) const noexcept {
    using V = simd::f32;
    static_assert(group % V::lanes == 0);
    std::int32_t products[group];
    float offsets[group], factors[group];
    simd::nibble_products(query.low, query.high, code_bytes(), codes, products);
    simd::load_pairs(codes, half(), offsets, factors);
    const V scale = V::broadcast(query.scale), constant = V::broadcast(query.constant);
    for (std::size_t j = 0; j < group; j += V::lanes) {
      const V product = rounded(scale * simd::load_integers<V>(products + j)) + constant;
      const V estimate = rounded(V::load(factors + j) * product) + V::load(offsets + j);
      store(out + j,
            select(estimate == estimate, estimate, V::broadcast(std::numeric_limits<float>::infinity())));
    }
  }

  std::size_t byte_stride() const noexcept { return round_up(dimension(), cache_line); }

  static double mean_square(std::span<const float> x) noexcept {
    return static_cast<double>(alidade::inner_product(x, x)) / static_cast<double>(x.size());
  }

  /// Rounds x to `most` steps on either side of zero, and returns the step.
  static float to_bytes(std::span<const float> x, float most, std::int8_t* out) noexcept {
    return to_bytes(x, most, out, x.size(), out);
  }
  /// The first ones to `out`, the others to `rest`.
  static float to_bytes(std::span<const float> x, float most, std::int8_t* out, std::size_t first,
                        std::int8_t* rest) noexcept {
    const auto extremes = ops::detail::extremes_of(x.data(), x.size());
    const float largest = std::max(std::abs(extremes.low), std::abs(extremes.high));
    const float step = std::max(largest / most, 1e-30f);
    const ops::detail::to_int8<simd::f32> convert(1 / step, 0, -127);
    ops::detail::quantize(convert, x.data(), first, out);
    ops::detail::quantize(convert, x.data() + first, x.size() - first, rest);
    return step;
  }

  /// How many components are in the lower halves of a code's bytes, and in the upper ones.
  std::size_t half() const noexcept { return options_.code_bytes - sizeof(tail); }

  void encode_projected(std::span<const float> x, std::span<const float> y,
                        std::uint8_t* code) const noexcept {
    double squares = 0;
    for (const float v : y) squares += static_cast<double>(v) * static_cast<double>(v);
    std::int8_t best[max_components], tried[max_components];
    double best_cosine = -1, best_product = 0;
    const double deviation = std::sqrt(squares / static_cast<double>(y.size()));
    std::memset(best, 7, sizeof(best));
    for (int step = 0; deviation > 0 && step < scales; ++step) {
      // From where the ends of the range are 2.1 deviations, to where they are 4.
      const double reach = (2.1 + 1.9 * step / (scales - 1)) * deviation;
      const auto [product, norm] = round_to_nibbles(y, static_cast<float>(8 / reach), tried);
      const double cosine = product / std::sqrt(norm);
      if (cosine <= best_cosine) continue;
      best_cosine = cosine;
      best_product = product;
      std::memcpy(best, tried, y.size());
    }
    std::memset(code, 0, half());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const unsigned nibble = static_cast<unsigned>(best[i]) & 15;  // of numbers that are finite it is one
      code[i % half()] = static_cast<std::uint8_t>(code[i % half()] | nibble << (i < half() ? 0 : 4));
    }
    double norm = 0, with_mean = 0;
    const std::span<const float> mean = projection_.mean();
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double centred = static_cast<double>(x[i]) - static_cast<double>(mean[i]);
      norm += centred * centred;
      with_mean += centred * static_cast<double>(mean[i]);
    }
    const double factor = best_product > 0 ? -squares / best_product : 0;
    const tail t = form_ == centred_form::distance
                       ? tail{static_cast<float>(norm), static_cast<float>(2 * factor)}
                       : tail{static_cast<float>(-with_mean), static_cast<float>(factor)};
    std::memcpy(code + half(), &t, sizeof(t));
  }

  struct product_and_norm {
    double product, norm;
  };

  /// n = round(y * scale + 7.5) within 0..15; of u = n - 7.5 the products with y and with itself.
  static product_and_norm round_to_nibbles(std::span<const float> y, float scale, std::int8_t* out) noexcept {
    using V = simd::f32;
    const V least = V::zero(), most = V::broadcast(15), middle = V::broadcast(7.5f), by = V::broadcast(scale),
            magic = V::broadcast(12582912.0f);
    V products = V::zero(), squares = V::zero();
    std::size_t i = 0;
    for (; i + V::lanes <= y.size(); i += V::lanes) {
      const V v = V::load(y.data() + i);
      simd::store_low_bytes(out + i, min(most, max(least, rounded(v * by) + middle)) + magic);
      const V u = simd::load_bytes<V>(out + i) - middle;
      products = multiply_add(u, v, products);
      squares = multiply_add(u, u, squares);
    }
    product_and_norm sums{static_cast<double>(reduce_add(products)),
                          static_cast<double>(reduce_add(squares))};
    if (i < y.size()) {
      const V v = V::load_partial(y.data() + i, y.size() - i);
      std::int8_t last[V::lanes];
      simd::store_low_bytes(last, min(most, max(least, rounded(v * by) + middle)) + magic);
      for (std::size_t j = 0; i + j < y.size(); ++j) {
        out[i + j] = last[j];
        const double u = last[j] - 7.5;
        sums.product += u * static_cast<double>(y[i + j]);
        sums.norm += u * u;
      }
    }
    return sums;
  }

  static constexpr std::size_t max_components = 368;
  static constexpr int scales = 16;

  codecs::pca4 options_;
  centred_form form_ = centred_form::distance;
  projection projection_;
  buffer<std::int8_t> bytes_;  ///< rows of the projection's matrix, byte_stride() apart
  double mean_square_of_scales_ = 0;
  resource_vector<float> scales_;  ///< what these are to be multiplied with
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
