# Builds and runs the consumer project in one MODE: add_subdirectory, fetch_content, or find_package from a fresh
# install that has been moved to another folder.
#
#   cmake -DMODE=... -DSOURCE=<repository> -DWORK=<folder> -DCOMPILER=... -DGENERATOR=... -DMAKE_PROGRAM=...
#         -DXSIMD=<folder of xsimd/xsimd.hpp, or empty> -P run.cmake

function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${MODE}: ${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
  message(STATUS "${MODE}: ${what}")
endfunction()

set(toolset -G "${GENERATOR}" "-DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  -DCMAKE_BUILD_TYPE=Debug "-DALIDADE_XSIMD_INCLUDE_DIR=${XSIMD}")
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
set(from "-DALIDADE_SOURCE=${SOURCE}")

if(MODE STREQUAL "find_package")
  step("configure the library" "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/library" ${toolset}
    -DALIDADE_BUILD_TESTS=OFF -DALIDADE_BUILD_EXAMPLES=OFF -DALIDADE_BUILD_BENCH=OFF)
  step("install" "${CMAKE_COMMAND}" --install "${WORK}/library" --prefix "${WORK}/first")
  # An installed package must not remember where it was built or first installed.
  file(RENAME "${WORK}/first" "${WORK}/prefix")
  file(REMOVE_RECURSE "${WORK}/library")
  file(GLOB_RECURSE package_files "${WORK}/prefix/*.cmake")
  foreach(file IN LISTS package_files)
    file(READ "${file}" text)
    foreach(path IN ITEMS "${SOURCE}/" "${WORK}")
      string(FIND "${text}" "${path}" position)
      if(NOT position EQUAL -1)
        message(FATAL_ERROR "find_package: ${file} contains the path ${path}")
      endif()
    endforeach()
  endforeach()
  set(from "-DCMAKE_PREFIX_PATH=${WORK}/prefix")
endif()

step("configure" "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK}/build" ${toolset} "-DMODE=${MODE}" ${from})
step("build" "${CMAKE_COMMAND}" --build "${WORK}/build")
step("run" "${CMAKE_CTEST_COMMAND}" --test-dir "${WORK}/build" --output-on-failure --no-tests=error)

if(MODE STREQUAL "find_package")
  # A newer minor version than the installed one is refused.
  file(WRITE "${WORK}/newer/CMakeLists.txt" "cmake_minimum_required(VERSION 3.25)\nproject(newer LANGUAGES CXX)\n\
find_package(alidade 0.99 CONFIG QUIET)\nif(alidade_FOUND)\n  message(FATAL_ERROR \"version 0.99 was found\")\nendif()\n")
  step("refuse a newer version" "${CMAKE_COMMAND}" -S "${WORK}/newer" -B "${WORK}/newer/build" ${toolset} ${from})
endif()
