#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>

#include "../../support.hpp"

namespace {

using namespace alidade;

struct calibration_data {
  std::size_t dimension;
  std::vector<float> rows, queries;
  std::vector<std::uint64_t> keys;

  calibration_data(std::size_t count, std::size_t query_count, std::size_t d, std::uint32_t seed = 1)
      : dimension(d) {
    test::random r(seed);
    for (std::size_t i = 0; i < count * d; ++i) rows.push_back(r.normal());
    for (std::size_t i = 0; i < query_count * d; ++i) queries.push_back(r.normal());
    for (std::size_t i = 0; i < count; ++i) keys.push_back(1000 + i);
  }

  matrix_view<float> all() const { return {rows.data(), keys.size(), dimension}; }
  matrix_view<float> asked() const { return {queries.data(), queries.size() / dimension, dimension}; }

  template <class Index>
  double recall(const Index& index, const search_options& options) const {
    flat_index<float> flat(dimension);
    flat.add(keys, all());
    const auto truth = flat.search(asked(), {.k = options.k});
    std::size_t correct = 0;
    for (std::size_t i = 0; i < asked().rows(); ++i) {
      for (const auto& found : index.search(asked()[i], options))
        correct += static_cast<std::size_t>(!(truth[i].back().distance < found.distance));
    }
    return static_cast<double>(correct) / static_cast<double>(asked().rows() * options.k);
  }
};

template <class Index>
void calibration_same_answers(const Index& index, const calibration_data& data, const search_options& one,
                              const search_options& other) {
  for (std::size_t i = 0; i < data.asked().rows(); ++i)
    CHECK(index.search(data.asked()[i], one) == index.search(data.asked()[i], other));
}

constexpr hnsw_options calibration_graph{.M = 8, .ef_construction = 40};

}  // namespace

TEST_CASE("a calibrated search has the recall that was asked for") {
  const calibration_data data(2000, 60, 24);
  for (const double target : {0.5, 0.8, 0.95, 1.0}) {
    CAPTURE(target);
    const auto check = [&](auto index) {
      index.add(data.keys, data.all());
      const calibration found = index.calibrate(data.asked(), {.k = 5, .target_recall = target, .rounds = 1});
      CHECK(found.is_reached);
      CHECK(found.recall >= target);
      CHECK(found.recall == doctest::Approx(data.recall(index, found.options)));
      CHECK(found.standard_error >= 0);
      CHECK(found.standard_error < 0.1);
      CHECK(found.microseconds > 0);
      CHECK(found.hops >= 1);
      CHECK(found.distances > 5);
      CHECK(!found.trials.empty());
      for (const calibration_trial& trial : found.trials) {
        CHECK(trial.recall >= target);
        CHECK(trial.microseconds > 0);
      }
      // And it is what searches use that do not say it.
      CHECK(index.search_defaults().ef == found.options.ef);
      calibration_same_answers(index, data, {.k = 5}, found.options);
      // Less is not enough.
      search_options narrower = found.options;
      narrower.ef -= 1;
      if (narrower.ef >= 5) CHECK(data.recall(index, narrower) < target);
    };
    check(hnsw_index<float>(24, calibration_graph));
    check(hnsw_index<float, metrics::l2_squared, codecs::pca4>(24, calibration_graph));
  }
}

TEST_CASE("a recall that cannot be reached is not said to be") {
  const calibration_data data(1500, 40, 16);
  hnsw_index<float, metrics::l2_squared, codecs::pca4> coded(16, calibration_graph);
  hnsw_index<float> plain(16, {.M = 2, .ef_construction = 2, .fill = false});
  const auto check = [&](auto& index) {
    index.add(data.keys, data.all());
    const calibration found =
        index.calibrate(data.asked(), {.k = 1, .target_recall = 1, .max_ef = 1, .rounds = 1});
    CHECK_FALSE(found.is_reached);
    CHECK(found.recall < 1);
    CHECK(found.options.ef == 1);
    CHECK(found.trials.size() == 1);
    CHECK(index.search_defaults().ef == 1);
  };
  check(coded);
  check(plain);
}

TEST_CASE("small indexes are calibrated too") {
  for (const std::size_t count : {1u, 2u, 9u, 600u}) {
    CAPTURE(count);
    const calibration_data data(count, 3, 4);
    hnsw_index<float, metrics::l2_squared, codecs::pca4> index(4, calibration_graph);
    index.add(data.keys, data.all());
    const calibration found =
        index.calibrate(data.asked(), {.k = 10, .target_recall = 1, .rounds = 2, .threads = 2});
    CHECK(found.is_reached);
    CHECK(found.recall == 1);
    CHECK(found.standard_error == 0);
    CHECK(index.search(data.asked()[0]).size() == std::min<std::size_t>(count, 10));
  }
}

TEST_CASE("what cannot be calibrated is refused, and nothing changes") {
  const calibration_data data(700, 5, 6);
  hnsw_index<float, metrics::l2_squared, codecs::pca4> index(6, calibration_graph);
  const auto refused = [&](matrix_view<float> queries, const calibration_options& options) {
    std::error_code ec;
    const calibration found = index.calibrate(queries, options, ec);
    CHECK(found.trials.empty());
    CHECK_FALSE(found.is_reached);
    CHECK(index.search_defaults().ef == 77);
    CHECK(index.search_defaults().rerank == 99);
    return ec;
  };
  index.set_search_defaults({.ef = 77, .rerank = 99});
  CHECK(refused(data.asked(), {}) == errc::invalid_option);  // no vectors
  index.add(data.keys, data.all());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double target : {0.0, -1.0, 1.01, nan})
    CHECK(refused(data.asked(), {.target_recall = target}) == errc::invalid_option);
  CHECK(refused(data.asked(), {.k = 0}) == errc::invalid_option);
  CHECK(refused(data.asked(), {.max_ef = 0}) == errc::invalid_option);
  CHECK(refused(data.asked(), {.rounds = 0}) == errc::invalid_option);
  CHECK(refused(matrix_view<float>(data.queries.data(), 0, 6), {}) == errc::invalid_option);
  CHECK(refused(matrix_view<float>(data.queries.data(), 6, 5), {}) == errc::dimension_mismatch);
  std::vector<float> bad = data.queries;
  bad[3 * 6 + 1] = std::numeric_limits<float>::infinity();
  CHECK(refused(matrix_view<float>(bad.data(), 5, 6), {}) == errc::not_finite);
  try {
    index.calibrate(matrix_view<float>(bad.data(), 5, 6));
    FAIL("it was accepted");
  } catch (const error& e) {
    CHECK(e.row() == 3);
  }
}

TEST_CASE("what was chosen is packed and saved with the index") {
  const calibration_data data(900, 20, 10);
  hnsw_index<float, metrics::l2_squared, codecs::pca4> index(10, calibration_graph);
  using packed = packed_index<float, metrics::l2_squared, codecs::pca4>;
  index.add(data.keys, data.all());
  CHECK(index.pack().search_defaults().ef == 64);
  index.set_search_defaults({.k = 3, .ef = 12, .threads = 7, .rerank = 31, .prefetch = 5, .budget = 2});
  const packed made = index.pack();
  packed opened = packed::open(made.image());
  for (const search_options& defaults : {made.search_defaults(), opened.search_defaults()}) {
    CHECK(defaults.ef == 12);
    CHECK(defaults.rerank == 31);
    CHECK(defaults.prefetch == 5);
    CHECK(defaults.budget == 0);
  }
  calibration_same_answers(opened, data, {}, {.ef = 12, .rerank = 31});
  // A packed one can be calibrated itself.
  const calibration found = opened.calibrate(data.asked(), {.target_recall = 0.9, .rounds = 1});
  CHECK(found.is_reached);
  CHECK(opened.search_defaults().ef == found.options.ef);
  // Sizes without bounds are as good as all there are, and can be saved.
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  index.set_search_defaults({.ef = most, .rerank = most, .prefetch = most});
  const packed widest = index.pack();
  CHECK(packed::open(widest.image()).search_defaults().ef == index.search_defaults().ef);
  calibration_same_answers(index, data, {}, {.ef = 900, .rerank = 900});
  index.set_search_defaults({});
  CHECK(index.search_defaults().ef == 64);
}

TEST_CASE("a budget bounds the distances of a search") {
  const calibration_data data(3000, 20, 32);
  const auto check = [&](auto index) {
    index.add(data.keys, data.all());
    for (const std::size_t budget : {1u, 20u, 100u, 400u}) {
      CAPTURE(budget);
      std::vector<neighbor<float>> out(10);
      for (std::size_t i = 0; i < data.asked().rows(); ++i) {
        counting_observer bounded, free;
        std::error_code ec;
        const search_options options{.k = 10, .ef = 200, .rerank = 10, .budget = budget};
        const std::size_t count = index.search(data.asked()[i], options, out, ec, bounded);
        CHECK_FALSE(ec);
        CHECK(count >= 1);
        if (budget >= 100) CHECK(count == 10);
        search_options unbounded = options;
        unbounded.budget = 0;
        index.search(data.asked()[i], unbounded, out, ec, free);
        CHECK(bounded.distances < free.distances);
        // What leads to level 0, one node's neighbours more than the budget, and what is measured in the end.
        search_options least = options;
        least.budget = 1;
        counting_observer first;
        index.search(data.asked()[i], least, out, ec, first);
        CHECK(bounded.distances <= first.distances + budget + 16 + 10);
      }
    }
    calibration_same_answers(index, data, {.ef = 50}, {.ef = 50, .budget = 1000000});
    for (const std::size_t depth : {1u, 3u, 64u, 100000u})
      calibration_same_answers(index, data, {.ef = 50}, {.ef = 50, .prefetch = depth});
  };
  check(hnsw_index<float>(32, calibration_graph));
  check(hnsw_index<float, metrics::l2_squared, codecs::pca4>(32, calibration_graph));
}
