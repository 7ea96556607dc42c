#include "adaptive_command.hpp"

#include "adaptive_cycle.hpp"
#include "adaptive_svg.hpp"
#include "adaptive_workload.hpp"
#include "failure.hpp"
#include "json_lines.hpp"
#include "parallel.hpp"
#include "statistics.hpp"

#include <alidade/config/arch.hpp>
#include <alidade/engine/adaptive_search.hpp>
#include <alidade/index/hnsw_index.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t threads = have_threads ? 2 : 1;  // of building and of the truth
constexpr std::size_t block_length = 250, window_length = 500;
constexpr double latency_target = 0.85;  // of the best fixed width's mean latency

using neighbor_type = adaptive_index::neighbor_type;

struct figures {
  double recall = 0, us = 0, p95_us = 0, distances = 0;
};

/// The engine, or searches of one width, and what came of each query.
struct contestant {
  std::string name;
  std::size_t ef = 0;  ///< 0: the engine
  std::vector<float> us, distances;
  std::vector<std::uint8_t> hits;

  [[nodiscard]] figures of(std::size_t begin, std::size_t end) const {
    const auto mean = [&](const auto& values) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(begin);
      return std::accumulate(first, first + static_cast<std::ptrdiff_t>(end - begin), 0.0) /
             static_cast<double>(end - begin);
    };
    std::vector<float> sorted(us.begin() + static_cast<std::ptrdiff_t>(begin),
                              us.begin() + static_cast<std::ptrdiff_t>(end));
    std::sort(sorted.begin(), sorted.end());
    return {mean(hits) / adaptive_k, mean(us), static_cast<double>(percentile(sorted, 0.95)),
            mean(distances)};
  }
};

struct block {
  std::size_t begin, end;
};

/// Blocks end where phases do.
std::vector<block> blocks_of(const query_stream& stream) {
  std::vector<block> blocks;
  for (const query_phase& phase : stream.phases) {
    for (std::size_t at = phase.begin; at < phase.end; at += block_length)
      blocks.push_back({at, std::min(at + block_length, phase.end)});
  }
  return blocks;
}

using engine_type = alidade::adaptive_search<adaptive_index>;
using engine_stats = alidade::adaptive_search_stats;

class race {
 public:
  race(const adaptive_index& index, const query_pool& pool, fixed_widths& widths, const query_stream& stream)
      : index_(index), pool_(pool), widths_(widths), stream_(stream) {}

  /// Runs a block; the engine learns from it.
  void run(engine_type& engine, contestant& c, block b) {
    const double before = engine.stats().total_distances;
    std::size_t q = b.begin;
    time(c, b, [&](std::span<const float> query, std::span<neighbor_type> out, std::error_code& error) {
      return engine.search(query, out, error, static_cast<double>(stream_.pressure[q++]));
    });
    const double each = (engine.stats().total_distances - before) / static_cast<double>(b.end - b.begin);
    c.distances.resize(b.end, static_cast<float>(each));
  }

  void run(contestant& c, block b) {
    const alidade::search_options options{.k = adaptive_k, .ef = c.ef};
    time(c, b, [&](std::span<const float> query, std::span<neighbor_type> out, std::error_code& error) {
      return index_.search(query, options, out, error);
    });
    const fixed_answers& answers = widths_[c.ef];
    for (std::size_t q = b.begin; q < b.end; ++q)
      c.distances.push_back(static_cast<float>(answers.distances[stream_.drawn[q]]));
  }

 private:
  template <class Search>
  void time(contestant& c, block b, Search search) {
    for (std::size_t q = b.begin; q < b.end; ++q) {
      const auto query = pool_.queries.row(stream_.drawn[q]);
      const auto out = std::span(found_).subspan((q - b.begin) * adaptive_k, adaptive_k);
      std::error_code error;
      const auto start = std::chrono::steady_clock::now();
      counts_[q - b.begin] = search(query, out, error);
      c.us.push_back(static_cast<float>(1e6 * seconds_since(start)));
      if (error) throw std::system_error(error, "adaptive");
    }
    for (std::size_t q = b.begin; q < b.end; ++q) {
      const auto out =
          std::span<const neighbor_type>(found_).subspan((q - b.begin) * adaptive_k, counts_[q - b.begin]);
      c.hits.push_back(pool_.hits(stream_.drawn[q], out));
    }
  }

  const adaptive_index& index_;
  const query_pool& pool_;
  fixed_widths& widths_;
  const query_stream& stream_;
  std::vector<neighbor_type> found_ = std::vector<neighbor_type>(block_length * adaptive_k);
  std::vector<std::size_t> counts_ = std::vector<std::size_t>(block_length);
};

/// One seed.
struct outcome {
  query_stream stream;
  std::vector<block> blocks;
  std::vector<contestant> contestants;  ///< the engine first
  std::size_t best = 0;                 ///< the smallest width that meets the target over the measured half
  std::size_t best_in_every_phase = 0;  ///< likewise; 0: there is none
  engine_stats learnt, end;

  [[nodiscard]] const contestant& engine() const { return contestants.front(); }
  [[nodiscard]] const contestant& fixed(std::size_t ef) const {
    return *std::find_if(contestants.begin(), contestants.end(),
                         [ef](const contestant& c) { return c.ef == ef; });
  }
};

void choose_widths(outcome& run, fixed_widths& widths, const adaptive_command& command) {
  using part = std::span<const std::uint32_t>;
  const part drawn(run.stream.drawn);
  std::vector<part> phases;
  for (const query_phase& p : run.stream.phases) {
    if (p.begin >= command.learning) phases.push_back(drawn.subspan(p.begin, p.end - p.begin));
  }
  const part measured = drawn.subspan(command.learning);
  run.best = widths.smallest(command.recall, std::span(&measured, 1));
  if (run.best == 0) {
    throw input_error("adaptive: no width up to " + std::to_string(command.max_ef) +
                      " has the recall that is asked for; see --recall and --max-ef");
  }
  run.best_in_every_phase = widths.smallest(command.recall, phases);
  const std::size_t above = std::min(fixed_widths::next(run.best), command.max_ef);
  std::set<std::size_t> timed{run.best, above, std::min(fixed_widths::next(above), command.max_ef),
                              std::max(fixed_widths::previous(run.best), adaptive_k)};
  if (run.best_in_every_phase != 0) timed.insert(run.best_in_every_phase);
  run.contestants.push_back({"engine", 0, {}, {}, {}});
  for (const std::size_t ef : timed) run.contestants.push_back({"ef " + std::to_string(ef), ef, {}, {}, {}});
}

outcome run_seed(const adaptive_index& index, const query_pool& pool, fixed_widths& widths,
                 const adaptive_command& command, std::uint64_t seed) {
  outcome run;
  run.stream = make_stream(pool, command.learning, command.measured, seed);
  run.blocks = blocks_of(run.stream);
  choose_widths(run, widths, command);
  engine_type engine(index, {.target = alidade::search_target::recall_at_least(command.recall),
                             .k = adaptive_k,
                             .max_ef = command.max_ef,
                             .default_ef = std::min<std::size_t>(64, command.max_ef),
                             .warm_up = command.learning});
  const progress shown("searching, seed " + std::to_string(seed));
  race between(index, pool, widths, run.stream);
  const std::size_t count = run.contestants.size();
  for (std::size_t i = 0; i < run.blocks.size(); ++i) {
    if (run.blocks[i].begin == command.learning) run.learnt = engine.stats();
    // Each goes first in two blocks of a round, and behind each of its neighbours.
    for (std::size_t j = 0; j < count; ++j) {
      contestant& c = run.contestants[(i / 2 + (i % 2 == 0 ? j : count - j)) % count];
      c.ef == 0 ? between.run(engine, c, run.blocks[i]) : between.run(c, run.blocks[i]);
    }
  }
  run.end = engine.stats();
  return run;
}

/// Of the engine's and a fixed width's figures, in each block.
struct quartiles {
  double low, median, high;
};

quartiles ratios(const outcome& run, const contestant& fixed, std::size_t first, double figures::*what) {
  std::vector<double> all;
  for (const block& b : run.blocks) {
    if (b.begin >= first)
      all.push_back(run.engine().of(b.begin, b.end).*what / (fixed.of(b.begin, b.end).*what));
  }
  std::sort(all.begin(), all.end());
  return {percentile(all, 0.25), percentile(all, 0.5), percentile(all, 0.75)};
}

/// What a seed comes to, against one width.
struct verdict {
  double us_ratio = 0, distances_ratio = 0;
};

verdict print_against(const outcome& run, std::size_t ef, bool in_every_phase, std::uint64_t seed,
                      const adaptive_command& command, json_file* file) {
  const std::size_t first = command.learning, end = first + command.measured;
  const contestant& fixed = run.fixed(ef);
  const figures own = run.engine().of(first, end), other = fixed.of(first, end);
  const verdict result{own.us / other.us, own.distances / other.distances};
  const quartiles us = ratios(run, fixed, first, &figures::us);
  const quartiles distances = ratios(run, fixed, first, &figures::distances);
  std::printf("against %s%s: time %.3f (%.3f .. %.3f) of it, distances %.3f (%.3f .. %.3f)",
              fixed.name.c_str(), in_every_phase ? ", which meets the target in every phase" : "",
              result.us_ratio, us.low, us.high, result.distances_ratio, distances.low, distances.high);
  if (!in_every_phase) {
    std::printf("   %s %g", result.us_ratio <= latency_target ? "within" : "ABOVE", latency_target);
  }
  std::putchar('\n');
  if (file == nullptr) return result;
  file->write({{"kind", "adaptive_ratio"},
               {"seed", seed},
               {"ef", ef},
               {"in_every_phase", in_every_phase},
               {"us", result.us_ratio},
               {"us_quartiles", {us.low, us.median, us.high}},
               {"distances", result.distances_ratio},
               {"distances_quartiles", {distances.low, distances.median, distances.high}}});
  return result;
}

/// Against widths of the engine's own recall, by lines between those that were timed; none where it is not between any.
std::optional<verdict> at_same_recall(const outcome& run, block b) {
  const figures own = run.engine().of(b.begin, b.end);
  for (std::size_t i = 2; i < run.contestants.size(); ++i) {
    const figures low = run.contestants[i - 1].of(b.begin, b.end),
                  high = run.contestants[i].of(b.begin, b.end);
    if (!(low.recall <= own.recall && own.recall <= high.recall && low.recall < high.recall)) continue;
    const double part = (own.recall - low.recall) / (high.recall - low.recall);
    const auto between = [&](double figures::*what) { return low.*what + part * (high.*what - low.*what); };
    return verdict{own.us / between(&figures::us), own.distances / between(&figures::distances)};
  }
  return std::nullopt;
}

void write_rows(const outcome& run, const char* part, block b, std::uint64_t seed, json_file* file) {
  if (file == nullptr) return;
  for (const contestant& c : run.contestants) {
    const figures f = c.of(b.begin, b.end);
    file->write({{"kind", "adaptive"},
                 {"seed", seed},
                 {"part", part},
                 {"begin", b.begin},
                 {"end", b.end},
                 {"name", c.name},
                 {"recall", f.recall},
                 {"us", f.us},
                 {"p95_us", f.p95_us},
                 {"distances", f.distances}});
  }
}

void print_phases(const outcome& run, std::uint64_t seed, const adaptive_command& command, json_file* file) {
  std::vector<const contestant*> shown{&run.engine(), &run.fixed(run.best)};
  if (run.best_in_every_phase != 0 && run.best_in_every_phase != run.best)
    shown.push_back(&run.fixed(run.best_in_every_phase));
  std::printf("\nseed %llu; easy:ordinary:hard\n%-14s %-6s", static_cast<unsigned long long>(seed), "queries",
              "mix");
  for (const contestant* c : shown) std::printf("   %-8s recall      us   dist", c->name.c_str());
  std::putchar('\n');
  const auto print = [&](const std::string& what, const std::string& mix, block b) {
    std::printf("%-14s %-6s", what.c_str(), mix.c_str());
    for (const contestant* c : shown) {
      const figures f = c->of(b.begin, b.end);
      std::printf("   %15.4f %7.2f %6.0f", f.recall, f.us, f.distances);
    }
    std::putchar('\n');
  };
  for (const query_phase& p : run.stream.phases) {
    print(std::to_string(p.begin) + ".." + std::to_string(p.end), name_of_mix(p.mix), {p.begin, p.end});
    write_rows(run, "phase", {p.begin, p.end}, seed, file);
  }
  const std::size_t end = command.learning + command.measured;
  if (command.learning > 0) {
    print("learning", "", {0, command.learning});
    write_rows(run, "learning", {0, command.learning}, seed, file);
  }
  print("measured", "", {command.learning, end});
  write_rows(run, "measured", {command.learning, end}, seed, file);
}

/// Shares of distances are those of the measured half.
void print_learnt(const outcome& run, std::uint64_t seed, json_file* file) {
  const engine_stats& learnt = run.learnt;
  const engine_stats& end = run.end;
  const double distances = end.total_distances - learnt.total_distances;
  const auto share = [&](double engine_stats::*of) {
    return std::max(end.*of * end.total_distances - learnt.*of * learnt.total_distances, 0.0) / distances;
  };
  const double studies = share(&engine_stats::study_share), exact = share(&engine_stats::exact_share);
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf(
      "learnt from %llu studies (%llu of them in the measured half) and %llu (%llu) exact checks, which took "
      "%.1f %% and %.1f %% of\nthe distances in the learning half, %.2f %% and %.2f %% in the measured one\n",
      number(end.studies), number(end.studies - learnt.studies), number(end.exact_checks),
      number(end.exact_checks - learnt.exact_checks), 100 * learnt.study_share, 100 * learnt.exact_share,
      100 * studies, 100 * exact);
  if (file == nullptr) return;
  file->write({{"kind", "adaptive_learnt"},
               {"seed", seed},
               {"studies", end.studies},
               {"studies_measured", end.studies - learnt.studies},
               {"exact_checks", end.exact_checks},
               {"exact_checks_measured", end.exact_checks - learnt.exact_checks},
               {"study_share_learning", learnt.study_share},
               {"exact_share_learning", learnt.exact_share},
               {"study_share", studies},
               {"exact_share", exact}});
}

/// The figures of each seed, for the end.
struct all_seeds {
  std::vector<double> recall, us, p95_us, distances, fixed_recall, fixed_us, fixed_p95_us, us_ratio,
      distances_ratio, us_ratio_phases, distances_ratio_phases, us_ratio_same, distances_ratio_same,
      learning_recall, learning_us, learning_ratio;
};

void print_seed(const outcome& run, std::uint64_t seed, const adaptive_command& command, all_seeds& all,
                json_file* file) {
  const std::size_t first = command.learning, end = first + command.measured;
  print_phases(run, seed, command, file);
  std::printf("\n%-14s %8s %8s %8s %8s   measured half\n", "", "recall", "mean us", "p95 us", "dist");
  for (const contestant& c : run.contestants) {
    const figures f = c.of(first, end);
    std::printf("%-14s %8.4f %8.2f %8.2f %8.0f", c.name.c_str(), f.recall, f.us, f.p95_us, f.distances);
    if (c.ef == 0) std::printf("   %s %g", f.recall >= command.recall ? "within" : "BELOW", command.recall);
    if (c.ef != 0 && c.ef == run.best) std::printf("   the smallest with that recall");
    std::putchar('\n');
  }
  const figures own = run.engine().of(first, end), fixed = run.fixed(run.best).of(first, end);
  all.recall.push_back(own.recall);
  all.us.push_back(own.us);
  all.p95_us.push_back(own.p95_us);
  all.distances.push_back(own.distances);
  all.fixed_recall.push_back(fixed.recall);
  all.fixed_us.push_back(fixed.us);
  all.fixed_p95_us.push_back(fixed.p95_us);
  const verdict against_best = print_against(run, run.best, false, seed, command, file);
  all.us_ratio.push_back(against_best.us_ratio);
  all.distances_ratio.push_back(against_best.distances_ratio);
  if (run.best_in_every_phase == 0) {
    std::printf("no width up to %zu meets the target in every phase\n", command.max_ef);
  } else {
    const bool is_same = run.best_in_every_phase == run.best;
    if (is_same) std::printf("the same width meets the target in every phase\n");
    const verdict against =
        is_same ? against_best : print_against(run, run.best_in_every_phase, true, seed, command, file);
    all.us_ratio_phases.push_back(against.us_ratio);
    all.distances_ratio_phases.push_back(against.distances_ratio);
  }
  if (const auto same = at_same_recall(run, {first, end})) {
    std::printf("against widths of the engine's own recall, interpolated: time %.3f, distances %.3f\n",
                same->us_ratio, same->distances_ratio);
    all.us_ratio_same.push_back(same->us_ratio);
    all.distances_ratio_same.push_back(same->distances_ratio);
  }
  if (first > 0) {
    const figures learning = run.engine().of(0, first), meanwhile = run.fixed(run.best).of(0, first);
    all.learning_recall.push_back(learning.recall);
    all.learning_us.push_back(learning.us);
    all.learning_ratio.push_back(learning.us / meanwhile.us);
  }
  print_learnt(run, seed, file);
}

void print_all(const all_seeds& all, const adaptive_command& command, json_file* file) {
  json row{{"kind", "adaptive_seeds"}, {"seeds", command.seeds}, {"target", command.recall}};
  std::printf("\nover %zu seeds, medians (min .. max)\n", command.seeds);
  const auto print = [&](const char* what, const char* name, const std::vector<double>& values, int digits) {
    if (values.empty()) return spread{};
    const spread s = spread_of(values);
    std::printf("%-44s %8.*f (%.*f .. %.*f)", what, digits, s.median, digits, s.min, digits, s.max);
    put(row, name, s);
    return s;
  };
  const auto end_line = [](const std::vector<double>& values) {
    if (!values.empty()) std::putchar('\n');
  };
  const spread recall = print("engine: recall", "recall", all.recall, 4);
  std::printf("   %s %g\n", recall.median >= command.recall ? "within" : "BELOW", command.recall);
  const auto print_line = [&](const char* what, const char* name, const std::vector<double>& values,
                              int digits) {
    print(what, name, values, digits);
    end_line(values);
  };
  print_line("mean us", "us", all.us, 2);
  print_line("p95 us", "p95_us", all.p95_us, 2);
  print_line("distances", "distances", all.distances, 0);
  print_line("best fixed width: recall", "fixed_recall", all.fixed_recall, 4);
  print_line("mean us", "fixed_us", all.fixed_us, 2);
  print_line("p95 us", "fixed_p95_us", all.fixed_p95_us, 2);
  const spread ratio = print("engine / best fixed: mean time", "us_ratio", all.us_ratio, 3);
  std::printf("   %s %g\n", ratio.median <= latency_target ? "within" : "ABOVE", latency_target);
  print_line("distances", "distances_ratio", all.distances_ratio, 3);
  print_line("engine / best in every phase: mean time", "us_ratio_phases", all.us_ratio_phases, 3);
  print_line("distances", "distances_ratio_phases", all.distances_ratio_phases, 3);
  print_line("engine / widths of its recall: mean time", "us_ratio_same_recall", all.us_ratio_same, 3);
  print_line("distances", "distances_ratio_same_recall", all.distances_ratio_same, 3);
  print_line("learning half: recall", "learning_recall", all.learning_recall, 4);
  print_line("mean us", "learning_us", all.learning_us, 2);
  print_line("mean time / that of the best fixed width", "learning_ratio", all.learning_ratio, 3);
  if (file != nullptr) file->write(row);
}

void draw(const outcome& run, const std::string& data, const adaptive_command& command) {
  adaptive_drawing drawing{.title = data + ", recall@10 of " + std::to_string(command.recall).substr(0, 5) +
                                    " or more asked for; means over " + std::to_string(window_length) +
                                    " queries",
                           .target = command.recall,
                           .window = window_length,
                           .learning = command.learning,
                           .phases = run.stream.phases,
                           .series = {}};
  const auto add = [&](const contestant& c, const std::string& name, const char* colour) {
    drawn_series s{name, colour, {}, {}};
    for (std::size_t at = 0; at < c.us.size(); at += window_length) {
      const figures f = c.of(at, std::min(at + window_length, c.us.size()));
      s.recall.push_back(f.recall);
      s.us.push_back(f.us);
    }
    drawing.series.push_back(std::move(s));
  };
  const contestant& fixed = run.fixed(run.best);
  add(fixed, "best fixed width, " + fixed.name, "#d62728");
  add(run.engine(), "adaptive_search", "#1f77b4");
  write_svg(command.svg, drawing);
}

void check(const adaptive_command& command) {
  if (!(command.recall > 0 && command.recall < 1)) throw input_error("--recall lies in (0, 1)");
  if (command.measured == 0) throw input_error("--measured is at least 1");
  if (command.seeds == 0) throw input_error("--seeds is at least 1");
  if (command.max_ef < adaptive_k || command.max_ef > 65535)
    throw input_error("--max-ef is " + std::to_string(adaptive_k) + "..65535");
  start_json(command.json);
  start_file("--svg", command.svg);
}

adaptive_index build(const workload& data, std::size_t M) {
  const progress shown("building");
  adaptive_index index(data.dimension(), alidade::hnsw_options{.M = M, .ef_construction = 200});
  std::vector<std::uint64_t> keys(data.size());
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  index.add(keys, alidade::matrix_view<float>(data.base.values.data(), data.size(), data.dimension()),
            {.threads = threads});
  return index;
}

}  // namespace

int run(const adaptive_command& command) {
  check(command);
  std::optional<json_file> file;
  if (!command.json.empty()) file.emplace(command.json);
  json_file* const to = file ? &*file : nullptr;

  source_options source = command.source;
  source.synthetic_queries = query_pool::wanted / query_pool::kinds;
  const workload data = load_workload(source, true);
  if (data.size() <= adaptive_k)
    throw input_error("adaptive: needs more than " + std::to_string(adaptive_k) + " vectors");
  if (data.queries.empty()) throw input_error("adaptive: there are no queries");
  const adaptive_index index = build(data, command.M);
  const query_pool pool = make_pool(data, threads);
  fixed_widths widths(index, pool, command.max_ef, threads);

  std::printf(
      "adaptive_search, %s, %s %zu x %zu, M %zu, k %zu, recall of %g at least\n%zu queries of learning, then "
      "%zu measured; beside "
      "searches of fixed width, in turn by blocks of %zu\n",
      alidade::arch_name(), data.name.c_str(), data.size(), data.dimension(), command.M, adaptive_k,
      command.recall, command.learning, command.measured, block_length);
  all_seeds all;
  for (std::uint64_t seed = 1; seed <= command.seeds; ++seed) {
    const outcome one = run_seed(index, pool, widths, command, seed);
    print_seed(one, seed, command, all, to);
    if (seed == 1 && !command.svg.empty()) draw(one, data.name, command);
  }
  print_all(all, command, to);
  std::putchar('\n');
  measure_full_cycle(to);
  if (file) file->finish();
  return 0;
}

}  // namespace bench
