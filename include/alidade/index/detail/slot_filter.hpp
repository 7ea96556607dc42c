#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <alidade/config/namespace.hpp>
#include <alidade/core/random.hpp>
#include <alidade/index/search_filter.hpp>
#include <alidade/memory/buffer.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/key_map.hpp>
#include <alidade/storage/slot_set.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// How a search with a filter goes about it.
enum class filter_way {
  undecided,  ///< look around the query first: how many are allowed there is what counts
  through,  ///< search the graph as ever, through nodes that are not allowed, until there are enough that are
  beyond,   ///< search among the allowed nodes alone, and look beyond others for them
  scan      ///< measure all that are allowed
};

/// A search_filter for the slots of an index, and what is known of how many it allows. Kept from search to search, for its memory.
class slot_filter {
 public:
  explicit slot_filter(memory_resource* memory) noexcept : slots_(memory), words_(memory), seeds_(memory) {}

  /// Looks at the vectors of an index, for a search of that width in a graph of that degree. The vectors are to stay where they are.
  template <class Vectors>
  void prepare(const Vectors& vectors, const search_filter& filter, std::size_t width, std::size_t degree) {
    begin(vectors, filter);
    // About a third of the links of each node that is expanded are new.
    links_ = 0.4 * static_cast<double>(width + 16) * static_cast<double>(degree);
    if (!is_listed_ && cost_of_scan() > links_) look_at_some(vectors);
    first_way_ = cost_of_scan() <= links_  ? filter_way::scan
                 : share() < least_through ? filter_way::undecided
                                           : filter_way::through;
  }
  /// Before each search with it: what is decided does not depend on the searches before.
  void begin_search() noexcept { way_ = first_way_; }

  /// For a search that is exact.
  template <class Vectors>
  std::span<const std::uint32_t> prepare_exact(const Vectors& vectors, const search_filter& filter) {
    begin(vectors, filter);
    return list(vectors);
  }

  /// Of so many nodes around the query so many are allowed. Once it has shown that there is no way through, it is no more.
  void decide(std::size_t nodes, std::size_t allowed_nodes, bool may_go_through) {
    const double nearby = static_cast<double>(allowed_nodes) / static_cast<double>(nodes);
    // Beyond the nodes that are not allowed links are looked at until as many as a row are: each costs an eighth of a distance.
    const bool goes_through = may_go_through && nearby >= least_through;
    const double graph = goes_through ? links_ / nearby : links_ * (1 + 0.125 / std::max(nearby, 1e-9));
    // Where the query's own region is left out, the nearest that are allowed lie around that, anywhere.
    if (3 * nearby < share() || cost_of_scan() <= graph) {
      way_ = filter_way::scan;
    } else {
      way_ = goes_through ? filter_way::through : filter_way::beyond;
    }
  }

  filter_way way() const noexcept { return way_; }

  /// All that are allowed.
  template <class Vectors>
  std::span<const std::uint32_t> list(const Vectors& vectors) {
    if (!is_listed_) list_all(vectors);
    return {slots_.data(), count_};
  }
  /// Some that are allowed, from all over the index.
  std::span<const std::uint32_t> seeds() const noexcept { return {seeds_.data(), seed_count_}; }

  bool allows(std::uint32_t slot) const {
    if (has_words_) return (words_[slot / 64] >> (slot % 64) & 1) != 0;
    return !removed_.contains(slot) && filter_.allows(key_of_(vectors_, slot));
  }

  std::size_t memory_bytes() const noexcept {
    return slots_.memory_bytes() + words_.memory_bytes() + seeds_.memory_bytes();
  }

 private:
  static constexpr std::size_t looked_at = 512, most_seeds = 32;
  static constexpr double least_through = 0.4;

  template <class Vectors>
  void begin(const Vectors& vectors, const search_filter& filter) {
    filter_ = filter;
    removed_ = vectors.removed();
    vectors_ = &vectors;
    key_of_ = [](const void* v, std::uint32_t slot) { return static_cast<const Vectors*>(v)->key(slot); };
    is_listed_ = has_words_ = false;
    bit_count_ = std::numeric_limits<std::size_t>::max();
    count_ = seed_count_ = 0;
    size_ = estimate_ = vectors.size();
    if (filter.what() == search_filter::kind::list) {
      list_keys(vectors, filter.words());
      estimate_ = count_;
    } else if (filter.what() == search_filter::kind::bits) {
      bit_count_ = 0;
      for (const std::uint64_t word : filter.words())
        bit_count_ += static_cast<std::size_t>(std::popcount(word));
      estimate_ = std::min(estimate_, bit_count_);
    }
  }

  double share() const noexcept { return static_cast<double>(estimate_) / static_cast<double>(size_); }

  /// In distances of a search, which also keeps its candidates sorted. To ask whether a vector is allowed takes a part of one.
  double cost_of_scan() const noexcept {
    const bool is_list = filter_.what() == search_filter::kind::list;
    const double looks = is_list ? 0.0 : static_cast<double>(bits_are_few() ? 8 * bit_count_ : size_);
    return 0.7 * static_cast<double>(estimate_) + 0.05 * looks;
  }

  /// Counts how many of some slots are allowed.
  template <class Vectors>
  void look_at_some(const Vectors& vectors) {
    const std::size_t n = vectors.slots();
    seeds_.grow(most_seeds);
    std::size_t found = 0;
    for (std::size_t i = 0; i < looked_at && n != 0; ++i) {
      const auto slot = static_cast<std::uint32_t>(mix64(i) % n);
      if (!allows(slot)) continue;
      ++found;
      if (seed_count_ < most_seeds) seeds_[seed_count_++] = slot;
    }
    estimate_ = std::min(static_cast<std::size_t>(std::uint64_t{found} * n / looked_at), estimate_);
  }

  template <class Vectors>
  void list_keys(const Vectors& vectors, std::span<const std::uint64_t> keys) {
    begin_list(std::min(keys.size(), vectors.size()));
    mark_none(vectors.slots());
    for (const std::uint64_t key : keys) put(vectors.find(key));
    is_listed_ = has_words_ = true;
    seeds_.grow(most_seeds);
    seed_count_ = std::min(most_seeds, count_);
    for (std::size_t i = 0; i < seed_count_; ++i) seeds_[i] = slots_[i * count_ / seed_count_];
  }

  template <class Vectors>
  void list_all(const Vectors& vectors) {
    begin_list(vectors.size());
    is_listed_ = true;
    if (bits_are_few()) {
      const std::span<const std::uint64_t> words = filter_.words();
      for (std::size_t i = 0; i < words.size(); ++i) {
        for (std::uint64_t word = words[i]; word != 0; word &= word - 1) {
          const std::uint64_t key =
              64 * std::uint64_t{i} + static_cast<std::uint64_t>(std::countr_zero(word));
          const std::uint32_t slot = vectors.find(key);
          if (slot != key_map::npos) slots_[count_++] = slot;
        }
      }
      return;
    }
    for (std::uint32_t slot = 0; slot < vectors.slots(); ++slot) {
      if (allows(slot)) slots_[count_++] = slot;
    }
  }

  /// Of bits, whether it is quicker to look for their keys than to look at all vectors.
  bool bits_are_few() const noexcept { return bit_count_ < size_ / 8; }

  void begin_list(std::size_t most) {
    slots_.grow(most);
    count_ = 0;
  }

  /// A key may come twice.
  void put(std::uint32_t slot) noexcept {
    if (slot == key_map::npos || (words_[slot / 64] >> (slot % 64) & 1) != 0) return;
    words_[slot / 64] |= std::uint64_t{1} << (slot % 64);
    slots_[count_++] = slot;
  }

  void mark_none(std::size_t slots) {
    words_.grow(slot_bits::words_for(slots));
    std::fill_n(words_.data(), slot_bits::words_for(slots), std::uint64_t{0});
  }

  search_filter filter_;
  slot_bits removed_;
  const void* vectors_ = nullptr;
  std::uint64_t (*key_of_)(const void*, std::uint32_t) = nullptr;
  filter_way way_ = filter_way::scan;        ///< of the present search
  filter_way first_way_ = filter_way::scan;  ///< with which each begins
  bool is_listed_ = false;                   ///< whether slots_ has all that are allowed
  bool has_words_ = false;                   ///< whether words_ has a bit for each of them
  std::size_t count_ = 0;                    ///< how many are listed
  std::size_t estimate_ = 0;                 ///< how many are taken to be allowed
  std::size_t size_ = 0;                     ///< of how many vectors
  std::size_t bit_count_ = 0;                ///< of bits; else as many as can be
  double links_ = 0;                         ///< about how many distances a search without a filter takes
  buffer<std::uint32_t> slots_;
  buffer<std::uint64_t> words_;
  buffer<std::uint32_t> seeds_;
  std::size_t seed_count_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
