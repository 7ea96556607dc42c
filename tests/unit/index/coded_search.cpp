#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/engine/adaptive_search.hpp>
#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../counting_new.hpp"
#include "../../failing_resource.hpp"
#include "../../index_support.hpp"
#include "../../support.hpp"

using namespace alidade;
using test::add_rows;
using test::answers_are_true;
using test::answers_of;
using test::count_lost;
using test::failing_resource;
using test::in_memory;
using test::index_image;
using test::keyed_rows;

namespace {

template <class T, class Metric = metrics::l2_squared>
using coded_index = hnsw_index<T, Metric, codecs::pca4>;

constexpr hnsw_options coded_graph{.M = 8, .ef_construction = 40};
constexpr hnsw_options coded_quick{.M = 6, .ef_construction = 24};
constexpr hnsw_options coded_thin{.M = 2, .ef_construction = 3};
constexpr hnsw_options coded_sparse{.M = 4, .ef_construction = 10};
constexpr std::size_t coded_least = 512;  // vectors from which on there are codes

struct coded_quality {
  double recall;
  bool is_true;
};

template <class T, class Metric>
coded_quality coded_quality_of(std::size_t dimension, float mean = 0, const codecs::pca4& codec = {},
                               std::size_t rows = 600) {
  const std::size_t count = 40;
  const keyed_rows<T> data(rows + count, dimension, 501, mean);
  coded_index<T, Metric> index(dimension, coded_graph, {}, codec);
  flat_index<T, Metric> flat(dimension);
  add_rows(index, data, 0, rows);
  flat.add(data.some_keys(0, rows), data.view(0, rows));
  const auto queries = data.view(rows, count);
  const auto found = index.search(queries, {.k = 10, .ef = 64});
  coded_quality quality{test::recall(found, flat.search(queries, {.k = 10}), count), true};
  for (std::size_t q = 0; q < count; ++q)
    quality.is_true =
        quality.is_true && found[q].size() == 10 && answers_are_true(found[q], flat, queries[q]);
  return quality;
}

/// Whether the widest search is exact search: for all k, to the bit, ties by key.
template <class T, class Metric>
bool coded_is_exact(const keyed_rows<T>& data) {
  coded_index<T, Metric> index(data.columns, coded_sparse);
  flat_index<T, Metric> flat(data.columns);
  add_rows(index, data, 0, data.rows);
  flat.add(data.keys, data.view());
  bool same = true;
  for (const std::size_t k : {std::size_t{1}, std::size_t{10}, std::size_t{65}, data.rows, data.rows + 7}) {
    for (std::size_t q = 0; q < data.rows; q += 67) {
      for (const std::size_t more : {0u, 1000u}) {
        const search_options options{.k = k, .ef = data.rows + more, .rerank = data.rows + more};
        same = same && index.search(data.view()[q], options) == flat.search(data.view()[q], {.k = k});
      }
    }
  }
  return same;
}

void coded_run_out(std::size_t columns, std::size_t before, std::size_t more, std::size_t threads,
                   std::size_t patience, const codecs::pca4& codec = {}) {
  test::check_addition_out_of_memory(502, columns, before, more, threads, patience, codec);
}

/// All vectors but a few find themselves, in searches by codes, and answers are true.
void coded_check_found(const keyed_rows<float>& data, const codecs::pca4& codec = {}, double share = 0.97) {
  coded_index<float> index(data.columns, coded_quick, {}, codec);
  flat_index<float> flat(data.columns);
  add_rows(index, data, 0, data.rows);
  flat.add(data.keys, data.view());
  const std::size_t step = std::max<std::size_t>(data.rows / 100, 1);
  CHECK(static_cast<double>(count_lost(index, data, 0, data.rows, {.k = 1, .ef = 64}, step) * step) <=
        (1 - share) * static_cast<double>(data.rows));
  for (std::size_t q = 0; q < data.rows; q += data.rows / 3) {
    const auto found = index.search(data.view()[q], {.k = 12, .ef = 40});
    CHECK(found.size() == 12);
    CHECK(answers_are_true(found, flat, data.view()[q]));
  }
}

}  // namespace

TEST_CASE("an index of too few vectors for codes answers like one without") {
  const keyed_rows<float> data(coded_least, 12, 510);
  coded_index<float, metrics::cosine> index(12, coded_graph);
  hnsw_index<float, metrics::cosine> plain(12, coded_graph);
  CHECK(index.search(data.view()[0]).empty());
  std::size_t rows = 0;
  for (const std::size_t more : {1u, 1u, 9u, 200u, 300u}) {
    add_rows(index, data, rows, more);
    add_rows(plain, data, rows, more);
    rows += more;
    for (const search_options& options : {search_options{.k = 1, .ef = 1}, search_options{.k = 10, .ef = 3},
                                          search_options{.k = 7, .ef = 30, .rerank = 9}}) {
      CHECK(answers_of(index, data, options) == answers_of(plain, data, options));
    }
    std::vector<neighbor<float>> out(10);
    std::error_code ec;
    counting_observer counts, plain_counts;
    index.search(data.view()[3], {}, out, ec, counts);
    plain.search(data.view()[3], {}, out, ec, plain_counts);
    CHECK(counts.hops == plain_counts.hops);
    CHECK(counts.distances == plain_counts.distances);
  }
  CHECK(rows == coded_least - 1);
  // The last one makes codes worth it.
  const std::size_t held = index.memory_bytes();
  add_rows(index, data, rows, 1);
  CHECK(index.memory_bytes() > held + coded_least * 64);
  CHECK(count_lost(index, data, 0, data.rows) == 0);
}

TEST_CASE("a graph built by codes is like one built by vectors, and the same for any number of threads") {
  const keyed_rows<float> data(1500, 10, 511);
  hnsw_index<float> plain(10, coded_graph);
  coded_index<float> index(10, coded_graph), again(10, coded_graph),
      wider(10, coded_graph, {}, {.code_bytes = 192, .seed = 7});
  for (const auto& [first, count] : {std::pair{0, 300}, std::pair{300, 300}, std::pair{600, 900}}) {
    add_rows(plain, data, static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    add_rows(index, data, static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    add_rows(again, data, static_cast<std::size_t>(first), static_cast<std::size_t>(count), 2);
    add_rows(wider, data, static_cast<std::size_t>(first), static_cast<std::size_t>(count), 3);
    CHECK(again.graph_checksum() == index.graph_checksum());
    // Until there are codes the graphs are one.
    CHECK((wider.graph_checksum() == plain.graph_checksum()) == (first == 0));
  }
  const graph_stats other = plain.stats();
  for (const graph_stats& coded : {index.stats(), wider.stats()}) {
    CHECK(coded.levels == other.levels);
    CHECK(coded.nodes_per_level == other.nodes_per_level);
    CHECK(coded.nodes_per_level[0] == 1500);
    CHECK(coded.mean_degree == doctest::Approx(other.mean_degree).epsilon(0.01));
    CHECK(coded.mean_kept_degree == doctest::Approx(other.mean_kept_degree).epsilon(0.02));
  }
}

TEST_CASE("a search by codes finds what exact search finds, and its distances are the metric's own") {
  const auto check = [](const coded_quality& quality) {
    CHECK(quality.recall >= 0.95);
    CHECK(quality.is_true);
  };
  SUBCASE("of floats") {
    check(coded_quality_of<float, metrics::l2_squared>(24));
    check(coded_quality_of<float, metrics::l2_squared>(24, 100));
    check(coded_quality_of<float, metrics::inner_product>(24));
    check(coded_quality_of<float, metrics::inner_product>(24, 30));
    check(coded_quality_of<float, metrics::inner_product>(24, -300));
    check(coded_quality_of<float, metrics::cosine>(24));
    check(coded_quality_of<float, metrics::cosine>(24, 3));
  }
  SUBCASE("of bytes") {
    check(coded_quality_of<std::uint8_t, metrics::l2_squared>(24));
    check(coded_quality_of<std::uint8_t, metrics::inner_product>(24));
    check(coded_quality_of<std::uint8_t, metrics::cosine>(24));
    check(coded_quality_of<std::int8_t, metrics::l2_squared>(24));
    check(coded_quality_of<std::int8_t, metrics::inner_product>(24));
  }
  SUBCASE("of halves and doubles") {
    check(coded_quality_of<f16, metrics::l2_squared>(24));
    check(coded_quality_of<f16, metrics::cosine>(24));
    check(coded_quality_of<bf16, metrics::inner_product>(24));
    check(coded_quality_of<double, metrics::l2_squared>(24));
    check(coded_quality_of<double, metrics::cosine>(24, 1));
  }
}

TEST_CASE("lengths and dimensions of their own scale are no trouble for codes") {
  // Cosine looks at directions only; under the others the long dimension decides.
  keyed_rows<float> data(800, 20, 512);
  test::random r(513);
  for (std::size_t i = 0; i < data.rows; ++i) {
    const float by = std::exp2(8 * r.uniform());
    for (float& x : data.row(i)) x *= by;
  }
  coded_index<float, metrics::cosine> index(20, coded_graph);
  flat_index<float, metrics::cosine> flat(20);
  add_rows(index, data, 0, 760);
  flat.add(data.some_keys(0, 760), data.view(0, 760));
  const auto queries = data.view(760, 40);
  CHECK(test::recall(index.search(queries), flat.search(queries), 40) >= 0.95);

  keyed_rows<float> stretched(700, 20, 514);
  for (std::size_t i = 0; i < stretched.rows; ++i) stretched.row(i)[3] *= 100;
  coded_check_found(stretched);
  for (float& x : stretched.values) x *= 1e-12f;
  coded_check_found(stretched);
  for (float& x : stretched.values) x *= 1e24f;
  coded_check_found(stretched);
}

TEST_CASE("a search by codes that is as wide as the index, and measures all, is exact") {
  CHECK(coded_is_exact<float, metrics::l2_squared>(keyed_rows<float>(600, 8, 515)));
  CHECK(coded_is_exact<float, metrics::inner_product>(keyed_rows<float>(600, 8, 516, 5)));
  CHECK(coded_is_exact<float, metrics::cosine>(keyed_rows<float>(530, 8, 517)));
  // Bytes of two values in four dimensions: many ties, also at the last answer.
  keyed_rows<std::uint8_t> ties(600, 4, 518);
  for (auto& x : ties.values) x = static_cast<std::uint8_t>(x & 1);
  CHECK(coded_is_exact<std::uint8_t, metrics::l2_squared>(ties));
  CHECK(coded_is_exact<std::uint8_t, metrics::inner_product>(ties));
}

TEST_CASE("a search by codes of any width, the largest number included, answers") {
  const keyed_rows<float> data(600, 8, 519);
  coded_index<float> index(8, coded_graph);
  flat_index<float> flat(8);
  add_rows(index, data, 0, data.rows);
  flat.add(data.keys, data.view());
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  const auto truth = flat.search(data.view()[5], {.k = 10});
  for (const std::size_t ef : {std::size_t{600}, std::size_t{100'000}, most / 2, most - 10, most - 5, most}) {
    for (const std::size_t rerank : {std::size_t{0}, std::size_t{600}, most})
      CHECK(index.search(data.view()[5], {.k = 10, .ef = ef, .rerank = rerank}) == truth);
    CHECK(index.search(data.view()[5], {.k = most, .ef = ef}).size() == 600);
  }
}

TEST_CASE("a search by codes that is narrower than k has its answers in order") {
  const keyed_rows<float> data(900, 16, 520);
  coded_index<float> index(16);
  flat_index<float> flat(16);
  add_rows(index, data, 0, data.rows);
  flat.add(data.keys, data.view());
  for (const std::size_t ef : {0u, 1u, 4u, 9u, 10u}) {
    for (const std::size_t rerank : {0u, 1u, 10u, 25u}) {
      for (std::size_t q = 0; q < data.rows; q += 90) {
        const auto found = index.search(data.view()[q], {.k = 10, .ef = ef, .rerank = rerank});
        CHECK(found.size() == 10);
        CHECK(answers_are_true(found, flat, data.view()[q]));
      }
    }
  }
  // Fewer to measure than answers count as so many.
  const auto expected = answers_of(index, data, {.k = 10, .ef = 20, .rerank = 10});
  for (const std::size_t rerank : {1u, 2u, 9u})
    CHECK(answers_of(index, data, {.k = 10, .ef = 20, .rerank = rerank}) == expected);
  // Those measured by default: k more than the width.
  CHECK(answers_of(index, data, {.k = 10, .ef = 20}) ==
        answers_of(index, data, {.k = 10, .ef = 20, .rerank = 30}));
}

TEST_CASE("a narrow search by codes in a sparse graph finds as many as are asked for") {
  const keyed_rows<float> data(700, 8, 521);
  for (const std::size_t m : {2u, 4u, 16u}) {
    coded_index<float> index(8, {.M = m, .ef_construction = 20});
    add_rows(index, data, 0, data.rows);
    for (const std::size_t k : {10u, 100u, 700u, 1000u}) {
      for (const std::size_t ef : {1u, 4u, 64u}) {
        std::size_t fewer = 0;
        for (std::size_t q = 0; q < data.rows; q += 35) {
          const std::size_t found = index.search(data.view()[q], {.k = k, .ef = ef}).size();
          fewer += static_cast<std::size_t>(found < std::min(k, data.rows));
        }
        CAPTURE(m);
        CAPTURE(k);
        CAPTURE(ef);
        CHECK(fewer == 0);
      }
    }
  }
}

TEST_CASE("to measure few candidates makes a search by codes no narrower") {
  const keyed_rows<float> data(1000, 24, 522);
  coded_index<float> index(24, coded_graph);
  add_rows(index, data, 0, data.rows);
  std::vector<neighbor<float>> out(10);
  std::error_code ec;
  counting_observer few, all;
  index.search(data.view()[7], {.k = 10, .ef = 100, .rerank = 10}, out, ec, few);
  index.search(data.view()[7], {.k = 10, .ef = 100, .rerank = 1000}, out, ec, all);
  CHECK(few.hops >= 100);
  CHECK(all.hops >= few.hops);
  CHECK(all.distances > few.distances);
}

TEST_CASE("answers of searches by codes depend on no number of threads, nor on the run") {
  const keyed_rows<float> data(900, 20, 523);
  const search_options narrow{.k = 5, .ef = 4, .rerank = 6};
  std::vector<neighbor<float>> expected;
  for (const std::size_t threads : {1u, 2u, 5u, 0u}) {
    coded_index<float> index(20, coded_sparse);
    add_rows(index, data, 0, 600, threads);
    add_rows(index, data, 600, 300, threads);
    const auto found = answers_of(index, data, narrow);
    if (expected.empty()) expected = found;
    CHECK(found == expected);
    CHECK(answers_of(index, data, narrow) == expected);
    // So it is for batches.
    for (const std::size_t searching : {1u, 4u}) {
      search_options options = narrow;
      options.threads = searching;
      const auto together = index.search(data.view(), options);
      std::vector<neighbor<float>> all;
      for (std::size_t q = 0; q < data.rows; q += 8)
        all.insert(all.end(), together[q].begin(), together[q].end());
      CHECK(all == expected);
    }
  }
  coded_index<float> reseeded(20, coded_sparse, {}, {.seed = 1});
  add_rows(reseeded, data, 0, 600);
  add_rows(reseeded, data, 600, 300);
  CHECK(answers_of(reseeded, data, narrow) != expected);
}

TEST_CASE("vectors that come one by one are found, as codes come into use and after") {
  const keyed_rows<float> data(700, 10, 524);
  coded_index<float> index(10, coded_graph), reserved(10, coded_graph);
  reserved.reserve(700);
  std::size_t lost = 0;
  for (std::size_t i = 0; i < data.rows; ++i) {
    index.add(data.keys[i], data.view()[i]);
    reserved.add(data.keys[i], data.view()[i]);
    if (i >= 500) lost += count_lost(index, data, i - i % 7, 1) + count_lost(index, data, i, 1);
    if (i == coded_least - 2 || i == coded_least - 1 || i == coded_least)
      CHECK(count_lost(index, data, 0, i + 1) <= 2);
  }
  CHECK(lost <= 2);
  CHECK(count_lost(index, data, 0, data.rows) <= 2);
  CHECK(answers_of(index, data, {.k = 3, .ef = 4}) == answers_of(reserved, data, {.k = 3, .ef = 4}));
}

TEST_CASE("what codes learn from is learnt anew when estimates of what comes are bad") {
  // The first vectors are all the same, so that nothing can be learnt. The others differ in the dimensions that a code of those drops.
  const std::size_t first = coded_least, rows = 4 * coded_least, dimension = 130;
  keyed_rows<float> data(rows, dimension, 525);
  for (std::size_t i = 0; i < rows; ++i)
    std::fill_n(data.row(i).begin(), i < first ? dimension : dimension - 10, 1.0f);
  const search_options narrow{.k = 1, .ef = 24, .rerank = 24};
  for (const std::size_t at_once : {rows - first, std::size_t{37}, std::size_t{1}}) {
    CAPTURE(at_once);
    coded_index<float> index(dimension, coded_sparse, {}, {.train_rows = 256});
    add_rows(index, data, 0, first);
    const std::size_t held = index.memory_bytes();
    for (std::size_t i = first; i < rows; i += at_once) add_rows(index, data, i, std::min(at_once, rows - i));
    CHECK(count_lost(index, data, first, rows - first, narrow, 16) < 10);
    CHECK(count_lost(index, data, rows - 10, 10) <= 2);
    CHECK(index.memory_bytes() < 5 * held);  // of the old codes nothing is left
  }
}

TEST_CASE("what codes learn from is learnt anew when there is eight times as much") {
  const std::size_t first = coded_least, rows = 8 * coded_least;
  const keyed_rows<float> data(rows, 12, 551);
  coded_index<float> index(12, coded_sparse);
  CHECK(index.code_stats().code_bytes == 0);
  CHECK(index.code_stats().learnt_from == 0);
  CHECK(index.code_stats().neighbor_place == 0);
  index.retrain();  // nothing to learn from
  add_rows(index, data, 0, first);
  CHECK(index.code_stats().learnt_from == first);
  add_rows(index, data, first, rows - 1 - first);
  CHECK(index.code_stats().learnt_from == first);
  index.add(data.keys[rows - 1], data.view()[rows - 1]);
  CHECK(index.code_stats().learnt_from == rows);
  CHECK(index.code_stats().code_bytes == 64);
}

TEST_CASE("drift shows in the stats of codes, and ends when they are learnt again") {
  // Ever more vectors, too few at a time to be looked at by themselves, differ in directions that the first do not.
  const std::size_t dimension = 160, first = 2400, rows = 3000;
  keyed_rows<float> data(rows, dimension, 558);
  for (std::size_t i = 0; i < rows; ++i) std::fill_n(data.row(i).begin() + 20, i < first ? 140 : 110, 0.5f);
  const auto check = [&](auto codec) {
    hnsw_index<float, metrics::l2_squared, decltype(codec)> index(dimension, coded_graph, {}, codec);
    add_rows(index, data, 0, first);
    const code_stats learnt = index.code_stats();
    CHECK(learnt.learnt_from == first);
    CHECK(learnt.neighbor_place == learnt.learnt_neighbor_place);
    CHECK(learnt.neighbor_place >= 10);
    CHECK(learnt.saturation >= 0);
    CHECK(learnt.saturation < 0.2);
    add_rows(index, data, first, 250);
    const code_stats drifted = index.code_stats();
    CHECK(drifted.learnt_from == first);
    CHECK(drifted.learnt_neighbor_place == learnt.learnt_neighbor_place);
    CHECK(drifted.neighbor_place >= learnt.neighbor_place);
    CHECK(index.code_stats(3).neighbor_place == drifted.neighbor_place);
    const std::uint64_t graph = index.graph_checksum();
    const std::size_t held = index.memory_bytes();
    index.retrain(2);
    const code_stats again = index.code_stats();
    CHECK(again.learnt_from == first + 250);
    CHECK(again.neighbor_place == again.learnt_neighbor_place);
    CHECK(again.neighbor_place <= drifted.neighbor_place);
    CHECK(index.graph_checksum() == graph);
    CHECK(index.memory_bytes() < held + held / 4);
    CHECK(count_lost(index, data, 0, first + 250, {.k = 1, .ef = 60}, 7) <= 6);
    // And the index goes on.
    add_rows(index, data, first + 250, rows - first - 250);
    CHECK(count_lost(index, data, first + 250, rows - first - 250, {.k = 1, .ef = 60}, 7) <= 3);
  };
  check(codecs::pca4{.code_bytes = 64});
  check(codecs::sq8{});
}

TEST_CASE("codes that cannot be learnt again for want of memory stay as they are") {
  const keyed_rows<float> data(900, 20, 559);
  for (const std::size_t threads : {1u, 3u}) {
    failing_resource memory;
    coded_index<float> index(20, in_memory(memory, coded_sparse));
    add_rows(index, data, 0, 600);
    add_rows(index, data, 600, 30);
    const index_image as_it_was(index, data);
    std::size_t held = 0;
    const auto retrain = [&](std::error_code& ec) {
      held = index.memory_bytes();
      index.retrain(threads, ec);
    };
    const std::size_t failures = test::run_out_of_memory(index, memory, 8, retrain, [&] {
      CHECK(index.memory_bytes() == held);
      CHECK(index.code_stats().learnt_from == 600);
      const bool same = index_image(index, data) == as_it_was;
      CHECK(same);
      return same;
    });
    CHECK(failures > 5);
    CHECK(index.code_stats().learnt_from == 630);
  }
}

TEST_CASE("vectors that come one by one are found when codes are learnt anew") {
  const std::size_t rows = 8 * coded_least + 6;
  const keyed_rows<float> data(rows, 6, 526);
  coded_index<float> index(6, {.M = 6, .ef_construction = 12});
  add_rows(index, data, 0, coded_least);
  add_rows(index, data, coded_least, rows - 12 - coded_least);
  for (std::size_t i = rows - 12; i < rows; ++i) {
    index.add(data.keys[i], data.view()[i]);
    CHECK(count_lost(index, data, 0, i + 1, {.k = 1, .ef = 60}, 101) <= 1);
    CHECK(count_lost(index, data, i, 1, {.k = 1, .ef = 60}) == 0);
  }
  CHECK(count_lost(index, data, 0, rows, {.k = 1, .ef = 60}, 7) <= 6);
}

TEST_CASE("clusters far apart, in one call or in several, are found by codes as by vectors") {
  const std::size_t clusters = 50, each = 30;
  keyed_rows<float> data(clusters * each, 12, 552);
  test::random r(553);
  for (std::size_t c = 0; c < clusters; ++c) {
    const auto centre = r.vector<float>(12);
    for (std::size_t i = c * each; i < (c + 1) * each; ++i) {
      for (std::size_t j = 0; j < 12; ++j) data.row(i)[j] += 30 * centre[j];
    }
  }
  for (const std::size_t calls : {std::size_t{1}, clusters}) {
    coded_index<float> index(12, coded_graph);
    hnsw_index<float> plain(12, coded_graph);
    for (std::size_t call = 0; call < calls; ++call) {
      add_rows(index, data, call * data.rows / calls, data.rows / calls);
      add_rows(plain, data, call * data.rows / calls, data.rows / calls);
    }
    const search_options options{.k = 1, .ef = 40};
    CHECK(count_lost(index, data, 0, data.rows, options) <=
          count_lost(plain, data, 0, data.rows, options) + data.rows / 50);
  }
}

TEST_CASE("thousands of equal vectors do not break a search by codes") {
  keyed_rows<float> data(2000, 8, 527);
  for (std::size_t i = 1; i < 1500; ++i) std::copy_n(data.row(0).begin(), 8, data.row(i).begin());
  coded_index<float> index(8, coded_graph);
  add_rows(index, data, 0, data.rows);
  const auto equal = index.search(data.view()[0], {.k = 100, .ef = 50});
  REQUIRE(equal.size() == 100);
  CHECK(equal.back().distance == 0.0f);
  CHECK(std::is_sorted(equal.begin(), equal.end()));
  CHECK(count_lost(index, data, 1500, 500, {.k = 1, .ef = 64}) <= 5);
  CHECK(index.search(data.view()[0], {.k = 2000, .ef = 2000}).size() == 2000);
}

TEST_CASE("equal vectors only are found by codes as by vectors") {
  for (const std::size_t dimension : {1u, 7u, 130u}) {
    keyed_rows<float> data(600, dimension, 528);
    std::fill(data.values.begin(), data.values.end(), 3.1f);
    coded_index<float> index(dimension, coded_graph);
    coded_index<float, metrics::cosine> by_angle(dimension, coded_graph);
    add_rows(index, data, 0, 600);
    add_rows(by_angle, data, 0, 600);
    for (const std::size_t ef : {1u, 20u, 150u}) {
      std::vector<neighbor<float>> out(10);
      std::error_code ec;
      counting_observer counts;
      CHECK(index.search(data.view()[3], {.k = 10, .ef = ef}, out, ec, counts) == 10);
      CHECK(out.back().distance == 0.0f);
      CHECK(counts.hops < 200);  // and not all
      CHECK(by_angle.search(data.view()[3], {.k = 10, .ef = ef}).size() == 10);
    }
    const auto all = index.search(data.view()[0], {.k = 600, .ef = 600});
    REQUIRE(all.size() == 600);
    CHECK(std::is_sorted(all.begin(), all.end()));
    // A query that is elsewhere.
    const std::vector<float> far(dimension, -7.0f);
    CHECK(index.search(far, {.k = 10}).size() == 10);
    // And others, which are not what was learnt from.
    const keyed_rows<float> others(60, dimension, 529);
    CHECK(test::count_lost_of_added(index, others) <= 2);
  }
}

TEST_CASE("vectors on one line are found by codes") {
  for (const std::size_t dimension : {2u, 16u, 130u}) {
    keyed_rows<float> data(1000, dimension, 530);
    test::random r(531);
    const auto direction = r.vector<float>(dimension);
    for (std::size_t i = 0; i < data.rows; ++i) {
      const float at = r.uniform();
      for (std::size_t j = 0; j < dimension; ++j) data.row(i)[j] = at * direction[j] + 2;
    }
    coded_check_found(data);
  }
}

TEST_CASE("codes of every size are of vectors of every dimension") {
  // Half as many components as fit, as many, one more, and many more.
  for (const std::size_t dimension : {1u, 2u, 56u, 57u, 112u, 113u})
    coded_check_found(keyed_rows<float>(530, dimension, 532), {.train_rows = 40});
  const keyed_rows<float> data(520, 130, 533), long_data(520, 300, 534);
  for (const std::size_t code_bytes : {128u, 192u})
    coded_check_found(data, {.code_bytes = code_bytes, .train_rows = 30});
  for (const std::size_t code_bytes : {64u, 128u, 192u})
    coded_check_found(long_data, {.code_bytes = code_bytes, .train_rows = 30});
  // One row to learn from, or more than there ever are.
  coded_check_found(keyed_rows<float>(520, 10, 535), {.train_rows = 1});
  coded_check_found(keyed_rows<float>(520, 10, 535), {.train_rows = std::numeric_limits<std::size_t>::max()});
  coded_check_found(keyed_rows<float>(520, 120, 535), {.train_rows = 1}, 0.9);
}

TEST_CASE("recall of codes holds in more dimensions than they have components") {
  for (const std::size_t code_bytes : {64u, 128u}) {
    const auto quality = coded_quality_of<float, metrics::l2_squared>(
        130, 0, {.code_bytes = code_bytes, .train_rows = 200}, 600);
    CHECK(quality.recall >= 0.95);
    CHECK(quality.is_true);
  }
}

TEST_CASE("vectors far out that come later leave those that codes are learnt from as they are") {
  for (const float far : {1e6f, 1e18f}) {
    keyed_rows<float> data(620, 16, 536);
    for (std::size_t i = 600; i < 620; ++i) data.row(i)[i % 16] = i % 2 == 0 ? far : -far;
    coded_index<float> index(16, coded_graph);
    add_rows(index, data, 0, 600);
    CHECK(count_lost(index, data, 0, 600) == 0);
    for (std::size_t i = 600; i < 620; ++i) add_rows(index, data, i, 1);
    CHECK(count_lost(index, data, 0, 600) <= 6);
    CHECK(index.search(data.view()[610], {.k = 620, .ef = 620}).size() == 620);
  }
}

TEST_CASE("numbers of any size give answers by codes, sorted and true") {
  for (const float far : {1e18f, 3e38f}) {
    for (const std::size_t dimension : {4u, 115u}) {
      keyed_rows<float> data(560, dimension, 537);
      for (std::size_t i = 0; i < data.rows; i += 70)
        std::fill_n(data.row(i).begin(), dimension, i % 20 == 0 ? far : -far);
      for (float& x : data.row(7)) x *= far / 8;
      test::check_true_answers(data, {0, 1, 7, 70, 300, 420}, coded_graph, codecs::pca4{.train_rows = 100});
    }
  }
  test::check_wide_doubles<codecs::pca4>(538, coded_graph);
}

TEST_CASE("an addition that is refused leaves searches by codes as they were") {
  for (const std::size_t rows : {std::size_t{500}, coded_least, std::size_t{600}}) {
    keyed_rows<float> data(rows + 60, 6, 539);
    coded_index<float, metrics::cosine> index(6, coded_sparse);
    add_rows(index, data, 0, rows);
    const auto before = index_image(index, data);
    const std::size_t held = index.memory_bytes();
    const auto refuse = [&](auto spoil, errc code) {
      keyed_rows<float> bad = data;
      spoil(bad);
      std::error_code ec;
      CHECK(index.add(bad.some_keys(rows, 60), bad.view(rows, 60), {}, ec) == 40);
      CHECK(ec == code);
      CHECK_THROWS_AS(add_rows(index, bad, rows, 60), error);
      CHECK(index_image(index, data) == before);
      index.add(bad.keys[rows + 40], bad.view()[rows + 40], ec);
      CHECK(ec == code);
      CHECK(index_image(index, data) == before);
    };
    refuse([&](auto& bad) { bad.keys[rows + 40] = bad.keys[3]; }, errc::duplicate_key);
    refuse([&](auto& bad) { bad.row(rows + 40)[2] = std::numeric_limits<float>::quiet_NaN(); },
           errc::not_finite);
    refuse([&](auto& bad) { bad.row(rows + 40)[5] = -std::numeric_limits<float>::infinity(); },
           errc::not_finite);
    refuse([&](auto& bad) { std::fill_n(bad.row(rows + 40).begin(), 6, 0.0f); }, errc::zero_norm);
    std::error_code ec;
    CHECK(index.add({}, {}, {}, ec) == 0);
    CHECK_FALSE(ec);
    CHECK(index_image(index, data) == before);
    CHECK(index.memory_bytes() < held + 60 * 128 + 4096);
    add_rows(index, data, rows, 60);
    CHECK(count_lost(index, data, 0, data.rows, {.k = 1, .ef = 80}) <= 3);
  }
}

TEST_CASE("whichever allocation of an addition fails, codes are as they were and can go on") {
  coded_run_out(3, 0, coded_least, 1, 3);                            // the first to be learnt from
  coded_run_out(3, coded_least - 30, 60, 3, 15);                     // with others before
  coded_run_out(3, coded_least + 40, 300, 1, 8);                     // more of the same
  coded_run_out(114, coded_least - 1, 1, 1, 2, {.train_rows = 20});  // one, with more to learn
  coded_run_out(2, 0, 7 * coded_least, 2, 2);                        // all at once, by two threads
}

TEST_CASE("whichever allocation fails when codes are learnt anew, they are as they were") {
  coded_run_out(2, coded_least, 7 * coded_least, 1, 4);
  coded_run_out(2, coded_least, 7 * coded_least, 2, 2);
}

TEST_CASE("whichever allocation fails when one vector has codes learnt anew, they are as they were") {
  const std::size_t rows = 8 * coded_least;
  const keyed_rows<float> data(rows, 3, 540);
  const keyed_rows<float> some(300, 3, 541);
  failing_resource memory;
  coded_index<float> expected(3, coded_thin), index(3, in_memory(memory, coded_thin));
  for (auto* const i : {&expected, &index}) {
    add_rows(*i, data, 0, coded_least);
    add_rows(*i, data, coded_least, rows - 1 - coded_least);
  }
  const index_image before(expected, some);
  const auto attempt = [&](std::error_code& ec) {
    index.add(data.keys[rows - 1], data.view()[rows - 1], ec);
  };
  const std::size_t failures = test::run_out_of_memory(index, memory, rows, attempt, [&] {
    const bool same = index_image(index, some) == before;
    CHECK(same);
    return same;
  });
  CHECK(failures > 10);
  add_rows(expected, data, rows - 1, 1);
  CHECK(index_image(index, some) == index_image(expected, some));
}

TEST_CASE("whatever the limit of its pool, an index with codes holds whole additions") {
  const keyed_rows<float> data(800, 20, 542);
  const keyed_rows<float> some(200, 20, 543);
  std::vector<index_image> expected;
  coded_index<float> reference(20, coded_sparse);
  for (std::size_t i = 0; i < 8; ++i) {
    expected.emplace_back(reference, some);
    add_rows(reference, data, i * 100, 100);
  }
  std::vector<std::size_t> held(8, 0);
  std::error_code ec;
  for (std::size_t limit = 50'000; limit < 4'000'000; limit += limit / 8) {
    memory_pool pool({.byte_limit = limit});
    coded_index<float> index(20, in_memory(pool, coded_sparse));
    ec.clear();
    std::size_t pieces = 0;
    for (; pieces < 8 && !ec; ++pieces)
      index.add(data.some_keys(pieces * 100, 100), data.view(pieces * 100, 100), ec);
    if (!ec) break;
    CHECK(ec == errc::budget_exceeded);
    ++held[pieces - 1];
    CHECK(pool.stats().used_bytes == index.memory_bytes() - sizeof(index));
    index.trim();
    pool.trim();
    const index_image& as_it_was = expected[pieces - 1];
    CHECK(index.size() == as_it_was.size);
    CHECK(index.graph_checksum() == as_it_was.checksum);
    std::vector<neighbor<float>> out(3);
    for (std::size_t q = 0; q < 25 && as_it_was.size > 0; ++q) {
      if (index.search(some.view()[8 * q], {.k = 3, .ef = 2, .rerank = 3}, out, ec) != 3 || ec) break;
      CHECK(
          std::equal(out.begin(), out.end(), as_it_was.narrow.begin() + static_cast<std::ptrdiff_t>(3 * q)));
    }
  }
  CHECK_FALSE(ec);
  CHECK(std::count(held.begin(), held.end(), std::size_t{0}) < 6);
}

TEST_CASE("a search by codes that finds the pool exhausted says so, whenever that is") {
  const keyed_rows<float> data(1500, 8, 544);
  failing_resource memory;
  coded_index<float> index(8, in_memory(memory, coded_sparse));
  add_rows(index, data, 0, data.rows);
  CHECK(test::check_search_out_of_memory(index, memory, data.view(0, 20), {.k = 10, .ef = 1500}) >= 10);
}

TEST_CASE("an index with codes has all of its memory from its resource, counted to the byte") {
  const keyed_rows<float> data(700, 20, 545);
  failing_resource memory;
  {
    const std::size_t outside = test::allocations().calls;
    coded_index<float> index(20, in_memory(memory, coded_sparse), {}, {.code_bytes = 128});
    CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
    std::vector<neighbor<float>> out(10);
    const std::size_t after = test::allocations().calls;
    CHECK(after == outside + 1);  // `out`
    std::error_code ec;
    for (std::size_t i = 0; i < 650; i += 50) {
      index.add(data.some_keys(i, 50), data.view(i, 50));
      index.search(data.view()[i], {.ef = 10 + i}, out, ec);
      if (memory.bytes() != index.memory_bytes() - sizeof(index)) ec = errc::corrupted_data;
    }
    CHECK_FALSE(ec);
    CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
    // A search as wide allocates nothing.
    index.search(data.view()[3], {.ef = 200}, out, ec);
    const auto expected = out;
    const std::size_t allocations = memory.allocations();
    for (std::size_t i = 0; i < 100; ++i) index.search(data.view()[i], {.ef = 1 + 2 * i}, out, ec);
    index.search(data.view()[3], {.ef = 200}, out, ec);
    CHECK(memory.allocations() == allocations);
    CHECK(out == expected);

    const std::size_t held = memory.bytes(), given_back = index.trim();
    CHECK(given_back > 0);
    CHECK(memory.bytes() == held - given_back);
    CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
    CHECK(index.trim() == 0);
    index.search(data.view()[3], {.ef = 200}, out, ec);
    CHECK(out == expected);
    CHECK(memory.bytes() > held - given_back);
    CHECK(memory.bytes() == index.memory_bytes() - sizeof(index));
  }
  CHECK(memory.bytes() == 0);
}

TEST_CASE("a search by codes allocates nothing after the first as wide, and is seen by an observer") {
  const keyed_rows<float> data(900, 10, 546);
  coded_index<float> index(10, coded_graph);
  add_rows(index, data, 0, data.rows);
  index.trim();
  std::vector<neighbor<float>> out(10);
  std::error_code ec;
  index.search(data.view()[0], {.k = 10, .ef = 900}, out, ec);
  const std::size_t before = test::allocations().calls;
  counting_observer narrow, wide;
  for (std::size_t i = 0; i < 100; ++i) {
    index.search(data.view()[i], {.k = 10, .ef = 10}, out, ec, narrow);
    index.search(data.view()[i], {.k = 10, .ef = 300}, out, ec, wide);
  }
  CHECK(test::allocations().calls == before);
  CHECK(narrow.hops >= 100 * 10);
  CHECK(narrow.distances >= 100 * 20);
  CHECK(wide.hops > 100 * 300);
  CHECK(wide.distances > narrow.distances);
  CHECK(wide.distances < std::size_t{100} * 2 * 1000);
}

TEST_CASE("codes take their bytes for each vector, and little more") {
  const std::size_t rows = 2000;
  const keyed_rows<float> data(rows, 16, 547);
  hnsw_index<float> plain(16, coded_sparse);
  add_rows(plain, data, 0, rows);
  plain.trim();
  for (const std::size_t code_bytes : {64u, 128u, 192u}) {
    const auto before = test::allocations();
    coded_index<float> index(16, coded_sparse, {}, {.code_bytes = code_bytes});
    add_rows(index, data, 0, rows);
    static_cast<void>(index.search(data.view()[0]));
    CHECK(index.memory_bytes() == test::allocations().bytes - before.bytes + sizeof(index));
    index.trim();
    CHECK(index.memory_bytes() >= plain.memory_bytes() + rows * code_bytes);
    CHECK(index.memory_bytes() <= plain.memory_bytes() + rows * code_bytes * 9 / 8 + 8192);
    CHECK(index.memory_bytes() == test::allocations().bytes - before.bytes + sizeof(index));
  }
}

TEST_CASE("options of codes that are out of range are refused") {
  for (const codecs::pca4& codec :
       {codecs::pca4{.code_bytes = 1}, codecs::pca4{.code_bytes = 63}, codecs::pca4{.code_bytes = 65},
        codecs::pca4{.code_bytes = 256}, codecs::pca4{.code_bytes = std::numeric_limits<std::size_t>::max()},
        codecs::pca4{.train_rows = 0}}) {
    try {
      const coded_index<float> index(3, {}, {}, codec);
      FAIL("it was accepted");
    } catch (const error& e) {
      CHECK(e.code() == errc::invalid_option);
    }
    std::error_code ec;
    const coded_index<float> index(3, {}, {}, codec, ec);
    CHECK(ec == errc::invalid_option);
    CHECK(index.size() == 0);
  }
  std::error_code ec = errc::not_finite;
  const coded_index<float> good(3, {}, {}, {.code_bytes = 192, .train_rows = 1}, ec);
  CHECK_FALSE(ec);
  const coded_index<float> by_default(3, {}, {}, ec);
  CHECK_FALSE(ec);
  const coded_index<float> bad_graph(3, {.M = 1}, {}, codecs::pca4{}, ec);
  CHECK(ec == errc::invalid_option);
  CHECK_THROWS_AS(coded_index<float>(0), error);
}

TEST_CASE("bad queries are refused by codes as by vectors") {
  const keyed_rows<float> data(520, 4, 548);
  coded_index<float, metrics::cosine> index(4, coded_sparse);
  add_rows(index, data, 0, data.rows);
  std::error_code ec;
  const std::vector<neighbor<float>> before(10, {5, 5.0f});
  auto out = before;
  const auto refused = [&](std::span<const float> query, const search_options& options, std::size_t room,
                           errc code) {
    CHECK(index.search(query, options, std::span(out).first(room), ec) == 0);
    CHECK(ec == code);
    CHECK(out == before);
  };
  refused(std::vector<float>{1, 2, 3}, {}, 10, errc::dimension_mismatch);
  refused(std::vector<float>{0, 0, 0, 0}, {}, 10, errc::zero_norm);
  refused(std::vector<float>{1, 0, std::numeric_limits<float>::quiet_NaN(), 0}, {}, 10, errc::not_finite);
  refused(data.view()[0], {.k = 0}, 10, errc::invalid_option);
  refused(data.view()[0], {.k = 10}, 9, errc::size_mismatch);
  CHECK(index.search(std::vector<float>{1, 2, 3}, {}, ec).empty());
  CHECK(ec == errc::dimension_mismatch);
  CHECK_THROWS_AS(index.search(std::vector<float>{0, 0, 0, 0}), error);
  auto queries = data.values;
  queries[9 * 4] = std::numeric_limits<float>::infinity();
  CHECK(index.search(matrix_view<float>(queries.data(), 520, 4), {.k = 2}, ec).empty());
  CHECK(ec == errc::not_finite);
  try {
    static_cast<void>(index.search(matrix_view<float>(queries.data(), 520, 4), {.k = 2}));
    FAIL("it was accepted");
  } catch (const error& e) {
    CHECK(e.row() == 9);
  }
  // The error before is forgotten, and the query is left as it is.
  const std::vector<float> query(data.view()[7].begin(), data.view()[7].end());
  auto copy = query;
  CHECK(index.search(copy, {.k = 10, .ef = 30}, out, ec) == 10);
  CHECK_FALSE(ec);
  CHECK(copy == query);
  CHECK(out == index.search(query, {.k = 10, .ef = 30}, ec));
  CHECK_FALSE(ec);
  CHECK(out[0].key == data.keys[7]);
}

TEST_CASE("an index with codes moves, and what it replaces goes back to its own resource") {
  const keyed_rows<float> data(700, 8, 549);
  failing_resource memory, other;
  {
    coded_index<float> index(8, in_memory(memory, coded_sparse)),
        replaced(8, in_memory(other, coded_sparse), {}, {.code_bytes = 192});
    add_rows(index, data, 0, 600);
    add_rows(replaced, data, 0, 550);
    const index_image before(index, data);
    const std::size_t held = memory.bytes();
    coded_index<float> moved(std::move(index));
    CHECK(index_image(moved, data) == before);
    replaced = std::move(moved);
    CHECK(other.bytes() == 0);
    CHECK(memory.bytes() == held);
    CHECK(index_image(replaced, data) == before);
    CHECK(memory.bytes() == replaced.memory_bytes() - sizeof(replaced));
    add_rows(replaced, data, 600, 100);
    CHECK(count_lost(replaced, data, 0, 700, {.k = 1, .ef = 80}) <= 3);
    CHECK(other.bytes() == 0);
    index = coded_index<float>(8, coded_sparse);
    add_rows(index, data, 0, 520);
    CHECK(count_lost(index, data, 0, 520, {.k = 1, .ef = 80}) <= 3);
  }
  CHECK(memory.bytes() == 0);
}

TEST_CASE("what measures vectors in an index without codes does so in one with them") {
  const keyed_rows<float> data(700, 12, 550);
  coded_index<float> index(12, coded_graph);
  hnsw_index<float> plain(12, coded_graph);
  flat_index<float> flat(12);
  add_rows(index, data, 0, data.rows);
  add_rows(plain, data, 0, data.rows);
  flat.add(data.keys, data.view());
  std::vector<neighbor<float>> out(10), expected(10);
  std::error_code ec;
  bool same = true;
  for (std::size_t q = 0; q < data.rows; q += 20) {
    const auto query = data.view()[q];
    same = same && index.search_in_steps(query, {.k = 10, .ef = 64}, out, test::growing_width{}, ec) == 10 &&
           plain.search_in_steps(query, {.k = 10, .ef = 64}, expected, test::growing_width{}, ec) == 10 &&
           out == expected;
    same = same && index.search_exact(query, 10, out, ec) == 10 && out == flat.search(query, {.k = 10});
    static_cast<void>(index.search(query));  // by codes, between them
  }
  CHECK(same);
  CHECK_FALSE(ec);

  const adaptive_search_options options{
      .target = search_target::recall_at_least(0.9), .max_ef = 100, .default_ef = 40, .warm_up = 300};
  adaptive_search engine(index, options);
  adaptive_search plain_engine(plain, options);
  for (std::size_t q = 0; q < data.rows; ++q)
    same = same && engine.search(data.view()[q]) == plain_engine.search(data.view()[q]);
  CHECK(same);
  CHECK(engine.stats().searches == data.rows);
  CHECK(engine.stats().studies > 0);
}

TEST_CASE("threads search by codes side by side, while scratch is trimmed") {
  const keyed_rows<float> data(600, 8, 551);
  coded_index<float> index(8, coded_graph);
  add_rows(index, data, 0, data.rows);
  test::check_side_by_side(index, index, data.view());
}
