#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>

#if ALIDADE_HAS_MMAP
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// A file as memory that can be read. Where the system can, its pages are mapped: nothing is copied, several processes share
/// them, and what is not used need not be in memory. Elsewhere (WebAssembly, Windows) it is read into memory of its own.
///
/// What is mapped is the file itself: who cuts it off while it is mapped ends the program (SIGBUS), who writes into it changes what
/// was checked. To replace it by another of the same name, as packed_index::save() does, is safe.
class mapped_file {
 public:
  /// Of no file.
  mapped_file() noexcept = default;

  /// Memory is only taken from the resource where files cannot be mapped; null: operator new. Errors are those of the system.
  explicit mapped_file(const std::string& path, memory_resource* memory = nullptr) {
    std::error_code ec;
    open(path, memory, ec);
    if (ec) detail::throw_error(ec);
  }
  mapped_file(const std::string& path, memory_resource* memory, std::error_code& ec) {
    open(path, memory, ec);
  }

  mapped_file(mapped_file&& other) noexcept
      : bytes_(std::exchange(other.bytes_, {})), copy_(std::move(other.copy_)) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    if (this != &other) {
      close();
      bytes_ = std::exchange(other.bytes_, {});
      copy_ = std::move(other.copy_);
    }
    return *this;
  }
  ~mapped_file() { close(); }

  /// What the file holds. They begin at a multiple of 64.
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  /// Of these, those that are a copy in memory.
  std::size_t memory_bytes() const noexcept { return copy_.size(); }

 private:
#if ALIDADE_HAS_MMAP
  void open(const std::string& path, memory_resource*, std::error_code& ec) noexcept {
    ec.clear();
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return fail(errno, ec);
    struct ::stat status {};
    void* address = nullptr;
    int failure = 0;
    if (::fstat(file, &status) != 0) {
      failure = errno;
    } else if (S_ISDIR(status.st_mode)) {
      failure = EISDIR;
    } else if (static_cast<std::uintmax_t>(status.st_size) > std::numeric_limits<std::size_t>::max() / 2) {
      failure = EFBIG;
    } else if (status.st_size != 0) {
      address = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_SHARED, file, 0);
      if (address == MAP_FAILED) failure = errno;
    }
    ::close(file);
    if (failure != 0) return fail(failure, ec);
    bytes_ = {static_cast<const std::byte*>(address), static_cast<std::size_t>(status.st_size)};
  }

  void close() noexcept {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
    bytes_ = {};
  }
#else
  void open(const std::string& path, memory_resource* memory, std::error_code& ec) {
    ec.clear();
    errno = 0;
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    if (!in) return fail(errno != 0 ? errno : ENOENT, ec);
    const std::streamoff size = in.tellg();
    if (size < 0) return fail(EIO, ec);
    if (static_cast<std::uintmax_t>(size) >= std::numeric_limits<std::size_t>::max() / 2)
      return fail(EFBIG, ec);  // a folder may say so too
    detail::aligned_bytes copy(static_cast<std::size_t>(size), memory);
    in.seekg(0);
    if (size != 0) {
      in.read(reinterpret_cast<char*>(copy.data()), static_cast<std::streamsize>(size));
      if (!in) return fail(errno != 0 ? errno : EIO, ec);
    } else {
      in.peek();
      if (errno != 0) return fail(errno, ec);  // a folder, which may look like an empty file
    }
    copy_ = std::move(copy);
    bytes_ = {copy_.data(), copy_.size()};
  }

  void close() noexcept { bytes_ = {}; }
#endif

  static void fail(int code, std::error_code& ec) noexcept { ec.assign(code, std::generic_category()); }

  std::span<const std::byte> bytes_;
  detail::aligned_bytes copy_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
