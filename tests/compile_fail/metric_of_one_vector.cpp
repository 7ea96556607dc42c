// A metric takes two vectors.
// expect: metric
#include <alidade/alidade.hpp>
#include <span>

struct first_component {
#if defined(ALIDADE_COMPILE_FAIL)
  float operator()(std::span<const float> a) const { return a[0]; }
#else
  float operator()(std::span<const float> a, std::span<const float> b) const {
    return a[0] < b[0] ? 0.0F : 1.0F;
  }
#endif
};

int main() {
  const alidade::flat_index<float, first_component> index(8);
  return index.size() == 0 ? 0 : 1;
}
