// What a user writes on the first day: a few vectors in, the nearest one out.
#include <alidade/alidade.hpp>
#include <cstdio>
#include <vector>

int main() {
  constexpr std::size_t dimension = 24;
  alidade::hnsw_index<float> index(dimension, {.M = 8, .ef_construction = 40, .seed = 7});
  std::vector<float> row(dimension);
  for (std::uint64_t key = 0; key < 100; ++key) {
    for (std::size_t i = 0; i < dimension; ++i) row[i] = static_cast<float>(key) + static_cast<float>(i % 3);
    index.add(key, row);
  }
  const auto found = index.search(row, {.k = 3, .ef = 32});
  std::printf("alidade on %s: %zu rows, nearest key %llu at distance %g\n", alidade::arch_name(),
              index.size(), static_cast<unsigned long long>(found.at(0).key),
              static_cast<double>(found.at(0).distance));
  return found.size() == 3 && found[0].key == 99 && found[0].distance == 0.0F ? 0 : 1;
}
