#include "child_process.hpp"

#include "failure.hpp"

#if (defined(__unix__) || defined(__APPLE__)) && !defined(__EMSCRIPTEN__)
#define ALIDADE_BENCH_POSIX 1
#else
#define ALIDADE_BENCH_POSIX 0
#endif

#if ALIDADE_BENCH_POSIX
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

extern char** environ;  // NOLINT(readability-redundant-declaration): glibc declares it, POSIX leaves it to us
#endif

namespace bench {

#if ALIDADE_BENCH_POSIX

namespace {

/// A file descriptor that is closed at the end.
class descriptor {
 public:
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { close(); }

  [[nodiscard]] int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

class spawn_actions {
 public:
  spawn_actions() { posix_spawn_file_actions_init(&actions_); }
  spawn_actions(const spawn_actions&) = delete;
  spawn_actions& operator=(const spawn_actions&) = delete;
  ~spawn_actions() { posix_spawn_file_actions_destroy(&actions_); }

  [[nodiscard]] posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
}

std::string all_of(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    } else if (n == 0 || errno != EINTR) {
      return text;
    }
  }
}

}  // namespace

bool can_run_programs() { return true; }

child_result run_child(const std::vector<std::string>& command, bool keep_output) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);

  int ends[2] = {-1, -1};
  if (keep_output && ::pipe(ends) != 0)
    throw input_error("ab: no pipe: " + std::string(std::strerror(errno)));
  descriptor reading(ends[0]), writing(ends[1]);
  spawn_actions actions;
  if (keep_output) {
    posix_spawn_file_actions_adddup2(actions.get(), writing.get(), STDOUT_FILENO);
    posix_spawn_file_actions_addclose(actions.get(), reading.get());
    posix_spawn_file_actions_addclose(actions.get(), writing.get());
  } else {
    posix_spawn_file_actions_addopen(actions.get(), STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  }

  child_result result;
  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int failed = posix_spawnp(&child, arguments[0], actions.get(), nullptr, arguments.data(), environ);
  if (failed != 0) throw input_error("ab: " + command[0] + " cannot be started: " + std::strerror(failed));
  writing.close();
  if (keep_output) result.output = all_of(reading.get());
  int status = 0;
  rusage used{};
  while (::wait4(child, &status, 0, &used) < 0) {
    if (errno != EINTR) throw input_error("ab: " + command[0] + ": " + std::strerror(errno));
  }
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.cpu_s = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  if (WIFSIGNALED(status))
    throw input_error("ab: " + command[0] + " was ended by signal " + std::to_string(WTERMSIG(status)));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw input_error("ab: " + command[0] + " ended with exit code " + std::to_string(WEXITSTATUS(status)));
  }
  return result;
}

#else

bool can_run_programs() { return false; }

child_result run_child(const std::vector<std::string>&, bool) {
  throw input_error("ab: this platform does not start other programs");
}

#endif

}  // namespace bench
