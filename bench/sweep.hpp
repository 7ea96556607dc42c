// Building and timing several engines side by side.
#pragma once

#include "engine.hpp"
#include "parallel.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace bench {

struct sweep_options {
  std::size_t k = 10;
  std::size_t threads = 1;
  std::size_t build_threads = have_threads ? 2 : 1;
  std::size_t rounds = 5;
  std::size_t build_rounds = 1;
  std::size_t max_ef = 2000;
  std::vector<std::size_t> efs;                   ///< empty: chosen automatically
  std::vector<double> targets{0.90, 0.95, 0.99};  ///< asked recalls
  bool only_targets = false;                      ///< time only the points around the asked recalls
  bool calibrate = false;                         ///< an index that can chooses its settings for each target
  bool batch = false;                             ///< all queries in one call instead of one by one

  /// Whether the time of each query alone is known.
  [[nodiscard]] bool times_queries() const { return !batch && threads == 1; }
};

/// One pass over all queries. Of a batch there is only the speed.
struct timing {
  double qps = 0;
  double p50_us = 0;
  double p95_us = 0;
  double p99_us = 0;
  std::vector<double> query_us;  ///< of each query, where sweep_options::times_queries
};

/// An engine at one ef. An exact index has the single point ef = 0.
struct point {
  std::size_t ef = 0;
  engine::setting setting;
  double recall = 0;
  std::vector<timing> rounds;  ///< empty when the point was not timed
};

struct contestant {
  std::unique_ptr<engine> index;
  std::vector<double> build_seconds;    ///< one per build round
  std::vector<point> points;            ///< by rising ef; of one that was calibrated by rising recall
  std::vector<engine::choice> choices;  ///< of one that was calibrated, for each target
};

/// Builds every engine build_rounds times, in turn; the last build of each stays.
void build_all(std::vector<contestant>&, const sweep_options&);

/// Finds the recall of every contestant at every ef, of an index without widths at the one point there is. The automatic list rises from k (of codes: from 4) by about 1.15 until the contestant
/// has reached 0.995 (or the highest asked recall), or max_ef.
void find_recalls(std::vector<contestant>&, const workload&, const ground_truth&, index_kind,
                  const sweep_options&);

/// Times the points: for each round, for each ef, for each contestant, all queries, one by one or as a batch. The order of the
/// contestants turns from round to round, so that none is always the one that finds its data in the cache.
void time_points(std::vector<contestant>&, const workload&, const sweep_options&);

}  // namespace bench
