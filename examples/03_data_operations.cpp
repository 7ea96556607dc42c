// From raw rows to probabilities with the data operations: check what a thousand weather stations have measured,
// put its columns on one scale, give each row to a small model, and do that again with bytes instead of floats.
//
// The measurements are made up, and so is the model: three rows of weights where yours would come from a file.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include <alidade/alidade.hpp>

namespace {

namespace ops = alidade::ops;
using view = alidade::matrix_view<float>;

constexpr std::size_t columns = 4, outcomes = 3;
constexpr std::array<const char*, columns> column_names{"temperature", "humidity", "pressure", "wind"};
constexpr std::array<const char*, outcomes> outcome_names{"rain", "cloud", "sun"};

// What is plausible, from and to: degrees, per cent, hPa, metres a second.
constexpr std::array<float, columns> lowest{-60, 0, 850, 0};
constexpr std::array<float, columns> highest{60, 100, 1100, 90};

bool all_good = true;

void expect(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "not as it should be: %s\n", what);
  all_good = false;
}

std::vector<float> measure(std::size_t rows) {
  std::mt19937 random(3);
  const auto between = [&](double low, double high) {
    return static_cast<float>(low + (high - low) * static_cast<double>(random()) / 4294967296.0);
  };
  std::vector<float> all;
  for (std::size_t i = 0; i < rows; ++i) {
    const float weather = between(-1, 1);  // bad .. good
    all.push_back(14 + 9 * weather + between(-6, 6));
    all.push_back(60 - 25 * weather + between(-10, 10));
    all.push_back(1012 + 14 * weather + between(-5, 5));
    all.push_back(6 - 4 * weather + between(0, 5));
  }
  all[40 * columns + 2] = std::numeric_limits<float>::quiet_NaN();  // a sensor that does not answer
  all[77 * columns + 0] = 999;                                      // one that says so in its own way
  all[77 * columns + 1] = -1;
  return all;
}

// --- rows that are in range --------------------------------------------------------------------------------

std::vector<float> without_bad_rows(view rows) {
  std::vector<std::uint8_t> is_bad(rows.rows());
  const ops::range_report report = ops::validate_range(rows, lowest, highest, is_bad);
  std::printf("%zu values in %zu of %zu rows are out of range", report.elements, report.rows, rows.rows());
  if (!report.valid()) {
    std::printf(", the first in row %zu: %s", report.first.row, column_names[report.first.column]);
  }
  std::puts("");
  expect(report.elements == 3 && report.rows == 2, "two bad rows");
  expect(report.first == ops::element_position{40, 2}, "the first is the one without pressure");

  std::vector<float> good;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    if (is_bad[i] == 0) good.insert(good.end(), rows[i].begin(), rows[i].end());
  }
  expect(ops::is_in_range(view(good.data(), good.size() / columns, columns), lowest, highest),
         "the rows that are left are in range");
  return good;
}

// --- columns with mean 0 and deviation 1 -------------------------------------------------------------------

// What a column's numbers are multiplied by, and what is added to that.
struct standard_scale {
  std::array<float, columns> factor, offset;
};

standard_scale find_scale(view rows) {
  // Two halves, as two threads would aggregate them, put together.
  const std::size_t half = rows.rows() / 2;
  std::array<ops::aggregates<float>, columns> first, second;
  ops::aggregate_columns(view(rows.data(), half, columns), first);
  ops::aggregate_columns(view(rows[half].data(), rows.rows() - half, columns), second);

  standard_scale scale{};
  std::puts("\n                  min      max     mean  deviation");
  for (std::size_t j = 0; j < columns; ++j) {
    const auto all = ops::combine(first[j], second[j]);
    const double deviation = std::sqrt(all.variance());
    std::printf("%-11s  %8.1f %8.1f %8.1f %10.2f\n", column_names[j], static_cast<double>(all.min),
                static_cast<double>(all.max), all.mean, deviation);
    scale.factor[j] = static_cast<float>(1 / deviation);
    scale.offset[j] = static_cast<float>(-all.mean / deviation);
  }
  return scale;
}

void standardise(const standard_scale& scale, std::span<float> rows) {
  for (std::size_t begin = 0; begin < rows.size(); begin += columns) {
    const std::span<float> row = rows.subspan(begin, columns);
    ops::multiply_add(row, scale.factor, scale.offset, row);  // in place
  }
  for (std::size_t j = 0; j < columns; ++j) {
    std::vector<float> column;
    for (std::size_t i = j; i < rows.size(); i += columns) column.push_back(rows[i]);
    expect(std::abs(ops::mean(column)) < 1e-4 && std::abs(ops::variance(column) - 1) < 1e-4,
           "a column has mean 0 and variance 1");
  }
}

// --- a small model -----------------------------------------------------------------------------------------

// A row for each outcome, a weight for each column.
constexpr std::array<float, outcomes * columns> weights{-0.6F, 1.6F,  -1.1F, 0.7F,    // rain
                                                        -0.1F, 0.2F,  0.1F,  0.1F,    // cloud
                                                        0.9F,  -1.5F, 1.2F,  -0.6F};  // sun
const std::vector<float> storm_weights{-0.2F, 0.5F, -0.8F, 1.9F};

std::size_t largest(std::span<const float> values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// The scores of each outcome for each row.
std::vector<float> score(view rows) {
  std::vector<float> scores(rows.rows() * outcomes);
  ops::matrix_multiply_transposed(rows, view(weights.data(), outcomes, columns), scores);
  return scores;
}

void forecast(view rows, const std::vector<float>& scores) {
  std::vector<float> storm(rows.rows());
  ops::matrix_vector(rows, storm_weights, storm);
  ops::sigmoid(storm, storm);

  std::puts("\nrow   rain  cloud    sun   storm");
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    std::array<float, outcomes> chances{};
    ops::softmax(std::span(scores).subspan(i * outcomes, outcomes), chances);
    expect(std::abs(ops::sum(chances) - 1) < 1e-5, "chances add up to one");
    expect(storm[i] >= 0 && storm[i] <= 1, "a chance is between 0 and 1");
    if (i >= 4) continue;
    std::printf("%3zu ", i);
    for (const float chance : chances) std::printf("%6.1f%%", 100 * static_cast<double>(chance));
    std::printf(" %6.1f%%   %s\n", 100 * static_cast<double>(storm[i]), outcome_names[largest(chances)]);
  }
}

// --- the same in bytes -------------------------------------------------------------------------------------

void forecast_in_bytes(view rows, const std::vector<float>& scores) {
  // One scale for all rows, found by a calibrator that has seen typical ones; one for each row of weights.
  const std::span<const float> values(rows.data(), rows.rows() * columns);
  ops::min_max_calibrator calibrator;
  calibrator.observe(values);
  const ops::int8_parameters scale = calibrator.parameters(ops::int8_scheme::symmetric);
  std::vector<std::int8_t> codes(values.size());
  ops::quantize(values, scale, codes);
  std::array<std::int8_t, outcomes * columns> weight_codes{};
  std::array<ops::int8_parameters, outcomes> weight_scales{};
  ops::quantize_rows(view(weights.data(), outcomes, columns), ops::int8_scheme::symmetric, weight_codes,
                     weight_scales);

  const ops::int8_error lost = ops::measure_int8_error(values, codes, scale);
  std::printf("\nas bytes: a step is %.4f, the largest error %.4f, its root mean square %.4f, %.0f dB\n",
              static_cast<double>(scale.scale), lost.max_absolute, lost.rmse, lost.sqnr_db);
  expect(lost.max_absolute <= 0.501 * static_cast<double>(scale.scale), "no more than half a step is lost");

  // The inner product of codes is exact; their zero points are 0, so the scales are all that is left.
  std::size_t same = 0;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    std::array<float, outcomes> found{};
    for (std::size_t k = 0; k < outcomes; ++k) {
      const std::int32_t product =
          alidade::inner_product(std::span(codes).subspan(i * columns, columns),
                                 std::span(weight_codes).subspan(k * columns, columns));
      found[k] = scale.scale * weight_scales[k].scale * static_cast<float>(product);
    }
    same += largest(found) == largest(std::span(scores).subspan(i * outcomes, outcomes)) ? 1U : 0U;
  }
  std::printf("%zu of %zu rows have the same forecast\n", same, rows.rows());
  expect(same * 10 >= rows.rows() * 9, "nine of ten forecasts are the same");
}

}  // namespace

int main() {
  const std::vector<float> measured = measure(1000);
  std::vector<float> numbers = without_bad_rows(view(measured.data(), measured.size() / columns, columns));
  const view rows(numbers.data(), numbers.size() / columns, columns);
  standardise(find_scale(rows), numbers);
  const std::vector<float> scores = score(rows);
  forecast(rows, scores);
  forecast_in_bytes(rows, scores);
  return all_good ? 0 : 1;
}
