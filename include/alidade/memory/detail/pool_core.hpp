#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <system_error>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/detail/pool_block_table.hpp>
#include <alidade/memory/detail/pool_size_classes.hpp>
#include <alidade/memory/detail/pool_slabs.hpp>
#include <alidade/memory/detail/pool_upstream.hpp>
#include <alidade/memory/memory_pool_options.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Blocks of one class that go from one list to another.
struct pool_chain {
  pool_node* first = nullptr;
  std::size_t count = 0;
  bool fresh = false;  ///< never handed out before
};

/// What all pools are made of: a list of free blocks for each class, the slabs they come from, and a table of the
/// blocks that come from upstream one by one. Knows nothing of threads, and counts no bytes in use.
class pool_core {
 public:
  pool_core(memory_resource* upstream, std::size_t limit, at_byte_limit at_limit) noexcept
      : upstream_(upstream, limit, at_limit) {}
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;
  ~pool_core() { release(); }

  /// A free block, or null where there is none at hand.
  void* pop(std::size_t size_class) noexcept {
    pool_node* const node = free_[size_class];
    if (node != nullptr) [[likely]]
      free_[size_class] = node->next;
    return node;
  }

  void push(std::size_t size_class, void* block) noexcept {
    free_[size_class] = ::new (block) pool_node{free_[size_class]};
  }

  /// A block of the class; null, and nothing changed, where the limit has no room. Throws what the upstream throws.
  void* take(std::size_t size_class) {
    if (void* const block = pop(size_class)) return block;
    if (classes_[size_class].fresh == nullptr && !grow(size_class)) return nullptr;
    ++misses_;
    return carve(size_class);
  }

  /// A block from upstream, which goes back there when it is deallocated. As take().
  void* take_directly(std::size_t size, std::size_t alignment) {
    const std::size_t bytes = std::max<std::size_t>(size, 1);
    if (bytes > pool_most_bytes || !table_.reserve_one(upstream_, bytes)) return nullptr;
    void* const block = upstream_.pass_through(bytes, alignment);
    table_.insert({.block = block, .size = bytes, .alignment = alignment});
    passed_small_ += static_cast<std::size_t>(is_small(bytes, alignment));
    ++misses_;
    return block;
  }

  /// The one where a class holds that much and the limit permits, else the other.
  void* obtain(std::size_t size, std::size_t alignment) {
    if (const std::size_t last = pool_last_byte(size, alignment); pool_class_holds(last, alignment)) {
      void* const block = take(pool_class_of(last));
      if (block != nullptr || !upstream_.passes_beyond_limit()) return block;
    }
    return take_directly(size, alignment);
  }

  bool is_direct(const void* block) noexcept { return table_.find(block) != nullptr; }

  /// Deallocates a block that take_directly() gave; false if it is none.
  ALIDADE_NOINLINE bool return_directly(void* block) noexcept {
    pool_block_record* const found = table_.find(block);
    if (found == nullptr) return false;
    return_record(*found);
    table_.erase(found);
    return true;
  }

  /// How many blocks that a class would hold came from take_directly(): while there are any, deallocating has to ask.
  std::size_t passed_small() const noexcept { return passed_small_; }

  /// Has so many blocks more ready; false where the limit has no room for them, and nothing has changed. Throws what
  /// the upstream throws; what it gave until then stays ready.
  bool reserve(std::size_t size_class, std::size_t count) {
    const std::size_t block = pool_block_bytes(size_class);
    const std::size_t slabs = block < smallest_single ? 1 : count;
    if (count > upstream_.room() / block || count * block + slabs * sizeof(pool_slab) > upstream_.room()) {
      return false;
    }
    for (std::size_t i = 0; i < slabs; ++i) add_slab(size_class, count / slabs);
    return true;
  }

  /// Up to `most` blocks more for a thread's cache, of what is at hand.
  pool_chain take_more(std::size_t size_class, std::size_t most) noexcept {
    pool_chain chain;
    if (most == 0) return chain;
    if (pool_node* last = free_[size_class]) {
      chain = {last, 1};
      for (; chain.count < most && last->next != nullptr; ++chain.count) last = last->next;
      free_[size_class] = last->next;
      last->next = nullptr;
      return chain;
    }
    chain.fresh = true;
    pool_node** end = &chain.first;
    for (; chain.count < most && classes_[size_class].fresh != nullptr; ++chain.count) {
      *end = ::new (carve(size_class)) pool_node{nullptr};
      end = &(*end)->next;
    }
    return chain;
  }

  void put_back(std::size_t size_class, pool_node* first, pool_node* last) noexcept {
    last->next = free_[size_class];
    free_[size_class] = first;
  }

  /// Gives to upstream all slabs without a block in use, and returns how many bytes. Calls `forget` with each of their
  /// blocks that was in use before. n log n in the number of free blocks; leaves them in the order of addresses.
  template <class Forget>
  std::size_t trim(Forget forget) noexcept {
    const std::size_t before = upstream_.reserved();
    for (std::size_t i = 0; i < pool_class_count; ++i) trim_class(i, forget);
    if (table_.size() == 0) table_.release(upstream_);
    return before - upstream_.reserved();
  }
  std::size_t trim() noexcept {
    return trim([](pool_node*) {});
  }

  /// Gives everything to upstream, in use or not.
  void release() noexcept {
    for (slab_lists& lists : classes_) {
      while (pool_slab* const slab = lists.all) {
        lists.all = slab->next;
        upstream_.deallocate(slab->begin, slab->total_bytes(), slab_alignment);
      }
      lists = {};
    }
    std::fill_n(free_, pool_class_count, nullptr);
    table_.for_each([this](const pool_block_record& record) { return_record(record); });
    table_.release(upstream_);
  }

  /// How many of the blocks that take() and take_directly() gave were handed out for the first time.
  std::size_t misses() const noexcept { return misses_; }

  pool_upstream& upstream() noexcept { return upstream_; }
  const pool_upstream& upstream() const noexcept { return upstream_; }
  pool_node*& free_list(std::size_t size_class) noexcept { return free_[size_class]; }

 private:
  static constexpr std::size_t slab_alignment = pool_largest_alignment;

  // Slabs double from 4 KiB to 64 KiB, so that a class that is hardly used costs little. Blocks from 4 KiB up are slabs
  // of their own, so that trim() can return each; what lies behind them also keeps them from sharing the cache's sets.
  static constexpr std::size_t first_slab = std::size_t{4} << 10;
  static constexpr std::size_t largest_slab = std::size_t{64} << 10;
  static constexpr std::size_t smallest_single = std::size_t{4} << 10;

  struct slab_lists {
    pool_slab* all = nullptr;
    pool_slab* fresh = nullptr;  ///< those that have blocks not yet handed out
    std::size_t next_bytes = first_slab;
  };

  static bool is_small(std::size_t bytes, std::size_t alignment) noexcept {
    return pool_class_holds(pool_last_byte(bytes, alignment), alignment);
  }

  void return_record(const pool_block_record& record) noexcept {
    passed_small_ -= static_cast<std::size_t>(is_small(record.size, record.alignment));
    upstream_.take_back(record.block, record.size, record.alignment);
  }

  /// A block that was not handed out yet, of which there must be one.
  void* carve(std::size_t size_class) noexcept {
    pool_slab*& slab = classes_[size_class].fresh;
    void* const block = slab->fresh;
    slab->fresh += pool_block_bytes(size_class);
    if (slab->fresh_bytes() == 0) slab = slab->next_fresh;
    return block;
  }

  /// A slab of the usual length, or as long as the limit permits; false where that is no block.
  bool grow(std::size_t size_class) {
    slab_lists& lists = classes_[size_class];
    const std::size_t block = pool_block_bytes(size_class);
    const std::size_t room = upstream_.room();
    if (room < block + sizeof(pool_slab)) return false;
    const std::size_t usual = block < smallest_single ? lists.next_bytes : block + sizeof(pool_slab);
    add_slab(size_class, (std::min(usual, room) - sizeof(pool_slab)) / block);
    lists.next_bytes = std::min(2 * lists.next_bytes, largest_slab);
    return true;
  }

  void add_slab(std::size_t size_class, std::size_t blocks) {
    slab_lists& lists = classes_[size_class];
    const std::size_t bytes = blocks * pool_block_bytes(size_class);
    auto* const begin =
        static_cast<std::byte*>(upstream_.allocate(bytes + sizeof(pool_slab), slab_alignment));
    lists.all = ::new (static_cast<void*>(begin + bytes)) pool_slab{lists.all, lists.fresh, begin, begin};
    lists.fresh = lists.all;
  }

  template <class Forget>
  void trim_class(std::size_t size_class, Forget& forget) noexcept {
    slab_lists& lists = classes_[size_class];
    if (lists.all == nullptr) return;
    const std::size_t block = pool_block_bytes(size_class);
    pool_node* node = sort_list(free_[size_class]);
    pool_node** kept_end = &free_[size_class];
    pool_slab* slab = sort_list(lists.all);
    pool_slab** all_end = &lists.all;
    pool_slab** fresh_end = &lists.fresh;
    while (slab != nullptr) {
      pool_slab* const next = slab->next;
      pool_node* const first = node;
      pool_node* last = nullptr;
      std::size_t free = 0;
      for (; node != nullptr && std::less<void*>()(node, slab); node = node->next, ++free) last = node;
      if (free * block == static_cast<std::size_t>(slab->fresh - slab->begin)) {
        for (pool_node* gone = first; gone != node; gone = gone->next) forget(gone);
        upstream_.deallocate(slab->begin, slab->total_bytes(), slab_alignment);
      } else {
        if (free != 0) {
          *kept_end = first;
          kept_end = &last->next;
        }
        *all_end = slab;
        all_end = &slab->next;
        if (slab->fresh_bytes() != 0) {
          *fresh_end = slab;
          fresh_end = &slab->next_fresh;
        }
      }
      slab = next;
    }
    *kept_end = nullptr;
    *all_end = nullptr;
    *fresh_end = nullptr;
    if (lists.all == nullptr) lists.next_bytes = first_slab;
  }

  std::size_t passed_small_ = 0;
  pool_node* free_[pool_class_count] = {};  // beside it, most allocations and deallocations touch nothing
  std::size_t misses_ = 0;
  pool_upstream upstream_;
  pool_block_table table_;
  slab_lists classes_[pool_class_count];
};

/// Checks the options of a pool with this core and reserves what is to be preallocated. After an error, which is
/// errc::invalid_option or errc::budget_exceeded, the core gives nothing. Throws what the upstream throws.
inline std::error_code prepare_pool(pool_core& core, const memory_pool_options& options) {
  const auto is_valid = [](const pool_blocks& blocks) {
    return blocks.size >= 1 && blocks.size <= pool_largest_block && blocks.count >= 1 &&
           std::has_single_bit(blocks.alignment) && blocks.alignment <= pool_largest_alignment;
  };
  const auto is_reserved = [&core](const pool_blocks& blocks) {
    return core.reserve(pool_class_of(pool_last_byte(blocks.size, blocks.alignment)), blocks.count);
  };
  const auto& blocks = options.preallocate;
  errc error = errc::invalid_option;
  if (options.byte_limit >= 1 && options.byte_limit <= pool_most_bytes &&
      std::all_of(blocks.begin(), blocks.end(), is_valid)) {
    if (std::all_of(blocks.begin(), blocks.end(), is_reserved)) return {};
    error = errc::budget_exceeded;
  }
  core.release();
  core.upstream().close();
  return make_error_code(error);
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
