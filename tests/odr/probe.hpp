#pragma once

#include <cstdint>

/// What a translation unit of this program saw of the library that it was compiled with.
struct probe_result {
  const char* arch;               ///< alidade::arch_name() there
  const void* category;           ///< address of the error category: one object for each inline namespace
  std::uint64_t nearest;          ///< key of the nearest row of a small index
  float distance;                 ///< and its distance
  std::uint64_t violations_seen;  ///< by the ALIDADE_ASSERT there, of one violated precondition
};

probe_result probe_scalar();
probe_result probe_detected();
probe_result probe_asserting();
