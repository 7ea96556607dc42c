#include "machine.hpp"

#include <alidade/alidade.hpp>

#include <fstream>
#include <thread>

namespace bench {
namespace {

/// What follows the colon of the first line that starts with `key`.
std::string proc_field(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const std::size_t colon = line.find(':');
    const std::size_t value = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (value != std::string::npos) return line.substr(value);
  }
  return "unknown";
}

/// The choice in brackets in "always [madvise] never".
std::string huge_page_mode() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(file, line);
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']');
  return open < close && close != std::string::npos ? line.substr(open + 1, close - open - 1) : "unknown";
}

std::string compiler_name() {
#if defined(__EMSCRIPTEN__)
  return "Emscripten " + std::to_string(__EMSCRIPTEN_major__) + '.' + std::to_string(__EMSCRIPTEN_minor__) +
         '.' + std::to_string(__EMSCRIPTEN_tiny__);
#elif defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown";
#endif
}

}  // namespace

machine describe_machine() {
  machine here;
  here.cpu = proc_field("/proc/cpuinfo", "model name");
  here.cores = std::thread::hardware_concurrency();
  here.compiler = compiler_name();
#if defined(ALIDADE_BENCH_FLAGS)
  here.flags = ALIDADE_BENCH_FLAGS;
#endif
  here.arch = alidade::arch_name();
  here.huge_pages = huge_page_mode();
  return here;
}

}  // namespace bench
