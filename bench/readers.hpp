// Vector and truth files.
//
//   .fvecs .bvecs .ivecs   per row: i32 d, then d values (f32, u8, i32)
//   .fbin .u8bin           u32 n, u32 d, then n*d values (f32, u8)
//   .npy                   NumPy array of f4, f8 (narrowed to f32) or u1, two-dimensional, C order
//   truth: .ivecs          per query: i32 k, then k row numbers, nearest first
//   truth: anything else   u32 nq, u32 k, then nq*k u32 row numbers, then nq*k f32 distances
//
// Everything is little-endian. Sizes are checked against the length of the file before anything is allocated; what is
// wrong with a file is thrown as an input_error that names the file.
#pragma once

#include "matrix.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

namespace bench {

using vectors = std::variant<matrix<float>, matrix<std::uint8_t>>;

/// Reads the first `limit` rows of a vector file, or all of them when `limit` is 0. The format follows the extension.
[[nodiscard]] vectors read_vectors(const std::string& path, std::size_t limit = 0);

/// Row numbers of the nearest neighbours of each query, nearest first. `distances` is empty when the file has none.
struct truth_table {
  matrix<std::uint32_t> ids;
  matrix<float> distances;
};

[[nodiscard]] truth_table read_truth(const std::string& path);

/// Writes the second truth format above.
void write_truth(const std::string& path, const truth_table& truth);

}  // namespace bench
