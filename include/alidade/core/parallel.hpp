#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// How many threads a request for `threads` means here: 0 asks for all cores, more than 256 are not
/// started; without thread support it is always 1.
inline std::size_t resolve_threads(std::size_t threads) noexcept {
  if constexpr (!ALIDADE_HAS_THREADS) return 1;
  if (threads == 0) threads = std::thread::hardware_concurrency();
  return std::clamp<std::size_t>(threads, 1, 256);
}

/// Calls `body(begin, end, worker)` for consecutive pieces of [0, count), each of at most `grain` items, from up to
/// `threads` workers; worker is in [0, threads). Pieces are handed out one by one, so uneven ones balance themselves.
/// The calling thread is worker 0. The first exception stops the handing out and is rethrown here.
template <class Body>
void parallel_for(std::size_t count, std::size_t grain, std::size_t threads, const Body& body) {
  const std::size_t pieces = (count + grain - 1) / grain;
  const std::size_t workers = std::min(resolve_threads(threads), pieces);
  if (workers <= 1) {
    for (std::size_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count), 0);
    return;
  }
  std::atomic<std::size_t> next{0};
#if ALIDADE_HAS_EXCEPTIONS
  std::exception_ptr failure;
  std::mutex failure_mutex;
#endif
  const auto work = [&](std::size_t worker) {
#if ALIDADE_HAS_EXCEPTIONS
    try {
#endif
      for (std::size_t piece; (piece = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
        body(piece * grain, std::min((piece + 1) * grain, count), worker);
      }
#if ALIDADE_HAS_EXCEPTIONS
    } catch (...) {
      next.store(pieces, std::memory_order_relaxed);
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
#endif
  };
  struct joiner {
    std::vector<std::thread> threads;
    ~joiner() {
      for (auto& thread : threads) thread.join();
    }
  };
  {
    joiner team;
    team.threads.reserve(workers - 1);
#if ALIDADE_HAS_EXCEPTIONS
    try {
#endif
      for (std::size_t worker = 1; worker < workers; ++worker) team.threads.emplace_back(work, worker);
#if ALIDADE_HAS_EXCEPTIONS
    } catch (const std::system_error&) {
      // The system has no more threads to give; those there are do the work.
    }
#endif
    work(0);
  }
#if ALIDADE_HAS_EXCEPTIONS
  if (failure) std::rethrow_exception(failure);
#endif
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
