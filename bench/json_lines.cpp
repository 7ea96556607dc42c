#include "json_lines.hpp"

#include "failure.hpp"
#include "machine.hpp"

namespace bench {

void start_file(const std::string& option, const std::string& path) {
  if (!path.empty() && !std::ofstream(path)) throw input_error(option + " " + path + ": cannot be written");
}

json_file::json_file(const std::string& path) : path_(path), file_(path) {
  const machine here = describe_machine();
  write({{"kind", "machine"},
         {"cpu", here.cpu},
         {"cores", here.cores},
         {"compiler", here.compiler},
         {"flags", here.flags},
         {"arch", here.arch},
         {"huge_pages", here.huge_pages}});
}

void json_file::finish() {
  if (!file_.flush()) throw input_error("--json " + path_ + ": cannot be written");
}

}  // namespace bench
