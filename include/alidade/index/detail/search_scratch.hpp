#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/candidate_pool.hpp>
#include <alidade/index/detail/slot_filter.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The nodes that a search has seen: a bit each, cleared through the list of those set, so that a search costs what it
/// visits and not what there is.
class visited_set {
 public:
  explicit visited_set(memory_resource* memory) noexcept : words_(memory), seen_(memory) {}

  void resize(std::size_t nodes) {
    const std::size_t words = (nodes + 63) / 64;
    if (words > words_.size()) words_.grow(words + words / 8);
    seen_.grow(1024);
  }

  bool insert(std::uint32_t slot) {
    std::uint64_t& word = words_[slot / 64];
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    if ((word & bit) != 0) return false;
    reserve(1);
    seen_[count_++] = slot;
    word |= bit;
    return true;
  }

  bool contains(std::uint32_t slot) const noexcept { return (words_[slot / 64] >> (slot % 64) & 1) != 0; }

  /// Appends to `fresh` those of the slots that are new, without a branch on whether they are, and returns how many.
  template <class Links>
  std::size_t insert_all(const Links* links, std::size_t count, std::uint32_t* fresh) {
    reserve(count);  // first: what is set must be on the list, or it is never cleared
    std::size_t found = 0;
    std::uint64_t* const words = words_.data();
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t slot = links[i].slot();
      std::uint64_t& word = words[slot / 64];
      const std::uint64_t old = word;
      word = old | std::uint64_t{1} << (slot % 64);
      fresh[found] = slot;
      found += static_cast<std::size_t>(~(old >> (slot % 64)) & 1);
    }
    std::memcpy(seen_.data() + count_, fresh, found * sizeof(std::uint32_t));
    count_ += found;
    return found;
  }

  void clear() noexcept {
    for (std::size_t i = 0; i < count_; ++i) words_[seen_[i] / 64] = 0;
    count_ = 0;
  }

  std::size_t memory_bytes() const noexcept { return words_.memory_bytes() + seen_.memory_bytes(); }

 private:
  void reserve(std::size_t more) {
    if (seen_.size() - count_ < more) seen_.grow(2 * (count_ + more));
  }

  buffer<std::uint64_t> words_;
  buffer<std::uint32_t> seen_;  // the first count_ are those set
  std::size_t count_ = 0;
};

/// What one search needs beside the index; reused from search to search, so that none allocates.
template <class T, class D>
struct search_scratch {
  explicit search_scratch(memory_resource* memory) noexcept
      : pool(memory),
        visited(memory),
        query_row(memory),
        slots(memory),
        rows(memory),
        distances(memory),
        others(memory),
        filter(memory) {}

  candidate_pool<D> pool;
  visited_set visited;
  buffer<T> query_row;
  buffer<std::uint32_t> slots;   // unvisited neighbours of the node being expanded
  buffer<const T*> rows;         // where their vectors are
  buffer<D> distances;           // how far they are
  buffer<std::uint32_t> others;  // its neighbours that a filter does not allow
  slot_filter filter;

  T* query() noexcept { return query_row.data(); }

  void resize(std::size_t nodes, std::size_t stride, std::size_t degree) {
    visited.resize(nodes);
    query_row.grow(stride);
    slots.grow(degree);
    rows.grow(degree);
    distances.grow(degree);
  }

  /// Beside itself.
  std::size_t memory_bytes() const noexcept {
    return pool.memory_bytes() + visited.memory_bytes() + query_row.memory_bytes() + slots.memory_bytes() +
           rows.memory_bytes() + distances.memory_bytes() + others.memory_bytes() + filter.memory_bytes();
  }
};

/// Scratches that wait for a search. There are as many as searches ran at once since the last trim.
template <class Scratch>
class scratch_pool {
  struct node {
    explicit node(memory_resource* memory) noexcept : scratch(memory) {}

    Scratch scratch;
    node* next = nullptr;
  };

 public:
  /// Borrows a scratch for as long as the lease lives.
  class lease {
   public:
    explicit lease(scratch_pool& pool) : pool_(&pool), node_(pool.take()) {}
    lease(lease&& other) noexcept : pool_(other.pool_), node_(std::exchange(other.node_, nullptr)) {}
    lease& operator=(lease&&) = delete;
    ~lease() {
      if (node_ != nullptr) pool_->give_back(node_);
    }

    Scratch& operator*() const noexcept { return node_->scratch; }
    Scratch* operator->() const noexcept { return &node_->scratch; }

   private:
    scratch_pool* pool_;
    node* node_;
  };

  explicit scratch_pool(memory_resource* memory) noexcept : memory_(memory) {}

  // While neither of the two is in use.
  scratch_pool(scratch_pool&& other) noexcept
      : memory_(other.memory_), free_(std::exchange(other.free_, nullptr)) {}
  scratch_pool& operator=(scratch_pool&& other) noexcept {
    if (this != &other) {
      trim();
      memory_ = other.memory_;
      free_ = std::exchange(other.free_, nullptr);
    }
    return *this;
  }
  ~scratch_pool() { trim(); }

  /// Gives back those that are not lent, and returns how many bytes.
  std::size_t trim() noexcept {
    node* gone = nullptr;
    {
      const std::lock_guard lock(mutex_);
      gone = std::exchange(free_, nullptr);
    }
    std::size_t bytes = 0;
    while (gone != nullptr) {
      node* const next = gone->next;
      bytes += bytes_of(*gone);
      std::destroy_at(gone);
      deallocate_to(memory_, gone, sizeof(node), alignof(node));
      gone = next;
    }
    return bytes;
  }

  /// Beside itself; of those that are not lent.
  std::size_t memory_bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t total = 0;
    for (const node* n = free_; n != nullptr; n = n->next) total += bytes_of(*n);
    return total;
  }

  memory_resource* resource() const noexcept { return memory_; }

 private:
  static std::size_t bytes_of(const node& n) noexcept { return sizeof(node) + n.scratch.memory_bytes(); }

  node* take() {
    {
      const std::lock_guard lock(mutex_);
      if (free_ != nullptr) return std::exchange(free_, free_->next);
    }
    return ::new (allocate_from(memory_, sizeof(node), alignof(node))) node(memory_);
  }

  void give_back(node* n) noexcept {
    const std::lock_guard lock(mutex_);
    n->next = std::exchange(free_, n);
  }

  // Searches in other threads write here and read what lies before it in the index: on no line of the same cache.
  [[maybe_unused]] std::byte apart_[cache_line];
  mutable std::mutex mutex_;
  memory_resource* memory_;
  node* free_ = nullptr;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
