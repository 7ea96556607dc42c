#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include <alidade/core/half.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>

#include "failing_resource.hpp"
#include "support.hpp"

/// What the tests of several kinds of indexes share.
namespace test {

// --- data -------------------------------------------------------------------------------------------------------------

/// A number of a test::dataset as one of any type: bytes have most of their range.
template <class T>
T element_of(float x) {
  if constexpr (std::is_same_v<T, std::int8_t>) {
    return static_cast<T>(std::clamp(50.0f * x, -128.0f, 127.0f));
  } else if constexpr (std::is_same_v<T, std::uint8_t>) {
    return static_cast<T>(std::clamp(128.0f + 50.0f * x, 0.0f, 255.0f));
  } else if constexpr (std::is_same_v<T, alidade::bits8>) {
    return static_cast<T>(static_cast<std::uint8_t>(static_cast<int>(100.0f * x) & 255));
  } else {
    return T(x);
  }
}

/// Clustered rows of any element type, with keys that are in no order.
template <class T>
struct keyed_rows {
  std::size_t rows, columns;
  std::vector<T> values;
  std::vector<std::uint64_t> keys;

  keyed_rows(std::size_t rows_, std::size_t columns_, std::uint32_t seed, float mean = 0)
      : rows(rows_), columns(columns_), keys(rows_) {
    const dataset<float> numbers(rows, columns, seed);
    for (const float x : numbers.values) values.push_back(element_of<T>(x + mean));
    for (std::size_t i = 0; i < rows; ++i) keys[i] = (i * 7919 + 5) % 100'003;
  }

  alidade::matrix_view<T> view() const { return {values.data(), rows, columns}; }
  alidade::matrix_view<T> view(std::size_t first, std::size_t count) const {
    return {values.data() + first * columns, count, columns};
  }
  std::span<const std::uint64_t> some_keys(std::size_t first, std::size_t count) const {
    return std::span(keys).subspan(first, count);
  }
  std::span<T> row(std::size_t i) { return std::span(values).subspan(i * columns, columns); }
};

template <class Index, class T>
void add_rows(Index& index, const keyed_rows<T>& data, std::size_t first, std::size_t count,
              std::size_t threads = 1) {
  index.add(data.some_keys(first, count), data.view(first, count), {.threads = threads});
}

// --- answers ----------------------------------------------------------------------------------------------------------

/// The answers to every eighth row, one behind the other.
template <class Index, class T>
auto answers_of(const Index& index, const keyed_rows<T>& data, const alidade::search_options& options) {
  std::vector<typename Index::neighbor_type> all;
  for (std::size_t i = 0; i < data.rows; i += 8) {
    const auto found = index.search(data.view()[i], options);
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

/// How many of these rows are not their own nearest; one at the same distance will do.
template <class Index, class T>
std::size_t count_lost(const Index& index, const keyed_rows<T>& data, std::size_t first, std::size_t count,
                       const alidade::search_options& options = {.k = 1, .ef = 50}, std::size_t step = 1) {
  std::size_t lost = 0;
  for (std::size_t i = first; i < first + count; i += step) {
    const auto found = index.search(data.view()[i], options);
    lost +=
        static_cast<std::size_t>(found.empty() || (found[0].key != data.keys[i] && found[0].distance > 0));
  }
  return lost;
}

/// Adds rows one by one, under keys of their own, and says how many of them have nothing at distance 0 then.
template <class Index>
std::size_t count_lost_of_added(Index& index, const keyed_rows<float>& others) {
  for (std::size_t i = 0; i < others.rows; ++i) index.add(200'000 + i, others.view()[i]);
  std::size_t lost = 0;
  for (std::size_t i = 0; i < others.rows; ++i)
    lost += static_cast<std::size_t>(index.search(others.view()[i], {.k = 1})[0].distance > 0);
  return lost;
}

/// Whether all answers have the distances that exact search has for their keys, to the bit, in order, and no key comes twice.
template <class Answers, class Flat, class T>
bool answers_are_true(const Answers& found, const Flat& flat, std::span<const T> query) {
  const auto truth = flat.search(query, {.k = flat.size()});
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto same = [&](const auto& n) { return n.key == found[i].key; };
    const auto real = std::find_if(truth.begin(), truth.end(), same);
    if (real == truth.end() ||
        std::memcmp(&real->distance, &found[i].distance, sizeof(found[i].distance)) != 0)
      return false;
    if (i != 0 && !(found[i - 1] < found[i])) return false;
  }
  return true;
}

/// Answers by codes to these of the rows, by distances and by products, are 10 and true, and a search as wide as the index is exact.
/// Returns the index by distances.
template <class Codec>
alidade::hnsw_index<float, alidade::metrics::l2_squared, Codec> check_true_answers(
    const keyed_rows<float>& data, std::initializer_list<std::size_t> queries,
    const alidade::hnsw_options& options, const Codec& codec = {}) {
  using by_product = alidade::metrics::inner_product;
  alidade::hnsw_index<float, alidade::metrics::l2_squared, Codec> index(data.columns, options, {}, codec);
  alidade::hnsw_index<float, by_product, Codec> products(data.columns, options, {}, codec);
  alidade::flat_index<float> flat(data.columns);
  alidade::flat_index<float, by_product> flat_products(data.columns);
  flat.add(data.keys, data.view());
  flat_products.add(data.keys, data.view());
  add_rows(index, data, 0, data.rows);
  add_rows(products, data, 0, data.rows);
  for (const std::size_t q : queries) {
    const auto query = data.view()[q];
    const auto found = index.search(query, {.k = 10, .ef = 30});
    const auto multiplied = products.search(query, {.k = 10, .ef = 30});
    CHECK(found.size() == 10);
    CHECK(multiplied.size() == 10);
    CHECK(answers_are_true(found, flat, query));
    CHECK(answers_are_true(multiplied, flat_products, query));
    CHECK(index.search(query, {.k = data.rows, .ef = data.rows, .rerank = data.rows}) ==
          flat.search(query, {.k = data.rows}));
  }
  return index;
}

/// Answers by codes of numbers that no float holds are 10 and true.
template <class Codec>
void check_wide_doubles(std::uint32_t seed, const alidade::hnsw_options& options) {
  keyed_rows<double> data(540, 5, seed);
  for (double& x : data.values) x *= 1e200;
  alidade::hnsw_index<double, alidade::metrics::l2_squared, Codec> index(5, options);
  alidade::flat_index<double> flat(5);
  add_rows(index, data, 0, data.rows);
  flat.add(data.keys, data.view());
  for (std::size_t q = 0; q < data.rows; q += 60) {
    const auto found = index.search(data.view()[q], {.k = 10, .ef = 30});
    CHECK(found.size() == 10);
    CHECK(answers_are_true(found, flat, data.view()[q]));
  }
}

/// Threads that search side by side, and trim the index meanwhile, have the answers of `expected`.
template <class Index, class Expected>
void check_side_by_side([[maybe_unused]] Index& index, [[maybe_unused]] const Expected& expected,
                        [[maybe_unused]] alidade::matrix_view<float> queries) {
#if ALIDADE_HAS_THREADS
  const alidade::search_options options{.k = 6, .ef = 9};
  std::vector<std::vector<alidade::neighbor<float>>> answers(queries.rows());
  for (std::size_t q = 0; q < answers.size(); ++q) answers[q] = expected.search(queries[q], options);
  std::atomic<std::size_t> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<alidade::neighbor<float>> out(options.k);
      for (std::size_t q = 0; q < answers.size(); ++q) {
        std::error_code ec;
        if (index.search(queries[q], options, out, ec) != options.k || out != answers[q]) ++wrong;
        if (q % 50 == t) index.trim();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
#endif
}

/// A search in steps of 12 candidates, up to 40.
struct growing_width {
  std::size_t first_width() const { return 12; }
  template <class Progress>
  std::size_t next_width(const Progress& p) const {
    return p.width < 40 ? p.width + 12 : 0;
  }
};

// --- memory -----------------------------------------------------------------------------------------------------------

inline alidade::hnsw_options in_memory(alidade::memory_resource& memory, alidade::hnsw_options options) {
  options.memory = &memory;
  return options;
}

template <class Index>
std::size_t bytes_beside_itself(const Index& index) {
  return index.memory_bytes() - sizeof(index);
}

/// What can be told of an index with codes from outside. The searches are so narrow that other codes have other answers.
struct index_image {
  std::size_t size;
  std::uint64_t checksum;
  std::vector<alidade::neighbor<float>> narrow, wide;

  template <class Index>
  index_image(const Index& index, const keyed_rows<float>& data)
      : size(index.size()),
        checksum(index.graph_checksum()),
        narrow(answers_of(index, data, {.k = 3, .ef = 2, .rerank = 3})),
        wide(index.search(data.view()[0], {.k = 20, .ef = 100})) {}
  bool operator==(const index_image&) const = default;
};

/// Has attempt(ec) run out of memory at ever later allocations until it does not: at each of the first `patience`, and at ever fewer of
/// those after. Each time is_as_it_was() says whether all is; where it is not, that is the end. Returns how often memory ran out.
template <class Index, class Attempt, class IsAsItWas>
std::size_t run_out_of_memory(Index& index, failing_resource& memory, std::size_t patience,
                              const Attempt& attempt, const IsAsItWas& is_as_it_was) {
  std::error_code ec = alidade::errc::budget_exceeded;
  std::size_t failures = 0;
  for (std::size_t n = 1;; n += 1 + n / patience) {
    index.trim();
    memory.fail_at(n);
    attempt(ec);
    memory.fail_at(0);
    CHECK(memory.bytes() == bytes_beside_itself(index));
    if (!ec) return failures;
    ++failures;
    CHECK(ec == alidade::errc::budget_exceeded);
    if (!is_as_it_was()) return failures;
  }
}

/// Adds so many rows to an index of others, to have memory run out at ever later allocations: each time all is as it was, and in the end
/// as though it never had.
template <class Codec>
void check_addition_out_of_memory(std::uint32_t seed, std::size_t columns, std::size_t before,
                                  std::size_t more, std::size_t threads, std::size_t patience,
                                  const Codec& codec = {}) {
  using index_type = alidade::hnsw_index<float, alidade::metrics::l2_squared, Codec>;
  constexpr alidade::hnsw_options thin{.M = 2, .ef_construction = 3};
  CAPTURE(before);
  CAPTURE(more);
  const keyed_rows<float> data(before + more, columns, seed), some(400, columns, seed + 1);
  index_type expected(columns, thin, {}, codec);
  failing_resource memory;
  index_type index(columns, in_memory(memory, thin), {}, codec);
  if (before != 0) {
    add_rows(expected, data, 0, before);
    add_rows(index, data, 0, before);
  }
  const index_image as_it_was(expected, some);
  CHECK(index_image(index, some) == as_it_was);
  std::size_t result = 0;
  const auto attempt = [&](std::error_code& ec) {
    result = index.add(data.some_keys(before, more), data.view(before, more), {.threads = threads}, ec);
  };
  const std::size_t failures = run_out_of_memory(index, memory, patience, attempt, [&] {
    CHECK(result == alidade::error::no_row);
    const bool same = index_image(index, some) == as_it_was;
    CHECK(same);
    return same;
  });
  CHECK(failures > 5);
  add_rows(expected, data, before, more);
  CHECK(index_image(index, some) == index_image(expected, some));
}

/// Searches for the second of these queries, and for all together, that run out of memory say so, whenever that is, and the next one
/// answers. Returns how often the one ran out.
template <class Index>
std::size_t check_search_out_of_memory(Index& index, failing_resource& memory,
                                       alidade::matrix_view<float> queries,
                                       const alidade::search_options& options) {
  const auto query = queries[1];
  const auto expected = index.search(query, options);
  std::vector<alidade::neighbor<float>> out(options.k);
  std::error_code ec = alidade::errc::budget_exceeded;
  std::size_t failures = 0;
  for (std::size_t n = 1;; ++n, ++failures) {
    index.trim();
    memory.fail_at(n);
    const std::size_t found = index.search(query, options, out, ec);
    memory.fail_at(0);
    if (!ec) break;
    CHECK(ec == alidade::errc::budget_exceeded);
    CHECK(found == 0);
    CHECK(index.search(query, options) == expected);
    index.trim();
    memory.fail_at(n);
    CHECK_THROWS_AS(index.search(query, options), alidade::memory_pool_exhausted);
    memory.fail_at(0);
    index.trim();
    memory.fail_at(n);
    CHECK(index.search(queries, options, ec).empty());
    CHECK(ec == alidade::errc::budget_exceeded);
    memory.fail_at(0);
    CHECK(memory.bytes() == bytes_beside_itself(index));
  }
  CHECK(out == expected);
  return failures;
}

}  // namespace test
