#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <alidade/memory/aligned.hpp>
#include <alidade/storage/section_file.hpp>
#include <alidade/storage/section_image.hpp>

using namespace alidade;
using detail::aligned_bytes;
using detail::name_of;
using detail::section_image_writer;
using detail::section_view;

namespace {

constexpr detail::file_kind image_kind{name_of("TEST"), 2, detail::element_code<float>()};
constexpr std::size_t image_all = std::numeric_limits<std::size_t>::max();

aligned_bytes image_of_three() {
  section_image_writer writer(image_kind);
  writer.add<std::uint8_t>(name_of("ODD7"), 7);
  writer.add<double>(name_of("NUMB"), 3);
  writer.add<float>(name_of("NONE"), 0);
  writer.add<std::uint32_t>(name_of("ONE1"), 1);
  writer.make_room(nullptr);
  std::fill_n(writer.get<std::uint8_t>(name_of("ODD7")).data(), 7, std::uint8_t{9});
  const auto numbers = writer.get<double>(name_of("NUMB"));
  for (std::size_t i = 0; i < 3; ++i) numbers[i] = static_cast<double>(i) + 0.5;
  writer.put(name_of("ONE1"), std::uint32_t{77});
  return writer.finish();
}

std::span<const std::byte> image_span(const aligned_bytes& bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace

TEST_CASE("an image is the file that a section writer writes") {
  const aligned_bytes image = image_of_three();
  const std::vector<std::uint8_t> odd(7, 9);
  const std::array<double, 3> numbers{0.5, 1.5, 2.5};
  detail::section_writer writer(image_kind);
  writer.add(name_of("ODD7"), std::span<const std::uint8_t>(odd));
  writer.add(name_of("NUMB"), std::span<const double>(numbers));
  writer.add(name_of("NONE"), std::span<const float>());
  writer.add_value(name_of("ONE1"), std::uint32_t{77});
  std::ostringstream out;
  std::error_code ec;
  writer.write(out, ec);
  const std::string file = out.str();
  CHECK(file.size() == image.size());
  CHECK(std::memcmp(file.data(), image.data(), std::min(file.size(), image.size())) == 0);
  std::istringstream in(file);
  detail::section_reader reader;
  reader.read(in, image_kind, ec);
  CHECK_FALSE(ec);
}

TEST_CASE("sections of an image are where they lie") {
  const aligned_bytes image = image_of_three();
  section_view view;
  CHECK(view.open(image_span(image), image_kind, image_all) == errc{});
  const auto numbers = view.get<double>(name_of("NUMB"), 3);
  CHECK(numbers.size() == 3);
  CHECK(reinterpret_cast<std::uintptr_t>(numbers.data()) % 64 == 0);
  CHECK(reinterpret_cast<const std::byte*>(numbers.data()) > image.data());
  CHECK(numbers[2] == 2.5);
  CHECK(view.get<double>(name_of("NUMB"), 2).empty());
  CHECK(view.get<std::uint16_t>(name_of("ODD7"), 3).empty());
  // A count that does not fit any memory has no section.
  CHECK(view.get<double>(name_of("NUMB"), (std::uint64_t{1} << 61) + 3).empty());
  std::uint32_t one = 0;
  CHECK(view.get(name_of("ONE1"), one));
  CHECK(one == 77);
  std::uint64_t wide = 5;
  CHECK_FALSE(view.get(name_of("ONE1"), wide));
  std::span<const float> none;
  CHECK(view.get<float>(name_of("NONE"), 0, none));
  CHECK(view.get<float>(name_of("ELSE"), 0, none));
  CHECK_FALSE(view.get<float>(name_of("ELSE"), 1, none));
}

TEST_CASE("an image that is damaged, cut off, of another kind or out of place is refused") {
  const aligned_bytes good = image_of_three();
  aligned_bytes copy(good.size() + 64);
  section_view view;
  const auto opened = [&](std::size_t size, std::size_t at = 0, std::size_t most = image_all) {
    return view.open({copy.data() + at, size}, image_kind, most);
  };
  std::memcpy(copy.data(), good.data(), good.size());
  CHECK(opened(good.size()) == errc{});
  for (std::size_t i = 0; i < good.size(); ++i) {
    CHECK(opened(i) == errc::corrupted_data);
    CHECK(view.get<double>(name_of("NUMB"), 3).empty());
    copy.data()[i] ^= std::byte{0x40};
    const errc code = opened(good.size());
    CHECK(code == (i < 12 ? errc::wrong_format : errc::corrupted_data));
    copy.data()[i] ^= std::byte{0x40};
  }
  copy.data()[good.size()] = std::byte{};
  CHECK(opened(good.size() + 1) == errc::corrupted_data);
  std::memcpy(copy.data() + 32, good.data(), good.size());
  CHECK(opened(good.size(), 32) == errc::misaligned);
  std::memcpy(copy.data(), good.data(), good.size());
  CHECK(view.open({copy.data(), good.size()}, {name_of("ELSE"), 2, image_kind.element}, image_all) ==
        errc::wrong_format);
  CHECK(view.open({copy.data(), good.size()}, {image_kind.name, 2, detail::element_code<double>()},
                  image_all) == errc::wrong_format);
  CHECK(view.open({copy.data(), good.size()}, {image_kind.name, 1, image_kind.element}, image_all) ==
        errc::unsupported_version);
  CHECK(view.open({}, image_kind, image_all) == errc::corrupted_data);
}

TEST_CASE("checksums of long sections are looked at when that is asked for") {
  const aligned_bytes good = image_of_three();
  section_view view;
  CHECK(view.open(image_span(good), image_kind, image_all) == errc{});
  const auto numbers = view.get<double>(name_of("NUMB"), 3);
  const auto at = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(numbers.data()) - good.data());
  aligned_bytes copy(good.size());
  std::memcpy(copy.data(), good.data(), good.size());
  copy.data()[at] ^= std::byte{1};
  CHECK(view.open(image_span(copy), image_kind, image_all) == errc::corrupted_data);
  CHECK(view.open(image_span(copy), image_kind, 24) == errc::corrupted_data);
  CHECK(view.open(image_span(copy), image_kind, 23) == errc{});
}

TEST_CASE("a table whose sizes add up to the image's only because they overflow is refused") {
  constexpr std::size_t size = 256;
  constexpr std::uint64_t half = std::uint64_t{1} << 63;
  const auto refused = [&](std::span<const detail::section> table, std::uint64_t of) {
    aligned_bytes image(size);
    std::memset(image.data(), 0, size);
    const detail::file_header header = detail::header_of(image_kind, table, of);
    std::memcpy(image.data(), &header, sizeof(header));
    std::memcpy(image.data() + sizeof(header), table.data(), table.size_bytes());
    bool all = detail::check_table(header, table, image_kind) == errc::corrupted_data;
    for (const std::size_t most : {image_all, std::size_t{0}}) {
      section_view view;
      all = all && view.open(image_span(image), image_kind, most) == errc::corrupted_data;
    }
    std::istringstream in(std::string(reinterpret_cast<const char*>(image.data()), size));
    detail::section_reader reader;
    std::error_code ec;
    reader.read(in, image_kind, ec);
    return all && ec == errc::corrupted_data;
  };
  // The first ends just below 2^63, where the second begins, which leads around to the end of the image.
  const std::array<detail::section, 2> around{
      {{name_of("AAAA"), 0, 128, half - 1 - 128, 0}, {name_of("BBBB"), 0, half, half + size, 0}}};
  CHECK(refused(around, size));
  // The second would begin where no number is left.
  const std::array<detail::section, 2> wrapped{
      {{name_of("AAAA"), 0, 128, ~std::uint64_t{0} - 128, 0}, {name_of("BBBB"), 0, 0, size, 0}}};
  CHECK(refused(wrapped, size));
  CHECK(refused(wrapped, ~std::uint64_t{0}));
}
