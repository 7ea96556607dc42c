#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/candidate_pool.hpp>
#include <alidade/memory/aligned.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The nodes that a search has seen: a bit each, cleared through the list of those set, so that a search costs what it
/// visits and not what there is.
class visited_set {
 public:
  void resize(std::size_t nodes) {
    const std::size_t words = (nodes + 63) / 64;
    if (words > words_.size()) words_.resize(words + words / 8);
    if (seen_.capacity() == 0) seen_.reserve(1024);
  }

  bool insert(std::uint32_t slot) {
    std::uint64_t& word = words_[slot / 64];
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    if ((word & bit) != 0) return false;
    seen_.push_back(slot);  // first: what is set must be on the list, or it is never cleared
    word |= bit;
    return true;
  }

  /// Appends to `fresh` those of the slots that are new, without a branch on whether they are, and returns how many.
  template <class Links>
  std::size_t insert_all(const Links* links, std::size_t count, std::uint32_t* fresh) {
    if (seen_.capacity() - seen_.size() < count) seen_.reserve(2 * (seen_.size() + count));
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
    seen_.insert(seen_.end(), fresh, fresh + found);
    return found;
  }

  void clear() noexcept {
    for (const std::uint32_t slot : seen_) words_[slot / 64] = 0;
    seen_.clear();
  }

  std::size_t memory_bytes() const noexcept {
    return words_.capacity() * sizeof(std::uint64_t) + seen_.capacity() * sizeof(std::uint32_t);
  }

 private:
  std::vector<std::uint64_t> words_;
  std::vector<std::uint32_t> seen_;
};

/// What one search needs beside the index; reused from search to search, so that none allocates.
template <class T, class D>
struct search_scratch {
  candidate_pool<D> pool;
  visited_set visited;
  aligned_bytes query_bytes;
  std::vector<std::uint32_t> slots;  // unvisited neighbours of the node being expanded
  std::vector<const T*> rows;        // where their vectors are
  std::vector<D> distances;          // how far they are

  T* query() noexcept { return reinterpret_cast<T*>(query_bytes.data()); }

  void resize(std::size_t nodes, std::size_t stride, std::size_t degree) {
    visited.resize(nodes);
    if (query_bytes.size() < stride * sizeof(T)) query_bytes = aligned_bytes(stride * sizeof(T));
    if (distances.size() < degree) {  // the last to be resized: if it has room, so have the others
      slots.resize(degree);
      rows.resize(degree);
      distances.resize(degree);
    }
  }

  std::size_t memory_bytes() const noexcept {
    return sizeof(*this) + pool.memory_bytes() + visited.memory_bytes() + query_bytes.size() +
           slots.capacity() * sizeof(std::uint32_t) + rows.capacity() * sizeof(const T*) +
           distances.capacity() * sizeof(D);
  }
};

/// Scratches that wait for a search. There are as many as searches ever ran at once.
template <class Scratch>
class scratch_pool {
 public:
  /// Borrows a scratch for as long as the lease lives.
  class lease {
   public:
    explicit lease(scratch_pool& pool) : pool_(pool), scratch_(pool.take()) {}
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;
    ~lease() { pool_.give_back(std::move(scratch_)); }

    Scratch& operator*() const noexcept { return *scratch_; }
    Scratch* operator->() const noexcept { return scratch_.get(); }

   private:
    scratch_pool& pool_;
    std::unique_ptr<Scratch> scratch_;
  };

  std::size_t memory_bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t total = free_.capacity() * sizeof(std::unique_ptr<Scratch>);
    for (const auto& scratch : free_) total += scratch->memory_bytes();
    return total;
  }

 private:
  std::unique_ptr<Scratch> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      ++made_;
      free_.reserve(made_);  // so that giving back never allocates
      return std::make_unique<Scratch>();
    }
    auto scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }

  void give_back(std::unique_ptr<Scratch> scratch) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(scratch));
  }

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> free_;
  std::size_t made_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
