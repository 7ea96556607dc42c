#pragma once

#include <cstddef>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

/// The loops that everything stands on, over raw pointers and any reduction (real_reductions.hpp says what that is).
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Sum number Sum of row number Row. A type for each instead of an array: of an array that is filled with zeros g++ makes a
/// memset, and keeps it in memory.
template <class R, std::size_t Row, std::size_t Sum>
struct numbered_sum {
  R value;
};

template <class R, std::size_t Row, class Sums>
struct row_sums;
template <class R, std::size_t Row, std::size_t... Sum>
struct row_sums<R, Row, std::index_sequence<Sum...>> : numbered_sum<R, Row, Sum>... {};

template <class R, class Rows, class Sums>
struct block_sums;
template <class R, std::size_t... Row, class Sums>
struct block_sums<R, std::index_sequence<Row...>, Sums> : row_sums<R, Row, Sums>... {
  template <std::size_t WantedRow, std::size_t WantedSum>
  ALIDADE_FORCE_INLINE R& sum() noexcept {
    return static_cast<numbered_sum<R, WantedRow, WantedSum>&>(*this).value;
  }
};

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
  block_sums<R, std::index_sequence<Row...>, std::index_sequence<Sum...>> block;
  std::size_t i = 0;
  const auto add = [&](auto which, typename R::block_type x, const auto& load) ALIDADE_FORCE_INLINE_LAMBDA {
    if constexpr (sizeof...(Row) > 1) x = loaded_once(x);
    ((block.template sum<Row, which()>().add(x, load(row[Row]))), ...);
  };
  for (; i + sums * R::size <= n; i += sums * R::size) {
    (add(std::integral_constant<std::size_t, Sum>{}, R::load(a + i + Sum * R::size),
         [i](const auto* p) ALIDADE_FORCE_INLINE_LAMBDA { return R::load(p + i + Sum * R::size); }),
     ...);
  }
  const auto add_next = [&](auto which) ALIDADE_FORCE_INLINE_LAMBDA {
    if (which() + 1 < sums && i + R::size <= n) {
      add(which, R::load(a + i), [i](const auto* p) ALIDADE_FORCE_INLINE_LAMBDA { return R::load(p + i); });
      i += R::size;
    }
  };
  (add_next(std::integral_constant<std::size_t, Sum>{}), ...);
  if (i < n) {
    const std::size_t rest = n - i;
    add(std::integral_constant<std::size_t, sums - 1>{}, R::load_partial(a + i, rest),
        [i, rest](const auto* p) ALIDADE_FORCE_INLINE_LAMBDA { return R::load_partial(p + i, rest); });
  }
  if constexpr (sums == 4) {
    (block.template sum<Row, 2>().merge(block.template sum<Row, 3>()), ...);
    (block.template sum<Row, 0>().merge(block.template sum<Row, 1>()), ...);
    (block.template sum<Row, 0>().merge(block.template sum<Row, 2>()), ...);
  } else if constexpr (sums == 2) {
    (block.template sum<Row, 0>().merge(block.template sum<Row, 1>()), ...);
  }
  ((out[Row] = static_cast<Out>(block.template sum<Row, 0>().result(a, row[Row], n))), ...);
}

/// Whether vectors of n elements take half the sums; by n alone, so that a pair has one distance in a group as well.
template <class R>
constexpr bool is_short([[maybe_unused]] std::size_t n) noexcept {
  if constexpr (R::accumulators > 1 && requires { R::short_length; }) {
    return n < R::short_length;
  } else {
    return false;
  }
}

template <class R>
using all_sums = std::make_index_sequence<R::accumulators>;
template <class R>
using half_sums = std::make_index_sequence<(R::accumulators + 1) / 2>;

/// One pair.
template <class R>
inline typename R::result_type reduce(const typename R::element* a, const typename R::element* b,
                                      std::size_t n) noexcept {
  typename R::result_type out;
  if (is_short<R>(n)) {
    reduce_rows<R>(std::make_index_sequence<1>{}, half_sums<R>{}, a, &b, n, &out);
  } else {
    reduce_rows<R>(std::make_index_sequence<1>{}, all_sums<R>{}, a, &b, n, &out);
  }
  return out;
}

/// As many rows at once as their sums fit the registers: sharing the loads of `a` saves up to three in eight.
template <class R>
inline constexpr std::size_t rows_at_once = [] {
  const std::size_t fitting = (R::registers - R::accumulators) / (R::accumulators * R::width);
  return fitting >= 4 ? std::size_t{4} : fitting >= 2 ? std::size_t{2} : std::size_t{1};
}();

template <class R, class Sums, class Out>
ALIDADE_FORCE_INLINE void reduce_groups(Sums sums, const typename R::element* a,
                                        const typename R::element* const* rows, std::size_t count,
                                        std::size_t n, Out* out) noexcept {
  std::size_t j = 0;
  for (; j + rows_at_once<R> <= count; j += rows_at_once<R>)
    reduce_rows<R>(std::make_index_sequence<rows_at_once<R>>{}, sums, a, rows + j, n, out + j);
  for (; j < count; ++j) reduce_rows<R>(std::make_index_sequence<1>{}, sums, a, rows + j, n, out + j);
}

/// One vector against `count` rows anywhere in memory.
template <class R, class Out>
inline void reduce_many(const typename R::element* a, const typename R::element* const* rows,
                        std::size_t count, std::size_t n, Out* out) noexcept {
  if (is_short<R>(n)) {
    reduce_groups<R>(half_sums<R>{}, a, rows, count, n, out);
  } else {
    reduce_groups<R>(all_sums<R>{}, a, rows, count, n, out);
  }
}

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
