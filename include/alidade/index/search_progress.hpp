#pragma once

#include <concepts>
#include <cstddef>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/index/detail/candidate_pool.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// How far a search has come.
template <class D>
class search_progress {
 public:
  explicit search_progress(const detail::candidate_pool<D>& pool) noexcept : pool_(&pool) {}

  std::size_t width = 0;        ///< that many nearest of what was found are all expanded
  std::size_t hops = 0;         ///< nodes expanded on level 0
  std::size_t distances = 0;    ///< computed for their neighbours
  std::size_t improved_at = 0;  ///< the last hop on which one of the k nearest was found; 0: none was

  /// How many were found, and the distances of the nearest, in rising order.
  std::size_t size() const noexcept { return pool_->size(); }
  D distance(std::size_t i) const noexcept {
    ALIDADE_ASSERT(i < size());
    return pool_->distance(i);
  }

 private:
  const detail::candidate_pool<D>* pool_;
};

/// Decides the width of a search step by step. A search of width w ends when the w nearest that it has found are all expanded:
/// what is found on the way does not depend on w, so that the decision to go on can wait until then. `first_width()` is where to
/// begin; next_width(progress) the next width, or one that is not larger to end.
template <class Pacer, class D>
concept search_pacer = requires(Pacer& pacer, const search_progress<D>& progress) {
  { pacer.first_width() } -> std::convertible_to<std::size_t>;
  { pacer.next_width(progress) } -> std::convertible_to<std::size_t>;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
