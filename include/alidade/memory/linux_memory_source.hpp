#pragma once

#include <alidade/config/compiler.hpp>

#if ALIDADE_IS_LINUX

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/memory_sample.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

struct linux_memory_options {
  std::string proc_root = "/proc";             ///< where procfs is mounted; 1..1,024 characters
  std::string cgroup_root = "/sys/fs/cgroup";  ///< where cgroup v2 is mounted; 1..1,024 characters

  /// Whether stalls of the process's group raise the usage (see linux_memory_source). They are reported in any case.
  bool raise_by_stalls = true;
};

/// Which limit a sample is measured against.
enum class linux_limit : std::uint8_t {
  machine,      ///< all the memory of the machine
  cgroup_max,   ///< memory.max of a control group: beyond it the kernel kills
  cgroup_high,  ///< memory.high of a control group: beyond it the kernel reclaims and slows down
};

/// Pressure stall information of the last 10 seconds, as shares of time, 0..1.
struct memory_stalls {
  double some = 0;  ///< at least one task waited for memory
  double full = 0;  ///< all tasks that had anything to do waited for memory
};

struct linux_memory_sample : memory_sample {
  linux_limit limit = linux_limit::machine;
  std::uint64_t resident_bytes = 0;     ///< of this process alone (its RSS); 0: unknown
  std::optional<memory_stalls> stalls;  ///< nothing where the kernel does not say
};

namespace detail {

/// The path of a folder, and of files in it, in fixed memory.
class folder_path {
 public:
  static constexpr std::size_t max_root = 1024;

  /// Of at most max_root characters.
  explicit folder_path(std::string_view root) noexcept { static_cast<void>(append(root)); }

  /// False, and nothing appended, where there is no room.
  bool append(std::string_view text) noexcept {
    if (text.size() > bytes_.size() - max_name - size_) return false;
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return true;
  }

  void truncate(std::size_t size) noexcept { size_ = size; }
  std::string_view view() const noexcept { return {bytes_.data(), size_}; }

  /// The path of a file in the folder, `name` beginning with a slash; good until the next call.
  const char* file(std::string_view name) noexcept {
    ALIDADE_ASSERT(name.size() < max_name);
    std::memcpy(bytes_.data() + size_, name.data(), name.size());
    bytes_[size_ + name.size()] = '\0';
    return bytes_.data();
  }

 private:
  static constexpr std::size_t max_name = 32;

  // A root, a group of up to PATH_MAX, the name of a file.
  std::array<char, max_root + 4096 + max_name> bytes_;
  std::size_t size_ = 0;
};

/// Reads a text file of the kernel line by line, in fixed memory.
class kernel_file {
 public:
  explicit kernel_file(const char* path) noexcept {
    do fd_ = ::open(path, O_RDONLY | O_CLOEXEC);
    while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) error_.assign(errno, std::generic_category());
  }
  kernel_file(const kernel_file&) = delete;
  kernel_file& operator=(const kernel_file&) = delete;
  ~kernel_file() {
    if (fd_ >= 0) ::close(fd_);
  }

  /// The next line, without its end. False at the end of the file and at errors. The kernel ends every line, so one
  /// without an end was cut, and what it says is not to be believed; it is an error, as is one that is too long.
  bool next(std::string_view& line) noexcept {
    while (!error_) {
      const char* const begin = bytes_.data() + begin_;
      if (const void* const end = std::memchr(begin, '\n', end_ - begin_)) {
        line = {begin, static_cast<std::size_t>(static_cast<const char*>(end) - begin)};
        begin_ += line.size() + 1;
        return true;
      }
      if (!fill()) return false;
    }
    return false;
  }

  std::error_code error() const noexcept { return error_; }

 private:
  bool fill() noexcept {
    std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    ssize_t count = 0;
    if (end_ < bytes_.size()) {
      do count = ::read(fd_, bytes_.data() + end_, bytes_.size() - end_);
      while (count < 0 && errno == EINTR);
    }
    if (count < 0) {
      error_.assign(errno, std::generic_category());
    } else if (count == 0 && end_ > 0) {
      error_ = std::make_error_code(std::errc::bad_message);
    }
    end_ += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    return count > 0;
  }

  int fd_ = -1;
  std::error_code error_;
  std::array<char, 4352> bytes_;  // a line may hold a path of PATH_MAX; begin_..end_ is not yet handed out
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Whether there is no such file, or none that this process may know of, so that what it would say does not apply.
inline bool is_absent(const std::error_code& ec) noexcept {
  if (ec.category() != std::generic_category()) return false;
  const int code = ec.value();
  return code == ENOENT || code == ENOTDIR || code == EACCES || code == EPERM || code == ENODEV ||
         code == EOPNOTSUPP;
}

/// The decimal number that `text` begins with, taken off it; no sign, and nothing where 64 bits do not hold it.
inline std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

inline std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  const auto value = take_number(text);
  return text.empty() ? value : std::nullopt;
}

inline bool take_prefix(std::string_view& text, std::string_view prefix) noexcept {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// "12.34" and what follows it: 0.1234. std::from_chars of double is not in every standard library.
inline std::optional<double> take_percentage(std::string_view& text) noexcept {
  const auto whole = take_number(text);
  if (!whole || !take_prefix(text, ".") || text.size() < 2) return std::nullopt;
  const auto hundredths = parse_number(text.substr(0, 2));
  if (!hundredths || *whole > 100 || (*whole == 100 && *hundredths > 0)) return std::nullopt;
  text.remove_prefix(2);
  return static_cast<double>(*whole * 100 + *hundredths) / 10'000.0;
}

}  // namespace detail

/// The memory of this process on Linux, against the control group (cgroup v2) that is nearest to its limit.
///
/// - Of the process's group (the line "0::" of /proc/self/cgroup) and each group around it, up to the mounted root, the
///   limit is the smaller of memory.max and memory.high; "max" and a missing file mean none. Used is memory.current
///   less inactive_file of memory.stat: page cache that nobody touched of late goes before anything is killed. Counted,
///   it would call a group full for having read a file larger than its limit. (The working set of Kubernetes is the
///   same.) Without a memory.current, used is the RSS of this process. The group of the largest used / limit counts, of
///   equal ones the inner one.
/// - A limit that is not below MemTotal of /proc/meminfo limits nothing. Without any limit, as under cgroup v1 or none,
///   the sample is of the machine: MemTotal - MemAvailable against MemTotal.
/// - Stalls are avg10 of memory.pressure of the process's group, else of /proc/pressure/memory. With a group's limit
///   the full share of the group's is the sample's `stall`, by which alidade::usage raises the usage. Otherwise they
///   are only reported, because a group that thrashes at a limit of its own makes the whole machine seem to stall.
///
/// A file that is missing, or that this process may not read, counts as not there; when nothing is left to measure
/// against, that is the error. A limit, a memory.current or a meminfo that is malformed (empty, cut, negative, beyond
/// 64 bits) is std::errc::bad_message. RSS, stalls and inactive_file that are malformed count as unknown.
///
/// Everything is read again for each sample, since processes move between groups and limits change: with three nested
/// groups 18 files and about 0.1 ms, so sample by the second and not by the insertion. Nothing is allocated; 20 KiB of
/// stack. Several threads may sample at once.
class linux_memory_source {
 public:
  linux_memory_source() = default;

  /// Options out of range are errc::invalid_option.
  explicit linux_memory_source(linux_memory_options options) : options_(std::move(options)) {
    if (!valid()) detail::throw_error(errc::invalid_option);
  }
  linux_memory_source(linux_memory_options options, std::error_code& ec) : options_(std::move(options)) {
    ec = valid() ? std::error_code{} : make_error_code(errc::invalid_option);
    if (ec) options_ = {};
  }

  linux_memory_sample sample(std::error_code& ec) const noexcept {
    ec.clear();
    linux_memory_sample result;
    result.resident_bytes = read_resident();
    std::error_code machine_error;
    const memory_sample machine = read_machine(machine_error);
    if (machine_error && !detail::is_absent(machine_error)) {
      ec = machine_error;
      return result;
    }

    bool limited = false;
    detail::folder_path folder(options_.cgroup_root);
    if (enter_own_group(folder, ec)) {
      result.stalls = read_stalls(folder.file("/memory.pressure"));
      limited = find_limit(folder, machine_error ? unlimited : machine.limit_bytes, result, ec);
      if (limited && result.stalls && options_.raise_by_stalls) result.stall = result.stalls->full;
    }
    if (ec) return result;
    if (!limited) {
      static_cast<memory_sample&>(result) = machine;
      ec = machine_error;
    }
    if (!result.stalls)
      result.stalls = read_stalls(detail::folder_path(options_.proc_root).file("/pressure/memory"));
    return result;
  }

 private:
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  bool valid() const noexcept { return valid_root(options_.proc_root) && valid_root(options_.cgroup_root); }
  static bool valid_root(const std::string& root) noexcept {
    return !root.empty() && root.size() <= detail::folder_path::max_root;
  }

  /// statm: pages of the program's size, then resident ones.
  std::uint64_t read_resident() const noexcept {
    detail::kernel_file file(detail::folder_path(options_.proc_root).file("/self/statm"));
    std::string_view line;
    if (!file.next(line) || !detail::take_number(line) || !detail::take_prefix(line, " ")) return 0;
    const std::uint64_t pages = detail::take_number(line).value_or(0);
    const long page_bytes = ::sysconf(_SC_PAGESIZE);
    if (page_bytes <= 0 || pages > unlimited / static_cast<std::uint64_t>(page_bytes)) return 0;
    return pages * static_cast<std::uint64_t>(page_bytes);
  }

  /// meminfo: "MemTotal:       24684092 kB", in units of 1,024 bytes.
  memory_sample read_machine(std::error_code& ec) const noexcept {
    const auto take_kilobytes = [](std::string_view line) -> std::optional<std::uint64_t> {
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      const auto kilobytes = detail::take_number(line);
      return kilobytes && line == " kB" && *kilobytes <= unlimited / 1024 ? std::optional(*kilobytes * 1024)
                                                                          : std::nullopt;
    };
    detail::kernel_file file(detail::folder_path(options_.proc_root).file("/meminfo"));
    std::optional<std::uint64_t> total, available;
    for (std::string_view line; !(total && available) && file.next(line);) {
      if (detail::take_prefix(line, "MemTotal:")) total = take_kilobytes(line);
      if (detail::take_prefix(line, "MemAvailable:")) available = take_kilobytes(line);
    }
    ec = file.error();
    if (!ec && !(total && available && *total > 0)) ec = std::make_error_code(std::errc::bad_message);
    if (ec) return {};
    return {*total - std::min(*available, *total), *total};
  }

  /// From the root of the groups into that of this process; false where there is none, or none that is in sight.
  bool enter_own_group(detail::folder_path& folder, std::error_code& ec) const noexcept {
    detail::kernel_file file(detail::folder_path(options_.proc_root).file("/self/cgroup"));
    std::string_view line;
    bool found = false;
    while (!found && file.next(line)) found = detail::take_prefix(line, "0::");
    if (!found) {
      if (!detail::is_absent(file.error())) ec = file.error();
      return false;
    }
    if (!line.starts_with('/')) {
      ec = std::make_error_code(std::errc::bad_message);
    } else if (line == "/.." || line.starts_with("/../")) {
      return false;  // outside of the process's cgroup namespace: what is mounted does not contain it
    } else if (line != "/" && !folder.append(line)) {
      ec = std::make_error_code(std::errc::filename_too_long);
    }
    return !ec;
  }

  /// From the process's group outwards: the limit below `machine_bytes` that is nearest. Leaves `folder` at the root.
  bool find_limit(detail::folder_path& folder, std::uint64_t machine_bytes, linux_memory_sample& result,
                  std::error_code& ec) const noexcept {
    double fullest = -1;
    while (true) {
      const std::uint64_t max = read_bytes(folder.file("/memory.max"), true, ec).value_or(unlimited);
      const std::uint64_t high =
          ec ? 0 : read_bytes(folder.file("/memory.high"), true, ec).value_or(unlimited);
      const std::uint64_t limit = std::min(max, high);
      if (ec) return false;
      if (limit < machine_bytes) {
        const std::uint64_t used = read_used(folder, result.resident_bytes, ec);
        if (ec) return false;
        const double fullness = limit == 0 ? std::numeric_limits<double>::infinity()
                                           : static_cast<double>(used) / static_cast<double>(limit);
        if (fullness > fullest) {
          fullest = fullness;
          result.used_bytes = used;
          result.limit_bytes = limit;
          result.limit = high < max ? linux_limit::cgroup_high : linux_limit::cgroup_max;
        }
      }
      if (folder.view().size() <= options_.cgroup_root.size()) return fullest >= 0;
      folder.truncate(std::max(folder.view().rfind('/'), options_.cgroup_root.size()));
    }
  }

  /// memory.current less inactive_file, else `resident_bytes`.
  static std::uint64_t read_used(detail::folder_path& folder, std::uint64_t resident_bytes,
                                 std::error_code& ec) noexcept {
    const auto current = read_bytes(folder.file("/memory.current"), false, ec);
    if (ec) return 0;
    if (!current) {
      if (resident_bytes == 0) ec = std::make_error_code(std::errc::no_such_file_or_directory);
      return resident_bytes;
    }
    detail::kernel_file stat(folder.file("/memory.stat"));
    for (std::string_view line; stat.next(line);) {
      if (!detail::take_prefix(line, "inactive_file ")) continue;
      return *current - std::min(detail::parse_number(line).value_or(0), *current);
    }
    return *current;
  }

  /// The number that a file of a group holds; nothing where there is no such file.
  static std::optional<std::uint64_t> read_bytes(const char* path, bool may_be_max,
                                                 std::error_code& ec) noexcept {
    detail::kernel_file file(path);
    std::string_view line;
    if (!file.next(line)) {
      if (detail::is_absent(file.error())) return std::nullopt;
      ec = file.error() ? file.error() : std::make_error_code(std::errc::bad_message);
      return std::nullopt;
    }
    if (may_be_max && line == "max") return unlimited;
    const auto bytes = detail::parse_number(line);
    if (!bytes) ec = std::make_error_code(std::errc::bad_message);
    return bytes;
  }

  /// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and a line for full.
  static std::optional<memory_stalls> read_stalls(const char* path) noexcept {
    detail::kernel_file file(path);
    std::optional<double> some, full;
    for (std::string_view line; file.next(line);) {
      if (detail::take_prefix(line, "some avg10=")) some = detail::take_percentage(line);
      if (detail::take_prefix(line, "full avg10=")) full = detail::take_percentage(line);
    }
    if (!some || !full) return std::nullopt;
    return memory_stalls{*some, *full};
  }

  linux_memory_options options_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade

#endif
