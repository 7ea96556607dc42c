#pragma once

#include <cstddef>
#include <cstdlib>
#include <string>
#include <system_error>

#include <alidade/config/compiler.hpp>
#include <alidade/config/namespace.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// What data can cause. Every operation that can fail so has two forms, in the manner of `std::filesystem`: one throws
/// alidade::error, the other sets a `std::error_code&` and works under -fno-exceptions too.
enum class errc {
  dimension_mismatch = 1,  ///< a vector, or the columns of a matrix, do not have the index's dimension
  not_finite,              ///< a component is NaN or infinite
  zero_norm,               ///< a vector of norm zero under the cosine metric, which has no direction
  duplicate_key,           ///< the key is in the index already, or twice in one call
  invalid_option,          ///< an option is outside of its documented range
  size_mismatch,           ///< the number of keys differs from the number of rows, or an output is too small
  too_many_rows,           ///< the index would exceed its 2^30 - 1 rows
  budget_exceeded,         ///< the object, or the memory asked for, is more than the budget has room for
  out_of_range,            ///< a state or an action is not one of the table's
  unavailable_action,      ///< the state does not have the action
  wrong_format,  ///< the data are not what they are read as: another kind of file, element type, metric or codec
  unsupported_version,  ///< the data were written by a later version of the library
  corrupted_data,       ///< the data are torn or damaged: a size, a checksum or a value is not possible
  misaligned,           ///< the data, which are used where they lie, do not begin at a multiple of 64 bytes
  cancelled,            ///< who watched the progress of the call wanted no more of it
  unknown_key,          ///< the index has no vector of that key
  not_representable,    ///< a component is beyond the largest number of the type that vectors are stored in
};

namespace detail {

class category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "alidade"; }

  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::dimension_mismatch:
        return "the dimension is not that of the index";
      case errc::not_finite:
        return "a component is NaN or infinite";
      case errc::zero_norm:
        return "the vector has norm zero, which cosine does not define";
      case errc::duplicate_key:
        return "the key is already in use";
      case errc::invalid_option:
        return "an option is out of range";
      case errc::size_mismatch:
        return "the sizes of the arguments do not fit each other";
      case errc::too_many_rows:
        return "the index cannot hold that many rows";
      case errc::budget_exceeded:
        return "the budget has no room for that much";
      case errc::out_of_range:
        return "a state or an action is not in the table";
      case errc::unavailable_action:
        return "the state does not have that action";
      case errc::wrong_format:
        return "the data are of another kind, element type, metric or codec";
      case errc::unsupported_version:
        return "the data are of a later version";
      case errc::corrupted_data:
        return "the data are torn or damaged";
      case errc::cancelled:
        return "it was cancelled";
      case errc::misaligned:
        return "the data do not begin at a multiple of 64 bytes";
      case errc::unknown_key:
        return "the index has no vector of that key";
      case errc::not_representable:
        return "a component is beyond the range of what vectors are stored in";
    }
    return "unknown error";
  }
};

}  // namespace detail

/// The category of the library's error codes; its name is "alidade".
inline const std::error_category& alidade_category() noexcept {
  static const detail::category instance;
  return instance;
}

inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), alidade_category()};
}

/// Thrown by the throwing forms. `code()` compares with alidade::errc, `row()` names the offending row of the call.
class error : public std::system_error {
 public:
  /// The value of row() when the error belongs to no row.
  static constexpr std::size_t no_row = static_cast<std::size_t>(-1);

  explicit error(std::error_code code, std::size_t row = no_row)
      : std::system_error(code,
                          row == no_row ? std::string("alidade") : "alidade: row " + std::to_string(row)),
        row_(row) {}

  std::size_t row() const noexcept { return row_; }

 private:
  std::size_t row_;
};

namespace detail {

/// Out of line, so that the paths that do not fail stay small. Without exceptions the throwing forms end the program.
[[noreturn]] ALIDADE_NOINLINE inline void throw_error(std::error_code code, std::size_t row = error::no_row) {
#if ALIDADE_HAS_EXCEPTIONS
  throw error(code, row);
#else
  static_cast<void>(code);
  static_cast<void>(row);
  std::abort();
#endif
}

}  // namespace detail

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade

template <>
struct std::is_error_code_enum<alidade::errc> : std::true_type {};
