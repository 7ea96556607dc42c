#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include <alidade/index/hnsw_index.hpp>

#include "../../support.hpp"

namespace {

using namespace alidade;

struct progress_rows {
  std::vector<float> values;
  std::vector<std::uint64_t> keys;

  progress_rows(std::size_t count, std::uint64_t first_key) : values(count * 8) {
    test::random r(static_cast<std::uint32_t>(first_key));
    for (float& x : values) x = r.normal();
    for (std::size_t i = 0; i < count; ++i) keys.push_back(first_key + i);
  }
  matrix_view<float> all() const { return {values.data(), keys.size(), 8}; }
};

constexpr hnsw_options progress_graph{.M = 6, .ef_construction = 30};

}  // namespace

TEST_CASE("an addition tells how far it is") {
  for (const std::size_t threads : {1u, 3u}) {
    for (const std::size_t count : {1u, 2u, 17u, 1500u}) {
      CAPTURE(threads);
      CAPTURE(count);
      const progress_rows first(300, 0), rows(count, 1000);
      hnsw_index<float> plain(8, progress_graph), index(8, progress_graph);
      for (auto* i : {&plain, &index}) i->add(first.keys, first.all());
      plain.add(rows.keys, rows.all());
      const auto caller = std::this_thread::get_id();
      std::vector<std::size_t> told;
      bool in_caller = true;
      index.add(rows.keys, rows.all(),
                {.threads = threads, .progress = [&](std::size_t done, std::size_t all) {
                   CHECK(all == count);
                   in_caller &= std::this_thread::get_id() == caller;
                   told.push_back(done);
                   return true;
                 }});
      CHECK(in_caller);
      REQUIRE(!told.empty());
      CHECK(told.back() == count);
      for (std::size_t i = 1; i < told.size(); ++i) CHECK(told[i - 1] < told[i]);
      if (count == 1500) CHECK(told.size() > 20);
      CHECK(index.graph_checksum() == plain.graph_checksum());
    }
  }
}

TEST_CASE("an addition that is cancelled leaves the index as it was") {
  const auto check = [](auto make) {
    for (const std::size_t threads : {1u, 2u}) {
      for (const std::size_t end : {1u, 40u, 399u, 700u}) {
        CAPTURE(threads);
        CAPTURE(end);
        const progress_rows first(600, 0), rows(700, 1000);
        auto index = make(), other = make();
        index.add(first.keys, first.all());
        other.add(first.keys, first.all());
        const std::uint64_t before = index.graph_checksum();
        std::error_code ec;
        std::size_t after_the_end = 0;
        const auto until = [&](std::size_t done, std::size_t) {
          after_the_end += static_cast<std::size_t>(done > end);
          return done < end;
        };
        CHECK(index.add(rows.keys, rows.all(), {.threads = threads, .progress = until}, ec) == error::no_row);
        CHECK(ec == errc::cancelled);
        CHECK(after_the_end <= 1);
        CHECK(index.size() == 600);
        CHECK(index.graph_checksum() == before);
        CHECK_FALSE(index.contains(1000));
        CHECK_THROWS_AS(index.add(rows.keys, rows.all(), {.threads = threads, .progress = until}), error);
        CHECK(index.graph_checksum() == before);
        // As if it had never been asked.
        index.add(rows.keys, rows.all());
        other.add(rows.keys, rows.all());
        CHECK(index.graph_checksum() == other.graph_checksum());
        for (std::size_t i = 0; i < 20; ++i)
          CHECK(index.search(rows.all()[i]) == other.search(rows.all()[i]));
      }
    }
  };
  check([] { return hnsw_index<float>(8, progress_graph); });
  check([] { return hnsw_index<float, metrics::l2_squared, codecs::pca4>(8, progress_graph); });
}

TEST_CASE("the first addition can be cancelled, and what watches may throw") {
  const progress_rows rows(500, 0);
  hnsw_index<float> index(8, progress_graph), other(8, progress_graph);
  std::error_code ec;
  index.add(rows.keys, rows.all(), {.progress = [](std::size_t, std::size_t) { return false; }}, ec);
  CHECK(ec == errc::cancelled);
  CHECK(index.empty());
  CHECK(index.search(rows.all()[0]).empty());
  const auto throwing = [](std::size_t done, std::size_t) -> bool {
    if (done > 100) throw std::runtime_error("enough");
    return true;
  };
  CHECK_THROWS_AS(index.add(rows.keys, rows.all(), {.threads = 2, .progress = throwing}), std::runtime_error);
  CHECK(index.empty());
  index.add(rows.keys, rows.all());
  other.add(rows.keys, rows.all());
  CHECK(index.graph_checksum() == other.graph_checksum());
}
