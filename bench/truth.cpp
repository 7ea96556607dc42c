#include "failure.hpp"
#include "parallel.hpp"
#include "workload.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <utility>

namespace bench {
namespace {

/// Independent partial sums: the compiler may use vector instructions without being allowed to reorder additions.
constexpr std::size_t lanes = 16;

template <class Term>
double sum_over(std::span<const float> a, std::span<const float> b, Term term) {
  std::array<double, lanes> sums{};
  std::size_t i = 0;
  for (; i + lanes <= a.size(); i += lanes) {
    for (std::size_t j = 0; j < lanes; ++j) {
      sums[j] += term(static_cast<double>(a[i + j]), static_cast<double>(b[i + j]));
    }
  }
  double sum = 0;
  for (; i < a.size(); ++i) sum += term(static_cast<double>(a[i]), static_cast<double>(b[i]));
  for (const double partial : sums) sum += partial;
  return sum;
}

double dot(std::span<const float> a, std::span<const float> b) {
  return sum_over(a, b, [](double x, double y) { return x * y; });
}

using scored = std::pair<double, std::uint32_t>;

/// The k nearest rows, nearest first; ties go to the smaller row.
std::vector<scored> nearest(const workload& data, std::size_t query, std::size_t k) {
  std::vector<scored> heap;
  heap.reserve(k + 1);
  for (std::size_t row = 0; row < data.size(); ++row) {
    const double distance = exact_distance(data.distance, data.queries.row(query), data.base.row(row));
    const scored candidate{distance, static_cast<std::uint32_t>(row)};
    if (heap.size() == k && !(candidate < heap.front())) continue;
    heap.push_back(candidate);
    std::push_heap(heap.begin(), heap.end());
    if (heap.size() > k) {
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
    }
  }
  std::sort_heap(heap.begin(), heap.end());
  return heap;
}

truth_table compute_truth(const workload& data, std::size_t k, std::size_t threads) {
  truth_table truth{matrix<std::uint32_t>(data.queries.rows, k), matrix<float>(data.queries.rows, k)};
  std::atomic<std::size_t> next{0};
  const progress shown("computing the exact neighbours of " + std::to_string(data.queries.rows) + " queries",
                       [&] { return static_cast<double>(next) / static_cast<double>(data.queries.rows); });
  parallel_for(data.queries.rows, threads, next, [&](std::size_t query, std::size_t) {
    const std::vector<scored> found = nearest(data, query, k);
    for (std::size_t i = 0; i < k; ++i) {
      truth.ids.row(query)[i] = found[i].second;
      truth.distances.row(query)[i] = static_cast<float>(found[i].first);
    }
  });
  return truth;
}

/// An index that adds in single precision cannot tell rows apart that are nearer to each other than this.
double tolerance_at(double distance) { return 1e-7 * std::abs(distance); }

std::vector<double> radii(const workload& data, const truth_table& truth, std::size_t k) {
  std::vector<double> result(truth.ids.rows);
  for (std::size_t query = 0; query < truth.ids.rows; ++query) {
    double radius = -HUGE_VAL;
    for (const std::uint32_t id : truth.ids.row(query).first(k)) {
      radius = std::max(radius, exact_distance(data.distance, data.queries.row(query), data.base.row(id)));
    }
    result[query] = radius;
  }
  return result;
}

/// A truth made for other vectors or another metric would quietly give a wrong recall: a few queries are checked.
void check_truth(const std::string& path, const workload& data, const truth_table& truth, std::size_t k) {
  if (truth.ids.rows != data.queries.rows) {
    throw input_error(path + ": answers " + std::to_string(truth.ids.rows) + " queries, but there are " +
                      std::to_string(data.queries.rows));
  }
  if (truth.ids.columns < k) {
    throw input_error(path + ": has " + std::to_string(truth.ids.columns) +
                      " neighbours a query, --k asks for " + std::to_string(k));
  }
  for (const std::uint32_t id : truth.ids.values) {
    if (id >= data.size())
      throw input_error(path + ": names row " + std::to_string(id) + ", beyond the base");
  }
  const std::vector<double> radius = radii(data, truth, k);
  constexpr std::size_t checked = 5;
  for (std::size_t i = 0; i < std::min(checked, data.queries.rows); ++i) {
    const std::size_t query = i * data.queries.rows / std::min(checked, data.queries.rows);
    const double expected = nearest(data, query, k).back().first;
    if (std::abs(radius[query] - expected) > 1e-6 + 1e-5 * std::abs(expected)) {
      throw input_error(path + ": is not the truth of these vectors under " + name_of(data.distance) +
                        ": neighbour " + std::to_string(k) + " of query " + std::to_string(query) +
                        " is at " + std::to_string(expected) + ", the file says " +
                        std::to_string(radius[query]));
    }
  }
}

}  // namespace

double exact_distance(metric m, std::span<const float> a, std::span<const float> b) {
  if (m == metric::l2) return sum_over(a, b, [](double x, double y) { return (x - y) * (x - y); });
  if (m == metric::ip) return -dot(a, b);
  const double norms = dot(a, a) * dot(b, b);
  return norms == 0 ? 1 : 1 - dot(a, b) / std::sqrt(norms);
}

ground_truth load_truth(const source_options& options, const workload& data, std::size_t k,
                        std::size_t threads) {
  if (k == 0 || k > data.size()) {
    throw input_error("--k " + std::to_string(k) + ": must be between 1 and the " +
                      std::to_string(data.size()) + " base vectors");
  }
  constexpr std::size_t saved_neighbours = 100;
  truth_table truth;
  if (!options.truth.empty() && options.limit == 0) {
    truth = read_truth(options.truth);
    check_truth(options.truth, data, truth, k);
  } else {
    truth = compute_truth(data, std::min(std::max(k, saved_neighbours), data.size()), threads);
  }
  if (!options.save_truth.empty()) {
    if (truth.distances.empty())
      throw input_error("--save-truth: " + options.truth + " has no distances to save");
    write_truth(options.save_truth, truth);
  }
  return {radii(data, truth, k)};
}

double recall_of(const workload& data, const ground_truth& truth, const matrix<std::uint64_t>& ids,
                 std::span<const std::size_t> found) {
  std::size_t correct = 0;
  std::vector<std::uint64_t> seen;
  for (std::size_t query = 0; query < ids.rows; ++query) {
    const double radius = truth.radius[query] + tolerance_at(truth.radius[query]);
    const auto answer = ids.row(query).first(found[query]);
    seen.assign(answer.begin(), answer.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const std::uint64_t id : seen) {
      const auto row = static_cast<std::size_t>(id);
      if (row < data.size() &&
          exact_distance(data.distance, data.queries.row(query), data.base.row(row)) <= radius) {
        ++correct;
      }
    }
  }
  return static_cast<double>(correct) / static_cast<double>(ids.values.size());
}

}  // namespace bench
