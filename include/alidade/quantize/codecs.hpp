#pragma once

#include <cstddef>
#include <cstdint>

#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// How an index keeps what its graph is searched by, beside the vectors themselves. Whatever a codec loses, the candidates that a search
/// ends with are measured again by their vectors, so that it costs no recall that a larger ef does not buy back.
namespace codecs {

/// Nothing: the vectors themselves.
struct none {};

/// Four bits for each of the components of a vector's projection to the subspace in which vectors differ most: one to three cache
/// lines whatever the dimension. For real vectors and bytes under l2_squared, inner_product and cosine.
///
/// The code of x is that of y = P (x - mean): numbers n_i in 0..15 and two floats. Of a query's own projection in signed bytes, q_i,
/// the products of q and u = n - 7.5 give the estimate
///
///     |x - mean|^2 - 2 |y|^2 / <u, y> <q, u>          (l2_squared, less a constant of the query)
///
/// in which the factor makes it exact for q in the direction of y (Gao and Long, RaBitQ, SIGMOD 2024; Gao et al., arXiv 2409.09913, for
/// several bits). The scale of u is the one with the best cosine of u and y.
///
/// The projection is learnt from a sample of the vectors once there are 512 of them, and again whenever there are eight times as many as
/// then, or estimates of an eighth that is new are much worse than they were then; until there are so many the vectors themselves are searched. Vectors that are more than a thousand times as far out as half of the
/// sample do not count. Products of matrices take up to about 1 MiB from operator new meanwhile, whatever resource the index has.
///
/// The width of codes is chosen then, unless it is given: of rows that were not learnt from, 95 in 100 of the ten nearest in the sample must
/// be among the first 32 by estimates, or codes are wider. Vectors whose differences are spread over many directions, as embeddings of texts
/// have them, need more bytes than those of pictures.
///
/// Estimates are off by a part of |q - mean| times |x - mean|: a query that is far from all vectors needs a wider search, or more candidates
/// measured, for the same recall.
struct pca4 {
  std::size_t code_bytes = 0;     ///< 64, 128 or 192: 112, 240 or 368 components. 0: chosen when it is learnt
  std::size_t train_rows = 8192;  ///< how many rows the projection is learnt from, at most; 1 or more
  std::uint64_t seed = 42;        ///< of the turn of the projection
};

/// Eight bits a dimension: several times the memory traffic of pca4 in many dimensions, and far smaller errors. For real vectors and bytes under
/// l2_squared, inner_product and cosine. Bytes are their own codes: of them nothing is kept beside the vectors.
///
/// The code of x is that of x' = x - c: signed bytes u_i and two floats. Of the query's q' = q - c in signed bytes by one step, s q_i, the
/// products give the estimate
///
///     |x'|^2 - 2 f s <q, u>,  f = |x'|^2 / <u, x'>       (l2_squared, less |q'|^2)
///     -<c, x'> - f s <q, u>                              (inner_product; cosine, of unit vectors; less a constant of the query)
///
/// with |x'|^2, <c, x'> and f as floats: only <q', x'> is approximate. u is x' by the step of which its largest component is 127, or, where
/// that is nearer in direction, by the one of which 127 is the range of all vectors, what is beyond it clamped. c is the median of
/// each dimension, the range the largest, of all dimensions, of the quantile of |x'_i|; both are learnt from a sample of the vectors once
/// there are 512 of them, and again whenever there are eight times as many as then; until there are so many the vectors themselves are
/// searched.
///
/// Where nothing is clamped u_i f is off by at most half a step, max |x'_i| / 254, and q_i s by max |q'_i| / 254, so <q', x'> by about
/// 0.0023 (max |x'_i| |q'| + max |q'_i| |x'|) in the mean square, |q'| and |x'| their lengths: in 768 dimensions that are alike about 0.0004
/// |q'| |x'|. Integer sums are exact, and the same on every architecture. (Jegou, Douze and Schmid, Product quantization for nearest neighbor
/// search, PAMI 33:1, 2011, for estimates from a query that is compared with codes; ranges by percentile are those of the calibration of
/// networks, Wu et al., arXiv 2004.09602, section 3.3.)
struct sq8 {
  double quantile = 0.995;        ///< above 0.5, up to 1
  std::size_t train_rows = 8192;  ///< how many rows ranges are learnt from, at most; 1 or more
};

/// Vectors as IEEE half floats, two bytes a dimension, from the first one on: nothing is learnt. For float and double under l2_squared,
/// inner_product and cosine (then unit vectors are kept); vectors that have no more bytes are their own codes.
///
/// The estimate is the metric of the halves, in floats, of cosine -<q, x>. Each component is off by 2^-11 of itself, or by 2^-25, if that is
/// more; l2_squared by 2^-10 |q - x| times the length of the longer of the two, or less. What is beyond 65,504 counts as that; data that
/// have such numbers want bf16.
struct f16 {};

/// The same as bfloat16: of a float's range, and off by 2^-8 of each component.
struct bf16 {};

}  // namespace codecs

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
