# Finds the headers of xsimd, the one dependency of the library on x86 and ARM.
# Used by the build tree and, installed beside it, by the package config.
#
#   alidade_find_xsimd(<target> <problem-variable>)
#
# adds the folder of xsimd/xsimd.hpp to <target> as a SYSTEM include directory (only inside this build, never in an
# export), or sets <problem-variable> to a sentence that says what to do. The target `xsimd` is never linked: some
# distributions' xsimd links a library that does not exist.
#
#   ALIDADE_XSIMD_INCLUDE_DIR   cache variable, the folder that contains xsimd/xsimd.hpp; empty: look for it
#   ALIDADE_ARCH                `scalar` needs no xsimd; neither do WebAssembly and processors other than x86 and ARM

set(ALIDADE_XSIMD_MINIMUM 8.1)

# A folder that holds nothing but a link to `name` of `dir`. Under a cross compiler the host's own include folder must
# not be searched, yet header-only libraries installed there are fine.
function(alidade_private_include_dir out dir name)
  if(CMAKE_CROSSCOMPILING AND dir MATCHES "^(/usr|/usr/local|/opt/homebrew|/opt/local)/include/?$")
    set(private "${PROJECT_BINARY_DIR}/third_party/${name}")
    file(MAKE_DIRECTORY "${private}")
    file(CREATE_LINK "${dir}/${name}" "${private}/${name}" SYMBOLIC)
    set(dir "${private}")
  endif()
  set(${out} "${dir}" PARENT_SCOPE)
endfunction()

function(alidade_needs_xsimd out)
  set(needed TRUE)
  if(EMSCRIPTEN OR "${ALIDADE_ARCH}" STREQUAL "scalar" OR "${ALIDADE_ARCH}" STREQUAL "wasm_simd128")
    set(needed FALSE)
  elseif(CMAKE_SYSTEM_PROCESSOR AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86|i[3-6]86|amd64|AMD64|arm|ARM|aarch64)")
    set(needed FALSE)
  endif()
  set(${out} ${needed} PARENT_SCOPE)
endfunction()

function(alidade_find_xsimd target problem)
  set(${problem} "" PARENT_SCOPE)
  alidade_needs_xsimd(needed)
  if(NOT needed)
    return()
  endif()

  if(NOT ALIDADE_XSIMD_INCLUDE_DIR AND TARGET xsimd)
    # The including project brought its own xsimd, with FetchContent for example.
    target_include_directories(${target} SYSTEM INTERFACE
      $<BUILD_INTERFACE:$<TARGET_PROPERTY:xsimd,INTERFACE_INCLUDE_DIRECTORIES>>)
    return()
  endif()

  find_path(ALIDADE_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp NO_CMAKE_FIND_ROOT_PATH
    DOC "The folder that contains xsimd/xsimd.hpp")
  if(NOT ALIDADE_XSIMD_INCLUDE_DIR AND CMAKE_CROSSCOMPILING)
    find_path(ALIDADE_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp PATHS /usr/include /usr/local/include NO_CMAKE_FIND_ROOT_PATH)
  endif()
  if(NOT ALIDADE_XSIMD_INCLUDE_DIR)
    find_package(xsimd CONFIG QUIET)
    if(TARGET xsimd)
      target_include_directories(${target} SYSTEM INTERFACE
        $<BUILD_INTERFACE:$<TARGET_PROPERTY:xsimd,INTERFACE_INCLUDE_DIRECTORIES>>)
      return()
    endif()
    set(${problem} "alidade needs the headers of xsimd (${ALIDADE_XSIMD_MINIMUM} or newer) and did not find \
xsimd/xsimd.hpp. Install them (Debian, Ubuntu: apt-get install libxsimd-dev; Fedora: dnf install xsimd-devel; macOS: \
brew install xsimd; vcpkg: vcpkg install xsimd), or say where they are with -DALIDADE_XSIMD_INCLUDE_DIR=<folder>, or do \
without SIMD: set ALIDADE_ARCH=scalar here and compile your code with the macro ALIDADE_ARCH=scalar." PARENT_SCOPE)
    return()
  endif()

  set(version_header "${ALIDADE_XSIMD_INCLUDE_DIR}/xsimd/config/xsimd_config.hpp")
  if(EXISTS "${version_header}")
    file(READ "${version_header}" text)
    string(REGEX MATCH "XSIMD_VERSION_MAJOR +([0-9]+)" ignored "${text}")
    set(version "${CMAKE_MATCH_1}")
    string(REGEX MATCH "XSIMD_VERSION_MINOR +([0-9]+)" ignored "${text}")
    string(APPEND version ".${CMAKE_MATCH_1}")
  else()
    set(version "unknown, before 8")
  endif()
  if(version VERSION_LESS ALIDADE_XSIMD_MINIMUM OR version MATCHES "unknown")
    set(${problem} "alidade needs xsimd ${ALIDADE_XSIMD_MINIMUM} or newer; the one in ${ALIDADE_XSIMD_INCLUDE_DIR} is \
version ${version}. Install a newer one and say where it is with -DALIDADE_XSIMD_INCLUDE_DIR=<folder>." PARENT_SCOPE)
    return()
  endif()

  alidade_private_include_dir(dir "${ALIDADE_XSIMD_INCLUDE_DIR}" xsimd)
  target_include_directories(${target} SYSTEM INTERFACE $<BUILD_INTERFACE:${dir}>)
endfunction()
