#include "commands.hpp"
#include "counting_new.hpp"
#include "failure.hpp"
#include "indexes.hpp"
#include "parallel.hpp"

#include <cmath>
#include <cstdio>

namespace bench {
namespace {

struct memory_use {
  std::size_t reported = 0;  ///< memory_bytes()
  std::size_t counted = 0;   ///< live in operator new after the build
  std::size_t blocks = 0;
  std::size_t peak = 0;  ///< during the build
};

template <class T, class Index>
memory_use measure(const workload& data, const memory_command& command) {
  const auto& base = elements<T>::base(data);
  const allocation_count count;
  Index index = make_index<Index>(base.columns, command.graph);
  add_rows(index, base, command.build_threads);
  // The object itself is memory of the index too, wherever it lives.
  return {index.memory_bytes(), count.live_bytes() + sizeof(Index), count.live_blocks(),
          count.peak_bytes() + sizeof(Index)};
}

}  // namespace

int run(const memory_command& command) {
  if (!have_threads && command.build_threads != 1)
    throw input_error("this build has no threads: use --build-threads 1");
  const workload data = load_workload(command.source, false);
  std::printf("%s, %zu x %zu %s, M %zu\n", data.name.c_str(), data.size(), data.dimension(),
              name_of(data.type), command.graph.M);
  std::printf("%-6s %14s %14s %10s %11s %14s %8s\n", "index", "reported", "counted", "apart", "bytes/row",
              "peak in build", "blocks");
  for (const index_kind kind : {index_kind::hnsw, index_kind::flat}) {
    const memory_use use =
        with_index_type(data.type, data.distance, kind, command.graph.codec,
                        [&]<class T, class Index>() { return measure<T, Index>(data, command); });
    const auto counted = static_cast<double>(use.counted);
    std::printf("%-6s %14zu %14zu %8.2f %% %11.1f %14zu %8zu\n", name_of(kind), use.reported, use.counted,
                100 * std::abs(static_cast<double>(use.reported) / counted - 1),
                counted / static_cast<double>(data.size()), use.peak, use.blocks);
  }
  return 0;
}

}  // namespace bench
