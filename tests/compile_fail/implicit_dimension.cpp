// A number is not silently turned into an index.
// expect: conver
#include <alidade/alidade.hpp>

int main() {
#if defined(ALIDADE_COMPILE_FAIL)
  const alidade::hnsw_index<float> index = std::size_t{8};
#else
  const alidade::hnsw_index<float> index(std::size_t{8});
#endif
  return index.empty() ? 0 : 1;
}
