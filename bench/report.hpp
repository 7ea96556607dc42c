// What a search run found: points, values at the asked recalls, comparisons with the peers, as text, JSON and a drawing.
#pragma once

#include "commands.hpp"
#include "statistics.hpp"
#include "sweep.hpp"
#include "workload.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace bench {

/// Whether a recall lies between two measured points.
enum class standing {
  interpolated,  ///< or measured, by an exact index
  below_range,  ///< the smallest ef already has a higher recall: its figures are bounds (it is at least that fast)
  not_reached  ///< no measured ef reaches it: no figures
};

[[nodiscard]] const char* name_of(standing);

/// How many times the queries a second of a peer, or of the best of its kind, ours are.
struct speed_ratio {
  std::string peer;  ///< "hnswlib:32:400", or "best_hnswlib"
  std::optional<spread>
      times;          ///< over rounds; none when one side did not reach the recall, or both lie above it
  std::string bound;  ///< "=", or ">=" / "<=" when one side is a bound
  std::string best;   ///< of several peers, the one with the highest median
};

/// Percentiles over queries, of each of which the median over rounds is taken: what interrupted a round is not in them, what
/// makes a query long is. In microseconds.
struct query_latency {
  double p50 = 0, p95 = 0, p99 = 0;
};

/// A library at an asked recall. QPS and latencies are interpolated, logarithms linear in recall, in every round.
struct at_recall {
  double target = 0;
  standing status = standing::not_reached;
  spread qps, p50_us, p95_us, p99_us;    ///< percentiles of a round, over rounds; without meaning for a batch
  std::optional<query_latency> latency;  ///< where sweep_options::times_queries
  const point* reached = nullptr;        ///< the smallest ef that reaches it
  std::vector<speed_ratio> ratios;
};

struct library_report {
  std::string name;
  std::string arch;
  element type = element::f32;  ///< that it was given
  const char* answered =
      "";  ///< one by one: "single"; at once: "batch", or "loop" where it has no such search
  spread build_s;
  std::size_t bytes = 0;        ///< of the index
  std::size_t given_bytes = 0;  ///< of the vectors: rows * dimension * element size
  const contestant* measured = nullptr;
  std::vector<at_recall> targets;
};

/// Ours against one peer.
struct comparison {
  std::string peer;
  spread build_speed;  ///< peer's build time / ours, over build rounds
  double bytes = 0;    ///< our bytes per vector / the peer's
  double largest_shortfall =
      0;  ///< of recall at equal ef: the peer's minus ours; negative when ours is always above
  std::size_t shortfall_ef = 0;  ///< where
};

struct report {
  search_command command;
  std::string dataset;
  std::size_t rows = 0;
  std::size_t dimension = 0;
  std::size_t queries = 0;
  std::vector<library_report> libraries;  ///< ours first
  std::vector<comparison> comparisons;
};

/// The result refers to the contestants.
[[nodiscard]] report summarise(const search_command&, const workload&, const std::vector<contestant>&);

/// A figure of a timed point, in every round.
[[nodiscard]] std::vector<double> figures_of(const point&, double timing::*figure);

/// What was measured on what, in a line.
[[nodiscard]] std::string title_of(const report&);

/// Tables on stdout.
void print(const report&);

/// One JSON object a line: kinds machine, point, at_recall and comparison.
void write_json(const report&, const std::string& path);

/// Recall against queries a second, a line for each library, as an SVG file.
void write_plot(const report&, const std::string& path);

}  // namespace bench
