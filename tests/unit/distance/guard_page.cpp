#include <doctest/doctest.h>

#if defined(__linux__) && !defined(__EMSCRIPTEN__)

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <vector>

#include <alidade/distance/distance.hpp>

#include "../../support.hpp"

using namespace alidade;

namespace {

/// Memory between two pages that may not be touched.
class guarded {
 public:
  guarded() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    void* const p = ::mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    base_ = static_cast<unsigned char*>(p);
    REQUIRE(::mprotect(base_ + page_, page_, PROT_READ | PROT_WRITE) == 0);
  }
  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;
  ~guarded() { ::munmap(base_, 3 * page_); }

  /// A copy that starts where the page does, or ends where it ends.
  template <class T>
  std::span<const T> at_begin(const std::vector<T>& v) {
    return place(v, base_ + page_);
  }
  template <class T>
  std::span<const T> at_end(const std::vector<T>& v) {
    return place(v, base_ + 2 * page_ - v.size() * sizeof(T));
  }

 private:
  template <class T>
  static std::span<const T> place(const std::vector<T>& v, unsigned char* where) {
    if (!v.empty()) std::memcpy(where, v.data(), v.size() * sizeof(T));
    return {reinterpret_cast<const T*>(where), v.size()};
  }

  std::size_t page_;
  unsigned char* base_ = nullptr;
};

}  // namespace

TEST_CASE_TEMPLATE("no kernel touches memory outside of its vectors", T, float, double, f16, bf16,
                   std::int8_t, std::uint8_t, bits8) {
  guarded first, second;
  test::random r(1);
  for (std::size_t n = 0; n <= 300; ++n) {
    const auto a = r.vector<T>(n), b = r.vector<T>(n);
    const auto check = [&](auto distance) {
      const auto expected = distance(a, b);
      CHECK(distance(first.at_end(a), second.at_end(b)) == expected);
      CHECK(distance(first.at_begin(a), second.at_begin(b)) == expected);
    };
    if constexpr (std::is_same_v<T, bits8>) {
      check(hamming);
      check(jaccard);
    } else {
      check(l2_squared);
      check(inner_product);
      check(cosine);
      check(l1);
      check(chebyshev);
      check([](const auto& x, const auto& y) { return l2_squared(reproducible, x, y); });
      check([](const auto& x, const auto& y) { return cosine(reproducible, x, y); });
    }
  }
}

#endif
