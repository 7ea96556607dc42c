#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/engine/adaptive_search.hpp>
#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../failing_resource.hpp"
#include "../../index_support.hpp"
#include "../../support.hpp"
#include "../../temporary_path.hpp"
#include "packed_support.hpp"

using namespace alidade;
using test::packed_check;
using test::packed_copy;
using test::packed_floats;
using test::packed_graph_options;
using test::packed_same;
using test::packed_source;
using test::packed_span;

namespace {

/// A metric that files have no name for, and one with a name of its own.
struct packed_nameless {
  float operator()(std::span<const float> a, std::span<const float> b) const {
    float sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += weight * (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
  }
  float weight = 1;
};
struct packed_weighted : packed_nameless {
  static constexpr std::string_view name = "weighted";
};

template <class Index>
constexpr bool packed_can_be_saved = requires(const Index& index) {
  index.save("a");
};

}  // namespace

TEST_CASE("a packed index answers as the index it was made from: floats") {
  for (const std::size_t rows : {0u, 1u, 2u, 100u, 560u}) {
    packed_check<float, metrics::l2_squared>(rows, 20);
    packed_check<float, metrics::l2_squared, codecs::pca4>(rows, 20);
  }
}

TEST_CASE("codes of any width are packed") {
  for (const std::size_t code_bytes : {128u, 192u}) {
    const packed_floats<metrics::l2_squared, codecs::pca4> source(520, 130, 602, packed_graph_options,
                                                                  {.code_bytes = code_bytes});
    const auto packed = source.index.pack();
    CHECK(packed_same(source.index, packed, source));
    const auto bytes = packed_copy(packed);
    CHECK(packed_same(source.index, decltype(packed.open({}))::open(packed_span(bytes)), source));
  }
}

TEST_CASE("the widest search of a packed index is exact, of equal vectors too") {
  packed_floats<> source(300, 4);
  std::vector<float> equal(300 * 4, 0.5f);
  std::vector<std::uint64_t> keys(300);
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = 200'000 + 3 * i;
  source.index.add(keys, {equal.data(), 300, 4});
  const auto packed = source.index.pack();
  for (const std::size_t q : {0u, 100u, 299u}) {
    std::vector<neighbor<float>> exact(600);
    std::error_code ec;
    CHECK(source.index.search_exact(source.view()[q], 600, exact, ec) == 600);
    CHECK(packed.search(source.view()[q], {.k = 600, .ef = 600}) == exact);
  }
  const auto found = packed.search(std::span(equal).first(4), {.k = 300, .ef = 600});
  CHECK(found.size() == 300);
  CHECK(found.front().key == 200'000);
  CHECK(found.back().key == 200'000 + 3 * 299);
}

TEST_CASE("the same vectors give the same image, whatever the threads") {
  const packed_floats<metrics::l2_squared, codecs::pca4> source(600, 9);
  for (const node_order order : {node_order::windowed, node_order::breadth_first}) {
    const auto slots = detail::order_of(detail::packed_graph(), order, nullptr);
    CHECK(slots.empty());
  }
  hnsw_index<float, metrics::l2_squared, codecs::pca4> other(9, packed_graph_options);
  other.add(std::span(source.keys).first(301), {source.values.data(), 301, 9}, {.threads = 3});
  other.add(std::span(source.keys).subspan(301), {source.values.data() + 301 * 9, 299, 9}, {.threads = 2});
  const auto image = source.index.pack(), same = other.pack();
  CHECK(image.image().size() == same.image().size());
  CHECK(std::memcmp(image.image().data(), same.image().data(), image.image().size()) == 0);
}

TEST_CASE("an order is of all nodes, and depends on links alone") {
  detail::hnsw_graph graph(2);
  graph.reserve(6, 0);
  for (int i = 0; i < 6; ++i) graph.append(0);
  const auto set = [&](std::size_t from, std::vector<std::uint32_t> to) {
    for (std::size_t i = 0; i < to.size(); ++i) graph.links(0, from)[i] = {to[i], detail::edge_rank::kept};
  };
  graph.set_entry_point(3);
  set(3, {5, 1});
  set(5, {3, 0});
  set(1, {5});
  set(4, {2});
  const auto order = detail::breadth_first_order(graph, nullptr);
  CHECK(std::vector<std::uint32_t>(order.begin(), order.end()) ==
        std::vector<std::uint32_t>{3, 5, 1, 0, 2, 4});
  // Both 1 and 0 have one link from those before, 0 from the latest.
  const auto windowed = detail::order_of(graph, node_order::windowed, nullptr);
  CHECK(std::vector<std::uint32_t>(windowed.begin(), windowed.end()) ==
        std::vector<std::uint32_t>{3, 5, 0, 1, 2, 4});
  const auto given = detail::order_of(graph, node_order::as_given, nullptr);
  CHECK(std::vector<std::uint32_t>(given.begin(), given.end()) ==
        std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("a file that cannot be written leaves what was there") {
  const packed_floats<> source(50, 6), other(60, 6, 605);
  const test::temporary_path path;
  source.index.pack().save(path.name());
  const std::string before = path.read();
  CHECK(before.size() == source.index.pack().image().size());
  std::error_code ec;
  other.index.pack().save("/tmp/alidade_there_is_no_such_folder/index", ec);
  CHECK(ec);
  CHECK_THROWS_AS(other.index.pack().save("/tmp/alidade_there_is_no_such_folder/index"), error);
  // What is mapped stays as it is when its file is replaced.
  const auto mapped = packed_index<float>::map(path.name());
  other.index.pack().save(path.name(), ec);
  CHECK_FALSE(ec);
  CHECK(path.read() != before);
#if ALIDADE_HAS_MMAP
  CHECK(mapped.memory_bytes() < before.size());
#endif
  CHECK(packed_same(source.index, mapped, source));
  CHECK(packed_same(other.index, packed_index<float>::map(path.name()), other));
  // And may be written over itself.
  const auto again = packed_index<float>::map(path.name());
  again.save(path.name());
  CHECK(packed_same(other.index, packed_index<float>::map(path.name()), other));
}

TEST_CASE("files that are missing, empty or no index are errors") {
  std::error_code ec;
  CHECK(packed_index<float>::map("/tmp/alidade_there_is_no_such_file", {}, {}, ec).empty());
  CHECK(ec == std::errc::no_such_file_or_directory);
  CHECK_THROWS_AS(packed_index<float>::map("/tmp/alidade_there_is_no_such_file"), error);
  const test::temporary_path path;
  path.write("");
  CHECK(packed_index<float>::map(path.name(), {}, {}, ec).empty());
  CHECK(ec == errc::corrupted_data);
  path.write(std::string(1000, 'x'));
  CHECK(packed_index<float>::map(path.name(), {}, {}, ec).empty());
  CHECK(ec == errc::wrong_format);
}

TEST_CASE("an index of nothing answers nothing") {
  const packed_index<float> nothing;
  CHECK(nothing.empty());
  CHECK(nothing.dimension() == 0);
  CHECK(nothing.image().empty());
  std::error_code ec;
  CHECK(nothing.search(std::vector<float>{1, 2}, {}, ec).empty());
  CHECK(ec == errc::dimension_mismatch);
  CHECK_FALSE(nothing.contains(0));
  CHECK(nothing.stats().levels == 0);
  nothing.save("/tmp/alidade_nothing_is_saved", ec);
  CHECK(ec == errc::invalid_option);
  CHECK_FALSE(test::temporary_path::exists("/tmp/alidade_nothing_is_saved"));
}

TEST_CASE("bad queries of a packed index are refused as by others") {
  const packed_floats<metrics::cosine> source(40, 3);
  const auto packed = source.index.pack();
  std::error_code ec;
  std::vector<neighbor<float>> out(10);
  CHECK(packed.search(std::vector<float>{1, 2}, {}, out, ec) == 0);
  CHECK(ec == errc::dimension_mismatch);
  CHECK(packed.search(std::vector<float>{0, 0, 0}, {}, out, ec) == 0);
  CHECK(ec == errc::zero_norm);
  CHECK(packed.search(source.view()[0], {.k = 11}, out, ec) == 0);
  CHECK(ec == errc::size_mismatch);
  CHECK(packed.search(source.view()[0], {.k = 0}, out, ec) == 0);
  CHECK(ec == errc::invalid_option);
  CHECK_THROWS_AS(packed.search(std::vector<float>{0, 0, 0}), error);
}

TEST_CASE("all memory of a packed index is its resource's, and where that is exhausted nothing is left") {
  test::failing_resource memory;
  {
    packed_floats<metrics::l2_squared, codecs::pca4> source(600, 8, 606,
                                                            test::in_memory(memory, packed_graph_options));
    source.index.trim();
    const std::size_t before = memory.bytes();
    std::size_t failures = 0;
    for (std::size_t n = 1;; ++n) {
      std::error_code ec;
      memory.fail_at(n);
      auto packed = source.index.pack({}, ec);
      memory.fail_at(0);
      if (!ec) {
        CHECK(memory.bytes() - before == packed.memory_bytes() - sizeof(packed));
        CHECK(packed.memory_bytes() > packed.image().size());
        CHECK(packed.options().memory == &memory);
        CHECK(packed_same(source.index, packed, source));
        source.index.trim();
        CHECK(packed.trim() > 0);
        CHECK(memory.bytes() - before == packed.memory_bytes() - sizeof(packed));
        break;
      }
      ++failures;
      CHECK(ec == errc::budget_exceeded);
      CHECK(packed.empty());
      CHECK(memory.bytes() == before);
    }
    CHECK(failures > 3);

    const auto bytes = packed_copy(source.index.pack());
    using index_type = packed_index<float, metrics::l2_squared, codecs::pca4>;
    failures = 0;
    for (std::size_t n = 1;; ++n) {
      std::error_code ec;
      memory.fail_at(n);
      auto opened = index_type::open(packed_span(bytes), {.memory = &memory}, {}, ec);
      memory.fail_at(0);
      if (!ec) {
        CHECK(memory.bytes() - before == opened.memory_bytes() - sizeof(opened));
        CHECK(opened.memory_bytes() < bytes.size());
        break;
      }
      ++failures;
      CHECK(ec == errc::budget_exceeded);
      CHECK(memory.bytes() == before);
    }
    CHECK(failures > 1);
    memory.fail_at(1);
    CHECK_THROWS_AS(source.index.pack(), memory_pool_exhausted);
    memory.fail_at(0);
    CHECK(memory.bytes() == before);
  }
  CHECK(memory.bytes() == 0);
}

TEST_CASE("a packed index outlives the one it was made from, and moves") {
  using index_type = packed_index<float, metrics::l2_squared, codecs::pca4>;
  const packed_floats<metrics::l2_squared, codecs::pca4> source(560, 8), other(40, 8);
  index_type packed;
  {
    const packed_floats<metrics::l2_squared, codecs::pca4> gone(560, 8);
    packed = gone.index.pack();
  }
  CHECK(packed_same(source.index, packed, source));
  index_type moved(std::move(packed));
  CHECK(packed_same(source.index, moved, source));
  packed = other.index.pack();
  CHECK(packed_same(other.index, packed, other));
  std::swap(packed, moved);
  CHECK(packed_same(source.index, packed, source));
  CHECK(packed_same(other.index, moved, other));
}

TEST_CASE("a metric of your own needs a name for files, and none otherwise") {
  static_assert(packed_can_be_saved<packed_index<float>>);
  static_assert(!packed_can_be_saved<packed_index<float, packed_nameless>>);
  static_assert(packed_can_be_saved<packed_index<float, packed_weighted>>);
  const test::dataset<float> data(80, 5, 607);
  hnsw_index<float, packed_nameless> nameless(5, packed_graph_options, {3.0f});
  nameless.add(data.keys, data.view());
  const auto packed = nameless.pack();
  CHECK(packed.search(data.view()[3], {.k = 9}) == nameless.search(data.view()[3], {.k = 9}));
  // It need not be assignable.
  const auto times = [factor = 2.0f](std::span<const float> a, std::span<const float> b) {
    return factor * a[0] * b[0];
  };
  hnsw_index<float, std::remove_const_t<decltype(times)>> by_lambda(5, packed_graph_options, times);
  by_lambda.add(data.keys, data.view());
  CHECK(by_lambda.pack().search(data.view()[3], {.k = 9}) == by_lambda.search(data.view()[3], {.k = 9}));
  packed_weighted three;
  three.weight = 3;
  hnsw_index<float, packed_weighted> weighted(5, packed_graph_options, three);
  weighted.add(data.keys, data.view());
  const auto bytes = packed_copy(weighted.pack());
  const auto opened = packed_index<float, packed_weighted>::open(packed_span(bytes), {}, three);
  CHECK(opened.search(data.view()[3], {.k = 9}) == nameless.search(data.view()[3], {.k = 9}));
  std::error_code ec;
  static_cast<void>(packed_index<float>::open(packed_span(bytes), {}, {}, ec));
  CHECK(ec == errc::wrong_format);
}

TEST_CASE("an adaptive search runs over a packed index as over another") {
  const packed_floats<> source(700, 8);
  const auto packed = source.index.pack();
  const adaptive_search_options options{
      .target = search_target::recall_at_least(0.9), .max_ef = 100, .default_ef = 40, .warm_up = 300};
  adaptive_search engine(source.index, options);
  adaptive_search packed_engine(packed, options);
  bool same = true;
  for (std::size_t q = 0; q < 700; ++q)
    same = same && engine.search(source.view()[q]) == packed_engine.search(source.view()[q]);
  CHECK(same);
}

TEST_CASE("threads search a packed index side by side, while scratch is trimmed") {
  const packed_floats<metrics::l2_squared, codecs::pca4> source(600, 8);
  auto packed = source.index.pack();
  test::check_side_by_side(packed, source.index, source.view());
}

TEST_CASE("doubles beyond any float are packed with their codes") {
  packed_source<double, metrics::l2_squared, codecs::none> numbers(600, 8);
  for (double& x : numbers.values) x *= 1e300;
  hnsw_index<double, metrics::l2_squared, codecs::pca4> index(8, packed_graph_options);
  index.add(numbers.keys, numbers.view());
  const auto packed = index.pack();
  CHECK_FALSE(packed.image().empty());
  const auto bytes = packed_copy(packed);
  CHECK(decltype(index.pack())::open(packed_span(bytes)).size() == 600);
}

TEST_CASE("vectors of which sums overflow are given codes, and packed") {
  for (const double size : {5e37, 3.4e38, 1e300}) {
    packed_source<double, metrics::l2_squared, codecs::none> numbers(600, 200);
    for (double& x : numbers.values) x = std::clamp(x, -1.0, 1.0) * size;
    hnsw_index<double, metrics::l2_squared, codecs::pca4> index(200, packed_graph_options);
    index.add(numbers.keys, numbers.view());
    CHECK_FALSE(index.pack().image().empty());
  }
}
