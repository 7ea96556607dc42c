#include "ops_command.hpp"

#include "caches.hpp"
#include "contest.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "kernel_buffer.hpp"
#include "ops_operands.hpp"
#include "parallel.hpp"
#include "roofs.hpp"

#include <alidade/ops/activation.hpp>
#include <alidade/ops/aggregate.hpp>
#include <alidade/ops/elementwise.hpp>
#include <alidade/ops/matrix.hpp>
#include <alidade/ops/quantize_int8.hpp>
#include <alidade/ops/validate.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace bench {
namespace {

namespace ops = alidade::ops;

std::span<const float> x_of(const ops_operands& in) { return {in.x, in.n}; }
std::span<const float> y_of(const ops_operands& in) { return {in.y, in.n}; }
std::span<float> out_of(const ops_operands& in) { return {in.out, in.n}; }
alidade::matrix_view<float> rows_of(const ops_operands& in) { return {in.x, in.n / in.columns, in.columns}; }
std::span<const float> lower_of(const ops_operands& in) { return {in.lower, in.columns}; }
std::span<const float> upper_of(const ops_operands& in) { return {in.upper, in.columns}; }

double first_of(const ops_operands& in) { return static_cast<double>(in.out[0]); }

struct operation {
  const char* name;
  std::size_t bytes;  ///< of operands and results, an element
  data_operation ours;
  data_operation plain;
};

constexpr std::array operations{
    operation{"sum f32", 4, [](const ops_operands& in) { return ops::sum(x_of(in)); }, plain::sum},
    operation{"sum f64", 8, [](const ops_operands& in) { return ops::sum(std::span(in.wide, in.n)); },
              plain::sum_wide},
    operation{"min_max f32", 4,
              [](const ops_operands& in) {
                const auto found = ops::min_max(x_of(in));
                return static_cast<double>(found.max - found.min);
              },
              plain::min_max},
    operation{"variance f32", 4, [](const ops_operands& in) { return ops::variance(x_of(in)); },
              plain::variance},
    operation{"aggregate i32", 4,
              [](const ops_operands& in) {
                const auto found = ops::aggregate(std::span(in.counters, in.n));
                return found.squared_deviations + static_cast<double>(found.max - found.min);
              },
              plain::aggregate_counters},
    operation{"aggregate_columns f32", 4,
              [](const ops_operands& in) {
                std::vector<ops::aggregates<float>> found(in.columns);
                ops::aggregate_columns(rows_of(in), found);
                return found[0].squared_deviations + static_cast<double>(found[0].max);
              },
              plain::aggregate_columns},
    operation{"is_in_range f32", 4,
              [](const ops_operands& in) {
                return static_cast<double>(ops::is_in_range(rows_of(in), lower_of(in), upper_of(in)));
              },
              plain::is_in_range},
    operation{"validate_range f32", 4,
              [](const ops_operands& in) {
                const auto found = ops::validate_range(rows_of(in), lower_of(in), upper_of(in),
                                                       std::span(in.mask, in.n / in.columns));
                return static_cast<double>(found.elements + found.rows);
              },
              plain::validate_range},
    operation{"add f32", 12,
              [](const ops_operands& in) {
                ops::add(x_of(in), y_of(in), out_of(in));
                return first_of(in);
              },
              plain::add},
    operation{"multiply_add f32", 12,
              [](const ops_operands& in) {
                ops::multiply_add(1.5F, x_of(in), y_of(in), out_of(in));
                return first_of(in);
              },
              plain::multiply_add},
    operation{"relu f32", 8,
              [](const ops_operands& in) {
                ops::relu(x_of(in), out_of(in));
                return first_of(in);
              },
              plain::relu},
    operation{"sigmoid", 8,
              [](const ops_operands& in) {
                ops::sigmoid(x_of(in), out_of(in));
                return first_of(in);
              },
              plain::sigmoid},
    operation{"tanh", 8,
              [](const ops_operands& in) {
                ops::tanh(x_of(in), out_of(in));
                return first_of(in);
              },
              plain::tanh},
    operation{"gelu", 8,
              [](const ops_operands& in) {
                ops::gelu(x_of(in), out_of(in));
                return first_of(in);
              },
              plain::gelu},
    operation{"softmax", 8,
              [](const ops_operands& in) {
                ops::softmax(x_of(in), out_of(in));
                return first_of(in);
              },
              plain::softmax},
    operation{"quantize int8", 5,
              [](const ops_operands& in) {
                std::error_code error;
                ops::quantize(x_of(in), {1.0F / 30, 0, -127}, {in.bytes, in.n}, error);
                return static_cast<double>(in.bytes[0]);
              },
              plain::quantize},
    operation{"dequantize int8", 5,
              [](const ops_operands& in) {
                ops::dequantize({in.bytes, in.n}, {0.05F, 3, -128}, out_of(in));
                return first_of(in);
              },
              plain::dequantize},
    operation{"matrix_vector f32", 4,
              [](const ops_operands& in) {
                ops::matrix_vector(rows_of(in), {in.y, in.columns}, {in.out, in.n / in.columns});
                return first_of(in);
              },
              plain::matrix_vector},
};

/// Memory for n numbers of each kind, with values in it.
class operand_memory {
 public:
  operand_memory(std::size_t n, std::size_t columns)
      : floats_(4 * 4 * n), wide_(8 * n), counters_(4 * n), small_(2 * n), bounds_(8 * columns) {
    auto* const x = static_cast<float*>(floats_.data());
    auto* const wide = static_cast<double*>(wide_.data());
    auto* const counters = static_cast<std::int32_t*>(counters_.data());
    auto* const bytes = static_cast<std::int8_t*>(small_.data());
    auto* const bounds = static_cast<float*>(bounds_.data());
    for (std::size_t i = 0; i < n; ++i) {
      const auto step = static_cast<float>(i * 37 % 1009);
      x[i] = (step - 500) / 128;
      x[n + i] = (step - 300) / 512;
      x[2 * n + i] = 0;
      wide[i] = static_cast<double>(x[i]);
      counters[i] = static_cast<std::int32_t>(i * 37 % 1009);
      bytes[i] = static_cast<std::int8_t>(i % 251 - 125);
    }
    for (std::size_t j = 0; j < columns; ++j) {
      bounds[j] = -4;
      bounds[columns + j] = 4;
    }
    operands_ = {n,
                 columns,
                 x,
                 x + n,
                 wide,
                 counters,
                 bounds,
                 bounds + columns,
                 x + 2 * n,
                 bytes,
                 reinterpret_cast<std::uint8_t*>(bytes + n)};
  }
  [[nodiscard]] const ops_operands& operands() const { return operands_; }

 private:
  kernel_buffer floats_, wide_, counters_, small_, bounds_;
  ops_operands operands_{};
};

volatile double kept;  // results go here, so that nothing is left out

void check(const char* name, double ours, double plain) {
  if (std::abs(ours - plain) <= 1e-3 * std::abs(plain) + 1e-3) return;
  throw input_error(std::string("ops: ") + name + " gives " + std::to_string(ours) +
                    " where a plain loop gives " + std::to_string(plain));
}

/// WebAssembly engines compile once more what has run for a while; what they made first is several times slower.
void warm_up(data_operation function, const ops_operands& in) {
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < 0.05) kept = function(in);
}

contest::work repeat(data_operation function, const ops_operands& in) {
  return [function, &in](std::size_t repetitions) {
    for (std::size_t i = 0; i < repetitions; ++i) kept = function(in);
  };
}

void measure(const operation& op, memory_level level, std::size_t columns, const ops_command& command,
             json_file* file) {
  const std::size_t n = working_set(level) / op.bytes / columns * columns;
  const operand_memory memory(n, columns);
  check(op.name, op.ours(memory.operands()), op.plain(memory.operands()));
  warm_up(op.ours, memory.operands());
  warm_up(op.plain, memory.operands());
  contest timed({.rounds = command.rounds});
  const std::size_t ours = timed.add(op.name, repeat(op.ours, memory.operands()));
  const std::size_t plain = timed.add("plain", repeat(op.plain, memory.operands()));
  timed.run();
  const double each = 1e9 / static_cast<double>(n);
  const spread own = timed.time(ours), other = timed.time(plain), times = timed.ratio(plain, ours);
  std::printf("%-22s %-4s %4zu %10.4f %10.4f %8.1fx  (%.1f .. %.1f)\n", op.name, name_of(level), columns,
              each * own.median, each * other.median, times.median, times.min, times.max);
  if (file == nullptr) return;
  json row{{"kind", "operation"}, {"name", op.name}, {"level", name_of(level)}, {"columns", columns}};
  row["ns"] = each * own.median;
  row["plain_ns"] = each * other.median;
  put(row, "times_plain", times);
  row["ns_rounds"] = timed.rounds(ours, each);
  file->write(row);
}

void measure_product(std::size_t size, const ops_command& command, json_file* file) {
  const std::size_t count = size * size;
  const operand_memory memory(count, size);
  const ops_operands& in = memory.operands();
  const alidade::matrix_view<float> a(in.x, size, size), b(in.y, size, size);
  const std::span<float> c(in.out, count);
  plain::matrix_multiply(in.x, in.y, in.out, size);
  const auto expected = static_cast<double>(in.out[count / 2]);
  ops::matrix_multiply(a, b, c);
  check("matrix_multiply", static_cast<double>(in.out[count / 2]), expected);

  contest timed({.rounds = command.rounds});
  const peak_loop& peak = peak_loops().front();
  const std::size_t ours = timed.add("matrix_multiply", [&](std::size_t repetitions) {
    for (std::size_t i = 0; i < repetitions; ++i) ops::matrix_multiply(a, b, c);
  });
  const std::size_t roof = timed.add("peak", peak.run);
  std::optional<std::size_t> plain;
  if (size <= 512) {
    plain = timed.add("plain", [&](std::size_t repetitions) {
      for (std::size_t i = 0; i < repetitions; ++i) plain::matrix_multiply(in.x, in.y, in.out, size);
    });
  }
  timed.run();
  const double flops = 2 * static_cast<double>(count) * static_cast<double>(size);
  const spread share = timed.ratio(roof, ours, flops / peak.ops_per_pass);
  const double own = 1e-9 * flops / timed.time(ours).median;
  const double most = 1e-9 * peak.ops_per_pass / timed.time(roof).median;
  const double times = plain ? timed.ratio(*plain, ours).median : 0;
  std::printf("%6zu %9.1f %9.1f %6.0f %% (%.0f .. %.0f)", size, own, most, 100 * share.median,
              100 * share.min, 100 * share.max);
  if (plain) std::printf(" %9.1fx", times);
  std::putchar('\n');
  if (file == nullptr) return;
  json row{
      {"kind", "product"}, {"size", size}, {"gflops", own}, {"peak_gflops", most}, {"peak_how", peak.how}};
  put(row, "share", share);
  if (plain) row["times_plain"] = times;
  row["ns_rounds"] = timed.rounds(ours, 1e9);
  file->write(row);
}

}  // namespace

int run(const ops_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  start_json(command.json);
  std::optional<json_file> file;
  if (!command.json.empty()) file.emplace(command.json);
  json_file* const to = file ? &*file : nullptr;

  std::printf(
      "operations, %s, ns an element, %zu rounds; the ratio is how many times as fast as a plain loop\n",
      alidade::arch_name(), command.rounds);
  std::printf("%-22s %-4s %4s %10s %10s  ratio (min .. max)\n", "", "in", "cols", "ours", "plain");
  for (const std::size_t columns : command.columns) {
    if (columns == 0) throw input_error("--columns is at least 1");
    for (const operation& op : operations) {
      for (const memory_level level : {memory_level::l1, memory_level::l2}) {
        if (working_set(level) / op.bytes >= columns) measure(op, level, columns, command, to);
      }
    }
  }
  std::printf("\nmatrix products of f32, 1e9 operations a second; peak: %s\n", peak_loops().front().how);
  std::printf("%6s %9s %9s   share (min .. max)  times plain\n", "size", "ours", "peak");
  for (const std::size_t size : command.sizes) {
    if (size == 0) throw input_error("--size is at least 1");
    measure_product(size, command, to);
  }
  if (file) file->finish();
  return 0;
}

}  // namespace bench
