#pragma once

/// The whole library. The headers of each room can also be included alone.

#include <alidade/cache/lru_cache.hpp>
#include <alidade/cache/sharded_lru_cache.hpp>
#include <alidade/config/version.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/half.hpp>
#include <alidade/core/matrix_view.hpp>
#include <alidade/distance/distance.hpp>
#include <alidade/distance/many.hpp>
#include <alidade/distance/metric.hpp>
#include <alidade/index/flat_index.hpp>
#include <alidade/index/hnsw_index.hpp>
#include <alidade/memory/memory_monitor.hpp>
#include <alidade/memory/memory_pool.hpp>
#include <alidade/memory/memory_pool_synchronized.hpp>
#include <alidade/memory/memory_sources.hpp>
#include <alidade/ops/activation.hpp>
#include <alidade/ops/aggregate.hpp>
#include <alidade/ops/elementwise.hpp>
#include <alidade/ops/matrix.hpp>
#include <alidade/ops/quantize_int8.hpp>
#include <alidade/ops/validate.hpp>
#include <alidade/perf/clock.hpp>
#include <alidade/perf/counter.hpp>
#include <alidade/perf/latency_histogram.hpp>
#include <alidade/perf/monitor.hpp>
#include <alidade/perf/null_monitor.hpp>
#include <alidade/perf/report.hpp>
#include <alidade/perf/scoped_timer.hpp>
#include <alidade/rl/policies.hpp>
#include <alidade/rl/q_learner.hpp>
#include <alidade/rl/q_table.hpp>
#include <alidade/rl/q_update.hpp>
#include <alidade/rl/schedules.hpp>
#include <alidade/rl/trajectory_buffer.hpp>
