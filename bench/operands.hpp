// What kernels are measured on: vectors of every element type, made up.
#pragma once

#include "kinds.hpp"

#include <cstddef>

namespace bench {

[[nodiscard]] std::size_t element_bytes(element);

/// Elements of a vector: its dimension, or of bits the bytes that hold so many.
[[nodiscard]] std::size_t columns_of(element, std::size_t dimension);

/// Fills memory with ordinary numbers: nothing that a processor is slow with, and inner products clear of zero.
void fill(element, void* memory, std::size_t bytes);

}  // namespace bench
