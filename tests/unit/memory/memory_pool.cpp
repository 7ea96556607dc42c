#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <alidade/memory/memory_pool.hpp>
#include <alidade/memory/memory_pool_synchronized.hpp>

#include "../../support.hpp"

using alidade::at_byte_limit;
using alidade::errc;
using alidade::memory_pool;
using alidade::memory_pool_exhausted;
using alidade::memory_pool_stats;
using alidade::pool_fault;
using alidade::synchronized_memory_pool;

namespace {

/// Counts, checks that everything comes back as it was taken, and can throw.
class counting_upstream final : public alidade::memory_resource {
 public:
  counting_upstream() = default;
  counting_upstream(const counting_upstream&) = delete;
  counting_upstream& operator=(const counting_upstream&) = delete;
  ~counting_upstream() override { CHECK(live_.empty()); }

  std::size_t bytes() const { return bytes_; }
  std::size_t blocks() const { return live_.size(); }
  std::size_t calls() const { return calls_; }
  void fail_at(std::size_t call) { fail_at_ = calls_ + call; }

 private:
  struct block {
    std::size_t size, alignment;
  };

  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (++calls_ == fail_at_) throw std::bad_alloc();
    void* const data = ::operator new (size, std::align_val_t{alignment});
    live_[data] = {size, alignment};
    bytes_ += size;
    return data;
  }

  void do_deallocate(void* data, std::size_t size, std::size_t alignment) override {
    const auto found = live_.find(data);
    REQUIRE(found != live_.end());
    CHECK(found->second.size == size);
    CHECK(found->second.alignment == alignment);
    live_.erase(found);
    bytes_ -= size;
    ::operator delete (data, std::align_val_t{alignment});
  }

  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::map<void*, block> live_;
  std::size_t bytes_ = 0;
  std::size_t calls_ = 0;
  std::size_t fail_at_ = 0;
};

struct recording_checks {
  static constexpr bool enabled = true;
  std::vector<pool_fault>* faults;
  void operator()(const alidade::pool_fault_report& report) const {
    CHECK((report.fault == pool_fault::unknown_block || report.alignment != 0));
    faults->push_back(report.fault);
  }
};
using recording_pool = alidade::basic_memory_pool<recording_checks>;
using checked_synchronized_pool = alidade::basic_synchronized_memory_pool<alidade::assert_pool_checks>;

struct live_block {
  unsigned char* data;
  std::size_t size, alignment;
  unsigned char value;

  bool is_intact() const {
    return std::all_of(data, data + size, [this](unsigned char byte) { return byte == value; });
  }
};

template <class Pool>
live_block filled_block(Pool& pool, std::size_t size, std::size_t alignment, unsigned char value) {
  const live_block block{static_cast<unsigned char*>(pool.allocate(size, alignment)), size, alignment, value};
  std::memset(block.data, value, size);
  return block;
}

template <class Pool>
void deallocate(Pool& pool, const live_block& block) {
  pool.deallocate(block.data, block.size, block.alignment);
}

/// Sizes of all magnitudes, zero among them.
std::size_t random_size(test::random& r) {
  return r.below(r.below(200) == 0 ? 3'000'000 : r.below(10) == 0 ? 100'000 : 2'000);
}
std::size_t random_alignment(test::random& r) { return std::size_t{1} << r.below(r.below(20) == 0 ? 13 : 7); }

}  // namespace

TEST_CASE("no size up to 1 MiB wastes more than a quarter, or 7 bytes") {
  namespace detail = alidade::detail;
  std::size_t wasteful = 0, wrong = 0, misaligned = 0;
  std::size_t before = 8;
  for (std::size_t size = 1; size <= detail::pool_largest_block; ++size) {
    const std::size_t block =
        detail::pool_block_bytes(detail::pool_class_of(detail::pool_last_byte(size, 1)));
    wrong += static_cast<std::size_t>(block < size || block < before);
    wasteful += static_cast<std::size_t>(block - size > std::max<std::size_t>(size / 4, 7));
    before = block;
    for (std::size_t alignment = 2; alignment <= detail::pool_largest_alignment; alignment *= 2) {
      const std::size_t last = detail::pool_last_byte(size, alignment);
      const std::size_t aligned = detail::pool_block_bytes(detail::pool_class_of(last));
      misaligned += static_cast<std::size_t>(aligned % alignment != 0 || aligned < size);
      wrong += static_cast<std::size_t>(last != (size + alignment - 1) / alignment * alignment - 1);
    }
  }
  CHECK(wrong == 0);
  CHECK(wasteful == 0);
  CHECK(misaligned == 0);
  CHECK(detail::pool_block_bytes(detail::pool_class_of(768 * sizeof(float) - 1)) == 768 * sizeof(float));
}

TEST_CASE("what no class holds is known for any size and alignment") {
  namespace detail = alidade::detail;
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  const auto holds = [](std::size_t size, std::size_t alignment) {
    return detail::pool_class_holds(detail::pool_last_byte(size, alignment), alignment);
  };
  for (std::size_t alignment = 1; alignment <= 64; alignment *= 2) {
    CHECK(holds(0, alignment));
    CHECK(holds(std::size_t{1} << 20, alignment));
    CHECK_FALSE(holds((std::size_t{1} << 20) + 1, alignment));
    CHECK_FALSE(holds(most, alignment));
  }
  for (std::size_t alignment = 128; alignment != 0; alignment *= 2) {
    CHECK_FALSE(holds(0, alignment));
    CHECK_FALSE(holds(1, alignment));
    CHECK_FALSE(holds(most, alignment));
  }
}

TEST_CASE_TEMPLATE("blocks are aligned, keep their contents and do not overlap", Pool, memory_pool,
                   alidade::checked_memory_pool, synchronized_memory_pool, checked_synchronized_pool) {
  for (const at_byte_limit at_limit : {at_byte_limit::fail, at_byte_limit::upstream}) {
    CAPTURE(static_cast<int>(at_limit));
    counting_upstream upstream;
    {
      Pool pool({.byte_limit = 3'000'000, .at_limit = at_limit}, &upstream);
      test::random r(11);
      std::map<std::uintptr_t, live_block> live;
      std::size_t used = 0, peak = 0, allocations = 0, refused = 0;
      const auto erase = [&](auto victim) {
        CHECK(victim->second.is_intact());
        used -= victim->second.size;
        deallocate(pool, victim->second);
        live.erase(victim);
      };
      for (int step = 0; step < 20'000; ++step) {
        if (!live.empty() && r.below(100) < (step / 2000 % 2 == 0 ? 40u : 60u)) {
          auto victim = live.lower_bound(live.begin()->first + r.below(1u << 21));
          erase(victim == live.end() ? live.begin() : victim);
        } else {
          const std::size_t size = random_size(r), alignment = random_alignment(r);
          std::error_code ec;
          void* const data = pool.allocate(size, alignment, ec);
          CHECK((data == nullptr) == (ec == errc::budget_exceeded));
          if (data == nullptr) {
            ++refused;
            continue;
          }
          const live_block block{static_cast<unsigned char*>(data), size, alignment,
                                 static_cast<unsigned char>(step)};
          std::memset(data, block.value, size);
          const auto address = reinterpret_cast<std::uintptr_t>(data);
          CHECK(address % alignment == 0);
          const auto placed = live.emplace(address, block);
          REQUIRE(placed.second);
          const auto after = std::next(placed.first);
          if (after != live.end()) CHECK(address + size <= after->first);
          if (placed.first != live.begin()) {
            const auto ahead = std::prev(placed.first);
            CHECK(ahead->first + ahead->second.size <= address);
          }
          used += size;
          peak = std::max(peak, used);
          ++allocations;
        }
        if (step % 100 == 0) {
          CHECK(pool.reserved_bytes() == upstream.bytes());
          CHECK(pool.stats().used_bytes == used);
          if (at_limit == at_byte_limit::fail) CHECK(upstream.bytes() <= 3'000'000);
        }
        if (step % 3000 == 2999) {
          const std::size_t before = upstream.bytes();
          const std::size_t given = pool.trim();
          CHECK(before - upstream.bytes() == given);
        }
      }
      CHECK((refused != 0) == (at_limit == at_byte_limit::fail));
      const memory_pool_stats stats = pool.stats();
      CHECK(stats.used_bytes == used);
      CHECK(stats.peak_bytes == peak);
      CHECK(stats.reserved_bytes == upstream.bytes());
      CHECK(stats.allocations == allocations);
      CHECK(stats.hits > allocations / 3);
      while (!live.empty()) erase(live.begin());
      pool.trim();
      CHECK(upstream.bytes() == 0);
      CHECK(pool.reserved_bytes() == 0);
      CHECK(pool.stats().used_bytes == 0);
      CHECK(pool.trim() == 0);
      deallocate(pool, filled_block(pool, 100, 8, 1));
      CHECK(upstream.bytes() != 0);
    }
    CHECK(upstream.bytes() == 0);
  }
}

TEST_CASE_TEMPLATE("every size and alignment is honoured", Pool, memory_pool, alidade::checked_memory_pool,
                   synchronized_memory_pool) {
  counting_upstream upstream;
  Pool pool({}, &upstream);
  for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    std::vector<live_block> blocks;
    for (std::size_t size = 0; size < 300'000; size += 1 + size / 3) {
      for (int i = 0; i < 3; ++i) {
        blocks.push_back(filled_block(pool, size, alignment, static_cast<unsigned char>(blocks.size())));
        CHECK(reinterpret_cast<std::uintptr_t>(blocks.back().data) % alignment == 0);
      }
    }
    for (const live_block& block : blocks) {
      CHECK(block.is_intact());
      deallocate(pool, block);
    }
  }
  pool.trim();
  CHECK(upstream.bytes() == 0);
}

TEST_CASE("statistics count what was asked for, and reuse") {
  counting_upstream upstream;
  memory_pool pool({}, &upstream);
  CHECK(pool.stats().hit_rate() == 0.0);
  void* const a = pool.allocate(100);
  void* const b = pool.allocate(1000);
  CHECK(pool.stats().used_bytes == 1100);
  CHECK(pool.stats().hits == 0);
  pool.deallocate(b, 1000);
  CHECK(pool.stats().used_bytes == 100);
  CHECK(pool.stats().peak_bytes == 1100);
  CHECK(pool.allocate(900) == b);
  CHECK(pool.stats().hits == 1);
  pool.deallocate(b, 900);
  CHECK(pool.allocate(897) == b);
  pool.deallocate(b, 897);
  pool.deallocate(a, 100);
  const memory_pool_stats stats = pool.stats();
  CHECK(stats.allocations == 4);
  CHECK(stats.hits == 2);
  CHECK(stats.hit_rate() == 0.5);
  CHECK(stats.used_bytes == 0);
  CHECK(stats.peak_bytes == 1100);
  CHECK(stats.reserved_bytes == upstream.bytes());
  void* const large = pool.allocate(5'000'000);
  pool.deallocate(large, 5'000'000);
  CHECK(pool.stats().hits == 2);
  CHECK(pool.stats().peak_bytes == 5'000'000);
}

TEST_CASE_TEMPLATE("preallocated blocks need nothing of the upstream, and are hits from the second time on",
                   Pool, memory_pool, synchronized_memory_pool) {
  counting_upstream upstream;
  Pool pool({.preallocate = {{.size = 3072, .count = 100}, {.size = 9000, .count = 3, .alignment = 64}, {5}}},
            &upstream);
  // A thread's cache is made when it is first needed.
  pool.deallocate(pool.allocate(3072), 3072);
  const std::size_t calls = upstream.calls();
  const std::size_t hits = pool.stats().hits;
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(pool.allocate(3072));
  CHECK(pool.stats().hits == hits + 1);
  for (int i = 0; i < 3; ++i) blocks.push_back(pool.allocate(9000, 64));
  pool.deallocate(pool.allocate(3), 3);
  CHECK(upstream.calls() == calls);
  CHECK(pool.stats().hits == hits + 1);
  for (std::size_t i = 0; i < 100; ++i) pool.deallocate(blocks[i], 3072);
  for (std::size_t i = 0; i < 100; ++i) blocks[i] = pool.allocate(3072);
  CHECK(pool.stats().hits == hits + 101);
  CHECK(upstream.calls() == calls);
  for (std::size_t i = 0; i < 100; ++i) pool.deallocate(blocks[i], 3072);
  for (std::size_t i = 100; i < 103; ++i) pool.deallocate(blocks[i], 9000, 64);
  pool.trim();
  CHECK(upstream.bytes() == 0);
}

TEST_CASE_TEMPLATE("options out of range are refused", Pool, memory_pool, synchronized_memory_pool,
                   alidade::checked_memory_pool, checked_synchronized_pool) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  const std::vector<alidade::memory_pool_options> bad{
      {.byte_limit = 0},
      {.byte_limit = most},
      {.preallocate = {{.size = 0}}},
      {.preallocate = {{.size = 10}, {.size = (std::size_t{1} << 20) + 1}}},
      {.preallocate = {{.size = 10, .count = 0}}},
      {.preallocate = {{.size = 10, .alignment = 3}}},
      {.preallocate = {{.size = 10, .alignment = 0}}},
      {.preallocate = {{.size = 10, .alignment = 128}}},
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    CHECK_THROWS_AS(Pool{bad[i]}, alidade::error);
    std::error_code ec;
    Pool pool(bad[i], alidade::new_delete_resource(), ec);
    CHECK(ec == errc::invalid_option);
    CHECK_THROWS_AS(static_cast<void>(pool.allocate(1)), memory_pool_exhausted);
  }
  for (const std::size_t count : {std::size_t{13'000}, most / 4096, most / 4000, most}) {
    CAPTURE(count);
    const alidade::memory_pool_options options{.preallocate = {{.size = 10}, {.size = 4000, .count = count}}};
    CHECK_THROWS_AS(Pool{options}, memory_pool_exhausted);
    std::error_code ec;
    counting_upstream upstream;
    Pool pool(options, &upstream, ec);
    CHECK(ec == errc::budget_exceeded);
    CHECK(upstream.bytes() == 0);
    CHECK(pool.allocate(1, 1, ec) == nullptr);
  }
}

TEST_CASE_TEMPLATE("at the byte limit allocation fails and changes nothing in use", Pool, memory_pool,
                   alidade::checked_memory_pool, synchronized_memory_pool) {
  for (const std::size_t size : {48u, 1000u, 3072u, 5000u, 100'000u}) {
    CAPTURE(size);
    counting_upstream upstream;
    Pool pool({.byte_limit = 1'000'000}, &upstream);
    std::vector<live_block> blocks;
    std::error_code ec;
    for (;;) {
      void* const data = pool.allocate(size, 16, ec);
      if (ec) break;
      blocks.push_back(
          {static_cast<unsigned char*>(data), size, 16, static_cast<unsigned char>(blocks.size())});
      std::memset(data, blocks.back().value, size);
    }
    CHECK(ec == errc::budget_exceeded);
    CHECK(upstream.bytes() <= 1'000'000);
    if (std::is_same_v<Pool, memory_pool> && size <= 5000) {
      CHECK(blocks.size() * size > 750'000);
      CHECK(1'000'000 - upstream.bytes() < 8192);
    }
    const memory_pool_stats full = pool.stats();
    try {
      static_cast<void>(pool.allocate(size));
      FAIL("the pool is full");
    } catch (const std::bad_alloc& error) {
      CHECK(std::string(error.what()).find("byte limit") != std::string::npos);
      CHECK(dynamic_cast<const memory_pool_exhausted&>(error).code() == errc::budget_exceeded);
    }
    CHECK(pool.stats().used_bytes == full.used_bytes);
    CHECK(pool.stats().peak_bytes == full.peak_bytes);
    CHECK(pool.stats().allocations == full.allocations);
    CHECK(std::all_of(blocks.begin(), blocks.end(), [](const live_block& b) { return b.is_intact(); }));

    // What is given back can be had again: at once in the same size, and in others since it is trimmed then.
    deallocate(pool, blocks.back());
    CHECK(pool.allocate(size, 16) == blocks.back().data);
    for (const live_block& block : blocks) deallocate(pool, block);
    const std::size_t other = size == 100'000 ? 150'000 : 100'000;
    for (int i = 0; i < 4; ++i) {
      blocks[static_cast<std::size_t>(i)] = filled_block(pool, other, 32, 7);
    }
    for (int i = 0; i < 4; ++i) deallocate(pool, blocks[static_cast<std::size_t>(i)]);
    pool.trim();
    CHECK(upstream.bytes() == 0);
  }
}

TEST_CASE_TEMPLATE("beyond the byte limit blocks can be passed through", Pool, memory_pool,
                   alidade::checked_memory_pool, synchronized_memory_pool) {
  counting_upstream upstream;
  Pool pool({.byte_limit = 100'000, .at_limit = at_byte_limit::upstream}, &upstream);
  std::vector<live_block> blocks;
  for (std::size_t i = 0; i < 2000; ++i) {
    blocks.push_back(filled_block(pool, 200 + i % 7, 16, static_cast<unsigned char>(i)));
  }
  CHECK(pool.stats().used_bytes > 400'000);
  CHECK(pool.reserved_bytes() == upstream.bytes());
  CHECK(pool.stats().hits == 0);
  // Passed through or not, in any order.
  test::random r(3);
  for (std::size_t i = blocks.size(); i-- > 0;) {
    std::swap(blocks[i], blocks[r.below(static_cast<std::uint32_t>(i + 1))]);
    CHECK(blocks[i].is_intact());
    deallocate(pool, blocks[i]);
    if (i % 3 == 0) deallocate(pool, filled_block(pool, 200, 16, 1));
    CHECK(pool.reserved_bytes() == upstream.bytes());
  }
  CHECK(pool.stats().used_bytes == 0);
  CHECK(pool.stats().hits != 0);
  CHECK(upstream.blocks() < 100);
  pool.trim();
  CHECK(upstream.bytes() == 0);
}

TEST_CASE_TEMPLATE("sizes that no memory has are refused", Pool, memory_pool, alidade::checked_memory_pool,
                   synchronized_memory_pool) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const at_byte_limit at_limit : {at_byte_limit::fail, at_byte_limit::upstream}) {
    counting_upstream upstream;
    Pool pool({.at_limit = at_limit}, &upstream);
    void* const kept = pool.allocate(10);
    for (const std::size_t alignment : {1u, 16u, 64u, 4096u}) {
      for (const std::size_t size : {most, most - 1, most - alignment, most - alignment + 1, most / 2 + 1}) {
        CHECK_THROWS_AS(static_cast<void>(pool.allocate(size, alignment)), memory_pool_exhausted);
      }
    }
    CHECK(pool.stats().used_bytes == 10);
    CHECK(pool.stats().allocations == 1);
    pool.deallocate(kept, 10);
    alidade::resource_allocator<double, Pool> allocator(&pool);
    CHECK_THROWS_AS(static_cast<void>(allocator.allocate(most / 4)), std::bad_alloc);
    pool.trim();
    CHECK(upstream.bytes() == 0);
  }
}

TEST_CASE_TEMPLATE("a zero size is a block of its own", Pool, memory_pool, alidade::checked_memory_pool,
                   synchronized_memory_pool) {
  counting_upstream upstream;
  Pool pool({}, &upstream);
  for (const std::size_t alignment : {1u, 8u, 64u, 256u}) {
    void* const a = pool.allocate(0, alignment);
    void* const b = pool.allocate(0, alignment);
    CHECK(a != nullptr);
    CHECK(a != b);
    CHECK(pool.stats().used_bytes == 0);
    pool.deallocate(a, 0, alignment);
    pool.deallocate(b, 0, alignment);
  }
  pool.trim();
  CHECK(upstream.bytes() == 0);
}

TEST_CASE("trim gives back each large block, and slabs of small ones once they are free") {
  counting_upstream upstream;
  memory_pool pool({}, &upstream);
  std::array<void*, 10> large{};
  for (void*& block : large) block = pool.allocate(20'000);
  std::vector<void*> small;
  for (int i = 0; i < 3000; ++i) small.push_back(pool.allocate(64));
  CHECK(pool.trim() < 65'536 - 64);  // nothing but slabs' unused ends could go, and none is unused as a whole
  const std::size_t full = upstream.bytes();
  for (std::size_t i = 0; i < 10; i += 2) pool.deallocate(large[i], 20'000);
  CHECK(pool.trim() >= 5 * 20'000);
  CHECK(full - upstream.bytes() >= 5 * 20'000);
  // All but one in a hundred: some slabs become free, and the rest stays usable.
  for (std::size_t i = 0; i < 3000; ++i) {
    if (i < 1500 || i % 100 != 0) pool.deallocate(small[i], 64);
  }
  const std::size_t before = upstream.bytes();
  CHECK(pool.trim() > 0);
  CHECK(upstream.bytes() < before);
  std::vector<void*> again;
  for (int i = 0; i < 3000; ++i) again.push_back(pool.allocate(64));
  std::sort(again.begin(), again.end());
  CHECK(std::adjacent_find(again.begin(), again.end()) == again.end());
  for (std::size_t i = 1500; i < 3000; i += 100)
    CHECK(!std::binary_search(again.begin(), again.end(), small[i]));
  pool.release();
  CHECK(upstream.bytes() == 0);
  CHECK(pool.stats().used_bytes == 0);
  pool.deallocate(pool.allocate(64), 64);
}

TEST_CASE_TEMPLATE("release frees blocks that are in use, and so does the destructor", Pool, memory_pool,
                   alidade::checked_memory_pool, synchronized_memory_pool, checked_synchronized_pool) {
  counting_upstream upstream;
  for (int round = 0; round < 2; ++round) {
    Pool pool({.byte_limit = 40'000'000}, &upstream);
    for (int i = 0; i < 2; ++i) {
      static_cast<void>(pool.allocate(100));
      static_cast<void>(pool.allocate(100'000));
      static_cast<void>(pool.allocate(10'000'000));
      static_cast<void>(pool.allocate(100, 2048));
      if (round == 0) pool.release();
      if (round == 0) CHECK(upstream.bytes() == 0);
    }
    CHECK(pool.stats().allocations == 8);
    CHECK(pool.stats().peak_bytes == (round == 0 ? 10'100'200 : 20'200'400));
  }
  CHECK(upstream.bytes() == 0);
}

TEST_CASE_TEMPLATE("an upstream that throws leaves the pool as it was", Pool, memory_pool,
                   alidade::checked_memory_pool, synchronized_memory_pool, checked_synchronized_pool) {
  for (const at_byte_limit at_limit : {at_byte_limit::fail, at_byte_limit::upstream}) {
    std::size_t thrown = 0;
    for (std::size_t n = 1; n <= 40; ++n) {
      counting_upstream upstream;
      Pool pool({.byte_limit = 300'000, .at_limit = at_limit}, &upstream);
      upstream.fail_at(n);
      test::random r(static_cast<std::uint32_t>(n));
      std::vector<live_block> live;
      for (int step = 0; step < 300; ++step) {
        const memory_pool_stats before = pool.stats();
        const std::size_t bytes = upstream.bytes();
        try {
          live.push_back(filled_block(pool, r.below(3000), std::size_t{1} << r.below(8),
                                      static_cast<unsigned char>(step)));
        } catch (const memory_pool_exhausted&) {
          CHECK(at_limit == at_byte_limit::fail);
        } catch (const std::bad_alloc&) {
          ++thrown;
          CHECK(pool.stats().used_bytes == before.used_bytes);
          CHECK(pool.stats().peak_bytes == before.peak_bytes);
          CHECK(pool.stats().allocations == before.allocations);
          CHECK(pool.stats().hits == before.hits);
          CHECK(upstream.bytes() >= bytes);  // a table may have grown
          CHECK(pool.reserved_bytes() == upstream.bytes());
        }
        if (!live.empty() && r.below(3) == 0) {
          CHECK(live.back().is_intact());
          deallocate(pool, live.back());
          live.pop_back();
        }
      }
      for (const live_block& block : live) {
        CHECK(block.is_intact());
        deallocate(pool, block);
      }
      pool.trim();
      CHECK(upstream.bytes() == 0);
    }
    CHECK(thrown > 20);
  }
  counting_upstream upstream;
  for (std::size_t n = 1; n <= 4; ++n) {
    upstream.fail_at(n);
    const alidade::memory_pool_options options{.preallocate = {{.size = 64}, {.size = 8000, .count = 3}}};
    CHECK_THROWS_AS(Pool(options, &upstream), std::bad_alloc);
    CHECK(upstream.bytes() == 0);
  }
}

TEST_CASE("a checked pool finds double frees, wrong sizes, overruns and writes after deallocation") {
  for (const std::size_t size : {0u, 1u, 100u, 5000u, 2'000'000u}) {
    CAPTURE(size);
    counting_upstream upstream;
    std::vector<pool_fault> faults;
    const auto only = [&faults](pool_fault fault) {
      const bool is_only = faults == std::vector<pool_fault>{fault};
      faults.clear();
      return is_only;
    };
    {
      recording_pool pool({}, &upstream, recording_checks{&faults});
      auto* block = static_cast<unsigned char*>(pool.allocate(size, 8));
      pool.deallocate(block, size, 8);
      CHECK(faults.empty());
      pool.deallocate(block, size, 8);
      CHECK(only(size < 1'000'000 ? pool_fault::double_free : pool_fault::unknown_block));
      CHECK(pool.stats().used_bytes == 0);
      unsigned char foreign = 0;
      pool.deallocate(&foreign, 1, 1);
      CHECK(only(pool_fault::unknown_block));
      pool.deallocate(nullptr, 1, 1);
      CHECK(only(pool_fault::unknown_block));

      block = static_cast<unsigned char*>(pool.allocate(size, 8));
      void* const second = pool.allocate(size, 8);
      CHECK(block != second);  // the second deallocation had no effect
      pool.deallocate(second, size, 8);
      pool.deallocate(block, size + 1, 8);
      CHECK(only(pool_fault::wrong_size));
      block = static_cast<unsigned char*>(pool.allocate(size, 8));
      pool.deallocate(block, size, 4);
      CHECK(only(pool_fault::wrong_size));
      CHECK(pool.stats().used_bytes == 0);

      for (const std::size_t behind : {0u, 7u, 15u}) {
        block = static_cast<unsigned char*>(pool.allocate(size, 8));
        block[size + behind] = 0;
        pool.deallocate(block, size, 8);
        CHECK(only(pool_fault::overrun));
      }

      if (size > 16 && size < 1'000'000) {
        block[size - 1] = 1;
        CHECK(pool.allocate(size, 8) == block);
        CHECK(only(pool_fault::written_after_free));
        pool.deallocate(block, size, 8);
      }
      if (size < 1'000'000) {
        // In the link to the next free block, which must not be followed.
        void* const kept = pool.allocate(size, 8);
        pool.deallocate(pool.allocate(size, 8), size, 8);
        faults.clear();
        pool.deallocate(kept, size, 8);
        std::memset(kept, 0x5A, 8);
        static_cast<void>(pool.allocate(size, 8));
        CHECK(only(pool_fault::written_after_free));
        block = static_cast<unsigned char*>(pool.allocate(size, 8));
        pool.deallocate(block, size, 8);
        std::memset(block, 0x5A, 8);
        pool.trim();
        CHECK(only(pool_fault::written_after_free));
      }
    }
    CHECK(faults.empty());
    CHECK(upstream.bytes() == 0);
  }
}

TEST_CASE("a checked pool finds nothing wrong where nothing is, over trims and reuse") {
  counting_upstream upstream;
  std::vector<pool_fault> faults;
  {
    recording_pool pool({.byte_limit = 400'000, .at_limit = at_byte_limit::upstream}, &upstream,
                        recording_checks{&faults});
    test::random r(17);
    std::vector<live_block> live;
    for (int step = 0; step < 20'000; ++step) {
      if (live.size() < 200 || r.below(2) == 0) {
        live.push_back(filled_block(pool, r.below(5000), std::size_t{1} << r.below(8), 1));
      } else {
        std::swap(live.back(), live[r.below(static_cast<std::uint32_t>(live.size()))]);
        deallocate(pool, live.back());
        live.pop_back();
      }
      if (r.below(500) == 0) pool.trim();
    }
    for (const live_block& block : live) deallocate(pool, block);
    pool.trim();
    CHECK(upstream.bytes() == 0);
  }
  CHECK(faults.empty());
}

namespace {

template <class Vector, class Map>
void use_containers(Vector& vector, Map& map) {
  for (int i = 0; i < 5000; ++i) {
    vector.push_back(i);
    map[i % 700] += i;
  }
  for (int i = 0; i < 700; i += 2) map.erase(i);
  const Vector copy = vector;
  CHECK(copy.size() == 5000);
  CHECK(copy[4321] == 4321);
  CHECK(map.size() == 350);
}

}  // namespace

#if ALIDADE_HAS_PMR
TEST_CASE_TEMPLATE("it serves the containers of std::pmr", Pool, memory_pool, alidade::checked_memory_pool,
                   synchronized_memory_pool, checked_synchronized_pool) {
  counting_upstream upstream;
  Pool pool({}, &upstream);
  {
    std::pmr::vector<int> vector(&pool);
    std::pmr::map<int, int> map(&pool);
    use_containers(vector, map);
    std::pmr::string text(&pool);
    for (int i = 0; i < 1000; ++i) text += "0123456789";
    CHECK(text.size() == 10'000);
    std::pmr::vector<std::pmr::string> texts(20, text, &pool);
    CHECK(texts.back() == text);
    CHECK(texts.front().get_allocator().resource() == &pool);
    CHECK(pool.stats().used_bytes > 200'000);
  }
  CHECK(pool.stats().used_bytes == 0);
  CHECK(pool.stats().hits != 0);
  CHECK(pool == pool);
  memory_pool other;
  CHECK_FALSE(pool.is_equal(other));
  pool.trim();
  CHECK(upstream.bytes() == 0);
}
#endif

TEST_CASE_TEMPLATE("it serves standard containers through resource_allocator", Resource, memory_pool,
                   synchronized_memory_pool, alidade::memory_resource) {
  counting_upstream upstream;
  std::conditional_t<std::is_same_v<Resource, alidade::memory_resource>, memory_pool, Resource> pool(
      {}, &upstream);
  {
    using pair_allocator = alidade::resource_allocator<std::pair<const int, int>, Resource>;
    std::vector<int, alidade::resource_allocator<int, Resource>> vector(&pool);
    std::map<int, int, std::less<>, pair_allocator> map{pair_allocator(&pool)};
    use_containers(vector, map);
    std::deque<std::array<float, 768>, alidade::resource_allocator<std::array<float, 768>, Resource>> rows(
        &pool);
    for (int i = 0; i < 50; ++i) rows.emplace_back();
    auto moved = std::move(vector);
    CHECK(moved.get_allocator() == rows.get_allocator());
    CHECK(moved.size() == 5000);
    CHECK(pool.stats().used_bytes >= 50 * 3072 + 5000 * 4);
  }
  CHECK(pool.stats().used_bytes == 0);
  pool.trim();
  CHECK(upstream.bytes() == 0);
}

TEST_CASE("pools may have pools as upstream, more than a thread has slots for, and come and go") {
  counting_upstream upstream;
  {
    synchronized_memory_pool base({}, &upstream);
    for (int round = 0; round < 3; ++round) {
      std::vector<std::unique_ptr<synchronized_memory_pool>> pools;
      std::vector<live_block> blocks;
      for (int i = 0; i < 20; ++i) {
        pools.push_back(std::make_unique<synchronized_memory_pool>(alidade::memory_pool_options{}, &base));
      }
      for (int step = 0; step < 2000; ++step) {
        auto& pool = *pools[static_cast<std::size_t>(step * 7 % 20)];
        deallocate(pool, filled_block(pool, 100, 8, 1));
        if (step % 2 == 0) static_cast<void>(filled_block(pool, 100, 8, 2));
      }
      for (auto& pool : pools) CHECK(pool->reserved_bytes() < 40'000);
    }
    CHECK(base.stats().used_bytes == 0);
    base.trim();
    CHECK(upstream.bytes() == 0);
  }
}

#if ALIDADE_HAS_THREADS

TEST_CASE_TEMPLATE("threads exchange blocks, and all comes back", Pool, synchronized_memory_pool,
                   checked_synchronized_pool) {
  for (const at_byte_limit at_limit : {at_byte_limit::fail, at_byte_limit::upstream}) {
    counting_upstream upstream;
    Pool pool({.byte_limit = 600'000, .at_limit = at_limit}, &upstream);
    constexpr std::uint32_t places = 300, thread_count = 4, steps = 6000;
    struct header {
      std::size_t size, alignment;
    };
    std::array<std::atomic<unsigned char*>, places> shared{};
    std::atomic<std::size_t> allocations{0}, damaged{0};

    const auto take_apart = [&](unsigned char* data) {
      if (data == nullptr) return;
      header found;
      std::memcpy(&found, data, sizeof(found));
      const live_block rest{data + sizeof(found), found.size - sizeof(found), 1,
                            static_cast<unsigned char>(found.size)};
      damaged += static_cast<std::size_t>(!rest.is_intact());
      pool.deallocate(data, found.size, found.alignment);
    };
    const auto work = [&](std::uint32_t seed) {
      test::random r(seed);
      for (std::uint32_t step = 0; step < steps; ++step) {
        const header made{sizeof(header) + r.below(r.below(50) == 0 ? 100'000 : 1000),
                          std::size_t{8} << r.below(6)};
        std::error_code ec;
        auto* const data = static_cast<unsigned char*>(pool.allocate(made.size, made.alignment, ec));
        if (data != nullptr) {
          ++allocations;
          std::memcpy(data, &made, sizeof(made));
          std::memset(data + sizeof(made), static_cast<unsigned char>(made.size), made.size - sizeof(made));
        }
        take_apart(shared[r.below(places)].exchange(data));
        if (r.below(1000) == 0) pool.trim();
        if (r.below(1000) == 0) CHECK(pool.stats().reserved_bytes <= 60'000'000);
      }
    };
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < thread_count; ++t) threads.emplace_back(work, t);
    for (std::thread& thread : threads) thread.join();
    for (auto& place : shared) take_apart(place.exchange(nullptr));

    CHECK(damaged == 0);
    const memory_pool_stats stats = pool.stats();
    CHECK(stats.used_bytes == 0);
    CHECK(stats.allocations == allocations);
    CHECK(stats.reserved_bytes == upstream.bytes());
    pool.trim();
    CHECK(upstream.bytes() == 0);
    CHECK(pool.reserved_bytes() == 0);
  }
}

TEST_CASE("what a thread keeps goes back when it ends, or on demand") {
  counting_upstream upstream;
  synchronized_memory_pool pool({}, &upstream);
  const auto use = [&pool] {
    std::vector<live_block> blocks;
    for (int i = 0; i < 50; ++i) blocks.push_back(filled_block(pool, 500, 8, 1));
    for (const live_block& block : blocks) deallocate(pool, block);
  };
  std::thread(use).join();
  CHECK(upstream.bytes() != 0);
  pool.trim();
  CHECK(upstream.bytes() == 0);

  // A thread that only deallocates what others allocate.
  std::vector<live_block> blocks;
  for (int i = 0; i < 500; ++i) blocks.push_back(filled_block(pool, 500, 8, 1));
  std::thread([&] {
    for (const live_block& block : blocks) deallocate(pool, block);
  }).join();
  CHECK(pool.stats().used_bytes == 0);
  pool.trim();
  CHECK(upstream.bytes() == 0);

  // A thread that lives on: it gives its cache up at the first deallocation after a trim, and trims.
  std::atomic<int> stage{0};
  std::thread other([&] {
    use();
    const live_block last = filled_block(pool, 500, 8, 1);
    stage = 1;
    while (stage != 2) std::this_thread::yield();
    deallocate(pool, last);
    stage = 3;
    while (stage != 4) std::this_thread::yield();
  });
  while (stage != 1) std::this_thread::yield();
  pool.trim();
  CHECK(upstream.bytes() != 0);
  stage = 2;
  while (stage != 3) std::this_thread::yield();
  CHECK(pool.reserved_bytes() == 0);
  stage = 4;
  other.join();
  CHECK(upstream.bytes() == 0);
}

TEST_CASE("threads outlive pools") {
  counting_upstream upstream;
  auto pool = std::make_unique<synchronized_memory_pool>(alidade::memory_pool_options{}, &upstream);
  std::atomic<int> stage{0};
  std::thread other([&] {
    for (int round = 0; round < 4; ++round) {
      while (stage != 2 * round) std::this_thread::yield();
      deallocate(*pool, filled_block(*pool, 500, 8, 1));
      stage = 2 * round + 1;
    }
  });
  for (int round = 0; round < 4; ++round) {
    while (stage != 2 * round + 1) std::this_thread::yield();
    if (round == 3) break;
    deallocate(*pool, filled_block(*pool, 500, 8, 1));
    if (round % 2 == 0) {
      pool.reset();
      CHECK(upstream.bytes() == 0);
      pool = std::make_unique<synchronized_memory_pool>(alidade::memory_pool_options{}, &upstream);
    } else {
      pool->release();
      CHECK(upstream.bytes() == 0);
    }
    stage = 2 * round + 2;
  }
  pool.reset();
  other.join();
}

#endif
