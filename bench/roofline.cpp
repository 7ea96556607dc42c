#include "roofline.hpp"

#include "operands.hpp"

#include <algorithm>

namespace bench {
namespace {

const roof* find_peak(const machine_roofs& roofs, const char* name) {
  const auto found =
      std::find_if(roofs.peaks.begin(), roofs.peaks.end(), [&](const roof& r) { return r.name == name; });
  return found == roofs.peaks.end() ? nullptr : &*found;
}

const roof* peak_of(element type, metric distance, const machine_roofs& roofs) {
  switch (type) {
    case element::f64:
      return find_peak(roofs, "f64");
    case element::i8:
    case element::u8:
      return find_peak(roofs, "int dot");
    case element::bits:
      return nullptr;
    case element::bf16:
      if (distance == metric::ip || distance == metric::cosine) {
        if (const roof* const peak = find_peak(roofs, "bf16 dot")) return peak;
      }
      break;
    default:
      break;
  }
  return find_peak(roofs, "f32");
}

}  // namespace

double operations(metric m) {
  switch (m) {
    case metric::ip:
      return 2;
    case metric::cosine:
    case metric::jaccard:
      return 6;
    default:
      return 3;
  }
}

placed_kernel place(const kernel_figures& f, std::size_t dimension, const machine_roofs& roofs) {
  placed_kernel p{f.type, f.distance, f.ns, 0, 0, "load", 0};
  // Of bits an operation works on eight at least; it counts as one for a byte.
  const double count = operations(f.distance) * static_cast<double>(columns_of(f.type, dimension));
  p.intensity = count / f.bytes;
  p.gops = count / f.ns.min;
  double bound = p.intensity * roofs.loads.front().best;
  const roof* const peak = peak_of(f.type, f.distance, roofs);
  if (peak != nullptr && peak->best < bound) {
    bound = peak->best;
    p.bound = peak->name;
  }
  p.of_bound = p.gops / bound;
  return p;
}

}  // namespace bench
