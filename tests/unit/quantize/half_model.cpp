#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include <alidade/quantize/half_model.hpp>

#include "../../support.hpp"
#include "quantize_support.hpp"

using namespace alidade;

namespace {

using detail::centred_form;

template <class Half, class Options>
struct half_coded : test::coded_rows<detail::half_model<Half, Options>> {
  half_coded(const std::vector<float>& rows_, std::size_t d, centred_form form)
      : test::coded_rows<detail::half_model<Half, Options>>(rows_, d, Options{}) {
    CHECK(this->model.code_bytes() == 1);  // not yet known
    this->learn(form, 0, 1);
  }
  const Half* halves(std::size_t i) const { return reinterpret_cast<const Half*>(this->code(i)); }
};

template <class Half, class Options>
void half_check() {
  for (const std::size_t d : {1u, 2u, 3u, 15u, 16u, 31u, 32u, 33u, 100u, 768u}) {
    test::random r(4);
    const std::vector<float> rows = r.vector<float>(70 * d), query = r.vector<float>(d);
    std::vector<Half> halves, asked;
    for (const float x : rows) halves.push_back(Half(x));
    for (const float x : query) asked.push_back(Half(x));
    for (const centred_form form : test::centred_forms) {
      const half_coded<Half, Options> x(rows, d, form);
      CHECK(x.model.code_bytes() % (2 * d < 64 ? 2 : 64) == 0);
      const std::vector<float> estimates = x.estimates(query);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < 70; ++i) {
        wrong += static_cast<std::size_t>(std::memcmp(x.halves(i), &halves[i * d], 2 * d) != 0);
        for (std::size_t j = 2 * d; j < x.model.code_bytes(); ++j)
          wrong += static_cast<std::size_t>(x.code(i)[j] != 0);
        const std::span<const Half> row(&halves[i * d], d);
        const float exact =
            form == centred_form::distance ? l2_squared(asked, row) : -alidade::inner_product(asked, row);
        wrong += static_cast<std::size_t>(std::abs(exact - estimates[i]) > 1e-5f * static_cast<float>(d));
      }
      CAPTURE(d);
      CHECK(wrong == 0);
    }
  }
}

template <class Half, class Options>
void half_check_extremes(float largest) {
  for (const centred_form form : test::centred_forms) {
    for (const float size : {1e-45f, 1e-38f, 7e4f, 1e30f, 3.4e38f, std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> rows(20 * 9, 1.0f);
      for (std::size_t i = 0; i < 90; ++i) rows[i] = i % 2 == 0 ? size : -size;
      const half_coded<Half, Options> x(rows, 9, form);
      for (std::size_t i = 0; i < 9; ++i) CHECK(std::abs(static_cast<float>(x.halves(0)[i])) <= largest);
      for (const std::size_t query : {0u, 15u}) {
        for (const float e : x.estimates(std::span(rows).subspan(query * 9, 9))) CHECK_FALSE(std::isnan(e));
      }
    }
  }
}

}  // namespace

TEST_CASE("codes of half floats are the halves, and estimates their metric") {
  half_check<f16, codecs::f16>();
  half_check<bf16, codecs::bf16>();
}

TEST_CASE("numbers of any size have codes of finite halves, and no estimate is NaN") {
  half_check_extremes<f16, codecs::f16>(65504.0f);
  half_check_extremes<bf16, codecs::bf16>(0x1.fep+127f);
}
