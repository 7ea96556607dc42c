#include <doctest/doctest.h>

#include <vector>

#include <alidade/core/matrix_view.hpp>

TEST_CASE("rows of a matrix view") {
  const std::vector<int> values{1, 2, 3, 4, 5, 6, 7, 8};
  const alidade::matrix_view<int> packed(values.data(), 4, 2);
  CHECK(packed.rows() == 4);
  CHECK(packed.columns() == 2);
  CHECK(packed.stride() == 2);
  CHECK(packed[3][0] == 7);
  const alidade::matrix_view<int> strided(values.data(), 2, 2, 4);
  CHECK(strided[1].size() == 2);
  CHECK(strided[1][1] == 6);
  CHECK(alidade::matrix_view<int>{}.rows() == 0);
}
