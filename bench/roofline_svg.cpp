#include "roofline.hpp"
#include "svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace bench {
namespace {

constexpr double width = 920, height = 560;
constexpr double left = 70, right = 640, top = 50,
                 bottom = 500;  // of the plot; the legend stands to the right

constexpr std::array element_colours{"#1f77b4", "#17375e", "#2ca02c", "#98b300",
                                     "#d62728", "#ff7f0e", "#7f4fa0"};

class drawing {
 public:
  drawing(svg_page& out, log_axis x, log_axis y) : out_(out), x_(x), y_(y) {}

  void line(double x0, double y0, double x1, double y1, const char* style) {
    out_.line(x_.at(x0), y_.at(y0), x_.at(x1), y_.at(y1), style);
  }
  /// One shape for each metric.
  void marker(double x, double y, metric shape, const std::string& colour) {
    static constexpr std::array corners{0, 3, 4, 5, 6, 3, 4};
    const auto index = static_cast<std::size_t>(shape);
    const std::string how =
        "fill=\"" + colour + "\" fill-opacity=\"0.75\" stroke=\"#222\" stroke-width=\"0.6\"";
    if (corners[index] == 0) return out_.circle(x, y, 5, how);
    std::vector<svg_point> points;
    const double turn = index >= 5 ? 0.5 : 0;  // the last two: triangle and square, turned
    for (int i = 0; i < corners[index]; ++i) {
      const double angle = 2 * 3.14159265 * (i + turn) / corners[index] - 1.5707963;
      points.push_back({x + 6 * std::cos(angle), y + 6 * std::sin(angle)});
    }
    out_.polygon(points, how);
  }
  void grid() {
    for (double x = std::ceil(std::log2(x_.low)); std::exp2(x) <= x_.high; ++x) {
      line(std::exp2(x), y_.low, std::exp2(x), y_.high, "stroke=\"#ddd\"");
      out_.text(x_.at(std::exp2(x)), bottom + 16, short_number(std::exp2(x)), "text-anchor=\"middle\"");
    }
    for (double y = std::ceil(std::log10(y_.low)); std::pow(10, y) <= y_.high; ++y) {
      line(x_.low, std::pow(10, y), x_.high, std::pow(10, y), "stroke=\"#ddd\"");
      out_.text(left - 6, y_.at(std::pow(10, y)) + 4, short_number(std::pow(10, y)), "text-anchor=\"end\"");
    }
    out_.frame(left, top, right, bottom);
    out_.text((left + right) / 2, bottom + 38, "operations per byte loaded", "text-anchor=\"middle\"");
    out_.text_upwards(20, (top + bottom) / 2, "1e9 operations a second");
  }
  /// Bandwidths as rising lines up to the highest peak, peaks as level ones from the first level's line on.
  void roofs(const machine_roofs& machine) {
    double highest = 0;
    for (const roof& peak : machine.peaks) highest = std::max(highest, peak.best);
    for (const roof& load : machine.loads) {
      const double end = std::min(x_.high, highest / load.best);
      const double start = std::max(x_.low, y_.low / load.best);
      line(start, start * load.best, end, end * load.best, "stroke=\"#555\" stroke-width=\"1.5\"");
      out_.text(x_.at(start) + 4, y_.at(start * load.best) - 8,
                load.name + " " + short_number(load.best) + " GB/s",
                "fill=\"#555\" transform=\"rotate(" + fixed(slope()) + " " + fixed(x_.at(start)) + " " +
                    fixed(y_.at(start * load.best)) + ")\"");
    }
    double taken = 0;  // height of the label before: peaks of nearly one height have theirs side by side
    double end = right - 4;
    for (const roof& peak : machine.peaks) {
      const double start = std::max(x_.low, peak.best / machine.loads.front().best);
      line(start, peak.best, x_.high, peak.best, "stroke=\"#555\" stroke-width=\"1.5\"");
      const double at = y_.at(peak.best) - 4;
      end = std::abs(at - taken) < 14 ? end - 90 : right - 4;
      out_.text(end, at, peak.name + " " + short_number(peak.best), "fill=\"#555\" text-anchor=\"end\"");
      taken = at;
    }
  }
  void kernels(const std::vector<placed_kernel>& placed) {
    double y = top + 8;
    for (const placed_kernel& k : placed) {
      const std::string colour = element_colours[static_cast<std::size_t>(k.type)];
      marker(x_.at(k.intensity), y_.at(k.gops), k.distance, colour);
      marker(right + 24, y - 4, k.distance, colour);
      out_.text(right + 38, y,
                std::string(name_of(k.distance)) + " " + name_of(k.type) + ": " + fixed(100 * k.of_bound) +
                    " % of " + k.bound);
      y += std::min(18.0, (bottom - top) / static_cast<double>(placed.size()));
    }
  }

 private:
  /// Of a line of constant bandwidth, in degrees.
  [[nodiscard]] double slope() const {
    const double dx = x_.at(2) - x_.at(1), dy = y_.at(2) - y_.at(1);
    return std::atan2(dy, dx) * 180 / 3.14159265;
  }

  svg_page& out_;
  log_axis x_, y_;
};

}  // namespace

void write_svg(const std::string& path, const std::string& title, const machine_roofs& machine,
               const std::vector<placed_kernel>& placed) {
  log_axis x{1.0 / 16, 16, left, right};
  log_axis y{1, 10, bottom, top};
  for (const placed_kernel& k : placed) {
    y.low = std::min(y.low, k.gops / 2);
    x.high = std::max(x.high, 2 * k.intensity);
  }
  for (const roof& peak : machine.peaks) y.high = std::max(y.high, 2 * peak.best);
  svg_page file(path, width, height);
  file.text(left, 28, title, "font-size=\"14\"");
  drawing page(file, x, y);
  page.grid();
  page.roofs(machine);
  page.kernels(placed);
  file.finish("--svg");
}

}  // namespace bench
