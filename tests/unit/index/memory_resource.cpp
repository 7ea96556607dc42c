#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_pool.hpp>
#include <alidade/memory/memory_pool_synchronized.hpp>

#include "../../counting_new.hpp"
#include "../../failing_resource.hpp"
#include "../../index_support.hpp"
#include "../../support.hpp"

using namespace alidade;
using test::bytes_beside_itself;
using test::failing_resource;
using test::in_memory;

namespace {

constexpr hnsw_options small_graph{.M = 4, .ef_construction = 20};

/// What can be told of an index from outside.
struct image {
  std::size_t size;
  std::uint64_t checksum;
  std::vector<neighbor<float>> found;

  image(const hnsw_index<float>& index, const test::dataset<float>& data)
      : size(index.size()),
        checksum(index.graph_checksum()),
        found(index.search(data.view()[0], {.k = 300, .ef = 300})) {}
  bool operator==(const image&) const = default;
};

}  // namespace

TEST_CASE_TEMPLATE("an index has all of its memory from its resource, counted to the byte", Pool, memory_pool,
                   synchronized_memory_pool, checked_memory_pool) {
  const test::dataset<float> data(1500, 24, 51);
  failing_resource upstream;
  {
    Pool pool({.byte_limit = 100'000'000}, &upstream);
    hnsw_index<float> expected(24, small_graph);
    expected.add(std::span(data.keys).first(1000), data.view(0, 1000));
    std::vector<neighbor<float>> out(10), again(10);
    std::error_code ec;
    const std::size_t before = test::allocations().calls;
    {
      hnsw_index<float> index(24, in_memory(pool, small_graph));
      CHECK(pool.stats().used_bytes == 0);
      index.reserve(500);
      index.add(std::span(data.keys).first(1000), data.view(0, 1000));
      CHECK(index.graph_checksum() == expected.graph_checksum());
      CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
      for (std::size_t i = 1000; i < 1500; ++i) {
        index.add(data.keys[i], data.view()[i]);
        index.search(data.view()[i], {.ef = 10 + i % 300}, out, ec);
        CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
      }
      // One search of the same width twice: the second allocates nothing at all.
      const std::size_t allocations = pool.stats().allocations;
      index.search(data.view()[3], {.ef = 200}, again, ec);
      CHECK(pool.stats().allocations == allocations);

      const std::size_t held = pool.stats().used_bytes;
      const std::size_t given_back = index.trim();
      CHECK(given_back > 0);
      CHECK(pool.stats().used_bytes == held - given_back);
      CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
      CHECK(index.trim() == 0);
      const std::size_t reserved = pool.reserved_bytes();
      CHECK(pool.trim() > 0);
      CHECK(pool.reserved_bytes() < reserved);
      CHECK(upstream.bytes() == pool.reserved_bytes());

      index.search(data.view()[3], {.ef = 200}, out, ec);
      CHECK_FALSE(ec);
      CHECK(out == again);
      CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
    }
    CHECK(test::allocations().calls == before);
    CHECK(pool.stats().used_bytes == 0);
    pool.trim();
    CHECK(pool.reserved_bytes() == 0);
  }
  CHECK(upstream.bytes() == 0);
}

TEST_CASE("threads that add and search at once share a pool") {
  const test::dataset<float> data(1200, 16, 52);
  hnsw_index<float> expected(16, small_graph);
  expected.add(std::span(data.keys).first(700), data.view(0, 700));
  expected.add(std::span(data.keys).last(500), data.view(700, 500));
  const auto answers = expected.search(data.view(), {.k = 5, .ef = 30});

  synchronized_memory_pool pool;
  flat_index<float> exact(16, {.memory = &pool});
  hnsw_index<float> index(16, in_memory(pool, small_graph));
  index.add(std::span(data.keys).first(700), data.view(0, 700), {.threads = 4});
  index.add(std::span(data.keys).last(500), data.view(700, 500), {.threads = 4});
  CHECK(index.graph_checksum() == expected.graph_checksum());
  const auto found = index.search(data.view(), {.k = 5, .ef = 30, .threads = 4});
  bool equal = true;
  for (std::size_t q = 0; q < data.rows; ++q)
    equal = equal && std::equal(found[q].begin(), found[q].end(), answers[q].begin(), answers[q].end());
  CHECK(equal);
  exact.add(data.keys, data.view());
  CHECK(exact.search(data.view(), {.k = 3, .threads = 4})[7][0].key == data.keys[7]);
  CHECK(pool.stats().used_bytes == bytes_beside_itself(index) + bytes_beside_itself(exact));
  index.trim();
  CHECK(pool.stats().used_bytes == bytes_beside_itself(index) + bytes_beside_itself(exact));
}

TEST_CASE("scratch may be trimmed while threads search") {
#if ALIDADE_HAS_THREADS
  const test::dataset<float> data(600, 8, 53);
  synchronized_memory_pool pool;
  hnsw_index<float> index(8, in_memory(pool, small_graph));
  index.add(data.keys, data.view());
  const auto expected = index.search(data.view(), {.k = 5, .ef = 30});
  std::atomic<bool> equal{true};
  {
    std::vector<std::thread> searchers;
    for (int t = 0; t < 3; ++t) {
      searchers.emplace_back([&] {
        for (std::size_t q = 0; q < data.rows; ++q) {
          const auto found = index.search(data.view()[q], {.k = 5, .ef = 30});
          if (!std::equal(found.begin(), found.end(), expected[q].begin(), expected[q].end())) equal = false;
        }
      });
    }
    for (int i = 0; i < 200; ++i) index.trim();
    for (auto& searcher : searchers) searcher.join();
  }
  CHECK(equal);
  index.trim();
  CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
#endif
}

TEST_CASE("whichever allocation of an addition fails, the index is as it was and can go on") {
  const test::dataset<float> data(300, 6, 54);
  const auto first = std::span(data.keys).first(150), second = std::span(data.keys).last(150);
  hnsw_index<float> expected(6, small_graph);
  expected.add(first, data.view(0, 150));
  const image before(expected, data);
  expected.add(second, data.view(150, 150));
  for (const std::size_t threads : {1u, 3u}) {
    std::error_code ec = errc::budget_exceeded;
    for (std::size_t n = 1; ec; ++n) {
      failing_resource memory;
      hnsw_index<float> index(6, in_memory(memory, small_graph));
      index.add(first, data.view(0, 150));
      memory.fail_at(n);
      const std::size_t result = index.add(second, data.view(150, 150), {.threads = threads}, ec);
      CHECK(memory.bytes() == bytes_beside_itself(index));
      memory.fail_at(0);
      if (ec) {
        CHECK(ec == errc::budget_exceeded);
        CHECK(result == error::no_row);
        CHECK(image(index, data) == before);
        CHECK_FALSE(index.contains(data.keys[200]));
        index.add(second, data.view(150, 150), {.threads = threads});
      }
      CHECK(index.graph_checksum() == expected.graph_checksum());
    }
  }
}

TEST_CASE("so it is when vectors come one by one, from the first") {
  const test::dataset<float> data(140, 6, 55);
  hnsw_index<float> expected(6, small_graph);
  failing_resource memory;
  hnsw_index<float> index(6, in_memory(memory, small_graph));
  std::size_t failures = 0;
  for (std::size_t i = 0; i < data.rows; ++i) {
    const image before(expected, data);
    expected.add(data.keys[i], data.view()[i]);
    for (std::size_t n = 1;; ++n) {
      memory.fail_at(n);
      try {
        index.add(data.keys[i], data.view()[i]);
        break;
      } catch (const memory_pool_exhausted& e) {
        CHECK(e.code() == errc::budget_exceeded);
        ++failures;
      }
      memory.fail_at(0);
      CHECK(image(index, data) == before);
      if (n % 4 == 0) index.trim();
    }
    memory.fail_at(0);
    CHECK(index.graph_checksum() == expected.graph_checksum());
  }
  CHECK(failures > 5 * data.rows);
  CHECK(memory.bytes() == bytes_beside_itself(index));
}

TEST_CASE("whatever the limit of its pool, an index holds whole additions and answers from them") {
  const test::dataset<float> data(600, 20, 56);
  const auto piece = [&](auto& index, std::size_t i, std::error_code& ec) {
    index.add(std::span(data.keys).subspan(i * 60, 60), data.view(i * 60, 60), ec);
  };
  std::vector<image> expected;
  hnsw_index<float> reference(20, small_graph);
  std::error_code ec;
  for (std::size_t i = 0; i < 10; ++i) {
    expected.emplace_back(reference, data);
    piece(reference, i, ec);
  }
  std::vector<std::size_t> held(10, 0);
  for (std::size_t limit = 1000; limit < 400'000; limit += limit / 8) {
    memory_pool pool({.byte_limit = limit});
    hnsw_index<float> index(20, in_memory(pool, small_graph));
    ec.clear();
    std::size_t pieces = 0;
    for (; pieces < 10 && !ec; ++pieces) piece(index, pieces, ec);
    if (!ec) break;
    CHECK(ec == errc::budget_exceeded);
    ++held[pieces - 1];
    CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
    CHECK(pool.reserved_bytes() <= limit);
    index.trim();
    pool.trim();
    const image& as_it_was = expected[pieces - 1];
    CHECK(index.size() == as_it_was.size);
    CHECK(index.graph_checksum() == as_it_was.checksum);
    const auto found = index.search(data.view()[0], {.k = 5, .ef = 5}, ec);
    if (!ec) CHECK(std::equal(found.begin(), found.end(), as_it_was.found.begin()));
  }
  CHECK(std::count(held.begin(), held.end(), std::size_t{0}) < 5);
}

TEST_CASE("an addition that fails gives back what it had made room for") {
  const test::dataset<float> data(2000, 256, 57);
  memory_pool pool({.byte_limit = 2'300'000});  // for the rows, not for their links too
  hnsw_index<float> index(256, in_memory(pool, {.ef_construction = 20}));
  index.add(std::span(data.keys).first(100), data.view(0, 100));
  const std::size_t before = pool.stats().used_bytes;
  CHECK_THROWS_AS(index.add(std::span(data.keys).last(1900), data.view(100, 1900)), memory_pool_exhausted);
  CHECK(pool.stats().peak_bytes > 2'000'000);
  CHECK(pool.stats().used_bytes < before + std::size_t{1900} * 24);  // keys
  CHECK_THROWS_AS(index.reserve(2000), memory_pool_exhausted);
  CHECK(pool.stats().used_bytes < before + std::size_t{1900} * 24);
}

TEST_CASE("a search that finds the pool exhausted says so, and the index answers when there is room") {
  const test::dataset<float> data(3000, 12, 58);
  failing_resource memory;
  hnsw_index<float> index(12, in_memory(memory, small_graph));
  index.add(data.keys, data.view());
  const search_options wide{.k = 10, .ef = 3000};
  const auto expected = index.search(data.view()[1], wide);
  CHECK(test::check_search_out_of_memory(index, memory, data.view(), wide) >= 6);

  std::vector<neighbor<float>> out(10);
  std::error_code ec;
  memory_pool pool({.byte_limit = 3'000'000});
  hnsw_index<float> pooled(12, in_memory(pool, small_graph));
  pooled.add(data.keys, data.view());
  pooled.trim();
  std::vector<void*> rest;
  for (std::size_t size = 65536; size >= 8; size /= 2) {
    while (void* const block = pool.allocate(size, 8, ec)) rest.push_back(block);
    rest.push_back(nullptr);
  }
  CHECK(pooled.search(data.view()[1], wide, out, ec) == 0);
  CHECK(ec == errc::budget_exceeded);
  std::size_t size = 65536;
  for (void* const block : rest) {
    if (block == nullptr) {
      size /= 2;
    } else {
      pool.deallocate(block, size, 8);
    }
  }
  CHECK(pooled.search(data.view()[1], wide, out, ec) == 10);
  CHECK(out == expected);
}

TEST_CASE("a moved index stays with its resource, and what it replaces goes back to its own") {
  const test::dataset<float> data(200, 8, 59);
  memory_pool pool, other;
  {
    hnsw_index<float> index(8, in_memory(pool, small_graph)), replaced(8, in_memory(other, small_graph)),
        of_new(8, small_graph);
    flat_index<float> exact(8, {.memory = &pool}), exact_replaced(8, {.memory = &other});
    index.add(data.keys, data.view());
    replaced.add(std::span(data.keys).first(50), data.view(0, 50));
    of_new.add(std::span(data.keys).first(20), data.view(0, 20));
    exact.add(data.keys, data.view());
    exact_replaced.add(data.keys, data.view());
    const std::size_t held = pool.stats().used_bytes;
    hnsw_index<float> moved(std::move(index));
    replaced = std::move(moved);
    exact_replaced = std::move(exact);
    CHECK(other.stats().used_bytes == 0);
    CHECK(pool.stats().used_bytes == held);
    CHECK(replaced.options().memory == &pool);
    CHECK(replaced.search(data.view()[9], {.k = 1})[0].key == data.keys[9]);
    CHECK(pool.stats().used_bytes == bytes_beside_itself(replaced) + bytes_beside_itself(exact_replaced));
    replaced = std::move(of_new);
    CHECK(pool.stats().used_bytes == bytes_beside_itself(exact_replaced));
    CHECK(replaced.size() == 20);
  }
  CHECK(pool.stats().used_bytes == 0);
}

TEST_CASE_TEMPLATE("an exact index has all of its memory from its resource", Pool, memory_pool,
                   synchronized_memory_pool, checked_memory_pool) {
  const test::dataset<float> data(700, 24, 60);
  failing_resource upstream;
  Pool pool({}, &upstream);
  flat_index<float> expected(24);
  expected.add(data.keys, data.view());
  {
    std::error_code ec;
    flat_index<float> index(24, {.memory = &pool}, {}, ec);
    CHECK_FALSE(ec);
    const std::size_t before = test::allocations().calls;
    index.add(data.keys, data.view());
    CHECK(test::allocations().calls == before);
    CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
    const std::size_t peak = pool.stats().peak_bytes;
    const auto found = index.search(data.view(0, 100), {.k = 4});
    CHECK(pool.stats().peak_bytes > peak);
    CHECK(pool.stats().used_bytes == bytes_beside_itself(index));
    const auto truth = expected.search(data.view(0, 100), {.k = 4});
    for (std::size_t q = 0; q < 100; ++q)
      CHECK(std::equal(found[q].begin(), found[q].end(), truth[q].begin(), truth[q].end()));
  }
  CHECK(pool.stats().used_bytes == 0);
}

TEST_CASE("an exact index that finds the pool exhausted is as it was") {
  const test::dataset<float> data(300, 24, 61);
  flat_index<float> expected(24);
  expected.add(std::span(data.keys).first(100), data.view(0, 100));
  const auto truth = expected.search(data.view()[3], {.k = 100});
  std::error_code ec = errc::budget_exceeded;
  for (std::size_t n = 1; ec; ++n) {
    failing_resource memory;
    flat_index<float> index(24, {.memory = &memory});
    index.add(std::span(data.keys).first(100), data.view(0, 100));
    memory.fail_at(n);
    index.add(std::span(data.keys).last(200), data.view(100, 200), ec);
    memory.fail_at(0);
    CHECK(index.size() == (ec ? 100 : 300));
    CHECK(memory.bytes() == bytes_beside_itself(index));
    if (!ec) continue;
    CHECK(ec == errc::budget_exceeded);
    CHECK(index.search(data.view()[3], {.k = 100}) == truth);
  }
  ec = errc::budget_exceeded;
  std::size_t failures = 0;
  for (std::size_t n = 1; ec; ++n) {
    failing_resource memory;
    flat_index<float> index(24, {.memory = &memory});
    index.add(std::span(data.keys).first(100), data.view(0, 100));
    memory.fail_at(n);
    const auto found = index.search(data.view(0, 50), {.k = 100}, ec);
    memory.fail_at(0);
    if (!ec) break;
    ++failures;
    CHECK(ec == errc::budget_exceeded);
    CHECK(found.empty());
    CHECK(index.search(data.view()[3], {.k = 100}) == truth);
  }
  CHECK(failures >= 8);
}
