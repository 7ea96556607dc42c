#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using namespace alidade;

namespace {

constexpr hnsw_options steps_graph{.M = 6, .ef_construction = 40};

/// Goes from width to width, and notes how far the search had come at each.
struct steps_pacer {
  struct note {
    std::size_t width, hops, distances, improved_at, size;
    std::vector<double> found;
    bool operator==(const note&) const = default;
  };

  std::vector<std::size_t> widths;
  std::vector<note> notes = {};

  std::size_t first_width() const { return widths.front(); }
  template <class D>
  std::size_t next_width(const search_progress<D>& p) {
    notes.push_back({p.width, p.hops, p.distances, p.improved_at, p.size(), {}});
    for (std::size_t i = 0; i < p.size(); ++i)
      notes.back().found.push_back(static_cast<double>(p.distance(i)));
    return notes.size() < widths.size() ? widths[notes.size()] : 0;
  }
};

/// From one width to another, each at most twice the one before.
std::vector<std::size_t> steps_up_to(test::random& r, std::size_t first, std::size_t last) {
  std::vector<std::size_t> widths{first};
  while (widths.back() < last) {
    const std::size_t now = widths.back();
    // Now and then by all that is allowed.
    const std::size_t more = r.below(3) == 0 ? now : 1 + r.below(static_cast<std::uint32_t>(now));
    widths.push_back(std::min(now + more, last));
  }
  return widths;
}

template <class Index, class Neighbor>
std::size_t steps_search(const Index& index, std::span<const typename Index::value_type> query,
                         const search_options& options, std::vector<Neighbor>& out, steps_pacer& pacer,
                         counting_observer& counts) {
  std::error_code ec = errc::not_finite;
  out.assign(std::min(options.k, index.size()), {});
  const std::size_t found = index.search_in_steps(query, options, out, pacer, ec, counts);
  CHECK_FALSE(ec);
  return found;
}

/// How searches in steps compare with searches of the last width.
struct steps_comparison {
  std::size_t searches = 0;
  std::size_t other_answers = 0, other_distances = 0, other_work = 0;
  std::size_t missed = 0;  ///< answers that are farther
};

/// In steps that at most double; from the first to the last width by at most twice in all, or by more.
template <class T, class Metric>
steps_comparison steps_compared(std::uint32_t seed, std::size_t dimension, bool by_more) {
  const test::dataset<T> data(900, dimension, seed);
  hnsw_index<T, Metric> index(dimension, steps_graph);
  index.add(std::span(data.keys).first(800), data.view(0, 800));
  using neighbor_type = typename decltype(index)::neighbor_type;
  test::random r(seed + 1);
  steps_comparison c;
  for (std::size_t q = 700; q < 900; ++q) {
    const std::size_t k = 1 + r.below(20), ef = k + r.below(90);
    std::error_code ec;
    counting_observer expected_counts;
    std::vector<neighbor_type> expected(k), out;
    index.search(data.view()[q], {.k = k, .ef = ef}, expected, ec, expected_counts);
    const std::size_t half = (ef + 1) / 2;
    const std::vector<std::vector<std::size_t>> all =
        by_more
            ? std::vector<std::vector<std::size_t>>{steps_up_to(r, 1, ef), steps_up_to(r, (half + 1) / 2, ef)}
            : std::vector<std::vector<std::size_t>>{{ef}, {ef, ef}, {half, ef}, steps_up_to(r, half, ef)};
    for (const auto& widths : all) {
      // As if that were the most that it may be, or with room to spare.
      for (const std::size_t most : {ef, ef + r.below(100), std::size_t{10'000}}) {
        steps_pacer pacer{widths};
        counting_observer counts;
        CHECK(steps_search(index, data.view()[q], {.k = k, .ef = most}, out, pacer, counts) == k);
        // A width that does not grow is the end.
        std::size_t asked = 1;
        while (asked < widths.size() && widths[asked] > widths[asked - 1]) ++asked;
        CHECK(pacer.notes.size() == asked);
        ++c.searches;
        c.other_answers += static_cast<std::size_t>(out != expected);
        bool same = true;
        for (std::size_t i = 0; i < k; ++i) {
          same = same && out[i].distance == expected[i].distance;
          c.missed += static_cast<std::size_t>(expected.back().distance < out[i].distance);
        }
        c.other_distances += static_cast<std::size_t>(!same);
        c.other_work += static_cast<std::size_t>(counts.hops != expected_counts.hops ||
                                                 counts.distances != expected_counts.distances);
      }
    }
  }
  return c;
}

template <class T, class Metric>
void steps_are_a_search(std::uint32_t seed, std::size_t dimension) {
  const steps_comparison c = steps_compared<T, Metric>(seed, dimension, false);
  CHECK(c.searches == 2400);
  CHECK(c.other_distances == 0);
  if (std::is_same_v<T, float>) CHECK(c.other_answers == 0);
  CHECK(c.other_work <= c.searches / 50);  // of ties a pool with more room may keep others
  const steps_comparison more = steps_compared<T, Metric>(seed + 50, dimension, true);
  CHECK(more.searches == 1200);
  CHECK(more.other_distances <= more.searches / 50);
  CHECK(more.missed <= more.searches / 50);
}

/// Euclidean distance that remembers what it computed, in order.
struct steps_logged_metric {
  std::shared_ptr<std::vector<float>> log = std::make_shared<std::vector<float>>();

  float operator()(std::span<const float> a, std::span<const float> b) const {
    const float distance = metrics::l2_squared{}(a, b);
    log->push_back(distance);
    return distance;
  }
};

/// Counts hops, and how many distances were computed before each.
struct steps_hop_observer {
  std::size_t upper = 0, distances = 0;
  std::vector<std::size_t> before = {};  ///< of each hop on level 0

  void on_hop(std::size_t level) {
    if (level == 0) {
      before.push_back(distances);
    } else {
      ++upper;
    }
  }
  void on_distances(std::size_t n) { distances += n; }
};

}  // namespace

TEST_CASE("a search in steps is a search of the last width") {
  steps_are_a_search<float, metrics::l2_squared>(301, 12);
  steps_are_a_search<float, metrics::l2_squared>(302, 3);
  steps_are_a_search<float, metrics::inner_product>(303, 12);
  steps_are_a_search<float, metrics::cosine>(304, 12);
  steps_are_a_search<std::uint8_t, metrics::l2_squared>(305, 12);
  steps_are_a_search<std::uint8_t, metrics::inner_product>(307, 6);
}

TEST_CASE("a search that ends at a width below k has expanded that many, and finds k") {
  const test::dataset<float> data(700, 10, 310);
  hnsw_index<float> index(10, steps_graph);
  index.add(data.keys, data.view());
  for (std::size_t q = 0; q < 60; ++q) {
    for (const std::size_t width : {4u, 7u, 10u, 15u, 19u}) {
      std::vector<neighbor<float>> expected(width), out;
      std::error_code ec;
      counting_observer expected_counts, counts;
      index.search(data.view()[q], {.k = width, .ef = width}, expected, ec, expected_counts);
      steps_pacer pacer{{width}};
      CHECK(steps_search(index, data.view()[q], {.k = 20, .ef = 100}, out, pacer, counts) == 20);
      // Once k are found it ends as soon as the `width` nearest are expanded, as a search of that width does.
      CHECK(counts.hops >= expected_counts.hops);
      if (counts.hops == expected_counts.hops)
        CHECK(std::equal(expected.begin(), expected.end(), out.begin()));
      CHECK(std::is_sorted(out.begin(), out.end()));
      // To find k it may have to go on, but to find more it does not.
      CHECK(pacer.notes.back().size >= 20);
      CHECK(pacer.notes.back().size <= 64);
    }
  }
}

TEST_CASE("a search in steps that begins with a width of 1 does not run out of what to expand") {
  for (const std::size_t k : {1u, 2u, 5u}) {
    const steps_comparison c = [&] {
      const test::dataset<float> data(1500, 16, 320);
      hnsw_index<float> index(16, {.M = 4, .ef_construction = 30});
      index.add(std::span(data.keys).first(1200), data.view(0, 1200));
      steps_comparison counted;
      for (std::size_t q = 1200; q < 1500; ++q) {
        steps_pacer pacer{{1, 2, 3, 4, 6, 8, 12, 18, 26, 39, 58, 87}};
        counting_observer counts;
        std::vector<neighbor<float>> out;
        CHECK(steps_search(index, data.view()[q], {.k = k, .ef = 87}, out, pacer, counts) == k);
        CHECK(pacer.notes.size() == 12);
        ++counted.searches;
        counted.other_answers +=
            static_cast<std::size_t>(out != index.search(data.view()[q], {.k = k, .ef = 87}));
      }
      return counted;
    }();
    CHECK(c.other_answers <= c.searches / 100);
  }
}

TEST_CASE("widths that do not grow end a search, and huge ones are cut") {
  const test::dataset<float> data(500, 8, 311);
  hnsw_index<float> index(8, steps_graph);
  index.add(data.keys, data.view());
  constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
  const auto searched = [&](std::size_t q, std::size_t k, std::size_t ef) {
    return index.search(data.view()[q], {.k = k, .ef = ef});
  };
  std::vector<neighbor<float>> out;
  for (std::size_t q = 0; q < 40; ++q) {
    const auto in_steps = [&](std::vector<std::size_t> widths, std::size_t ef, std::size_t notes) {
      steps_pacer pacer{std::move(widths)};
      counting_observer counts;
      CHECK(steps_search(index, data.view()[q], {.k = 5, .ef = ef}, out, pacer, counts) == 5);
      CHECK(pacer.notes.size() == notes);
      for (const auto& n : pacer.notes) CHECK(n.width <= std::max<std::size_t>(ef, 5));
      return out;
    };
    CHECK(in_steps({20, 20, 40}, 100, 1) == searched(q, 5, 20));  // the same
    CHECK(in_steps({20, 19, 40}, 100, 1) == searched(q, 5, 20));  // smaller
    CHECK(in_steps({20, 0}, 100, 1) == searched(q, 5, 20));
    for (const std::size_t w : {std::size_t{101}, huge, huge / 2, huge / 2 + 1, huge / 4 + 1}) {
      CHECK(in_steps({60, w, w}, 100, 2) == searched(q, 5, 100));
      CHECK(in_steps({w, w}, 100, 1) == searched(q, 5, 100));
      CHECK(in_steps({w, w}, huge, 1) == searched(q, 5, 500));
    }
    CHECK(in_steps({1, 2, 5, 9}, 1, 3) == searched(q, 5, 5));  // ef below k counts as k
    CHECK(in_steps({0, 5}, 30, 2) == searched(q, 5, 5));
    CHECK(in_steps({0, 0}, 30, 1).size() == 5);
  }
}

TEST_CASE("how far a search has come is told rightly at each step") {
  const test::dataset<float> data(600, 6, 312);
  const steps_logged_metric metric;
  hnsw_index<float, steps_logged_metric> index(6, steps_graph, metric);
  index.add(std::span(data.keys).first(500), data.view(0, 500));
  test::random r(313);
  std::size_t not_at_last = 0;
  for (std::size_t q = 500; q < 600; ++q) {
    const std::size_t k = 1 + r.below(12);
    steps_pacer pacer{steps_up_to(r, 1, 60)};
    // The search as it goes on: the distances of each hop, and when the pacer is asked.
    struct spy {
      steps_pacer& inner;
      const steps_hop_observer& hops;
      std::vector<std::size_t> asked_after = {};  ///< so many distances

      std::size_t first_width() const { return inner.first_width(); }
      std::size_t next_width(const search_progress<float>& p) {
        asked_after.push_back(hops.distances);
        return inner.next_width(p);
      }
    };
    steps_hop_observer hops;
    spy pacing{pacer, hops};
    std::vector<neighbor<float>> out(k);
    std::error_code ec;
    metric.log->clear();
    CHECK(index.search_in_steps(data.view()[q], {.k = k, .ef = 80}, out, pacing, ec, hops) == k);
    const std::vector<float>& log = *metric.log;
    REQUIRE(log.size() == hops.distances);
    REQUIRE(pacer.notes.size() == pacing.asked_after.size());
    // On the way down the distances come before the first hop on level 0; the last one or two are those of the first nodes.
    const std::size_t down = hops.before.front();
    for (std::size_t n = 0; n < pacer.notes.size(); ++n) {
      const steps_pacer::note& note = pacer.notes[n];
      const std::size_t end = pacing.asked_after[n];
      std::size_t hop_count = 0;
      while (hop_count < hops.before.size() && hops.before[hop_count] < end) ++hop_count;
      CHECK(note.width == pacer.widths[n]);
      CHECK(note.distances == end - down);
      CHECK(note.hops >= hop_count);  // a hop whose neighbours are all known measures nothing
      CHECK(note.hops <= hops.before.size());
      CHECK(std::is_sorted(note.found.begin(), note.found.end()));
      CHECK(note.size >= k);
      CHECK(note.size <= std::min<std::size_t>(std::max<std::size_t>(2 * note.width, 64), 80));
      if (n > 0) CHECK(note.hops >= pacer.notes[n - 1].hops);

      // Which hop was the last to find one of the k nearest so far.
      std::vector<float> nearest;
      const auto offer = [&](float d) {
        const auto place = std::upper_bound(nearest.begin(), nearest.end(), d);
        const bool improves = static_cast<std::size_t>(place - nearest.begin()) < k;
        nearest.insert(place, d);
        if (nearest.size() > k) nearest.pop_back();
        return improves;
      };
      const std::size_t first_nodes = index.stats().levels == 1             ? 1
                                      : log[down - 1] == log[0] && down > 1 ? 2
                                                                            : 1;
      for (std::size_t i = down - first_nodes; i < down; ++i) offer(log[i]);
      std::size_t improved_at = 0;
      for (std::size_t hop = 0; hop < note.hops; ++hop) {
        const std::size_t next = hop + 1 < note.hops ? hops.before[hop + 1] : end;
        for (std::size_t i = hops.before[hop]; i < next; ++i) {
          if (offer(log[i])) improved_at = hop + 1;
        }
      }
      CHECK(note.improved_at == improved_at);
      not_at_last += static_cast<std::size_t>(improved_at != note.hops);
      for (std::size_t i = 0; i < k; ++i) CHECK(note.found[i] == static_cast<double>(nearest[i]));
    }
    for (std::size_t i = 0; i < k; ++i)
      CHECK(static_cast<double>(out[i].distance) == pacer.notes.back().found[i]);
    CHECK(pacer.notes.back().hops == hops.before.size());
  }
  CHECK(not_at_last > 100);
}

TEST_CASE("a search in steps of few vectors, or of none") {
  const test::dataset<float> data(30, 5, 314);
  hnsw_index<float> index(5, steps_graph);
  std::vector<neighbor<float>> out;
  steps_pacer pacer{{4, 8, 16, 32}};
  counting_observer counts;
  CHECK(steps_search(index, data.view()[0], {.k = 10, .ef = 64}, out, pacer, counts) == 0);
  CHECK(pacer.notes.empty());  // of nothing there is no progress
  CHECK(counts.distances == 0);
  flat_index<float> flat(5);
  for (std::size_t i = 0; i < data.rows; ++i) {
    index.add(data.keys[i], data.view()[i]);
    flat.add(data.keys[i], data.view()[i]);
    for (const std::size_t k : {1u, 7u, 29u, 30u, 31u, 1000u}) {
      pacer = {{4, 8, 16, 32, 64}};
      const std::size_t n = std::min(k, i + 1);
      CHECK(steps_search(index, data.view()[29 - i], {.k = k, .ef = 64}, out, pacer, counts) == n);
      if (i % 6 == 5) CHECK(out == flat.search(data.view()[29 - i], {.k = k}));
      for (const auto& note : pacer.notes)
        CHECK((note.size >= n && note.size <= i + 1 && note.width <= i + 1));
    }
  }
}

TEST_CASE("a search in steps refuses what a search refuses, asks no pacer and writes nothing") {
  const test::dataset<float> data(40, 6, 315);
  hnsw_index<float, metrics::cosine> index(6, steps_graph);
  index.add(data.keys, data.view());
  const std::vector<neighbor<float>> before(10, {5, 5.0f});
  auto out = before;
  const auto refused = [&](std::span<const float> query, std::size_t k, std::size_t room, errc code) {
    std::error_code ec, other;
    steps_pacer pacer{{10, 20}};
    counting_observer counts;
    CHECK(index.search_in_steps(query, {.k = k}, std::span(out).first(room), pacer, ec, counts) == 0);
    CHECK(ec == code);
    CHECK(pacer.notes.empty());
    CHECK(counts.distances == 0);
    CHECK(out == before);
    index.search(query, {.k = k}, std::span(out).first(room), other);
    CHECK(other == ec);
  };
  refused(data.view()[0], 0, 10, errc::invalid_option);
  refused(data.view()[0], 10, 9, errc::size_mismatch);
  refused(data.view()[0].first(5), 10, 10, errc::dimension_mismatch);
  refused({}, 10, 10, errc::dimension_mismatch);
  refused(std::vector<float>(6, 0.0f), 10, 10, errc::zero_norm);
  for (std::size_t place = 0; place < 6; ++place) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> query(6, 1);
      query[place] = bad;
      refused(query, 10, 10, errc::not_finite);
    }
  }
}

TEST_CASE("a search in steps allocates nothing after the first as wide, and leaves others as they were") {
  const test::dataset<float> data(900, 12, 316);
  hnsw_index<float> index(12, steps_graph);
  index.add(data.keys, data.view());
  index.trim();
  const auto expected = index.search(data.view()[3], {.k = 10, .ef = 50});
  std::vector<neighbor<float>> out(10);
  struct doubling {
    std::size_t first;
    std::size_t first_width() const { return first; }
    std::size_t next_width(const search_progress<float>& p) const { return p.width < 300 ? 2 * p.width : 0; }
  };
  std::error_code ec;
  const search_options wide{.k = 10, .ef = 600};
  CHECK(index.search_in_steps(data.view()[0], wide, out, doubling{5}, ec) == 10);
  const std::size_t before = test::allocations().calls;
  for (std::size_t q = 0; q < 100; ++q) {
    index.search_in_steps(data.view()[q], wide, out, doubling{1 + q % 9}, ec);
    index.search(data.view()[3], {.k = 10, .ef = 50}, out, ec);
    if (out != expected) ec = errc::corrupted_data;
    if (ec) break;
  }
  CHECK(test::allocations().calls == before);
  CHECK_FALSE(ec);
}

TEST_CASE("threads search in steps side by side") {
#if ALIDADE_HAS_THREADS
  const test::dataset<float> data(600, 8, 317);
  hnsw_index<float> index(8, steps_graph);
  index.add(data.keys, data.view());
  std::vector<std::vector<neighbor<float>>> expected(data.rows);
  for (std::size_t q = 0; q < data.rows; ++q) expected[q] = index.search(data.view()[q], {.k = 6, .ef = 24});
  std::vector<std::size_t> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<neighbor<float>> out(6);
      for (std::size_t q = 0; q < data.rows; ++q) {
        steps_pacer pacer{{12 + t, 16 + t, 24}};
        std::error_code ec;
        const std::size_t found = index.search_in_steps(data.view()[q], {.k = 6, .ef = 64}, out, pacer, ec);
        if (ec || found != 6 || out != expected[q] || pacer.notes.size() != 3) ++wrong[t];
        if (q % 50 == t) index.trim();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(wrong == std::vector<std::size_t>(4, 0));
#endif
}

TEST_CASE("a search in steps that finds the pool exhausted says so, whenever that is") {
  const test::dataset<float> data(3000, 8, 318);
  std::size_t failures = 0;
  std::vector<neighbor<float>> expected(10), out(10);
  const search_options wide{.k = 10, .ef = 3000};
  memory_pool pool;
  hnsw_index<float> index(8, {.M = 4, .ef_construction = 10, .memory = &pool});
  index.add(data.keys, data.view());
  const auto search = [&](std::vector<neighbor<float>>& found, std::error_code& ec) {
    steps_pacer pacer{{1000, 2000, 3000}};
    return index.search_in_steps(data.view()[1], wide, found, pacer, ec);
  };
  std::error_code ec;
  CHECK(search(expected, ec) == 10);
  // All that the pool has is taken, and given back block by block.
  index.trim();
  std::vector<std::pair<void*, std::size_t>> rest;
  for (std::size_t size = std::size_t{1} << 20; size >= 8; size /= 2) {
    while (void* const block = pool.allocate(size, 8, ec)) rest.emplace_back(block, size);
  }
  while (true) {
    index.trim();
    const std::size_t found = search(out, ec);
    if (!ec) break;
    ++failures;
    CHECK(ec == errc::budget_exceeded);
    CHECK(found == 0);
    for (int i = 0; i < 3; ++i) {
      REQUIRE_FALSE(rest.empty());
      pool.deallocate(rest.back().first, rest.back().second, 8);
      rest.pop_back();
    }
  }
  CHECK(out == expected);
  CHECK(failures > 3);
  for (const auto& [block, size] : rest) pool.deallocate(block, size, 8);
}
