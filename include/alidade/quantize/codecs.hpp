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
/// then; until there are so many the vectors themselves are searched. Vectors that are more than a thousand times as far out as half of the
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

}  // namespace codecs

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
