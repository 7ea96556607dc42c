#include "report.hpp"
#include "svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace bench {
namespace {

constexpr double width = 920, height = 560;
constexpr double left = 78, right = 690, top = 50,
                 bottom = 500;  // of the plot; the legend stands to the right

constexpr std::array colours{"#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#7f4fa0", "#17375e", "#98b300"};

/// The scale opens up towards 1: -log10(1 - recall). Of 1 itself that is infinite; it gets a place of its own at the end.
class recall_axis {
 public:
  void cover(double recall) {
    if (recall >= 1) {
      has_one_ = true;
    } else {
      low_ = std::min(low_, recall);
      high_ = std::max(high_, recall);
    }
  }

  [[nodiscard]] double at(double recall) const {
    const double end = has_one_ ? right - 60 : right - 12;
    if (recall >= 1) return right - 12;
    const double from = opened(std::min(low_, 0.9)), to = opened(std::max(high_, 0.95));
    return left + 12 + (end - left - 12) * (opened(recall) - from) / (to - from);
  }

  void draw(svg_page& page) const {
    double taken = left - 100;
    const auto tick = [&](double recall, const std::string& words) {
      const double x = at(recall);
      if (x < left || x > right || x - taken < 42) return;
      page.line(x, top, x, bottom, "stroke=\"#ddd\"");
      page.text(x, bottom + 16, words, "text-anchor=\"middle\"");
      taken = x;
    };
    tick(0, "0");
    const double highest = std::max(high_, 0.95) + 1e-9;
    double decade = 1;
    for (int digits = 1; 1 - decade / 2 <= highest; ++digits, decade /= 10) {
      for (const double times : {0.5, 0.2, 0.1}) {
        const double recall = 1 - times * decade;
        if (recall <= highest) tick(recall, fixed(recall, digits));
      }
    }
    if (has_one_) tick(1, "1");
  }

 private:
  [[nodiscard]] static double opened(double recall) { return -std::log10(1 - recall); }

  double low_ = 1, high_ = 0;
  bool has_one_ = false;
};

void draw_speeds(svg_page& page, const log_axis& y) {
  double taken = bottom + 100;
  for (double decade = std::pow(10, std::floor(std::log10(y.low))); decade <= y.high; decade *= 10) {
    for (const double times : {1.0, 2.0, 5.0}) {
      const double speed = times * decade;
      if (speed < y.low || speed > y.high || taken - y.at(speed) < 14) continue;
      taken = y.at(speed);
      page.line(left, taken, right, taken, "stroke=\"#ddd\"");
      page.text(left - 6, taken + 4, short_number(speed), "text-anchor=\"end\"");
    }
  }
}

}  // namespace

void write_plot(const report& r, const std::string& path) {
  recall_axis x;
  for (const double target : r.command.sweep.targets) x.cover(target);
  double slowest = std::numeric_limits<double>::infinity(), fastest = 0;
  for (const library_report& library : r.libraries) {
    for (const point& p : library.measured->points) {
      if (p.rounds.empty()) continue;
      const spread qps = spread_of(figures_of(p, &timing::qps));
      x.cover(p.recall);
      slowest = std::min(slowest, qps.min);
      fastest = std::max(fastest, qps.max);
    }
  }
  const log_axis y{slowest / 1.25, fastest * 1.25, bottom, top};

  svg_page page(path, width, height);
  page.text(left, 28, title_of(r), "font-size=\"14\"");
  x.draw(page);
  draw_speeds(page, y);
  for (const double target : r.command.sweep.targets) {
    page.line(x.at(target), top, x.at(target), bottom, "stroke=\"#999\" stroke-dasharray=\"4 4\"");
  }
  page.frame(left, top, right, bottom);
  page.text((left + right) / 2, bottom + 38,
            "recall@" + std::to_string(r.command.sweep.k) + "; dashed: asked for", "text-anchor=\"middle\"");
  page.text_upwards(18, (top + bottom) / 2, "queries a second, median and range of rounds");

  double legend = top + 8;
  for (std::size_t i = r.libraries.size(); i-- > 0;) {  // ours last, above the others
    const library_report& library = r.libraries[i];
    const std::string colour = colours[i % colours.size()];
    const std::string stroke = "stroke=\"" + colour + "\"";
    const std::string fill = "fill=\"" + colour + "\"";
    std::vector<svg_point> line;
    for (const point& p : library.measured->points) {
      if (p.rounds.empty()) continue;
      const spread qps = spread_of(figures_of(p, &timing::qps));
      line.push_back({x.at(p.recall), y.at(qps.median)});
      page.line(line.back().x, y.at(qps.min), line.back().x, y.at(qps.max), stroke);
      page.circle(line.back().x, line.back().y, 2.5, fill);
    }
    page.polyline(line, stroke + (i == 0 ? " stroke-width=\"2.4\"" : " stroke-width=\"1.6\""));
    const double at = legend + 18 * static_cast<double>(i);
    page.line(right + 16, at - 4, right + 40, at - 4, stroke + " stroke-width=\"2.5\"");
    page.text(right + 46, at, library.name);
  }
  page.finish("--plot");
}

}  // namespace bench
