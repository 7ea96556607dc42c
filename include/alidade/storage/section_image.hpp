#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/checked_product.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/xxhash64.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/storage/section_file.hpp>

/// Objects in the format of section_file.hpp that are used where they lie: in memory as in the file.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

/// Makes an image: first its sections are announced by add(), then make_room() is called, then each section is filled, all of
/// it, and finish() gives the image away.
class section_image_writer {
 public:
  explicit section_image_writer(const file_kind& kind) noexcept : kind_(kind) {}

  template <class T>
  void add(section_name name, std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= section_alignment);
    ALIDADE_ASSERT(count_ < max_sections);
    table_[count_++] = {name, 0, 0, checked_product(count, sizeof(T)), 0};
  }

  /// Where the sections are; throws std::bad_array_new_length where std::size_t cannot hold their size, and what the memory throws.
  void make_room(memory_resource* memory) {
    std::uint64_t end = sizeof(file_header) + table().size_bytes();
    for (section& s : std::span(table_).first(count_)) {
      s.offset = next_section(end);
      constexpr std::uint64_t most = std::numeric_limits<std::size_t>::max() / 2;
      if (s.offset > most || s.size > most - s.offset) checked_product(static_cast<std::size_t>(-1), 2);
      end = s.offset + s.size;
    }
    image_ = aligned_bytes(static_cast<std::size_t>(end), memory);
  }

  /// The section of that name, to be filled.
  template <class T>
  std::span<T> get(section_name name) noexcept {
    const auto found = std::find_if(table_.begin(), table_.begin() + count_,
                                    [&](const section& s) { return s.name == name; });
    ALIDADE_ASSERT(found != table_.begin() + count_);
    return {reinterpret_cast<T*>(image_.data() + static_cast<std::size_t>(found->offset)),
            static_cast<std::size_t>(found->size) / sizeof(T)};
  }

  /// A section of one value.
  template <class T>
  void put(section_name name, const T& value) noexcept {
    std::memcpy(get<std::byte>(name).data(), &value, sizeof(T));
  }

  aligned_bytes finish() noexcept {
    std::size_t end = sizeof(file_header) + table().size_bytes();
    for (section& s : std::span(table_).first(count_)) {
      const auto begin = static_cast<std::size_t>(s.offset);
      std::memset(image_.data() + end, 0, begin - end);
      end = begin + static_cast<std::size_t>(s.size);
      s.checksum = xxhash64::of(image_.data() + begin, end - begin);
    }
    const file_header header = header_of(kind_, table(), end);
    std::memcpy(image_.data(), &header, sizeof(header));
    if (count_ != 0) std::memcpy(image_.data() + sizeof(header), table_.data(), table().size_bytes());
    return std::move(image_);
  }

 private:
  std::span<const section> table() const noexcept { return std::span(table_).first(count_); }

  file_kind kind_;
  std::array<section, max_sections> table_{};
  std::size_t count_ = 0;
  aligned_bytes image_;
};

/// Sections of an image that somebody else keeps.
class section_view {
 public:
  /// The image must begin at a multiple of 64, or it is errc::misaligned, and be one object, no more and no less. Further errors:
  /// wrong_format, unsupported_version, corrupted_data; then the view has no sections. Checksums of sections that are longer than
  /// `most_checked` are not looked at.
  errc open(std::span<const std::byte> image, const file_kind& kind, std::size_t most_checked) noexcept {
    image_ = image;
    count_ = 0;
    std::size_t count = 0;
    const errc code = check(kind, most_checked, count);
    if (code == errc{}) count_ = count;
    return code;
  }

  /// Of a section of that name and of `count` elements; empty when there is none.
  template <class T>
  std::span<const T> get(section_name name, std::uint64_t count) const noexcept {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= section_alignment);
    const section* const found = find(name);
    if (found == nullptr || found->size % sizeof(T) != 0 || found->size / sizeof(T) != count) return {};
    return {reinterpret_cast<const T*>(image_.data() + static_cast<std::size_t>(found->offset)),
            static_cast<std::size_t>(count)};
  }

  /// The same; false where there is none of that size. One of no elements need not be there.
  template <class T>
  bool get(section_name name, std::uint64_t count, std::span<const T>& found) const noexcept {
    found = get<T>(name, count);
    return found.size() == count;
  }

  /// One value in a section of its own.
  template <class T>
  bool get(section_name name, T& value) const noexcept {
    const auto found = get<T>(name, 1);
    if (!found.empty()) std::memcpy(&value, found.data(), sizeof(T));
    return !found.empty();
  }

 private:
  errc check(const file_kind& kind, std::size_t most_checked, std::size_t& count) noexcept {
    if (reinterpret_cast<std::uintptr_t>(image_.data()) % section_alignment != 0) return errc::misaligned;
    file_header header;
    if (image_.size() < sizeof(header)) return errc::corrupted_data;
    std::memcpy(&header, image_.data(), sizeof(header));
    if (const errc code = check_header(header, kind); code != errc{}) return code;
    count = header.sections;
    if ((image_.size() - sizeof(header)) / sizeof(section) < count) return errc::corrupted_data;
    if (count != 0) std::memcpy(table_.data(), image_.data() + sizeof(header), count * sizeof(section));
    const std::span<const section> table = std::span(table_).first(count);
    if (const errc code = check_table(header, table, kind); code != errc{}) return code;
    if (header.size != image_.size()) return errc::corrupted_data;
    std::size_t end = sizeof(header) + table.size_bytes();
    for (const section& s : table) {
      const auto begin = static_cast<std::size_t>(s.offset);
      const auto is_zero = [](std::byte b) { return b == std::byte{}; };
      if (!std::all_of(image_.data() + end, image_.data() + begin, is_zero)) return errc::corrupted_data;
      end = begin + static_cast<std::size_t>(s.size);
      if (s.size <= most_checked && xxhash64::of(image_.data() + begin, end - begin) != s.checksum)
        return errc::corrupted_data;
    }
    return errc{};
  }

  const section* find(section_name name) const noexcept {
    const auto end = table_.begin() + count_;
    const auto found = std::find_if(table_.begin(), end, [name](const section& s) { return s.name == name; });
    return found == end ? nullptr : &*found;
  }

  std::span<const std::byte> image_;
  std::array<section, max_sections> table_{};
  std::size_t count_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
