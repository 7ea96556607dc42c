#pragma once

#include <cstddef>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Sees what a search does. `on_hop(level)` is called for each node whose neighbours are expanded, `on_distances(n)` when
/// n distances are computed.
template <class Observer>
concept search_observer = requires(Observer& observer, std::size_t n) {
  observer.on_hop(n);
  observer.on_distances(n);
};

/// Sees nothing and costs nothing.
struct null_observer {
  void on_hop(std::size_t) const noexcept {}
  void on_distances(std::size_t) const noexcept {}
};

/// Counts.
struct counting_observer {
  std::size_t hops = 0;
  std::size_t distances = 0;

  void on_hop(std::size_t) noexcept { ++hops; }
  void on_distances(std::size_t n) noexcept { distances += n; }
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
