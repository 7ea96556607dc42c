#include "pool_trace.hpp"

#include "contest.hpp"
#include "failure.hpp"
#include "malloc_resource.hpp"
#include "workload.hpp"

#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_pool.hpp>
#include <alidade/memory/memory_pool_synchronized.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t searches_each = 10;        // to an added vector
constexpr std::size_t searches_to_trim = 1000;   // after which the index gives its scratch back
constexpr std::size_t byte_limit = 500'000'000;  // of a pool

struct trace {
  struct event {
    std::uint32_t block;  ///< its number while it lives; the next to be allocated may get it anew
    bool allocates;
    std::size_t size, alignment;
  };
  std::vector<event> events;
  std::size_t blocks = 0;   ///< that live at once, at most
  std::size_t warm_up = 0;  ///< events from which on hits are counted
  std::size_t added = 0, searches = 0;

  [[nodiscard]] std::size_t allocations(std::size_t from) const {
    std::size_t count = 0;
    for (std::size_t i = from; i < events.size(); ++i) count += events[i].allocates ? 1 : 0;
    return count;
  }
};

class recording_resource final : public alidade::memory_resource {
 public:
  explicit recording_resource(trace& to) : to_(&to) {}

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    void* const data = upstream_.allocate(size, alignment);
    if (free_.empty()) free_.push_back(static_cast<std::uint32_t>(to_->blocks++));
    numbers_[data] = free_.back();
    to_->events.push_back({free_.back(), true, size, alignment});
    free_.pop_back();
    return data;
  }
  void do_deallocate(void* data, std::size_t size, std::size_t alignment) override {
    const auto found = numbers_.find(data);
    to_->events.push_back({found->second, false, size, alignment});
    free_.push_back(found->second);
    numbers_.erase(found);
    upstream_.deallocate(data, size, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  trace* to_;
  malloc_resource upstream_;
  std::unordered_map<void*, std::uint32_t> numbers_;
  std::vector<std::uint32_t> free_;
};

/// The first half of the vectors at once, the others one by one with searches in between; a tenth of these warms up.
void record(const matrix<float>& base, trace& to) {
  recording_resource memory(to);
  alidade::hnsw_index<float> index(base.columns, {.memory = &memory});
  std::vector<std::uint64_t> keys(base.rows);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  const std::size_t half = base.rows / 2;
  index.add(std::span(keys).first(half), {base.values.data(), half, base.columns});
  std::vector<alidade::neighbor<float>> found(10);
  std::error_code ec;
  for (std::size_t i = half; i < base.rows; ++i) {
    if (i == half + (base.rows - half) / 10) to.warm_up = to.events.size();
    index.add(keys[i], base.row(i));
    ++to.added;
    for (std::size_t s = 0; s < searches_each; ++s) {
      if (++to.searches % searches_to_trim == 0) index.trim();
      const std::size_t query = (i * searches_each + s) * 7919 % i;
      index.search(base.row(query), {.k = found.size(), .ef = std::size_t{16} << s % 5}, found, ec);
    }
  }
}

/// Plays events back, as one that is given a memory_resource. At the end of the trace no block lives.
class player {
 public:
  explicit player(const trace& t) : trace_(&t), blocks_(t.blocks) {}

  void play(alidade::memory_resource& memory, std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      const trace::event& e = trace_->events[i];
      void*& block = blocks_[e.block];
      if (e.allocates) {
        block = memory.allocate(e.size, e.alignment);
        if (e.size != 0) *static_cast<volatile char*>(block) = 1;
      } else {
        memory.deallocate(block, e.size, e.alignment);
      }
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }

 private:
  const trace* trace_;
  std::vector<void*> blocks_;
};

struct hit_counts {
  std::size_t allocations, hits;
  [[nodiscard]] double rate() const {
    return static_cast<double>(hits) / static_cast<double>(std::max<std::size_t>(allocations, 1));
  }
};

/// Those of the trace after its warm-up.
template <class Pool>
hit_counts count_hits(const trace& t) {
  malloc_resource upstream;
  Pool pool({.byte_limit = byte_limit}, &upstream);
  player replay(t);
  replay.play(pool, 0, t.warm_up);
  const alidade::memory_pool_stats before = pool.stats();
  replay.play(pool, t.warm_up, t.events.size());
  const alidade::memory_pool_stats after = pool.stats();
  return {after.allocations - before.allocations, after.hits - before.hits};
}

/// The whole trace, from a new pool to a destroyed one.
template <class MakePool>
contest::work whole(const trace& t, MakePool make) {
  return [&t, make](std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      malloc_resource upstream;
      auto pool = make(&upstream);
      player(t).play(*pool, 0, t.events.size());
    }
  };
}

template <class Pool>
void measure(const trace& t, const pool_command& command, const std::string& dataset, json_file* file) {
  constexpr bool is_synchronized = std::is_same_v<Pool, alidade::synchronized_memory_pool>;
  const hit_counts counts = count_hits<Pool>(t);

  contest timed({.rounds = command.rounds});
  using resource = alidade::memory_resource;
  const std::size_t ours = timed.add("pool", whole(t, [](resource* upstream) {
                                       return std::make_unique<Pool>(
                                           alidade::memory_pool_options{.byte_limit = byte_limit}, upstream);
                                     }));
  const std::size_t libc =
      timed.add("malloc", whole(t, [](resource*) { return std::make_unique<malloc_resource>(); }));
  std::optional<std::size_t> standard;
#if ALIDADE_HAS_PMR
  using their_pool = std::conditional_t<is_synchronized, std::pmr::synchronized_pool_resource,
                                        std::pmr::unsynchronized_pool_resource>;
  standard = timed.add("std::pmr",
                       whole(t, [](resource* upstream) { return std::make_unique<their_pool>(upstream); }));
#endif
  timed.run();

  const std::size_t allocations = t.allocations(0);
  const double ns = 1e9 / static_cast<double>(allocations);
  const char* const kind = is_synchronized ? "synchronized" : "unsynchronized";
  const spread against_malloc = timed.ratio(libc, ours);
  std::printf("%-14s %9.4f %% (all but %zu of %zu) %9.2f %8.2f", kind, 100 * counts.rate(),
              counts.allocations - counts.hits, counts.allocations, ns * timed.time(ours).median,
              ns * timed.time(libc).median);
  if (standard) std::printf(" %8.2f", ns * timed.time(*standard).median);
  std::printf("  %6.1fx (%.1f .. %.1f)\n", against_malloc.median, against_malloc.min, against_malloc.max);
  if (file == nullptr) return;
  json row{{"kind", "pool_trace"}, {"pool", kind}, {"dataset", dataset}};
  row["added"] = t.added;
  row["searches"] = t.searches;
  row["allocations"] = allocations;
  row["allocations_after_warm_up"] = counts.allocations;
  row["hits_after_warm_up"] = counts.hits;
  row["hit_rate"] = counts.rate();
  row["ns"] = ns * timed.time(ours).median;
  row["ns_rounds"] = timed.rounds(ours, ns);
  row["malloc_ns"] = ns * timed.time(libc).median;
  put(row, "times_malloc", against_malloc);
  if (standard) {
    row["std_ns"] = ns * timed.time(*standard).median;
    put(row, "times_std", timed.ratio(*standard, ours));
  }
  file->write(row);
}

}  // namespace

void measure_trace(const pool_command& command, json_file* file) {
  source_options source = command.source;
  if (source.base.empty() && source.synthetic.empty()) source.synthetic = {10000, 128};
  source.synthetic_queries = 1;
  const workload data = load_workload(source, false);
  if (data.size() < 100) throw input_error("the recorded trace needs at least 100 vectors");
  trace t;
  record(data.base, t);
  std::printf(
      "\na recorded trace: %s, %zu vectors added at once, then %zu one by one with %zu searches in between\n"
      "%-14s %-40s %8s %8s %8s  %s\n",
      data.name.c_str(), data.size() - t.added, t.added, t.searches, "", "hits after warm-up", "pool, pmr",
      "malloc", "std", "malloc / pmr (min .. max)");
  measure<alidade::memory_pool>(t, command, data.name, file);
  measure<alidade::synchronized_memory_pool>(t, command, data.name, file);
}

}  // namespace bench
