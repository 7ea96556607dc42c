// A graph that is searched by codes of a few bits a dimension, that finds out by itself how to have a recall, and that
// goes into a file and is mapped back.
//
// Codes are learnt from what is added; a search walks the graph by them and measures the best candidates by their vectors, so
// that distances are exact and recall has no cap.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <alidade/alidade.hpp>

namespace {

using alidade::matrix_view;
using l2 = alidade::metrics::l2_squared;
using coded_index = alidade::hnsw_index<float, l2, alidade::codecs::pca4>;
using packed = alidade::packed_index<float, l2, alidade::codecs::pca4>;

constexpr std::size_t dimension = 256, row_count = 8000, sample_count = 300, query_count = 300;

// Vectors that follow from 32 hidden numbers, of which the first say most, and some noise: those to be indexed, then a
// sample of queries to choose by, then queries to judge by.
std::vector<float> make_vectors() {
  constexpr std::size_t all = row_count + sample_count + query_count, hidden = 32;
  std::mt19937 random(7);
  const auto bell = [&] {  // four uniform numbers: near enough to normal, and the same with every compiler
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<double>(random()) / 4294967296.0 - 0.5;
    return static_cast<float>(sum);
  };
  std::vector<float> causes(all * hidden);
  std::vector<float> effects(hidden * dimension);
  std::vector<float> vectors(all * dimension);
  for (std::size_t i = 0; i < causes.size(); ++i) causes[i] = bell() / static_cast<float>(1 + i % hidden / 8);
  for (float& x : effects) x = bell();
  for (float& x : vectors) x = 0.5F * bell();
  alidade::ops::matrix_multiply_add(matrix_view<float>(causes.data(), all, hidden),
                                    matrix_view<float>(effects.data(), hidden, dimension), vectors);
  return vectors;
}

// The share of the ten nearest that an index finds, at the setting that it has chosen (ef = 0).
template <class Index>
double recall(const Index& index, const alidade::flat_index<float>& exact, matrix_view<float> queries) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const auto truth = exact.search(queries[i], {.k = 10});
    for (const auto& neighbor : index.search(queries[i], {.k = 10}))
      found += neighbor.distance <= truth.back().distance ? 1U : 0U;
  }
  return static_cast<double>(found) / static_cast<double>(10 * queries.rows());
}

// One byte of the file, in the middle, becomes another.
void damage(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(path) / 2);
  file.seekg(middle);
  const auto byte = static_cast<char>(file.get() ^ 1);
  file.seekp(middle);
  file.put(byte);
}

}  // namespace

int main() {
  const std::vector<float> vectors = make_vectors();
  const matrix_view<float> rows(vectors.data(), row_count, dimension);
  const matrix_view<float> sample(vectors.data() + row_count * dimension, sample_count, dimension);
  const matrix_view<float> queries(vectors.data() + (row_count + sample_count) * dimension, query_count,
                                   dimension);
  std::vector<std::uint64_t> keys(row_count);
  std::iota(keys.begin(), keys.end(), 0);

  // Built by all cores: the graph is the same for any number. Who is not content with how long it takes returns false, and
  // the index is as it was.
  coded_index index(dimension, {.M = 24, .ef_construction = 100});
  index.add(keys, rows, {.threads = 0, .progress = [](std::size_t, std::size_t) { return true; }});
  const alidade::code_stats codes = index.code_stats();
  std::printf(
      "%zu vectors of %zu floats have codes of %zu bytes, in which 95 of 100 true neighbours\n"
      "come among the first %zu of 1,024\n",
      row_count, dimension, codes.code_bytes, codes.neighbor_place);

  // The quickest setting with the recall that is asked for, found on the sample; searches without an ef use it from now on.
  const alidade::calibration chosen = index.calibrate(sample, {.k = 10, .target_recall = 0.95});
  std::printf(
      "for recall 0.95: ef %zu, %zu candidates measured by their vectors; %.0f distances a query by codes\n",
      chosen.options.ef, chosen.options.rerank, chosen.distances);

  alidade::flat_index<float> exact(dimension);
  exact.add(keys, rows);
  const double in_index = recall(index, exact, queries);
  std::printf("recall of other queries: %.3f\n", in_index);

  // Packed, it does not change any more: one piece of memory that is its own file, with the setting in it. Under the path there
  // is at any time a whole file, the one before or this one.
  const std::string path = (std::filesystem::temp_directory_path() / "alidade_example_07.index").string();
  index.pack().save(path);
  double in_file = 0;
  {
    const packed mapped = packed::map(path);
    in_file = recall(mapped, exact, queries);
    std::printf("recall of the mapped file, %zu bytes: %.3f\n", mapped.image().size(), in_file);
  }

  // What is not as it was saved is refused, before anything is read by it.
  damage(path);
  std::error_code refused;
  static_cast<void>(packed::map(path, {}, {}, refused));
  std::printf("with one byte changed: %s\n", refused.message().c_str());
  std::filesystem::remove(path);

  if (!chosen.is_reached || std::min(in_index, in_file) < 0.92 || !refused) {
    std::fputs("this is less than codes can do\n", stderr);
    return 1;
  }
  return 0;
}
