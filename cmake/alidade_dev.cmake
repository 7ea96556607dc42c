# The target `alidade_dev`: what our own tests, examples and benchmarks are compiled with, and users never are.
#
#   target_link_libraries(program PRIVATE alidade::alidade alidade_dev)

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CXX_EXTENSIONS OFF)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
endif()

add_library(alidade_dev INTERFACE)

# Warnings.
if(MSVC)
  target_compile_options(alidade_dev INTERFACE /W4 $<$<BOOL:${ALIDADE_WERROR}>:/WX>)
else()
  target_compile_options(alidade_dev INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    $<$<BOOL:${ALIDADE_WERROR}>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12's own AVX-512 headers give these warnings once they are inlined; the other architectures keep them.
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND ALIDADE_ARCH MATCHES "^(native|avx512)$")
    target_compile_options(alidade_dev INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^arm")
    target_compile_options(alidade_dev INTERFACE -Wno-psabi)  # a note on a change of calling convention in g++ 7
  endif()
endif()

# The architecture. The macro chooses the kernels, the flags let the compiler build them.
set(alidade_arch_flags_scalar "")
set(alidade_arch_flags_sse2 "")
set(alidade_arch_flags_sse4_1 -msse4.1)
set(alidade_arch_flags_avx2 -mavx2 -mfma -mf16c)
set(alidade_arch_flags_avx512 -march=skylake-avx512)
set(alidade_arch_flags_neon -mfpu=neon)
set(alidade_arch_flags_neon64 "")
set(alidade_arch_flags_wasm_simd128 -msimd128)
if(ALIDADE_ARCH STREQUAL "native")
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-march=native ALIDADE_HAS_MARCH_NATIVE)
  if(ALIDADE_HAS_MARCH_NATIVE)
    target_compile_options(alidade_dev INTERFACE -march=native)
  elseif(NOT MSVC)
    target_compile_options(alidade_dev INTERFACE -mcpu=native)  # clang on ARM
  endif()
elseif(ALIDADE_ARCH)
  if(NOT DEFINED alidade_arch_flags_${ALIDADE_ARCH})
    message(FATAL_ERROR "ALIDADE_ARCH=${ALIDADE_ARCH} is not known: use native, scalar, sse2, sse4_1, avx2, avx512, \
neon, neon64 or wasm_simd128, or leave it empty")
  endif()
  target_compile_definitions(alidade_dev INTERFACE ALIDADE_ARCH=${ALIDADE_ARCH})
  target_compile_options(alidade_dev INTERFACE ${alidade_arch_flags_${ALIDADE_ARCH}})
endif()

# WebAssembly: our programs throw, and their heap may grow.
if(EMSCRIPTEN)
  target_compile_options(alidade_dev INTERFACE -fexceptions)
  target_link_options(alidade_dev INTERFACE -fexceptions -sALLOW_MEMORY_GROWTH=1 -sEXIT_RUNTIME=1)
endif()
