#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <istream>
#include <limits>
#include <ostream>
#include <span>
#include <system_error>
#include <type_traits>
#include <vector>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/core/xxhash64.hpp>

/// How objects are written: a header, a table of sections, then the sections, each at a multiple of 64 bytes.
///
///     0   magic "ALIDADE\n"
///     8   kind of the object, four characters, and its version (uint32)
///     16  number of sections (uint32), element type (uint32: size in bytes, + 256 if it is an integer)
///     24  size of everything in bytes (uint64)
///     32  XXH64 of the bytes 0..31 and of the table (uint64)
///     40  zeros up to 64
///     64  a line for each section: name, four characters; zero (uint32); offset, size in bytes, XXH64 (uint64 each)
///         the sections, with zeros between
///
/// Numbers are little-endian. A reader checks all of this before it believes any of it, and takes memory only for what has
/// arrived.
namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {
namespace detail {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian, as every architecture here is");

/// Four characters as a number whose bytes in memory are they.
using section_name = std::uint32_t;
constexpr section_name name_of(const char (&text)[5]) noexcept {
  section_name name = 0;
  for (int i = 3; i >= 0; --i) name = name << 8 | static_cast<unsigned char>(text[i]);
  return name;
}

struct file_kind {
  section_name name;
  std::uint32_t version;
  std::uint32_t element;

  friend bool operator==(const file_kind&, const file_kind&) = default;
};

template <class T>
constexpr std::uint32_t element_code() noexcept {
  return static_cast<std::uint32_t>(sizeof(T)) + (std::is_integral_v<T> ? 256 : 0);
}

struct section {
  section_name name;
  std::uint32_t zero;
  std::uint64_t offset;
  std::uint64_t size;
  std::uint64_t checksum;
};
static_assert(sizeof(section) == 32 && std::is_trivially_copyable_v<section>);

struct file_header {
  std::array<char, 8> magic;
  std::uint32_t kind;
  std::uint32_t version;
  std::uint32_t sections;
  std::uint32_t element;
  std::uint64_t size;
  std::uint64_t checksum;
  std::array<std::uint64_t, 3> zeros;
};
static_assert(sizeof(file_header) == 64 && std::is_trivially_copyable_v<file_header>);

inline constexpr std::array<char, 8> file_magic{'A', 'L', 'I', 'D', 'A', 'D', 'E', '\n'};
inline constexpr std::size_t section_alignment = 64;
inline constexpr std::size_t max_sections = 64;

constexpr std::uint64_t next_section(std::uint64_t offset) noexcept {
  return (offset + section_alignment - 1) / section_alignment * section_alignment;
}

inline std::uint64_t checksum_of(const file_header& header, std::span<const section> table) noexcept {
  std::array<std::byte, 32 + max_sections * sizeof(section)> bytes;
  std::memcpy(bytes.data(), &header, 32);
  if (!table.empty()) std::memcpy(bytes.data() + 32, table.data(), table.size_bytes());
  return xxhash64::of(bytes.data(), 32 + table.size_bytes());
}

/// What can be told of a header before its table is there.
inline errc check_header(const file_header& header, const file_kind& kind) noexcept {
  if (header.magic != file_magic || header.kind != kind.name) return errc::wrong_format;
  if (header.sections > max_sections || header.zeros != decltype(header.zeros){}) return errc::corrupted_data;
  return errc{};
}

/// And with it: checksum, version, element type, and that the sections lie one behind the other, up to header.size.
inline errc check_table(const file_header& header, std::span<const section> table,
                        const file_kind& kind) noexcept {
  if (header.checksum != checksum_of(header, table)) return errc::corrupted_data;
  if (header.version == 0 || header.version > kind.version) return errc::unsupported_version;
  if (header.element != kind.element) return errc::wrong_format;
  // What the checksum has vouched for may still have been written with intent. Up to here nothing overflows.
  if (header.size > std::numeric_limits<std::uint64_t>::max() / 2) return errc::corrupted_data;
  std::uint64_t end = sizeof(file_header) + table.size_bytes();
  for (const section& s : table) {
    if (s.zero != 0 || s.offset != next_section(end)) return errc::corrupted_data;
    // By subtraction: a sum could wrap, and lead back to the size that it is to have.
    if (s.offset > header.size || s.size > header.size - s.offset) return errc::corrupted_data;
    end = s.offset + s.size;
  }
  return end == header.size ? errc{} : errc::corrupted_data;
}

/// The header of an object that ends at `size`, with that table.
inline file_header header_of(const file_kind& kind, std::span<const section> table,
                             std::uint64_t size) noexcept {
  file_header header{
      file_magic, kind.name, kind.version, static_cast<std::uint32_t>(table.size()), kind.element, size,
      0,          {}};
  header.checksum = checksum_of(header, table);
  return header;
}

/// Collects sections, which must stay where they are until they are written.
class section_writer {
 public:
  explicit section_writer(file_kind kind) noexcept : kind_(kind) {}

  template <class T>
  void add(section_name name, std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    add_bytes(name, {reinterpret_cast<const std::byte*>(values.data()), values.size_bytes()});
  }

  /// A section of one value, which is copied.
  template <class T>
  void add_value(section_name name, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    copies_.emplace_back(bytes, bytes + sizeof(T));
    add_bytes(name, copies_.back());
  }

  /// Of a stream that fails the error is std::errc::io_error; what was written is then of no use.
  void write(std::ostream& out, std::error_code& ec) const {
    ec.clear();
    std::array<section, max_sections> table{};
    std::uint64_t end = sizeof(file_header) + sections_.size() * sizeof(section);
    for (std::size_t i = 0; i < sections_.size(); ++i) {
      const std::span<const std::byte> bytes = sections_[i].bytes;
      table[i] = {sections_[i].name, 0, next_section(end), bytes.size(),
                  xxhash64::of(bytes.data(), bytes.size())};
      end = table[i].offset + bytes.size();
    }
    const std::span<const section> lines(table.data(), sections_.size());
    const file_header header = header_of(kind_, lines, end);
    put(out, &header, sizeof(header));
    put(out, lines.data(), lines.size_bytes());
    std::uint64_t written = sizeof(header) + lines.size_bytes();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      static constexpr std::array<char, section_alignment> zeros{};
      put(out, zeros.data(), static_cast<std::size_t>(lines[i].offset - written));
      put(out, sections_[i].bytes.data(), sections_[i].bytes.size());
      written = lines[i].offset + lines[i].size;
    }
    if (!out.flush()) ec = std::make_error_code(std::errc::io_error);
  }

 private:
  struct part {
    section_name name;
    std::span<const std::byte> bytes;
  };

  void add_bytes(section_name name, std::span<const std::byte> bytes) {
    ALIDADE_ASSERT(sections_.size() < max_sections);
    sections_.push_back({name, bytes});
  }

  static void put(std::ostream& out, const void* data, std::size_t size) {
    if (size != 0) out.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  }

  file_kind kind_;
  std::vector<part> sections_;
  std::deque<std::vector<std::byte>> copies_;
};

/// Sections that were read and checked.
class section_reader {
 public:
  /// Reads one object, and not a byte behind it. Its version may be up to that of `kind`. Errors: wrong_format,
  /// unsupported_version, corrupted_data; then the reader has no sections.
  void read(std::istream& in, file_kind kind, std::error_code& ec) {
    table_.clear();
    bytes_.clear();
    ec = read_header(in, kind);
    if (!ec) ec = read_sections(in);
    if (ec) table_.clear();
  }

  std::uint32_t version() const noexcept { return version_; }

  /// Of a section of that name and of `count` elements; empty when there is none. Aligned to the elements.
  template <class T>
  std::span<const T> get(section_name name, std::uint64_t count) const noexcept {
    const auto found =
        std::find_if(table_.begin(), table_.end(), [name](const section& s) { return s.name == name; });
    if (found == table_.end() || found->size % sizeof(T) != 0 || found->size / sizeof(T) != count) return {};
    return {reinterpret_cast<const T*>(bytes_.data() + static_cast<std::size_t>(found->offset - base_)),
            static_cast<std::size_t>(count)};
  }

  /// One value in a section of its own.
  template <class T>
  bool get(section_name name, T& value) const noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto found = get<T>(name, 1);
    if (!found.empty()) std::memcpy(&value, found.data(), sizeof(T));
    return !found.empty();
  }

 private:
  std::error_code read_header(std::istream& in, const file_kind& kind) {
    file_header header{};
    if (!fill(in, &header, sizeof(header))) return errc::corrupted_data;
    if (const errc code = check_header(header, kind); code != errc{}) return code;
    table_.resize(header.sections);
    if (!fill(in, table_.data(), table_.size() * sizeof(section))) return errc::corrupted_data;
    version_ = header.version;
    return check_table(header, table_, kind);
  }

  std::error_code read_sections(std::istream& in) {
    if (table_.empty()) return {};
    base_ = sizeof(file_header) + table_.size() * sizeof(section);
    const std::uint64_t size = table_.back().offset + table_.back().size - base_;
    if (size > std::numeric_limits<std::size_t>::max() / 2) return errc::corrupted_data;
    while (bytes_.size() < size) {
      const auto chunk = static_cast<std::size_t>(std::min<std::uint64_t>(size - bytes_.size(), chunk_bytes));
      const std::size_t before = bytes_.size();
      bytes_.resize(before + chunk);
      if (!fill(in, bytes_.data() + before, chunk)) return errc::corrupted_data;
    }
    std::size_t end = 0;
    for (const section& s : table_) {
      const auto begin = static_cast<std::size_t>(s.offset - base_);
      const auto is_zero = [](std::byte b) { return b == std::byte{}; };
      if (!std::all_of(bytes_.data() + end, bytes_.data() + begin, is_zero)) return errc::corrupted_data;
      end = begin + static_cast<std::size_t>(s.size);
      if (xxhash64::of(bytes_.data() + begin, end - begin) != s.checksum) return errc::corrupted_data;
    }
    return {};
  }

  static bool fill(std::istream& in, void* data, std::size_t size) {
    if (size != 0) in.read(static_cast<char*>(data), static_cast<std::streamsize>(size));
    return !in.fail();
  }

  static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

  std::vector<section> table_;
  std::vector<std::byte> bytes_;  ///< what lies behind the table; as aligned as operator new aligns
  std::uint64_t base_ = 0;        ///< where that begins in the file: at a multiple of 32
  std::uint32_t version_ = 0;
};

}  // namespace detail
}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
