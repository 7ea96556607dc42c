#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <istream>
#include <ostream>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include <alidade/config/assert.hpp>
#include <alidade/config/namespace.hpp>
#include <alidade/core/bits.hpp>
#include <alidade/core/checked_product.hpp>
#include <alidade/core/errors.hpp>
#include <alidade/memory/aligned.hpp>
#include <alidade/memory/memory_resource.hpp>
#include <alidade/rl/detail/q_rows.hpp>
#include <alidade/storage/section_file.hpp>

namespace alidade {
inline namespace ALIDADE_ABI_NAMESPACE {

/// Action values Q(s, a) of finitely many states and actions: a row for each state, aligned and padded so that its largest
/// value is a few vector operations. T is float or double.
///
/// A state need not have every action: what it does not have is -infinity, which no maximum and no policy chooses (an
/// action mask that is a function of the state). Values are finite otherwise.
///
///     row of 4 floats or 2 doubles     16 bytes
///     row of 8 or 4                    32
///     longer rows                      whole cache lines of 64; the rest of a row is -infinity
///
/// Reading from several threads at once is safe, writing is not. A moved-from table may only be destroyed or assigned to.
template <class T = float>
class q_table {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "values are float or double");

 public:
  using value_type = T;
  static constexpr std::size_t max_states = std::size_t{1} << 31;
  static constexpr std::size_t max_actions = std::size_t{1} << 20;

  /// 1..2^31 states, 1..2^20 actions, of which each value is `initial`; else, and where that is not finite,
  /// errc::invalid_option. Memory is of the resource, which must outlive the table, or of operator new.
  q_table(std::size_t states, std::size_t actions, T initial = 0, memory_resource* memory = nullptr)
      : q_table(unchecked{}, states, actions, initial, memory) {
    if (!valid(states, actions, initial)) detail::throw_error(errc::invalid_option);
  }
  q_table(std::size_t states, std::size_t actions, T initial, memory_resource* memory, std::error_code& ec)
      : q_table(unchecked{}, states, actions, initial, memory) {
    ec = valid(states, actions, initial) ? std::error_code{} : make_error_code(errc::invalid_option);
  }

  /// A copy has its memory from the same resource.
  q_table(const q_table& other)
      : states_(other.states_),
        actions_(other.actions_),
        stride_(other.stride_),
        unavailable_(other.unavailable_),
        memory_(other.memory_),
        bytes_(other.bytes_.size(), other.memory_) {
    std::memcpy(bytes_.data(), other.bytes_.data(), bytes_.size());
  }
  q_table& operator=(const q_table& other) { return *this = q_table(other); }
  q_table(q_table&&) noexcept = default;
  q_table& operator=(q_table&&) noexcept = default;
  ~q_table() = default;

  std::size_t states() const noexcept { return states_; }
  std::size_t actions() const noexcept { return actions_; }
  /// Elements from the start of a row to the start of the next.
  std::size_t stride() const noexcept { return stride_; }
  const T* data() const noexcept { return reinterpret_cast<const T*>(bytes_.data()); }
  std::size_t memory_bytes() const noexcept { return sizeof(*this) + bytes_.size(); }

  std::span<const T> operator[](std::size_t state) const noexcept { return {row(state), actions_}; }
  T operator()(std::size_t state, std::size_t action) const noexcept {
    ALIDADE_ASSERT(action < actions_);
    return row(state)[action];
  }

  /// The state has the action from now on. A value that is not finite is an assertion.
  void set(std::size_t state, std::size_t action, T value) noexcept {
    ALIDADE_ASSERT(action < actions_ && detail::is_finite(value));
    T& entry = row(state)[action];
    if (detail::is_no_value(entry) && unavailable_ != 0) --unavailable_;
    entry = value;
  }

  /// The state does not have the action from now on.
  void forbid(std::size_t state, std::size_t action) noexcept {
    ALIDADE_ASSERT(action < actions_);
    T& entry = row(state)[action];
    if (!detail::is_no_value(entry)) ++unavailable_;
    entry = detail::no_value<T>;
  }
  bool allows(std::size_t state, std::size_t action) const noexcept {
    return !detail::is_no_value((*this)(state, action));
  }
  /// How many entries states do not have.
  std::size_t forbidden() const noexcept { return unavailable_; }

  /// All entries that states have get this value.
  void fill(T value) noexcept {
    ALIDADE_ASSERT(detail::is_finite(value));
    for (std::size_t s = 0; s < states_; ++s) {
      for (std::size_t a = 0; a < actions_; ++a) {
        if (allows(s, a)) row(s)[a] = value;
      }
    }
  }

  /// max_a Q(state, a); -infinity where the state has no action.
  T max(std::size_t state) const noexcept {
    const T* const values = row(state);
    return detail::with_rows<T>(stride_, [values](const auto& rows) { return rows.maximum(values); });
  }

  /// The lowest of the actions with the largest value; 0 where the state has none.
  std::uint32_t argmax(std::size_t state) const noexcept {
    const std::uint32_t action = detail::lowest_action_with(row(state), stride_, max(state));
    return action < actions_ ? action
                             : 0;  // of values that have become NaN what fills the row up may be the largest
  }

  /// out[i] = max_a Q(states[i], a). Lengths differ: errc::size_mismatch. A state that is not in the table:
  /// errc::out_of_range, whose row is i. Then nothing is written.
  void max(std::span<const std::uint32_t> states, std::span<T> out) const {
    std::error_code ec;
    const std::size_t bad = max(states, out, ec);
    if (ec) detail::throw_error(ec, bad);
  }
  /// Returns how many were written, or the i of the error.
  std::size_t max(std::span<const std::uint32_t> states, std::span<T> out,
                  std::error_code& ec) const noexcept {
    ec.clear();
    if (states.size() != out.size()) {
      ec = errc::size_mismatch;
      return std::min(states.size(), out.size());
    }
    for (std::size_t i = 0; i < states.size(); ++i) {
      if (states[i] < states_) continue;
      ec = errc::out_of_range;
      return i;
    }
    detail::with_rows<T>(stride_, [&](const auto& rows) {
      for (std::size_t i = 0; i < states.size(); ++i)
        out[i] = rows.maximum(data() + states[i] * rows.stride());
    });
    return states.size();
  }

  /// Whether all values are the same numbers.
  friend bool operator==(const q_table& a, const q_table& b) noexcept {
    if (a.states_ != b.states_ || a.actions_ != b.actions_) return false;
    return std::equal(a.data(), a.data() + a.states_ * a.stride_, b.data());
  }

  /// Writes the table in binary form (see storage/section_file.hpp; kind "QTAB"). A stream that fails is
  /// std::errc::io_error.
  void save(std::ostream& out) const {
    std::error_code ec;
    save(out, ec);
    if (ec) detail::throw_error(ec);
  }
  void save(std::ostream& out, std::error_code& ec) const {
    const std::array<std::uint64_t, 3> shape{states_, actions_, stride_};
    detail::section_writer writer(file_kind);
    writer.add(detail::name_of("SHAP"), std::span<const std::uint64_t>(shape));
    writer.add(detail::name_of("QVAL"), std::span<const T>(data(), states_ * stride_));
    writer.write(out, ec);
  }

  /// Reads what save() wrote, and no byte behind it: the same table. Anything else is errc::wrong_format (other data, or of
  /// another element type), unsupported_version or corrupted_data: sizes, checksums and each value are checked.
  static q_table load(std::istream& in, memory_resource* memory = nullptr) {
    std::error_code ec;
    q_table table = load(in, memory, ec);
    if (ec) detail::throw_error(ec);
    return table;
  }
  /// Returns a table of one entry where there is an error.
  static q_table load(std::istream& in, memory_resource* memory, std::error_code& ec) {
    detail::section_reader reader;
    reader.read(in, file_kind, ec);
    std::array<std::uint64_t, 3> shape{};
    if (!ec && !reader.get(detail::name_of("SHAP"), shape)) ec = errc::corrupted_data;
    const bool fits = shape[0] <= max_states && shape[1] <= max_actions;
    const auto states = static_cast<std::size_t>(fits ? shape[0] : 0);
    const auto actions = static_cast<std::size_t>(fits ? shape[1] : 0);
    const std::size_t stride = detail::q_row_stride<T>(actions);
    if (!ec && (!valid(states, actions, 0) || shape[2] != stride)) ec = errc::corrupted_data;
    std::span<const T> values;
    if (!ec) values = reader.get<T>(detail::name_of("QVAL"), std::uint64_t{states} * stride);
    if (!ec && (values.empty() || !are_possible(values, actions, stride))) ec = errc::corrupted_data;
    if (ec) return q_table(unchecked{}, 1, 1, 0, memory);
    q_table table(unchecked{}, states, actions, 0, memory);
    std::memcpy(table.bytes_.data(), values.data(), values.size_bytes());
    table.count_unavailable();
    return table;
  }

 private:
  template <class U>
  friend class q_learner;

  static constexpr detail::file_kind file_kind{detail::name_of("QTAB"), 1, detail::element_code<T>()};
  struct unchecked {};

  q_table(unchecked, std::size_t states, std::size_t actions, T initial, memory_resource* memory)
      : states_(valid(states, actions, initial) ? states : 1),
        actions_(valid(states, actions, initial) ? actions : 1),
        stride_(detail::q_row_stride<T>(actions_)),
        memory_(memory),
        bytes_(bytes_of(states_, stride_ * sizeof(T)), memory) {
    T* const values = reinterpret_cast<T*>(bytes_.data());
    std::fill(values, values + bytes_.size() / sizeof(T), detail::no_value<T>);
    for (std::size_t s = 0; s < states_; ++s) std::fill_n(values + s * stride_, actions_, initial);
  }

  /// Of so many rows, and what may be read behind the last; in whole cache lines, so that their number tells where a 32-bit
  /// std::size_t is too small.
  static std::size_t bytes_of(std::size_t states, std::size_t row) {
    constexpr std::size_t line = detail::cache_line;
    static_assert(detail::readable_bytes == line);
    return detail::checked_product(detail::checked_product(states, row) / line + 2, line);
  }

  static bool valid(std::size_t states, std::size_t actions, T initial) noexcept {
    return states >= 1 && states <= max_states && actions >= 1 && actions <= max_actions &&
           detail::is_finite(initial);
  }

  /// Finite or -infinity, the latter where there is no action.
  static bool are_possible(std::span<const T> values, std::size_t actions, std::size_t stride) noexcept {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool is_none = values[i] == detail::no_value<T>;
      if (i % stride < actions ? !is_none && !detail::is_finite(values[i]) : !is_none) return false;
    }
    return true;
  }

  void count_unavailable() noexcept {
    unavailable_ = 0;
    for (std::size_t s = 0; s < states_; ++s) {
      for (std::size_t a = 0; a < actions_; ++a) unavailable_ += static_cast<std::size_t>(!allows(s, a));
    }
  }

  T* row(std::size_t state) noexcept {
    ALIDADE_ASSERT(state < states_);
    return reinterpret_cast<T*>(bytes_.data()) + state * stride_;
  }
  const T* row(std::size_t state) const noexcept {
    ALIDADE_ASSERT(state < states_);
    return data() + state * stride_;
  }

  std::size_t states_, actions_, stride_;
  std::size_t unavailable_ = 0;
  memory_resource* memory_;
  detail::aligned_bytes bytes_;
};

}  // namespace ALIDADE_ABI_NAMESPACE
}  // namespace alidade
