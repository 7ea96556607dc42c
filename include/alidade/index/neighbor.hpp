#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/memory/aligned.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// One answer of a search: the user's key and the distance in the index's metric.
template <class D>
struct neighbor {
  std::uint64_t key;
  D distance;

  /// Nearest first, ties by key.
  friend constexpr bool operator<(const neighbor& a, const neighbor& b) noexcept {
    return a.distance < b.distance || (!(b.distance < a.distance) && a.key < b.key);
  }
  friend constexpr bool operator==(const neighbor&, const neighbor&) noexcept = default;
};

/// The answers of a batched search: `results[i]` are those of query i, sorted, at most k of them.
template <class D>
class search_results {
 public:
  search_results() = default;
  search_results(std::size_t queries, std::size_t k)
      : k_(k), counts_(queries), neighbors_(detail::checked_product(queries, k)) {}

  std::size_t size() const noexcept { return counts_.size(); }
  bool empty() const noexcept { return counts_.empty(); }

  std::span<const neighbor<D>> operator[](std::size_t query) const noexcept {
    ALIDADE_ASSERT(query < size());
    return {neighbors_.data() + query * k_, counts_[query]};
  }

  /// Room for the k answers of one query, for the index to fill.
  std::span<neighbor<D>> slots(std::size_t query) noexcept { return {neighbors_.data() + query * k_, k_}; }
  void set_count(std::size_t query, std::size_t count) noexcept { counts_[query] = count; }

 private:
  std::size_t k_ = 0;
  std::vector<std::size_t> counts_;
  std::vector<neighbor<D>> neighbors_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
