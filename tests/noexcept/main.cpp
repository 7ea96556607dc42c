// Only the std::error_code forms, in a program that is compiled with -fno-exceptions -fno-rtti: nothing in the headers
// may need either, and every error must come back as a value and leave the index as it was.
#include <alidade/alidade.hpp>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <sstream>
#include <system_error>
#include <vector>

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::printf("failed: %s\n", what);
    ++failures;
  }
}

void check_index(alidade::memory_resource* memory) {
  constexpr std::size_t dimension = 16;
  std::error_code error;
  alidade::hnsw_index<float> index(dimension, {.M = 8, .ef_construction = 40, .memory = memory}, {}, error);
  check(!error, "an index with valid options");

  std::error_code refused;
  const alidade::hnsw_index<float> bad(dimension, {.M = 0}, {}, refused);
  check(refused == make_error_code(alidade::errc::invalid_option), "M = 0 is an invalid option");

  constexpr std::size_t rows = 200;
  std::vector<float> data(rows * dimension);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = std::sin(static_cast<float>(i * i % 1009));
  std::vector<std::uint64_t> keys(rows);
  for (std::size_t i = 0; i < rows; ++i) keys[i] = 1000 + i;
  const alidade::matrix_view<float> matrix(data.data(), rows, dimension);
  index.add(keys, matrix, {.threads = 1}, error);
  check(!error && index.size() == rows, "a batch");

  std::array<alidade::neighbor<float>, 5> out{};
  for (std::size_t row = 0; row < rows; row += 37) {
    const std::size_t found = index.search(matrix[row], {.k = out.size(), .ef = 64}, out, error);
    check(!error && found == out.size(), "five neighbours");
    check(out[0].key == keys[row] && out[0].distance == 0.0F, "a row is its own nearest neighbour");
  }

  index.add(keys[3], matrix[3], error);
  check(error == make_error_code(alidade::errc::duplicate_key), "a duplicate key");
  index.add(1, matrix[0].first(dimension - 1), error);
  check(error == make_error_code(alidade::errc::dimension_mismatch), "a wrong dimension");
  std::vector<float> broken(matrix[0].begin(), matrix[0].end());
  broken[7] = std::numeric_limits<float>::quiet_NaN();
  index.add(1, broken, error);
  check(error == make_error_code(alidade::errc::not_finite), "a NaN");
  index.search(broken, {.k = out.size(), .ef = 64}, out, error);
  check(error == make_error_code(alidade::errc::not_finite), "a NaN in a query");
  check(index.size() == rows, "errors leave the index as it was");

  const auto packed = index.pack({}, error);
  check(!error && packed.size() == rows, "a packed index");
  const auto opened = alidade::packed_index<float>::open(packed.image(), {.memory = memory}, {}, error);
  check(!error && opened.search(matrix[5], {.k = 1}, out, error) == 1 && out[0].key == keys[5],
        "and one that is opened where it lies");
  check(alidade::packed_index<float>::open(packed.image().first(100), {}, {}, error).empty() &&
            error == make_error_code(alidade::errc::corrupted_data),
        "a torn image");
  check(alidade::packed_index<float>::map("there/is/no/such/file", {}, {}, error).empty() && error,
        "no file");
  packed.save("there/is/no/such/folder", error);
  check(bool(error), "no folder");
}

void check_stored_forms() {
  constexpr std::size_t dimension = 16, rows = 100;
  std::vector<float> data(rows * dimension);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = std::sin(static_cast<float>(i * i % 1009));
  std::vector<std::uint64_t> keys(rows);
  for (std::size_t i = 0; i < rows; ++i) keys[i] = 1000 + i;
  const alidade::matrix_view<float> matrix(data.data(), rows, dimension);
  std::error_code error;
  alidade::hnsw_index<float, alidade::metrics::l2_squared, alidade::codecs::sq8, alidade::storage::sq8> bytes(
      dimension, {.M = 8}, {}, {}, {.quantile = 0.99}, error);
  check(!error, "an index of signed bytes with valid options");
  bytes.calibrate_storage(matrix, error);
  check(!error, "that looks at rows");
  bytes.add(keys, matrix, error);
  check(!error && bytes.size() == rows, "and holds them");
  bytes.calibrate_storage(matrix, error);
  check(error == make_error_code(alidade::errc::invalid_option), "after which it looks at no others");
  check(bytes.search(matrix[7], {.k = 1}, error).front().key == keys[7],
        "a row is its own nearest neighbour");

  alidade::hnsw_index<float, alidade::metrics::l2_squared, alidade::codecs::none, alidade::storage::f16>
      halves(dimension, {.M = 8}, {}, error);
  data[5 * dimension] = 1e6F;
  check(halves.add(keys, matrix, error) == 5, "a number that no half float holds");
  check(error == make_error_code(alidade::errc::not_representable), "is an error");
  check(halves.empty(), "that leaves the index as it was");
}

void check_pool() {
  std::error_code error;
  alidade::memory_pool pool({.byte_limit = 1'000'000}, alidade::new_delete_resource(), error);
  check(!error, "a pool with valid options");
  alidade::synchronized_memory_pool closed({.byte_limit = 0}, alidade::new_delete_resource(), error);
  check(error == make_error_code(alidade::errc::invalid_option), "a limit of 0 is an invalid option");
  check(closed.allocate(8, 8, error) == nullptr, "of which nothing can be had");
  check(error == make_error_code(alidade::errc::budget_exceeded), "which is an error");

  void* const block = pool.allocate(700'000, 64, error);
  check(!error && block != nullptr, "a block");
  check(pool.allocate(700'000, 64, error) == nullptr, "no room for another");
  check(error == make_error_code(alidade::errc::budget_exceeded), "which is an error");
  pool.deallocate(block, 700'000, 64);
  check(pool.trim() >= 700'000 && pool.reserved_bytes() == 0, "all goes back");

  check_index(&pool);
  check(pool.stats().used_bytes == 0 && pool.stats().hit_rate() > 0, "an index gives all back to its pool");
}

void check_monitor_and_cache() {
  std::error_code error;
  const alidade::manual_memory_source no_limit(0, error);
  check(error == make_error_code(alidade::errc::invalid_option), "a limit of 0 is an invalid option");
  using monitor_type = alidade::memory_monitor<alidade::manual_memory_source>;
  const monitor_type bad(alidade::manual_memory_source(), {.capacity = 0}, error);
  check(error == make_error_code(alidade::errc::invalid_option), "a ring of nothing is an invalid option");
  monitor_type monitor(alidade::manual_memory_source(), {.capacity = 4}, error);
  check(!error, "a monitor with valid options");
  monitor.source().set_usage(std::numeric_limits<double>::quiet_NaN(), error);
  check(error == make_error_code(alidade::errc::not_finite), "a NaN is no usage");
  monitor.source().set_usage(0.96, error);
  check(monitor.sample(error) >= 0.95 && !error, "a sample");
  alidade::memory_monitor<alidade::no_memory_source> blind;
  blind.sample(error);
  check(error == std::errc::function_not_supported, "a source that cannot say");

  alidade::lru_cache<int, std::vector<char>> cache({.max_bytes = 100'000});
  for (int key = 0; key < 50; ++key) {
    cache.put(key, std::vector<char>(1000, 'a'), error);
    check(!error, "a value that fits");
  }
  cache.put(99, std::vector<char>(200'000), error);
  check(error == make_error_code(alidade::errc::budget_exceeded), "a value larger than the budget");
  check(cache.size() == 50 && cache.get(49) != nullptr && cache.get(99) == nullptr, "evicts nothing");
  check(cache.relieve(monitor).finished && cache.size() <= 26, "half goes under critical pressure");

  alidade::sharded_lru_cache<int, std::vector<char>> shards({.max_bytes = 1'000'000, .shards = 8});
  int told = 0;
  shards.on_eviction([&](int, const std::vector<char>&, alidade::eviction_cause) { ++told; });
  for (int key = 0; key < 2000; ++key) {
    shards.put(key, std::vector<char>(1000, 'a'), error);
    check(!error, "a value that fits into one of the shards");
  }
  check(shards.bytes() <= 1'000'000 && told == 2000 - static_cast<int>(shards.size()), "one budget");
  shards.put(0, std::vector<char>(2'000'000), error);
  check(error == make_error_code(alidade::errc::budget_exceeded), "a value larger than all shards");
  const auto loaded = shards.get_or_load(
      5000, [](int) { return std::vector<char>(7); }, error);
  check(!error && loaded->size() == 7, "a value that is loaded");
}

void check_learning() {
  std::error_code error;
  const alidade::q_learner<float> bad(4, 2, {.alpha = 2}, 0, error);
  check(error == make_error_code(alidade::errc::invalid_option), "a step size of 2");
  alidade::q_learner<float> learner(4, 2, {.alpha = 0.5, .gamma = 0.9}, 0, error);
  check(!error, "a learner");
  alidade::transitions<float> seen;
  seen.push_back({.state = 0, .action = 0, .reward = 10, .next_state = 0});
  seen.push_back({.state = 0, .action = 0, .reward = 10, .next_state = 0});
  check(learner.update(seen.batch(), error) == 2 && !error, "a batch");
  check(learner.table()(0, 0) == 9.75F, "one transition after the other");
  seen.push_back({.state = 7, .action = 0, .reward = 1, .next_state = 0});
  check(learner.update(seen.batch(), error) == 2, "the transition at fault is named");
  check(error == make_error_code(alidade::errc::out_of_range) && learner.table()(0, 0) == 9.75F,
        "and nothing applied");

  std::stringstream file;
  learner.table().save(file, error);
  check(!error && alidade::q_table<float>::load(file, nullptr, error) == learner.table() && !error,
        "a table in a file");
  alidade::q_table<float>::load(file, nullptr, error);
  check(error == make_error_code(alidade::errc::corrupted_data), "a file that has ended");

  alidade::trajectory_buffer<float> buffer({.capacity = 8}, error);
  check(buffer.push(seen.batch(), error) == 3 && !error, "transitions in a buffer");
  alidade::sampled_transitions<float> sampled;
  buffer.sample(5, sampled, error);
  check(!error && sampled.size() == 5, "a sample");
}

void check_engine() {
  std::error_code error;
  alidade::hnsw_index<float> index(2);
  for (std::uint64_t key = 0; key < 100; ++key) {
    const float vector[] = {static_cast<float>(key % 10), static_cast<float>(key / 10)};
    index.add(key, vector, error);
  }
  const alidade::adaptive_search bad(index, {.k = 0}, error);
  check(error == make_error_code(alidade::errc::invalid_option), "an engine for no neighbours");
  alidade::adaptive_search engine(index, {.k = 3}, error);
  std::vector<alidade::neighbor<float>> found(3);
  const float query[] = {4.1F, 5.0F};
  check(engine.search(query, found, error) == 3 && !error && found.front().key == 54, "an adaptive search");
  const float wrong[] = {4.1F};
  check(engine.search(wrong, found, error) == 0, "a query of another dimension");
  check(error == make_error_code(alidade::errc::dimension_mismatch), "is an error");
  std::stringstream file;
  engine.save(file, error);
  check(!error, "an engine in a file");
  engine.load(file, error);
  check(!error, "and back");
  engine.load(file, error);
  check(error == make_error_code(alidade::errc::corrupted_data), "but not twice");
}

}  // namespace

int main() {
  check_index(nullptr);
  check_stored_forms();
  check_pool();
  check_monitor_and_cache();
  check_learning();
  check_engine();
  std::printf("%s on %s\n", failures == 0 ? "passed" : "FAILED", alidade::arch_name());
  return failures == 0 ? 0 : 1;
}
