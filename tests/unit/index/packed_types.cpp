#include <doctest/doctest.h>

#include <cstdint>

#include <alidade/core/half.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>

#include "packed_support.hpp"

using namespace alidade;
using test::packed_check;

TEST_CASE("a packed index answers as the index it was made from: other metrics") {
  packed_check<float, metrics::inner_product>(300, 17);
  packed_check<float, metrics::inner_product, codecs::pca4>(600, 17);
  packed_check<float, metrics::cosine>(300, 33);
  packed_check<float, metrics::cosine, codecs::pca4>(600, 33);
  packed_check<float, metrics::l1>(300, 5);
  packed_check<float, metrics::reproducible<metrics::l2_squared>>(300, 20);
}

TEST_CASE("a packed index answers as the index it was made from: other elements") {
  packed_check<double, metrics::l2_squared>(200, 12);
  packed_check<double, metrics::cosine, codecs::pca4>(550, 12);
  packed_check<f16, metrics::l2_squared>(200, 24, true);
  packed_check<bf16, metrics::inner_product, codecs::pca4>(550, 24, true);
  packed_check<std::uint8_t, metrics::l2_squared>(200, 24, true);
  packed_check<std::uint8_t, metrics::l2_squared, codecs::pca4>(550, 24, true);
  packed_check<std::int8_t, metrics::inner_product>(200, 24, true);
  packed_check<std::int8_t, metrics::cosine>(200, 24, true);
  packed_check<bits8, metrics::hamming>(200, 9, true);
}
