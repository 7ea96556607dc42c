// alidade_bench cache
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

struct cache_command {
  std::vector<std::size_t> entries{100'000, 1'000'000};
  std::string traces;  ///< a folder of traces to replay; empty: none
  std::size_t rounds = 25;
  std::string json;
};

/// Caches against std::list with std::unordered_map; the steps of an eviction; and hit rates of both policies on traces.
int run(const cache_command&);

}  // namespace bench
