// A page with text and lines, as a plain SVG file.
#pragma once

#include <cmath>
#include <fstream>
#include <span>
#include <string>

namespace bench {

struct svg_point {
  double x, y;
};

/// As printf's %.*f.
[[nodiscard]] std::string fixed(double x, int digits = 1);
/// Three digits, or whole from 1000 on.
[[nodiscard]] std::string short_number(double x);

/// A logarithmic scale from low at `from` to high at `to`.
struct log_axis {
  double low, high, from, to;
  [[nodiscard]] double at(double x) const {
    return from + (to - from) * std::log(x / low) / std::log(high / low);
  }
};

/// Positions are on the page, from its upper left corner; `how` is attributes.
class svg_page {
 public:
  svg_page(const std::string& path, double width, double height);

  /// Words are escaped.
  void text(double x, double y, const std::string& words, const std::string& how = "");
  /// Centred at a position, read from below: for a vertical axis.
  void text_upwards(double x, double y, const std::string& words);
  void line(double x0, double y0, double x1, double y1, const std::string& how);
  void polyline(std::span<const svg_point>, const std::string& how);
  void polygon(std::span<const svg_point>, const std::string& how);
  void circle(double x, double y, double radius, const std::string& how);
  void rectangle(double left, double top, double right, double bottom, const std::string& how);
  /// Around a plot.
  void frame(double left, double top, double right, double bottom);

  /// Ends the page. Throws an input_error that names the option if anything could not be written.
  void finish(const std::string& option);

 private:
  void shape(const char* name, std::span<const svg_point>, const std::string& how);

  std::string path_;
  std::ofstream out_;
};

}  // namespace bench
