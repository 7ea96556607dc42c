#include "adaptive_svg.hpp"

#include "svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace bench {
namespace {

constexpr double width = 960, height = 560, left = 64, right = 940;
constexpr std::array shades{"#ffffff", "#eef3f8", "#fdf6e6", "#f8e4dd"};  // of the mixes

/// From low at `bottom` to high at `top`, with a line at every multiple of step.
struct panel {
  double top, bottom, low, high, step;
  const char* label;
  int digits;

  [[nodiscard]] double at(double y) const { return bottom + (top - bottom) * (y - low) / (high - low); }
};

/// Of 1, 2, 5, 10, 20 ... and so on, the one that gives four to nine lines.
double step_for(double range) {
  const double unit = std::pow(10.0, std::floor(std::log10(range / 4)));
  for (const double times : {5.0, 2.0}) {
    if (times * unit <= range / 4) return times * unit;
  }
  return unit;
}

class page {
 public:
  page(svg_page& out, const adaptive_drawing& drawing)
      : out_(out), drawing_(drawing), end_(static_cast<double>(drawing.phases.back().end)) {}

  [[nodiscard]] double x(std::size_t query) const {
    return left + (right - left) * static_cast<double>(query) / end_;
  }

  void background(const panel& p, bool with_names) {
    for (const query_phase& phase : drawing_.phases) {
      out_.rectangle(x(phase.begin), p.top, x(phase.end), p.bottom,
                     "fill=\"" + std::string(shades[phase.mix]) + "\"");
      if (with_names && x(phase.end) - x(phase.begin) > 36) {
        out_.text((x(phase.begin) + x(phase.end)) / 2, p.top - 6, name_of_mix(phase.mix),
                  "text-anchor=\"middle\" fill=\"#555\"");
      }
    }
    for (int i = static_cast<int>(std::ceil(p.low / p.step - 1e-9)); p.step * i <= p.high + 1e-9; ++i) {
      const double y = p.step * i;
      out_.line(left, p.at(y), right, p.at(y), "stroke=\"#ccc\" stroke-width=\"0.6\"");
      out_.text(left - 6, p.at(y) + 4, fixed(y, p.digits), "text-anchor=\"end\"");
    }
    out_.text_upwards(18, (p.top + p.bottom) / 2, p.label);
    if (drawing_.learning > 0) {
      out_.line(x(drawing_.learning), p.top, x(drawing_.learning), p.bottom, "stroke=\"#222\"");
    }
    out_.frame(left, p.top, right, p.bottom);
  }

  void curve(const panel& p, const std::vector<double>& values, const std::string& colour) {
    std::vector<svg_point> points;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double middle = (static_cast<double>(i) + 0.5) * static_cast<double>(drawing_.window);
      points.push_back(
          {left + (right - left) * std::min(middle / end_, 1.0), p.at(std::clamp(values[i], p.low, p.high))});
    }
    out_.polyline(points, "stroke=\"" + colour + "\" stroke-width=\"1.6\"");
  }

  void foot(const panel& p) {
    const double end = end_, step = step_for(end);
    for (double q = 0; q <= end; q += step) {
      const double at = left + (right - left) * q / end;
      out_.line(at, p.bottom, at, p.bottom + 4, "stroke=\"#222\"");
      out_.text(at, p.bottom + 17, fixed(q, 0), "text-anchor=\"middle\"");
    }
    out_.text((left + right) / 2, p.bottom + 36,
              "queries; shades: easy, ordinary and hard ones in that proportion", "text-anchor=\"middle\"");
    if (drawing_.learning > 0) {
      out_.text(x(drawing_.learning) - 6, p.top - 8, "learning", "text-anchor=\"end\" fill=\"#555\"");
      out_.text(x(drawing_.learning) + 6, p.top - 8, "measured", "fill=\"#555\"");
    }
  }

 private:
  svg_page& out_;
  const adaptive_drawing& drawing_;
  double end_;
};

}  // namespace

void write_svg(const std::string& path, const adaptive_drawing& drawing) {
  double least = drawing.target;
  std::vector<double> times;
  for (const drawn_series& s : drawing.series) {
    least = std::min(least, *std::min_element(s.recall.begin(), s.recall.end()));
    times.insert(times.end(), s.us.begin(), s.us.end());
  }
  // The first windows of learning, and those in which the machine was busy, may go off the scale.
  std::sort(times.begin(), times.end());
  const double most = 1.25 * times[times.size() * 95 / 100];
  const double lowest = std::floor(50 * least - 0.2) / 50;
  const panel recall{84, 284, lowest, 1, step_for(1 - lowest), "recall@10", 2};
  const panel latency{312, 504, 0, most, step_for(most), "mean latency, us", most < 5 ? 1 : 0};

  svg_page file(path, width, height);
  page out(file, drawing);
  file.text(left, 24, drawing.title, "font-size=\"14\"");
  double at = left;
  for (const drawn_series& s : drawing.series) {
    file.line(at, 42, at + 24, 42, "stroke-width=\"2.5\" stroke=\"" + s.colour + "\"");
    file.text(at + 30, 46, s.name);
    at += 60 + 7 * static_cast<double>(s.name.size());
  }
  file.line(at, 42, at + 24, 42, "stroke=\"#222\" stroke-dasharray=\"5 4\"");
  file.text(at + 30, 46, "recall asked for");
  out.background(recall, true);
  out.background(latency, false);
  file.line(left, recall.at(drawing.target), right, recall.at(drawing.target),
            "stroke=\"#222\" stroke-dasharray=\"5 4\"");
  for (const drawn_series& s : drawing.series) {
    out.curve(recall, s.recall, s.colour);
    out.curve(latency, s.us, s.colour);
  }
  out.foot(latency);
  file.finish("--svg");
}

}  // namespace bench
