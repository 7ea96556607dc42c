#include "commands.hpp"
#include "failure.hpp"
#include "indexes.hpp"
#include "parallel.hpp"

#include <cinttypes>
#include <cstdio>

namespace bench {
namespace {

template <class T, class Index>
std::uint64_t build_and_sum(const workload& data, const graph_options& graph, std::size_t threads) {
  if constexpr (is_graph<Index>) {
    const auto& base = elements<T>::base(data);
    Index index = make_index<Index>(base.columns, graph);
    const progress shown("building with " + std::to_string(threads) + " thread(s)");
    add_rows(index, base, threads);
    return index.graph_checksum();
  } else {
    throw input_error("a flat index has no graph");
  }
}

}  // namespace

int run(const determinism_command& command) {
  if (command.threads.empty()) throw input_error("--threads needs at least one number");
  std::vector<std::size_t> threads = command.threads;
  if (!have_threads) threads = {1};
  threads.push_back(threads.front());  // the same again: two runs

  const workload data = load_workload(command.source, false);
  std::vector<std::uint64_t> sums;
  for (const std::size_t count : threads) {
    sums.push_back(with_index_type(
        data.type, data.distance, index_kind::hnsw, command.graph.codec,
        [&]<class T, class Index>() { return build_and_sum<T, Index>(data, command.graph, count); }));
    std::printf("%s, %zu x %zu, %zu thread(s): graph checksum %016" PRIx64 "\n", data.name.c_str(),
                data.size(), data.dimension(), count, sums.back());
    std::fflush(stdout);
  }
  for (const std::uint64_t sum : sums) {
    if (sum == sums.front()) continue;
    std::printf("the graphs DIFFER\n");
    return 1;
  }
  std::printf("identical in %zu builds\n", sums.size());
  return 0;
}

}  // namespace bench
