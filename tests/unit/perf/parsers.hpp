#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <alidade/perf/detail/utf8.hpp>

/// Strict readers of what the reports write: they accept the grammars of the formats and nothing else.
namespace test {

/// Takes a text apart from its beginning.
class reader {
 public:
  explicit reader(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }
  char peek() const { return text_.empty() ? '\0' : text_[0]; }

  bool take(std::string_view token) {
    if (text_.substr(0, token.size()) != token) return false;
    text_.remove_prefix(token.size());
    return true;
  }

  /// As many characters as there are of the given ones.
  std::string_view take_all(std::string_view characters) {
    const std::size_t n = std::min(text_.find_first_not_of(characters), text_.size());
    const std::string_view taken = text_.substr(0, n);
    text_.remove_prefix(n);
    return taken;
  }

  char take_one() {
    const char c = peek();
    if (!text_.empty()) text_.remove_prefix(1);
    return c;
  }

  /// Digits, with decimals perhaps: what the reports write of numbers.
  bool number() {
    const std::string_view whole = take_all(digits);
    if (whole.empty() || (whole.size() > 1 && whole[0] == '0')) return false;
    return !take(".") || !take_all(digits).empty();
  }

  static constexpr std::string_view digits = "0123456789";

 private:
  std::string_view text_;
};

/// JSON (RFC 8259); of numbers those that are not negative and have no exponent.
class json_reader {
 public:
  static bool accepts(std::string_view text) {
    json_reader r(text);
    return alidade::perf::detail::is_utf8(text) && r.value() && r.in_.at_end();
  }

 private:
  explicit json_reader(std::string_view text) : in_(text) {}

  bool value() {
    if (in_.peek() == '{') return list('{', '}', true);
    if (in_.peek() == '[') return list('[', ']', false);
    return in_.peek() == '"' ? string() : in_.number();
  }

  bool list(char open, char close, bool named) {
    if (in_.take_one() != open) return false;
    if (in_.take({&close, 1})) return true;
    do {
      if (named && !(string() && in_.take(":"))) return false;
      if (!value()) return false;
    } while (in_.take(","));
    return in_.take({&close, 1});
  }

  bool string() {
    if (!in_.take("\"")) return false;
    while (!in_.at_end()) {
      const char c = in_.take_one();
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') continue;
      const char escaped = in_.take_one();
      if (escaped == 'u') {
        for (int i = 0; i < 4; ++i) {
          if (std::string_view("0123456789abcdefABCDEF").find(in_.take_one()) == std::string_view::npos)
            return false;
        }
      } else if (std::string_view("\"\\/bfnrt").find(escaped) == std::string_view::npos) {
        return false;
      }
    }
    return false;
  }

  reader in_;
};

/// The text format of Prometheus 0.0.4, as its documentation states it.
struct exposition {
  using labels = std::map<std::string, std::string>;

  struct family {
    std::string type;
    std::map<std::pair<std::string, labels>, double> samples;  ///< by name and labels
  };

  std::map<std::string, family> families;

  double at(const std::string& of, const std::string& sample, const labels& with) const {
    const auto& samples = families.at(of).samples;
    const auto found = samples.find({sample, with});
    return found == samples.end() ? -1 : found->second;
  }
};

class exposition_reader {
 public:
  /// Nothing where the text is not an exposition: a family without type or help, one that is interrupted by another, a
  /// sample that does not belong to its type, names, escapes or values that the format does not know, or one sample
  /// twice.
  static std::optional<exposition> read(std::string_view text) {
    exposition_reader r(text);
    if (!alidade::perf::detail::is_utf8(text)) return std::nullopt;
    while (!r.in_.at_end()) {
      if (!r.family()) return std::nullopt;
    }
    return r.found_;
  }

 private:
  static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

  explicit exposition_reader(std::string_view text) : in_(text) {}

  std::string name(bool colons) {
    const std::string first = std::string(letters) + (colons ? ":" : "");
    if (first.find(in_.peek()) == std::string::npos) return {};
    return std::string(in_.take_all(first + std::string(reader::digits)));
  }

  bool family() {
    if (!in_.take("# HELP ")) return false;
    const std::string own = name(true);
    if (own.empty() || !in_.take(" ")) return false;
    while (in_.peek() != '\n') {
      if (in_.at_end()) return false;
      if (in_.take_one() == '\\' && !in_.take("n") && !in_.take("\\")) return false;
    }
    if (!in_.take("\n# TYPE ") || name(true) != own || !in_.take(" ")) return false;
    const std::string type(in_.take_all(letters));
    if (type != "summary" && type != "histogram" && type != "gauge" && type != "counter" && type != "untyped")
      return false;
    if (!in_.take("\n") || found_.families.count(own) != 0) return false;
    exposition::family& f = found_.families[own];
    f.type = type;
    while (!in_.at_end() && in_.peek() != '#') {
      if (!sample(own, f)) return false;
    }
    return !f.samples.empty();
  }

  bool sample(const std::string& own, exposition::family& f) {
    const std::string sample_name = name(true);
    if (sample_name.empty()) return false;
    exposition::labels labels;
    if (in_.take("{")) {
      while (!in_.take("}")) {
        const std::string label = name(false);
        std::string value;
        if (label.empty() || !in_.take("=\"") || !label_value(value)) return false;
        if (!labels.emplace(label, value).second) return false;
        if (!in_.take(",") && in_.peek() != '}') return false;
      }
    }
    if (sample_name.substr(0, own.size()) != own || !belongs(f.type, sample_name.substr(own.size()), labels))
      return false;
    double value = 0;
    if (!in_.take(" ") || !number(value) || !in_.take("\n")) return false;
    return f.samples.emplace(std::pair{sample_name, labels}, value).second;
  }

  static bool belongs(const std::string& type, const std::string& suffix, const exposition::labels& labels) {
    const bool counts =
        (type == "summary" || type == "histogram") && (suffix == "_sum" || suffix == "_count");
    if (counts) return labels.count("quantile") == 0 && labels.count("le") == 0;
    if (type == "summary") return suffix.empty() && labels.count("quantile") == 1;
    if (type == "histogram") return suffix == "_bucket" && labels.count("le") == 1;
    return suffix.empty();
  }

  bool label_value(std::string& value) {
    while (!in_.at_end()) {
      char c = in_.take_one();
      if (c == '"') return true;
      if (c == '\n') return false;
      if (c == '\\') {
        c = in_.take_one();
        if (c != '\\' && c != '"' && c != 'n') return false;
        if (c == 'n') c = '\n';
      }
      value += c;
    }
    return false;
  }

  bool number(double& value) {
    if (in_.take("NaN")) {
      value = std::numeric_limits<double>::quiet_NaN();
      return true;
    }
    const reader before = in_;
    if (!in_.number()) return false;
    reader again = before;
    const std::string text(again.take_all("0123456789."));
    value = std::strtod(text.c_str(), nullptr);
    return true;
  }

  reader in_;
  exposition found_;
};

}  // namespace test
