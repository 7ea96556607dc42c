#include "readers.hpp"

#include "failure.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>

namespace bench {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the readers copy little-endian values as they are");

/// An open file of known length whose errors name it.
class input_file {
 public:
  explicit input_file(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "rb")) {
    if (!file_) fail("cannot be opened");
    if (std::fseek(file_.get(), 0, SEEK_END) != 0) fail("is not a regular file");
    const long end = std::ftell(file_.get());
    if (end < 0 || std::fseek(file_.get(), 0, SEEK_SET) != 0) fail("is not a regular file");
    size_ = static_cast<std::uint64_t>(end);
  }

  [[noreturn]] void fail(const std::string& what) const { throw input_error(path_ + ": " + what); }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  void read(void* to, std::size_t bytes) {
    if (std::fread(to, 1, bytes, file_.get()) != bytes) fail("ends early or cannot be read");
  }
  template <class T>
  [[nodiscard]] T read() {
    T value{};
    read(&value, sizeof value);
    return value;
  }

  /// Throws unless exactly n x d values of the given size follow a header of `header` bytes, and they fit in memory.
  void expect_values(std::uint64_t header, std::uint64_t n, std::uint64_t d, std::uint64_t value_size) const {
    if (n == 0 || d == 0) fail("has no vectors (" + std::to_string(n) + " x " + std::to_string(d) + ")");
    const std::uint64_t body = size_ - std::min(size_, header);
    const bool overflows = n > std::numeric_limits<std::uint64_t>::max() / value_size / d;
    if (overflows || n * d * value_size != body) {
      fail("its header says " + std::to_string(n) + " x " + std::to_string(d) + " values of " +
           std::to_string(value_size) + " bytes, but " + std::to_string(body) + " bytes follow");
    }
    expect_addressable(n, d);
  }

  void expect_addressable(std::uint64_t n, std::uint64_t d) const {
    if (n > std::numeric_limits<std::size_t>::max() / sizeof(double) / d)
      fail("is too large for this machine");
  }

 private:
  struct closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, closer> file_;
  std::uint64_t size_ = 0;
};

std::size_t limited(std::uint64_t rows, std::size_t limit) {
  return static_cast<std::size_t>(limit == 0 ? rows : std::min<std::uint64_t>(rows, limit));
}

template <class T>
matrix<T> read_rows(input_file& file, std::size_t rows, std::size_t columns) {
  matrix<T> result(rows, columns);
  file.read(result.values.data(), result.values.size() * sizeof(T));
  return result;
}

/// .fvecs, .bvecs, .ivecs
template <class T>
matrix<T> read_vecs(const std::string& path, std::size_t limit) {
  input_file file(path);
  if (file.size() < sizeof(std::int32_t)) file.fail("is too short to hold a vector");
  const auto first = file.read<std::int32_t>();
  if (first <= 0) file.fail("its first row has dimension " + std::to_string(first));
  const auto d = static_cast<std::uint64_t>(first);
  const std::uint64_t record = sizeof(std::int32_t) + d * sizeof(T);
  if (file.size() % record != 0) {
    file.fail("its length " + std::to_string(file.size()) + " is no multiple of a row of dimension " +
              std::to_string(d) + " (" + std::to_string(record) + " bytes)");
  }
  file.expect_addressable(file.size() / record, d);
  matrix<T> result(limited(file.size() / record, limit), static_cast<std::size_t>(d));
  for (std::size_t i = 0; i < result.rows; ++i) {
    if (i > 0) {
      const auto dimension = file.read<std::int32_t>();
      if (dimension != first) {
        file.fail("row " + std::to_string(i) + " has dimension " + std::to_string(dimension) +
                  ", the first has " + std::to_string(first));
      }
    }
    file.read(result.row(i).data(), result.columns * sizeof(T));
  }
  return result;
}

/// .fbin, .u8bin
template <class T>
matrix<T> read_bin(const std::string& path, std::size_t limit) {
  input_file file(path);
  if (file.size() < 8) file.fail("is too short to hold a header");
  const auto n = file.read<std::uint32_t>();
  const auto d = file.read<std::uint32_t>();
  file.expect_values(8, n, d, sizeof(T));
  return read_rows<T>(file, limited(n, limit), d);
}

/// The value of `'key': value` in the dictionary that heads an .npy file, up to the comma or brace that ends it.
std::string npy_field(const input_file& file, std::string_view header, std::string_view key) {
  const std::size_t at = header.find(key);
  std::size_t begin = at == std::string_view::npos ? at : header.find(':', at);
  if (begin == std::string_view::npos) file.fail("its header has no " + std::string(key));
  begin = header.find_first_not_of(' ', begin + 1);
  if (begin == std::string_view::npos) file.fail("its header is cut off");
  const bool is_tuple = header[begin] == '(';
  const std::size_t end = header.find_first_of(is_tuple ? ")" : ",}", begin);
  if (end == std::string_view::npos) file.fail("its header is cut off");
  return std::string(header.substr(begin, end - begin + (is_tuple ? 1 : 0)));
}

vectors read_npy(const std::string& path, std::size_t limit) {
  input_file file(path);
  std::array<char, 8> magic{};
  if (file.size() < 12) file.fail("is too short to be an .npy file");
  file.read(magic.data(), magic.size());
  if (std::string_view(magic.data(), 6) != "\x93NUMPY") file.fail("is not an .npy file");
  const bool short_length = magic[6] == 1;
  const std::uint64_t length = short_length ? file.read<std::uint16_t>() : file.read<std::uint32_t>();
  const std::uint64_t data_at = (short_length ? 10U : 12U) + length;
  if (data_at > file.size()) file.fail("its header is cut off");
  std::string header(static_cast<std::size_t>(length), ' ');
  file.read(header.data(), header.size());

  if (npy_field(file, header, "'fortran_order'") != "False")
    file.fail("is in Fortran order; save it in C order");
  unsigned long long n = 0;
  unsigned long long d = 0;
  char tail = 0;
  const std::string shape = npy_field(file, header, "'shape'");
  if (std::sscanf(shape.c_str(), "(%llu ,%llu %c", &n, &d, &tail) != 3 || tail != ')') {
    file.fail("its shape is " + shape + ", not (rows, columns)");
  }
  const std::string type = npy_field(file, header, "'descr'");
  const std::size_t rows = limited(n, limit);
  const auto columns = static_cast<std::size_t>(d);
  if (type == "'<f4'") {
    file.expect_values(data_at, n, d, sizeof(float));
    return read_rows<float>(file, rows, columns);
  }
  if (type == "'|u1'") {
    file.expect_values(data_at, n, d, 1);
    return read_rows<std::uint8_t>(file, rows, columns);
  }
  if (type == "'<f8'") {
    file.expect_values(data_at, n, d, sizeof(double));
    const matrix<double> wide = read_rows<double>(file, rows, columns);
    matrix<float> narrow(rows, columns);
    std::transform(wide.values.begin(), wide.values.end(), narrow.values.begin(),
                   [](double x) { return static_cast<float>(x); });
    return narrow;
  }
  file.fail("its type is " + type + "; f4, f8 and u1 are read");
}

matrix<float> floats_of(const std::string& path, const matrix<std::int32_t>& integers) {
  matrix<float> result(integers.rows, integers.columns);
  constexpr std::int32_t exact = 1 << std::numeric_limits<float>::digits;
  for (std::size_t i = 0; i < integers.values.size(); ++i) {
    const std::int32_t value = integers.values[i];
    if (value < -exact || value > exact)
      throw input_error(path + ": " + std::to_string(value) + " is no exact float");
    result.values[i] = static_cast<float>(value);
  }
  return result;
}

bool has_extension(std::string_view path, std::string_view extension) {
  return path.size() >= extension.size() && path.substr(path.size() - extension.size()) == extension;
}

}  // namespace

vectors read_vectors(const std::string& path, std::size_t limit) {
  if (has_extension(path, ".fvecs")) return read_vecs<float>(path, limit);
  if (has_extension(path, ".bvecs")) return read_vecs<std::uint8_t>(path, limit);
  if (has_extension(path, ".ivecs")) return floats_of(path, read_vecs<std::int32_t>(path, limit));
  if (has_extension(path, ".fbin")) return read_bin<float>(path, limit);
  if (has_extension(path, ".u8bin")) return read_bin<std::uint8_t>(path, limit);
  if (has_extension(path, ".npy")) return read_npy(path, limit);
  throw input_error(path + ": unknown format; .fvecs, .bvecs, .ivecs, .fbin, .u8bin and .npy are read");
}

truth_table read_truth(const std::string& path) {
  truth_table truth;
  if (has_extension(path, ".ivecs")) {
    truth.ids = read_vecs<std::uint32_t>(path, 0);
    return truth;
  }
  input_file file(path);
  if (file.size() < 8) file.fail("is too short to hold a header");
  const auto n = file.read<std::uint32_t>();
  const auto k = file.read<std::uint32_t>();
  file.expect_values(8, n, k, sizeof(std::uint32_t) + sizeof(float));
  truth.ids = read_rows<std::uint32_t>(file, n, k);
  truth.distances = read_rows<float>(file, n, k);
  return truth;
}

void write_truth(const std::string& path, const truth_table& truth) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) throw input_error(path + ": cannot be written");
  const std::array<std::uint32_t, 2> header{static_cast<std::uint32_t>(truth.ids.rows),
                                            static_cast<std::uint32_t>(truth.ids.columns)};
  const std::size_t count = truth.ids.values.size();
  const bool written = std::fwrite(header.data(), sizeof header, 1, file) == 1 &&
                       std::fwrite(truth.ids.values.data(), sizeof(std::uint32_t), count, file) == count &&
                       std::fwrite(truth.distances.values.data(), sizeof(float), count, file) == count;
  if (std::fclose(file) != 0 || !written) throw input_error(path + ": could not be written in full");
}

}  // namespace bench
