#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <utility>

namespace bench {
namespace {

/// Where a recall lies among the points of a contestant.
struct bracket {
  standing status = standing::not_reached;
  const point* below = nullptr;
  const point* above = nullptr;  ///< the smallest ef that reaches the recall
  double share = 1;              ///< of the way from below to above
};

bracket find_bracket(const std::vector<point>& points, double target) {
  const auto reached =
      std::find_if(points.begin(), points.end(), [&](const point& p) { return p.recall >= target; });
  if (reached == points.end()) return {};
  if (reached == points.begin()) {
    const bool exact = reached->ef == 0;
    return {exact ? standing::interpolated : standing::below_range, &*reached, &*reached, 1};
  }
  const auto before = reached - 1;
  return {standing::interpolated, &*before, &*reached,
          (target - before->recall) / (reached->recall - before->recall)};
}

/// The logarithm of a figure is taken as linear in recall.
double interpolate(const bracket& at, double below, double above) {
  return std::exp(std::log(below) + at.share * (std::log(above) - std::log(below)));
}

/// A figure at the bracketed recall in every round.
std::vector<double> figures_at(const bracket& at, double timing::*figure) {
  std::vector<double> result;
  for (std::size_t round = 0; round < at.above->rounds.size(); ++round) {
    result.push_back(interpolate(at, at.below->rounds[round].*figure, at.above->rounds[round].*figure));
  }
  return result;
}

query_latency latency_of(const point& p) {
  std::vector<double> medians;
  for (std::size_t query = 0; query < p.rounds.front().query_us.size(); ++query) {
    std::vector<double> us;
    for (const timing& t : p.rounds) us.push_back(t.query_us[query]);
    medians.push_back(spread_of(std::move(us)).median);
  }
  std::sort(medians.begin(), medians.end());
  return {percentile(medians, 0.50), percentile(medians, 0.95), percentile(medians, 0.99)};
}

query_latency latency_at(const bracket& at) {
  const query_latency below = latency_of(*at.below), above = latency_of(*at.above);
  return {interpolate(at, below.p50, above.p50), interpolate(at, below.p95, above.p95),
          interpolate(at, below.p99, above.p99)};
}

at_recall summarise_target(const contestant& c, double target, const sweep_options& options) {
  at_recall result;
  result.target = target;
  const bracket at = find_bracket(c.points, target);
  result.status = at.status;
  result.reached = at.above;
  if (at.status == standing::not_reached) return result;
  result.qps = spread_of(figures_at(at, &timing::qps));
  if (options.batch) return result;
  result.p50_us = spread_of(figures_at(at, &timing::p50_us));
  result.p95_us = spread_of(figures_at(at, &timing::p95_us));
  result.p99_us = spread_of(figures_at(at, &timing::p99_us));
  if (options.times_queries()) result.latency = latency_at(at);
  return result;
}

std::vector<double> quotients(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result;
  std::transform(a.begin(), a.end(), b.begin(), std::back_inserter(result),
                 [](double x, double y) { return x / y; });
  return result;
}

/// Ours against, in every round, the fastest of the peers that reach the recall.
speed_ratio compare_speed(const contestant& ours, const std::vector<const contestant*>& peers,
                          const std::string& name, double target) {
  speed_ratio result{name, std::nullopt, "=", ""};
  const bracket own = find_bracket(ours.points, target);
  std::vector<double> fastest;
  double best_median = 0;
  bool peer_is_bound = false;
  for (const contestant* peer : peers) {
    const bracket at = find_bracket(peer->points, target);
    if (at.status == standing::not_reached) continue;
    if (at.status == standing::below_range) peer_is_bound = true;
    const std::vector<double> qps = figures_at(at, &timing::qps);
    fastest.resize(qps.size());
    for (std::size_t round = 0; round < qps.size(); ++round) {
      fastest[round] = std::max(fastest[round], qps[round]);
    }
    if (const double median = spread_of(qps).median; median > best_median) {
      best_median = median;
      result.best = peer->index->library();
    }
  }
  const bool own_is_bound = own.status == standing::below_range;
  const bool unknown = own.status == standing::not_reached || fastest.empty();
  if (unknown || (own_is_bound && peer_is_bound)) return result;
  if (own_is_bound) result.bound = ">=";
  if (peer_is_bound) result.bound = "<=";
  result.times = spread_of(quotients(figures_at(own, &timing::qps), fastest));
  return result;
}

/// Ours, the first, against each peer, and against the best of those of which there are several configurations.
std::vector<speed_ratio> compare_speeds(const std::vector<contestant>& contestants, double target) {
  const contestant& ours = contestants.front();
  std::vector<speed_ratio> result;
  std::vector<std::pair<std::string, std::vector<const contestant*>>> kinds;
  for (std::size_t i = 1; i < contestants.size(); ++i) {
    const contestant& peer = contestants[i];
    const std::string& name = peer.index->library();
    result.push_back(compare_speed(ours, {&peer}, name, target));
    const std::string kind = kind_of(name);
    auto same = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return k.first == kind; });
    if (same == kinds.end()) same = kinds.insert(kinds.end(), {kind, {}});
    same->second.push_back(&peer);
  }
  for (const auto& [kind, peers] : kinds) {
    if (peers.size() > 1) result.push_back(compare_speed(ours, peers, "best_" + kind, target));
  }
  return result;
}

comparison compare(const contestant& ours, const contestant& peer) {
  comparison result;
  result.peer = peer.index->library();
  result.build_speed = spread_of(quotients(peer.build_seconds, ours.build_seconds));
  result.bytes = static_cast<double>(ours.index->bytes()) / static_cast<double>(peer.index->bytes());
  result.largest_shortfall = -std::numeric_limits<double>::infinity();
  for (const point& own : ours.points) {
    const auto same =
        std::find_if(peer.points.begin(), peer.points.end(), [&](const point& p) { return p.ef == own.ef; });
    if (same == peer.points.end()) continue;
    const double shortfall = same->recall - own.recall;
    if (shortfall > result.largest_shortfall) {
      result.largest_shortfall = shortfall;
      result.shortfall_ef = own.ef;
    }
  }
  return result;
}

void print_points(const report& r) {
  const bool batch = r.command.sweep.batch;
  std::printf("%-14s %6s %8s %10s %21s", "library", "ef", "recall", "QPS", "(min .. max)");
  std::printf(batch ? "\n" : " %9s %9s %9s\n", "p50 us", "p95 us", "p99 us");
  for (const library_report& library : r.libraries) {
    for (const point& p : library.measured->points) {
      if (p.rounds.empty()) continue;
      const auto of = [&](double timing::*figure) { return spread_of(figures_of(p, figure)); };
      const spread qps = of(&timing::qps);
      std::printf("%-14s %6zu %8.4f %10.0f %9.0f .. %8.0f", library.name.c_str(), p.ef, p.recall, qps.median,
                  qps.min, qps.max);
      if (!batch) {
        std::printf(" %9.1f %9.1f %9.1f", of(&timing::p50_us).median, of(&timing::p95_us).median,
                    of(&timing::p99_us).median);
      }
      std::putchar('\n');
    }
  }
}

void print_choices(const report& r) {
  for (const library_report& library : r.libraries) {
    for (std::size_t i = 0; i < library.measured->choices.size(); ++i) {
      const engine::choice& c = library.measured->choices[i];
      std::printf(
          "%s chose for %.3f: ef %zu, rerank %zu, prefetch %zu; it found %.4f on half of the queries\n",
          library.name.c_str(), r.command.sweep.targets[i], c.ef, c.rest.rerank, c.rest.prefetch, c.recall);
    }
  }
}

void print_target(const library_report& library, const at_recall& t) {
  std::printf("%-14s %8.3f  ", library.name.c_str(), t.target);
  if (t.status == standing::not_reached) {
    std::printf("not reached: the best is %.4f\n", library.measured->points.back().recall);
    return;
  }
  const bool bound = t.status == standing::below_range;
  std::printf("%2s%9.0f %9.0f .. %8.0f", bound ? ">=" : "", t.qps.median, t.qps.min, t.qps.max);
  for (const speed_ratio& ratio : t.ratios) {
    if (ratio.times) {
      const std::string bound_text = ratio.bound == "=" ? "" : ratio.bound + " ";
      const std::string best_text = ratio.best == ratio.peer ? "" : "; " + ratio.best;
      std::printf("  %s%.2fx %s (%.2f .. %.2f%s)", bound_text.c_str(), ratio.times->median,
                  ratio.peer.c_str(), ratio.times->min, ratio.times->max, best_text.c_str());
    } else {
      std::printf("  %s: no ratio", ratio.peer.c_str());
    }
  }
  if (bound) {
    std::printf("  [below range: ef %zu has recall %.4f]", t.reached->ef, t.reached->recall);
  }
  std::putchar('\n');
}

void print_latencies(const report& r) {
  std::printf("\n%-14s %8s %9s %9s %9s %9s  us; of each query the median of its rounds\n", "library",
              "recall", "p50", "p95", "p99", "p99/p50");
  for (std::size_t i = 0; i < r.command.sweep.targets.size(); ++i) {
    for (const library_report& library : r.libraries) {
      const at_recall& t = library.targets[i];
      if (!t.latency) continue;
      std::printf("%-14s %8.3f %9.1f %9.1f %9.1f %9.2f%s\n", library.name.c_str(), t.target, t.latency->p50,
                  t.latency->p95, t.latency->p99, t.latency->p99 / t.latency->p50,
                  t.status == standing::below_range ? "  [at a higher recall]" : "");
    }
  }
}

void print_builds(const report& r) {
  std::printf("\n%-14s %12s %18s %14s %13s %12s %7s  arch\n", "library", "build s", "(min .. max)", "bytes",
              "bytes/vector", "as given", "times");
  const auto rows = static_cast<double>(r.rows);
  for (const library_report& library : r.libraries) {
    const auto bytes = static_cast<double>(library.bytes), given = static_cast<double>(library.given_bytes);
    std::printf("%-14s %12.2f %8.2f .. %6.2f %14zu %13.1f %8.0f %3s %7.3f  %s\n", library.name.c_str(),
                library.build_s.median, library.build_s.min, library.build_s.max, library.bytes, bytes / rows,
                given / rows, name_of(library.type), bytes / given, library.arch.c_str());
  }
}

}  // namespace

std::vector<double> figures_of(const point& p, double timing::*figure) {
  std::vector<double> result;
  for (const timing& t : p.rounds) result.push_back(t.*figure);
  return result;
}

const char* name_of(standing s) {
  switch (s) {
    case standing::interpolated:
      return "interpolated";
    case standing::below_range:
      return "below_range";
    case standing::not_reached:
      break;
  }
  return "not_reached";
}

report summarise(const search_command& command, const workload& data,
                 const std::vector<contestant>& contestants) {
  report result;
  result.command = command;
  result.dataset = data.name;
  result.rows = data.size();
  result.dimension = data.dimension();
  result.queries = data.queries.rows;
  const contestant& ours = contestants.front();
  for (const contestant& c : contestants) {
    library_report library;
    library.name = c.index->library();
    library.arch = c.index->arch();
    if (&c == &ours) library.type = command.source.type;
    library.answered = !command.sweep.batch ? "single" : c.index->has_batches() ? "batch" : "loop";
    library.build_s = spread_of(c.build_seconds);
    library.bytes = c.index->bytes();
    const std::size_t element_bytes = library.type == element::u8 ? sizeof(std::uint8_t) : sizeof(float);
    library.given_bytes = data.size() * data.dimension() * element_bytes;
    library.measured = &c;
    for (const double target : command.sweep.targets) {
      library.targets.push_back(summarise_target(c, target, command.sweep));
      if (&c == &ours) library.targets.back().ratios = compare_speeds(contestants, target);
    }
    result.libraries.push_back(std::move(library));
    if (&c != &ours) result.comparisons.push_back(compare(ours, c));
  }
  return result;
}

std::string title_of(const report& r) {
  const search_command& command = r.command;
  const sweep_options& sweep = command.sweep;
  char text[256];
  const bool coded = command.graph.codec != codec_kind::none;
  std::snprintf(text, sizeof(text), ": %zu x %zu %s, %s, %s%s%s, %zu queries%s, k %zu, %zu thread(s)", r.rows,
                r.dimension, name_of(command.source.type), name_of(command.source.distance),
                name_of(command.index), coded ? " " : "", coded ? name_of(command.graph.codec) : "",
                r.queries, sweep.batch ? " at once" : "", sweep.k, sweep.threads);
  return r.dataset + text;
}

void print(const report& r) {
  const sweep_options& sweep = r.command.sweep;
  std::printf("%s, M %zu, ef_construction %zu, alpha %.2f, %zu rounds\n", title_of(r).c_str(),
              r.command.graph.M, r.command.graph.ef_construction, r.command.graph.alpha, sweep.rounds);
  if (sweep.batch) {
    std::printf("queries at once:");
    for (const library_report& library : r.libraries) {
      std::printf(" %s: %s%s", library.name.c_str(), library.answered,
                  &library == &r.libraries.back() ? "\n" : ",");
    }
  }
  std::putchar('\n');
  print_choices(r);
  print_points(r);
  std::printf("\n%-14s %8s %12s %21s  ratio of QPS, paired by round\n", "library", "recall", "QPS",
              "(min .. max)");
  for (std::size_t i = 0; i < sweep.targets.size(); ++i) {
    for (const library_report& library : r.libraries) print_target(library, library.targets[i]);
  }
  if (sweep.times_queries()) print_latencies(r);
  print_builds(r);
  for (const comparison& c : r.comparisons) {
    std::printf(
        "against %s: build speed %.2fx (%.2f .. %.2f, %zu threads), bytes %.2fx, recall at equal ef: ",
        c.peer.c_str(), c.build_speed.median, c.build_speed.min, c.build_speed.max, sweep.build_threads,
        c.bytes);
    if (c.largest_shortfall > 0) {
      std::printf("at most %.4f below, at ef %zu\n", c.largest_shortfall, c.shortfall_ef);
    } else {
      std::printf("never below (smallest lead %.4f, at ef %zu)\n", std::abs(c.largest_shortfall),
                  c.shortfall_ef);
    }
  }
}

}  // namespace bench
