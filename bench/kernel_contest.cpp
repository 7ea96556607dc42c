#include "kernel_contest.hpp"

#include "failure.hpp"
#include "kernel_buffer.hpp"
#include "operands.hpp"
#include "peer_kernels.hpp"
#include "roofs.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>

namespace bench {
namespace {

/// A query and the rows, of one type.
struct operands {
  kernel_buffer query;
  kernel_buffer rows;
  kernel_buffer results;
  sweep_input input;

  operands(element type, const kernel_group& group, std::size_t working_set)
      : query(columns_of(type, group.dimension) * element_bytes(type)),
        rows(std::max(query.size(), working_set - std::min(working_set, query.size()))),
        results(group.how == form::many ? rows.size() / query.size() * sizeof(double) : sizeof(double)),
        input{query.data(),
              rows.data(),
              results.data(),
              rows.size() / query.size(),
              columns_of(type, group.dimension),
              1} {
    fill(type, rows.data(), rows.size());
    fill(type, query.data(), query.size());
  }
};

struct candidate {
  element type;
  metric distance;
  std::string name;
  kernel_sweep run;
  const operands* data;
  std::size_t entry = 0;  ///< in the contest
  std::size_t ours = 0;   ///< index of our kernel of this type
};

volatile double keep = 0;  // results go here, so that the sweeps cannot be optimised away

class kernel_race {
 public:
  kernel_race(const kernel_group& group, const contest_options& options)
      : group_(group), working_set_(working_set(group.level) / load_step * load_step), timed_(options) {
    if (working_set_ == 0)
      throw input_error(std::string("there is no ") + name_of(group.level) + " cache here");
    const bool has_f32 = std::find(group.types.begin(), group.types.end(), element::f32) != group.types.end();
    const bool of_bits = group.distance == metric::hamming || group.distance == metric::jaccard;
    if (has_f32 && of_bits) add_kernels(element::f32, metric::l2, false);
    for (const element type : group.types) add_kernels(type, group.distance, !group.only_ours);
  }

  [[nodiscard]] std::vector<kernel_figures> run() {
    if (candidates_.empty()) return {};
    kernel_buffer loaded(working_set_);
    fill(element::u8, loaded.data(), loaded.size());
    const void* const memory = loaded.data();
    const std::size_t bytes = working_set_;
    load_ = timed_.add("load", [=](std::size_t passes) { load_all(memory, bytes, passes); });
    timed_.run();
    std::vector<kernel_figures> result;
    for (const candidate& c : candidates_) {
      compare_results(c);
      result.push_back(figures_of(c));
    }
    return result;
  }

 private:
  void add_kernels(element type, metric distance, bool with_others) {
    const kernel_id id{type, distance, group_.how};
    if (native_kernel(id) == nullptr) return;
    auto& data = data_[type];
    if (!data) data = std::make_unique<operands>(type, group_, working_set_);
    const std::size_t ours = candidates_.size();
    if (type == element::f32) f32_ = ours;
    const auto add = [&](const char* name, kernel_sweep kernel) {
      if (kernel == nullptr) return;
      const sweep_input input = data->input;
      const std::size_t entry = timed_.add(name, [=](std::size_t passes) {
        sweep_input all = input;
        all.passes = passes;
        keep = kernel(all);
      });
      candidates_.push_back({type, distance, name, kernel, data.get(), entry, ours});
    };
    add("alidade", native_kernel(id));
    if (!with_others) return;
    add("scalar", scalar_kernel(id));
    add("O3", plain_kernel(id));
    for (const kernel_peer& peer : kernel_peers()) {
      const bool wanted =
          std::find(group_.peers.begin(), group_.peers.end(), peer.name) != group_.peers.end();
      if (wanted) add(peer.name, peer.find(id, data->input.columns));
    }
  }

  /// Signs differ: of the form many our inner product is a distance.
  void compare_results(const candidate& c) const {
    const double result = std::abs(c.run(c.data->input));
    const double ours = std::abs(candidates_[c.ours].run(c.data->input));
    if (std::abs(result - ours) <= 1e-3 * ours) return;
    throw std::runtime_error(c.name + " and alidade differ in " + name_of(c.distance) + " of " +
                             name_of(c.type) + ", dimension " + std::to_string(group_.dimension) + ": " +
                             std::to_string(result) + " and " + std::to_string(ours));
  }

  [[nodiscard]] kernel_figures figures_of(const candidate& c) const {
    kernel_figures f;
    f.type = c.type;
    f.distance = c.distance;
    f.name = c.name;
    const auto rows = static_cast<double>(c.data->input.count);
    const spread seconds = timed_.time(c.entry);
    f.ns = {1e9 * seconds.median / rows, 1e9 * seconds.min / rows, 1e9 * seconds.max / rows};
    f.ns_rounds = timed_.rounds(c.entry, 1e9 / rows);
    // The query stays in the first level; there it is loaded again for each row, unless rows share it.
    const auto row_bytes = static_cast<double>(c.data->query.size());
    f.bytes = group_.level == memory_level::l1 && group_.how == form::pair ? 2 * row_bytes : row_bytes;
    f.gb_s = {f.bytes / f.ns.median, f.bytes / f.ns.max, f.bytes / f.ns.min};
    f.of_load = timed_.ratio(load_, c.entry, f.bytes * rows / static_cast<double>(working_set_));
    const candidate& ours = candidates_[c.ours];
    if (&c != &ours) {
      f.ours = timed_.ratio(c.entry, ours.entry);
    } else if (f32_ && c.type != element::f32) {
      const candidate& f32 = candidates_[*f32_];
      const auto f32_rows = static_cast<double>(f32.data->input.count);
      f.than_f32 = timed_.ratio(f32.entry, c.entry, rows / f32_rows);
    }
    return f;
  }

  const kernel_group& group_;
  std::size_t working_set_;
  contest timed_;
  std::map<element, std::unique_ptr<operands>> data_;
  std::vector<candidate> candidates_;
  std::optional<std::size_t> f32_;  ///< candidate
  std::size_t load_ = 0;            ///< entry in the contest
};

}  // namespace

std::vector<kernel_figures> measure(const kernel_group& group, const contest_options& options) {
  contest_options adapted = options;
  adapted.warm_up = group.level != memory_level::dram;  // nothing to bring back
  return kernel_race(group, adapted).run();
}

}  // namespace bench
