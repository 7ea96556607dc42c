#include "adaptive_workload.hpp"

#include "parallel.hpp"

#include <alidade/core/random.hpp>
#include <alidade/index/flat_index.hpp>
#include <alidade/index/observer.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <system_error>
#include <utility>

namespace bench {
namespace {

/// The standard distributions differ between libraries.
class generator {
 public:
  explicit generator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }
  /// Nearly normal: the sum of twelve uniforms.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(random_() >> 11U) * 0x1p-53;
    return sum;
  }

 private:
  alidade::splitmix64 random_;
};

double standard_deviation(const matrix<float>& rows) {
  double sum = 0, squares = 0;
  for (const float x : rows.values) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  const auto n = static_cast<double>(rows.values.size());
  return std::sqrt(std::max(squares / n - sum / n * (sum / n), 0.0));
}

void find_truth(const workload& data, query_pool& pool, std::size_t threads) {
  const progress shown("computing the exact neighbours of " + std::to_string(pool.queries.rows) + " queries");
  alidade::flat_index<float> flat(data.dimension());
  std::vector<std::uint64_t> keys(data.size());
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  flat.add(keys, alidade::matrix_view<float>(data.base.values.data(), data.size(), data.dimension()));
  const auto found = flat.search(
      alidade::matrix_view<float>(pool.queries.values.data(), pool.queries.rows, pool.queries.columns),
      {.k = adaptive_k, .threads = threads});
  for (std::size_t q = 0; q < pool.queries.rows; ++q) pool.radius.push_back(found[q].back().distance);
}

}  // namespace

std::uint8_t query_pool::hits(std::size_t query, std::span<const adaptive_index::neighbor_type> found) const {
  const float most = radius[query] * (1 + 1e-6F);
  return static_cast<std::uint8_t>(
      std::count_if(found.begin(), found.end(), [most](const auto& n) { return n.distance <= most; }));
}

query_pool make_pool(const workload& data, std::size_t threads) {
  const std::size_t ordinary = std::min(data.queries.rows, query_pool::wanted / query_pool::kinds);
  const std::size_t others = (query_pool::wanted - ordinary) / 2;
  query_pool pool;
  pool.first = {0, others, others + ordinary, 2 * others + ordinary};
  pool.queries = matrix<float>(pool.first.back(), data.dimension());
  generator random(1);
  const double noise = 0.1 * standard_deviation(data.base);
  for (std::size_t q = 0; q < pool.queries.rows; ++q) {
    const auto out = pool.queries.row(q);
    const auto base = data.base.row(random.below(data.size()));
    if (q < pool.first[1]) {
      std::transform(base.begin(), base.end(), out.begin(), [&](float x) {
        return x == 0 ? x : static_cast<float>(static_cast<double>(x) + noise * random.normal());
      });
    } else if (q < pool.first[2]) {
      const auto given = data.queries.row(q - pool.first[1]);
      std::copy(given.begin(), given.end(), out.begin());
    } else {
      const auto given = data.queries.row(random.below(data.queries.rows));
      std::transform(given.begin(), given.end(), base.begin(), out.begin(),
                     [](float x, float y) { return (x + y) / 2; });
    }
  }
  find_truth(data, pool, threads);
  return pool;
}

std::string name_of_mix(std::size_t mix) {
  const auto& parts = query_stream::mixes[mix];
  return std::to_string(parts[0]) + ':' + std::to_string(parts[1]) + ':' + std::to_string(parts[2]);
}

query_stream make_stream(const query_pool& pool, std::size_t learning, std::size_t measured,
                         std::uint64_t seed) {
  constexpr std::size_t length = query_stream::phase_length, cycle = 4 * length;
  constexpr float low = 0.6F, high = 0.95F;
  query_stream stream;
  generator random(seed);
  for (std::size_t q = 0; q < learning + measured; ++q) {
    const std::size_t mix = q / length % query_stream::mixes.size();
    const auto& parts = query_stream::mixes[mix];
    std::size_t part = random.below(parts[0] + parts[1] + parts[2]), kind = 0;
    while (part >= parts[kind]) part -= parts[kind++];
    const std::size_t first = pool.first[kind], count = pool.first[kind + 1] - first;
    stream.drawn.push_back(static_cast<std::uint32_t>(first + random.below(count)));
    const auto past_half = static_cast<float>(q % cycle) / static_cast<float>(cycle / 2) - 1;
    stream.pressure.push_back(low + (high - low) * std::max(past_half, 0.0F));
    if (q == 0 || q == learning || q % length == 0) stream.phases.push_back({q, q, mix});
    ++stream.phases.back().end;
  }
  return stream;
}

const fixed_answers& fixed_widths::operator[](std::size_t ef) {
  const auto [place, is_new] = known_.try_emplace(ef);
  fixed_answers& answers = place->second;
  if (!is_new) return answers;
  answers.hits.resize(pool_.queries.rows);
  answers.distances.resize(pool_.queries.rows);
  parallel_for(pool_.queries.rows, threads_, [&](std::size_t q, std::size_t) {
    std::array<adaptive_index::neighbor_type, adaptive_k> found;
    std::error_code error;
    alidade::counting_observer counts;
    const std::size_t n =
        index_.search(pool_.queries.row(q), {.k = adaptive_k, .ef = ef}, found, error, counts);
    answers.hits[q] = pool_.hits(q, std::span(found).first(n));
    answers.distances[q] = static_cast<std::uint32_t>(counts.distances);
  });
  return answers;
}

double fixed_widths::recall(std::size_t ef, std::span<const std::uint32_t> drawn) {
  const fixed_answers& answers = (*this)[ef];
  std::uint64_t hits = 0;
  for (const std::uint32_t q : drawn) hits += answers.hits[q];
  return static_cast<double>(hits) / static_cast<double>(adaptive_k * drawn.size());
}

std::size_t fixed_widths::smallest(double wanted, std::span<const std::span<const std::uint32_t>> parts) {
  const auto meets = [&](std::size_t ef) {
    return std::all_of(parts.begin(), parts.end(), [&](auto part) { return recall(ef, part) >= wanted; });
  };
  std::size_t below = adaptive_k - 1, ef = adaptive_k;
  while (!meets(ef)) {
    if (ef == max_ef_) return 0;
    below = std::exchange(ef, std::min(next(ef), max_ef_));
  }
  for (++below; below < ef; ++below) {
    if (meets(below)) return below;
  }
  return ef;
}

}  // namespace bench
