#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include <alidade/cache/lru_cache.hpp>

// Recorded requests, which are not part of the repository: the folder traces/ of $ALIDADE_DATA, or of the folder beside the
// repository that the build names. Where there are none, that is said, and nothing is checked.

using namespace alidade;

namespace {

struct request {
  std::uint64_t id;
  std::uint32_t size;
};

std::string path_of(const char* name) {
  const char* const folder = std::getenv("ALIDADE_DATA");
  return std::string(folder != nullptr ? folder : ALIDADE_TEST_DATA) + "/traces/" + name;
}

std::vector<request> sized_requests(const char* name) {
  std::vector<request> all;
  std::ifstream file(path_of(name), std::ios::binary);
  for (std::array<char, 24> record{}; file.read(record.data(), record.size());) {
    request r{};
    std::memcpy(&r.id, record.data() + 4, sizeof(r.id));
    std::memcpy(&r.size, record.data() + 12, sizeof(r.size));
    all.push_back(r);
  }
  return all;
}

std::vector<request> runs_of_blocks(const char* name) {
  std::vector<request> all;
  std::ifstream file(path_of(name));
  for (std::uint64_t start = 0, count = 0, ignored = 0, number = 0;
       file >> start >> count >> ignored >> number;) {
    for (std::uint64_t i = 0; i < count; ++i) all.push_back({start + i, 1});
  }
  return all;
}

std::vector<request> big_endian_ids(const char* name) {
  std::vector<request> all;
  std::ifstream file(path_of(name), std::ios::binary);
  for (std::array<char, 4> record{}; file.read(record.data(), record.size());) {
    std::uint64_t id = 0;
    for (const char byte : record) id = id << 8 | static_cast<unsigned char>(byte);
    all.push_back({id, 1});
  }
  return all;
}

struct by_value {
  std::size_t operator()(std::uint64_t, std::uint32_t value) const noexcept { return value; }
};

template <class Policy>
std::size_t misses(const std::vector<request>& requests, const cache_options& options) {
  lru_cache<std::uint64_t, std::uint32_t, std::hash<std::uint64_t>, std::equal_to<std::uint64_t>, by_value,
            Policy>
      cache(options);
  std::error_code ec;
  for (const request& r : requests) {
    if (cache.get(r.id) == nullptr)
      cache.put(r.id, r.size, ec);  // what is larger than the cache stays a miss
  }
  return static_cast<std::size_t>(cache.stats().misses);
}

template <class Policy>
double hit_percent(const std::vector<request>& requests, std::size_t entries) {
  const std::size_t missed = misses<Policy>(requests, {.max_entries = entries, .count_overhead = false});
  return 100.0 * static_cast<double>(requests.size() - missed) / static_cast<double>(requests.size());
}

bool is_there(const std::vector<request>& requests, const char* name) {
  if (requests.empty()) MESSAGE("skipped: no trace ", path_of(name));
  return !requests.empty();
}

using cache_policies::lru;
using cache_policies::s3_fifo;

}  // namespace

TEST_CASE("cloudPhysicsIO: misses under budgets of 128 MiB and its multiples, to the last one") {
  const auto requests = sized_requests("cloudPhysicsIO.oracleGeneral.bin");
  if (!is_there(requests, "cloudPhysicsIO.oracleGeneral.bin")) return;
  CHECK(requests.size() == 113'872);
  const std::size_t expected[] = {93'374, 89'783, 83'572, 81'722, 72'494, 72'104, 71'972, 71'704};
  for (std::size_t i = 0; i < 8; ++i) {
    const cache_options options{.max_bytes = (i + 1) * (std::size_t{128} << 20), .count_overhead = false};
    CHECK(misses<lru>(requests, options) == expected[i]);
    CHECK(misses<s3_fifo>(requests, options) < expected[i]);
  }
}

// N. Megiddo, D. Modha: ARC, a self-tuning, low overhead replacement cache, FAST 2003.
TEST_CASE("oltp: hit rates by number of blocks") {
  const auto requests = runs_of_blocks("oltp.lis");
  if (!is_there(requests, "oltp.lis")) return;
  CHECK(requests.size() == 914'145);
  const std::size_t entries[] = {1000, 2000, 5000, 10'000, 15'000};
  const double expected[] = {32.83, 42.47, 53.65, 60.70, 64.63};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(hit_percent<lru>(requests, entries[i]) == doctest::Approx(expected[i]).epsilon(0.0001));
    CHECK(hit_percent<s3_fifo>(requests, entries[i]) > expected[i]);
  }
}

TEST_CASE("web12: hit rates by number of entries") {
  const auto requests = big_endian_ids("web12.u32");
  if (!is_there(requests, "web12.u32")) return;
  CHECK(requests.size() == 95'607);
  CHECK(hit_percent<lru>(requests, 512) == doctest::Approx(56.12).epsilon(0.0001));
  for (const std::size_t entries : {128u, 256u, 512u, 1024u, 2048u})
    CHECK(hit_percent<s3_fifo>(requests, entries) > hit_percent<lru>(requests, entries));
}
