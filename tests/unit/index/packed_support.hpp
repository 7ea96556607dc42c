#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>
#include <alidade/memory/aligned.hpp>

#include "../../support.hpp"

/// What the tests of packed indexes share.
namespace test {

using namespace alidade;

inline constexpr hnsw_options packed_graph_options{.M = 6, .ef_construction = 30};

template <class T>
std::vector<T> packed_values(std::size_t rows, std::size_t columns, std::uint32_t seed) {
  const test::dataset<float> numbers(rows, columns, seed);
  std::vector<T> values;
  for (const float x : numbers.values) {
    if constexpr (std::is_same_v<T, std::int8_t>) {
      values.push_back(static_cast<T>(std::clamp(50.0f * x, -128.0f, 127.0f)));
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
      values.push_back(static_cast<T>(std::clamp(128.0f + 50.0f * x, 0.0f, 255.0f)));
    } else if constexpr (std::is_same_v<T, bits8>) {
      values.push_back(static_cast<T>(static_cast<std::uint8_t>(static_cast<int>(100.0f * x) & 255)));
    } else {
      values.push_back(T(x));
    }
  }
  return values;
}

/// Rows with keys in no order, in an index that has got them in several calls.
template <class T, class Metric, class Codec>
struct packed_source {
  std::size_t columns;
  std::vector<T> values;
  std::vector<std::uint64_t> keys;
  hnsw_index<T, Metric, Codec> index;

  packed_source(std::size_t rows, std::size_t columns_, std::uint32_t seed = 601,
                const hnsw_options& options = packed_graph_options, const Codec& codec = {})
      : columns(columns_),
        values(packed_values<T>(rows, columns_, seed)),
        keys(rows),
        index(columns_, options, {}, codec) {
    for (std::size_t i = 0; i < rows; ++i) keys[i] = (i * 7919 + 5) % 100'003;
    for (std::size_t first = 0; first < rows;) {
      const std::size_t count = std::min(rows - first, rows / 2 + 1);
      index.add(std::span(keys).subspan(first, count), {values.data() + first * columns, count, columns});
      first += count;
    }
  }

  matrix_view<T> view() const { return {values.data(), keys.size(), columns}; }
};

struct packed_growing {
  std::size_t first_width() const { return 12; }
  template <class Progress>
  std::size_t next_width(const Progress& p) const {
    return p.width < 40 ? p.width + 12 : 0;
  }
};

template <class Packed>
detail::aligned_bytes packed_copy(const Packed& packed) {
  detail::aligned_bytes copy(packed.image().size());
  std::memcpy(copy.data(), packed.image().data(), copy.size());
  return copy;
}

inline std::span<const std::byte> packed_span(const detail::aligned_bytes& bytes) {
  return {bytes.data(), bytes.size()};
}

template <class Metric = metrics::l2_squared, class Codec = codecs::none>
using packed_floats = packed_source<float, Metric, Codec>;

}  // namespace test
