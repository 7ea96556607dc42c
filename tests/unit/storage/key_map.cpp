#include <doctest/doctest.h>

#include <cstdint>
#include <unordered_map>

#include <alidade/storage/key_map.hpp>

#include "../../support.hpp"

using alidade::detail::key_map;

TEST_CASE("a key map agrees with std::unordered_map through insertions and truncations") {
  test::random r(5);
  key_map map;
  std::unordered_map<std::uint64_t, std::uint32_t> model;
  std::vector<std::uint64_t> order;
  CHECK(map.find(0) == key_map::npos);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t key = r.below(3000) * 0x100000001u;
    const bool fresh = model.emplace(key, static_cast<std::uint32_t>(order.size())).second;
    CHECK(map.insert(key) == fresh);
    if (fresh) order.push_back(key);
    if (r.below(100) == 0) {
      const std::size_t keep = order.size() - r.below(static_cast<std::uint32_t>(order.size() / 2 + 1));
      map.truncate(keep);
      for (; order.size() > keep; order.pop_back()) model.erase(order.back());
    }
  }
  REQUIRE(map.size() == order.size());
  for (std::uint64_t k = 0; k < 3000; ++k) {
    const auto found = model.find(k * 0x100000001u);
    CHECK(map.find(k * 0x100000001u) == (found == model.end() ? key_map::npos : found->second));
  }
  for (std::size_t slot = 0; slot < order.size(); ++slot) CHECK(map.key(slot) == order[slot]);
}

TEST_CASE("extreme keys are keys like any other") {
  key_map map;
  for (const std::uint64_t key : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    CHECK(map.insert(key));
    CHECK_FALSE(map.insert(key));
  }
  CHECK(map.find(~std::uint64_t{0}) == 1);
}
