#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <limits>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace perf {

namespace detail {

constexpr std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) noexcept {
  return a + b < a ? std::numeric_limits<std::uint64_t>::max() : a + b;
}

constexpr std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  return b != 0 && a > most / b ? most : a * b;
}

}  // namespace detail

/// Something that counts up, and from which a histogram is made. `add` and `add_saturating` add, the second never
/// beyond 2^64 - 1; `raise` makes the value at least its argument; `publish` adds, and who sees the sum sees what this
/// thread did before. Models: plain_counter, owned_counter, counter.
template <class Counter>
concept counting = requires(Counter& c, const Counter& seen, std::uint64_t n) {
  c.add(n);
  c.add_saturating(n);
  c.publish(n);
  c.raise(n);
  c.reset();
  { seen.value() } -> std::same_as<std::uint64_t>;
};

/// For one thread. Modulo 2^64.
class plain_counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_ += n; }
  void add_saturating(std::uint64_t n) noexcept { value_ = detail::saturating_sum(value_, n); }
  void publish(std::uint64_t n) noexcept { add(n); }
  void raise(std::uint64_t n) noexcept {
    if (n > value_) value_ = n;
  }
  void reset() noexcept { value_ = 0; }
  std::uint64_t value() const noexcept { return value_; }

  friend bool operator==(const plain_counter&, const plain_counter&) = default;

 private:
  std::uint64_t value_ = 0;
};

/// One thread adds, any may look meanwhile. Costs what a plain_counter does: a load and a store, no locked instruction.
class owned_counter {
 public:
  void add(std::uint64_t n = 1) noexcept { set(get() + n); }
  void add_saturating(std::uint64_t n) noexcept { set(detail::saturating_sum(get(), n)); }
  void publish(std::uint64_t n) noexcept { value_.store(get() + n, std::memory_order_release); }
  void raise(std::uint64_t n) noexcept {
    if (n > get()) set(n);
  }
  void reset() noexcept { set(0); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_acquire); }

 private:
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }

  std::atomic<std::uint64_t> value_{0};
};

/// Any thread adds, any may look. Relaxed: the count orders nothing else. An uncontended add is one locked instruction
/// (about 4 ns); when several threads add to one line it moves between their caches, at 50 ns and more an add.
class counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void add_saturating(std::uint64_t n) noexcept {
    std::uint64_t old = value_.load(std::memory_order_relaxed);
    while (!value_.compare_exchange_weak(old, detail::saturating_sum(old, n), std::memory_order_relaxed)) {}
  }
  void publish(std::uint64_t n) noexcept { value_.fetch_add(n, std::memory_order_release); }
  void raise(std::uint64_t n) noexcept {
    std::uint64_t old = value_.load(std::memory_order_relaxed);
    while (n > old && !value_.compare_exchange_weak(old, n, std::memory_order_relaxed)) {}
  }
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace perf
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
