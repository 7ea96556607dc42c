#pragma once

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace test {

/// A name for a file of a test, which is gone when the test ends.
class temporary_path {
 public:
  temporary_path() {
    std::random_device random;
    name_ = "/tmp/alidade_test_" + std::to_string(random()) + "_" + std::to_string(random());
  }
  temporary_path(const temporary_path&) = delete;
  temporary_path& operator=(const temporary_path&) = delete;
  ~temporary_path() { std::remove(name_.c_str()); }

  const std::string& name() const { return name_; }

  std::string read() const {
    std::ifstream in(name_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  void write(const std::string& bytes) const {
    std::ofstream(name_, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  static bool exists(const std::string& name) { return std::ifstream(name).good(); }

 private:
  std::string name_;
};

}  // namespace test
