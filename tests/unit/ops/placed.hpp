#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace test {

/// Numbers that end where their allocation ends and start at a chosen misalignment, so that the address sanitizer sees
/// every access out of bounds.
template <class T>
struct placed {
  std::vector<T> storage;
  std::size_t offset;

  placed(std::span<const T> values, std::size_t offset_) : storage(offset_ + values.size()), offset(offset_) {
    if (!values.empty()) std::memcpy(storage.data() + offset, values.data(), values.size_bytes());
  }
  placed(std::size_t size, std::size_t offset_) : storage(offset_ + size), offset(offset_) {}

  std::span<T> span() { return std::span<T>(storage).subspan(offset); }
  std::span<const T> span() const { return std::span<const T>(storage).subspan(offset); }
};

/// 0 .. 300, and lengths about multiples of every register width and of the blocks in which sums are taken.
inline std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 0; n <= 300; ++n) all.push_back(n);
  for (const std::size_t n : {511u, 512u, 513u, 1023u, 1024u, 1025u, 1026u, 2047u, 2049u, 3333u})
    all.push_back(n);
  return all;
}

}  // namespace test
