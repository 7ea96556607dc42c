#include <doctest/doctest.h>

#include <vector>

#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/link_journal.hpp>
#include <alidade/memory/memory_pool.hpp>

#include "../../support.hpp"

using namespace alidade;
using detail::edge_rank;
using detail::hnsw_graph;

namespace {

void scribble(hnsw_graph& graph, std::size_t level, std::uint32_t slot, test::random& r) {
  for (std::size_t i = 0; i < graph.capacity(level); ++i)
    graph.links(level, slot)[i] =
        detail::link(r.below(static_cast<std::uint32_t>(graph.size())), static_cast<edge_rank>(r.below(3)));
}

}  // namespace

TEST_CASE("a journal undoes what was changed, in any order, by several workers") {
  for (const std::size_t added : {std::size_t{1}, std::size_t{20}, std::size_t{2000}}) {
    memory_pool pool;
    test::random r(71);
    hnsw_graph graph(5);
    graph.reserve(4000, 3000);
    for (std::size_t i = 0; i < 1000; ++i) graph.append(r.below(6) == 0 ? 1 + r.below(3) : 0);
    for (std::uint32_t slot = 0; slot < 1000; ++slot) {
      for (std::size_t level = 0; level <= graph.level(slot); ++level) scribble(graph, level, slot, r);
    }
    graph.set_entry_point(17);
    const std::uint64_t before = graph.checksum();
    const auto end = graph.mark_end();
    {
      detail::link_journal journal(graph, &pool);
      CHECK(pool.stats().used_bytes == 0);
      graph.reserve(1000 + added, added);
      for (std::size_t i = 0; i < added; ++i) graph.append(i % 2);
      graph.set_entry_point(static_cast<std::uint32_t>(graph.size() - 1));
      journal.begin(added, 3);
      for (int phase = 0; phase < 10; ++phase, journal.next_phase()) {
        for (std::uint32_t i = 0; i < 300; ++i) {
          // A row belongs to one worker in a phase, and to another in the next.
          const std::uint32_t slot = r.below(static_cast<std::uint32_t>(graph.size()));
          const std::size_t level = r.below(static_cast<std::uint32_t>(graph.level(slot) + 1));
          journal.save((slot + static_cast<std::uint32_t>(phase)) % 3, level, slot);
          scribble(graph, level, slot, r);
        }
      }
      CHECK(graph.checksum() != before);
      journal.undo();
      graph.truncate(end);
    }
    CHECK(graph.size() == 1000);
    CHECK(graph.checksum() == before);
    CHECK(pool.stats().used_bytes == 0);
  }
}
