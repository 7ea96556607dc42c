// A metric whose result is not a number is refused by the concept, by name.
// expect: metric
#include <alidade/alidade.hpp>
#include <cstddef>
#include <span>
#include <string>

struct manhattan {
#if defined(ALIDADE_COMPILE_FAIL)
  using result = std::string;
#else
  using result = float;
#endif

  result operator()(std::span<const float> a, std::span<const float> b) const {
    float sum = 0.0F;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] < b[i] ? b[i] - a[i] : a[i] - b[i];
#if defined(ALIDADE_COMPILE_FAIL)
    return std::to_string(sum);
#else
    return sum;
#endif
  }
};

int main() {
  const alidade::hnsw_index<float, manhattan> index(8);
  return index.size() == 0 ? 0 : 1;
}
