// Only the std::error_code forms, in a program that is compiled with -fno-exceptions -fno-rtti: nothing in the headers
// may need either, and every error must come back as a value and leave the index as it was.
#include <alidade/alidade.hpp>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <system_error>
#include <vector>

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::printf("failed: %s\n", what);
    ++failures;
  }
}

}  // namespace

int main() {
  constexpr std::size_t dimension = 16;
  std::error_code error;
  alidade::hnsw_index<float> index(dimension, {.M = 8, .ef_construction = 40}, {}, error);
  check(!error, "an index with valid options");

  std::error_code refused;
  const alidade::hnsw_index<float> bad(dimension, {.M = 0}, {}, refused);
  check(refused == make_error_code(alidade::errc::invalid_option), "M = 0 is an invalid option");

  constexpr std::size_t rows = 200;
  std::vector<float> data(rows * dimension);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = std::sin(static_cast<float>(i * i % 1009));
  std::vector<std::uint64_t> keys(rows);
  for (std::size_t i = 0; i < rows; ++i) keys[i] = 1000 + i;
  const alidade::matrix_view<float> matrix(data.data(), rows, dimension);
  index.add(keys, matrix, {.threads = 1}, error);
  check(!error && index.size() == rows, "a batch");

  std::array<alidade::neighbor<float>, 5> out{};
  for (std::size_t row = 0; row < rows; row += 37) {
    const std::size_t found = index.search(matrix[row], {.k = out.size(), .ef = 64}, out, error);
    check(!error && found == out.size(), "five neighbours");
    check(out[0].key == keys[row] && out[0].distance == 0.0F, "a row is its own nearest neighbour");
  }

  index.add(keys[3], matrix[3], error);
  check(error == make_error_code(alidade::errc::duplicate_key), "a duplicate key");
  index.add(1, matrix[0].first(dimension - 1), error);
  check(error == make_error_code(alidade::errc::dimension_mismatch), "a wrong dimension");
  std::vector<float> broken(matrix[0].begin(), matrix[0].end());
  broken[7] = std::numeric_limits<float>::quiet_NaN();
  index.add(1, broken, error);
  check(error == make_error_code(alidade::errc::not_finite), "a NaN");
  index.search(broken, {.k = out.size(), .ef = 64}, out, error);
  check(error == make_error_code(alidade::errc::not_finite), "a NaN in a query");
  check(index.size() == rows, "errors leave the index as it was");

  std::printf("%s on %s\n", failures == 0 ? "passed" : "FAILED", alidade::arch_name());
  return failures == 0 ? 0 : 1;
}
