// The same vectors in four element types: float, f16, int8 and bits. What a smaller type saves, and what it loses.
//
// Truth is an exact search among the floats. Each type is then searched exactly, which shows what the type alone
// loses, and through a graph. Last, the smallest type picks a hundred candidates, and the floats rank these.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <alidade/alidade.hpp>

namespace {

namespace ops = alidade::ops;
using alidade::bits8;
using alidade::f16;
using alidade::matrix_view;

constexpr std::size_t dimension = 256, row_count = 3000, query_count = 200;

// For each query the keys that a search has found.
using answers = std::vector<std::vector<std::uint64_t>>;

// Vectors as rows, those to be indexed and after them those to be searched for.
template <class T>
struct table {
  std::vector<T> numbers;
  std::size_t columns = dimension;

  matrix_view<T> rows() const { return {numbers.data(), row_count, columns}; }
  matrix_view<T> queries() const { return {numbers.data() + row_count * columns, query_count, columns}; }
};

// --- one table in four types -------------------------------------------------------------------------------

// As of embeddings: 256 numbers that follow from 24 hidden ones, and a little noise.
table<float> make_vectors() {
  constexpr std::size_t all = row_count + query_count, hidden = 24;
  std::mt19937 random(5);
  const auto bell = [&] {  // four uniform numbers: near enough to normal, and the same with every compiler
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<double>(random()) / 4294967296.0 - 0.5;
    return static_cast<float>(sum);
  };
  std::vector<float> causes(all * hidden);
  std::vector<float> effects(hidden * dimension);
  std::vector<float> vectors(all * dimension);
  for (float& x : causes) x = bell();
  for (float& x : effects) x = bell();
  for (float& x : vectors) x = 0.3F * bell();
  ops::matrix_multiply_add(matrix_view<float>(causes.data(), all, hidden),
                           matrix_view<float>(effects.data(), hidden, dimension), vectors);
  return {vectors};
}

// Half floats are rounded one by one.
table<f16> to_f16(const table<float>& from) {
  table<f16> to;
  for (const float x : from.numbers) to.numbers.emplace_back(x);
  return to;
}

// One scale for all vectors, so that distances of bytes are, but for rounding, those of floats in another unit.
// It follows from what is indexed; a query that lies beyond is cut off.
table<std::int8_t> to_int8(const table<float>& from) {
  ops::min_max_calibrator seen;
  seen.observe(std::span(from.numbers).first(row_count * dimension));
  table<std::int8_t> to{std::vector<std::int8_t>(from.numbers.size())};
  ops::quantize(from.numbers, seen.parameters(ops::int8_scheme::symmetric), to.numbers);
  return to;
}

// A bit for each number: is it above the mean of its column? Eight to a byte, the first in the lowest bit.
table<bits8> to_bits(const table<float>& from) {
  std::vector<ops::aggregates<float>> columns(dimension);
  ops::aggregate_columns(from.rows(), columns);
  table<bits8> to{std::vector<bits8>(from.numbers.size() / 8), dimension / 8};
  for (std::size_t i = 0; i < from.numbers.size(); ++i) {
    const unsigned bit = static_cast<double>(from.numbers[i]) > columns[i % dimension].mean ? 1 : 0;
    to.numbers[i / 8] = static_cast<bits8>(static_cast<unsigned>(to.numbers[i / 8]) | bit << i % 8);
  }
  return to;
}

// --- searching them ----------------------------------------------------------------------------------------

template <class Index, class T>
answers nearest(const table<T>& vectors, std::size_t k) {
  std::vector<std::uint64_t> keys(row_count);
  std::iota(keys.begin(), keys.end(), 0);
  Index index(vectors.columns);
  index.add(keys, vectors.rows());
  const auto results = index.search(vectors.queries(), {.k = k});
  answers found(results.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const auto& [key, distance] : results[i]) found[i].push_back(key);
  }
  return found;
}

// The ten best of each query's candidates, by the floats.
answers ranked(answers candidates, const table<float>& vectors) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto distance = [&, query = vectors.queries()[i]](std::uint64_t key) {
      return alidade::l2_squared(query, vectors.rows()[key]);
    };
    std::ranges::sort(candidates[i], {}, distance);
    candidates[i].resize(10);
  }
  return candidates;
}

double recall(const answers& found, const answers& truth) {
  std::size_t right = 0, all = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    for (const std::uint64_t key : truth[i]) right += std::ranges::count(found[i], key) != 0 ? 1U : 0U;
    all += truth[i].size();
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

// Prints a line of the table; whether the recall is what one may expect of the type.
template <class Metric, class T>
bool report(const char* name, const table<T>& vectors, const answers& truth, double wanted) {
  const double exact = recall(nearest<alidade::flat_index<T, Metric>>(vectors, 10), truth);
  const double graph = recall(nearest<alidade::hnsw_index<T, Metric>>(vectors, 10), truth);
  std::printf("%-6s %6zu %12.3f %9.3f   %s\n", name, vectors.columns * sizeof(T), exact, graph,
              alidade::kernel_instruction<Metric, T>());
  return exact >= wanted && graph >= wanted - 0.05;
}

}  // namespace

int main() {
  namespace metrics = alidade::metrics;
  const table<float> floats = make_vectors();
  const table<bits8> bits = to_bits(floats);
  const answers truth = nearest<alidade::flat_index<float>>(floats, 10);

  std::printf("%zu vectors of %zu numbers, %zu queries\n\n", row_count, dimension, query_count);
  std::puts("type    bytes    recall@10  in graph   kernel");
  bool good = report<metrics::l2_squared>("float", floats, truth, 1);
  good &= report<metrics::l2_squared>("f16", to_f16(floats), truth, 0.98);
  good &= report<metrics::l2_squared>("int8", to_int8(floats), truth, 0.9);
  good &= report<metrics::hamming>("bits", bits, truth, 0.3);

  const answers candidates = nearest<alidade::flat_index<bits8, metrics::hamming>>(bits, 100);
  const double second_look = recall(ranked(candidates, floats), truth);
  std::printf("\n100 candidates by bits, ranked by floats: %.3f\n", second_look);
  if (!good || second_look < 0.8) {
    std::fputs("this is less than these types can do\n", stderr);
    return 1;
  }
  return 0;
}
