#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/core/xxhash64.hpp>
#include <alidade/index/packed_index.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/storage/section_file.hpp>

#include "../../index_support.hpp"
#include "../../support.hpp"
#include "packed_support.hpp"

using namespace alidade;
using test::packed_copy;
using test::packed_floats;
using test::packed_source;
using test::packed_span;

namespace {

/// Makes all checksums of a damaged image right, so that what is behind them is what finds the damage.
void packed_seal(std::span<std::byte> image) {
  detail::file_header header;
  if (image.size() < sizeof(header)) return;
  std::memcpy(&header, image.data(), sizeof(header));
  const std::size_t count = header.sections;
  if (count > detail::max_sections || image.size() < sizeof(header) + count * sizeof(detail::section)) return;
  std::vector<detail::section> table(count);
  std::memcpy(table.data(), image.data() + sizeof(header), count * sizeof(detail::section));
  for (detail::section& s : table) {
    if (s.offset > image.size() || s.size > image.size() - s.offset) continue;
    s.checksum = detail::xxhash64::of(image.data() + s.offset, static_cast<std::size_t>(s.size));
  }
  header.checksum = detail::checksum_of(header, table);
  std::memcpy(image.data() + sizeof(header), table.data(), count * sizeof(detail::section));
  std::memcpy(image.data(), &header, sizeof(header));
}

/// Everything that an index does; what it finds may be anything, in order.
template <class Packed>
bool packed_use(const Packed& packed, const std::vector<float>& query) {
  using T = typename Packed::value_type;
  if (packed.dimension() == 0 || packed.dimension() > 100) return packed.empty();
  std::vector<T> vector;
  for (std::size_t i = 0; i < packed.dimension(); ++i) vector.push_back(T(query[i % query.size()]));
  std::vector<typename Packed::neighbor_type> out(20);
  std::error_code ec;
  bool sorted = true;
  for (const std::size_t ef : {1u, 30u, 2000u}) {
    const std::size_t count = packed.search(vector, {.k = 20, .ef = ef}, out, ec);
    sorted = sorted && std::is_sorted(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count));
  }
  packed.search_exact(vector, 20, out, ec);
  packed.search_in_steps(vector, {.k = 5, .ef = 60}, out, test::growing_width{}, ec);
  static_cast<void>(packed.contains(17));
  static_cast<void>(packed.stats());
  static_cast<void>(packed.graph_checksum());
  return sorted;
}

/// Opens an image in which bytes were changed, checksums right or not, and uses it if it can be opened.
template <class Packed>
struct packed_fuzz {
  detail::aligned_bytes good, bytes;
  std::vector<float> query;
  std::size_t opened = 0, refused = 0;
  bool sorted = true;

  packed_fuzz(const Packed& packed, std::vector<float> query_)
      : good(packed_copy(packed)), bytes(packed_copy(packed)), query(std::move(query_)) {}

  void restore() { std::memcpy(bytes.data(), good.data(), good.size()); }

  void try_both(bool verify = true) {
    for (const bool is_sealed : {false, true}) {
      if (is_sealed) packed_seal({bytes.data(), bytes.size()});
      std::error_code ec;
      const Packed index = Packed::open(packed_span(bytes), {.verify = verify}, {}, ec);
      ++(ec ? refused : opened);
      if (ec) sorted = sorted && index.empty();
      sorted = sorted && packed_use(index, query);
      // Without a new checksum nothing passes.
      if (!is_sealed && verify) CHECK(ec);
    }
  }

  /// Changes each of the bytes [begin, end) in several ways.
  void run(std::size_t begin, std::size_t end, std::size_t step, bool verify = true) {
    for (std::size_t i = begin; i < end; i += step) {
      for (const int flip : {1, 0x80, 0xff}) {
        restore();
        bytes.data()[i] ^= static_cast<std::byte>(flip);
        try_both(verify);
      }
    }
  }
};

/// Where a section of an image is.
detail::section packed_section(std::span<const std::byte> image, const char (&name)[5]) {
  detail::file_header header;
  std::memcpy(&header, image.data(), sizeof(header));
  for (std::size_t i = 0; i < header.sections; ++i) {
    detail::section s;
    std::memcpy(&s, image.data() + sizeof(header) + i * sizeof(s), sizeof(s));
    if (s.name == detail::name_of(name)) return s;
  }
  return {};
}

/// The error of opening an image in which a number of a section was changed, with checksums that are right.
template <class Packed, class Value>
std::error_code packed_changed(const Packed& packed, const char (&section)[5], std::size_t offset,
                               Value value, const open_options& options = {}) {
  detail::aligned_bytes bytes = packed_copy(packed);
  const auto at = static_cast<std::size_t>(packed_section(packed_span(bytes), section).offset) + offset;
  std::memcpy(bytes.data() + at, &value, sizeof(value));
  packed_seal({bytes.data(), bytes.size()});
  std::error_code ec;
  const Packed index = Packed::open(packed_span(bytes), options, {}, ec);
  CHECK(packed_use(index, {0.5f, -0.25f}));
  return ec;
}

}  // namespace

TEST_CASE("what is not the index that is opened is refused, and says why") {
  const packed_floats<> source(30, 8);
  const auto packed = source.index.pack();
  const auto bytes = packed_copy(packed);
  const auto image = packed_span(bytes);
  std::error_code ec;
  const auto refused = [&]<class Index>(std::span<const std::byte> what, errc code, Index*) {
    const Index index = Index::open(what, {}, {}, ec);
    CHECK(ec == code);
    CHECK(index.empty());
    CHECK(index.image().empty());
    CHECK_THROWS_AS(Index::open(what), error);
  };
  using same = packed_index<float>;
  same* const type = nullptr;
  refused(image, errc::wrong_format, static_cast<packed_index<double>*>(nullptr));
  refused(image, errc::wrong_format, static_cast<packed_index<float, metrics::inner_product>*>(nullptr));
  refused(image, errc::wrong_format,
          static_cast<packed_index<float, metrics::reproducible<metrics::l2_squared>>*>(nullptr));
  refused(image.first(image.size() - 1), errc::corrupted_data, type);
  refused({}, errc::corrupted_data, type);
  detail::aligned_bytes shifted(bytes.size() + 8);
  std::memcpy(shifted.data() + 8, bytes.data(), bytes.size());
  refused({shifted.data() + 8, bytes.size()}, errc::misaligned, type);
  // Few vectors have no codes, more would have them.
  CHECK(packed_index<float, metrics::l2_squared, codecs::pca4>::open(image).size() == 30);
  const packed_floats<> more(520, 8);
  const auto without = packed_copy(more.index.pack());
  refused(packed_span(without), errc::wrong_format,
          static_cast<packed_index<float, metrics::l2_squared, codecs::pca4>*>(nullptr));
  const packed_floats<metrics::l2_squared, codecs::pca4> coded(520, 8);
  const auto with = packed_copy(coded.index.pack());
  refused(packed_span(with), errc::wrong_format, type);
  // Sizes do not tell these apart.
  const packed_source<std::int8_t, metrics::l2_squared, codecs::none> signed_bytes(30, 8);
  const auto of_i8 = packed_copy(signed_bytes.index.pack());
  refused(packed_span(of_i8), errc::wrong_format, static_cast<packed_index<std::uint8_t>*>(nullptr));
  const packed_source<f16, metrics::l2_squared, codecs::none> halves(30, 8);
  const auto of_f16 = packed_copy(halves.index.pack());
  refused(packed_span(of_f16), errc::wrong_format, static_cast<packed_index<bf16>*>(nullptr));
  CHECK(same::open(image, {}, {}, ec).size() == 30);
  CHECK_FALSE(ec);
}

TEST_CASE("a later version is refused as one") {
  const packed_floats<> source(3, 8);
  auto bytes = packed_copy(source.index.pack());
  const std::uint32_t later = 2;
  std::memcpy(bytes.data() + 12, &later, sizeof(later));
  packed_seal({bytes.data(), bytes.size()});
  std::error_code ec;
  static_cast<void>(packed_index<float>::open(packed_span(bytes), {}, {}, ec));
  CHECK(ec == errc::unsupported_version);
}

TEST_CASE("which vectors were removed is believed only where it fits the keys") {
  packed_floats<> source(300, 8);
  for (std::size_t i = 0; i < 40; ++i) source.index.remove(source.keys[i]);
  const auto packed = source.index.pack();
  REQUIRE(packed.size() == 260);
  const auto changed = [&](const auto& section, std::size_t offset, auto value) {
    return packed_changed(packed, section, offset, value) == errc::corrupted_data;
  };
  std::uint64_t word = 0;
  std::memcpy(&word,
              packed.image().data() + static_cast<std::size_t>(packed_section(packed.image(), "RMVD").offset),
              sizeof(word));
  for (int bit = 0; bit < 64; ++bit) CHECK(changed("RMVD", 0, word ^ std::uint64_t{1} << bit));
  CHECK(changed("RMVD", 0, ~word));
  // As many, but one of them beyond the last slot.
  std::memcpy(
      &word,
      packed.image().data() + static_cast<std::size_t>(packed_section(packed.image(), "RMVD").offset) + 32,
      sizeof(word));
  REQUIRE(word != 0);
  CHECK(changed("SHAP", 96, std::uint64_t{300}));
  CHECK(changed("RMVD", 32, (word & (word - 1)) | std::uint64_t{1} << 50));
  for (const std::uint64_t count : {0u, 39u, 41u, 300u, 301u}) CHECK(changed("SHAP", 96, count));
  packed_fuzz fuzz(packed, std::vector<float>(source.view()[0].begin(), source.view()[0].end()));
  const auto removed = packed_section(packed.image(), "RMVD");
  const auto begin = static_cast<std::size_t>(removed.offset);
  fuzz.run(begin, begin + static_cast<std::size_t>(removed.size), 1, false);
  CHECK(fuzz.opened == 0);
  CHECK(fuzz.sorted);
}

TEST_CASE("sizes, levels, links and keys that cannot be are found, whatever the checksums") {
  const packed_floats<metrics::l2_squared, codecs::pca4> source(600, 8);
  const auto packed = source.index.pack({.order = node_order::as_given});
  const auto changed = [&](const auto& section, std::size_t offset, auto value) {
    return packed_changed(packed, section, offset, value) == errc::corrupted_data;
  };
  const std::uint64_t huge = ~std::uint64_t{0};
  CHECK(packed_changed(packed, "SHAP", 0, packed.image()[packed.image().size() - 1]) == errc::wrong_format);
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{9}, huge, huge / 2 + 1, std::uint64_t{1} << 30}) {
    CHECK(changed("SHAP", 40, value));                  // dimension
    CHECK(changed("SHAP", 48, value));                  // stride
    CHECK(changed("SHAP", 56, value));                  // count
    CHECK(changed("SHAP", 64, value));                  // M
    CHECK(changed("SHAP", 72, value));                  // rows of upper links
    CHECK(changed("SHAP", 80, value));                  // bytes of a code
    CHECK(changed("SHAP", 88, value));                  // bytes of a model
    if (value != 0) CHECK(changed("SHAP", 96, value));  // removed vectors
  }
  CHECK(changed("SHAP", 104, std::uint32_t{600}));        // the entry point is no node
  CHECK(changed("SHAP", 104, detail::hnsw_graph::npos));  // there is none
  CHECK(changed("SHAP", 108, std::uint32_t{0}));          // it is not of the highest level
  CHECK(changed("SHAP", 108, std::uint32_t{200}));
  CHECK(changed("OPTS", 0, std::uint64_t{0}));                          // ef_construction
  CHECK(changed("OPTS", 16, std::numeric_limits<float>::quiet_NaN()));  // alpha
  CHECK(changed("OPTS", 20, std::uint32_t{2}));                         // fill
  CHECK(changed("LNK0", 0, std::uint32_t{600}));                        // a link to no node
  CHECK(changed("LNK0", 0, std::uint32_t{3} << 30));                    // of no rank
  CHECK(changed("LEVL", 0, std::uint8_t{255}));
  CHECK(changed("UPPR", 4, std::uint32_t{599}));
  CHECK(changed("KORD", 0, std::uint32_t{600}));  // no slot
  CHECK(changed("KORD", 0, std::uint32_t{0x80000000}));
  // A link of level 1 to a node that is on level 0 only.
  std::uint32_t low = 0;
  while (packed.image()[static_cast<std::size_t>(packed_section(packed.image(), "LEVL").offset) + low] !=
         std::byte{})
    ++low;
  CHECK(changed("LNKU", 0, low));
  // One key twice.
  std::uint64_t key = 0;
  std::memcpy(&key,
              packed.image().data() + static_cast<std::size_t>(packed_section(packed.image(), "KEYS").offset),
              8);
  CHECK(changed("KEYS", 8, key));
  // A model of numbers that are none, or none of its own.
  CHECK(changed("MODL", 0, std::uint64_t{0}));     // rows to learn from
  CHECK(changed("MODL", 16, std::uint32_t{128}));  // asked for 128 bytes, and has 64
  CHECK(changed("MODL", 16, std::uint32_t{1}));
  CHECK(changed("MODL", 20, std::uint32_t{128}));
  CHECK(changed("MODL", 24, std::uint32_t{1}));
  CHECK(changed("MODL", 28, std::uint32_t{7}));
  CHECK(changed("MODL", 32, std::numeric_limits<float>::infinity()));
  CHECK(changed("MODL", 32 + 8 * 4, 3.0f));
}

TEST_CASE("vectors that are not finite are refused, or else do no harm") {
  const packed_floats<> source(200, 10);
  const auto packed = source.index.pack();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float x :
       {nan, -nan, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    for (const std::size_t row : {0u, 3u, 199u}) {
      CHECK(packed_changed(packed, "ROWS", row * 64 + 4, x) == errc::corrupted_data);
      CHECK_FALSE(packed_changed(packed, "ROWS", row * 64 + 4, x, {.verify = false}));
    }
  }
  // Nor may a row end in anything but zeros.
  CHECK(packed_changed(packed, "ROWS", 40, 1.0f) == errc::corrupted_data);
  // All of them.
  auto bytes = packed_copy(packed);
  const detail::section rows = packed_section(packed_span(bytes), "ROWS");
  for (std::size_t i = 0; i < rows.size; i += 4)
    std::memcpy(bytes.data() + static_cast<std::size_t>(rows.offset) + i,
                i % 8 == 0 ? &nan : &source.values[0], 4);
  packed_seal({bytes.data(), bytes.size()});
  CHECK(packed_use(packed_index<float>::open(packed_span(bytes), {.verify = false}), {1, 2}));
}

TEST_CASE("no damage to a small image makes it crash") {
  const packed_floats<metrics::cosine, codecs::pca4> source(520, 3, 603, {.M = 2, .ef_construction = 4});
  const auto packed = source.index.pack();
  packed_fuzz fuzz(packed, {0.25f, -1.0f, 0.75f});
  const auto end_of = [&](const char(&name)[5]) {
    const detail::section s = packed_section(packed.image(), name);
    return static_cast<std::size_t>(s.offset + s.size);
  };
  const auto begin_of = [&](const char(&name)[5]) {
    return static_cast<std::size_t>(packed_section(packed.image(), name).offset);
  };
  SUBCASE("each byte of the header, the table, the shape and the settings") {
    fuzz.run(0, end_of("OPTS"), 1);
    fuzz.run(0, end_of("OPTS"), 1, false);
  }
  SUBCASE("each byte of the model") { fuzz.run(begin_of("MODL"), end_of("MODL"), 1); }
  SUBCASE("bytes of all the rest") {
    fuzz.run(end_of("OPTS") + 5, fuzz.good.size(), 241);
    fuzz.run(end_of("OPTS") + 77, fuzz.good.size(), 241, false);
    CHECK(fuzz.opened > 0);
  }
  SUBCASE("several at once") {
    test::random r(604);
    for (int round = 0; round < 300; ++round) {
      fuzz.restore();
      for (std::uint32_t i = r.below(6) + 1; i > 0; --i) {
        const auto at = r.below(static_cast<std::uint32_t>(fuzz.bytes.size()));
        for (std::size_t j = at; j < std::min<std::size_t>(at + 1 + r.below(8), fuzz.bytes.size()); ++j)
          fuzz.bytes.data()[j] ^= static_cast<std::byte>(1 + r.below(255));
      }
      fuzz.try_both(round % 2 == 0);
    }
  }
  SUBCASE("cut off") {
    for (std::size_t size = 0; size < fuzz.good.size(); size += size < 1200 ? 1 : 61) {
      std::error_code ec;
      const auto index = decltype(packed.open({}))::open({fuzz.good.data(), size}, {.verify = false}, {}, ec);
      CHECK(ec == errc::corrupted_data);
      CHECK(index.empty());
    }
  }
  CHECK(fuzz.sorted);
}

TEST_CASE("no damage to an image of one vector or none makes it crash") {
  for (const std::size_t rows : {0u, 1u}) {
    const packed_source<std::uint8_t, metrics::inner_product, codecs::none> source(rows, 2);
    const auto packed = source.index.pack();
    packed_fuzz fuzz(packed, {1.0f, 7.0f});
    fuzz.run(0, fuzz.good.size(), 1);
    fuzz.run(0, fuzz.good.size(), 1, false);
    CHECK(fuzz.sorted);
  }
}
