#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include <alidade/cache/detail/tag_index.hpp>

#include "../../support.hpp"

using alidade::detail::tag_index;

namespace {

/// The index of slots 0 .. n, whose hashes are a list, and the list of those that are in.
struct indexed {
  explicit indexed(std::vector<std::uint32_t> all) : hashes(std::move(all)), in(hashes.size(), false) {}

  std::uint32_t find(std::uint32_t slot) const {
    return index.find(hashes[slot], [slot](std::uint32_t other) { return other == slot; });
  }
  void insert(std::uint32_t slot) {
    if (index.full()) {
      tag_index larger = index.grown(index.size() + 1);
      for (std::size_t g = 0; g < index.groups(); ++g)
        index.visit_group(g, [&](std::uint32_t other) { larger.insert(hashes[other], other); });
      CHECK(larger.size() == index.size());
      index = std::move(larger);
    }
    index.insert(hashes[slot], slot);
    in[slot] = true;
  }
  void erase(std::uint32_t slot) {
    index.erase(hashes[slot], slot);
    in[slot] = false;
  }

  std::vector<std::uint32_t> hashes;
  std::vector<bool> in;
  tag_index index = tag_index(nullptr);
};

void exercise(std::vector<std::uint32_t> hashes, int rounds) {
  test::random r(3);
  indexed all(std::move(hashes));
  const auto count = static_cast<std::uint32_t>(all.hashes.size());
  std::size_t size = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto slot = static_cast<std::uint32_t>(r.below(count));
    if (all.in[slot]) {
      all.erase(slot);
      --size;
    } else {
      all.insert(slot);
      ++size;
    }
    CHECK(all.index.size() == size);
    const auto other = static_cast<std::uint32_t>(r.below(count));
    CHECK((all.find(other) == other) == all.in[other]);
  }
  for (std::uint32_t slot = 0; slot < count; ++slot) CHECK((all.find(slot) == slot) == all.in[slot]);
}

}  // namespace

TEST_CASE("a tag index agrees with a list of what is in") {
  test::random r(1);
  std::vector<std::uint32_t> hashes(500);
  for (std::uint32_t& h : hashes) h = static_cast<std::uint32_t>(r.below(1u << 30)) << 2;
  exercise(hashes, 20'000);
}

TEST_CASE("so it does where all hashes are one, or all tags, or all groups") {
  exercise(std::vector<std::uint32_t>(60, 7), 3000);
  exercise(std::vector<std::uint32_t>(60, 0), 3000);
  exercise(std::vector<std::uint32_t>(60, 0xffffffffu), 3000);
  std::vector<std::uint32_t> one_tag(100), one_group(100);
  for (std::uint32_t i = 0; i < 100; ++i) {
    one_tag[i] = i << 25 | 0x11;
    one_group[i] = 0x80000000u | i;
  }
  exercise(one_tag, 3000);
  exercise(one_group, 3000);
}

TEST_CASE("erasing leaves nothing behind: an index that was full of others looks up as a fresh one") {
  // Were there tombstones, or counts left over, a look-up of what is not there would have to pass more groups; the asked
  // slots tell how many were compared.
  indexed used(std::vector<std::uint32_t>(1000));
  test::random r(9);
  for (std::uint32_t& h : used.hashes) h = static_cast<std::uint32_t>(r.below(1u << 31)) << 1;
  for (int turn = 0; turn < 50; ++turn) {
    for (std::uint32_t slot = 0; slot < 1000; ++slot) used.insert(slot);
    for (std::uint32_t slot = 0; slot < 1000; ++slot) used.erase(slot);
  }
  CHECK(used.index.size() == 0);
  for (std::uint32_t slot = 0; slot < 1000; ++slot) {
    std::size_t compared = 0;
    CHECK(used.index.find(used.hashes[slot], [&](std::uint32_t) { return ++compared == 0; }) ==
          alidade::detail::no_slot);
    CHECK(compared == 0);
  }
  const std::size_t bytes = used.index.memory_bytes();
  for (std::uint32_t slot = 0; slot < 1000; ++slot) used.insert(slot);
  CHECK(used.index.memory_bytes() == bytes);
}

TEST_CASE("an index takes 6.4 to 8 bytes an entry") {
  indexed all(std::vector<std::uint32_t>(20'000));
  test::random r(2);
  for (std::uint32_t& h : all.hashes) h = static_cast<std::uint32_t>(r.below(1u << 31)) << 1;
  for (std::uint32_t slot = 0; slot < 20'000; ++slot) {
    all.insert(slot);
    if (slot >= 1000) CHECK(all.index.memory_bytes() <= 8 * (slot + 1) + 64);
  }
}
