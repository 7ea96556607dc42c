#pragma once

#include <condition_variable>
#include <mutex>
#include <type_traits>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

struct no_mutex {
  void lock() noexcept {}
  void unlock() noexcept {}
};
struct no_condition {
  template <class Lock, class Ready>
  void wait(Lock&, const Ready&) noexcept {}
  void notify_all() noexcept {}
};

/// Nothing where there is one thread.
using cache_mutex = std::conditional_t<ALIDADE_HAS_THREADS != 0, std::mutex, no_mutex>;
using cache_condition = std::conditional_t<ALIDADE_HAS_THREADS != 0, std::condition_variable, no_condition>;

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
