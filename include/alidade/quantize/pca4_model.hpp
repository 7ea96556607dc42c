#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/core/parallel.hpp>
#include <alidade/core/portable_math.hpp>
#include <alidade/distance/many.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/ops/elementwise.hpp>
#include <alidade/quantize/centred_form.hpp>
#include <alidade/quantize/codecs.hpp>
#include <alidade/quantize/neighbor_places.hpp>
#include <alidade/quantize/projection.hpp>
#include <alidade/quantize/signed_bytes.hpp>
#include <alidade/simd/ops/float_bytes.hpp>
#include <alidade/simd/ops/nibble_products.hpp>
#include <alidade/simd/ops/tile_products.hpp>
#include <alidade/simd/vec.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

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
    return (o.code_bytes == 0 || is_width(o.code_bytes)) && o.train_rows >= 1;
  }

  explicit pca4_model(const codecs::pca4& options, memory_resource* memory = nullptr) noexcept
      : options_(options),
        code_bytes_(options.code_bytes),
        projection_(memory),
        tiles_(memory),
        scales_(memory) {}

  /// 0 until it is chosen.
  std::size_t code_bytes() const noexcept { return code_bytes_; }
  std::size_t dimension() const noexcept { return projection_.dimension(); }
  std::size_t components() const noexcept { return projection_.components(); }
  const codecs::pca4& options() const noexcept { return options_; }
  std::size_t sample_rows() const noexcept { return options_.train_rows; }

  /// Learns from rows of floats, at least one, which are left centred and in another order.
  void train(std::span<float> rows, std::size_t dimension, centred_form form, std::size_t threads) {
    form_ = form;
    const std::size_t count = projection_.learn_mean(rows, dimension);
    rows = rows.first(count * dimension);
    if (options_.code_bytes != 0) return learn(rows, options_.code_bytes, threads);
    const std::size_t queries = std::min(most_queries, count / 8);
    set_aside(rows, queries);
    for (const std::size_t width : widths) {
      learn(rows.first((count - queries) * dimension), width, threads);
      // Where nothing but the rounding is lost wider codes do not help.
      if (components() == dimension || width == std::end(widths)[-1] || queries == 0) break;
      if (place_of_neighbors(rows, queries, threads) <= latest_place) break;
    }
  }

  static constexpr char name[5] = "pca4";

  /// What was learnt, as bytes: `saved`, then the mean, then P, row-major, as floats.
  std::size_t saved_bytes() const noexcept {
    return sizeof(saved) + (dimension() + components() * dimension()) * sizeof(float);
  }
  void save(std::span<std::byte> out) const noexcept {
    const saved head{options_.train_rows,
                     options_.seed,
                     static_cast<std::uint32_t>(options_.code_bytes),
                     static_cast<std::uint32_t>(code_bytes_),
                     static_cast<std::uint32_t>(form_),
                     static_cast<std::uint32_t>(components())};
    std::byte* to = out.data();
    const auto append = [&](const void* from, std::size_t bytes) {
      std::memcpy(to, from, bytes);
      to += bytes;
    };
    append(&head, sizeof(head));
    append(projection_.mean().data(), projection_.mean().size_bytes());
    append(projection_.matrix().data(), projection_.matrix().size_bytes());
  }

  /// The opposite, of bytes that are aligned to floats; false, and nothing is learnt, where that cannot be.
  bool restore(std::span<const std::byte> in, std::size_t dimension, centred_form form) {
    saved head;
    if (in.size() < sizeof(head)) return false;
    std::memcpy(&head, in.data(), sizeof(head));
    if (head.train_rows > std::numeric_limits<std::size_t>::max()) return false;
    const codecs::pca4 options{head.asked_bytes, static_cast<std::size_t>(head.train_rows), head.seed};
    if (!valid(options) || !is_width(head.code_bytes) || head.form != static_cast<std::uint32_t>(form) ||
        (options.code_bytes != 0 && options.code_bytes != head.code_bytes))
      return false;
    const std::size_t rows = std::min(2 * half_of(head.code_bytes), dimension);
    const std::span<const float> numbers(reinterpret_cast<const float*>(in.data() + sizeof(head)),
                                         (in.size() - sizeof(head)) / sizeof(float));
    if (head.components != rows || in.size() % sizeof(float) != 0 || numbers.size() != (rows + 1) * dimension)
      return false;
    const std::span<const float> mean = numbers.first(dimension), matrix = numbers.subspan(dimension);
    // Rows of P are unit vectors.
    if (!std::all_of(mean.begin(), mean.end(), [](float x) { return is_finite(x); }) ||
        !std::all_of(matrix.begin(), matrix.end(), [](float x) { return std::abs(x) <= 2.0f; }))
      return false;
    options_ = options;
    code_bytes_ = head.code_bytes;
    form_ = form;
    projection_.restore(mean, matrix);
    derive();
    return true;
  }

  /// Floats of scratch that encode() needs for each row.
  std::size_t row_floats() const noexcept { return components(); }
  /// Codes of rows, one behind the other, which are left centred, each of code_bytes() at out(i).
  template <class Out>
  void encode(std::span<float> rows, std::span<float> scratch, const Out& out) const {
    const std::size_t d = dimension();
    for (std::size_t i = 0; i < rows.size(); i += d) projection_.centre(rows.subspan(i, d));
    encode_centred(rows, scratch, out);
  }

  /// Which share of a code's components is at an end of the range.
  double saturation(const std::uint8_t* code) const noexcept {
    std::size_t at_ends = 0;
    for (std::size_t i = 0; i < components(); ++i) {
      const unsigned nibble = i < half() ? code[i] & 15u : static_cast<unsigned>(code[i - half()]) >> 4;
      at_ends += static_cast<std::size_t>(nibble == 0 || nibble == 15);
    }
    return static_cast<double>(at_ends) / static_cast<double>(components());
  }

  /// Bytes of scratch that a query needs, from a multiple of 64 on.
  std::size_t query_bytes() const noexcept {
    return 2 * code_bytes() + round_up(dimension(), cache_line) +
           panels() * simd::tile_rows * (sizeof(float) + sizeof(std::int32_t));
  }

  /// Projects the query, which is left centred.
  pca4_query prepare(std::span<float> query, std::byte* scratch) const noexcept {
    auto* const low = reinterpret_cast<std::int8_t*>(scratch);
    auto* const high = low + code_bytes();
    const std::span<float> y(reinterpret_cast<float*>(high + code_bytes()), components());
    projection_.centre(query);
    if (!is_projected_by_bytes() ||
        !project_by_bytes(query, y, scratch + 2 * code_bytes() + panels() * simd::tile_rows * sizeof(float)))
      projection_.apply(query, y);
    std::memset(scratch, 0, 2 * code_bytes());
    const std::size_t first = std::min(half(), y.size());
    const float scale = step_of(y, 127);
    to_signed_bytes(y.first(first), scale, low);
    to_signed_bytes(y.subspan(first), scale, high);
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
    return projection_.memory_bytes() + tiles_.memory_bytes() + scales_.capacity() * sizeof(float);
  }

 private:
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

  static constexpr std::size_t most_queries = 64;
  /// A width is wide enough where neighbours of rows that nothing was learnt from come no later than here (neighbor_places.hpp).
  static constexpr std::size_t latest_place = 32;

  static constexpr bool is_width(std::size_t bytes) noexcept {
    return std::find(std::begin(widths), std::end(widths), bytes) != std::end(widths);
  }

  void learn(std::span<const float> centred, std::size_t code_bytes, std::size_t threads) {
    code_bytes_ = code_bytes;
    projection_.learn_subspace(centred, 2 * half(), options_.seed, threads);
    derive();
  }

  /// Moves so many rows, spread over all, to the end.
  void set_aside(std::span<float> rows, std::size_t some) const noexcept {
    const std::size_t d = dimension(), count = rows.size() / d;
    for (std::size_t i = 0; i < some; ++i) {
      const auto from = rows.subspan((i * (count - some) / some) * d, d),
                 to = rows.subspan((count - 1 - i) * d, d);
      std::swap_ranges(from.begin(), from.end(), to.begin());
    }
  }

  /// Where by estimates the neighbours of the last rows come, `queries` of them, among all, which are centred.
  std::size_t place_of_neighbors(std::span<float> rows, std::size_t queries, std::size_t threads) const {
    const std::size_t d = dimension(), count = rows.size() / d, n = components();
    threads = resolve_threads(threads);
    buffer<std::uint8_t> codes(resource());
    codes.grow(count * code_bytes());
    constexpr std::size_t block = 64;
    resource_vector<float> projected(threads * block * n, 0, resource());
    parallel_for(count, block, threads, [&](std::size_t begin, std::size_t end, std::size_t worker) {
      encode_centred(rows.subspan(begin * d, (end - begin) * d),
                     std::span(projected).subspan(worker * block * n, (end - begin) * n),
                     [&](std::size_t i) { return codes.data() + (begin + i) * code_bytes(); });
    });
    resource_vector<const std::uint8_t*> addresses(count, nullptr, resource());
    for (std::size_t i = 0; i < count; ++i) addresses[i] = codes.data() + i * code_bytes();
    neighbor_places places(queries, count, resource());
    parallel_for(queries, 1, threads, [&](std::size_t begin, std::size_t, std::size_t) {
      const std::size_t self = count - 1 - begin;
      const std::span<const float> row = std::span<const float>(rows).subspan(self * d, d);
      resource_vector<float> query(row.begin(), row.end(), resource());
      ops::add(query, projection_.mean(), query);
      resource_vector<float> exact(count, 0, resource()), estimates(count, 0, resource());
      if (form_ == centred_form::distance) {
        one_to_many(alidade::l2_squared, row, matrix_view<float>(rows.data(), count, d), std::span(exact));
      } else {
        one_to_many(alidade::inner_product, std::span<const float>(query),
                    matrix_view<float>(rows.data(), count, d), std::span(exact));
        for (float& x : exact) x = nan_to_infinity(-x);
      }
      buffer<std::byte> scratch(resource());
      scratch.grow(query_bytes());
      estimate(prepare(query, scratch.data()), addresses.data(), count, estimates.data());
      places.measure(begin, self, exact, estimates);
    });
    return places.late();
  }

  struct saved {
    std::uint64_t train_rows, seed;
    std::uint32_t asked_bytes, code_bytes, form, components;
  };
  static_assert(sizeof(saved) == 32);

  /// A small matrix takes as long in floats, and is exact.
  bool is_projected_by_bytes() const noexcept { return components() * dimension() > 4096; }

  /// y = P x in bytes, where what is lost is less than what codes lose; false where it is not, as of a query that is far off in a
  /// direction in which no vector differs.
  bool project_by_bytes(std::span<const float> x, std::span<float> y, std::byte* scratch) const noexcept {
    auto* const products = reinterpret_cast<std::int32_t*>(scratch);
    auto* const bytes = reinterpret_cast<std::int8_t*>(products + panels() * simd::tile_rows);
    const std::size_t padded = round_up(dimension(), cache_line);
    const float step = to_signed_bytes_of(x, most_query_byte(dimension()), bytes);
    std::memset(bytes + dimension(), 0, padded - dimension());
    simd::tile_products(tiles_.data(), panels(), tiles(), bytes, products);
    const std::int32_t offset = middle_of_matrix * sum_of(bytes, padded);
    for (std::size_t i = 0; i < y.size(); ++i)
      y[i] = step * scales_[i] * static_cast<float>(products[i] - offset);
    const double rounding = static_cast<double>(step) * static_cast<double>(step) +
                            mean_square_of_scales_ * static_cast<double>(alidade::inner_product(x, x));
    return rounding < 0.01 * mean_square(y);
  }

  /// What a query is projected by, from the projection.
  void derive() {
    if (!is_projected_by_bytes()) return;
    const std::size_t bytes = panels() * tiles() * simd::tile_bytes;
    tiles_.grow(bytes);
    std::memset(tiles_.data(), 0, bytes);
    resource_vector<std::int8_t> row(dimension(), 0, resource());
    scales_.assign(components(), 0);
    for (std::size_t i = 0; i < components(); ++i) {
      scales_[i] = to_signed_bytes_of(projection_.matrix().subspan(i * dimension(), dimension()),
                                      middle_of_matrix - 1, row.data());
      for (std::size_t j = 0; j < dimension(); ++j)
        tiles_.data()[simd::tile_offset(tiles(), i, j)] =
            static_cast<std::uint8_t>(middle_of_matrix + row[j]);
    }
    mean_square_of_scales_ = mean_square(scales_);
  }

  /// In the tiles zero is this.
  static constexpr std::int32_t middle_of_matrix = 64;

  /// Of so many bytes, a multiple of 64.
  static std::int32_t sum_of(const std::int8_t* bytes, std::size_t count) noexcept {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < count; i += 64) {
      for (std::size_t j = 0; j < 64; ++j) sum += bytes[i + j];
    }
    return sum;
  }

  /// Of the projection's matrix, one below the other and side by side.
  std::size_t panels() const noexcept { return round_up(components(), simd::tile_rows) / simd::tile_rows; }
  std::size_t tiles() const noexcept {
    return round_up(dimension(), simd::tile_columns) / simd::tile_columns;
  }

  static double mean_square(std::span<const float> x) noexcept {
    return static_cast<double>(alidade::inner_product(x, x)) / static_cast<double>(x.size());
  }

  /// How many components are in the lower halves of a code's bytes, and in the upper ones.
  std::size_t half() const noexcept { return half_of(code_bytes_); }
  static constexpr std::size_t half_of(std::size_t code_bytes) noexcept {
    return code_bytes - sizeof(code_tail);
  }

  template <class Out>
  void encode_centred(std::span<const float> rows, std::span<float> projected, const Out& out) const {
    const std::size_t d = dimension(), n = components();
    projection_.apply_to_rows(rows, projected);
    for (std::size_t r = 0; r < rows.size() / d; ++r)
      encode_projected(rows.subspan(r * d, d), projected.subspan(r * n, n), out(r));
  }

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
      const double v = static_cast<double>(x[i]);
      norm += v * v;
      with_mean += v * static_cast<double>(mean[i]);
    }
    const code_tail t = tail_of(form_, norm, with_mean, best_product > 0 ? squares / best_product : 0);
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

  static constexpr std::size_t widths[] = {64, 128, 192};
  static constexpr std::size_t max_components = 2 * (192 - sizeof(code_tail));
  static constexpr int scales = 16;

  codecs::pca4 options_;
  std::size_t code_bytes_;
  centred_form form_ = centred_form::distance;
  projection projection_;
  buffer<std::uint8_t> tiles_;  ///< of the projection's matrix, simd/ops/tile_products.hpp
  double mean_square_of_scales_ = 0;
  resource_vector<float> scales_;  ///< what these are to be multiplied with
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
