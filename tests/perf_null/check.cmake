# cmake -DSOURCE=... -DCOMPILER=... "-DFLAGS=<list>" -DOUTPUT=<path without extension> -P check.cmake: compiles the
# source to assembly without instrumentation, with a null_monitor's and with a monitor's. The first two must be equal,
# and the third another, or nothing was compared.

cmake_minimum_required(VERSION 3.25)

foreach(level 0 1 2)
  execute_process(
    COMMAND "${COMPILER}" ${FLAGS} -O3 -DNDEBUG -DINSTRUMENTATION=${level} -S "${SOURCE}" -o "${OUTPUT}${level}.s"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "instrumentation ${level} does not compile:\n${output}")
  endif()
  file(READ "${OUTPUT}${level}.s" code)
  # g++ numbers functions and constants by what it has read before, clang lists what was referred to before it
  # optimised: nothing of that is in the object file.
  string(REGEX REPLACE "\\.L(FB|FE|C)[0-9]+" ".L\\1" code "${code}")
  string(REGEX REPLACE "\t\\.addrsig[^\n]*\n" "" code "${code}")
  set(code${level} "${code}")
endforeach()

string(FIND "${code0}" "opaque" position)
if(position EQUAL -1)
  message(FATAL_ERROR "${OUTPUT}0.s does not contain the work that was to be compared")
endif()
if(NOT code1 STREQUAL code0)
  message(FATAL_ERROR "a null_monitor leaves traces: compare ${OUTPUT}0.s and ${OUTPUT}1.s")
endif()
if(code2 STREQUAL code0)
  message(FATAL_ERROR "a monitor leaves no traces either: the comparison is worth nothing")
endif()
