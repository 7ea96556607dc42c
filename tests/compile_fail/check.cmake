# cmake -DSOURCE=... -DCOMPILER=... "-DFLAGS=<list>" -P check.cmake: see CMakeLists.txt.

file(STRINGS "${SOURCE}" expectation REGEX "^// expect: ")
string(REGEX REPLACE "^// expect: " "" expectation "${expectation}")
if(NOT expectation)
  message(FATAL_ERROR "${SOURCE} has no line \"// expect: <regular expression>\"")
endif()

execute_process(COMMAND "${COMPILER}" ${FLAGS} -fsyntax-only "${SOURCE}"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} must compile without ALIDADE_COMPILE_FAIL, and does not:\n${output}")
endif()

execute_process(COMMAND "${COMPILER}" ${FLAGS} -DALIDADE_COMPILE_FAIL -fsyntax-only "${SOURCE}"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles with ALIDADE_COMPILE_FAIL, and must not")
endif()
if(NOT output MATCHES "${expectation}")
  message(FATAL_ERROR "${SOURCE} fails to compile, as it must, but the message does not match \"${expectation}\":\n${output}")
endif()
