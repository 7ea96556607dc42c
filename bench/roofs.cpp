#include "roofs.hpp"

#include "kernel_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

namespace bench {
namespace {

roof roof_of(const contest& timed, std::size_t entry, double amount) {
  const spread seconds = timed.time(entry);
  roof result;
  result.best = 1e-9 * amount / seconds.min;
  result.median = 1e-9 * amount / seconds.median;
  return result;
}

}  // namespace

machine_roofs measure_roofs(const contest_options& options) {
  contest timed(options);
  std::vector<std::size_t> sizes;
  std::vector<std::unique_ptr<kernel_buffer>> buffers;
  for (const memory_level level : memory_levels) {
    const std::size_t bytes = working_set(level) / load_step * load_step;
    sizes.push_back(bytes);
    if (bytes == 0) continue;
    buffers.push_back(std::make_unique<kernel_buffer>(bytes));
    std::memset(buffers.back()->data(), 1, bytes);
    const void* const memory = buffers.back()->data();
    timed.add(name_of(level), [=](std::size_t passes) { load_all(memory, bytes, passes); });
  }
  for (const peak_loop& loop : peak_loops()) timed.add(loop.name, loop.run);
  timed.run();

  machine_roofs result;
  std::size_t entry = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) continue;
    roof r = roof_of(timed, entry++, static_cast<double>(sizes[i]));
    r.name = name_of(memory_levels[i]);
    r.how = "load, " + std::to_string(load_width()) + " bytes";
    r.bytes = sizes[i];
    result.loads.push_back(std::move(r));
  }
  for (const peak_loop& loop : peak_loops()) {
    roof r = roof_of(timed, entry++, loop.ops_per_pass);
    r.name = loop.name;
    r.how = loop.how;
    result.peaks.push_back(std::move(r));
  }
  return result;
}

}  // namespace bench
