// alidade_bench: measures the library, alone and beside its peers. See README.md in this folder.
#include "ab_command.hpp"
#include "adaptive_command.hpp"
#include "cache_command.hpp"
#include "commands.hpp"
#include "failure.hpp"
#include "ops_command.hpp"
#include "perf_command.hpp"
#include "pool_command.hpp"
#include "qlearning_command.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>
#include <string>
#include <system_error>

namespace {

using namespace bench;

// Of searches, and of kernels.
const std::map<std::string, metric> metrics{
    {"l2", metric::l2}, {"ip", metric::ip}, {"cosine", metric::cosine}};
const std::map<std::string, element> elements{{"f32", element::f32}, {"u8", element::u8}};
const std::map<std::string, metric> kernel_metrics{{"l2", metric::l2},
                                                   {"ip", metric::ip},
                                                   {"cosine", metric::cosine},
                                                   {"l1", metric::l1},
                                                   {"chebyshev", metric::chebyshev},
                                                   {"hamming", metric::hamming},
                                                   {"jaccard", metric::jaccard}};
const std::map<std::string, element> kernel_elements{
    {"f32", element::f32}, {"f64", element::f64}, {"f16", element::f16},  {"bf16", element::bf16},
    {"i8", element::i8},   {"u8", element::u8},   {"bits", element::bits}};
const std::map<std::string, memory_level> levels{{"L1", memory_level::l1},
                                                 {"L2", memory_level::l2},
                                                 {"L3", memory_level::l3},
                                                 {"DRAM", memory_level::dram}};
const std::map<std::string, form> forms{{"pair", form::pair}, {"many", form::many}};
const std::map<std::string, index_kind> indexes{
    {"hnsw", index_kind::hnsw}, {"packed", index_kind::packed}, {"flat", index_kind::flat}};

const std::map<std::string, codec_kind> codecs{{"none", codec_kind::none},
                                               {"pca4", codec_kind::pca4},
                                               {"sq8", codec_kind::sq8},
                                               {"f16", codec_kind::f16},
                                               {"bf16", codec_kind::bf16}};

/// `Choice` is an enumeration or a vector of its values, which are then separated by commas.
template <class Choice, class Enum>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Choice& value,
                        const std::map<std::string, Enum>& names, const std::string& help) {
  std::string listed;
  for (const auto& [text, choice] : names) listed += (listed.empty() ? "" : "|") + text;
  return app.add_option(name, value, help)->transform(CLI::CheckedTransformer(names))->type_name(listed);
}

void add_base(CLI::App& app, source_options& source) {
  app.add_option("--base", source.base, "base vectors: .fvecs .bvecs .ivecs .fbin .u8bin .npy");
  app.add_option("--limit", source.limit, "use the first N base vectors only (the truth is then computed)");
  app.add_option("--synthetic", source.synthetic, "generate N vectors of dimension D instead: N,D")
      ->delimiter(',')
      ->expected(2);
  app.add_option("--spectrum", source.spectrum,
                 "of a generated set: the variance along direction j falls as j^-A, A in 0 .. 8")
      ->type_name("A");
  app.add_flag("--unit-norm", source.unit_norm, "scale the vectors of a generated set to norm 1");
}

void add_source(CLI::App& app, source_options& source) {
  add_base(app, source);
  add_choice(app, "--metric", source.distance, metrics, "distance");
  add_choice(app, "--type", source.type, elements, "element type of our index");
}

void add_queries(CLI::App& app, source_options& source) {
  app.add_option("--query", source.query, "query vectors");
  app.add_option("--truth", source.truth,
                 "true neighbours (.ivecs, or ids and distances); computed when left out");
  app.add_option("--save-truth", source.save_truth, "write the true neighbours to this file");
  app.add_option("--queries", source.synthetic_queries, "number of queries of a generated set")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

void add_graph(CLI::App& app, graph_options& graph) {
  app.add_option("--M", graph.M, "links a node (twice as many at level 0)")->capture_default_str();
  app.add_option("--ef-construction", graph.ef_construction, "search width while building")
      ->capture_default_str();
  app.add_option("--alpha", graph.alpha, "pruning factor of our graph")->capture_default_str();
  app.add_flag("--fill,!--no-fill", graph.fill, "fill the rows of our graph with pruned candidates");
  app.add_option("--seed", graph.seed, "seed of the levels")->capture_default_str();
  add_choice(app, "--codec", graph.codec, codecs, "what our graph is searched by");
  app.add_option("--code-bytes", graph.code_bytes, "bytes of a code: 64, 128 or 192; 0: by itself")
      ->capture_default_str();
}

void add_search(CLI::App& app, search_command& command) {
  sweep_options& sweep = command.sweep;
  add_source(app, command.source);
  add_queries(app, command.source);
  add_choice(app, "--index", command.index, indexes, "kind of index");
  add_graph(app, command.graph);
  app.add_option("--k", sweep.k, "neighbours a query")->capture_default_str();
  app.add_option("--recall", sweep.targets, "recalls at which to compare")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--ef", sweep.efs, "search widths to measure, instead of the automatic list")
      ->delimiter(',');
  app.add_option("--max-ef", sweep.max_ef, "end of the automatic list")->capture_default_str();
  app.add_option("--rerank", command.graph.rerank, "candidates that a search by codes measures; 0: by itself")
      ->capture_default_str();
  app.add_flag(
      "--calibrate", sweep.calibrate,
      "let our index choose ef and the rest for each asked recall, from the first half of the queries");
  app.add_flag("--only-asked", sweep.only_targets, "time only the points around the asked recalls");
  app.add_option("--threads", sweep.threads, "searching threads")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_flag("--batch", sweep.batch, "answer all queries at once, by searches of a batch");
  app.add_option("--build-threads", sweep.build_threads, "building threads")->capture_default_str();
  app.add_option("--rounds", sweep.rounds, "rounds of timing, contestants interleaved")
      ->capture_default_str();
  app.add_option("--build-rounds", sweep.build_rounds, "rounds of building, interleaved")
      ->capture_default_str();
  app.add_option("--peer", command.peers,
                 "hnswlib, faiss; with other links than ours as hnswlib:M:ef_construction")
      ->delimiter(',');
  app.add_option("--json", command.json, "write JSON lines to this file");
  app.add_option("--plot", command.plot, "draw recall against queries a second to this SVG file");
}

void add_kernels(CLI::App& app, kernels_command& command) {
  add_choice(app, "--metric", command.distances, kernel_metrics, "distances")->delimiter(',');
  add_choice(app, "--type", command.types, kernel_elements, "element types")->delimiter(',');
  app.add_option("--dim", command.dimensions, "dimensions; of bits, how many bits")
      ->delimiter(',')
      ->capture_default_str();
  add_choice(app, "--level", command.levels, levels, "where the operands lie")->delimiter(',');
  add_choice(app, "--form", command.how, forms, "one call for each row, or one for all");
  app.add_option("--peer", command.peers,
                 "hnswlib, faiss, eigen, openblas, or none; all there are if left out")
      ->delimiter(',');
  app.add_option("--rounds", command.rounds, "interleaved rounds")->capture_default_str();
  app.add_option("--json", command.json, "write JSON lines to this file");
}

void add_exact(CLI::App& app, exact_command& command) {
  add_source(app, command.source);
  app.add_option("--query", command.source.query, "query vectors");
  app.add_option("--rows", command.rows, "generated vectors, without --base and --synthetic")
      ->capture_default_str();
  app.add_option("--dim", command.dimension, "their dimension")->capture_default_str();
  app.add_option("--queries", command.source.synthetic_queries, "number of queries of a generated set")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--k", command.k, "neighbours a query")->capture_default_str();
  app.add_option("--peer", command.peers, "faiss, openblas")->delimiter(',');
  app.add_option("--rounds", command.rounds, "interleaved rounds")->capture_default_str();
  app.add_option("--json", command.json, "write JSON lines to this file");
}

void add_adaptive(CLI::App& app, adaptive_command& command) {
  add_base(app, command.source);
  app.add_option("--query", command.source.query, "query vectors");
  app.add_option("--recall", command.recall, "recall that the engine is to reach")->capture_default_str();
  app.add_option("--learning", command.learning, "queries before those that are measured")
      ->capture_default_str();
  app.add_option("--measured", command.measured, "queries that are measured")->capture_default_str();
  app.add_option("--seeds", command.seeds, "workloads")->capture_default_str();
  app.add_option("--max-ef", command.max_ef, "widest search")->capture_default_str();
  app.add_option("--M,--m", command.M, "links a node (twice as many at level 0)")->capture_default_str();
  app.add_option("--svg", command.svg, "draw recall and latency of the first workload to this file");
  app.add_option("--json", command.json, "write JSON lines to this file");
}

void add_ab(CLI::App& app, ab_command& command) {
  app.add_option("--rounds", command.rounds, "rounds, A B B A or B A A B")->capture_default_str();
  app.add_option("--best-of", command.best_of, "runs from which a round takes the best")
      ->capture_default_str();
  app.add_option("--alpha", command.by.alpha, "largest p that counts")->capture_default_str();
  app.add_option("--min-effect", command.by.min_effect, "smallest difference that counts, as a share")
      ->capture_default_str();
  app.add_option(
      "--metric", command.metric,
      "instead of the time: the number that the first group of this regular expression finds in the output");
  app.add_flag("--more-is-better", command.more_is_better, "of the metric");
  app.add_flag("--cpu", command.cpu, "processor time instead of wall time");
  app.add_flag("--self-test", command.self_test,
               "count false alarms and slow-downs found, of equal and slower work");
  app.add_option("--trials", command.trials, "of each kind in the self-test")->capture_default_str();
  app.add_option("--json", command.json, "write JSON lines to this file");
  app.footer("Command lines follow the options: alidade_bench ab [options] -- A... -- B...");
}

int run_program(int argc, char** argv) {
  CLI::App app{"Measures alidade, alone and beside its peers"};
  app.require_subcommand(1);

  search_command search;
  CLI::App* const search_app = app.add_subcommand("search", "recall against queries a second");
  add_search(*search_app, search);

  machine_command machine;
  CLI::App* const machine_app =
      app.add_subcommand("machine", "bandwidths and peaks of this machine, and our kernels under them");
  machine_app->add_option("--rounds", machine.rounds, "interleaved rounds")->capture_default_str();
  machine_app->add_option("--svg", machine.svg, "draw the roofline to this file");
  machine_app->add_option("--json", machine.json, "write JSON lines to this file");

  kernels_command kernels;
  CLI::App* const kernels_app =
      app.add_subcommand("kernels", "distance kernels against scalar code, the compiler's, and peers'");
  add_kernels(*kernels_app, kernels);

  pool_command pool;
  CLI::App* const pool_app =
      app.add_subcommand("pool", "memory pools against malloc and the standard library's pools");
  add_base(*pool_app, pool.source);
  pool_app->add_option("--size", pool.sizes, "bytes of a block")->delimiter(',')->capture_default_str();
  pool_app->add_option("--threads", pool.threads, "threads that use one pool at once")->capture_default_str();
  pool_app->add_flag("--glibc-trims", pool.glibc_trims, "let glibc return the top of its heap as it likes");
  pool_app->add_option("--rounds", pool.rounds, "interleaved rounds")->capture_default_str();
  pool_app->add_option("--json", pool.json, "write JSON lines to this file");

  cache_command cache;
  CLI::App* const cache_app =
      app.add_subcommand("cache", "caches against std::list and map; hit rates on traces");
  cache_app->add_option("--entries", cache.entries, "entries of a cache")
      ->delimiter(',')
      ->capture_default_str();
  cache_app->add_option("--traces", cache.traces, "a folder of traces to replay");
  cache_app->add_option("--rounds", cache.rounds, "interleaved rounds")->capture_default_str();
  cache_app->add_option("--json", cache.json, "write JSON lines to this file");

  ops_command ops;
  CLI::App* const ops_app =
      app.add_subcommand("ops", "data operations against plain loops, products against the peak");
  ops_app->add_option("--columns", ops.columns, "columns of what has columns")
      ->delimiter(',')
      ->capture_default_str();
  ops_app->add_option("--size", ops.sizes, "sizes of the matrices that are multiplied")
      ->delimiter(',')
      ->capture_default_str();
  ops_app->add_option("--rounds", ops.rounds, "interleaved rounds")->capture_default_str();
  ops_app->add_option("--json", ops.json, "write JSON lines to this file");

  exact_command exact;
  CLI::App* const exact_app = app.add_subcommand("exact", "exact search of a batch, and matrix products");
  add_exact(*exact_app, exact);

  compare_command compare;
  CLI::App* const compare_app = app.add_subcommand("compare", "the kernels of two JSON files");
  compare_app->add_option("first", compare.first, "JSON lines of a run of kernels")->required();
  compare_app->add_option("second", compare.second, "those of another")->required();
  compare_app->add_option("--at-least", compare.at_least,
                          "fail where one of our kernels has less than this share of the second's speed");
  compare_app->add_flag("--all", compare.all, "show peers and scalar code too");
  compare_app->add_flag("--regression", compare.regression,
                        "instead: test by the rounds whether the second is slower than the first");
  compare_app->add_option("--alpha", compare.by.alpha, "largest p that counts as one")->capture_default_str();
  compare_app->add_option("--min-effect", compare.by.min_effect, "smallest difference that counts as one")
      ->capture_default_str();

  perf_command perf;
  CLI::App* const perf_app = app.add_subcommand("perf", "what counters, timers and a monitor cost");
  perf_app->add_option("--rounds", perf.rounds, "interleaved rounds")->capture_default_str();
  perf_app->add_option("--rows", perf.rows, "vectors of the index that is searched")->capture_default_str();
  perf_app->add_option("--dim", perf.dimension, "their dimension")->capture_default_str();
  perf_app->add_option("--json", perf.json, "write JSON lines to this file");

  qlearning_command qlearning;
  CLI::App* const qlearning_app =
      app.add_subcommand("qlearning", "batches of Q-learning and their buffer against plain loops");
  qlearning_app->add_option("--batch", qlearning.batch, "transitions of a batch")->capture_default_str();
  qlearning_app->add_option("--rounds", qlearning.rounds, "interleaved rounds")->capture_default_str();
  qlearning_app->add_option("--json", qlearning.json, "write JSON lines to this file");

  adaptive_command adaptive;
  CLI::App* const adaptive_app =
      app.add_subcommand("adaptive", "searches that choose their width against the best fixed width");
  add_adaptive(*adaptive_app, adaptive);

  ab_command ab;
  argc = take_command_lines(argc, argv, ab);
  CLI::App* const ab_app = app.add_subcommand("ab", "whether one command line is slower than another");
  add_ab(*ab_app, ab);

  memory_command memory;
  CLI::App* const memory_app = app.add_subcommand("memory", "bytes per vector, as reported and as counted");
  add_source(*memory_app, memory.source);
  add_graph(*memory_app, memory.graph);
  memory_app->add_option("--build-threads", memory.build_threads, "building threads")->capture_default_str();

  determinism_command determinism;
  CLI::App* const determinism_app =
      app.add_subcommand("determinism", "checksum of the graph for numbers of threads");
  add_source(*determinism_app, determinism.source);
  add_graph(*determinism_app, determinism.graph);
  determinism_app->add_option("--threads", determinism.threads, "building threads")
      ->delimiter(',')
      ->capture_default_str();

  turnover_command turnover;
  CLI::App* const turnover_app =
      app.add_subcommand("turnover", "recall while every vector is removed and added again");
  add_source(*turnover_app, turnover.source);
  add_queries(*turnover_app, turnover.source);
  add_graph(*turnover_app, turnover.graph);
  turnover_app->add_option("--ef", turnover.efs, "search widths")->delimiter(',')->capture_default_str();
  turnover_app->add_option("--turns", turnover.turns, "how often all are replaced")->capture_default_str();
  turnover_app->add_option("--build-threads", turnover.build_threads, "building threads")
      ->capture_default_str();

  filter_command filter;
  CLI::App* const filter_app = app.add_subcommand("filter", "searches of what a filter allows");
  add_source(*filter_app, filter.source);
  add_queries(*filter_app, filter.source);
  add_graph(*filter_app, filter.graph);
  filter_app->add_option("--ef", filter.ef, "search width")->capture_default_str();
  filter_app->add_option("--first", filter.queries, "use the first N queries only")->capture_default_str();
  filter_app->add_option("--rounds", filter.rounds, "timed rounds")->capture_default_str();
  filter_app->add_option("--build-threads", filter.build_threads, "building threads")->capture_default_str();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (*search_app) return run(search);
  if (*machine_app) return run(machine);
  if (*kernels_app) return run(kernels);
  if (*cache_app) return run(cache);
  if (*pool_app) return run(pool);
  if (*ops_app) return run(ops);
  if (*exact_app) return run(exact);
  if (*compare_app) return run(compare);
  if (*perf_app) return run(perf);
  if (*qlearning_app) return run(qlearning);
  if (*adaptive_app) return run(adaptive);
  if (*ab_app) return run(ab);
  if (*memory_app) return run(memory);
  if (*turnover_app) return run(turnover);
  if (*filter_app) return run(filter);
  return run(determinism);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const input_error& error) {
    std::fprintf(stderr, "alidade_bench: %s\n", error.what());
    return 2;
  } catch (const std::system_error& error) {  // the library refuses the vectors or the options
    std::fprintf(stderr, "alidade_bench: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "alidade_bench: %s\n", error.what());
    return 1;
  }
}
