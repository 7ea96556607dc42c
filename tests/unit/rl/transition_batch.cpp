#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <vector>

#include <alidade/memory/memory_pool.hpp>
#include <alidade/rl/transition_batch.hpp>

#include "../../counting_new.hpp"

using namespace alidade;

namespace {

transition<float> batch_step(std::uint32_t i) {
  return {i, i + 1, static_cast<float>(i) / 2, i + 2, i % 3 == 0, i % 5 == 0, i + 3};
}

}  // namespace

TEST_CASE("a batch is well formed where all arrays have one length or may be left out") {
  const std::vector<std::uint32_t> numbers(3);
  const std::vector<double> reals(3);
  const std::vector<std::uint8_t> flags(3);
  using batch = transition_batch<double>;
  const batch least{.states = numbers, .actions = numbers, .rewards = reals, .next_states = numbers};
  CHECK(least.is_well_formed());
  CHECK(least.size() == 3);
  CHECK_FALSE(least.is_last(0));
  CHECK(least[2] == transition<double>{});
  CHECK(batch{}.is_well_formed());
  CHECK(batch{}.empty());
  batch all = least;
  all.terminated = flags;
  all.truncated = flags;
  all.next_actions = numbers;
  all.discounts = reals;
  all.weights = reals;
  CHECK(all.is_well_formed());
  const auto without = [&all](auto member, std::size_t count) {
    batch b = all;
    b.*member = (b.*member).first(count);
    return b.is_well_formed();
  };
  for (const std::size_t count : {0u, 1u, 2u}) {
    CHECK_FALSE(without(&batch::states, count));
    CHECK_FALSE(without(&batch::actions, count));
    CHECK_FALSE(without(&batch::rewards, count));
    CHECK_FALSE(without(&batch::next_states, count));
    CHECK(without(&batch::terminated, count) == (count == 0));
    CHECK(without(&batch::truncated, count) == (count == 0));
    CHECK(without(&batch::next_actions, count) == (count == 0));
    CHECK(without(&batch::discounts, count) == (count == 0));
    CHECK(without(&batch::weights, count) == (count == 0));
  }
  batch nothing;
  nothing.weights = reals;
  CHECK_FALSE(nothing.is_well_formed());
}

TEST_CASE("what is terminated or truncated is the last of its episode, whatever the flag's bits") {
  const std::array<std::uint32_t, 4> numbers{};
  const std::array<float, 4> reals{};
  const std::array<std::uint8_t, 4> terminated{0, 1, 0, 2}, truncated{0, 0, 255, 1};
  transition_batch<float> b{.states = numbers, .actions = numbers, .rewards = reals, .next_states = numbers};
  b.terminated = terminated;
  CHECK(b.is_last(1));
  CHECK_FALSE(b.is_last(2));
  b.truncated = truncated;
  CHECK_FALSE(b.is_last(0));
  CHECK(b.is_terminated(1));
  CHECK_FALSE(b.is_truncated(1));
  CHECK(b.is_truncated(2));
  CHECK(b.is_last(2));
  CHECK(b[3].terminated);
  CHECK(b[3].truncated);
}

TEST_CASE("transitions give back what was put in, from their resource's memory") {
  memory_pool pool;
  {
    transitions<float> all(&pool);
    CHECK(all.empty());
    CHECK(all.batch().is_well_formed());
    for (std::uint32_t i = 0; i < 1000; ++i) {
      all.push_back(batch_step(i));
      CHECK(all.size() == i + 1);
    }
    const transition_batch<float> batch = all.batch();
    CHECK(batch.is_well_formed());
    CHECK(batch.next_actions.size() == 1000);
    CHECK(batch.discounts.empty());
    CHECK(batch.weights.empty());
    bool same = true;
    for (std::uint32_t i = 0; i < 1000; ++i)
      same = same && all[i] == batch_step(i) && batch[i] == batch_step(i);
    CHECK(same);

    const std::size_t allocations = pool.stats().allocations, outside = test::allocations().calls;
    all.clear();
    CHECK(all.empty());
    for (std::uint32_t i = 0; i < 1000; ++i) all.push_back(batch_step(i));
    CHECK(pool.stats().allocations == allocations);
    CHECK(test::allocations().calls == outside);
  }
  CHECK(pool.stats().used_bytes == 0);
}

TEST_CASE("an addition for which there is no memory leaves transitions as they were") {
  memory_pool pool({.byte_limit = 16'384});
  transitions<float> all(&pool);
  std::uint32_t count = 0;
  bool exhausted = false;
  while (!exhausted && count < 100'000) {
    try {
      all.push_back(batch_step(count));
      ++count;
    } catch (const memory_pool_exhausted&) {
      exhausted = true;
    }
  }
  CHECK(exhausted);
  CHECK(count > 16);
  CHECK(all.size() == count);
  CHECK(all.batch().is_well_formed());
  bool same = true;
  for (std::uint32_t i = 0; i < count; ++i) same = same && all[i] == batch_step(i);
  CHECK(same);
  CHECK_THROWS_AS(all.push_back({}), memory_pool_exhausted);
  CHECK(all.size() == count);
}
