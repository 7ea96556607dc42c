#include "cache_command.hpp"

#include "contest.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "parallel.hpp"

#include <alidade/cache/lru_cache.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <list>
#include <optional>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bench {
namespace {

using key = std::uint64_t;
using alidade::cache_policies::lru;
using alidade::cache_policies::s3_fifo;
template <class Policy>
using cache_of =
    alidade::lru_cache<key, std::uint64_t, std::hash<key>, std::equal_to<key>, alidade::heap_bytes, Policy>;

volatile std::uint64_t kept;
/// Long enough that a cache of 100,000 is asked for every entry ten times, as one in use is: what others left in the processor's
/// caches before does not count.
constexpr double slice_s = 0.03;
constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max() / 2;

/// What one writes without a library.
class list_and_map {
 public:
  const std::uint64_t* get(key k) {
    const auto found = places_.find(k);
    if (found == places_.end()) return nullptr;
    used_.splice(used_.begin(), used_, found->second);
    return &found->second->second;
  }
  void put(key k, std::uint64_t value) {
    used_.emplace_front(k, value);
    places_[k] = used_.begin();
    if (used_.size() > most_) {
      places_.erase(used_.back().first);
      used_.pop_back();
    }
  }
  explicit list_and_map(std::size_t most) : most_(most) {}

 private:
  std::list<std::pair<key, std::uint64_t>> used_;
  std::unordered_map<key, std::list<std::pair<key, std::uint64_t>>::iterator> places_;
  std::size_t most_;
};

std::vector<key> random_keys(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<key> keys(count);
  for (key& k : keys) k = engine();
  return keys;
}

template <class Cache>
contest::work hits(Cache& cache, const std::vector<key>& asked) {
  return [&cache, &asked, at = std::size_t{0}](std::size_t repetitions) mutable {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < repetitions; ++i) {
      sum += *cache.get(asked[at]);
      at = at + 1 == asked.size() ? 0 : at + 1;
    }
    kept = sum;
  };
}

/// Every put is of a new key, and evicts one.
template <class Cache>
contest::work puts(Cache& cache, std::uint64_t seed) {
  return [&cache, engine = std::mt19937_64(seed)](std::size_t repetitions) mutable {
    for (std::size_t i = 0; i < repetitions; ++i) cache.put(engine(), i);
  };
}

void print_times(const char* what, std::size_t entries, const contest& timed, json_file* file) {
  for (std::size_t i = 0; i < timed.size(); ++i) {
    const spread time = timed.time(i);
    std::printf("%-5s %9zu  %-22s %8.1f ns (%.1f .. %.1f)", what, entries, timed.name(i).c_str(),
                1e9 * time.median, 1e9 * time.min, 1e9 * time.max);
    json row{{"kind", "cache"},
             {"what", what},
             {"entries", entries},
             {"name", timed.name(i)},
             {"ns", 1e9 * time.median}};
    if (i + 1 != timed.size()) {
      const spread times = timed.ratio(timed.size() - 1, i);
      std::printf("   %.2fx as fast as %s (%.2f .. %.2f)", times.median, timed.name(timed.size() - 1).c_str(),
                  times.min, times.max);
      put(row, "times_list_and_map", times);
    }
    std::putchar('\n');
    if (file != nullptr) file->write(row);
  }
}

void measure(std::size_t entries, const cache_command& command, json_file* file) {
  if (entries == 0) throw input_error("--entries is at least 1");
  cache_of<lru> recent({.max_bytes = unlimited, .max_entries = entries});
  cache_of<s3_fifo> queues({.max_bytes = unlimited, .max_entries = entries});
  list_and_map plain(entries);
  const std::vector<key> keys = random_keys(entries, 1);
  for (const key k : keys) {
    recent.put(k, k);
    queues.put(k, k);
    plain.put(k, k);
  }
  std::vector<key> asked(1 << 20);
  std::mt19937_64 engine(2);
  for (key& k : asked) k = keys[engine() % keys.size()];

  const auto contend = [&](const char* what, const contest::work& a, const contest::work& b,
                           const contest::work& c) {
    contest timed({.rounds = command.rounds, .slice_s = slice_s, .warm_up = false});
    timed.add("lru_cache", a);
    timed.add("lru_cache, s3_fifo", b);
    timed.add("std::list and map", c);
    timed.run();
    print_times(what, entries, timed, file);
  };
  contend("hit", hits(recent, asked), hits(queues, asked), hits(plain, asked));
  contend("put", puts(recent, 3), puts(queues, 3), puts(plain, 3));
  const double own = 2 * sizeof(std::uint64_t);
  std::printf("bytes beside key and value: lru %.1f, s3_fifo %.1f\n",
              static_cast<double>(recent.bytes()) / static_cast<double>(recent.size()) - own,
              static_cast<double>(queues.bytes()) / static_cast<double>(queues.size()) - own);

  std::vector<double> steps;
  for (bool finished = false; !finished;) {
    const auto start = std::chrono::steady_clock::now();
    finished = recent.evict(0.5).finished;
    steps.push_back(seconds_since(start));
  }
  const spread step = spread_of(steps);
  std::printf("evict, half of %zu: %zu calls of %.3f ms (%.3f .. %.3f)\n\n", entries, steps.size(),
              1e3 * step.median, 1e3 * step.min, 1e3 * step.max);
}

struct request {
  key id;
  std::uint32_t size;
};

std::vector<request> sized_requests(const std::string& path) {
  std::vector<request> all;
  std::ifstream file(path, std::ios::binary);
  for (std::array<char, 24> record{}; file.read(record.data(), record.size());) {
    request r{};
    std::memcpy(&r.id, record.data() + 4, sizeof(r.id));
    std::memcpy(&r.size, record.data() + 12, sizeof(r.size));
    all.push_back(r);
  }
  return all;
}

std::vector<request> runs_of_blocks(const std::string& path) {
  std::vector<request> all;
  std::ifstream file(path);
  for (key start = 0, count = 0, ignored = 0, number = 0; file >> start >> count >> ignored >> number;) {
    for (key i = 0; i < count; ++i) all.push_back({start + i, 1});
  }
  return all;
}

std::vector<request> big_endian_ids(const std::string& path) {
  std::vector<request> all;
  std::ifstream file(path, std::ios::binary);
  for (std::array<char, 4> record{}; file.read(record.data(), record.size());) {
    key id = 0;
    for (const char byte : record) id = id << 8 | static_cast<unsigned char>(byte);
    all.push_back({id, 1});
  }
  return all;
}

struct by_value {
  std::size_t operator()(key, std::uint32_t value) const noexcept { return value; }
};

template <class Policy>
double hit_percent(const std::vector<request>& requests, std::size_t budget) {
  // By bytes where requests have sizes, else by entries: all weigh 1 then.
  alidade::lru_cache<key, std::uint32_t, std::hash<key>, std::equal_to<key>, by_value, Policy> cache(
      {.max_bytes = budget, .count_overhead = false});
  std::error_code ec;
  for (const request& r : requests) {
    if (cache.get(r.id) == nullptr)
      cache.put(r.id, r.size, ec);  // what is larger than the cache stays a miss
  }
  return 100 * cache.stats().hit_rate();
}

void replay(const cache_command& command, json_file* file) {
  struct trace {
    const char* name;
    std::vector<request> (*read)(const std::string&);
    std::vector<std::size_t> budgets;
  };
  constexpr std::size_t step = std::size_t{128} << 20;
  const trace traces[] = {
      {"cloudPhysicsIO.oracleGeneral.bin",
       sized_requests,
       {step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step, 8 * step}},
      {"oltp.lis", runs_of_blocks, {1000, 2000, 5000, 10'000, 15'000}},
      {"web12.u32", big_endian_ids, {128, 256, 512, 1024, 2048}},
  };
  double sum = 0, least = 100;
  std::size_t count = 0;
  std::printf("%-34s %11s %8s %8s  points\n", "hits in percent", "budget", "lru", "s3_fifo");
  for (const trace& t : traces) {
    const std::vector<request> requests = t.read(command.traces + "/" + t.name);
    if (requests.empty()) throw input_error("no trace " + command.traces + "/" + t.name);
    for (const std::size_t budget : t.budgets) {
      const double recent = hit_percent<lru>(requests, budget),
                   queues = hit_percent<s3_fifo>(requests, budget);
      std::printf("%-34s %11zu %8.2f %8.2f  %+.2f\n", t.name, budget, recent, queues, queues - recent);
      sum += queues - recent;
      least = std::min(least, queues - recent);
      ++count;
      if (file != nullptr)
        file->write(json{
            {"kind", "trace"}, {"name", t.name}, {"budget", budget}, {"lru", recent}, {"s3_fifo", queues}});
    }
  }
  std::printf("mean %+.2f points, least %+.2f\n", sum / static_cast<double>(count), least);
}

}  // namespace

int run(const cache_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  start_json(command.json);
  std::optional<json_file> file;
  if (!command.json.empty()) file.emplace(command.json);
  json_file* const to = file ? &*file : nullptr;
  std::printf("caches of 8-byte keys and values, %s, %zu rounds\n", alidade::arch_name(), command.rounds);
  for (const std::size_t entries : command.entries) measure(entries, command, to);
  if (!command.traces.empty()) replay(command, to);
  if (file) file->finish();
  return 0;
}

}  // namespace bench
