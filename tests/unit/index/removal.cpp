#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include <alidade/distance/distance.hpp>
#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>

#include "../../failing_resource.hpp"
#include "../../index_support.hpp"
#include "../../support.hpp"

namespace {

using namespace alidade;
using test::add_rows;

constexpr hnsw_options removal_graph{.M = 6, .ef_construction = 40};

template <class Codec>
using removal_index_of = hnsw_index<float, metrics::l2_squared, Codec>;

/// An index whose graph can be looked at.
template <class Codec = codecs::none, class Storage = storage::full>
struct removal_index : hnsw_index<float, metrics::l2_squared, Codec, Storage> {
  using index_type = hnsw_index<float, metrics::l2_squared, Codec, Storage>;
  using index_type::index_type;

  /// Whether each row of each level is sorted, names no node twice, keeps to nodes of its level, and leads to what was removed only as long as
  /// that may be.
  bool is_sound() const {
    const auto& graph = this->graph_;
    const auto& stored = this->vectors_;
    const auto view = stored.view();
    bool sound = this->empty() || !stored.is_removed(graph.entry_point());
    for (std::uint32_t slot = 0; slot < graph.size(); ++slot) {
      for (std::size_t level = 0; level <= graph.level(slot); ++level) {
        const detail::link* const row = graph.links(level, slot);
        std::unordered_set<std::uint32_t> seen{slot};
        for (std::size_t i = 0; i < graph.degree(level, slot); ++i) {
          const std::uint32_t to = row[i].slot();
          sound = sound && seen.insert(to).second && graph.level(to) >= level;
          sound = sound && (graph.leads_to_removed() || !stored.is_removed(to));
          sound = sound && (i == 0 || view.distance(stored.row(slot), row[i - 1].slot()) <=
                                          view.distance(stored.row(slot), to));
        }
      }
    }
    return sound;
  }
};

/// What an index should have: some rows of a set, by key.
struct removal_model {
  flat_index<float> flat;
  std::vector<std::size_t> there;

  removal_model(const test::keyed_rows<float>& data, const std::vector<char>& is_there) : flat(data.columns) {
    for (std::size_t i = 0; i < data.rows; ++i) {
      if (is_there[i] == 0) continue;
      flat.add(data.keys[i], data.view()[i]);
      there.push_back(i);
    }
  }
};

/// Whether the index has just these rows, and answers with no others; of their ten nearest, the share found with that ef is returned.
template <class Index>
double removal_check(const Index& index, const test::keyed_rows<float>& data,
                     const std::vector<char>& is_there, std::size_t ef) {
  const removal_model model(data, is_there);
  CHECK(index.size() == model.there.size());
  std::size_t wrong = 0, found = 0, all = 0;
  for (std::size_t i = 0; i < data.rows; ++i)
    wrong += static_cast<std::size_t>(index.contains(data.keys[i]) != (is_there[i] != 0));
  for (std::size_t q = 0; q < data.rows; q += data.rows / 40 + 1) {
    const auto query = data.view()[q];
    const auto answers = index.search(query, {.k = 10, .ef = ef});
    const auto truth = index.empty() ? std::vector<neighbor<float>>() : model.flat.search(query, {.k = 10});
    wrong += static_cast<std::size_t>(answers.size() != truth.size());
    if (!truth.empty())
      wrong += static_cast<std::size_t>(!test::answers_are_true(answers, model.flat, query));
    for (const auto& a : answers)
      found += static_cast<std::size_t>(!truth.empty() && a.distance <= truth.back().distance);
    all += truth.size();
    std::vector<neighbor<float>> exact(10);
    std::error_code ec;
    exact.resize(index.search_exact(query, 10, exact, ec));
    wrong += static_cast<std::size_t>(exact != truth);
  }
  CHECK(wrong == 0);
  return all == 0 ? 1.0 : static_cast<double>(found) / static_cast<double>(all);
}

template <class Codec>
void removal_check_turnovers(std::size_t rows, std::size_t columns, std::size_t ef) {
  const test::keyed_rows<float> data(rows, columns, 811);
  removal_index<Codec> index(columns, removal_graph), other(columns, removal_graph);
  add_rows(index, data, 0, rows, 2);
  add_rows(other, data, 0, rows);
  std::vector<char> is_there(rows, 1);
  const double fresh = removal_check(index, data, is_there, ef);
  std::vector<std::size_t> order(rows);
  for (std::size_t i = 0; i < rows; ++i) order[i] = i;
  test::random r(812);
  std::size_t most_bytes = 0;
  for (int turn = 0; turn < 3; ++turn) {
    for (std::size_t i = rows; i > 1; --i)
      std::swap(order[i - 1], order[r.below(static_cast<std::uint32_t>(i))]);
    for (std::size_t first = 0; first < rows;) {
      // One at a time, and in heaps.
      const std::size_t count = std::min<std::size_t>(rows - first, r.below(20) == 0 ? 1 + r.below(200) : 1);
      std::vector<std::uint64_t> keys;
      for (std::size_t i = 0; i < count; ++i) keys.push_back(data.keys[order[first + i]]);
      CHECK(index.remove(keys, 2) == count);
      CHECK(other.remove(keys) == count);
      for (std::size_t i = 0; i < count; ++i) is_there[order[first + i]] = 0;
      if (first / 400 != (first + count) / 400) {
        CHECK(removal_check(index, data, is_there, ef) > fresh - 0.05);
        CHECK(index.is_sound());
        CHECK(index.stats().unreachable <= 1);
      }
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t row = order[first + i];
        index.add(data.keys[row], data.view()[row]);
        other.add(data.keys[row], data.view()[row]);
        is_there[row] = 1;
      }
      first += count;
    }
    CHECK(index.graph_checksum() == other.graph_checksum());
    CHECK(removal_check(index, data, is_there, ef) > fresh - 0.03);
    CHECK(index.stats().removed_nodes <= rows / 8);
    index.trim();
    // What the most rows at once took, it keeps; it takes no more.
    if (turn == 1) most_bytes = index.memory_bytes();
    if (turn > 1) CHECK(index.memory_bytes() <= most_bytes + most_bytes / 16);
  }
  index.compact(2);
  CHECK(index.stats().unreachable == 0);
  CHECK(index.is_sound());
  CHECK(index.stats().removed_nodes == 0);
  CHECK(removal_check(index, data, is_there, ef) > fresh - 0.03);
  other.compact();
  CHECK(index.graph_checksum() == other.graph_checksum());
}

}  // namespace

TEST_CASE("what is removed is found no more, all else is") {
  const test::keyed_rows<float> data(900, 9, 801);
  removal_index<> index(9, removal_graph);
  CHECK_FALSE(index.remove(data.keys[0]));
  add_rows(index, data, 0, 900);
  std::vector<char> is_there(900, 1);
  test::random r(802);
  for (std::size_t left = 900; left > 0; --left) {
    std::size_t row = r.below(900);
    while (is_there[row] == 0) row = (row + 1) % 900;
    CHECK(index.remove(data.keys[row]));
    CHECK_FALSE(index.remove(data.keys[row]));
    is_there[row] = 0;
    if (left % 50 == 1 || left < 15) {
      CHECK(removal_check(index, data, is_there, 60) > 0.98);
      CHECK(index.is_sound());
      CHECK(index.stats().unreachable == 0);
    }
  }
  CHECK(index.empty());
  CHECK(index.search(data.view()[0]).empty());
  // As if nothing had been.
  removal_index<> fresh(9, removal_graph);
  add_rows(fresh, data, 100, 700);
  add_rows(index, data, 100, 700);
  CHECK(index.graph_checksum() == fresh.graph_checksum());
  CHECK(index.remove(std::vector<std::uint64_t>(data.keys)) == 700);
  CHECK(index.empty());
  index.compact();
  CHECK(index.memory_bytes() < sizeof(index) + 1000);
  add_rows(index, data, 100, 700);
  CHECK(index.graph_checksum() == fresh.graph_checksum());
}

TEST_CASE("keys that are not there, or are named twice, are passed over") {
  const test::keyed_rows<float> data(200, 5, 803);
  removal_index<> index(5, removal_graph);
  add_rows(index, data, 0, 200);
  const std::vector<std::uint64_t> keys{data.keys[7], 999'999, data.keys[8], data.keys[7]};
  CHECK(index.remove(keys) == 2);
  std::error_code ec = errc::cancelled;
  CHECK(index.remove(keys, 1, ec) == 0);
  CHECK_FALSE(ec);
  CHECK(index.remove({}) == 0);
  CHECK_THROWS_AS(index.reserve(static_cast<std::size_t>(-1)), error);
  index.reserve(100);
  index.reserve(250);
  CHECK(index.size() == 198);
  CHECK_FALSE(index.contains(data.keys[7]));
  index.add(data.keys[7], data.view()[7]);
  CHECK(index.search(data.view()[7], {.k = 1})[0].key == data.keys[7]);
}

TEST_CASE("full turnovers leave recall, reachability and memory as they were, for any number of threads") {
  SUBCASE("vectors") { removal_check_turnovers<codecs::none>(1500, 10, 25); }
  SUBCASE("codes") { removal_check_turnovers<codecs::pca4>(1500, 24, 25); }
}

TEST_CASE("where a whole neighbourhood was removed searches go through it") {
  // A dense ball of 2,000 rows beside 600 others: a query at its centre has nothing left nearby.
  test::keyed_rows<float> data(2600, 8, 804);
  test::random r(805);
  for (std::size_t i = 0; i < 2000; ++i) {
    for (float& x : data.row(i)) x = 0.5f * r.normal();
  }
  for (std::size_t i = 2000; i < 2600; ++i) {
    for (float& x : data.row(i)) x += 4.0f;
  }
  const auto check = [&](auto index) {
    add_rows(index, data, 0, 2600);
    std::vector<char> is_there(2600, 1);
    CHECK(removal_check(index, data, is_there, 30) > 0.95);
    for (std::size_t i = 0; i < 2000; ++i) {
      index.remove(data.keys[i]);
      is_there[i] = 0;
      if (i % 150 == 149) CHECK(removal_check(index, data, is_there, 30) > 0.95);
    }
    CHECK(removal_check(index, data, is_there, 30) > 0.95);
    // A search that may not go far enough says so by having few.
    CHECK(index.search(data.view()[0], {.k = 10, .ef = 30, .budget = 1}).size() <= 10);
    removal_index<> heap(8, removal_graph);
    add_rows(heap, data, 0, 2600);
    CHECK(heap.remove(data.some_keys(0, 2000)) == 2000);
    CHECK(removal_check(heap, data, is_there, 30) > 0.95);
    CHECK(heap.stats().unreachable == 0);
  };
  check(removal_index<>(8, removal_graph));
  check(removal_index<codecs::pca4>(8, removal_graph));
}

TEST_CASE("an update replaces the vector of a key, or leaves all as it was") {
  test::keyed_rows<float> data(800, 7, 806), others(800, 7, 807, 3.0f);
  removal_index<> index(7, removal_graph);
  index.add(data.keys[0], data.view()[0]);
  index.update(data.keys[0], others.view()[0]);  // the only one
  CHECK(index.size() == 1);
  CHECK(index.search(others.view()[0], {.k = 1})[0].distance == 0);
  index.update(data.keys[0], data.view()[0]);
  add_rows(index, data, 1, 799);
  for (std::size_t i = 0; i < 800; i += 2) {
    index.update(data.keys[i], others.view()[i]);
    std::copy_n(others.view()[i].begin(), 7, data.row(i).begin());
  }
  CHECK(removal_check(index, data, std::vector<char>(800, 1), 60) > 0.98);
  CHECK(index.is_sound());
  const std::uint64_t checksum = index.graph_checksum();
  std::vector<float> bad(7, std::numeric_limits<float>::quiet_NaN());
  std::error_code ec;
  index.update(data.keys[3], bad, ec);
  CHECK(ec == errc::not_finite);
  index.update(999'999, data.view()[0], ec);
  CHECK(ec == errc::unknown_key);
  index.update(data.keys[3], std::span<const float>(bad).first(6), ec);
  CHECK(ec == errc::dimension_mismatch);
  CHECK_THROWS_AS(index.update(999'999, data.view()[0]), error);
  CHECK(index.graph_checksum() == checksum);
  CHECK(removal_check(index, data, std::vector<char>(800, 1), 60) > 0.98);
}

TEST_CASE("removals, updates and compaction that run out of memory leave all as it was") {
  constexpr hnsw_options thin{.M = 3, .ef_construction = 6};
  const auto check = [&]<class Codec>(const Codec&, std::size_t rows, std::size_t columns) {
    const test::keyed_rows<float> data(rows, columns, 808), some(400, columns, 809);
    test::failing_resource memory;
    removal_index_of<Codec> expected(columns, thin), index(columns, test::in_memory(memory, thin));
    for (auto* i : {&expected, &index}) {
      add_rows(*i, data, 0, rows);
      for (std::size_t k = 0; k < rows; k += 5) i->remove(data.keys[k]);
    }
    std::vector<std::uint64_t> heap;
    for (std::size_t k = 1; k < rows; k += 5) heap.push_back(data.keys[k]);
    const auto run = [&](const auto& change) {
      const test::index_image before(expected, some);
      std::error_code none;
      change(expected, none);
      const std::size_t failures = test::run_out_of_memory(
          index, memory, 60, [&](std::error_code& ec) { change(index, ec); },
          [&] {
            const bool same = test::index_image(index, some) == before;
            CHECK(same);
            return same;
          });
      CHECK(failures > 3);
      CHECK(test::index_image(index, some) == test::index_image(expected, some));
    };
    run([&](auto& i, std::error_code& ec) { i.remove(data.keys[2], ec); });
    run([&](auto& i, std::error_code& ec) { i.update(data.keys[3], data.view()[0], ec); });
    run([&](auto& i, std::error_code& ec) { i.remove(heap, 2, ec); });
    run([&](auto& i, std::error_code& ec) { i.add(heap, data.view(0, heap.size()), {.threads = 2}, ec); });
    index.compact();
    expected.compact();
    for (auto* i : {&expected, &index}) i->remove(data.keys[4]);
    expected.compact();
    const test::index_image compacted(expected, some);
    std::error_code ec;
    for (std::size_t n = 1;; n += 1 + n / 20) {
      memory.fail_at(n);
      index.compact(1, ec);
      memory.fail_at(0);
      CHECK(index.size() == expected.size());
      CHECK(index.search(some.view()[0], {.k = 20, .ef = 100}) == compacted.wide);
      if (!ec) break;
      CHECK(ec == errc::budget_exceeded);
    }
    CHECK(test::index_image(index, some) == compacted);
    index.trim();
    CHECK(memory.bytes() == test::bytes_beside_itself(index));
  };
  SUBCASE("vectors") { check(codecs::none{}, 300, 5); }
  SUBCASE("codes") { check(codecs::pca4{}, 700, 18); }
}

TEST_CASE(
    "an index with removed vectors can be packed, searched in steps and in batches, refined and learnt from "
    "anew") {
  const auto check = [&]<class Codec>(const Codec&) {
    const test::keyed_rows<float> data(1200, 16, 810);
    removal_index<Codec> index(16, removal_graph);
    add_rows(index, data, 0, 1200);
    std::vector<char> is_there(1200, 1);
    const auto remove = [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) {
        index.remove(data.keys[i]);
        is_there[i] = 0;
      }
    };
    remove(100, 150);
    CHECK(index.stats().removed_nodes == 50);
    const auto check_all = [&] {
      CHECK(removal_check(index, data, is_there, 40) > 0.9);
      for (const node_order order : {node_order::as_given, node_order::windowed, node_order::breadth_first}) {
        const auto packed = index.pack({.order = order});
        CHECK(removal_check(packed, data, is_there, 40) > 0.9);
        const auto opened = decltype(index.pack())::open(packed.image());
        CHECK(removal_check(opened, data, is_there, 40) > 0.9);
        CHECK(opened.stats().nodes_per_level == index.stats().nodes_per_level);
      }
      std::size_t removed = 0;
      std::error_code ec;
      std::vector<neighbor<float>> out(10);
      for (std::size_t i = 0; i < 1200; i += 9) {
        const std::size_t count =
            index.search_in_steps(data.view()[i], {.k = 10, .ef = 60}, out, test::growing_width{}, ec);
        CHECK(count == 10);
        for (const auto& n : std::span(out).first(count))
          removed += static_cast<std::size_t>(!index.contains(n.key));
      }
      const auto all = index.search(data.view(0, 300), {.k = 10, .ef = 40, .threads = 2});
      for (std::size_t i = 0; i < 300; ++i) {
        for (const auto& n : all[i]) removed += static_cast<std::size_t>(!index.contains(n.key));
      }
      CHECK(removed == 0);
    };
    check_all();
    index.refine();
    check_all();
    remove(150, 700);
    check_all();
    if constexpr (!std::is_same_v<Codec, codecs::none>) {
      index.retrain();
      CHECK(index.code_stats().learnt_from == 600);
      check_all();
    }
    remove(700, 1199);
    CHECK(index.size() == 101);
    check_all();
  };
  SUBCASE("vectors") { check(codecs::none{}); }
  SUBCASE("codes") { check(codecs::pca4{}); }
}

TEST_CASE("vectors that are stored in fewer bytes are removed and replaced likewise") {
  const test::keyed_rows<float> data(700, 12, 813);
  const auto check = [&](auto index, float most) {
    add_rows(index, data, 0, 600);
    for (std::size_t i = 0; i < 500; ++i) {
      CHECK(index.remove(data.keys[i]));
      index.add(data.keys[i], data.view()[(i + 1) % 700]);
    }
    for (std::size_t i = 0; i < 500; i += 7)
      CHECK(index.search(data.view()[(i + 1) % 700], {.k = 1, .ef = 60})[0].distance < most);
    CHECK(index.is_sound());
    CHECK(index.size() == 600);
  };
  check(removal_index<codecs::none, storage::sq8>(12, removal_graph), 0.1f);
  check(removal_index<codecs::none, storage::f16>(12, removal_graph), 0.001f);
}

TEST_CASE("the vector of a key comes back, and its neighbours without itself") {
  const test::keyed_rows<float> data(400, 13, 820);
  const auto check = [&](const auto& index, float most, bool is_unit) {
    std::vector<float> out(13);
    std::error_code ec;
    for (std::size_t i = 0; i < 400; i += 7) {
      const auto row = data.view()[i];
      const float norm = is_unit ? std::sqrt(alidade::inner_product(row, row)) : 1.0f;
      CHECK(index.get(data.keys[i], out, ec));
      CHECK(out == index.get(data.keys[i]));
      float error = 0;
      for (std::size_t j = 0; j < 13; ++j) error = std::max(error, std::abs(out[j] - row[j] / norm));
      CHECK(error <= most);
      const auto beside = index.search_by_key(data.keys[i], {.k = 5, .ef = 80});
      const auto all = index.search(row, {.k = 6, .ef = 80});
      CHECK(beside.size() == 5);
      CHECK(std::none_of(beside.begin(), beside.end(), [&](const auto& n) { return n.key == data.keys[i]; }));
      if (most == 0) CHECK(std::equal(beside.begin(), beside.end(), all.begin() + 1));
    }
    CHECK_FALSE(index.get(999'999, out, ec));
    CHECK(ec == errc::unknown_key);
    CHECK_FALSE(index.get(data.keys[0], std::span(out).first(12), ec));
    CHECK(ec == errc::size_mismatch);
    CHECK_THROWS_AS(index.get(999'999), error);
    CHECK(index.search_by_key(999'999, {}, ec).empty());
    CHECK(ec == errc::unknown_key);
    CHECK(index.search_by_key(data.keys[0], {.k = static_cast<std::size_t>(-1), .ef = 400}).size() == 399);
    CHECK(index.search_by_key(data.keys[0], {.k = 0}, ec).empty());
    CHECK(ec == errc::invalid_option);
  };
  const auto check_kind = [&](auto index, float most, bool is_unit) {
    add_rows(index, data, 0, 400);
    check(index, most, is_unit);
  };
  hnsw_index<float> index(13, removal_graph);
  add_rows(index, data, 0, 400);
  check(index, 0, false);
  check(index.pack(), 0, false);
  check_kind(hnsw_index<float, metrics::cosine>(13, removal_graph), 1e-6f, true);
  check_kind(hnsw_index<float, metrics::l2_squared, codecs::none, storage::f16>(13, removal_graph), 4e-3f,
             false);
  check_kind(hnsw_index<float, metrics::l2_squared, codecs::none, storage::sq8>(13, removal_graph), 0.1f,
             false);
  check_kind(hnsw_index<float, metrics::cosine, codecs::none, storage::sq8>(13, removal_graph), 0.02f, true);
  check_kind(hnsw_index<float, metrics::inner_product, codecs::none, storage::sq8>(13, removal_graph), 0.1f,
             false);
}
