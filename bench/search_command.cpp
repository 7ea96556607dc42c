#include "commands.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "parallel.hpp"
#include "report.hpp"

#include <cstdio>

namespace bench {
namespace {

/// A peer by its name, behind which may stand M and ef_construction, after colons.
std::unique_ptr<engine> make_peer(const std::string& spec, engine_request request) {
  const std::string name = kind_of(spec);
  if (name != spec) {
    char end = 0;
    if (std::sscanf(spec.c_str() + name.size(), ":%zu:%zu%c", &request.graph.M,
                    &request.graph.ef_construction, &end) != 2) {
      throw input_error("--peer " + spec + ": name, or name:M:ef_construction");
    }
  }
  request.name = spec;
  if (name == "hnswlib") return make_hnswlib(request);
  if (name == "faiss") return make_faiss(request);
  throw input_error("--peer " + name + ": the peers are hnswlib and faiss");
}

void check(const search_command& command) {
  const sweep_options& sweep = command.sweep;
  if (sweep.targets.empty()) throw input_error("--recall needs at least one value");
  for (const double target : sweep.targets) {
    if (!(target > 0 && target <= 1)) throw input_error("--recall: values lie in (0, 1]");
  }
  if (sweep.rounds == 0 || sweep.build_rounds == 0)
    throw input_error("--rounds and --build-rounds are at least 1");
  if (sweep.max_ef < sweep.k) throw input_error("--max-ef is at least --k");
  if (command.graph.codec != codec_kind::none && !has_width(command.index))
    throw input_error("--codec is for --index hnsw and packed");
  if (sweep.calibrate && (!sweep.efs.empty() || command.graph.rerank != 0 || !has_width(command.index)))
    throw input_error("--calibrate chooses --ef and --rerank, of an index that has them");
  start_json(command.json);
  start_file("--plot", command.plot);
  if (!have_threads && (sweep.threads != 1 || sweep.build_threads != 1)) {
    throw input_error("this build has no threads: use --threads 1 --build-threads 1");
  }
}

}  // namespace

int run(const search_command& command) {
  check(command);
  const workload data = load_workload(command.source, true);
  const engine_request request{data, command.index, command.graph};

  std::vector<contestant> contestants(1 + command.peers.size());
  contestants[0].index = make_alidade(request);
  for (std::size_t i = 0; i < command.peers.size(); ++i) {
    contestants[i + 1].index = make_peer(command.peers[i], request);
  }
  const ground_truth truth = load_truth(command.source, data, command.sweep.k, command.sweep.build_threads);

  build_all(contestants, command.sweep);
  find_recalls(contestants, data, truth, command.index, command.sweep);
  time_points(contestants, data, command.sweep);

  const report results = summarise(command, data, contestants);
  print(results);
  if (!command.json.empty()) write_json(results, command.json);
  if (!command.plot.empty()) write_plot(results, command.plot);
  return 0;
}

}  // namespace bench
