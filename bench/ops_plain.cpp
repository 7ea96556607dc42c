#include "ops_operands.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace bench::plain {
namespace {

template <class T>
T sum_of(const T* x, std::size_t n) {
  T sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}

}  // namespace

double sum(const ops_operands& in) { return static_cast<double>(sum_of(in.x, in.n)); }

double sum_wide(const ops_operands& in) { return sum_of(in.wide, in.n); }

double min_max(const ops_operands& in) {
  float low = in.x[0], high = in.x[0];
  for (std::size_t i = 1; i < in.n; ++i) {
    low = in.x[i] < low ? in.x[i] : low;
    high = high < in.x[i] ? in.x[i] : high;
  }
  return static_cast<double>(high - low);
}

double variance(const ops_operands& in) {
  const float mean = sum_of(in.x, in.n) / static_cast<float>(in.n);
  float squares = 0;
  for (std::size_t i = 0; i < in.n; ++i) squares += (in.x[i] - mean) * (in.x[i] - mean);
  return static_cast<double>(squares) / static_cast<double>(in.n);
}

double aggregate_counters(const ops_operands& in) {
  std::int64_t sum = 0;
  std::int32_t low = in.counters[0], high = low;
  for (std::size_t i = 0; i < in.n; ++i) {
    const std::int32_t x = in.counters[i];
    sum += x;
    low = std::min(low, x);
    high = std::max(high, x);
  }
  const double mean = static_cast<double>(sum) / static_cast<double>(in.n);
  double squares = 0;
  for (std::size_t i = 0; i < in.n; ++i) {
    const double difference = static_cast<double>(in.counters[i]) - mean;
    squares += difference * difference;
  }
  return squares + static_cast<double>(high - low);
}

double aggregate_columns(const ops_operands& in) {
  struct column {
    float sum, low, high, squares;
  };
  std::vector<column> columns(in.columns);
  for (std::size_t j = 0; j < in.columns; ++j) columns[j] = {0, in.x[j], in.x[j], 0};
  for (std::size_t i = 0; i < in.n; i += in.columns) {
    for (std::size_t j = 0; j < in.columns; ++j) {
      const float x = in.x[i + j];
      columns[j].sum += x;
      columns[j].low = x < columns[j].low ? x : columns[j].low;
      columns[j].high = columns[j].high < x ? x : columns[j].high;
    }
  }
  const auto rows = static_cast<float>(in.n / in.columns);
  for (std::size_t i = 0; i < in.n; i += in.columns) {
    for (std::size_t j = 0; j < in.columns; ++j) {
      const float difference = in.x[i + j] - columns[j].sum / rows;
      columns[j].squares += difference * difference;
    }
  }
  return static_cast<double>(columns[0].squares + columns[0].high);
}

double is_in_range(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; i += in.columns) {
    for (std::size_t j = 0; j < in.columns; ++j) {
      if (!(in.lower[j] <= in.x[i + j] && in.x[i + j] <= in.upper[j])) return 0;
    }
  }
  return 1;
}

double validate_range(const ops_operands& in) {
  std::size_t elements = 0, rows = 0;
  for (std::size_t row = 0; row < in.n / in.columns; ++row) {
    std::size_t bad = 0;
    for (std::size_t j = 0; j < in.columns; ++j) {
      const float x = in.x[row * in.columns + j];
      bad += static_cast<std::size_t>(!(in.lower[j] <= x && x <= in.upper[j]));
    }
    in.mask[row] = bad != 0;
    rows += static_cast<std::size_t>(bad != 0);
    elements += bad;
  }
  return static_cast<double>(elements + rows);
}

double add(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) in.out[i] = in.x[i] + in.y[i];
  return static_cast<double>(in.out[0]);
}

double multiply_add(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) in.out[i] = 1.5F * in.x[i] + in.y[i];
  return static_cast<double>(in.out[0]);
}

double relu(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) in.out[i] = in.x[i] > 0 ? in.x[i] : 0;
  return static_cast<double>(in.out[0]);
}

double sigmoid(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) in.out[i] = 1 / (1 + std::exp(-in.x[i]));
  return static_cast<double>(in.out[0]);
}

double tanh(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) in.out[i] = std::tanh(in.x[i]);
  return static_cast<double>(in.out[0]);
}

double gelu(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) {
    in.out[i] = 0.5F * in.x[i] * (1 + std::erf(in.x[i] * 0.70710678F));
  }
  return static_cast<double>(in.out[0]);
}

double softmax(const ops_operands& in) {
  const float high = *std::max_element(in.x, in.x + in.n);
  float sum = 0;
  for (std::size_t i = 0; i < in.n; ++i) sum += in.out[i] = std::exp(in.x[i] - high);
  for (std::size_t i = 0; i < in.n; ++i) in.out[i] /= sum;
  return static_cast<double>(in.out[0]);
}

double quantize(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) {
    const float scaled = std::nearbyint(in.x[i] * 30.0F);
    in.bytes[i] = static_cast<std::int8_t>(std::clamp(scaled, -127.0F, 127.0F));
  }
  return in.bytes[0];
}

double dequantize(const ops_operands& in) {
  for (std::size_t i = 0; i < in.n; ++i) in.out[i] = 0.05F * static_cast<float>(in.bytes[i] - 3);
  return static_cast<double>(in.out[0]);
}

double matrix_vector(const ops_operands& in) {
  for (std::size_t row = 0; row < in.n / in.columns; ++row) {
    float sum = 0;
    for (std::size_t j = 0; j < in.columns; ++j) sum += in.x[row * in.columns + j] * in.y[j];
    in.out[row] = sum;
  }
  return static_cast<double>(in.out[0]);
}

void matrix_multiply(const float* a, const float* b, float* c, std::size_t size) {
  std::fill(c, c + size * size, 0.0F);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k < size; ++k) {
      for (std::size_t j = 0; j < size; ++j) c[i * size + j] += a[i * size + k] * b[k * size + j];
    }
  }
}

}  // namespace bench::plain
