// Search your own text: cut it into passages, turn each into a vector, index the vectors, ask questions.
//
//   example_01_quickstart                              the documentation and sources of this repository
//   example_01_quickstart --files notes/ paper.txt     your own files and folders
//   example_01_quickstart --query "how to unmount"     your own questions; --interactive asks for them
//
// The vectors are hashed character n-grams (text.hpp), so there is no model to download. Put your own embeddings
// in their place and keep the rest. The part that is alidade's is marked in main().

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <alidade/alidade.hpp>

#include "text.hpp"

#ifndef ALIDADE_SOURCE_DIR
#define ALIDADE_SOURCE_DIR "."
#endif

namespace {

constexpr double wanted_recall = 0.95;

using view = alidade::matrix_view<float>;
using neighbors = std::vector<alidade::neighbor<float>>;
using steady = std::chrono::steady_clock;

double seconds_since(steady::time_point start) {
  return std::chrono::duration<double>(steady::now() - start).count();
}

// --- what the user asks for --------------------------------------------------------------------------------

constexpr const char* usage =
    "usage: example_01_quickstart [--files PATH...] [--query TEXT]... [--interactive]\n"
    "Searches text files and folders of them, without --files the documentation and sources of alidade.\n"
    "Hidden folders, build trees and what is not text are left out; of a file 4 MiB are read.\n";

struct request {
  std::vector<std::filesystem::path> files;
  std::vector<std::string> questions;
  bool interactive = false;
};

std::optional<request> parse(std::span<char*> arguments) {
  request result;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view option = arguments[i];
    const auto value_follows = [&] {
      return i + 1 < arguments.size() && !std::string_view(arguments[i + 1]).starts_with("--");
    };
    if (option == "--interactive") {
      result.interactive = true;
    } else if (option == "--query" && value_follows()) {
      result.questions.emplace_back(arguments[++i]);
    } else if (option == "--files" && value_follows()) {
      while (value_follows()) result.files.emplace_back(arguments[++i]);
    } else {
      return std::nullopt;
    }
  }
  return result;
}

// --- what it costs and how good it is ----------------------------------------------------------------------

struct measurement {
  std::vector<neighbors> answers;
  std::vector<double> microseconds;  // of each query, ascending

  double percentile(double p) const {
    return microseconds[static_cast<std::size_t>(p / 100 * static_cast<double>(microseconds.size() - 1))];
  }
};

template <class Search>
measurement measure(view queries, const Search& search) {
  measurement result;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const auto start = steady::now();
    result.answers.push_back(search(queries[i]));
    result.microseconds.push_back(seconds_since(start) * 1e6);
  }
  std::sort(result.microseconds.begin(), result.microseconds.end());
  return result;
}

// The share of the answers that are as near as the exact ones: of equally near passages any will do.
double recall(const measurement& found, const measurement& exact) {
  std::size_t right = 0;
  std::size_t all = 0;
  for (std::size_t i = 0; i < exact.answers.size(); ++i) {
    const float farthest =
        exact.answers[i].back().distance + 1e-6F;  // the two searches may round differently
    right +=
        static_cast<std::size_t>(std::count_if(found.answers[i].begin(), found.answers[i].end(),
                                               [&](const auto& each) { return each.distance <= farthest; }));
    all += exact.answers[i].size();
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

// --- answers -----------------------------------------------------------------------------------------------

// The three best, without those that repeat or overlap a better one, and without what is near by chance.
void print_answers(const std::string& question, const neighbors& found,
                   const std::vector<text::passage>& passages) {
  std::printf("? %s\n", text::printable(question).c_str());
  std::vector<const text::passage*> shown;
  for (const auto& [key, distance] : found) {
    const text::passage& answer = passages[key];
    const bool is_new = std::none_of(shown.begin(), shown.end(), [&](const text::passage* better) {
      return answer.text == better->text ||
             (answer.file == better->file && answer.first_line <= better->last_line &&
              better->first_line <= answer.last_line);
    });
    const float similarity = 1 - distance;
    if (!is_new || shown.size() == 3 || similarity < text::chance_similarity) continue;
    shown.push_back(&answer);
    std::printf("  %.2f  %s:%zu\n        %s\n", similarity, text::printable(answer.file).c_str(),
                answer.first_line, text::printable(text::beginning(answer.text, 100)).c_str());
  }
  std::puts(shown.empty() ? "  nothing here is like it\n" : "");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(usage, stdout);
    return 0;
  }
  std::optional<request> asked = parse({argv, static_cast<std::size_t>(argc)});
  if (!asked) {
    std::fputs(usage, stderr);
    return 2;
  }
  const std::filesystem::path repository =
      std::filesystem::exists(ALIDADE_SOURCE_DIR) ? ALIDADE_SOURCE_DIR : ".";
  const bool own_text = !asked->files.empty();
  const bool own_questions = !asked->questions.empty() || asked->interactive;
  if (!own_text) asked->files = {repository};

  auto start = steady::now();
  std::vector<text::passage> passages;
  for (const std::filesystem::path& path : asked->files) {
    if (const std::error_code error = text::read_passages(path, own_text ? "" : repository, passages)) {
      std::fprintf(stderr, "%s: %s\n", path.generic_string().c_str(), error.message().c_str());
      return 2;
    }
  }
  const bool is_full = passages.size() == text::most_passages;
  if (!own_text && !own_questions) {
    asked->questions = {
        "how are the neighbours of a node pruned",
        "NaN or infinity in a row is an error",
        "how is the SIMD architecture chosen",
        "write results as JSON lines",
    };
    std::erase_if(
        passages, [&](const text::passage& each) {  // to quote them, as this file does, is no answer
          return std::any_of(
              asked->questions.begin(), asked->questions.end(),
              [&](const std::string& question) { return each.text.find(question) != std::string::npos; });
        });
  }
  const text::embedder embed(passages);
  std::vector<float> vectors;
  std::vector<float> vector(text::dimensions);
  std::erase_if(passages, [&](const text::passage& each) {
    if (!embed(each.text, vector)) return true;  // it has no letters
    vectors.insert(vectors.end(), vector.begin(), vector.end());
    return false;
  });
  const std::vector<std::string> fragments = text::fragments(passages);
  std::vector<float> held_out;
  for (const std::string& fragment : fragments) {
    if (embed(fragment, vector)) held_out.insert(held_out.end(), vector.begin(), vector.end());
  }
  if (held_out.empty()) {
    std::fputs("there is no text in these files\n", stderr);
    return 2;
  }
  if (own_text && !own_questions) {
    asked->questions.assign(fragments.begin(), fragments.begin() + (passages.size() < 3 ? 1 : 3));
  }
  const double embedding_seconds = seconds_since(start);
  const view rows(vectors.data(), passages.size(), text::dimensions);
  const view queries(held_out.data(), held_out.size() / text::dimensions, text::dimensions);
  std::vector<std::uint64_t> keys(passages.size());  // a key is whatever number finds your data again
  std::iota(keys.begin(), keys.end(), 0);

  std::fprintf(stderr, "indexing %zu passages ...\n\n", passages.size());

  // --- alidade: an index, built with all cores, and a search

  start = steady::now();
  alidade::hnsw_index<float, alidade::metrics::cosine> index(text::dimensions);
  index.add(keys, rows, {.threads = 0});
  const double build_seconds = seconds_since(start);

  std::size_t ef = 16;  // the candidates that a search keeps: more of them find more, and take longer
  const auto search = [&](std::span<const float> query) { return index.search(query, {.k = 10, .ef = ef}); };

  // --- is it right? Exact search knows: ef grows until the two agree.

  alidade::flat_index<float, alidade::metrics::cosine> exact_index(text::dimensions);
  exact_index.add(keys, rows);
  const auto exact = measure(queries, [&](auto query) { return exact_index.search(query, {.k = 10}); });
  auto found = measure(queries, search);
  for (; recall(found, exact) < wanted_recall && ef < index.size(); found = measure(queries, search)) ef *= 2;

  // --- what came of it

  const auto answer = [&](const std::string& question) {
    print_answers(question, embed(question, vector) ? search(vector) : neighbors{}, passages);
  };
  for (const std::string& question : asked->questions) answer(question);
  if (asked->interactive) std::puts("Ask; an empty line ends.");
  for (std::string line; asked->interactive && std::getline(std::cin, line) && !line.empty();) answer(line);

  std::printf("passages     %zu%s\n", index.size(), is_full ? ", the rest left out" : "");
  std::printf("dimensions   %zu\n", index.dimension());
  std::printf("embedding    %.2f s, with reading the files\n", embedding_seconds);
  std::printf("build        %.2f s\n", build_seconds);
  std::printf("recall@10    %.3f at ef %zu, %zu held-out queries\n", recall(found, exact), ef,
              queries.rows());
  std::printf("latency      p50 %.0f us, p95 %.0f us, p99 %.0f us\n", found.percentile(50),
              found.percentile(95), found.percentile(99));
  std::printf("speed-up     %.1fx over exact search\n", exact.percentile(50) / found.percentile(50));
  std::printf("memory       %zu bytes a vector, %zu of them its numbers\n",
              index.memory_bytes() / index.size(), text::dimensions * sizeof(float));
  std::printf("SIMD         %s\n", alidade::arch_name());
  if (recall(found, exact) < wanted_recall) {
    std::fprintf(stderr, "the recall is below %.2f\n", wanted_recall);
    return 1;
  }
  return 0;
}
