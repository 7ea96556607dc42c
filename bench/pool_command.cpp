#include "pool_command.hpp"

#include "contest.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "malloc_resource.hpp"
#include "parallel.hpp"
#include "pool_trace.hpp"

#include <alidade/memory/memory_pool.hpp>
#include <alidade/memory/memory_pool_synchronized.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace bench {
namespace {

// Through these pointers the compiler cannot see that a block is not used.
void* (*volatile opaque_malloc)(std::size_t) = std::malloc;
void (*volatile opaque_free)(void*) = std::free;

struct plain_malloc {
  void* allocate(std::size_t size) const { return get(size); }
  void deallocate(void* block, std::size_t) const { put(block); }

  void* (*get)(std::size_t) = opaque_malloc;
  void (*put)(void*) = opaque_free;
};

/// Does nothing, and so costs what two virtual calls do.
class one_block final : public alidade::memory_resource {
  void* do_allocate(std::size_t, std::size_t) override { return block_.data(); }
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  alignas(64) std::array<char, 64> block_{};
};

/// What a contestant allocates from: a pool itself, or any resource, by virtual calls.
template <class Resource>
struct from {
  explicit from(Resource* resource) : opaque(resource) {}
  from(const from& other) : opaque(other.pool) {}

  void* allocate(std::size_t size) const { return pool->allocate(size); }
  void deallocate(void* block, std::size_t size) const { pool->deallocate(block, size); }

  Resource* volatile opaque;
  Resource* pool = opaque;
};

/// The least that one does with a block. Between the calls nothing may be assumed of memory.
void use(void* block) {
  *static_cast<volatile char*>(block) = 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

constexpr std::size_t batch_size = 64;
constexpr std::size_t churn_steps = 4096;
constexpr std::size_t most_live = 256;

/// For each step: which of the live blocks dies, and how long, of the sizes up to the asked, the next one is.
struct churn_plan {
  std::size_t live;
  std::vector<std::uint32_t> victim;
  std::vector<std::uint32_t> size;
};

churn_plan plan_churn(std::size_t size, bool mixed) {
  std::mt19937 random(7);
  churn_plan plan{std::min(most_live, (std::size_t{8} << 20) / size), {}, {}};
  plan.live = std::max<std::size_t>(plan.live, 2);
  for (std::size_t i = 0; i < churn_steps; ++i) {
    plan.victim.push_back(static_cast<std::uint32_t>(random() % plan.live));
    plan.size.push_back(static_cast<std::uint32_t>(mixed ? 1 + random() % size : size));
  }
  return plan;
}

template <class Source>
void pairs(const Source& source, std::size_t size) {
  for (std::size_t i = 0; i < batch_size; ++i) {
    void* const block = source.allocate(size);
    use(block);
    source.deallocate(block, size);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
}

template <class Source>
void batches(const Source& source, std::size_t size) {
  std::array<void*, batch_size> blocks;
  for (void*& block : blocks) use(block = source.allocate(size));
  for (std::size_t i = batch_size; i-- > 0;) source.deallocate(blocks[i], size);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// The blocks live from call to call.
template <class Source>
class churn {
 public:
  churn(const Source& source, const churn_plan& plan) : source_(source), plan_(&plan) {
    for (std::size_t i = 0; i < plan.live; ++i) {
      blocks_.push_back({source_.allocate(plan.size[i]), plan.size[i]});
    }
  }
  churn(const churn&) = delete;
  churn& operator=(const churn&) = delete;
  ~churn() {
    for (const block& b : blocks_) source_.deallocate(b.data, b.size);
  }

  void run() {
    for (std::size_t i = 0; i < churn_steps; ++i) {
      block& b = blocks_[plan_->victim[i]];
      source_.deallocate(b.data, b.size);
      b.size = plan_->size[i];
      b.data = source_.allocate(b.size);
      use(b.data);
    }
  }

 private:
  struct block {
    void* data;
    std::size_t size;
  };
  Source source_;
  const churn_plan* plan_;
  std::vector<block> blocks_;
};

enum class pattern { pair, batch, churn, mixed, threads };
const char* name_of(pattern p) {
  return std::array{"pair", "batch", "churn", "mixed", "threads"}[static_cast<std::size_t>(p)];
}

/// A pair of allocation and deallocation is the unit; `pairs_each` of them are a repetition of the work.
template <class Source>
contest::work work_of(const Source& source, pattern what, std::size_t size, const churn_plan& plan,
                      std::size_t threads) {
  if (what == pattern::pair) {
    return [source, size](std::size_t n) {
      for (std::size_t i = 0; i < n; ++i) pairs(source, size);
    };
  }
  if (what == pattern::batch) {
    return [source, size](std::size_t n) {
      for (std::size_t i = 0; i < n; ++i) batches(source, size);
    };
  }
  if (what == pattern::threads) {
    return [source, &plan, threads](std::size_t n) {
      std::vector<std::thread> all;
      for (std::size_t t = 0; t < threads; ++t) {
        all.emplace_back([&source, &plan, n] {
          churn<Source> own(source, plan);
          for (std::size_t i = 0; i < n; ++i) own.run();
        });
      }
      for (std::thread& thread : all) thread.join();
    };
  }
  const auto state = std::make_shared<churn<Source>>(source, plan);
  return [state](std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) state->run();
  };
}

double pairs_each(pattern what, std::size_t threads) {
  if (what == pattern::pair || what == pattern::batch) return static_cast<double>(batch_size);
  return static_cast<double>(churn_steps) * static_cast<double>(what == pattern::threads ? threads : 1);
}

template <class Pool>
constexpr bool is_synchronized = std::is_same_v<Pool, alidade::synchronized_memory_pool>;

/// A pool against malloc and, of std::pmr, the pool that does the same.
template <class Pool>
void measure(pattern what, std::size_t size, const pool_command& command, json_file* file) {
  malloc_resource upstream;
  Pool pool({.byte_limit = 500'000'000}, &upstream);
  // The pool seen as any resource is another, so that both have blocks of their own.
  Pool second({.byte_limit = 500'000'000}, &upstream);
#if ALIDADE_HAS_PMR
  std::conditional_t<is_synchronized<Pool>, std::pmr::synchronized_pool_resource,
                     std::pmr::unsynchronized_pool_resource>
      theirs(&upstream);
#endif
  const churn_plan plan = plan_churn(size, what == pattern::mixed);
  const std::size_t threads = command.threads;

  contest timed({.rounds = command.rounds,
                 .slice_s = what == pattern::threads ? 0.02 : 0.001,
                 .own_time = what != pattern::threads});
  const from<Pool> direct(&pool);
  const from<alidade::memory_resource> as_resource(&second);
  const std::size_t ours = timed.add("pool", work_of(direct, what, size, plan, threads));
  const std::size_t ours_virtual = timed.add("pool, pmr", work_of(as_resource, what, size, plan, threads));
  one_block nothing;
  const from<alidade::memory_resource> no_resource(&nothing);
  const std::size_t calls = timed.add("calls", work_of(no_resource, what, size, plan, threads));
  const std::size_t libc = timed.add("malloc", work_of(plain_malloc(), what, size, plan, threads));
  std::optional<std::size_t> standard;
#if ALIDADE_HAS_PMR
  const from<alidade::memory_resource> their_resource(&theirs);
  standard = timed.add("std::pmr", work_of(their_resource, what, size, plan, threads));
#endif
  timed.run();

  const double ns = 1e9 / pairs_each(what, threads);
  const auto time = [&](std::size_t i) { return ns * timed.time(i).median; };
  const char* const kind = is_synchronized<Pool> ? "synchronized" : "unsynchronized";
  const spread against_malloc = timed.ratio(libc, ours),
               virtual_against_malloc = timed.ratio(libc, ours_virtual);
  std::printf("%-8s %7zu %7.2f %7.2f %7.2f %7.2f", name_of(what), size, time(ours), time(ours_virtual),
              time(calls), time(libc));
  standard ? std::printf(" %7.2f", time(*standard)) : std::printf(" %7s", "");
  std::printf("  %6.1fx (%.1f .. %.1f)  %5.1fx (%.1f .. %.1f)", against_malloc.median, against_malloc.min,
              against_malloc.max, virtual_against_malloc.median, virtual_against_malloc.min,
              virtual_against_malloc.max);
  spread against_standard;
  if (standard) {
    against_standard = timed.ratio(*standard, ours_virtual);
    std::printf("  %5.1fx (%.1f .. %.1f)", against_standard.median, against_standard.min,
                against_standard.max);
  }
  std::putchar('\n');
  if (file == nullptr) return;
  json row{{"kind", "pool"}, {"pool", kind}, {"pattern", name_of(what)}, {"size", size}};
  if (what == pattern::threads) row["threads"] = threads;
  row["ns"] = time(ours);
  row["ns_rounds"] = timed.rounds(ours, ns);
  row["pmr_ns"] = time(ours_virtual);
  row["calls_ns"] = time(calls);
  row["malloc_ns"] = time(libc);
  put(row, "times_malloc", against_malloc);
  put(row, "pmr_times_malloc", virtual_against_malloc);
  if (standard) {
    row["std_ns"] = time(*standard);
    put(row, "pmr_times_std", against_standard);
  }
  file->write(row);
}

template <class Pool>
void measure_all(const pool_command& command, json_file* file) {
  for (const pattern what : {pattern::pair, pattern::batch, pattern::churn}) {
    for (const std::size_t size : command.sizes) measure<Pool>(what, size, command, file);
  }
  measure<Pool>(pattern::mixed, 4096, command, file);
  if (is_synchronized<Pool> && have_threads && command.threads > 1) {
    for (const std::size_t size : command.sizes) measure<Pool>(pattern::threads, size, command, file);
  }
}

void print_header(const char* pool) {
  std::printf("\n%s\n%-8s %7s %7s %7s %7s %7s %7s  %s\n", pool, "pattern", "bytes", "pool", "pmr", "calls",
              "malloc", "std", "malloc / pool (min .. max), malloc / pmr, std / pmr");
}

}  // namespace

int run(const pool_command& command) {
  if (command.rounds == 0) throw input_error("--rounds is at least 1");
  for (const std::size_t size : command.sizes) {
    if (size == 0 || size > (std::size_t{1} << 20)) throw input_error("--size is 1..1048576");
  }
  start_json(command.json);
  std::optional<json_file> file;
  if (!command.json.empty()) file.emplace(command.json);
  json_file* const to = file ? &*file : nullptr;

#if defined(__GLIBC__)
  // Else it gives the top of its heap to the system and takes it back at nearly every batch of larger blocks.
  if (!command.glibc_trims) mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
  // As in any program that has threads: glibc leaves locks out while there is but one.
  if (have_threads) std::thread([] {}).join();

  std::printf(
      "memory pools, ns for an allocation with its deallocation, %zu rounds; pmr: through memory_resource*,\n"
      "calls: likewise, of a resource that does nothing\n",
      command.rounds);
  print_header("memory_pool; std: unsynchronized_pool_resource");
  measure_all<alidade::memory_pool>(command, to);
  print_header("synchronized_memory_pool; std: synchronized_pool_resource");
  measure_all<alidade::synchronized_memory_pool>(command, to);
  measure_trace(command, to);
  if (file) file->finish();
  return 0;
}

}  // namespace bench
