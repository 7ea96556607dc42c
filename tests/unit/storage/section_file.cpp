#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <alidade/storage/section_file.hpp>

using namespace alidade;
using detail::file_kind;
using detail::name_of;
using detail::section_reader;
using detail::section_writer;

namespace {

constexpr file_kind section_kind{name_of("TEST"), 3, detail::element_code<float>()};

std::string section_bytes_of(const section_writer& writer) {
  std::ostringstream out;
  std::error_code ec = errc::not_finite;
  writer.write(out, ec);
  CHECK_FALSE(ec);
  return out.str();
}

std::error_code section_read(section_reader& reader, const std::string& bytes,
                             file_kind kind = section_kind) {
  std::istringstream in(bytes);
  std::error_code ec = errc::not_finite;
  reader.read(in, kind, ec);
  return ec;
}

}  // namespace

TEST_CASE("the four characters of a name are its bytes") {
  const detail::section_name name = name_of("QTAB");
  CHECK(std::memcmp(&name, "QTAB", 4) == 0);
  CHECK(detail::element_code<float>() == 4);
  CHECK(detail::element_code<double>() == 8);
  CHECK(detail::element_code<std::int8_t>() == 257);
  CHECK(detail::element_code<std::uint32_t>() == 260);
}

TEST_CASE("sections are read as they were written, whatever their number and sizes") {
  std::vector<std::uint8_t> bytes(3000);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
  for (std::size_t count = 0; count <= detail::max_sections; count += count < 4 ? 1 : 15) {
    section_writer writer(section_kind);
    std::uint64_t used = 64 + 32 * count;
    for (std::size_t i = 0; i < count; ++i) {
      // 0, 1, 63, 64, 65 bytes and so on.
      const std::size_t size = std::array<std::size_t, 6>{0, 1, 63, 64, 65, 2900}[i % 6];
      writer.add(static_cast<detail::section_name>(i), std::span<const std::uint8_t>(bytes).subspan(i, size));
      used = (used + 63) / 64 * 64 + size;
    }
    const std::string file = section_bytes_of(writer);
    CHECK(file.size() == used);
    section_reader reader;
    CHECK_FALSE(section_read(reader, file));
    CHECK(reader.version() == 3);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t size = std::array<std::size_t, 6>{0, 1, 63, 64, 65, 2900}[i % 6];
      const auto name = static_cast<detail::section_name>(i);
      const std::span<const std::uint8_t> read = reader.get<std::uint8_t>(name, size);
      CHECK(read.size() == size);
      CHECK((size == 0 || std::memcmp(read.data(), bytes.data() + i, size) == 0));
      CHECK(reader.get<std::uint8_t>(name, size + 1).empty());
      if (size > 1) CHECK(reader.get<std::uint8_t>(name, size - 1).empty());
    }
    CHECK(reader.get<std::uint8_t>(name_of("NONE"), 0).empty());
    CHECK(reader.get<std::uint8_t>(name_of("NONE"), 1).empty());
  }
}

TEST_CASE("a section is of whole elements, aligned to them, or is none") {
  const std::array<double, 3> numbers{1.5, -2, 1e300};
  const std::uint32_t one = 77;
  const std::array<std::uint8_t, 7> odd{1, 2, 3, 4, 5, 6, 7};
  section_writer writer(section_kind);
  writer.add(name_of("ODD7"), std::span<const std::uint8_t>(odd));
  writer.add(name_of("NUMB"), std::span<const double>(numbers));
  writer.add(name_of("ONE1"), std::span<const std::uint32_t>(&one, 1));
  section_reader reader;
  CHECK_FALSE(section_read(reader, section_bytes_of(writer)));
  const std::span<const double> read = reader.get<double>(name_of("NUMB"), 3);
  CHECK(read.size() == 3);
  CHECK(std::memcmp(read.data(), numbers.data(), sizeof(numbers)) == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(read.data()) % alignof(double) == 0);
  CHECK(reader.get<double>(name_of("NUMB"), 2).empty());
  CHECK(reader.get<float>(name_of("NUMB"), 6).size() == 6);
  CHECK(reader.get<std::uint16_t>(name_of("ODD7"), 3).empty());
  std::uint32_t value = 0;
  CHECK(reader.get(name_of("ONE1"), value));
  CHECK(value == 77);
  std::uint64_t wide = 5;
  CHECK_FALSE(reader.get(name_of("ONE1"), wide));
  CHECK_FALSE(reader.get(name_of("NUMB"), wide));
  CHECK(wide == 5);
}

TEST_CASE("older versions are read, later ones and other kinds are not, and then there are no sections") {
  const std::array<float, 2> numbers{1, 2};
  const auto of_version = [&](std::uint32_t version) {
    file_kind kind = section_kind;
    kind.version = version;
    section_writer writer(kind);
    writer.add(name_of("NUMB"), std::span<const float>(numbers));
    return section_bytes_of(writer);
  };
  section_reader reader;
  for (const std::uint32_t version : {1u, 2u, 3u}) {
    CHECK_FALSE(section_read(reader, of_version(version)));
    CHECK(reader.version() == version);
    CHECK(reader.get<float>(name_of("NUMB"), 2).size() == 2);
  }
  CHECK(section_read(reader, of_version(4)) == errc::unsupported_version);
  CHECK(reader.get<float>(name_of("NUMB"), 2).empty());
  CHECK(section_read(reader, of_version(0)) == errc::unsupported_version);
  CHECK_FALSE(section_read(reader, of_version(1)));
  CHECK(section_read(reader, of_version(3), {name_of("ELSE"), 3, section_kind.element}) ==
        errc::wrong_format);
  CHECK(reader.get<float>(name_of("NUMB"), 2).empty());
  CHECK(section_read(reader, of_version(3), {section_kind.name, 3, detail::element_code<double>()}) ==
        errc::wrong_format);
  CHECK_FALSE(section_read(reader, of_version(3)));
  std::string damaged = of_version(3);
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  CHECK(section_read(reader, damaged) == errc::corrupted_data);
  CHECK(reader.get<float>(name_of("NUMB"), 2).empty());
}

TEST_CASE("a section of several pieces is read to its end and no further") {
  // Pieces are of a megabyte: at their borders, and with each of them damaged.
  for (const std::size_t size :
       {(std::size_t{1} << 20) - 32, (std::size_t{1} << 20) - 31, std::size_t{3} << 20}) {
    std::vector<std::uint8_t> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    section_writer writer(section_kind);
    writer.add(name_of("LONG"), std::span<const std::uint8_t>(bytes));
    const std::string file = section_bytes_of(writer);
    std::istringstream in(file + "behind");
    section_reader reader;
    std::error_code ec;
    reader.read(in, section_kind, ec);
    CHECK_FALSE(ec);
    const std::span<const std::uint8_t> read = reader.get<std::uint8_t>(name_of("LONG"), size);
    CHECK(read.size() == size);
    CHECK((read.size() != size || std::memcmp(read.data(), bytes.data(), size) == 0));
    std::string rest;
    in >> rest;
    CHECK(rest == "behind");
    for (const std::size_t at : {std::size_t{200}, size / 2, size}) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      CHECK(section_read(reader, damaged) == errc::corrupted_data);
      CHECK(section_read(reader, file.substr(0, at)) == errc::corrupted_data);
    }
  }
}

TEST_CASE("what has no sections is an object too") {
  const std::string file = section_bytes_of(section_writer(section_kind));
  CHECK(file.size() == 64);
  section_reader reader;
  CHECK_FALSE(section_read(reader, file));
  for (std::size_t i = 0; i < file.size(); ++i) {
    std::string damaged = file;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    CHECK(section_read(reader, damaged) == (i < 12 ? errc::wrong_format : errc::corrupted_data));
    CHECK(section_read(reader, file.substr(0, i)) == errc::corrupted_data);
  }
}
