#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

/// The loops that everything stands on, over raw pointers and any reduction (real_reductions.hpp says what that is).
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// One vector against several others. A step costs a load for each row, so at two loads a cycle the loop wants one or two
/// multiply-adds started each cycle, and their latency is four: each row has `R::accumulators` sums side by side. The
/// order of additions is the same for any number of rows, so a pair has one distance, bit for bit, whatever it is
/// measured with. No element is read but those of the vectors.
// Rows and sums are parameter packs rather than loops, so that the sums are registers at -O2 too.
template <class R, std::size_t... Row, std::size_t... Sum, class Out>
ALIDADE_FORCE_INLINE void reduce_rows(std::index_sequence<Row...>, std::index_sequence<Sum...>,
                                      const typename R::element* a, const typename R::element* const* rows,
                                      std::size_t n, Out* out) noexcept {
  constexpr std::size_t sums = sizeof...(Sum);
  const typename R::element* const row[] = {rows[Row]...};
  R sum[sizeof...(Row)][sums] = {};
  std::size_t i = 0;
  const auto add = [&](auto which, const auto& x, const auto& load) {
    ((sum[Row][which()].add(x, load(row[Row]))), ...);
  };
  for (; i + sums * R::size <= n; i += sums * R::size) {
    (add(std::integral_constant<std::size_t, Sum>{}, R::load(a + i + Sum * R::size),
         [i](const auto* p) { return R::load(p + i + Sum * R::size); }),
     ...);
  }
  const auto add_next = [&](auto which) {
    if (which() + 1 < sums && i + R::size <= n) {
      add(which, R::load(a + i), [i](const auto* p) { return R::load(p + i); });
      i += R::size;
    }
  };
  (add_next(std::integral_constant<std::size_t, Sum>{}), ...);
  if (i < n) {
    const std::size_t rest = n - i;
    add(std::integral_constant<std::size_t, sums - 1>{}, R::load_partial(a + i, rest),
        [i, rest](const auto* p) { return R::load_partial(p + i, rest); });
  }
  const auto merge = [](R* s) {
    if constexpr (sums == 4) s[2].merge(s[3]);
    if constexpr (sums >= 2) s[0].merge(s[1]);
    if constexpr (sums == 4) s[0].merge(s[2]);
  };
  (merge(sum[Row]), ...);
  ((out[Row] = static_cast<Out>(sum[Row][0].result(a, row[Row], n))), ...);
}

/// One pair.
template <class R>
inline typename R::result_type reduce(const typename R::element* a, const typename R::element* b,
                                      std::size_t n) noexcept {
  typename R::result_type out;
  reduce_rows<R>(std::make_index_sequence<1>{}, std::make_index_sequence<R::accumulators>{}, a, &b, n, &out);
  return out;
}

/// As many rows at once as their sums fit the registers: sharing the loads of `a` saves up to three in eight.
template <class R>
inline constexpr std::size_t rows_at_once = [] {
  const std::size_t fitting = (R::registers - R::accumulators) / (R::accumulators * R::width);
  return fitting >= 4 ? std::size_t{4} : fitting >= 2 ? std::size_t{2} : std::size_t{1};
}();

/// One vector against `count` rows anywhere in memory.
template <class R, class Out>
inline void reduce_many(const typename R::element* a, const typename R::element* const* rows,
                        std::size_t count, std::size_t n, Out* out) noexcept {
  constexpr std::size_t group = rows_at_once<R>;
  std::size_t j = 0;
  for (; j + group <= count; j += group) {
    reduce_rows<R>(std::make_index_sequence<group>{}, std::make_index_sequence<R::accumulators>{}, a,
                   rows + j, n, out + j);
  }
  for (; j < count; ++j) out[j] = static_cast<Out>(reduce<R>(a, rows[j], n));
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
