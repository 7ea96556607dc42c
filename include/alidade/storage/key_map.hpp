#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/core/random.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// From a user's 64-bit key to a row's 32-bit slot, and back: the keys in slot order, and a hash table of slots over them
/// with linear probing, at most 3/4 full. 8 bytes a key and 5.3 to 10.7 for the table. A slot whose key was erased has none until it gets
/// another; key() of it is what it was.
class key_map {
 public:
  static constexpr std::uint32_t npos = std::numeric_limits<std::uint32_t>::max();

  explicit key_map(memory_resource* memory = nullptr) noexcept : keys_(memory), table_(memory) {}

  /// Of slots, those without a key included.
  std::size_t size() const noexcept { return keys_.size(); }
  std::uint64_t key(std::size_t slot) const noexcept { return keys_[slot]; }

  /// The slot of a key, or npos.
  std::uint32_t find(std::uint64_t key) const noexcept {
    return table_.empty() ? npos : table_[probe(table_, key)];
  }

  /// Gives the key the next slot; false, and nothing changed, when it is in use. Strong guarantee.
  bool insert(std::uint64_t key) {
    reserve(size() + 1);
    const std::size_t position = probe(table_, key);
    if (table_[position] != npos) return false;
    table_[position] = static_cast<std::uint32_t>(keys_.size());
    keys_.push_back(key);
    return true;
  }

  /// Gives the key a slot that has none; false, and nothing changed, when the key is in use.
  bool insert_at(std::uint32_t slot, std::uint64_t key) noexcept {
    const std::size_t position = probe(table_, key);
    if (table_[position] != npos) return false;
    keys_[slot] = key;
    table_[position] = slot;
    return true;
  }

  /// Returns the slot that the key had, or npos.
  std::uint32_t erase(std::uint64_t key) noexcept {
    if (table_.empty()) return npos;
    const std::size_t position = probe(table_, key);
    const std::uint32_t slot = table_[position];
    if (slot != npos) erase_at(position);
    return slot;
  }

  /// Takes back the newest slots, which have keys, until `count` are left.
  void truncate(std::size_t count) noexcept {
    while (size() > count) {
      erase(keys_.back());
      keys_.pop_back();
    }
  }

  /// Of no slots any more; the memory stays.
  void clear() noexcept {
    keys_.clear();
    std::fill(table_.begin(), table_.end(), npos);
  }

  /// Makes room for `count` slots in all. Strong guarantee.
  void reserve(std::size_t count) {
    if (count > keys_.capacity()) keys_.reserve(std::max(count, size() + size() / 2));
    if (count <= table_.size() / 4 * 3) return;
    table larger(std::bit_ceil(std::max<std::size_t>(count + count / 3 + 1, 8)), npos,
                 table_.get_allocator());
    for (const std::uint32_t slot : table_) {
      if (slot != npos) larger[probe(larger, keys_[slot])] = slot;
    }
    table_ = std::move(larger);
  }

  std::size_t memory_bytes() const noexcept {
    return keys_.capacity() * sizeof(std::uint64_t) + table_.capacity() * sizeof(std::uint32_t);
  }

 private:
  using table = resource_vector<std::uint32_t>;

  /// Where the key is, or the empty position where it would go.
  std::size_t probe(const table& slots, std::uint64_t key) const noexcept {
    const std::size_t mask = slots.size() - 1;
    std::size_t position = static_cast<std::size_t>(mix64(key)) & mask;
    while (slots[position] != npos && keys_[slots[position]] != key) position = (position + 1) & mask;
    return position;
  }

  /// Empties a position and closes the gap (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithm R).
  void erase_at(std::size_t hole) noexcept {
    const std::size_t mask = table_.size() - 1;
    for (std::size_t next = (hole + 1) & mask; table_[next] != npos; next = (next + 1) & mask) {
      const std::size_t home = static_cast<std::size_t>(mix64(keys_[table_[next]])) & mask;
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        table_[hole] = table_[next];
        hole = next;
      }
    }
    table_[hole] = npos;
  }

  resource_vector<std::uint64_t> keys_;
  table table_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
