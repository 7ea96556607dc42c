#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/detail/td_update.hpp>
#include <alidade/rl/options.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// The entries that an agent has visited lately, and how much each is to blame: a list, since each error changes all of
/// them anyway. Only those above the floor are kept, about ln(floor) / ln(gamma lambda) at most where none comes again.
template <class T>
class eligibility_traces {
 public:
  explicit eligibility_traces(memory_resource* memory) noexcept : traces_(memory) {}

  /// Room for `count` more.
  void reserve(std::size_t count) {
    if (traces_.capacity() - traces_.size() < count)
      traces_.reserve(std::max(traces_.size() + count, 2 * traces_.size()));
  }

  void clear() noexcept { traces_.clear(); }
  bool empty() const noexcept { return traces_.empty(); }
  std::size_t memory_bytes() const noexcept { return traces_.capacity() * sizeof(trace); }

  /// Visits an entry.
  void visit(std::size_t entry, eligibility kind) noexcept {
    const auto found =
        std::find_if(traces_.begin(), traces_.end(), [entry](const trace& t) { return t.entry == entry; });
    if (found == traces_.end()) {
      traces_.push_back({entry, T(1)});
    } else {
      found->weight = kind == eligibility::replacing ? T(1) : found->weight + T(1);
    }
  }

  /// q[entry] += step * weight of each.
  void apply(T* q, T step) const noexcept {
    for (const trace& t : traces_) q[t.entry] += unfused(step * t.weight);
  }

  /// All weights become `by` times as large; what falls below the floor is forgotten.
  void fade(T by, T floor) noexcept {
    for (trace& t : traces_) t.weight *= by;
    traces_.erase(std::remove_if(traces_.begin(), traces_.end(),
                                 [floor](const trace& t) { return t.weight < floor || t.weight == T(0); }),
                  traces_.end());
  }

 private:
  struct trace {
    std::size_t entry;
    T weight;
  };
  resource_vector<trace> traces_;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
