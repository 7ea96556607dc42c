#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/perf/detail/utf8.hpp>
#include <alidade/perf/snapshot.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

/// A label that every line of the exposition gets: {"instance", "eu-1"}.
struct prometheus_label {
  std::string_view name;   ///< [a-zA-Z_][a-zA-Z0-9_]*, not beginning with "__", not series, quantile or le
  std::string_view value;  ///< any text in UTF-8
};

enum class prometheus_form : unsigned char {
  summary,    ///< quantiles as measured here, within 1 %; cannot be combined over several processes
  histogram,  ///< counts below 28 bounds from 100 ns to 100 s, which can
};

struct prometheus_options {
  std::string_view prefix = "alidade";  ///< of the names of metrics: [a-zA-Z_:][a-zA-Z0-9_:]*
  prometheus_form form = prometheus_form::summary;
  std::span<const prometheus_label> labels = {};
};

namespace detail {

struct named_quantile {
  double q;
  std::string_view share;  ///< as Prometheus writes it
  std::string_view name;
};

inline constexpr std::array<named_quantile, 6> reported_quantiles{{{0.5, "0.5", "p50"},
                                                                   {0.9, "0.9", "p90"},
                                                                   {0.95, "0.95", "p95"},
                                                                   {0.99, "0.99", "p99"},
                                                                   {0.999, "0.999", "p99.9"},
                                                                   {0.9999, "0.9999", "p99.99"}}};

inline void append_number(std::string& to, std::uint64_t value) {
  char digits[20];
  to.append(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
}

/// value / 10^decimals, without a locale's comma and without zeros at the end.
inline void append_decimal(std::string& to, std::uint64_t value, unsigned decimals) {
  std::uint64_t one = 1;
  for (unsigned i = 0; i < decimals; ++i) one *= 10;
  append_number(to, value / one);
  std::uint64_t rest = value % one;
  if (rest == 0) return;
  to += '.';
  for (; rest != 0; rest = rest * 10 % one) to += static_cast<char>('0' + rest * 10 / one);
}

/// The nearest whole number, 2^64 - 1 at most; of a value that is not negative.
inline std::uint64_t rounded(double value) noexcept {
  if (!(value < 0x1p64)) return ~std::uint64_t{0};
  const auto whole = static_cast<std::uint64_t>(value);
  return value - static_cast<double>(whole) >= 0.5 ? whole + 1 : whole;
}

/// With `decimals` decimals at most, none where 64 bits do not hold them.
inline void append_real(std::string& to, double value, unsigned decimals) {
  double scaled = value;
  for (unsigned i = 0; i < decimals; ++i) scaled *= 10;
  if (scaled < 0x1p63) {
    append_decimal(to, rounded(scaled), decimals);
  } else {
    append_number(to, rounded(value));
  }
}

inline void append_seconds(std::string& to, std::uint64_t ns) { append_decimal(to, ns, 9); }

/// Calls body(character) for each character of the text; of what is not UTF-8, for U+FFFD.
template <class Body>
void for_each_character(std::string_view text, Body body) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    body(length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length));
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

/// As between the quotes of a JSON string (RFC 8259, section 7).
inline void append_json_text(std::string& to, std::string_view text) {
  for_each_character(text, [&](std::string_view c) {
    constexpr std::string_view hex = "0123456789abcdef";
    const auto code = static_cast<unsigned char>(c[0]);
    if (c == "\"" || c == "\\") {
      to += '\\';
      to += c;
    } else if (c == "\n") {
      to += "\\n";
    } else if (code < 0x20 || code == 0x7f) {
      to += "\\u00";
      to += hex[code >> 4];
      to += hex[code & 15];
    } else {
      to += c;
    }
  });
}

/// As between the quotes of a label's value: Prometheus escapes these three and nothing else.
inline void append_label_value(std::string& to, std::string_view text) {
  for_each_character(text, [&](std::string_view c) {
    if (c == "\n") {
      to += "\\n";
    } else {
      if (c == "\"" || c == "\\") to += '\\';
      to += c;
    }
  });
}

/// Three digits and a unit: "412 ns", "1.25 us", "80.0 ms", "3.00 s"; from 1,000 s on whole seconds.
inline std::string duration_text(std::uint64_t ns) {
  constexpr std::array<std::string_view, 4> units{"ns", "us", "ms", "s"};
  std::string text;
  std::uint64_t one = 1;
  std::size_t unit = 0;
  // A value that would be rounded up to 1,000 of a unit is 1.00 of the next.
  while (unit + 1 < units.size() && ns >= one * 1000 - one / 2) {
    one *= 1000;
    ++unit;
  }
  if (unit == 0 || ns >= 1000 * one) {
    append_number(text, ns / one + (ns % one >= (one + 1) / 2 && one > 1 ? 1 : 0));
  } else {
    // Rounded to so many decimals that there are three digits.
    std::uint64_t step = one / 100, decimals = 2;
    for (; decimals > 0 && (ns + step / 2) / step >= 1000; --decimals) step *= 10;
    const std::uint64_t number = (ns + step / 2) / step;
    const std::uint64_t scale = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
    append_number(text, number / scale);
    if (decimals > 0) {
      text += '.';
      if (decimals == 2) text += static_cast<char>('0' + number / 10 % 10);
      text += static_cast<char>('0' + number % 10);
    }
  }
  text += ' ';
  text += units[unit];
  return text;
}

inline std::size_t width_of(std::string_view text) {
  std::size_t characters = 0;
  for_each_character(text, [&](std::string_view) { ++characters; });
  return characters;
}

constexpr bool is_name(std::string_view text, bool colons) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return !text.empty();
}

inline bool valid(const prometheus_options& options) noexcept {
  if (!is_name(options.prefix, true)) return false;
  for (std::size_t i = 0; i < options.labels.size(); ++i) {
    const std::string_view name = options.labels[i].name;
    if (!is_name(name, false) || name.substr(0, 2) == "__") return false;
    if (name == "series" || name == "quantile" || name == "le") return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (options.labels[j].name == name) return false;
    }
  }
  return true;
}

/// Writes the lines of one exposition.
class prometheus_writer {
 public:
  explicit prometheus_writer(const prometheus_options& options) : options_(options) {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    family_ = std::string(options_.prefix) + '_' + std::string(name);
    text_ += "# HELP " + family_ + ' ' + std::string(help) + '\n';
    text_ += "# TYPE " + family_ + ' ' + std::string(type) + '\n';
  }

  /// name{series="...",<label>="<value>",<those of the options>}; the value follows.
  std::string& sample(std::string_view suffix, const series_snapshot& s, std::string_view label = {},
                      std::string_view value = {}) {
    text_ += family_;
    text_ += suffix;
    text_ += '{';
    append_label("series", s.name);
    for (const prometheus_label& l : options_.labels) append_label(l.name, l.value);
    if (!label.empty()) append_label(label, value);
    text_.back() = '}';
    text_ += ' ';
    return text_;
  }
  void end_line() { text_ += '\n'; }

  void latency_summary(const series_snapshot& s) {
    for (const named_quantile& q : reported_quantiles) {
      sample("", s, "quantile", q.share);
      if (s.latency.empty()) {
        text_ += "NaN";  // as Prometheus' own clients say that there was none
      } else {
        append_seconds(text_, s.latency.quantile(q.q));
      }
      end_line();
    }
  }

  void latency_buckets(const series_snapshot& s) {
    // 1, 2, 5 and so on: 28 bounds from 10^2 to 10^11 ns.
    for (std::uint64_t decade = 100; decade <= 100'000'000'000; decade *= 10) {
      for (const std::uint64_t digit : {1u, 2u, 5u}) {
        if (decade == 100'000'000'000 && digit > 1) break;
        std::string bound;
        append_seconds(bound, decade * digit);
        append_number(sample("_bucket", s, "le", bound), s.latency.count_up_to(decade * digit));
        end_line();
      }
    }
    append_number(sample("_bucket", s, "le", "+Inf"), s.latency.count());
    end_line();
  }

  std::string take() { return std::move(text_); }

 private:
  void append_label(std::string_view name, std::string_view value) {
    text_ += name;
    text_ += "=\"";
    append_label_value(text_, value);
    text_ += "\",";
  }

  const prometheus_options& options_;
  std::string family_;
  std::string text_;
};

template <latency_monitor Monitor>
std::vector<series_snapshot> snapshots_of(const Monitor& monitor) {
  std::vector<series_snapshot> all;
  all.reserve(monitor.size());
  monitor.visit([&](const series_snapshot& s) { all.push_back(s); });
  return all;
}

}  // namespace detail

/// A table for people, a line a series; characters that would break a line are escaped as in JSON.
inline std::string to_text(std::span<const series_snapshot> series) {
  std::vector<std::vector<std::string>> rows{{"series", "count", "per s", "mean", "min"}};
  for (const detail::named_quantile& q : detail::reported_quantiles) rows[0].emplace_back(q.name);
  rows[0].insert(rows[0].end(), {"max", "health"});
  for (const series_snapshot& s : series) {
    std::vector<std::string>& row = rows.emplace_back(3);
    detail::append_json_text(row[0], s.name);
    detail::append_number(row[1], s.latency.count());
    detail::append_real(row[2], s.per_second(), 1);
    const auto add = [&](std::uint64_t ns) {
      row.push_back(s.latency.empty() ? "-" : detail::duration_text(ns));
    };
    add(detail::rounded(s.latency.mean()));
    add(s.latency.min());
    for (const auto& q : detail::reported_quantiles) add(s.latency.quantile(q.q));
    add(s.latency.max());
    row.emplace_back(name_of(s.state));
  }
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], detail::width_of(row[c]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string blanks(widths[c] - detail::width_of(row[c]), ' ');
      const bool last = c + 1 == row.size();
      text += c == 0 ? row[c] + blanks
                     : "  " + (last ? row[c] : blanks + row[c]);  // names and states to the left
    }
    text += '\n';
  }
  return text;
}

/// One JSON object: {"series": [{"name": "search", "count": 3, ...}]}. Latencies in whole nanoseconds, the mean in
/// thousandths; what 2^53 cannot hold is written all the same. `interval` is what the last evaluation saw.
inline std::string to_json(std::span<const series_snapshot> series) {
  std::string text = "{\"series\":[";
  const auto number = [&](std::string_view name, std::uint64_t value) {
    text += ",\"";
    text += name;
    text += "\":";
    detail::append_number(text, value);
  };
  const auto real = [&](std::string_view name, double value, unsigned decimals) {
    text += ",\"";
    text += name;
    text += "\":";
    detail::append_real(text, value, decimals);
  };
  for (std::size_t i = 0; i < series.size(); ++i) {
    const series_snapshot& s = series[i];
    text += i == 0 ? "{\"name\":\"" : ",{\"name\":\"";
    detail::append_json_text(text, s.name);
    text += "\",\"health\":\"";
    text += name_of(s.state);
    text += '"';
    real("seconds", s.seconds, 6);
    number("count", s.latency.count());
    real("per_second", s.per_second(), 3);
    number("sum_ns", s.latency.sum());
    real("mean_ns", s.latency.mean(), 3);
    number("min_ns", s.latency.min());
    for (const auto& q : detail::reported_quantiles) {
      std::string name(q.name);
      std::replace(name.begin(), name.end(), '.', '_');
      number(name + "_ns", s.latency.quantile(q.q));
    }
    number("max_ns", s.latency.max());
    number("saturated", s.latency.saturated());
    text += ",\"interval\":{\"seconds\":";
    detail::append_real(text, s.last.seconds, 6);
    number("count", s.last.count);
    real("per_second", s.last.per_second(), 3);
    number("quantile_ns", s.last.quantile_ns);
    text += "}}";
  }
  return text + "]}";
}

/// The text format of Prometheus, version 0.0.4 (prometheus.io, Exposition formats). Families
/// `<prefix>_latency_seconds`, a summary or a histogram, and `<prefix>_health`, a gauge: 0 ok, 1 degraded, 2 critical;
/// the label `series` has the name. Rates are the server's to compute, from _count. Names of series are to be
/// different. Names that the format does not allow are errc::invalid_option.
inline std::string to_prometheus(std::span<const series_snapshot> series, const prometheus_options& options,
                                 std::error_code& ec) {
  ec.clear();
  if (!detail::valid(options)) {
    ec = errc::invalid_option;
    return {};
  }
  if (series.empty()) return {};
  detail::prometheus_writer writer(options);
  const bool summary = options.form == prometheus_form::summary;
  writer.family("latency_seconds", summary ? "summary" : "histogram", "Latencies, since the series began.");
  for (const series_snapshot& s : series) {
    if (summary) {
      writer.latency_summary(s);
    } else {
      writer.latency_buckets(s);
    }
    detail::append_seconds(writer.sample("_sum", s), s.latency.sum());
    writer.end_line();
    detail::append_number(writer.sample("_count", s), s.latency.count());
    writer.end_line();
  }
  writer.family("health", "gauge", "0 ok, 1 degraded, 2 critical.");
  for (const series_snapshot& s : series) {
    detail::append_number(writer.sample("", s), static_cast<std::uint64_t>(s.state));
    writer.end_line();
  }
  return writer.take();
}
inline std::string to_prometheus(std::span<const series_snapshot> series,
                                 const prometheus_options& options = {}) {
  std::error_code ec;
  std::string text = to_prometheus(series, options, ec);
  if (ec) alidade::detail::throw_error(ec);
  return text;
}

/// The same of all series of a monitor. These allocate: 16 KB a series, and the text.
template <latency_monitor Monitor>
std::string to_text(const Monitor& monitor) {
  return to_text(detail::snapshots_of(monitor));
}
template <latency_monitor Monitor>
std::string to_json(const Monitor& monitor) {
  return to_json(detail::snapshots_of(monitor));
}
template <latency_monitor Monitor>
std::string to_prometheus(const Monitor& monitor, const prometheus_options& options = {}) {
  return to_prometheus(std::span<const series_snapshot>(detail::snapshots_of(monitor)), options);
}
template <latency_monitor Monitor>
std::string to_prometheus(const Monitor& monitor, const prometheus_options& options, std::error_code& ec) {
  return to_prometheus(std::span<const series_snapshot>(detail::snapshots_of(monitor)), options, ec);
}

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
