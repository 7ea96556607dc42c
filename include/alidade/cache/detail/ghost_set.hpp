#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Hashes of the entries that left last, in buckets of a cache line; the oldest of a full bucket gives way. An entry is in for
/// as many additions as the caller says; a false yes needs an equal hash of 32 bits, and a bucket untouched for 2^32 additions.
class ghost_set {
 public:
  explicit ghost_set(memory_resource* memory) noexcept : buckets_(memory) {}

  std::size_t memory_bytes() const noexcept { return buckets_.capacity() * sizeof(bucket); }

  /// Makes room for about `count` hashes.
  void reserve(std::size_t count) {
    if (const std::size_t then = buckets_with(count); then != buckets_.size()) move_to(then);
  }
  /// What reserve(count) takes.
  std::size_t growth_bytes(std::size_t count) const noexcept {
    return (buckets_with(count) - buckets_.size()) * sizeof(bucket);
  }
  /// Gives back what there is beyond room for `count`, 1 at least. Whether that was anything. Strong guarantee.
  bool shrink(std::size_t count) {
    const std::size_t wanted = std::max<std::size_t>(1, buckets_for(count));
    if (wanted >= buckets_.size()) return false;
    move_to(wanted);
    return true;
  }
  static constexpr std::size_t least_bytes(std::size_t count) noexcept {
    return buckets_for(count) * sizeof(bucket);
  }

  void add(std::uint32_t hash) noexcept {
    if (++clock_ == never) ++clock_;
    if (!buckets_.empty()) place({hash, clock_});
  }

  /// Whether the hash was among the last `count` added; it is no longer.
  bool take(std::uint32_t hash, std::size_t count) noexcept {
    if (buckets_.empty()) return false;
    for (ghost& g : home(hash).ghosts) {
      if (g.hash == hash && g.added != never && age(g) < count) {
        g = {};
        return true;
      }
    }
    return false;
  }

 private:
  static constexpr std::size_t per_bucket = 8;
  static constexpr std::uint32_t never = 0;

  struct ghost {
    std::uint32_t hash = 0;
    std::uint32_t added = never;
  };
  struct bucket {
    ghost ghosts[per_bucket];
  };

  static constexpr std::size_t buckets_for(std::size_t count) noexcept {
    return (count + per_bucket - 1) / per_bucket;
  }
  std::size_t buckets_with(std::size_t count) const noexcept {
    const std::size_t wanted = buckets_for(count), has = buckets_.size();
    return wanted > has ? std::max(wanted, has + has / 8) : has;
  }
  void move_to(std::size_t buckets) {
    resource_vector<bucket> fresh(buckets, buckets_.get_allocator());
    std::swap(fresh, buckets_);
    const std::size_t room = buckets * per_bucket;
    for (const bucket& b : fresh) {
      for (const ghost& g : b.ghosts) {
        if (g.added != never && age(g) < room) place(g);
      }
    }
  }

  std::uint32_t age(const ghost& g) const noexcept { return clock_ - g.added; }
  bucket& home(std::uint32_t hash) noexcept {
    return buckets_[static_cast<std::size_t>((std::uint64_t{hash} * buckets_.size()) >> 32)];
  }
  void place(const ghost& placed) noexcept {
    bucket& b = home(placed.hash);
    ghost* oldest = b.ghosts;
    for (ghost& g : b.ghosts) {
      if (g.added == never) {
        oldest = &g;
        break;
      }
      if (age(g) > age(*oldest)) oldest = &g;
    }
    *oldest = placed;
  }

  resource_vector<bucket> buckets_;
  std::uint32_t clock_ = never;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
