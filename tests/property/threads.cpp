#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include <alidade/config/compiler.hpp>
#include <alidade/index/hnsw_index.hpp>

#include "../support.hpp"

using namespace alidade;

TEST_CASE("concurrent searches answer like searches one after the other") {
  const test::dataset<float> data(1500, 12, 21);
  hnsw_index<float> index(12, {.M = 8, .ef_construction = 50});
  index.add(data.keys, data.view(), {.threads = 4});
  const auto expected = index.search(data.view(), {.k = 5, .ef = 20, .threads = 1});
  for (const std::size_t threads : {2u, 4u, 7u}) {
    const auto found = index.search(data.view(), {.k = 5, .ef = 20, .threads = threads});
    bool equal = true;
    for (std::size_t q = 0; q < data.rows; ++q) {
      equal = equal && std::equal(found[q].begin(), found[q].end(), expected[q].begin(), expected[q].end());
    }
    CHECK(equal);
  }
#if ALIDADE_HAS_THREADS
  std::vector<std::thread> searchers;
  std::vector<int> equal(4, 1);
  for (std::size_t t = 0; t < equal.size(); ++t) {
    searchers.emplace_back([&, t] {
      for (std::size_t q = t; q < data.rows; q += equal.size()) {
        const auto found = index.search(data.view()[q], {.k = 5, .ef = 20});
        if (!std::equal(found.begin(), found.end(), expected[q].begin(), expected[q].end())) equal[t] = 0;
      }
    });
  }
  for (auto& searcher : searchers) searcher.join();
  for (const int e : equal) CHECK(e == 1);
#endif
}
