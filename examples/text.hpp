#pragma once

// What the examples do with text: files into passages, passages into vectors. No model: a vector holds hashed
// character n-grams, so texts that share parts of words are near.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace text {

namespace fs = std::filesystem;

// --- files into passages ---

constexpr std::size_t longest_file = std::size_t{4} << 20;  // bytes that are read of one file
constexpr std::size_t most_passages = 100'000;  // some 400 MB with the exact index beside the graph
constexpr std::size_t shortest_passage = 80;    // bytes: a heading joins the paragraph below it
constexpr std::size_t longest_passage = 240;    // bytes: more would blur in 256 dimensions

struct passage {
  std::string file;
  std::size_t first_line;
  std::size_t last_line;
  std::string text;
};

struct numbered_line {
  std::size_t number;
  std::string_view text;
};

inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\f\v";
  std::size_t begin = text.find_first_not_of(blanks);
  if (begin != text.npos && text.substr(begin).starts_with("//")) {  // a comment
    begin = std::min(text.find_first_not_of('/', begin), text.size());
    begin = text.find_first_not_of(blanks, begin);
  }
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

// In UTF-8.
inline bool starts_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

// At most the first `most` bytes, cut between words where there are any, else between characters.
inline std::string_view beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t length = text.rfind(' ', most);
  if (length == text.npos || length < most / 2) {
    for (length = most; length > most - 3 && !starts_character(text[length]);) --length;
  }
  return text.substr(0, length);
}

// A passage is a paragraph or, where that is long, some of its lines, beginning with the last one of the passage
// before.
inline void split(const std::string& file, std::string_view text, std::vector<passage>& passages) {
  std::vector<numbered_line> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view rest = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    do {
      lines.push_back({number, beginning(rest, longest_passage)});
      rest = trimmed(rest.substr(lines.back().text.size()));
    } while (!rest.empty());
  }
  for (std::size_t next = 0; next < lines.size() && passages.size() < most_passages;) {
    if (lines[next].text.empty()) {
      ++next;
      continue;
    }
    std::size_t first = next;
    if (next > 0 && !lines[next - 1].text.empty() &&
        lines[next - 1].text.size() + lines[next].text.size() < longest_passage) {
      --first;
    }
    std::string joined(lines[first].text);
    for (next = first + 1; next < lines.size(); ++next) {
      const std::string_view line = lines[next].text;
      if (line.empty() && joined.size() >= shortest_passage) break;
      if (joined.size() + line.size() >= longest_passage) break;
      if (!line.empty()) (joined += ' ') += line;
    }
    passages.push_back({file, lines[first].number, lines[next - 1].number, std::move(joined)});
  }
}

// For a terminal: no control characters.
inline std::string printable(std::string_view text) {
  std::string result(text);
  for (char& byte : result) {
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F) byte = ' ';
  }
  return result;
}

// Hidden folders and build trees hold no text that anybody wrote.
inline bool is_worth_reading(const fs::path& folder) {
  std::error_code ignored;
  return !folder.filename().string().starts_with('.') && folder.filename() != "build" &&
         !fs::exists(folder / "CMakeCache.txt", ignored);
}

// Nothing of a file that cannot be opened or that is not text.
inline std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) std::fprintf(stderr, "%s: cannot be opened\n", path.generic_string().c_str());
  std::error_code ignored;
  std::string text(
      static_cast<std::size_t>(std::min<std::uintmax_t>(fs::file_size(path, ignored), longest_file)), ' ');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.find('\0') != text.npos) text.clear();
  return text;
}

// Adds the passages of a text file, or of all text files below a folder, in the order of their names. A passage
// names its file as seen from `base`, where that is given.
inline std::error_code read_passages(const fs::path& path, const fs::path& base,
                                     std::vector<passage>& passages) {
  std::error_code error;
  std::vector<fs::path> files;
  if (fs::is_regular_file(path, error)) {
    files.push_back(path);
  } else {
    fs::recursive_directory_iterator entry(path, fs::directory_options::skip_permission_denied, error);
    for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
      std::error_code ignored;
      if (entry->is_directory(ignored)) {
        if (!is_worth_reading(entry->path())) entry.disable_recursion_pending();
      } else if (entry->is_regular_file(ignored)) {
        files.push_back(entry->path());
      }
    }
    if (error) return error;
    std::sort(files.begin(), files.end());
  }
  for (const fs::path& file : files) {
    split((base.empty() ? file : file.lexically_relative(base)).generic_string(), read_text(file), passages);
  }
  return {};
}

// --- passages into vectors ---

constexpr std::size_t dimensions = 256;

// Unrelated texts have a cosine of 0, give or take 1 / sqrt(dimensions); twice that may well be chance.
constexpr float chance_similarity = 0.125F;

inline bool is_letter(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
         static_cast<unsigned char>(byte) >= 0x80;
}

inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (char byte : text) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
    if (is_letter(byte)) {
      words.back() += byte;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// FNV-1a, then the mixer of splitmix64, since every bit must depend on every byte.
inline std::uint64_t hash(std::string_view bytes) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char byte : bytes) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// Calls `visit(hash, weight)` for the n-grams, n = 3 to 5 characters, of the words of the text with their ends
// marked: "<to>". A word has the same say however long it is, and its repetitions count less and less.
template <class Visit>
inline void each_feature(std::string_view text, const Visit& visit) {
  std::vector<std::string> words = words_of(text);
  std::sort(words.begin(), words.end());
  std::vector<std::uint64_t> grams;
  for (std::size_t i = 0, next = 0; i < words.size(); i = next) {
    while (next < words.size() && words[next] == words[i]) ++next;
    const std::string marked = '<' + words[i] + '>';
    std::vector<std::size_t> starts;  // of the characters, and the end
    for (std::size_t at = 0; at < marked.size(); ++at) {
      if (starts_character(marked[at])) starts.push_back(at);
    }
    starts.push_back(marked.size());
    grams.clear();
    for (std::size_t n = 3; n <= 5; ++n) {
      for (std::size_t first = 0; first + n < starts.size(); ++first) {
        grams.push_back(
            hash(std::string_view(marked).substr(starts[first], starts[first + n] - starts[first])));
      }
    }
    const double weight =
        (1 + std::log(static_cast<double>(next - i))) / std::sqrt(static_cast<double>(grams.size()));
    for (const std::uint64_t gram : grams) visit(gram, weight);
  }
}

// Feature hashing (Weinberger et al., arXiv 0902.2206) of tf-idf weights. Each feature goes, with a sign, to two
// dimensions, so that two features seldom collide in all they have.
class embedder {
 public:
  explicit embedder(const std::vector<passage>& passages) : passages_(static_cast<double>(passages.size())) {
    for (const passage& each : passages) {
      each_feature(each.text,
                   [&](std::uint64_t gram, double) { ++occurrences_[gram % occurrences_.size()]; });
    }
  }

  // Writes a vector of length 1; false where the text shares nothing with the passages.
  bool operator()(std::string_view text, std::span<float> out) const {
    std::array<double, dimensions> sum{};
    each_feature(text, [&](std::uint64_t gram, double weight) {
      const double seen = occurrences_[gram % occurrences_.size()];
      if (seen == 0) return;
      // The root, because the weight of a shared n-gram enters twice: in the passage and in the question.
      const double value = weight * std::sqrt(std::log(1 + passages_ / seen));
      sum[(gram >> 32) % dimensions] += (gram >> 63 & 1) != 0 ? value : -value;
      sum[(gram >> 40) % dimensions] += (gram >> 62 & 1) != 0 ? value : -value;
    });
    const double norm = std::sqrt(std::inner_product(sum.begin(), sum.end(), sum.begin(), 0.0));
    if (norm == 0) return false;
    std::transform(sum.begin(), sum.end(), out.begin(),
                   [&](double x) { return static_cast<float>(x / norm); });
    return true;
  }

 private:
  double passages_;
  std::vector<std::uint32_t> occurrences_ = std::vector<std::uint32_t>(std::size_t{1} << 20);
};

// Questions that were not indexed: eight words in a row from somewhere in a passage, one of them left out. A
// thousand, or fewer where comparing each with all passages would take long.
inline std::vector<std::string> fragments(const std::vector<passage>& passages) {
  std::vector<std::string> result;
  if (passages.empty()) return result;
  const std::size_t count = std::clamp<std::size_t>(10'000'000 / passages.size(), 200, 1000);
  std::mt19937 random(1);
  while (result.size() < count) {
    const std::vector<std::string> words = words_of(passages[random() % passages.size()].text);
    const std::size_t length = std::min<std::size_t>(8, words.size());
    const std::size_t begin = random() % (words.size() - length + 1);
    const std::size_t left_out = random() % length;
    std::string fragment;
    for (std::size_t word = 0; word < length; ++word) {
      if (word != left_out || length == 1) (fragment += words[begin + word]) += ' ';
    }
    result.push_back(std::move(fragment));
  }
  return result;
}

}  // namespace text
