#include "svg.hpp"

#include "failure.hpp"

#include <cstdio>

namespace bench {
namespace {

std::string escaped(const std::string& words) {
  std::string result;
  for (const char c : words) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

std::string fixed(double x, int digits) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f", digits, x);
  return text;
}

std::string short_number(double x) {
  char text[32];
  std::snprintf(text, sizeof(text), x < 1000 ? "%.3g" : "%.0f", x);
  return text;
}

svg_page::svg_page(const std::string& path, double width, double height) : path_(path), out_(path) {
  out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height
       << "\" viewBox=\"0 0 " << width << ' ' << height
       << "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
          "fill=\"white\"/>\n";
}

void svg_page::text(double x, double y, const std::string& words, const std::string& how) {
  out_ << "<text x=\"" << fixed(x) << "\" y=\"" << fixed(y) << "\" " << how << '>' << escaped(words)
       << "</text>\n";
}

void svg_page::text_upwards(double x, double y, const std::string& words) {
  text(x, y, words, "text-anchor=\"middle\" transform=\"rotate(-90 " + fixed(x) + " " + fixed(y) + ")\"");
}

void svg_page::line(double x0, double y0, double x1, double y1, const std::string& how) {
  out_ << "<line x1=\"" << fixed(x0) << "\" y1=\"" << fixed(y0) << "\" x2=\"" << fixed(x1) << "\" y2=\""
       << fixed(y1) << "\" " << how << "/>\n";
}

void svg_page::shape(const char* name, std::span<const svg_point> points, const std::string& how) {
  out_ << '<' << name << " points=\"";
  for (const svg_point& p : points) out_ << fixed(p.x) << ',' << fixed(p.y) << ' ';
  out_ << "\" " << how << "/>\n";
}

void svg_page::polyline(std::span<const svg_point> points, const std::string& how) {
  shape("polyline", points, "fill=\"none\" " + how);
}

void svg_page::polygon(std::span<const svg_point> points, const std::string& how) {
  shape("polygon", points, how);
}

void svg_page::circle(double x, double y, double radius, const std::string& how) {
  out_ << "<circle cx=\"" << fixed(x) << "\" cy=\"" << fixed(y) << "\" r=\"" << fixed(radius) << "\" " << how
       << "/>\n";
}

void svg_page::rectangle(double left, double top, double right, double bottom, const std::string& how) {
  out_ << "<rect x=\"" << fixed(left) << "\" y=\"" << fixed(top) << "\" width=\"" << fixed(right - left)
       << "\" height=\"" << fixed(bottom - top) << "\" " << how << "/>\n";
}

void svg_page::frame(double left, double top, double right, double bottom) {
  rectangle(left, top, right, bottom, "fill=\"none\" stroke=\"#222\"");
}

void svg_page::finish(const std::string& option) {
  out_ << "</svg>\n";
  if (!out_.flush()) throw input_error(option + " " + path_ + ": cannot be written");
}

}  // namespace bench
