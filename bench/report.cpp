#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

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

/// A figure at the bracketed recall in every round; its logarithm is taken as linear in recall.
std::vector<double> figures_at(const bracket& at, double timing::*figure) {
  std::vector<double> result;
  for (std::size_t round = 0; round < at.above->rounds.size(); ++round) {
    const double low = std::log(at.below->rounds[round].*figure);
    const double high = std::log(at.above->rounds[round].*figure);
    result.push_back(std::exp(low + at.share * (high - low)));
  }
  return result;
}

at_recall summarise_target(const contestant& c, double target) {
  at_recall result;
  result.target = target;
  const bracket at = find_bracket(c.points, target);
  result.status = at.status;
  result.reached = at.above;
  if (at.status == standing::not_reached) return result;
  result.qps = spread_of(figures_at(at, &timing::qps));
  result.p50_us = spread_of(figures_at(at, &timing::p50_us));
  result.p95_us = spread_of(figures_at(at, &timing::p95_us));
  result.p99_us = spread_of(figures_at(at, &timing::p99_us));
  return result;
}

std::vector<double> quotients(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result;
  std::transform(a.begin(), a.end(), b.begin(), std::back_inserter(result),
                 [](double x, double y) { return x / y; });
  return result;
}

speed_ratio compare_speed(const contestant& ours, const contestant& peer, double target) {
  speed_ratio result{peer.index->library(), std::nullopt, "="};
  const bracket a = find_bracket(ours.points, target);
  const bracket b = find_bracket(peer.points, target);
  const bool unknown = a.status == standing::not_reached || b.status == standing::not_reached;
  const bool both_bounds = a.status == standing::below_range && b.status == standing::below_range;
  if (unknown || both_bounds) return result;
  if (a.status == standing::below_range) result.bound = ">=";
  if (b.status == standing::below_range) result.bound = "<=";
  result.times = spread_of(quotients(figures_at(a, &timing::qps), figures_at(b, &timing::qps)));
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
  std::printf("%-14s %6s %8s %10s %21s %9s %9s %9s\n", "library", "ef", "recall", "QPS", "(min .. max)",
              "p50 us", "p95 us", "p99 us");
  for (const library_report& library : r.libraries) {
    for (const point& p : library.measured->points) {
      if (p.rounds.empty()) continue;
      const auto of = [&](double timing::*figure) {
        std::vector<double> values;
        for (const timing& t : p.rounds) values.push_back(t.*figure);
        return spread_of(values);
      };
      const spread qps = of(&timing::qps);
      std::printf("%-14s %6zu %8.4f %10.0f %9.0f .. %8.0f %9.1f %9.1f %9.1f\n", library.name.c_str(), p.ef,
                  p.recall, qps.median, qps.min, qps.max, of(&timing::p50_us).median,
                  of(&timing::p95_us).median, of(&timing::p99_us).median);
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
  std::printf("%2s%9.0f %9.0f .. %8.0f %9.1f %9.1f %9.1f", bound ? ">=" : "", t.qps.median, t.qps.min,
              t.qps.max, t.p50_us.median, t.p95_us.median, t.p99_us.median);
  for (const speed_ratio& ratio : t.ratios) {
    if (ratio.times) {
      const std::string bound_text = ratio.bound == "=" ? "" : ratio.bound + " ";
      std::printf("  %s%.2fx %s (%.2f .. %.2f)", bound_text.c_str(), ratio.times->median, ratio.peer.c_str(),
                  ratio.times->min, ratio.times->max);
    } else {
      std::printf("  %s: no ratio", ratio.peer.c_str());
    }
  }
  if (bound) {
    std::printf("  [below range: ef %zu has recall %.4f]", t.reached->ef, t.reached->recall);
  }
  std::putchar('\n');
}

}  // namespace

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
    library.build_s = spread_of(c.build_seconds);
    library.bytes_per_vector = static_cast<double>(c.index->bytes()) / static_cast<double>(data.size());
    library.measured = &c;
    for (const double target : command.sweep.targets) {
      library.targets.push_back(summarise_target(c, target));
      if (&c != &ours) continue;
      for (std::size_t peer = 1; peer < contestants.size(); ++peer) {
        library.targets.back().ratios.push_back(compare_speed(ours, contestants[peer], target));
      }
    }
    result.libraries.push_back(std::move(library));
    if (&c != &ours) result.comparisons.push_back(compare(ours, c));
  }
  return result;
}

void print(const report& r) {
  const sweep_options& sweep = r.command.sweep;
  std::printf(
      "%s: %zu x %zu %s, %s, %zu queries, k %zu, M %zu, ef_construction %zu, alpha %.2f, codec %s, %zu "
      "thread(s), %zu rounds\n\n",
      r.dataset.c_str(), r.rows, r.dimension, name_of(r.command.source.type),
      name_of(r.command.source.distance), r.queries, sweep.k, r.command.graph.M,
      r.command.graph.ef_construction, r.command.graph.alpha, name_of(r.command.graph.codec), sweep.threads,
      sweep.rounds);
  print_points(r);
  std::printf("\n%-14s %8s %12s %21s %9s %9s %9s  ratio of QPS, paired by round\n", "library", "recall",
              "QPS", "(min .. max)", "p50 us", "p95 us", "p99 us");
  for (std::size_t i = 0; i < sweep.targets.size(); ++i) {
    for (const library_report& library : r.libraries) print_target(library, library.targets[i]);
  }
  std::printf("\n%-14s %12s %18s %13s  arch\n", "library", "build s", "(min .. max)", "bytes/vector");
  for (const library_report& library : r.libraries) {
    std::printf("%-14s %12.2f %8.2f .. %6.2f %13.1f  %s\n", library.name.c_str(), library.build_s.median,
                library.build_s.min, library.build_s.max, library.bytes_per_vector, library.arch.c_str());
  }
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
