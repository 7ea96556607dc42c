// How long something takes.
#pragma once

#include <chrono>

namespace bench {

/// Of one call, by the steady clock.
template <class F>
double microseconds(const F& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace bench
