// Distances, checks of input and a search, compiled under -ffast-math.
#include <alidade/alidade.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <vector>

namespace {

int failures = 0;

void check(bool condition, const char* what) {
  if (condition) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

template <class T>
std::vector<T> values(std::size_t n, std::uint32_t seed) {
  std::vector<T> out;
  for (std::size_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    out.push_back(T(static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f));
  }
  return out;
}

template <class T>
void check_distances(const char* what) {
  for (const std::size_t n : {1u, 7u, 37u, 128u, 301u}) {
    const std::vector<T> a = values<T>(n, 1), b = values<T>(n, 2);
    double product = 0, squares = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double x = static_cast<double>(static_cast<float>(a[i])),
                   y = static_cast<double>(static_cast<float>(b[i]));
      product += x * y;
      squares += (x - y) * (x - y);
      aa += x * x;
      bb += y * y;
    }
    const auto near = [n](double x, double y) {
      return std::abs(x - y) <= 1e-5 * static_cast<double>(n + 4);
    };
    check(near(static_cast<double>(alidade::inner_product(a, b)), product), what);
    check(near(static_cast<double>(alidade::l2_squared(a, b)), squares), what);
    check(near(static_cast<double>(alidade::cosine(a, b)), 1 - product / std::sqrt(aa * bb)), what);
  }
}

}  // namespace

int main() {
  check_distances<float>("distances of float");
  check_distances<double>("distances of double");
  check_distances<alidade::f16>("distances of f16");
  check_distances<alidade::bf16>("distances of bf16");

  const std::size_t dimension = 24, rows = 500;
  alidade::hnsw_index<float> index(dimension);
  alidade::flat_index<float> exact(dimension);
  const std::vector<float> data = values<float>(dimension * rows, 3);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::span<const float> row(data.data() + i * dimension, dimension);
    index.add(i, row);
    exact.add(i, row);
  }
  std::error_code ec;
  std::vector<float> bad(dimension, 1.0f);
  bad[5] = std::numeric_limits<float>::quiet_NaN();
  index.add(rows, bad, ec);
  check(ec == alidade::errc::not_finite, "NaN is refused");
  bad[5] = std::numeric_limits<float>::infinity();
  index.add(rows, bad, ec);
  check(ec == alidade::errc::not_finite, "infinity is refused");
  for (std::size_t i = 0; i < rows; i += 50) {
    const std::span<const float> row(data.data() + i * dimension, dimension);
    const auto found = index.search(row, {.k = 1, .ef = 100}), truth = exact.search(row, {.k = 1});
    check(found.size() == 1 && found[0].key == i, "a row is found by itself");
    check(truth.size() == 1 && truth[0].key == i, "a row is found by itself, exactly");
  }
  if (failures == 0) std::puts("all right");
  return failures == 0 ? 0 : 1;
}
