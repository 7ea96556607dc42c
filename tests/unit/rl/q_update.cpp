#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <system_error>
#include <type_traits>
#include <vector>

#include <alidade/rl/q_update.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

/// The formula, one rounded operation after the other.
template <class T>
T update_naively(T q, T reward, T next, T alpha, T gamma) {
  volatile T after = gamma * next;
  volatile T target = reward + after;
  volatile T error = target - q;
  volatile T move = alpha * error;
  return q + move;
}

template <class T>
bool update_same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class T>
struct update_data {
  std::vector<T> q, rewards, next;
  std::vector<std::uint8_t> terminated;

  update_data(std::size_t n, std::uint32_t seed) {
    test::random r(seed);
    for (std::size_t i = 0; i < n; ++i) {
      const T scale = r.below(8) == 0 ? std::numeric_limits<T>::min() : r.below(8) == 0 ? T(1e12) : T(1);
      q.push_back(static_cast<T>(r.uniform()) * scale);
      rewards.push_back(r.below(4) == 0 ? -T(0) : static_cast<T>(r.uniform()) * scale);
      next.push_back(static_cast<T>(r.uniform()) * scale);
      terminated.push_back(r.below(3) == 0 ? static_cast<std::uint8_t>(1 + r.below(255)) : std::uint8_t{0});
    }
  }
};

}  // namespace

TEST_CASE_TEMPLATE("an update of values is the formula, bit by bit, whatever their number", T, float,
                   double) {
  for (std::size_t n = 0; n <= 600; n += n < 140 ? 1 : 37) {
    const update_data<T> data(n, static_cast<std::uint32_t>(n));
    for (const double alpha : {1.0, 0.5, 0.1}) {
      for (const double gamma : {0.0, 0.9, 1.0}) {
        std::vector<T> expected = data.q, with_ends = data.q;
        for (std::size_t i = 0; i < n; ++i) {
          const T a = static_cast<T>(alpha), g = static_cast<T>(gamma);
          expected[i] = update_naively(data.q[i], data.rewards[i], data.next[i], a, g);
          with_ends[i] =
              update_naively(data.q[i], data.rewards[i], data.terminated[i] != 0 ? T(0) : data.next[i], a, g);
        }
        std::vector<T> q = data.q;
        q_update(std::span<T>(q), data.rewards, data.next, alpha, gamma);
        CHECK(update_same_bits(q, expected));
        q = data.q;
        q_update(std::span<T>(q), data.rewards, data.next, data.terminated, alpha, gamma);
        CHECK(update_same_bits(q, with_ends));
        std::error_code ec = errc::not_finite;
        q = data.q;
        CHECK(q_update(std::span<T>(q), data.rewards, data.next, alpha, gamma, ec) == n);
        CHECK_FALSE(ec);
        CHECK(update_same_bits(q, expected));
        q = data.q;
        CHECK(q_update(std::span<T>(q), data.rewards, data.next, data.terminated, alpha, gamma, ec) == n);
        CHECK_FALSE(ec);
        CHECK(update_same_bits(q, with_ends));
      }
    }
  }
}

TEST_CASE_TEMPLATE("values may be their own rewards or what comes next", T, float, double) {
  for (const std::size_t n : {1u, 7u, 16u, 35u, 300u}) {
    const update_data<T> data(n, 5);
    std::vector<T> expected = data.q, q = data.q;
    for (std::size_t i = 0; i < n; ++i) {
      const T next = data.terminated[i] != 0 ? T(0) : data.q[i];
      expected[i] = update_naively(data.q[i], data.rewards[i], next, T(0.5), static_cast<T>(0.9));
    }
    q_update(std::span<T>(q), data.rewards, q, data.terminated, 0.5, 0.9);
    CHECK(update_same_bits(q, expected));
    q = data.q;
    for (std::size_t i = 0; i < n; ++i) {
      expected[i] = update_naively(data.q[i], data.q[i], data.next[i], T(0.5), static_cast<T>(0.9));
    }
    q_update(std::span<T>(q), q, data.next, 0.5, 0.9);
    CHECK(update_same_bits(q, expected));
  }
}

TEST_CASE_TEMPLATE("an update starts at any address and leaves its neighbours alone", T, float, double) {
  for (std::size_t offset = 0; offset < 9; ++offset) {
    for (const std::size_t n : {0u, 1u, 5u, 16u, 41u}) {
      const update_data<T> data(n + 20, 6);
      std::vector<T> q = data.q, expected = data.q;
      for (std::size_t i = offset; i < offset + n; ++i) {
        expected[i] = update_naively(data.q[i], data.rewards[i], data.next[i], T(1), T(1));
      }
      q_update(std::span<T>(q).subspan(offset, n), std::span<const T>(data.rewards).subspan(offset, n),
               std::span<const T>(data.next).subspan(offset, n), 1, 1);
      CHECK(update_same_bits(q, expected));
    }
  }
}

TEST_CASE_TEMPLATE("what an update refuses it names, and changes nothing", T, float, double) {
  const T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  constexpr std::size_t none = error::no_row;
  for (const std::size_t n : {1u, 3u, 4u, 15u, 16u, 17u, 70u}) {
    update_data<T> data(n, 7);
    const std::vector<T> before = data.q;
    const auto refuses = [&](const update_data<T>& d, double alpha, double gamma, bool flags, errc code,
                             std::size_t row) {
      std::vector<T> q = before;
      std::error_code ec;
      const std::span<T> values(q);
      const std::size_t at = flags ? q_update(values, d.rewards, d.next, d.terminated, alpha, gamma, ec)
                                   : q_update(values, d.rewards, d.next, alpha, gamma, ec);
      CHECK(ec == code);
      CHECK(at == row);
      bool thrown = false;
      try {
        if (flags) {
          q_update(values, d.rewards, d.next, d.terminated, alpha, gamma);
        } else {
          q_update(values, d.rewards, d.next, alpha, gamma);
        }
      } catch (const error& e) {
        thrown = true;
        CHECK(e.code() == code);
        CHECK(e.row() == row);
      }
      CHECK(thrown);
      CHECK(update_same_bits(q, before));
    };
    const double dnan = std::numeric_limits<double>::quiet_NaN(), above_one = std::nextafter(1.0, 2.0);
    for (const bool flags : {false, true}) {
      for (const double alpha : {0.0, -1.0, above_one, dnan, static_cast<double>(infinity)}) {
        refuses(data, alpha, 0.5, flags, errc::invalid_option, none);
      }
      for (const double gamma : {-1e-300, above_one, dnan, static_cast<double>(infinity)}) {
        refuses(data, 0.5, gamma, flags, errc::invalid_option, none);
      }
      if (std::is_same_v<T, float>) refuses(data, 1e-50, 0.5, flags, errc::invalid_option, none);
      update_data<T> bad = data;
      bad.rewards.push_back(0);
      refuses(bad, 0.5, 0.5, flags, errc::size_mismatch, none);
      bad = data;
      bad.next.pop_back();
      refuses(bad, 0.5, 0.5, flags, errc::size_mismatch, none);
      for (std::size_t i = 0; i < n; i += n < 20 ? 1 : 23) {
        for (const T x : {nan, -nan, infinity, -infinity}) {
          bad = data;
          bad.rewards[i] = x;
          bad.rewards[n - 1] = i % 2 == 0 ? x : bad.rewards[n - 1];
          std::fill(bad.terminated.begin(), bad.terminated.end(), std::uint8_t{1});
          refuses(bad, 0.5, 0.5, flags, errc::not_finite, i);
          bad = data;
          bad.next[i] = x;
          bad.terminated[i] = 0;
          refuses(bad, 0.5, 0.5, flags, errc::not_finite, i);
        }
      }
    }
    update_data<T> bad = data;
    bad.terminated.pop_back();
    refuses(bad, 0.5, 0.5, true, errc::size_mismatch, none);
    bad.terminated.clear();
    refuses(bad, 0.5, 0.5, true, errc::size_mismatch, none);
    // The largest finite numbers are no fault.
    update_data<T> large = data;
    std::fill(large.rewards.begin(), large.rewards.end(), std::numeric_limits<T>::max());
    std::fill(large.next.begin(), large.next.end(), std::numeric_limits<T>::lowest());
    std::error_code ec;
    CHECK(q_update(std::span<T>(data.q), large.rewards, large.next, 0.5, 0.5, ec) == n);
    CHECK_FALSE(ec);
  }
}

TEST_CASE_TEMPLATE("where an episode is over, what comes next may be anything", T, float, double) {
  for (const std::size_t n : {1u, 16u, 17u, 300u}) {
    std::vector<T> q(n, T(4)), rewards(n, T(2)), next(n, std::numeric_limits<T>::quiet_NaN());
    next[0] = std::numeric_limits<T>::infinity();
    const std::vector<std::uint8_t> terminated(n, 0x80);
    q_update(std::span<T>(q), rewards, next, terminated, 0.5, 1);
    CHECK(q == std::vector<T>(n, T(3)));
  }
}
