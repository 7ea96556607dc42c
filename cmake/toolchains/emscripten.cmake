# WebAssembly with Emscripten, from emsdk or from a distribution's package, run in Node.
#
# emcmake is not needed. What it would do, and what Debian's package needs besides, is done here:
# - NODE_PATH, so that the link step finds acorn, which Debian keeps in /usr/share/nodejs;
# - an emulator line without the options that newer versions of Node refuse, and without Node's fetch, which
#   makes the loader of Emscripten before 3.1.20 take files for URLs.

find_program(ALIDADE_EMXX em++ HINTS "$ENV{EMSDK}/upstream/emscripten" "$ENV{EMSCRIPTEN}")
find_program(ALIDADE_NODE NAMES node nodejs HINTS "$ENV{EMSDK_NODE}")
if(NOT ALIDADE_EMXX OR NOT ALIDADE_NODE)
  message(FATAL_ERROR "A WebAssembly build needs em++ and node on the PATH \
(Debian, Ubuntu: apt-get install emscripten nodejs; elsewhere: https://emscripten.org/docs/getting_started)")
endif()

get_filename_component(alidade_em_dir "${ALIDADE_EMXX}" REALPATH)
get_filename_component(alidade_em_dir "${alidade_em_dir}" DIRECTORY)
find_file(ALIDADE_EMSCRIPTEN_TOOLCHAIN cmake/Modules/Platform/Emscripten.cmake
  PATHS "${alidade_em_dir}" "$ENV{EMSDK}/upstream/emscripten" /usr/share/emscripten /usr/lib/emscripten
  NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
if(NOT ALIDADE_EMSCRIPTEN_TOOLCHAIN)
  message(FATAL_ERROR "em++ is ${ALIDADE_EMXX}, but its cmake/Modules/Platform/Emscripten.cmake was not found")
endif()
include("${ALIDADE_EMSCRIPTEN_TOOLCHAIN}")

set(alidade_node_options "")
execute_process(COMMAND "${ALIDADE_NODE}" --no-experimental-fetch -e "" RESULT_VARIABLE alidade_node_result
  OUTPUT_QUIET ERROR_QUIET)
if(alidade_node_result EQUAL 0)
  set(alidade_node_options --no-experimental-fetch)
endif()
set(CMAKE_CXX_LINKER_LAUNCHER "${CMAKE_COMMAND};-E;env;NODE_OPTIONS=${alidade_node_options}")
if(IS_DIRECTORY /usr/share/nodejs/acorn)
  list(APPEND CMAKE_CXX_LINKER_LAUNCHER NODE_PATH=/usr/share/nodejs)
endif()
set(CMAKE_CROSSCOMPILING_EMULATOR "${ALIDADE_NODE};${alidade_node_options}")
