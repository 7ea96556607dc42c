# From a fresh checkout to the answer of a search, in one command:
#
#   cmake -P cmake/quickstart.cmake
#
# It checks the compiler, installs what is missing (the headers of xsimd and a build tool, with apt where it may, else it
# says what to install), builds examples/01_quickstart.cpp for this machine in build/quickstart, and runs it.
#
# What follows "--" goes to the example:
#
#   cmake -P cmake/quickstart.cmake -- --query "how are neighbours pruned"
#   cmake -P cmake/quickstart.cmake -- --files notes.txt letters/*.txt
#
# Settings, before -P:
#   -DALIDADE_ARCH=scalar              another architecture than this machine's best; scalar needs no xsimd
#   -DALIDADE_XSIMD_INCLUDE_DIR=DIR    the folder that contains xsimd/xsimd.hpp
# The environment variable CXX names the compiler.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/install_packages.cmake")

get_filename_component(source_dir "${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)
set(build_dir "${source_dir}/build/quickstart")
if(NOT ALIDADE_ARCH)
  set(ALIDADE_ARCH native)
endif()

# --- the compiler -----------------------------------------------------------------------------------------------------

say("[1/4] compiler")
set(compiler_setting "")
if(NOT CMAKE_HOST_WIN32)
  set(probe "${build_dir}/probe.cpp")
  file(WRITE "${probe}" "#include <bit>\n#include <concepts>\n#include <span>\n#include <thread>\n\
template <std::integral T> int ones(std::span<const T> v) { return std::popcount(v[0]); }\n\
int main() { const unsigned v[1] = {8}; return ones<unsigned>(v) == 1 ? 0 : 1; }\n")
  set(candidates c++ g++ clang++ g++-14 g++-13 g++-12 g++-11 clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14)
  if(DEFINED ENV{CXX})
    set(candidates "$ENV{CXX}")
  endif()
  set(tried "")
  set(compiler "")
  foreach(candidate IN LISTS candidates)
    find_program(path "${candidate}" NO_CACHE)
    if(path)
      execute_process(COMMAND "${path}" -std=c++20 "${probe}" -o "${build_dir}/probe"
        RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE output)
      if(result EQUAL 0)
        set(compiler "${path}")
        break()
      endif()
      string(APPEND tried " ${path}")
    endif()
    unset(path)
  endforeach()
  if(NOT compiler)
    if(tried)
      tail_of(output "${output}")
      say("These compilers cannot build C++20 programs:${tried}. The last one says:\n${output}")
    else()
      list(JOIN candidates ", " candidates)
      say("There is no C++ compiler here. Looked for: ${candidates}.")
    endif()
    say("Install g++ 11 or newer, or clang 14 or newer (Debian, Ubuntu: sudo apt-get install g++), then run this again. \
Another compiler is chosen with the environment variable CXX.")
    message(FATAL_ERROR "quickstart: no C++20 compiler")
  endif()
  say("      ${compiler}")
  set(compiler_setting "-DCMAKE_CXX_COMPILER=${compiler}")
endif()

# --- packages ---------------------------------------------------------------------------------------------------------

say("[2/4] packages")
set(packages "")
if(NOT ALIDADE_ARCH STREQUAL "scalar")
  have_header(found xsimd/xsimd.hpp "${ALIDADE_XSIMD_INCLUDE_DIR}")
  if(NOT found)
    list(APPEND packages libxsimd-dev)
  endif()
endif()
have_program(ninja ninja)
have_program(make gmake make)
if(NOT ninja AND NOT make AND NOT CMAKE_HOST_WIN32)
  list(APPEND packages ninja-build)
endif()
if(packages)
  install_packages(problem ${packages})
  if(problem)
    say("${problem}")
    say("What is needed: a build tool (ninja or make) and the headers of xsimd 8.1 or newer \
(Debian, Ubuntu: sudo apt-get install libxsimd-dev ninja-build; Fedora: sudo dnf install xsimd-devel ninja-build; macOS: \
brew install xsimd ninja). xsimd may lie anywhere: cmake -DALIDADE_XSIMD_INCLUDE_DIR=<folder> -P cmake/quickstart.cmake; \
without it, and without SIMD: cmake -DALIDADE_ARCH=scalar -P cmake/quickstart.cmake")
    message(FATAL_ERROR "quickstart: something is missing")
  endif()
  have_program(ninja ninja)
else()
  say("      nothing is missing")
endif()

# --- configure and build ----------------------------------------------------------------------------------------------

say("[3/4] build")
set(generator "")
set(fresh "")
if(ninja)
  set(generator Ninja)
elseif(NOT CMAKE_HOST_WIN32)
  set(generator "Unix Makefiles")
endif()
if(generator)
  fresh_if_changed(fresh "${build_dir}" "${source_dir}" "${generator}")
  set(generator -G "${generator}")
endif()
set(xsimd_setting "")
if(ALIDADE_XSIMD_INCLUDE_DIR)
  set(xsimd_setting "-DALIDADE_XSIMD_INCLUDE_DIR=${ALIDADE_XSIMD_INCLUDE_DIR}")
endif()
execute_process(
  COMMAND "${CMAKE_COMMAND}" ${fresh} -S "${source_dir}" -B "${build_dir}" ${generator} ${compiler_setting} ${xsimd_setting}
    -DCMAKE_BUILD_TYPE=Release "-DALIDADE_ARCH=${ALIDADE_ARCH}" -DALIDADE_BUILD_EXAMPLES=ON -DALIDADE_BUILD_TESTS=OFF
    -DALIDADE_BUILD_BENCH=OFF
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  say("${output}")
  message(FATAL_ERROR "quickstart: configuring failed, see above")
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build_dir}" --config Release --target example_01_quickstart
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "quickstart: building failed, see above")
endif()

# --- run --------------------------------------------------------------------------------------------------------------

say("[4/4] run\n")
set(arguments "")
set(after_dashes FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(after_dashes)
    string(REPLACE ";" "\\;" argument "${CMAKE_ARGV${i}}")
    list(APPEND arguments "${argument}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(after_dashes TRUE)
  endif()
endforeach()
find_program(program example_01_quickstart PATHS "${build_dir}/examples" "${build_dir}/examples/Release"
  NO_DEFAULT_PATH NO_CACHE REQUIRED)
execute_process(COMMAND "${program}" ${arguments} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "quickstart: ${program} ended with ${result}")
endif()
