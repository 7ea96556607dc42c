#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <system_error>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

#if ALIDADE_HAS_POSIX_FILES
#include <fcntl.h>
#include <unistd.h>
#else
#include <filesystem>
#include <fstream>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

#if ALIDADE_HAS_POSIX_FILES

/// A file that is being written, under a name of its own.
class new_file {
 public:
  explicit new_file(const std::string& path) {
    // What a program that ended too early has left keeps its name.
    for (int i = 0; file_ < 0 && i < 1000; ++i) {
      name_ = path + ".new" + std::to_string(i);
      file_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file_ < 0 && errno != EEXIST) break;
    }
    exists_ = file_ >= 0;
    if (!exists_) note();
  }
  new_file(const new_file&) = delete;
  new_file& operator=(const new_file&) = delete;
  /// Unless it has got its final name, it is gone.
  ~new_file() {
    close();
    if (exists_) ::unlink(name_.c_str());
  }

  void write(std::span<const std::byte> bytes) noexcept {
    while (!failure_ && !bytes.empty()) {
      const ::ssize_t written = ::write(file_, bytes.data(), std::min(bytes.size(), most_at_once));
      if (written < 0 && errno != EINTR) note();
      if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  /// When this returns without a failure the file is on the disk.
  void flush() noexcept {
    if (!failure_ && ::fsync(file_) != 0) note();
    close();
  }

  void rename_to(const std::string& path) {
    if (failure_) return;
    if (std::rename(name_.c_str(), path.c_str()) != 0) return note();
    exists_ = false;
    // The name is on the disk when the folder is. There are file systems that cannot promise that; the file is whole either way.
    const std::size_t slash = path.find_last_of('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int directory = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
    if (directory < 0) return;
    static_cast<void>(::fsync(directory));
    ::close(directory);
  }

  std::error_code failure() const noexcept { return failure_; }

 private:
  static constexpr std::size_t most_at_once = std::size_t{1} << 30;

  void note() noexcept { failure_.assign(errno, std::generic_category()); }

  void close() noexcept {
    if (file_ < 0) return;
    if (::close(file_) != 0 && !failure_) note();
    file_ = -1;
  }

  std::string name_;
  int file_ = -1;
  bool exists_ = false;
  std::error_code failure_;
};

#else

class new_file {
 public:
  explicit new_file(const std::string& path)
      : name_(path + ".new"), out_(name_, std::ios::binary | std::ios::trunc), exists_(bool(out_)) {
    note();
  }
  new_file(const new_file&) = delete;
  new_file& operator=(const new_file&) = delete;
  ~new_file() {
    out_.close();
    if (exists_) std::remove(name_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    out_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    note();
  }

  void flush() {
    out_.close();
    note();
  }

  void rename_to(const std::string& path) {
    if (failure_) return;
    std::filesystem::rename(name_, path, failure_);
    exists_ = bool(failure_);
  }

  std::error_code failure() const noexcept { return failure_; }

 private:
  void note() noexcept {
    if (!out_ && !failure_) failure_.assign(errno != 0 ? errno : EIO, std::generic_category());
  }

  std::string name_;
  std::ofstream out_;
  bool exists_ = false;
  std::error_code failure_;
};

#endif

/// Writes a file under another name beside it, flushes it to the disk, and gives it its name: at any time there is the old file or
/// the new one, whole. On failure the old one is as it was, and the other gone. Errors are those of the system.
inline void replace_file(const std::string& path, std::span<const std::byte> bytes, std::error_code& ec) {
  new_file file(path);
  file.write(bytes);
  file.flush();
  file.rename_to(path);
  ec = file.failure();
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
