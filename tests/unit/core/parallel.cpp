#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include <alidade/core/parallel.hpp>

using alidade::detail::parallel_for;

TEST_CASE("every item is visited once, by a worker in range") {
  for (std::size_t threads : {1u, 2u, 3u, 8u}) {
    for (std::size_t count : {0u, 1u, 7u, 64u, 1000u}) {
      for (std::size_t grain : {1u, 16u, 5000u}) {
        std::vector<std::atomic<int>> visits(count);
        std::atomic<bool> in_range{true};
        parallel_for(count, grain, threads, [&](std::size_t begin, std::size_t end, std::size_t worker) {
          if (worker >= threads || end - begin > grain || begin >= end) in_range = false;
          for (std::size_t i = begin; i < end; ++i) ++visits[i];
        });
        CHECK(in_range);
        bool once = true;
        for (const auto& v : visits) once = once && v == 1;
        CHECK(once);
      }
    }
  }
}

TEST_CASE("an exception in a worker reaches the caller") {
  for (std::size_t threads : {1u, 4u}) {
    CHECK_THROWS_AS(parallel_for(100, 1, threads,
                                 [](std::size_t begin, std::size_t, std::size_t) {
                                   if (begin == 50) throw std::runtime_error("fifty");
                                 }),
                    std::runtime_error);
  }
}
