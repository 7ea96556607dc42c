// Results as one JSON object a line, which begin with the machine.
#pragma once

#include "statistics.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <string>

namespace bench {

using json = nlohmann::ordered_json;

/// `name` holds the median; `name_min` and `name_max` the spread.
inline void put(json& row, const std::string& name, const spread& values) {
  row[name] = values.median;
  row[name + "_min"] = values.min;
  row[name + "_max"] = values.max;
}

/// Makes an empty file, or throws an input_error that names the option: at the start, rather than after a long run. An empty
/// path is no file.
void start_file(const std::string& option, const std::string& path);
inline void start_json(const std::string& path) { start_file("--json", path); }

class json_file {
 public:
  /// Writes the row of kind "machine".
  explicit json_file(const std::string& path);

  void write(const json& row) { file_ << row << '\n'; }

  /// Throws an input_error if anything could not be written.
  void finish();

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace bench
