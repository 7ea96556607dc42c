// The operands of data operations, and the loops that one would write without a library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

/// n numbers of each kind; as a matrix they have `columns` columns, of which n is a multiple.
struct ops_operands {
  std::size_t n;
  std::size_t columns;
  const float* x;
  const float* y;
  const double* wide;
  const std::int32_t* counters;
  const float* lower;  ///< bounds of the columns, which all numbers keep
  const float* upper;
  float* out;
  std::int8_t* bytes;
  std::uint8_t* mask;  ///< of rows
};

/// Does an operation once, and returns a number that depends on what it has computed.
using data_operation = double (*)(const ops_operands&);

/// Left to the compiler: -O3 and the flags of this build, no fast-math.
namespace plain {

double sum(const ops_operands&);
double sum_wide(const ops_operands&);
double min_max(const ops_operands&);
double variance(const ops_operands&);
double aggregate_counters(const ops_operands&);
double aggregate_columns(const ops_operands&);
double is_in_range(const ops_operands&);
double validate_range(const ops_operands&);
double add(const ops_operands&);
double multiply_add(const ops_operands&);
double relu(const ops_operands&);
double sigmoid(const ops_operands&);
double tanh(const ops_operands&);
double gelu(const ops_operands&);
double softmax(const ops_operands&);
double quantize(const ops_operands&);
double dequantize(const ops_operands&);
double matrix_vector(const ops_operands&);

/// C = A B of size x size.
void matrix_multiply(const float* a, const float* b, float* c, std::size_t size);

}  // namespace plain
}  // namespace bench
