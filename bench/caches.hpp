// Sizes of the data caches, and the working sets by which each level is measured.
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace bench {

enum class memory_level { l1, l2, l3, dram };

inline constexpr std::array memory_levels{memory_level::l1, memory_level::l2, memory_level::l3,
                                          memory_level::dram};

[[nodiscard]] const char* name_of(memory_level);

struct cache_sizes {
  std::size_t l1 = 0;
  std::size_t l2 = 0;
  std::size_t l3 = 0;  ///< 0: there is none
  std::string source;  ///< "system" or "measured"
};

/// As the system says (Linux), else by the time that dependent loads take in growing working sets. Asked once.
[[nodiscard]] const cache_sizes& caches();

/// Bytes that stay in a level and are too many for the level before; of DRAM, several times the last cache. 0 when there
/// is no such level.
[[nodiscard]] std::size_t working_set(memory_level);

}  // namespace bench
