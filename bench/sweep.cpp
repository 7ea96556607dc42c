#include "sweep.hpp"

#include "parallel.hpp"
#include "statistics.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <set>

namespace bench {
namespace {

using bench_clock = std::chrono::steady_clock;

/// Answers of one pass, allocated once and reused.
struct answers {
  matrix<std::uint64_t> ids;
  std::vector<std::size_t> found;
  std::vector<double> microseconds;

  answers(std::size_t queries, std::size_t k) : ids(queries, k), found(queries), microseconds(queries) {}
};

/// Searches all queries. One by one with one thread a clock reading is both the end of a query and the start of the next.
double run_queries(engine& index, answers& out, const sweep_options& options) {
  const std::size_t queries = out.found.size();
  const auto start = bench_clock::now();
  if (options.batch) {
    index.search_batch(out.ids, out.found, options.threads);
  } else if (options.threads <= 1) {
    auto before = start;
    for (std::size_t query = 0; query < queries; ++query) {
      out.found[query] = index.search(query, out.ids.row(query));
      const auto after = bench_clock::now();
      out.microseconds[query] = std::chrono::duration<double, std::micro>(after - before).count();
      before = after;
    }
  } else {
    parallel_for(queries, options.threads, [&](std::size_t query, std::size_t) {
      const auto before = bench_clock::now();
      out.found[query] = index.search(query, out.ids.row(query));
      out.microseconds[query] =
          std::chrono::duration<double, std::micro>(bench_clock::now() - before).count();
    });
  }
  return seconds_since(start);
}

timing time_once(engine& index, answers& out, const sweep_options& options) {
  constexpr std::size_t warm_up = 20;
  for (std::size_t query = 0; query < std::min(warm_up, out.found.size()); ++query) {
    out.found[query] = index.search(query, out.ids.row(query));
  }
  timing result;
  result.qps = static_cast<double>(out.found.size()) / run_queries(index, out, options);
  if (options.batch) return result;
  if (options.times_queries()) result.query_us = out.microseconds;
  std::vector<double> sorted = out.microseconds;
  std::sort(sorted.begin(), sorted.end());
  result.p50_us = percentile(sorted, 0.50);
  result.p95_us = percentile(sorted, 0.95);
  result.p99_us = percentile(sorted, 0.99);
  return result;
}

std::size_t next_ef(std::size_t ef) {
  return std::max(ef + 1, static_cast<std::size_t>(static_cast<double>(ef) * 1.15));
}

std::size_t given_rerank(const contestant& c) { return c.index->graph().rerank; }

/// Lets the index choose for each target; false where it has nothing to choose.
bool calibrate(contestant& c, const sweep_options& options) {
  for (const double target : options.targets) {
    const auto chosen = c.index->calibrate(target, options.k);
    if (!chosen) return false;
    c.choices.push_back(*chosen);
  }
  return true;
}

/// The width that was chosen and those beside it, so that a recall between them can be told.
std::vector<std::size_t> around(std::size_t ef) {
  std::vector<std::size_t> efs;
  for (const std::size_t width : {ef - ef / 6 - 1, ef, ef + ef / 6 + 1}) {
    if (width > 0) efs.push_back(width);
  }
  return efs;
}

/// Marks the points between which the asked recalls lie.
std::vector<bool> around_targets(const std::vector<point>& points, const std::vector<double>& targets) {
  std::vector<bool> wanted(points.size(), false);
  for (const double target : targets) {
    const auto reached =
        std::find_if(points.begin(), points.end(), [&](const point& p) { return p.recall >= target; });
    const auto at = static_cast<std::size_t>(reached - points.begin());
    if (at < points.size()) wanted[at] = true;
    if (at > 0) wanted[at - 1] = true;
  }
  return wanted;
}

}  // namespace

void build_all(std::vector<contestant>& contestants, const sweep_options& options) {
  for (std::size_t round = 0; round < options.build_rounds; ++round) {
    for (contestant& c : contestants) {
      std::atomic<std::size_t> added{0};
      const std::size_t total = c.index->rows();
      const progress shown("building " + c.index->library(), [&] {
        return added == 0 ? -1 : static_cast<double>(added) / static_cast<double>(total);
      });
      const auto start = bench_clock::now();
      c.index->build(options.build_threads, added);
      c.build_seconds.push_back(seconds_since(start));
    }
  }
}

void find_recalls(std::vector<contestant>& contestants, const workload& data, const ground_truth& truth,
                  index_kind kind, const sweep_options& options) {
  answers out(data.queries.rows, options.k);
  const auto add_point_with = [&](contestant& c, std::size_t ef, const engine::setting& setting) {
    c.index->set_ef(ef);
    run_queries(*c.index, out, options);
    c.points.push_back({ef, setting, recall_of(data, truth, out.ids, out.found), {}});
  };
  const auto add_point = [&](contestant& c, std::size_t ef) {
    add_point_with(c, ef, engine::setting{given_rerank(c), 0});
  };
  if (!has_width(kind)) {
    for (contestant& c : contestants) add_point(c, 0);
    return;
  }
  const progress shown("finding the recall at each ef");
  if (!options.efs.empty()) {
    const std::set<std::size_t> efs(options.efs.begin(), options.efs.end());
    for (const std::size_t ef : efs) {
      for (contestant& c : contestants) add_point(c, ef);
    }
    return;
  }
  const double highest = *std::max_element(options.targets.begin(), options.targets.end());
  const double enough = std::max(0.995, highest);
  for (contestant& c : contestants) {
    if (options.calibrate && calibrate(c, options)) {
      for (const engine::choice& chosen : c.choices) {
        c.index->set(chosen.rest);
        for (const std::size_t ef : around(chosen.ef)) add_point_with(c, ef, chosen.rest);
      }
      std::stable_sort(c.points.begin(), c.points.end(),
                       [](const point& a, const point& b) { return a.recall < b.recall; });
      continue;
    }
    for (std::size_t ef = c.index->least_ef(options.k); ef <= options.max_ef; ef = next_ef(ef)) {
      add_point(c, ef);
      if (c.points.back().recall >= enough) break;
    }
  }
}

void time_points(std::vector<contestant>& contestants, const workload& data, const sweep_options& options) {
  answers out(data.queries.rows, options.k);
  std::vector<std::vector<bool>> wanted;
  std::size_t points = 0;
  for (const contestant& c : contestants) {
    wanted.push_back(options.only_targets ? around_targets(c.points, options.targets)
                                          : std::vector<bool>(c.points.size(), true));
    points = std::max(points, c.points.size());
  }
  for (std::size_t round = 0; round < options.rounds; ++round) {
    // No ticking thread here: it would take time from what is timed.
    std::fprintf(stderr, "timing: round %zu of %zu\n", round + 1, options.rounds);
    for (std::size_t i = 0; i < points; ++i) {
      for (std::size_t turn = 0; turn < contestants.size(); ++turn) {
        const std::size_t which = (turn + round) % contestants.size();
        contestant& c = contestants[which];
        if (i >= c.points.size() || !wanted[which][i]) continue;
        c.index->set_ef(c.points[i].ef);
        c.index->set(c.points[i].setting);
        c.points[i].rounds.push_back(time_once(*c.index, out, options));
      }
    }
  }
}

}  // namespace bench
