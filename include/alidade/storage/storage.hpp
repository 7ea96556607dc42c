#pragma once

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// How an index keeps its vectors: what its graph is built by, and what candidates are measured by. Vectors and queries are given as they
/// are, and distances are floats; those of smaller forms are the distances of what was kept, of a query that was rounded likewise.
namespace storage {

/// As they are given.
struct full {};

/// Float and double as IEEE half floats: half of the bytes of floats. Each component is off by at most 2^-11 of itself, or 2^-25 if that
/// is more. One that would become infinite, from 65,520 up, is errc::not_representable, in queries as well. Under the cosine metric vectors
/// are divided by their norms first, so that none does.
struct f16 {};

/// The same as bfloat16: a float's range, off by at most 2^-8 of each component.
struct bf16 {};

/// Float and double as signed bytes, a quarter of the bytes of floats, under l2_squared, inner_product and cosine:
///
///     u_i = round((y_i - c_i) / s), clamped to -127..127,  y = R x
///
/// R is a fixed orthogonal transform after which all components are alike, so that one step s is right for all; it changes no distance. Of
/// cosine x is divided by its norm first. Distances are
///
///     s^2 |u - v|^2          l2_squared
///     s^2 / 2 |u - v|^2      cosine, 1 - <a, b> = |a - b|^2 / 2 of unit vectors
///     -s^2 <u, v>            inner_product: c is zero, and a query has a step of its own, of which its largest component is 127
///
/// of sums that are exact, then rounded to floats. A component is off by at most s / 2 unless it is clamped, l2_squared by about 0.82 s |q - x|
/// in the mean square; numbers beyond 1e30 count as that. Under inner_product what vectors have in common, a large mean, takes precision from
/// what they differ in: subtract it yourself, which changes no order.
///
/// The vectors of the first addition are looked at before any is stored (8,192 of them, if there are more), or those that are given to
/// hnsw_index::calibrate_storage(): c_i is the median of y_i, and 127 s is `headroom` times the largest, of all dimensions, of the quantile of
/// |y_i - c_i|. Fewer than 32 vectors say little of where others will be: of them c is zero and 127 s twice their largest component. What is
/// clamped is counted: hnsw_index::clamped_components(). Where that is more than one in a thousand the vectors that were looked at were not
/// like the others.
///
/// Of 50,000 x 768 floats (100 normal clusters, variances falling as j^-1.2, turned at random) the ten nearest by these distances are 0.988 of
/// the true ones under l2_squared, 0.994 under inner_product and 0.992 under cosine: no search finds more. With codes of 64 bytes
/// (codecs::pca4) a vector takes 1,000 bytes, where hnswlib takes about 3,216; without 927. bench/NOTES.md has the rest.
struct sq8 {
  double quantile = 0.995;  ///< above 0.5, up to 1
  double headroom = 1.25;   ///< 1..100
};

}  // namespace storage

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
