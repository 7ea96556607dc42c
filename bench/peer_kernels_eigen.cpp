#include "peer_kernels.hpp"

#if defined(ALIDADE_BENCH_EIGEN)

#define EIGEN_DONT_PARALLELIZE

#include <Eigen/Core>

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace bench {
namespace {

template <class T>
using vector_map = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>>;

template <class T>
using rows_map = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

template <class T>
vector_map<T> map(const T* values, std::size_t n) {
  return vector_map<T>(values, static_cast<Eigen::Index>(n));
}

/// Sums of bytes and halves need a wider type.
template <class T>
using sum_of = std::conditional_t<std::is_integral_v<T>, std::int32_t,
                                  std::conditional_t<std::is_floating_point_v<T>, T, float>>;

struct l2 {
  template <class T>
  sum_of<T> operator()(const T* a, const T* b, std::size_t n) const {
    using wide = sum_of<T>;
    return (map(a, n).template cast<wide>() - map(b, n).template cast<wide>()).squaredNorm();
  }
};

struct ip {
  template <class T>
  sum_of<T> operator()(const T* a, const T* b, std::size_t n) const {
    using wide = sum_of<T>;
    return map(a, n).template cast<wide>().dot(map(b, n).template cast<wide>());
  }
};

struct cosine {
  template <class T>
  auto operator()(const T* a, const T* b, std::size_t n) const {
    using real = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const auto x = map(a, n).template cast<sum_of<T>>();
    const auto y = map(b, n).template cast<sum_of<T>>();
    return real(1) - static_cast<real>(x.dot(y)) /
                         std::sqrt(static_cast<real>(x.squaredNorm()) * static_cast<real>(y.squaredNorm()));
  }
};

struct l1 {
  template <class T>
  sum_of<T> operator()(const T* a, const T* b, std::size_t n) const {
    using wide = sum_of<T>;
    return (map(a, n).template cast<wide>() - map(b, n).template cast<wide>()).cwiseAbs().sum();
  }
};

struct chebyshev {
  template <class T>
  sum_of<T> operator()(const T* a, const T* b, std::size_t n) const {
    using wide = sum_of<T>;
    return (map(a, n).template cast<wide>() - map(b, n).template cast<wide>()).cwiseAbs().maxCoeff();
  }
};

/// A matrix times a vector.
struct ip_rows {
  template <class T>
  void operator()(const T* query, const T* rows, std::size_t count, std::size_t columns, T* out) const {
    const rows_map<T> matrix(rows, static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(columns));
    Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>> result(out, static_cast<Eigen::Index>(count));
    result.noalias() = matrix * map(query, columns);
  }
};

struct l2_rows {
  template <class T>
  void operator()(const T* query, const T* rows, std::size_t count, std::size_t columns, T* out) const {
    const rows_map<T> matrix(rows, static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(columns));
    Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>> result(out, static_cast<Eigen::Index>(count));
    result.noalias() = (matrix.rowwise() - map(query, columns).transpose()).rowwise().squaredNorm();
  }
};

template <class T>
kernel_sweep pair_kernel(metric distance) {
  switch (distance) {
    case metric::l2:
      return sweep_pairs<T, l2>;
    case metric::ip:
      return sweep_pairs<T, ip>;
    case metric::cosine:
      return sweep_pairs<T, cosine>;
    case metric::l1:
      return sweep_pairs<T, l1>;
    case metric::chebyshev:
      return sweep_pairs<T, chebyshev>;
    default:
      return nullptr;
  }
}

template <class T>
kernel_sweep float_kernel(metric distance, form how) {
  if (how == form::pair) return pair_kernel<T>(distance);
  if (distance == metric::l2) return sweep_many<T, T, l2_rows>;
  if (distance == metric::ip) return sweep_many<T, T, ip_rows>;
  return nullptr;
}

}  // namespace

bool has_eigen_kernels() { return true; }

kernel_sweep eigen_kernel(const kernel_id& id, std::size_t) {
  if (id.type == element::f32) return float_kernel<float>(id.distance, id.how);
  if (id.type == element::f64) return float_kernel<double>(id.distance, id.how);
  if (id.how != form::pair) return nullptr;
  switch (id.type) {
    case element::f16:
      return pair_kernel<Eigen::half>(id.distance);
    case element::bf16:
      return pair_kernel<Eigen::bfloat16>(id.distance);
    case element::i8:
      return pair_kernel<std::int8_t>(id.distance);
    case element::u8:
      return pair_kernel<std::uint8_t>(id.distance);
    default:
      return nullptr;
  }
}

}  // namespace bench

#else

namespace bench {

bool has_eigen_kernels() { return false; }
kernel_sweep eigen_kernel(const kernel_id&, std::size_t) { return nullptr; }

}  // namespace bench

#endif
