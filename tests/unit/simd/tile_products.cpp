#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include <alidade/memory/aligned.hpp>
#include <alidade/simd/ops/tile_products.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

/// A matrix in tiles and the vector, each in an allocation of its own size, so that the address sanitizer sees what is read behind one.
struct tile_operands {
  std::size_t panels, tiles;
  detail::aligned_bytes matrix, x;

  tile_operands(std::size_t panels_, std::size_t tiles_)
      : panels(panels_),
        tiles(tiles_),
        matrix(panels * tiles * simd::tile_bytes),
        x(tiles * simd::tile_columns) {}

  std::size_t rows() const { return panels * simd::tile_rows; }
  std::size_t columns() const { return tiles * simd::tile_columns; }
  void set(std::size_t row, std::size_t column, std::uint8_t value) {
    std::memcpy(matrix.data() + simd::tile_offset(tiles, row, column), &value, 1);
  }
  void set(std::size_t column, std::int8_t value) { std::memcpy(x.data() + column, &value, 1); }

  /// Of random numbers; returns what the products must be.
  std::vector<std::int32_t> fill(test::random& r) {
    std::vector<int> vector(columns());
    for (std::size_t c = 0; c < columns(); ++c) {
      vector[c] = static_cast<int>(r.below(255)) - 127;
      set(c, static_cast<std::int8_t>(vector[c]));
    }
    std::vector<std::int32_t> sums(rows());
    for (std::size_t row = 0; row < rows(); ++row) {
      for (std::size_t c = 0; c < columns(); ++c) {
        const auto value = static_cast<std::uint8_t>(r.below(128));
        set(row, c, value);
        sums[row] += value * vector[c];
      }
    }
    return sums;
  }
  /// All of the matrix one number, and all of the vector another.
  void fill(std::uint8_t of_matrix, std::int8_t of_vector) {
    for (std::size_t row = 0; row < rows(); ++row) {
      for (std::size_t c = 0; c < columns(); ++c) set(row, c, of_matrix);
    }
    for (std::size_t c = 0; c < columns(); ++c) set(c, of_vector);
  }

  std::vector<std::int32_t> products() const {
    std::vector<std::int32_t> out(rows() + 1, 4711);
    simd::tile_products(reinterpret_cast<const std::uint8_t*>(matrix.data()), panels, tiles,
                        reinterpret_cast<const std::int8_t*>(x.data()), out.data());
    CHECK(out.back() == 4711);
    out.pop_back();
    return out;
  }
};

}  // namespace

TEST_CASE("products of tiles are those of the matrix and the vector") {
  test::random r(71);
  for (const std::size_t panels : {1u, 2u, 7u}) {
    for (std::size_t tiles = 1; tiles < 20; ++tiles) {
      CAPTURE(panels);
      CAPTURE(tiles);
      tile_operands operands(panels, tiles);
      const std::vector<std::int32_t> expected = operands.fill(r);
      CHECK(operands.products() == expected);
    }
  }
  tile_operands large(3, 1031);
  const std::vector<std::int32_t> expected = large.fill(r);
  CHECK(large.products() == expected);
}

TEST_CASE("products of tiles of the largest numbers are exact") {
  for (const int x : {127, -127, 1, 0}) {
    // 127 * 127 * 133,142 is just below 2^31.
    for (const std::size_t tiles : {1u, 33'285u}) {
      tile_operands operands(1, tiles);
      operands.fill(127, static_cast<std::int8_t>(x));
      const auto each = static_cast<std::int32_t>(tiles * simd::tile_columns) * 127 * x;
      CHECK(operands.products() == std::vector<std::int32_t>(simd::tile_rows, each));
    }
  }
  // One row and one column at a time, so that none stands in for another.
  for (std::size_t row = 0; row < 2 * simd::tile_rows; ++row) {
    for (std::size_t c = 0; c < 3 * simd::tile_columns; ++c) {
      tile_operands operands(2, 3);
      operands.fill(0, 0);
      operands.set(row, c, std::uint8_t{127});
      operands.set(c, std::int8_t{-127});
      std::vector<std::int32_t> expected(operands.rows(), 0);
      expected[row] = -127 * 127;
      CHECK(operands.products() == expected);
    }
  }
}

TEST_CASE("each element of a matrix has a place in its tiles") {
  std::set<std::size_t> places;
  for (std::size_t row = 0; row < 48; ++row) {
    for (std::size_t c = 0; c < 20; ++c) places.insert(simd::tile_offset(5, row, c));
  }
  CHECK(places.size() == 48 * 20);
  CHECK(*places.rbegin() == 48 * 20 - 1);
  CHECK(simd::tile_offset(5, 0, 3) == 3);
  CHECK(simd::tile_offset(5, 1, 0) == 4);
  CHECK(simd::tile_offset(5, 0, 4) == 64);
  CHECK(simd::tile_offset(5, 16, 0) == 320);
}
