#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <system_error>
#include <type_traits>
#include <vector>

#include <alidade/index/hnsw_index.hpp>
#include <alidade/index/packed_index.hpp>

#include "../failing_resource.hpp"
#include "../index_support.hpp"
#include "../support.hpp"

namespace {

using namespace alidade;

/// Random operations on an index and on a plain map that says what it has to have. A second index, with another number of threads, has to
/// come to the same graph; calls that run out of memory have to leave theirs as it was.
template <class Codec, std::size_t D>
class random_operations {
  using index_type = hnsw_index<float, metrics::l2_squared, Codec>;
  using vector_type = std::array<float, D>;

 public:
  explicit random_operations(std::uint32_t seed)
      : r_(seed),
        has_ties_(seed % 3 == 0),
        options_{.M = 2 + seed % 6, .ef_construction = 5 + seed % 30, .fill = seed % 4 != 0},
        index_(D, test::in_memory(memory_, options_)),
        twin_(D, options_) {}

  /// With `first` rows to begin with.
  void run(std::size_t first, std::size_t steps) {
    if (first != 0) add(first);
    for (std::size_t step = 0; step < steps; ++step) {
      const std::uint32_t choice = model_.size() < 20 ? 0 : r_.below(12);
      CAPTURE(step);
      CAPTURE(choice);
      one(choice);
      check();
    }
  }

 private:
  vector_type some_vector() {
    vector_type v;
    for (float& x : v) x = has_ties_ ? static_cast<float>(r_.below(3)) : 3 * r_.normal();
    return v;
  }
  std::uint64_t some_key() {
    const auto found = model_.lower_bound(r_.below(static_cast<std::uint32_t>(next_key_ + 1)));
    return found == model_.end() ? model_.begin()->first : found->first;
  }

  /// change(index, threads, ec) on both, on the first with memory that runs out now and then until it does not.
  template <class Change>
  void on_both(const Change& change) {
    for (std::size_t left = r_.below(3) == 0 ? 1 + r_.below(60) : 0; left != 0; left += 1 + left) {
      const std::uint64_t checksum = index_.graph_checksum();
      std::error_code ec;
      memory_.fail_at(left);
      change(index_, 2, ec);
      memory_.fail_at(0);
      if (!ec) {
        change(twin_, 1, ec);
        return;
      }
      CHECK(ec == errc::budget_exceeded);
      CHECK(index_.graph_checksum() == checksum);
      check();
    }
    std::error_code ec;
    change(index_, 2, ec);
    CHECK_FALSE(ec);
    change(twin_, 1, ec);
    CHECK_FALSE(ec);
  }

  void add(std::size_t count) {
    std::vector<std::uint64_t> keys;
    std::vector<float> rows;
    for (std::size_t i = 0; i < count; ++i) {
      const vector_type v = some_vector();
      keys.push_back(next_key_++);
      rows.insert(rows.end(), v.begin(), v.end());
    }
    on_both([&](index_type& index, std::size_t threads, std::error_code& ec) {
      index.add(keys, matrix_view<float>(rows.data(), count, D), {.threads = threads}, ec);
    });
    for (std::size_t i = 0; i < count; ++i) std::copy_n(rows.data() + i * D, D, model_[keys[i]].begin());
  }

  void one(std::uint32_t choice) {
    if (choice <= 2) {
      add(choice == 0 ? 1 + r_.below(120) : 1);
    } else if (choice <= 5) {
      std::vector<std::uint64_t> keys{some_key(), next_key_ + 7};
      for (std::size_t i = choice == 5 ? r_.below(80) : 0; i > 0; --i) keys.push_back(some_key());
      if (choice == 5 && r_.below(8) == 0) {
        for (const auto& [key, v] : model_) keys.push_back(key);
      }
      on_both([&](index_type& index, std::size_t threads, std::error_code& ec) {
        index.remove(keys, threads, ec);
      });
      for (const std::uint64_t key : keys) model_.erase(key);
    } else if (choice <= 9) {
      const std::uint64_t key = some_key();
      const vector_type v = some_vector();
      on_both([&](index_type& index, std::size_t, std::error_code& ec) { index.update(key, v, ec); });
      model_[key] = v;
    } else if (choice == 10) {
      on_both([](index_type& index, std::size_t threads, std::error_code& ec) {
        index.refine({.threads = threads}, ec);
      });
    } else {
      for (index_type* index : {&index_, &twin_}) {
        if constexpr (!std::is_same_v<Codec, codecs::none>) index->retrain();
        index->compact();
      }
      CHECK(index_.stats().removed_nodes == 0);
      CHECK(index_.stats().unreachable == 0);
      const auto packed = index_.pack();
      check_searches(decltype(index_.pack())::open(packed.image()));
    }
  }

  void check() {
    CHECK(index_.size() == model_.size());
    CHECK(index_.graph_checksum() == twin_.graph_checksum());
    std::size_t wrong = 0;
    for (const auto& [key, v] : model_) {
      std::error_code ec;
      vector_type kept;
      wrong += static_cast<std::size_t>(!index_.get(key, kept, ec) || kept != v);
    }
    CHECK(wrong == 0);
    check_searches(index_);
    index_.trim();
    CHECK(memory_.bytes() == test::bytes_beside_itself(index_));
  }

  template <class Index>
  void check_searches(const Index& index) {
    const vector_type query = some_vector();
    const std::uint64_t modulus = 1 + r_.below(12);
    const auto allows = [modulus](std::uint64_t key) { return key % modulus == 0; };
    std::vector<neighbor<float>> truth, exact(10);
    std::vector<std::uint64_t> list;
    for (const auto& [key, v] : model_) {
      if (!allows(key)) continue;
      truth.push_back({key, l2_squared(query, v)});
      list.push_back(key);
    }
    std::sort(truth.begin(), truth.end());
    std::error_code ec;
    exact.resize(index.search_exact(query, 10, exact, ec, allows));
    truth.resize(std::min<std::size_t>(truth.size(), 10));
    CHECK(exact.size() == truth.size());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < std::min(exact.size(), truth.size()); ++i)
      wrong += static_cast<std::size_t>(
          !(std::abs(exact[i].distance - truth[i].distance) <= 1e-4f * (1 + truth[i].distance)));
    for (const search_filter& filter : {search_filter(), search_filter(allows), search_filter::keys(list)}) {
      const bool is_filtered = filter.what() != search_filter::kind::everything;
      const auto found = index.search(query, {.k = 10, .ef = 8 + r_.below(60), .filter = filter}, ec);
      CHECK(found.size() == (is_filtered ? truth.size() : std::min<std::size_t>(10, model_.size())));
      std::set<std::uint64_t> seen;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const auto it = model_.find(found[i].key);
        wrong += static_cast<std::size_t>(it == model_.end() || !seen.insert(found[i].key).second ||
                                          (is_filtered && !allows(found[i].key)) ||
                                          (i != 0 && found[i] < found[i - 1]));
      }
    }
    CHECK(wrong == 0);
  }

  test::random r_;
  bool has_ties_;
  hnsw_options options_;
  test::failing_resource memory_;
  index_type index_, twin_;
  std::map<std::uint64_t, vector_type> model_;
  std::uint64_t next_key_ = 0;
};

/// How many sequences: as many as the environment's ALIDADE_TEST_OPERATIONS says, or a few.
std::uint32_t operations_runs() {
  const char* const runs = std::getenv("ALIDADE_TEST_OPERATIONS");
  return runs == nullptr ? 6 : static_cast<std::uint32_t>(std::strtoul(runs, nullptr, 10));
}

}  // namespace

TEST_CASE("whatever is added, removed, updated, refined and compacted, an index has what a map has") {
  for (std::uint32_t seed = 1; seed <= operations_runs(); ++seed) {
    CAPTURE(seed);
    random_operations<codecs::none, 6>(seed).run(0, 70);
    random_operations<codecs::pca4, 34>(1000 + seed).run(480, 25);
  }
}
