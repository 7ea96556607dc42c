#include <doctest/doctest.h>

#include <string>

#include <alidade/config/namespace.hpp>
#include <alidade/simd/ops/bytes.hpp>
#include <alidade/simd/vec.hpp>

TEST_CASE("the architecture is the one that this build was made for") {
#if defined(ALIDADE_TEST_EXPECT_ARCH)
  CHECK(std::string(alidade::arch_name()) == ALIDADE_TEST_EXPECT_ARCH);
#endif
  CHECK(std::string(alidade::arch_name()) == ALIDADE_ARCH_NAME);
}

TEST_CASE("the vector of floats has the width of the architecture's registers") {
  const std::string arch = alidade::arch_name();
  const std::size_t lanes = arch == "scalar" ? 1 : arch == "avx512" ? 16 : arch == "avx2" ? 8 : 4;
  CHECK(alidade::simd::f32::lanes == lanes);
  CHECK(alidade::simd::byte_sums::bytes::size == (arch == "scalar" ? 1 : 4 * lanes));
}
