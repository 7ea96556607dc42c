// Loops over threads, and a line on stderr that shows that something is happening.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
inline constexpr bool have_threads = false;
#else
inline constexpr bool have_threads = true;
#endif

/// Calls body(i, thread) for every i below count; the threads pull i from one counter. Runs inline for one thread.
template <class Body>
void parallel_for(std::size_t count, std::size_t threads, std::atomic<std::size_t>& next, Body body) {
  const auto work = [&](std::size_t thread) {
    for (std::size_t i = next++; i < count; i = next++) body(i, thread);
  };
  if (threads <= 1 || !have_threads) return work(0);
  std::vector<std::thread> pool;
  pool.reserve(threads);
  for (std::size_t thread = 0; thread < threads; ++thread) pool.emplace_back(work, thread);
  for (std::thread& thread : pool) thread.join();
}

template <class Body>
void parallel_for(std::size_t count, std::size_t threads, Body body) {
  std::atomic<std::size_t> next{0};
  parallel_for(count, threads, next, body);
}

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// While it lives, tells on stderr what is going on, at growing intervals: "building hnswlib: 8 s, 47 %".
class progress {
 public:
  /// `fraction` is asked from another thread and returns 0..1, or a negative number when it is not known.
  explicit progress(std::string what, std::function<double()> fraction = {})
      : what_(std::move(what)), fraction_(std::move(fraction)) {
    std::fprintf(stderr, "%s ...\n", what_.c_str());
    if (have_threads) thread_ = std::thread([this] { run(); });
  }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    std::fprintf(stderr, "%s: done in %.2f s\n", what_.c_str(), seconds_since(start_));
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    std::chrono::seconds interval(1);
    while (!wake_.wait_for(lock, interval, [this] { return done_; })) {
      interval = std::min(interval * 2, std::chrono::seconds(16));
      const double fraction = fraction_ ? fraction_() : -1;
      std::fprintf(stderr, "%s: %.0f s", what_.c_str(), seconds_since(start_));
      if (fraction >= 0) std::fprintf(stderr, ", %.0f %%", 100 * fraction);
      std::fputc('\n', stderr);
    }
  }

  std::string what_;
  std::function<double()> fraction_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace bench
