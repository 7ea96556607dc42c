// The loop around a distance kernel, the same for ours and for every peer. A sweep is a plain function, and this header
// instantiates nothing of the standard library: files with compiler flags of their own include it.
#pragma once

#include "kinds.hpp"

#include <cstddef>

namespace bench {

/// One query against rows that lie one behind the other. `columns` counts elements; of bits, bytes.
struct sweep_input {
  const void* query;
  const void* rows;
  void* results;  ///< room for `count` numbers of eight bytes
  std::size_t count;
  std::size_t columns;
  std::size_t passes;  ///< how often to go over all rows
};

/// Returns the sum of the distances of one pass, for a comparison of results.
using kernel_sweep = double (*)(const sweep_input&);

/// pair: one call for each row, as a graph search makes them. many: one call for all rows.
enum class form { pair, many };

namespace {

/// Makes the compiler forget what it knows about the memory behind a pointer, so that no work is shared between calls.
inline void forget(const void* pointer) {
#if defined(__GNUC__)
  asm volatile("" : : "r"(pointer) : "memory");
#else
  static const void* volatile sink;
  sink = pointer;
#endif
}

/// A kernel is called as in a user's program: inlined where its library is of headers, through a pointer where its
/// library hands one out.
template <class T, class Kernel>
double sweep_pairs(const sweep_input& in) {
  const Kernel kernel{};
  const auto* const query = static_cast<const T*>(in.query);
  const auto* const rows = static_cast<const T*>(in.rows);
  double sum = 0;
  for (std::size_t pass = 0; pass < in.passes; ++pass) {
    for (std::size_t i = 0; i < in.count; ++i) {
      forget(query);
      sum += static_cast<double>(kernel(query, rows + i * in.columns, in.columns));
    }
  }
  return sum / static_cast<double>(in.passes);
}

/// `Kernel` writes one Result a row.
template <class T, class Result, class Kernel>
double sweep_many(const sweep_input& in) {
  const Kernel kernel{};
  const auto* const query = static_cast<const T*>(in.query);
  const auto* const rows = static_cast<const T*>(in.rows);
  auto* const results = static_cast<Result*>(in.results);
  for (std::size_t pass = 0; pass < in.passes; ++pass) {
    forget(query);
    kernel(query, rows, in.count, in.columns, results);
  }
  double sum = 0;
  for (std::size_t i = 0; i < in.count; ++i) sum += static_cast<double>(results[i]);
  return sum;
}

}  // namespace
}  // namespace bench
