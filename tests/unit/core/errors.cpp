#include <doctest/doctest.h>

#include <ostream>
#include <string>

#include <alidade/core/errors.hpp>

using alidade::errc;

TEST_CASE("error codes compare with errc and say what happened") {
  const std::error_code code = errc::not_finite;
  CHECK(code == errc::not_finite);
  CHECK(code != errc::zero_norm);
  CHECK(std::string(code.category().name()) == "alidade");
  CHECK(code.message().find("NaN") != std::string::npos);
  for (int value = 1; value <= static_cast<int>(errc::not_representable); ++value) {
    CHECK(make_error_code(static_cast<errc>(value)).message() != "unknown error");
  }
  const int behind_the_last = static_cast<int>(errc::not_representable) + 1;
  CHECK(make_error_code(static_cast<errc>(behind_the_last)).message() == "unknown error");
  CHECK(std::error_code(12345, alidade::alidade_category()).message() == "unknown error");
}

TEST_CASE("an error names its row") {
  const alidade::error e(errc::duplicate_key, 17);
  CHECK(e.row() == 17);
  CHECK(e.code() == errc::duplicate_key);
  CHECK(std::string(e.what()).find("row 17") != std::string::npos);
  CHECK(alidade::error(errc::invalid_option).row() == alidade::error::no_row);
}
