#pragma once

#include <cstddef>
#include <functional>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// In a block that is not in use: the way to the next.
struct pool_node {
  pool_node* next;
};

/// A piece of upstream memory, cut into blocks of one class. It lies behind its blocks, which so keep their alignment:
///
///     begin                     fresh                       this
///     | blocks handed out so far | blocks not yet handed out | pool_slab |
struct pool_slab {
  pool_slab* next;
  pool_slab* next_fresh;  ///< in the list of those that have blocks not yet handed out
  std::byte* begin;
  std::byte* fresh;

  std::byte* end() noexcept { return reinterpret_cast<std::byte*>(this); }
  std::size_t fresh_bytes() noexcept { return static_cast<std::size_t>(end() - fresh); }
  std::size_t total_bytes() noexcept { return static_cast<std::size_t>(end() - begin) + sizeof(pool_slab); }
};

static_assert(sizeof(pool_slab) == 4 * sizeof(void*));

/// Merges two lists that are in the order of addresses.
template <class Node>
Node* merge_lists(Node* a, Node* b) noexcept {
  Node* merged = nullptr;
  Node** end = &merged;
  while (a != nullptr && b != nullptr) {
    Node*& first = std::less<Node*>()(b, a) ? b : a;
    *end = first;
    end = &first->next;
    first = *end;
  }
  *end = a != nullptr ? a : b;
  return merged;
}

/// Brings a list into the order of addresses: n log n comparisons, and no memory.
template <class Node>
Node* sort_list(Node* list) noexcept {
  Node* sorted[64] = {};  // [i]: null, or 2^i nodes
  while (list != nullptr) {
    Node* run = list;
    list = list->next;
    run->next = nullptr;
    std::size_t i = 0;
    for (; sorted[i] != nullptr; ++i) {
      run = merge_lists(sorted[i], run);
      sorted[i] = nullptr;
    }
    sorted[i] = run;
  }
  Node* all = nullptr;
  for (Node* const run : sorted) all = merge_lists(run, all);
  return all;
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
