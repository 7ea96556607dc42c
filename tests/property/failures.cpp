#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>

#include "../counting_new.hpp"
#include "../support.hpp"

using namespace alidade;

// Until copying means something, the traits say that there is none.
static_assert(!std::is_copy_constructible_v<flat_index<float>> &&
              std::is_nothrow_move_constructible_v<flat_index<float>>);
static_assert(!std::is_copy_constructible_v<hnsw_index<float>> &&
              std::is_nothrow_move_constructible_v<hnsw_index<float>>);

TEST_CASE("whichever allocation of an addition fails, the index stays as it was and can go on") {
  const test::dataset<float> data(160, 6, 41);
  hnsw_index<float> expected(6, {.M = 3, .ef_construction = 12});
  expected.add(std::span(data.keys).first(60), data.view(0, 60));
  const auto before = expected.graph_checksum();
  expected.add(std::span(data.keys).subspan(60, 60), data.view(60, 60));
  bool failed = true;
  for (std::size_t n = 1; failed; ++n) {
    hnsw_index<float> index(6, {.M = 3, .ef_construction = 12});
    index.add(std::span(data.keys).first(60), data.view(0, 60));
    failed = false;
    try {
      const test::failing_allocation failing(n);
      index.add(std::span(data.keys).subspan(60, 60), data.view(60, 60), {.threads = 1});
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    const std::size_t held = failed ? 60 : 120;
    CHECK(index.size() == held);
    CHECK(index.graph_checksum() == (failed ? before : expected.graph_checksum()));
    // Every answer is a vector that is there, and all that is there is found after the next repair.
    for (const auto& found : index.search(data.view()[5], {.k = 200, .ef = 200}))
      CHECK(index.contains(found.key));
    index.add(std::span(data.keys).last(40), data.view(120, 40));
    CHECK(index.size() == held + 40);
    CHECK(index.search(data.view()[5], {.k = 200, .ef = 200}).size() == held + 40);
  }
}

TEST_CASE("a search that ends by an exception leaves no mark on the next") {
  const test::dataset<float> data(300, 6, 42);
  hnsw_index<float> index(6);
  index.add(data.keys, data.view());
  const auto expected = index.search(data.view()[7], {.k = 20, .ef = 60});
  struct throwing_observer {
    std::size_t left;
    void on_hop(std::size_t) {
      if (left-- == 0) throw std::runtime_error("enough");
    }
    void on_distances(std::size_t) {}
  };
  std::vector<neighbor<float>> out(20);
  for (std::size_t hops = 0; hops < 40; hops += 3) {
    std::error_code ec;
    CHECK_THROWS_AS(index.search(data.view()[7], {.k = 20, .ef = 60}, out, ec, throwing_observer{hops}),
                    std::runtime_error);
    CHECK(index.search(data.view()[7], {.k = 20, .ef = 60}) == expected);
  }
  for (std::size_t n = 1; n < 12; ++n) {
    hnsw_index<float> fresh(6);
    fresh.add(data.keys, data.view());
    try {
      const test::failing_allocation failing(n);
      static_cast<void>(fresh.search(data.view()[7], {.k = 20, .ef = 60}));
    } catch (const std::bad_alloc&) {}
    CHECK(fresh.search(data.view()[7], {.k = 20, .ef = 60}) == expected);
  }
}

TEST_CASE("metrics that round differently the other way round build a graph") {
  struct uneven_cosine {
    float operator()(std::span<const float> a, std::span<const float> b) const {
      float ab = 0, aa = 0, bb = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
      }
      return 1.0f - ab / std::sqrt(aa) / std::sqrt(bb);
    }
  };
  test::dataset<float> data(2000, 8, 43);
  for (std::size_t i = 20; i < data.rows; i += 2) {
    std::copy_n(data.values.begin() + static_cast<std::ptrdiff_t>(i % 20 * 8), 8,
                data.values.begin() + static_cast<std::ptrdiff_t>(i * 8));
  }
  for (const std::size_t M : {2u, 8u}) {
    hnsw_index<float, uneven_cosine> index(8, {.M = M, .ef_construction = 30});
    index.add(data.keys, data.view());
    CHECK(index.search(data.view()[1], {.k = 2000, .ef = 2000}).size() == 2000);
  }
}

TEST_CASE("distances without a value are the farthest, and answers stay sorted") {
  test::dataset<float> data(300, 4, 44);
  for (float& x : data.values) x = x < 0.0f ? -3e38f : 3e38f;
  flat_index<float, metrics::inner_product> exact(4);
  hnsw_index<float, metrics::inner_product> index(4);
  exact.add(data.keys, data.view());
  index.add(data.keys, data.view());
  struct sometimes_nan {
    float operator()(std::span<const float> a, std::span<const float> b) const {
      return a[0] == b[0] ? std::numeric_limits<float>::quiet_NaN() : std::abs(a[0] - b[0]);
    }
  };
  hnsw_index<float, sometimes_nan> odd(4);
  odd.add(data.keys, data.view());
  for (std::size_t q = 0; q < 10; ++q) {
    for (const auto& found :
         {exact.search(data.view()[q], {.k = 300}), index.search(data.view()[q], {.k = 300, .ef = 300}),
          odd.search(data.view()[q], {.k = 300, .ef = 300})}) {
      CHECK(std::is_sorted(found.begin(), found.end()));
      for (const auto& n : found) CHECK_FALSE(std::isnan(n.distance));
    }
  }
}

TEST_CASE("numbers far too large are errors or are taken for what there is") {
  const test::dataset<float> data(50, 4, 45);
  hnsw_index<float> index(4);
  flat_index<float> exact(4);
  constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
  index.add(data.keys, data.view(), {.threads = huge / 2});
  exact.add(data.keys, data.view());
  CHECK(index.search(data.view()[0], {.k = huge, .ef = huge}).size() == 50);
  CHECK(index.search(data.view(), {.k = huge, .ef = huge, .threads = huge})[49].size() == 50);
  CHECK(exact.search(data.view(), {.k = huge, .threads = huge / 2 + 1})[49].size() == 50);
  CHECK_THROWS_AS(index.reserve(huge), error);
  CHECK_THROWS_AS(exact.reserve(huge / 2), error);
  CHECK_THROWS_AS((hnsw_index<float>(huge, hnsw_options{})), error);
  CHECK_THROWS_AS((flat_index<float>(huge / 4)), error);
  CHECK_THROWS_AS((flat_index<std::uint8_t, metrics::inner_product>(33026)), error);
  CHECK(flat_index<std::uint8_t, metrics::inner_product>(33025).dimension() == 33025);
  CHECK_THROWS_AS((hnsw_index<std::uint8_t>(66052)), error);
  std::error_code ec;
  index.add(data.keys, matrix_view<float>(data.values.data(), huge, 0), ec);
  CHECK(ec == errc::size_mismatch);
  CHECK_THROWS_AS(index.search(matrix_view<float>(data.values.data(), huge, 0)), error);
}

TEST_CASE("ties at the last answer go to the smallest keys") {
  hnsw_index<float> index(2);
  flat_index<float> exact(2);
  for (std::uint64_t key = 60; key-- > 0;) {
    const std::vector<float> row{key < 20 ? 1.0f : 2.0f, 0.0f};
    index.add(key * 7 % 60, row);
    exact.add(key * 7 % 60, row);
  }
  for (const std::size_t k : {1u, 3u, 19u, 20u, 21u, 40u, 60u}) {
    const std::vector<float> query{0.5f, 0.0f};
    CHECK(index.search(query, {.k = k, .ef = 60}) == exact.search(query, {.k = k}));
  }
}

TEST_CASE("single additions are found at once, among thousands of equal ones too") {
  test::dataset<float> data(900, 5, 46);
  for (std::size_t i = 0; i < data.rows; i += 2) {
    std::copy_n(data.values.begin(), 5, data.values.begin() + static_cast<std::ptrdiff_t>(i * 5));
  }
  hnsw_index<float> index(5, {.M = 4, .ef_construction = 40});
  index.add(std::span(data.keys).first(800), data.view(0, 800));
  for (std::size_t i = 801; i < 900; i += 2) {
    index.add(data.keys[i], data.view()[i]);
    CHECK(index.search(data.view()[i], {.k = 1, .ef = 40})[0].key == data.keys[i]);
  }
}
