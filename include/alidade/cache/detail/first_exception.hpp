#pragma once

#include <exception>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// What the first of several calls to throw has thrown. Without exceptions: nothing.
class first_exception {
 public:
#if ALIDADE_HAS_EXCEPTIONS
  template <class Function>
  void run(const Function& f) noexcept {
    try {
      f();
    } catch (...) {
      if (!first_) first_ = std::current_exception();
    }
  }
  explicit operator bool() const noexcept { return first_ != nullptr; }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
#else
  template <class Function>
  void run(const Function& f) noexcept {
    f();
  }
  explicit operator bool() const noexcept { return false; }
  void rethrow() const noexcept {}
#endif
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
