# cmake -DSOURCE=... -DCOMPILER=... "-DFLAGS=<list>" -DARCH=... -DUNSIGNED=... -DSIGNED=... -DSUM=... -DBITS=... -DF16=...
#   -DBF16=... -DNIBBLES=... -DOUTPUT=... -P check.cmake: see CMakeLists.txt.

cmake_minimum_required(VERSION 3.25)

set(definitions "")
foreach(kernel ARCH UNSIGNED SIGNED SUM BITS F16 BF16 NIBBLES)
  list(APPEND definitions "-DEXPECT_${kernel}=\"${${kernel}}\"")
endforeach()
execute_process(COMMAND "${COMPILER}" ${FLAGS} ${definitions} -O2 -DNDEBUG -S "${SOURCE}" -o "${OUTPUT}"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "not the kernels that were expected, or not compiled:\n${output}")
endif()

# Kernels are named by their instruction, or by the architecture where they need none of their own.
file(READ "${OUTPUT}" assembly)
set(named "${UNSIGNED}" "${SIGNED}" "${SUM}" "${BITS}" "${F16}" "${BF16}" "${NIBBLES}")
foreach(kernel UNSIGNED SIGNED SUM BITS F16 BF16 NIBBLES)
  if("${${kernel}}" STREQUAL "${ARCH}")
    continue()
  endif()
  string(FIND "${assembly}" "${${kernel}}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "${${kernel}} is not in the assembly, which is said to be the kernel of ${kernel}")
  endif()
endforeach()

# And what is not named is not there: a kernel must not be chosen that its name conceals.
foreach(instruction vpdpbusd pmaddubsw vpmaddubsw vpopcntq vdpbf16ps vcvtph2ps udot sdot)
  if(instruction IN_LIST named)
    continue()
  endif()
  if(assembly MATCHES "[ \t]${instruction}[ \t]")
    message(FATAL_ERROR "${instruction} is in the assembly, and no kernel says so")
  endif()
endforeach()
