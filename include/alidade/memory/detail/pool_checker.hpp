#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/detail/pool_core.hpp>
#include <alidade/memory/memory_pool_options.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Finds mistakes in the use of a pool_core. A table says which blocks are in use and how long they are. Blocks are
/// laid out so, with at least 16 guard bytes, which the last byte of the block's class ends:
///
///     in use:   | size bytes, at first all 0xCB     | guard bytes, 0xFB |
///     free:     | link | inverted link | all 0xDF                       |
template <class Checks>
class pool_checker {
 public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  explicit pool_checker(Checks checks) : checks_(std::move(checks)) {}

  /// Null where the limit leaves no room. Throws what the upstream throws; nothing has changed then.
  void* allocate(pool_core& core, std::size_t size, std::size_t alignment) {
    if (size > pool_most_bytes - guard) return nullptr;
    const std::size_t last = pool_last_byte(size + guard, alignment);
    bool is_known = false;  // free blocks keep their record
    if (pool_class_holds(last, alignment)) {
      pool_node*& first = core.free_list(pool_class_of(last));
      verify(first, nullptr);
      is_known = first != nullptr;
    }
    if (!is_known && !table_.reserve_one(core.upstream(), 0)) return nullptr;
    void* const block = core.obtain(size + guard, alignment);
    if (block == nullptr) return nullptr;
    const std::size_t bytes = bytes_of(core, block, size, alignment);
    const pool_block_record* const known = table_.find(block);
    const bool written = known != nullptr && !is_filled(block, seal, bytes, freed);
    const pool_block_record old = known != nullptr ? *known : pool_block_record{};
    std::memset(block, fresh, size);
    std::memset(static_cast<std::byte*>(block) + size, guarded, bytes - size);
    table_.insert({.block = block, .size = size, .alignment = alignment});
    if (written) report(pool_fault::written_after_free, old);
    return block;
  }

  /// The size that the block was allocated with, or `none` where it is not in use.
  std::size_t deallocate(pool_core& core, void* block, std::size_t size, std::size_t alignment) noexcept {
    pool_block_record* const found = table_.find(block);
    if (found == nullptr || found->free) {
      report(found == nullptr ? pool_fault::unknown_block : pool_fault::double_free,
             found == nullptr ? pool_block_record{.block = block} : *found);
      return none;
    }
    const pool_block_record record = *found;
    const bool direct = core.is_direct(block);
    const std::size_t bytes = bytes_of(core, block, record.size, record.alignment);
    const bool overrun = !is_filled(block, record.size, bytes, guarded);
    if (direct) {
      table_.erase(found);
      core.return_directly(block);
    } else {
      found->free = true;
      std::memset(block, freed, bytes);
      core.push(pool_class_of(pool_last_byte(record.size + guard, record.alignment)), block);
      seal_node(static_cast<pool_node*>(block));
    }
    if (record.size != size || record.alignment != alignment) report(pool_fault::wrong_size, record);
    if (overrun) report(pool_fault::overrun, record);
    return record.size;
  }

  std::size_t trim(pool_core& core) noexcept {
    const std::size_t before = core.upstream().reserved();
    for (std::size_t i = 0; i < pool_class_count; ++i) verify_all(core, i);
    core.trim([this](pool_node* block) {
      if (pool_block_record* const known = table_.find(block)) table_.erase(known);
    });
    for (std::size_t i = 0; i < pool_class_count; ++i) {
      for (pool_node* node = core.free_list(i); node != nullptr; node = node->next) seal_node(node);
    }
    if (table_.size() == 0) table_.release(core.upstream());
    return before - core.upstream().reserved();
  }

  void release(pool_core& core) noexcept { table_.release(core.upstream()); }

 private:
  static constexpr std::size_t guard = 16;
  static constexpr std::size_t seal = 2 * sizeof(pool_node);
  static constexpr unsigned char fresh = 0xCB;
  static constexpr unsigned char guarded = 0xFB;
  static constexpr unsigned char freed = 0xDF;
  static_assert(guard >= seal);

  static bool is_filled(const void* block, std::size_t from, std::size_t to, unsigned char byte) noexcept {
    const auto* const bytes = static_cast<const unsigned char*>(block);
    return std::all_of(bytes + from, bytes + to, [byte](unsigned char b) { return b == byte; });
  }

  static std::uintptr_t inverted(const pool_node* node) noexcept {
    return ~reinterpret_cast<std::uintptr_t>(node->next);
  }
  static void seal_node(pool_node* node) noexcept {
    const std::uintptr_t value = inverted(node);
    std::memcpy(reinterpret_cast<std::byte*>(node) + sizeof(pool_node), &value, sizeof(value));
  }
  static bool is_sealed(const pool_node* node) noexcept {
    std::uintptr_t value;
    std::memcpy(&value, reinterpret_cast<const std::byte*>(node) + sizeof(pool_node), sizeof(value));
    return value == inverted(node);
  }

  /// How long the block is with its guard bytes.
  static std::size_t bytes_of(pool_core& core, void* block, std::size_t size,
                              std::size_t alignment) noexcept {
    if (core.is_direct(block)) return size + guard;
    return pool_block_bytes(pool_class_of(pool_last_byte(size + guard, alignment)));
  }

  /// A link that was written over is not followed: the list is cut, and what lay behind is lost until release().
  void verify_all(pool_core& core, std::size_t size_class) noexcept {
    pool_node** link = &core.free_list(size_class);
    pool_node* before = nullptr;
    while (*link != nullptr && verify(*link, before)) {
      before = *link;
      link = &before->next;
    }
  }
  bool verify(pool_node*& link, pool_node* before) noexcept {
    if (link == nullptr || is_sealed(link)) return true;
    const pool_block_record* const known = table_.find(std::exchange(link, nullptr));
    if (before != nullptr) seal_node(before);
    if (known != nullptr) report(pool_fault::written_after_free, *known);
    return false;
  }

  void report(pool_fault fault, const pool_block_record& record) noexcept {
    checks_(pool_fault_report{fault, record.block, record.size, record.alignment});
  }

  [[no_unique_address]] Checks checks_;
  pool_block_table table_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
