#include "workload.hpp"

#include "failure.hpp"
#include "normalised.hpp"
#include "synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <variant>

namespace bench {
namespace {

matrix<float> floats_of(vectors loaded) {
  if (auto* floats = std::get_if<matrix<float>>(&loaded)) return std::move(*floats);
  const auto& bytes = std::get<matrix<std::uint8_t>>(loaded);
  matrix<float> result(bytes.rows, bytes.columns);
  std::transform(bytes.values.begin(), bytes.values.end(), result.values.begin(),
                 [](std::uint8_t x) { return static_cast<float>(x); });
  return result;
}

matrix<std::uint8_t> bytes_of(const matrix<float>& floats) {
  matrix<std::uint8_t> result(floats.rows, floats.columns);
  for (std::size_t i = 0; i < floats.values.size(); ++i) {
    const float value = floats.values[i];
    if (!(value >= 0 && value <= 255) || value != std::floor(value)) {
      throw input_error("--type u8: the vectors hold " + std::to_string(value) +
                        ", not only integers 0..255");
    }
    result.values[i] = static_cast<std::uint8_t>(value);
  }
  return result;
}

/// "mnist-784" of "../data/mnist-784.base.u8bin".
std::string dataset_name(const std::string& path) {
  const std::size_t slash = path.find_last_of("/\\");
  const std::string file = slash == std::string::npos ? path : path.substr(slash + 1);
  return file.substr(0, file.find('.'));
}

/// Quantises to 0..255 with one scale for all, so that --type u8 has something to work on.
void quantise(matrix<float>& base, matrix<float>& queries) {
  const auto [low, high] = std::minmax_element(base.values.begin(), base.values.end());
  const float offset = *low;
  const float scale = 255 / std::max(*high - *low, 1e-20F);
  for (matrix<float>* part : {&base, &queries}) {
    for (float& x : part->values) x = std::round(std::clamp((x - offset) * scale, 0.0F, 255.0F));
  }
}

/// Its base, its queries if wanted, and its name.
void generate(workload& data, const source_options& options, bool with_queries) {
  if (!options.base.empty() || !options.query.empty() || !options.truth.empty()) {
    throw input_error("--synthetic generates its own vectors: leave out --base, --query and --truth");
  }
  if (options.synthetic.size() != 2 || options.synthetic[0] == 0 || options.synthetic[1] == 0) {
    throw input_error("--synthetic needs a number of rows and a dimension, as in --synthetic 10000,128");
  }
  const std::size_t rows = options.synthetic[0], dimension = options.synthetic[1];
  const std::size_t queries = options.synthetic_queries;
  data.name = "synthetic-";
  synthetic_set set;
  if (options.spectrum) {
    const double decay = *options.spectrum;
    if (!(decay >= 0 && decay <= spectrum_limit)) throw input_error("--spectrum lies in [0, 8]");
    char text[32];
    std::snprintf(text, sizeof(text), "spectrum-%.4g-", decay);
    data.name = text;
    set = make_spectrum(rows, queries, dimension, decay);
  } else {
    set = make_synthetic(rows, queries, dimension);
  }
  data.name += std::to_string(dimension);
  data.base = std::move(set.base);
  if (with_queries) data.queries = std::move(set.queries);
  if (options.unit_norm) {
    if (options.type == element::u8) throw input_error("--unit-norm is for --type f32");
    data.name += "-unit";
    data.base = normalised(data.base);
    data.queries = normalised(data.queries);
  }
  if (options.type == element::u8) quantise(data.base, data.queries);
}

}  // namespace

workload load_workload(const source_options& options, bool with_queries) {
  workload data;
  data.distance = options.distance;
  data.type = options.type;
  if (!options.synthetic.empty()) {
    generate(data, options, with_queries);
  } else {
    if (options.spectrum || options.unit_norm) {
      throw input_error("--spectrum and --unit-norm are for vectors generated with --synthetic N,D");
    }
    if (options.base.empty())
      throw input_error("give the vectors with --base FILE, or generate some with --synthetic N,D");
    data.base = floats_of(read_vectors(options.base, options.limit));
    data.name = dataset_name(options.base);
    if (with_queries) {
      if (options.query.empty()) throw input_error("give the queries with --query FILE");
      data.queries = floats_of(read_vectors(options.query));
      if (data.queries.columns != data.dimension()) {
        throw input_error(options.query + ": dimension " + std::to_string(data.queries.columns) +
                          ", but the base has " + std::to_string(data.dimension()));
      }
    }
  }
  if (options.type == element::u8) {
    data.base_u8 = bytes_of(data.base);
    data.queries_u8 = bytes_of(data.queries);
  }
  std::fprintf(stderr, "%s: %zu x %zu, %zu queries\n", data.name.c_str(), data.size(), data.dimension(),
               data.queries.rows);
  return data;
}

}  // namespace bench
