#pragma once

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>
#include <system_error>
#include <vector>

#include <alidade/config/assert.hpp>
#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What a pool does when its byte limit leaves no room.
enum class at_byte_limit {
  /// Trims, which gives free memory of other sizes back, and throws memory_pool_exhausted if that does not suffice.
  fail,
  /// Takes the block from the upstream resource, and returns it there when it is deallocated. While any such block is
  /// in use, each deallocation looks whether its block is one.
  upstream
};

/// Blocks to have ready.
struct pool_blocks {
  std::size_t size;                                   ///< 1..1,048,576 bytes
  std::size_t count = 1;                              ///< at least 1
  std::size_t alignment = alignof(std::max_align_t);  ///< a power of two, 1..64
};

struct memory_pool_options {
  /// 1..2^63 - 1 (2^31 - 1 where memory has 32-bit addresses). With at_byte_limit::fail nothing is reserved beyond it.
  /// With at_byte_limit::upstream it holds for what the pool keeps; blocks that are passed through come on top.
  std::size_t byte_limit = 50'000'000;

  at_byte_limit at_limit = at_byte_limit::fail;

  /// Reserved by the constructor; whether the limit has room for them does not depend on `at_limit`.
  std::vector<pool_blocks> preallocate = {};
};

struct memory_pool_stats {
  std::size_t used_bytes = 0;      ///< asked for and not given back
  std::size_t peak_bytes = 0;      ///< the most that used_bytes ever was
  std::size_t reserved_bytes = 0;  ///< held of the upstream resource, to the byte
  std::size_t allocations = 0;     ///< how often a block was handed out
  std::size_t hits = 0;            ///< of these, a block that had been handed out before

  /// hits / allocations, 0 when there were none.
  double hit_rate() const noexcept {
    return allocations == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(allocations);
  }
};

/// Thrown where a pool's byte limit leaves no room, or where more is asked for than any memory has.
class memory_pool_exhausted : public std::bad_alloc {
 public:
  const char* what() const noexcept override {
    return "alidade: the memory pool's byte limit leaves no room";
  }
  std::error_code code() const noexcept { return make_error_code(errc::budget_exceeded); }
};

/// Mistakes in the use of a pool that a checked one finds.
enum class pool_fault {
  unknown_block,      ///< deallocated a pointer that is no block of this pool
  double_free,        ///< deallocated a block for the second time
  wrong_size,         ///< deallocated with another size or alignment than allocated
  overrun,            ///< written behind the end of a block
  written_after_free  ///< written to a block after it was deallocated
};

struct pool_fault_report {
  pool_fault fault;
  const void* block;
  std::size_t size;       ///< as the block was allocated, 0 for unknown_block
  std::size_t alignment;  ///< likewise
};

/// Of a pool without checks: no cost.
struct no_pool_checks {
  static constexpr bool enabled = false;
};

/// Of a checked pool: what it finds is asserted. Another class with `enabled` and a call operator can do something
/// else. It is called when the pool is consistent, and may return: faulty calls of deallocate are then corrected or
/// left out. A synchronized pool holds its lock meanwhile.
struct assert_pool_checks {
  static constexpr bool enabled = true;

  void operator()([[maybe_unused]] const pool_fault_report& report) const noexcept {
    ALIDADE_ASSERT(report.fault != pool_fault::unknown_block);
    ALIDADE_ASSERT(report.fault != pool_fault::double_free);
    ALIDADE_ASSERT(report.fault != pool_fault::wrong_size);
    ALIDADE_ASSERT(report.fault != pool_fault::overrun);
    ALIDADE_ASSERT(report.fault != pool_fault::written_after_free);
  }
};

/// What a pool's Checks must be: `enabled` says whether to check, and a call reports a fault.
template <class Checks>
concept pool_checks = requires(const Checks& checks, const pool_fault_report& report) {
  static_cast<bool>(Checks::enabled);
  requires !Checks::enabled || requires { checks(report); };
};

namespace detail {

/// Out of line, so that the paths that do not fail stay small. Without exceptions it ends the program.
[[noreturn]] ALIDADE_NOINLINE inline void throw_exhausted() {
#if ALIDADE_HAS_EXCEPTIONS
  throw memory_pool_exhausted();
#else
  std::abort();
#endif
}

/// f(); where a pool is exhausted meanwhile sets `ec` to errc::budget_exceeded and returns `otherwise`.
template <class F, class Result>
Result unless_exhausted(std::error_code& ec, Result otherwise, const F& f) {
#if ALIDADE_HAS_EXCEPTIONS
  try {
    return f();
  } catch (const memory_pool_exhausted& exhausted) {
    ec = exhausted.code();
    return otherwise;
  }
#else
  static_cast<void>(ec);
  static_cast<void>(otherwise);
  return f();
#endif
}

inline void throw_pool_error(std::error_code code) {
  if (code == errc::budget_exceeded) throw_exhausted();
  if (code) throw_error(code);
}

/// More than any object can have.
inline constexpr std::size_t pool_most_bytes = std::numeric_limits<std::size_t>::max() / 2;

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
