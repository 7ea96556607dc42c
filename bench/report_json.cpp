#include "json_lines.hpp"
#include "report.hpp"

namespace bench {
namespace {

json row_of(const report& r, const library_report& library, const char* kind) {
  const search_command& command = r.command;
  const bool ours = &library == &r.libraries.front();
  json row{{"kind", kind},
           {"library", library.name},
           {"index", name_of(command.index)},
           {"codec", name_of(ours ? command.graph.codec : codec_kind::none)},
           {"dataset", r.dataset},
           {"n", r.rows},
           {"dim", r.dimension},
           {"queries", r.queries},
           {"metric", name_of(command.source.distance)},
           {"type", name_of(library.type)},
           {"k", command.sweep.k}};
  if (has_width(command.index)) {
    const graph_options& graph = library.measured->index->graph();
    row["M"] = graph.M;
    row["ef_construction"] = graph.ef_construction;
    if (ours) row["alpha"] = command.graph.alpha;
    if (ours) row["fill"] = command.graph.fill;
    if (ours && command.graph.codec != codec_kind::none) {
      row["code_bytes"] = command.graph.code_bytes;
    }
  }
  put(row, "build_s", library.build_s);
  row["build_threads"] = command.sweep.build_threads;
  row["threads"] = command.sweep.threads;
  row["answered"] = library.answered;
  const auto bytes = static_cast<double>(library.bytes);
  row["bytes"] = library.bytes;
  row["bytes_per_vector"] = bytes / static_cast<double>(r.rows);
  row["given_bytes"] = library.given_bytes;
  row["bytes_over_given"] = bytes / static_cast<double>(library.given_bytes);
  row["arch"] = library.arch;
  return row;
}

/// Of our searches by codes.
void put_setting(json& row, const report& r, const library_report& library, const engine::setting& setting) {
  if (&library != &r.libraries.front() || r.command.graph.codec == codec_kind::none) return;
  row["rerank"] = setting.rerank;
  row["prefetch"] = setting.prefetch;
}

json point_row(const report& r, const library_report& library, const point& p) {
  json row = row_of(r, library, "point");
  row["ef"] = p.ef;
  put_setting(row, r, library, p.setting);
  row["recall"] = p.recall;
  const auto put_figure = [&](const char* name, double timing::*figure) {
    if (!p.rounds.empty()) put(row, name, spread_of(figures_of(p, figure)));
  };
  put_figure("qps", &timing::qps);
  if (!r.command.sweep.batch) {
    put_figure("p50_us", &timing::p50_us);
    put_figure("p95_us", &timing::p95_us);
    put_figure("p99_us", &timing::p99_us);
  }
  row["rounds"] = p.rounds.size();
  return row;
}

json target_row(const report& r, const library_report& library, const at_recall& t) {
  json row = row_of(r, library, "at_recall");
  row["recall"] = t.target;
  row["status"] = name_of(t.status);
  if (t.status == standing::not_reached) return row;
  row["ef"] = t.reached->ef;  // the smallest that reaches the recall
  put_setting(row, r, library, t.reached->setting);
  row["recall_at_ef"] = t.reached->recall;
  put(row, "qps", t.qps);
  if (!r.command.sweep.batch) {
    put(row, "p50_us", t.p50_us);
    put(row, "p95_us", t.p95_us);
    put(row, "p99_us", t.p99_us);
  }
  if (t.latency) {
    row["latency_p50_us"] = t.latency->p50;
    row["latency_p95_us"] = t.latency->p95;
    row["latency_p99_us"] = t.latency->p99;
    row["latency_p99_over_p50"] = t.latency->p99 / t.latency->p50;
  }
  row["rounds"] = t.reached->rounds.size();
  for (const speed_ratio& ratio : t.ratios) {
    const std::string name = "ratio_to_" + ratio.peer;
    if (!ratio.times) {
      row[name] = nullptr;
      continue;
    }
    put(row, name, *ratio.times);
    if (ratio.best != ratio.peer) row[ratio.peer] = ratio.best;
    row[name + "_bound"] = ratio.bound;
  }
  return row;
}

json comparison_row(const report& r, const comparison& c) {
  json row = row_of(r, r.libraries.front(), "comparison");
  row["peer"] = c.peer;
  put(row, "build_speed_ratio", c.build_speed);
  row["bytes_ratio"] = c.bytes;
  row["largest_recall_shortfall_at_equal_ef"] = c.largest_shortfall;
  row["largest_recall_shortfall_ef"] = c.shortfall_ef;
  return row;
}

}  // namespace

void write_json(const report& r, const std::string& path) {
  json_file file(path);
  for (const library_report& library : r.libraries) {
    for (const point& p : library.measured->points) file.write(point_row(r, library, p));
  }
  for (const library_report& library : r.libraries) {
    for (const at_recall& t : library.targets) file.write(target_row(r, library, t));
  }
  for (const comparison& c : r.comparisons) file.write(comparison_row(r, c));
  file.finish();
}

}  // namespace bench
