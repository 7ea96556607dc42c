#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include <alidade/distance/metric.hpp>
#include <alidade/index/detail/code_set.hpp>
#include <alidade/index/detail/graph_builder.hpp>
#include <alidade/index/detail/hnsw_graph.hpp>
#include <alidade/index/detail/link_journal.hpp>
#include <alidade/index/detail/search_scratch.hpp>
#include <alidade/index/detail/vector_set.hpp>

#include "../support.hpp"

using namespace alidade;
using detail::hnsw_graph;

namespace {

/// A graph over random vectors, built as the index builds it, open to inspection.
struct built_graph {
  detail::vector_set<float, metrics::l2_squared> vectors;
  hnsw_graph graph;

  built_graph(const test::dataset<float>& data, const hnsw_options& options, std::size_t pieces,
              bool is_refined)
      : vectors(data.columns, {}), graph(options.M) {
    test::random r(77);
    std::error_code ec;
    std::size_t linked = 0;
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      const std::size_t last = data.rows * (piece + 1) / pieces;
      vectors.add(std::span(data.keys).subspan(linked, last - linked), data.view(linked, last - linked), {},
                  {}, ec);
      detail::link_journal journal(graph, nullptr);
      journal.begin(last - linked, 2);
      graph.reserve(last, 3 * (last - linked));
      for (std::size_t slot = linked; slot < last; ++slot)
        graph.append(r.below(8) != 0 ? 0 : r.below(8) != 0 ? 1 : 3);
      using graph_builder = detail::graph_builder<float, metrics::l2_squared, detail::no_codes>;
      detail::scratch_pool<graph_builder::scratch_type> scratches(nullptr);
      const detail::no_codes none;
      graph_builder builder(vectors, vectors.view(), none, graph, journal, scratches, options, 2);
      std::vector<std::uint32_t> slots(last - linked);
      std::iota(slots.begin(), slots.end(), static_cast<std::uint32_t>(linked));
      builder.add(slots, {});
      builder.repair();
      if (is_refined && last == data.rows) {
        builder.refine({});
        builder.repair();
      }
      linked = last;
    }
  }
};

}  // namespace

TEST_CASE("rows of the graph are what they claim to be") {
  for (const std::size_t rows : {1u, 2u, 3u, 20u, 400u, 1200u}) {
    for (const std::size_t pieces : {1u, 2u, 3u}) {
      const hnsw_options options{.M = 6, .ef_construction = 48};
      const built_graph built(test::dataset<float>(rows, 9, 31), options, std::min(pieces, rows),
                              pieces == 2);
      const hnsw_graph& graph = built.graph;
      REQUIRE(graph.size() == rows);
      REQUIRE(graph.entry_point() < rows);
      std::vector<char> reached(rows, 0);
      std::vector<std::uint32_t> queue{graph.entry_point()};
      reached[queue[0]] = 1;
      for (std::uint32_t slot = 0; slot < rows; ++slot) {
        CHECK(graph.level(slot) <= graph.max_level());
        for (std::size_t level = 0; level <= graph.level(slot); ++level) {
          const std::size_t degree = graph.degree(level, slot);
          const detail::link* links = graph.links(level, slot);
          float previous = -1.0f;
          std::vector<std::uint32_t> seen;
          for (std::size_t i = 0; i < degree; ++i) {
            const std::uint32_t to = links[i].slot();
            REQUIRE(to < rows);
            CHECK(to != slot);
            CHECK(graph.level(to) >= level);
            const float distance = built.vectors.view().distance(built.vectors.row(slot), to);
            CHECK(distance >= previous);  // nearest first
            previous = distance;
            seen.push_back(to);
          }
          std::sort(seen.begin(), seen.end());
          CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());  // no neighbour twice
          for (std::size_t i = degree; i < graph.capacity(level); ++i) CHECK(links[i].slot() == slot);
        }
      }
      while (!queue.empty()) {
        const std::uint32_t slot = queue.back();
        queue.pop_back();
        for (std::size_t i = 0; i < graph.degree(0, slot); ++i) {
          const std::uint32_t to = graph.links(0, slot)[i].slot();
          if (reached[to] == 0) queue.push_back(to);
          reached[to] = 1;
        }
      }
      CHECK(std::count(reached.begin(), reached.end(), 1) == static_cast<std::ptrdiff_t>(rows));
    }
  }
}
