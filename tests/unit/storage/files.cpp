#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <alidade/storage/mapped_file.hpp>
#include <alidade/storage/replace_file.hpp>

#include "../../temporary_path.hpp"

using namespace alidade;

namespace {

std::span<const std::byte> file_span(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

bool file_holds(const mapped_file& file, const std::string& text) {
  return file.bytes().size() == text.size() &&
         (text.empty() || std::memcmp(file.bytes().data(), text.data(), text.size()) == 0);
}

}  // namespace

TEST_CASE("a mapped file is what was written, whatever its length") {
  const test::temporary_path path;
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 100'000u}) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 256);
    std::error_code ec = std::make_error_code(std::errc::io_error);
    detail::replace_file(path.name(), file_span(text), ec);
    CHECK_FALSE(ec);
    mapped_file file(path.name());
    CHECK(file_holds(file, text));
    CHECK(reinterpret_cast<std::uintptr_t>(file.bytes().data()) % 64 == 0);
    mapped_file moved(std::move(file));
    CHECK(file_holds(moved, text));
    mapped_file assigned;
    CHECK(assigned.bytes().empty());
    assigned = mapped_file(path.name());
    assigned = std::move(moved);
    CHECK(file_holds(assigned, text));
  }
}

TEST_CASE("a file that is not there or is none is an error of the system") {
  std::error_code ec;
  const mapped_file missing("/tmp/alidade_there_is_no_such_file", nullptr, ec);
  CHECK(ec == std::errc::no_such_file_or_directory);
  CHECK(missing.bytes().empty());
  const mapped_file folder("/tmp", nullptr, ec);
  CHECK(ec);
  CHECK(folder.bytes().empty());
#if ALIDADE_HAS_EXCEPTIONS
  CHECK_THROWS_AS(mapped_file("/tmp/alidade_there_is_no_such_file"), error);
#endif
}

TEST_CASE("to replace a file leaves what is mapped as it is, and no other file behind") {
  const test::temporary_path path;
  const std::string first(10'000, 'a'), second(7, 'b');
  std::error_code ec;
  detail::replace_file(path.name(), file_span(first), ec);
  const mapped_file before(path.name());
  // What a program that has crashed has left is not touched.
  const std::string left = path.name() + ".new0";
  detail::replace_file(left, file_span("left"), ec);
  detail::replace_file(path.name(), file_span(second), ec);
  CHECK_FALSE(ec);
  CHECK(file_holds(before, first));
  CHECK(path.read() == second);
  CHECK_FALSE(test::temporary_path::exists(path.name() + ".new1"));
#if ALIDADE_HAS_POSIX_FILES
  CHECK(file_holds(mapped_file(left), "left"));
#endif
  std::remove(left.c_str());
}

TEST_CASE("a file that cannot be replaced is as it was") {
  std::error_code ec;
  detail::replace_file("/tmp/alidade_there_is_no_such_folder/file", file_span("text"), ec);
  CHECK(ec == std::errc::no_such_file_or_directory);
  // A folder is not replaced by a file, and what was written beside it is gone.
  detail::replace_file("/tmp/.", file_span("text"), ec);
  CHECK(ec);
  CHECK_FALSE(test::temporary_path::exists("/tmp/..new0"));
}
