#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <alidade/config/namespace.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/detail/pool_upstream.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What is known of a block beside the block.
struct pool_block_record {
  void* block = nullptr;
  std::size_t size = 0;
  std::size_t alignment = 0;
  bool free = false;  ///< kept by a checked pool only
};

/// A hash table of records with linear probing, at most 3/4 full. Its memory comes from the pool's upstream; the owner
/// calls release() before the end.
class pool_block_table {
 public:
  std::size_t size() const noexcept { return size_; }

  /// Makes room for one record more; false, and nothing changed, where the limit forbids that and `extra` bytes beside.
  /// Throws what the upstream throws, likewise.
  bool reserve_one(pool_upstream& upstream, std::size_t extra) {
    if (size_ + 1 <= capacity_ / 4 * 3) return upstream.permits(extra);
    const std::size_t capacity = std::max<std::size_t>(2 * capacity_, 64);
    const std::size_t bytes = capacity * sizeof(pool_block_record);
    if (!upstream.permits(bytes) || !upstream.permits(bytes + extra)) return false;
    auto* const records =
        static_cast<pool_block_record*>(upstream.allocate(bytes, alignof(pool_block_record)));
    std::uninitialized_value_construct_n(records, capacity);
    const pool_block_table old = *this;
    records_ = records;
    capacity_ = capacity;
    for (std::size_t i = 0; i < old.capacity_; ++i) {
      if (old.records_[i].block != nullptr) records_[probe(old.records_[i].block)] = old.records_[i];
    }
    old.deallocate(upstream);
    return true;
  }

  /// Replaces what there is of the same block. There must be room.
  void insert(const pool_block_record& record) noexcept {
    pool_block_record& place = records_[probe(record.block)];
    size_ += static_cast<std::size_t>(place.block == nullptr);
    place = record;
  }

  /// Null if there is none.
  pool_block_record* find(const void* block) noexcept {
    if (size_ == 0 || block == nullptr) return nullptr;
    pool_block_record& place = records_[probe(block)];
    return place.block == nullptr ? nullptr : &place;
  }

  /// Closes the gap (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithm R).
  void erase(pool_block_record* record) noexcept {
    const std::size_t mask = capacity_ - 1;
    auto hole = static_cast<std::size_t>(record - records_);
    for (std::size_t next = (hole + 1) & mask; records_[next].block != nullptr; next = (next + 1) & mask) {
      if (((next - home(records_[next].block)) & mask) >= ((next - hole) & mask)) {
        records_[hole] = records_[next];
        hole = next;
      }
    }
    records_[hole].block = nullptr;
    --size_;
  }

  /// `visit` must not change the table.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < capacity_; ++i) {
      if (records_[i].block != nullptr) visit(records_[i]);
    }
  }

  /// Forgets all records and returns the memory.
  void release(pool_upstream& upstream) noexcept {
    deallocate(upstream);
    *this = {};
  }

 private:
  void deallocate(pool_upstream& upstream) const noexcept {
    if (records_ != nullptr) {
      upstream.deallocate(records_, capacity_ * sizeof(pool_block_record), alignof(pool_block_record));
    }
  }

  std::size_t home(const void* block) const noexcept {
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(block));
    return static_cast<std::size_t>(mix64(address)) & (capacity_ - 1);
  }

  /// Where the block's record is, or the empty place where it would go.
  std::size_t probe(const void* block) const noexcept {
    std::size_t place = home(block);
    while (records_[place].block != nullptr && records_[place].block != block) {
      place = (place + 1) & (capacity_ - 1);
    }
    return place;
  }

  pool_block_record* records_ = nullptr;
  std::size_t capacity_ = 0;  ///< 0 or a power of two
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
