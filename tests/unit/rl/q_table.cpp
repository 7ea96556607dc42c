#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sstream>
#include <streambuf>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <alidade/core/xxhash64.hpp>
#include <alidade/memory/memory_pool.hpp>
#include <alidade/rl/q_table.hpp>

#include "../../counting_new.hpp"
#include "../../support.hpp"

using namespace alidade;

namespace {

template <class T>
constexpr T table_nothing = -std::numeric_limits<T>::infinity();

/// Random values with many ties, some states without some actions, and one without any where there are several states.
template <class T>
q_table<T> table_of(std::size_t states, std::size_t actions, std::uint32_t seed) {
  test::random r(seed);
  q_table<T> table(states, actions, T(-5));
  for (std::size_t s = 0; s < states; ++s) {
    for (std::size_t a = 0; a < actions; ++a) {
      const std::uint32_t kind = r.below(8);
      if (kind == 0 || (states > 1 && s == states / 2)) {
        table.forbid(s, a);
      } else if (kind < 5) {
        table.set(s, a, static_cast<T>(r.below(3)) - T(4));
      } else {
        table.set(s, a, static_cast<T>(r.uniform()) - T(3));
      }
    }
  }
  return table;
}

template <class T>
std::string table_saved(const q_table<T>& table) {
  std::ostringstream out;
  table.save(out);
  return out.str();
}

template <class T>
std::error_code table_load_error(const std::string& bytes) {
  std::istringstream in(bytes);
  std::error_code ec;
  const q_table<T> table = q_table<T>::load(in, nullptr, ec);
  if (ec) {
    CHECK(table == q_table<T>(1, 1));
    in.clear();
    in.seekg(0);
    std::error_code thrown;
    try {
      q_table<T>::load(in);
    } catch (const error& e) {
      thrown = e.code();
      CHECK(e.row() == error::no_row);
    }
    CHECK(thrown == ec);
  }
  return ec;
}

/// The bytes of a file with another number at an offset, and the header's checksum made right again.
template <class Number>
std::string table_forged(std::string bytes, std::size_t offset, Number number) {
  std::memcpy(bytes.data() + offset, &number, sizeof(number));
  std::uint32_t sections = 0;
  std::memcpy(&sections, bytes.data() + 16, sizeof(sections));
  const std::string vouched =
      bytes.substr(0, 32) + bytes.substr(64, std::min<std::size_t>(sections, 64) * 32);
  const std::uint64_t checksum = detail::xxhash64::of(vouched.data(), vouched.size());
  std::memcpy(bytes.data() + 32, &checksum, sizeof(checksum));
  return bytes;
}

/// With another number in a section, whose line is `line`, and all checksums right.
template <class Number>
std::string table_forged_content(std::string bytes, std::size_t line, std::size_t index, Number number) {
  std::uint64_t offset = 0, size = 0;
  std::memcpy(&offset, bytes.data() + 64 + 32 * line + 8, 8);
  std::memcpy(&size, bytes.data() + 64 + 32 * line + 16, 8);
  std::memcpy(bytes.data() + offset + index * sizeof(Number), &number, sizeof(number));
  const std::uint64_t checksum = detail::xxhash64::of(bytes.data() + offset, static_cast<std::size_t>(size));
  return table_forged(bytes, 64 + 32 * line + 24, checksum);
}

/// Takes so many bytes and then no more.
class table_full_disk final : public std::streambuf {
 public:
  explicit table_full_disk(std::size_t room) : room_(room) {}

 private:
  int_type overflow(int_type c) override { return room_ == 0 ? traits_type::eof() : (--room_, c); }
  std::streamsize xsputn(const char*, std::streamsize n) override {
    const auto taken = static_cast<std::streamsize>(std::min(room_, static_cast<std::size_t>(n)));
    room_ -= static_cast<std::size_t>(taken);
    return taken;
  }
  std::size_t room_;
};

/// Writes nothing before it is flushed, and then fails.
class table_late_failure final : public std::streambuf {
 private:
  int_type overflow(int_type c) override { return traits_type::not_eof(c); }
  std::streamsize xsputn(const char*, std::streamsize n) override { return n; }
  int sync() override { return -1; }
};

/// Reads from a string, and remembers the most memory that was in use when something was read.
class table_watched_source final : public std::streambuf {
 public:
  explicit table_watched_source(std::string bytes) : bytes_(std::move(bytes)) {
    setg(bytes_.data(), bytes_.data(), bytes_.data() + bytes_.size());
  }
  std::size_t most_bytes() const { return most_bytes_; }

 private:
  std::streamsize xsgetn(char* to, std::streamsize n) override {
    most_bytes_ = std::max(most_bytes_, test::allocations().bytes);
    return std::streambuf::xsgetn(to, n);
  }
  std::string bytes_;
  std::size_t most_bytes_ = 0;
};

std::string table_hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr const char* digits = "0123456789abcdef";
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string table_from_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

}  // namespace

TEST_CASE_TEMPLATE("rows are of 16 bytes, of 32 or of whole cache lines, aligned and filled up with nothing",
                   T, float, double) {
  for (std::size_t actions = 1; actions <= 130; ++actions) {
    const q_table<T> table(5, actions, T(2));
    const std::size_t used = actions * sizeof(T), row = table.stride() * sizeof(T);
    CHECK(row == (used <= 16 ? 16 : used <= 32 ? 32 : (used + 63) / 64 * 64));
    CHECK(table.states() == 5);
    CHECK(table.actions() == actions);
    CHECK(table.forbidden() == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(table.data()) % 64 == 0);
    CHECK(table.memory_bytes() >= sizeof(table) + 5 * row);
    bool as_said = true;
    for (std::size_t s = 0; s < 5; ++s) {
      as_said = as_said && table[s].data() == table.data() + s * table.stride() && table[s].size() == actions;
      for (std::size_t a = 0; a < table.stride(); ++a) {
        as_said = as_said && table.data()[s * table.stride() + a] == (a < actions ? T(2) : table_nothing<T>);
      }
    }
    CHECK(as_said);
  }
}

TEST_CASE_TEMPLATE("max and argmax are those of a loop, ties going to the lowest action", T, float, double) {
  for (std::size_t actions = 1; actions <= 130; ++actions) {
    constexpr std::uint32_t states = 9;
    const q_table<T> table = table_of<T>(states, actions, static_cast<std::uint32_t>(actions));
    std::vector<std::uint32_t> asked;
    std::vector<T> expected, found(2 * states, T(7));
    bool same = true;
    for (std::uint32_t i = 0; i < 2 * states; ++i) {
      const std::uint32_t s = (i * 5) % states;
      std::size_t best = 0;
      for (std::size_t a = 1; a < actions; ++a) {
        if (table(s, a) > table(s, best)) best = a;
      }
      asked.push_back(s);
      expected.push_back(table(s, best));
      same = same && table.max(s) == table(s, best) && table.argmax(s) == best;
    }
    CHECK(same);
    table.max(asked, found);
    CHECK(found == expected);
    std::error_code ec = errc::not_finite;
    CHECK(table.max(asked, found, ec) == 2 * states);
    CHECK_FALSE(ec);
  }
  // The largest at each place, alone and first of two.
  for (const std::size_t actions : {1u, 2u, 3u, 4u, 5u, 8u, 9u, 16u, 17u, 32u, 33u, 48u, 49u, 130u}) {
    for (std::size_t a = 0; a < actions; ++a) {
      q_table<T> table(3, actions, T(-100));
      table.set(1, a, T(-99));
      CHECK(table.argmax(1) == a);
      CHECK(table.max(1) == T(-99));
      table.set(1, actions - 1, T(-99));
      CHECK(table.argmax(1) == a);
      CHECK(table.argmax(0) == 0);
      CHECK(table.argmax(2) == 0);
    }
  }
}

TEST_CASE("states that are not in the table are named, and nothing is written") {
  const q_table<float> table(10, 3, 1.0f);
  std::vector<std::uint32_t> states{0, 9, 10, 0xffffffffu};
  std::vector<float> out(4, 7.0f);
  std::error_code ec;
  CHECK(table.max(states, out, ec) == 2);
  CHECK(ec == errc::out_of_range);
  try {
    table.max(states, out);
    CHECK(false);
  } catch (const error& e) {
    CHECK(e.code() == errc::out_of_range);
    CHECK(e.row() == 2);
  }
  CHECK(table.max(states, std::span(out).first(3), ec) == 3);
  CHECK(ec == errc::size_mismatch);
  CHECK_THROWS_AS(table.max(std::span(states).first(2), out), error);
  CHECK(out == std::vector<float>(4, 7.0f));
  CHECK(table.max({}, std::span<float>{}, ec) == 0);
  CHECK_FALSE(ec);
}

TEST_CASE_TEMPLATE("what a state does not have is counted, filled around and never the largest", T, float,
                   double) {
  for (const std::size_t actions : {1u, 4u, 5u, 16u, 17u, 40u}) {
    q_table<T> table(4, actions, T(-1e30));
    std::size_t count = 0;
    for (std::size_t a = 0; a < actions; ++a) {
      CHECK(table.allows(2, a));
      table.forbid(2, a);
      table.forbid(2, a);
      CHECK(table.forbidden() == ++count);
      CHECK_FALSE(table.allows(2, a));
      CHECK(table(2, a) == table_nothing<T>);
      if (a + 1 < actions) {
        CHECK(table.argmax(2) == a + 1);
        CHECK(table.max(2) == T(-1e30));
      }
    }
    CHECK(table.max(2) == table_nothing<T>);
    CHECK(table.argmax(2) == 0);
    table.fill(T(3));
    CHECK(table.max(1) == T(3));
    CHECK(table.max(2) == table_nothing<T>);
    CHECK(table.forbidden() == actions);
    table.set(2, actions - 1, T(-7));
    table.set(2, actions - 1, T(-8));
    CHECK(table.forbidden() == actions - 1);
    CHECK(table.max(2) == T(-8));
    CHECK(table.argmax(2) == actions - 1);
    table.set(1, 0, std::numeric_limits<T>::max());
    table.set(3, 0, std::numeric_limits<T>::lowest());
    CHECK(table.forbidden() == actions - 1);
    for (std::size_t i = table.actions(); i < table.stride(); ++i) CHECK(table.data()[i] == table_nothing<T>);
  }
}

TEST_CASE_TEMPLATE("an overflow to NaN in a row does not lead a search for the largest astray", T, float,
                   double) {
  // By the learner values may overflow; here by hand. Whatever the answer is, it is an action.
  for (const std::size_t actions : {1u, 3u, 4u, 6u, 16u, 40u}) {
    q_table<T> table(1, actions);
    T* const values = const_cast<T*>(table.data());
    for (std::size_t a = 0; a < actions; ++a) {
      values[a] = std::numeric_limits<T>::quiet_NaN();
      CHECK(table.argmax(0) < actions);
    }
    std::fill_n(values, actions, std::numeric_limits<T>::infinity());
    CHECK(table.argmax(0) == 0);
  }
}

TEST_CASE("shapes and values out of range are refused") {
  std::error_code ec;
  for (const auto& [states, actions] : {std::pair<std::size_t, std::size_t>{0, 1},
                                        {1, 0},
                                        {0, 0},
                                        {(std::size_t{1} << 31) + 1, 1},
                                        {1, (std::size_t{1} << 20) + 1},
                                        {static_cast<std::size_t>(-1), static_cast<std::size_t>(-1)}}) {
    CHECK_THROWS_AS(q_table<float>(states, actions), error);
    const q_table<double> table(states, actions, 0, nullptr, ec);
    CHECK(ec == errc::invalid_option);
    CHECK(table == q_table<double>(1, 1));
  }
  for (const float initial : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity()}) {
    CHECK_THROWS_AS(q_table<float>(2, 2, initial), error);
    const q_table<float> table(2, 2, initial, nullptr, ec);
    CHECK(ec == errc::invalid_option);
  }
  const q_table<float> largest_row(1, q_table<float>::max_actions, 2.0f, nullptr, ec);
  CHECK_FALSE(ec);
  CHECK(largest_row.max(0) == 2.0f);
}

TEST_CASE_TEMPLATE("tables are copied, moved and compared", T, float, double) {
  const q_table<T> table = table_of<T>(7, 5, 3);
  q_table<T> copy = table;
  CHECK(copy == table);
  CHECK(copy.forbidden() == table.forbidden());
  CHECK(copy.data() != table.data());
  copy.set(6, 4, T(17));
  CHECK_FALSE(copy == table);
  copy = table;
  CHECK(copy == table);
  const T* const values = copy.data();
  q_table<T> moved = std::move(copy);
  CHECK(moved == table);
  CHECK(moved.data() == values);
  q_table<T> other(2, 70, T(1));
  other = std::move(moved);
  CHECK(other == table);
  CHECK(other.forbidden() == table.forbidden());
  const q_table<T>& same = other;
  other = same;
  CHECK(other == table);
  CHECK_FALSE(q_table<T>(2, 3) == q_table<T>(3, 2));
  CHECK_FALSE(q_table<T>(2, 3) == q_table<T>(2, 4));
  CHECK(q_table<T>(2, 3, T(0)) == q_table<T>(2, 3, -T(0)));  // the same numbers
  q_table<T> lacking(2, 3);
  lacking.forbid(1, 2);
  CHECK_FALSE(lacking == q_table<T>(2, 3));
}

TEST_CASE("a table has its memory from its resource, as its copies have") {
  memory_pool pool;
  const std::size_t before = test::allocations().calls;
  {
    q_table<float> table(100, 10, 0.0f, &pool);
    CHECK(pool.stats().used_bytes == table.memory_bytes() - sizeof(table));
    q_table<float> copy = table;
    CHECK(pool.stats().used_bytes == 2 * (table.memory_bytes() - sizeof(table)));
    copy = table;
    CHECK(pool.stats().used_bytes == 2 * (table.memory_bytes() - sizeof(table)));
    q_table<float> elsewhere(3, 3);
    elsewhere = table;
    CHECK(pool.stats().used_bytes == 3 * (table.memory_bytes() - sizeof(table)));
    const q_table<float> moved = std::move(copy);
    CHECK(pool.stats().used_bytes == 3 * (table.memory_bytes() - sizeof(table)));
    std::istringstream in(table_saved(table));
    const q_table<float> loaded = q_table<float>::load(in, &pool);
    CHECK(loaded == table);
    CHECK(pool.stats().used_bytes == 4 * (table.memory_bytes() - sizeof(table)));
  }
  CHECK(pool.stats().used_bytes == 0);
  CHECK(test::allocations().calls > before);
  memory_pool small({.byte_limit = 4096});
  CHECK_THROWS_AS(q_table<float>(1000, 10, 0.0f, &small), memory_pool_exhausted);
  CHECK(small.stats().used_bytes == 0);
}

TEST_CASE_TEMPLATE("a table that was saved and loaded is the same", T, float, double) {
  for (const std::size_t states : {1u, 2u, 7u, 33u}) {
    for (const std::size_t actions : {1u, 2u, 3u, 4u, 5u, 8u, 9u, 16u, 17u, 33u, 70u}) {
      const q_table<T> table =
          table_of<T>(states, actions, static_cast<std::uint32_t>(states * 100 + actions));
      const std::string bytes = table_saved(table);
      std::istringstream in(bytes);
      std::error_code ec = errc::not_finite;
      const q_table<T> loaded = q_table<T>::load(in, nullptr, ec);
      CHECK_FALSE(ec);
      CHECK(loaded == table);
      CHECK(loaded.forbidden() == table.forbidden());
      CHECK(std::memcmp(loaded.data(), table.data(), states * table.stride() * sizeof(T)) == 0);
      CHECK(table_saved(loaded) == bytes);
      CHECK(in.get() == std::istringstream::traits_type::eof());
    }
  }
}

TEST_CASE("two objects follow each other in a stream, and what is behind them stays there") {
  const q_table<float> first = table_of<float>(3, 5, 1);
  const q_table<double> second = table_of<double>(4, 17, 2);
  std::stringstream stream;
  first.save(stream);
  second.save(stream);
  stream << "behind";
  CHECK(q_table<float>::load(stream) == first);
  CHECK(q_table<double>::load(stream) == second);
  std::string rest;
  stream >> rest;
  CHECK(rest == "behind");
}

TEST_CASE_TEMPLATE("a file of which a bit is wrong, or the end is missing, is not believed", T, float,
                   double) {
  const std::string bytes = table_saved(table_of<T>(2, 3, 5));
  CHECK_FALSE(table_load_error<T>(bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    CAPTURE(i);
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string wrong = bytes;
      wrong[i] = static_cast<char>(wrong[i] ^ flip);
      const std::error_code ec = table_load_error<T>(wrong);
      CHECK(ec == (i < 12 ? errc::wrong_format : errc::corrupted_data));
    }
  }
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK(table_load_error<T>(bytes.substr(0, length)) == errc::corrupted_data);
  }
}

TEST_CASE("what is of another kind, version or element type is told apart from what is damaged") {
  const std::string bytes = table_saved(table_of<float>(2, 3, 5));
  CHECK(table_load_error<double>(bytes) == errc::wrong_format);
  CHECK(table_load_error<float>(table_saved(table_of<double>(2, 3, 5))) == errc::wrong_format);
  CHECK(table_load_error<float>(table_forged(bytes, 8, std::uint32_t{0x12345678})) == errc::wrong_format);
  CHECK(table_load_error<float>(table_forged(bytes, 12, std::uint32_t{2})) == errc::unsupported_version);
  CHECK(table_load_error<float>(table_forged(bytes, 12, std::uint32_t{0xffffffff})) ==
        errc::unsupported_version);
  CHECK(table_load_error<float>(table_forged(bytes, 12, std::uint32_t{0})) == errc::unsupported_version);
  CHECK(table_load_error<float>(table_forged(bytes, 20, std::uint32_t{260})) == errc::wrong_format);
  CHECK(table_load_error<float>("") == errc::corrupted_data);
  CHECK(table_load_error<float>(std::string(1000, 'A')) == errc::wrong_format);
  CHECK(table_load_error<float>(std::string(1000, '\0')) == errc::wrong_format);
}

TEST_CASE("a file whose checksums are right may still lie, and is not believed") {
  q_table<float> table(2, 3, 1.0f);
  table.forbid(1, 2);
  const std::string bytes = table_saved(table);
  CHECK_FALSE(table_load_error<float>(table_forged(bytes, 12, std::uint32_t{1})));
  const auto is_corrupted = [](const std::string& b) {
    return table_load_error<float>(b) == errc::corrupted_data;
  };
  constexpr std::uint64_t huge = std::uint64_t{1} << 60, most = static_cast<std::uint64_t>(-1);
  // Number of sections; size of everything; of each line the zero, the offset and the size.
  for (const std::uint32_t n : {0u, 1u, 3u, 64u, 65u, 0xffffffffu})
    CHECK(is_corrupted(table_forged(bytes, 16, n)));
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{64}, std::uint64_t{bytes.size() - 1},
                                std::uint64_t{bytes.size() + 1}, huge, most}) {
    CHECK(is_corrupted(table_forged(bytes, 24, n)));
  }
  for (const std::size_t line : {64u, 96u}) {
    CHECK(is_corrupted(table_forged(bytes, line, detail::name_of("NONE"))));
    CHECK(is_corrupted(table_forged(bytes, line + 4, std::uint32_t{1})));
    for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{64}, std::uint64_t{127},
                                  std::uint64_t{320}, huge, most, most - 63, most / 2}) {
      CHECK(is_corrupted(table_forged(bytes, line + 8, n)));
      if (n != 0 || line == 96) CHECK(is_corrupted(table_forged(bytes, line + 16, n)));
    }
  }
  // The shape: states, actions, stride.
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4}, huge, most,
                                (std::uint64_t{1} << 32) + 2, std::uint64_t{1} << 31}) {
    for (const std::size_t i : {0u, 1u, 2u}) {
      if (n == 4 && i != 0) continue;  // the stride it has, and as many actions as that has room for
      CHECK(is_corrupted(table_forged_content(bytes, 0, i, n)));
    }
  }
  // Values: what fills a row up, NaN and infinity; -infinity is an action that the state does not have.
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(is_corrupted(table_forged_content(bytes, 1, 3, 1.0f)));
  CHECK(is_corrupted(table_forged_content(bytes, 1, 3, nan)));
  CHECK(is_corrupted(table_forged_content(bytes, 1, 7, 0.0f)));
  CHECK(is_corrupted(table_forged_content(bytes, 1, 0, infinity)));
  CHECK(is_corrupted(table_forged_content(bytes, 1, 2, nan)));
  CHECK_FALSE(table_load_error<float>(table_forged_content(bytes, 1, 2, -infinity)));
  std::istringstream in(table_forged_content(bytes, 1, 2, -infinity));
  CHECK(q_table<float>::load(in).forbidden() == 2);
}

TEST_CASE("a file that claims to be huge takes no memory for what does not come") {
  const std::string bytes = table_saved(q_table<float>(2, 3));
  for (const std::uint64_t size : {std::uint64_t{1} << 30, std::uint64_t{1} << 40, std::uint64_t{1} << 60}) {
    // Consistent in itself: the last section is so large, and all of it.
    std::uint64_t offset = 0;
    std::memcpy(&offset, bytes.data() + 96 + 8, sizeof(offset));
    const std::string claims = table_forged(table_forged(bytes, 96 + 16, size), 24, offset + size);
    table_watched_source source(claims);
    std::istream in(&source);
    std::error_code ec;
    const std::size_t before = test::allocations().bytes;
    const q_table<float> table = q_table<float>::load(in, nullptr, ec);
    CHECK(ec == errc::corrupted_data);
    CHECK(source.most_bytes() >= before);
    CHECK(source.most_bytes() < before + (std::size_t{2} << 20));
  }
}

TEST_CASE("a stream that fails is an input/output error") {
  const q_table<float> table(20, 10);
  const std::size_t size = table_saved(table).size();
  for (std::size_t room = 0; room <= size; ++room) {
    table_full_disk disk(room);
    std::ostream out(&disk);
    std::error_code ec;
    table.save(out, ec);
    CHECK(static_cast<bool>(ec) == (room < size));
    if (ec) CHECK(ec == std::errc::io_error);
  }
  table_late_failure buffer;
  std::ostream out(&buffer);
  std::error_code ec;
  table.save(out, ec);
  CHECK(ec == std::errc::io_error);
  out.clear();
  CHECK_THROWS_AS(table.save(out), error);
  std::ostringstream failed;
  failed.setstate(std::ios::badbit);
  table.save(failed, ec);
  CHECK(ec == std::errc::io_error);
  std::istringstream bad(table_saved(table));
  bad.setstate(std::ios::failbit);
  CHECK_THROWS_AS(q_table<float>::load(bad), error);
}

TEST_CASE("the format is what it always was") {
  // A state with the actions 1.5 and -2, made from the description of the format by another program. Lines of 32 bytes.
  const std::string hex =
      "414c49444144450a51544142010000000200000004000000d000000000000000"
      "fd783b93338c5b2b000000000000000000000000000000000000000000000000"
      "534841500000000080000000000000001800000000000000e763e0334a64ac8b"
      "5156414c00000000c00000000000000010000000000000006eb7d91be2872985"
      "0100000000000000020000000000000004000000000000000000000000000000"
      "0000000000000000000000000000000000000000000000000000000000000000"
      "0000c03f000000c0000080ff000080ff";
  q_table<float> table(1, 2, 1.5f);
  table.set(0, 1, -2.0f);
  CHECK(table_hex(table_saved(table)) == hex);
  std::istringstream in(table_from_hex(hex));
  CHECK(q_table<float>::load(in) == table);
}
