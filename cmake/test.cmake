# All tests on all platforms, in one command:
#
#   cmake -P cmake/test.cmake                               what this machine can run or install, each thing once
#   cmake "-DONLY=*" -P cmake/test.cmake                    also what differs by the compiler alone, and the benchmark program
#   cmake -DONLY=native -P cmake/test.cmake                 quick: this machine's compiler and best architecture
#   cmake -DONLY=native-gcc-avx2,wasm-simd128 -P cmake/test.cmake
#   cmake "-DONLY=native-*" -P cmake/test.cmake             patterns as in a shell
#   cmake -DONLY=list -P cmake/test.cmake                   the names of all platforms
#
# Each platform is built in build/test/<platform>, with its output in build/test/<platform>.log. Missing tools are
# installed with apt where it may. A platform that cannot run here is named with its reason in the closing table; in
# continuous integration (CI=true in the environment) it counts as a failure. The last line is "N passed, N failed",
# where a test case counts as one on each platform, and so does each other check; the exit code is 0 if none failed.
#
# Settings, before -P:
#   -DALIDADE_XSIMD_INCLUDE_DIR=DIR, -DALIDADE_DOCTEST_INCLUDE_DIR=DIR    where xsimd/xsimd.hpp, doctest/doctest.h lie

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/install_packages.cmake")

get_filename_component(source_dir "${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)
set(test_dir "${source_dir}/build/test")
file(MAKE_DIRECTORY "${test_dir}")
string(TIMESTAMP started "%s")
cmake_host_system_information(RESULT jobs QUERY NUMBER_OF_LOGICAL_CORES)
cmake_host_system_information(RESULT machine QUERY OS_PLATFORM)
set(in_ci FALSE)
if("$ENV{CI}")
  set(in_ci TRUE)
endif()

# --- what the processor can run ---------------------------------------------------------------------------------------

# host_archs: from the least to the best. emulated_archs: those of this kind of processor that this one does not have.
set(emulated_archs "")
if(machine MATCHES "^(x86_64|amd64|AMD64)$")
  set(host_archs scalar sse2)
  set(cpu_flags "")
  if(EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo cpu_flags REGEX "^flags" LIMIT_COUNT 1)
  endif()
  string(REGEX MATCHALL "[a-z0-9_]+" cpu_flags "${cpu_flags}")
  function(add_arch_if_flags arch)
    foreach(flag IN LISTS ARGN)
      if(NOT flag IN_LIST cpu_flags)
        set(emulated_archs ${emulated_archs} ${arch} PARENT_SCOPE)
        return()
      endif()
    endforeach()
    set(host_archs ${host_archs} ${arch} PARENT_SCOPE)
  endfunction()
  add_arch_if_flags(sse4_1 sse4_1)
  add_arch_if_flags(avx2 avx2 fma f16c)
  add_arch_if_flags(avx512 avx512f avx512cd avx512dq avx512bw avx512vl)
elseif(machine MATCHES "^(aarch64|arm64)$")
  set(host_archs scalar neon64)
else()
  set(host_archs scalar)
endif()
list(GET host_archs -1 best_arch)

# The flags by which a compiler is told to build for an architecture; the library must detect it from them.
set(flags_scalar "")
set(flags_sse2 "")
set(flags_sse4_1 -msse4.1)
set(flags_avx2 "-mavx2 -mfma -mf16c")
set(flags_avx512 -march=native)
if(avx512 IN_LIST emulated_archs)
  set(flags_avx512 -march=skylake-avx512)
endif()
set(flags_neon64 "")

# --- tools ------------------------------------------------------------------------------------------------------------

# A need is a tool or header: need_<name> is the Debian package that has it, and have_need() looks for it.
set(need_g++ g++)
set(need_clang++ clang)
set(need_ninja ninja-build)
set(need_python3 python3)
set(need_xsimd libxsimd-dev)
set(need_doctest doctest-dev)
set(need_cli11 libcli11-dev)
set(need_json nlohmann-json3-dev)
set(need_hnswlib libhnswlib-dev)
set(need_em++ emscripten)
set(need_node nodejs)
set(need_clang-format clang-format)
set(need_clang-tidy clang-tidy)
set(need_aarch64-linux-gnu-g++ g++-aarch64-linux-gnu)
set(need_arm-linux-gnueabihf-g++ g++-arm-linux-gnueabihf)
set(need_qemu-aarch64 qemu-user)
set(need_qemu-arm qemu-user)
set(need_ccache ccache)
set(emulator bochs bochs-term isolinux syslinux xorriso busybox)  # what cmake/emulate_x86.sh needs
set(need_bochs bochs)
set(need_bochs-term bochs-term)
set(need_isolinux isolinux)
set(need_syslinux syslinux-common)
set(need_xorriso xorriso)
set(need_busybox busybox-static)

set(header_xsimd xsimd/xsimd.hpp)
set(header_doctest doctest/doctest.h)
set(header_cli11 CLI/CLI.hpp)
set(header_json nlohmann/json.hpp)
set(header_hnswlib hnswlib/hnswlib.h)
set(file_bochs-term /usr/lib/*/bochs/plugins/libbx_term_gui.so)
set(file_isolinux /usr/lib/ISOLINUX/isolinux.bin)
set(file_syslinux /usr/lib/syslinux/modules/bios/ldlinux.c32)

function(have_need out need)
  if(DEFINED header_${need})
    string(TOUPPER "${need}" upper)
    have_header(found "${header_${need}}" "${ALIDADE_${upper}_INCLUDE_DIR}")
  elseif(DEFINED file_${need})
    file(GLOB found "${file_${need}}")
  else()
    have_program(found "${need}")
  endif()
  if(found)
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

# --- the platforms ----------------------------------------------------------------------------------------------------

set(platforms "")
set(quick "")  # the platforms of ONLY=native
set(again "")  # those that are run when ONLY asks for them: most differ from others by the compiler alone

# platform(<name> [QUICK] [AGAIN] [NEEDS <need>...]
#          CONFIGURE <arguments of cmake>...   configure build/test/<name>; none: there is nothing to build
#          [TARGETS <target>...]               build these
#          [LABEL <label>]                     run the tests with this label
#          [RUN <function>])                   or call this function, which sets passed, failed and output
macro(platform name)
  list(APPEND platforms ${name})
  cmake_parse_arguments(${name} "QUICK;AGAIN" "LABEL;RUN" "NEEDS;CONFIGURE;TARGETS" ${ARGN})
  if(${name}_QUICK)
    list(APPEND quick ${name})
  endif()
  if(${name}_AGAIN)
    list(APPEND again ${name})
  endif()
endmacro()

set(no_programs -DALIDADE_BUILD_TESTS=OFF -DALIDADE_BUILD_EXAMPLES=OFF)
set(only_tests -DALIDADE_BUILD_EXAMPLES=OFF)
set(unit_tests ${only_tests} -DALIDADE_TEST_UNITY=ON)  # a third less to compile
# Everything is run once, where that is quickest to compile: scalar; on this machine's best architecture, with sanitizers and in
# wasm all but the rarer types; elsewhere what depends on the architecture, or only the kernels.
set(common_scope -DALIDADE_TEST_SCOPE=common)
set(architecture_scope -DALIDADE_TEST_SCOPE=architecture)
set(kernels_scope -DALIDADE_TEST_SCOPE=kernels)

# The compiler of ONLY=native: the one that CXX names, else the first that is there.
set(host_compiler gcc)
have_program(have_gcc g++)
have_program(have_clang clang++)
if("$ENV{CXX}" MATCHES "clang" OR (have_clang AND NOT have_gcc))
  set(host_compiler clang)
endif()

# Native. With g++ the macro ALIDADE_ARCH says the architecture, with clang it must be detected from the flags. The best
# one is built without assertions by this machine's compiler; the others with assertions, and quicker to compile. It is run with
# both compilers, each of the others with one where there are two.
set(again_native "")
if(in_ci OR (have_gcc AND have_clang))
  set(again_native native-clang-scalar native-gcc-sse2 native-clang-sse4_1 native-clang-avx2 native-clang-avx512)
  list(REMOVE_ITEM again_native native-clang-${best_arch})
endif()
foreach(arch IN LISTS host_archs emulated_archs)
  foreach(compiler gcc clang)
    if(compiler STREQUAL "gcc")
      set(program g++)
      set(how -DALIDADE_ARCH=${arch})
      # Scalar code once without and once, by g++, with fused multiply-adds, which it would use here and there by itself.
      if(arch STREQUAL "scalar" AND "fma" IN_LIST cpu_flags)
        list(APPEND how -DCMAKE_CXX_FLAGS=-mfma)
      endif()
    else()
      set(program clang++)
      if(arch STREQUAL "scalar")
        set(how -DALIDADE_ARCH=scalar)
      else()
        set(how "-DCMAKE_CXX_FLAGS=${flags_${arch}}" -DALIDADE_TEST_EXPECT_ARCH=${arch})
      endif()
    endif()
    set(optimise -DCMAKE_CXX_FLAGS_RELEASE=-Og)  # g++ compiles so for two thirds of the time of -O1; clang has no other
    set(tests ${unit_tests} ${architecture_scope})
    set(how_often "")
    if(native-${compiler}-${arch} IN_LIST again_native)
      set(how_often AGAIN)
      set(tests ${only_tests} ${architecture_scope})  # and that each file of the tests compiles alone too
    elseif(arch STREQUAL "scalar")
      set(tests ${unit_tests})
    elseif(arch STREQUAL "sse4_1")
      set(tests ${unit_tests} ${kernels_scope})  # the rest is as with SSE2
    endif()
    if(arch STREQUAL best_arch AND compiler STREQUAL host_compiler)
      if(NOT arch STREQUAL "scalar")
        set(tests ${unit_tests} ${common_scope})
      endif()
      set(optimise "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG")
      set(how_often QUICK)
    endif()
    set(runner "")
    if(arch IN_LIST emulated_archs)
      set(runner ${emulator})
      set(optimise "-DCMAKE_CXX_FLAGS_RELEASE=-O1")
      set(tests ${unit_tests} ${kernels_scope})
      list(APPEND how -DCMAKE_EXE_LINKER_FLAGS=-static "-DCMAKE_CROSSCOMPILING_EMULATOR=${source_dir}/cmake/emulate_x86.sh")
    endif()
    platform(native-${compiler}-${arch} ${how_often} NEEDS ${program} ninja xsimd doctest ${runner}
      CONFIGURE -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=${program} ${tests} ${how} ${optimise} -DALIDADE_WERROR=ON
      TARGETS alidade_tests LABEL unit)
  endforeach()
endforeach()

platform(asan NEEDS g++ ninja xsimd doctest
  CONFIGURE --preset asan -DCMAKE_CXX_COMPILER=g++ ${unit_tests} ${common_scope} TARGETS alidade_tests LABEL unit)
platform(tsan NEEDS g++ ninja xsimd doctest
  CONFIGURE --preset tsan -DCMAKE_CXX_COMPILER=g++ ${unit_tests} ${common_scope} TARGETS alidade_tests LABEL unit)

set(cross ${unit_tests} -DALIDADE_WERROR=ON -DCMAKE_CXX_FLAGS_RELEASE=-O1)
platform(wasm-simd128 NEEDS em++ node ninja doctest
  CONFIGURE --preset wasm-simd128 ${cross} ${common_scope} TARGETS alidade_tests LABEL unit)
platform(wasm-scalar NEEDS em++ node ninja doctest
  CONFIGURE --preset wasm-scalar ${cross} ${kernels_scope} TARGETS alidade_tests LABEL unit)
platform(neon64 NEEDS aarch64-linux-gnu-g++ qemu-aarch64 ninja xsimd doctest
  CONFIGURE --preset neon64 ${cross} ${architecture_scope} TARGETS alidade_tests LABEL unit)
platform(neon NEEDS arm-linux-gnueabihf-g++ qemu-arm ninja xsimd doctest
  CONFIGURE --preset neon ${cross} ${architecture_scope} TARGETS alidade_tests LABEL unit)

platform(noexcept NEEDS g++ ninja xsimd doctest
  CONFIGURE -DCMAKE_CXX_COMPILER=g++ ${only_tests} -DALIDADE_WERROR=ON TARGETS alidade_noexcept LABEL noexcept)
platform(fast-math NEEDS g++ ninja xsimd doctest
  CONFIGURE -DCMAKE_CXX_COMPILER=g++ ${only_tests} -DALIDADE_WERROR=ON TARGETS alidade_fast_math LABEL fast_math)
platform(odr NEEDS g++ ninja xsimd doctest
  CONFIGURE -DCMAKE_CXX_COMPILER=g++ -DALIDADE_ARCH=native ${only_tests} -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DALIDADE_WERROR=ON
  TARGETS alidade_odr LABEL odr)
# Which kernels are chosen for which processor: compiled, not run.
foreach(compiler gcc clang)
  set(program g++)
  if(compiler STREQUAL "clang")
    set(program clang++)
  endif()
  platform(arch-${compiler} NEEDS ${program} ninja xsimd doctest
    CONFIGURE -DCMAKE_CXX_COMPILER=${program} ${only_tests} LABEL arch)
endforeach()
platform(arch-wasm NEEDS em++ node ninja doctest CONFIGURE --preset wasm-simd128 ${only_tests} -DCMAKE_CXX_FLAGS= LABEL arch)
platform(arch-neon64 NEEDS aarch64-linux-gnu-g++ ninja xsimd doctest CONFIGURE --preset neon64 ${only_tests} LABEL arch)
platform(arch-neon NEEDS arm-linux-gnueabihf-g++ ninja xsimd doctest CONFIGURE --preset neon ${only_tests} LABEL arch)
platform(compile-fail NEEDS g++ ninja xsimd doctest
  CONFIGURE -DCMAKE_CXX_COMPILER=g++ ${only_tests} LABEL compile_fail)
platform(consumer NEEDS g++ ninja xsimd doctest
  CONFIGURE -DCMAKE_CXX_COMPILER=g++ ${only_tests} LABEL consumer)
platform(examples NEEDS g++ ninja xsimd
  CONFIGURE -DCMAKE_CXX_COMPILER=g++ -DALIDADE_ARCH=native -DALIDADE_BUILD_TESTS=OFF -DALIDADE_WERROR=ON
  TARGETS all LABEL example)

# The benchmark program builds without a warning and measures a small set beside its peer: seven minutes, so only when asked for.
foreach(compiler gcc clang)
  set(program g++)
  if(compiler STREQUAL "clang")
    set(program clang++)
  endif()
  platform(bench-${compiler} AGAIN NEEDS ${program} ninja python3 xsimd cli11 json hnswlib
    CONFIGURE -DCMAKE_CXX_COMPILER=${program} -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-Og ${no_programs}
      -DALIDADE_BUILD_BENCH=ON -DALIDADE_WERROR=ON
    TARGETS alidade_bench RUN check_bench)
endforeach()

# Each header alone, in one compiler, and in the others when asked for.
set(strict "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror")
set(often_gcc AGAIN)
set(often_clang AGAIN)
set(often_${host_compiler} QUICK)
platform(headers-gcc ${often_gcc} NEEDS g++ ninja xsimd
  CONFIGURE -DCMAKE_CXX_COMPILER=g++ ${no_programs} -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS=${strict}"
  TARGETS all_verify_interface_header_sets)
platform(headers-clang ${often_clang} NEEDS clang++ ninja xsimd
  CONFIGURE -DCMAKE_CXX_COMPILER=clang++ ${no_programs} -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS=${strict} -march=native"
  TARGETS all_verify_interface_header_sets)
platform(headers-wasm AGAIN NEEDS em++ node ninja
  CONFIGURE --preset wasm-simd128 ${no_programs} -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS=${strict} -msimd128"
  TARGETS all_verify_interface_header_sets)

platform(layers QUICK NEEDS python3 RUN check_layers)
platform(format NEEDS clang-format RUN check_format)
platform(tidy NEEDS clang-tidy xsimd RUN check_tidy)

# check(<command>...): runs a command inside a RUN function; its exit code decides whether it passed.
macro(check)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${source_dir}"
    RESULT_VARIABLE check_result OUTPUT_VARIABLE check_output ERROR_VARIABLE check_output)
  string(APPEND output "${check_output}")
  if(check_result EQUAL 0)
    math(EXPR passed "${passed} + 1")
  else()
    math(EXPR failed "${failed} + 1")
  endif()
endmacro()

macro(check_layers)
  check(python3 cmake/check_layers.py)
  check(python3 cmake/check_layers.py --self-test)
endmacro()

# Measures a small set by `alidade_bench search` and checks what it writes: <name> of the files, how the queries are
# answered, the peer with several configurations or "", and further options.
macro(check_search name answered best)
  set(search_files "${build}/${name}.json" "${build}/${name}.svg")
  check("${build}/bench/alidade_bench" search --json "${build}/${name}.json" --plot "${build}/${name}.svg" ${ARGN})
  set(search_best "")
  if(NOT "${best}" STREQUAL "")
    set(search_best --best ${best})
  endif()
  check(python3 bench/check_search.py ${search_files} --answered ${answered} ${search_best})
endmacro()

macro(check_bench)
  check_search(smoke single "" --synthetic 2000,32 --peer hnswlib)
  check_search(spectrum single hnswlib --synthetic 2000,48 --spectrum 1.5 --unit-norm --metric ip --queries 200 --rounds 3
    --only-asked --peer hnswlib:8:40,hnswlib:16:100)
  check_search(batch batch hnswlib --synthetic 2000,32 --queries 200 --rounds 3 --batch --threads 2
    --peer hnswlib:8:40,hnswlib:16:100)
  check_search(calibrated single "" --synthetic 2000,48 --codec pca4 --calibrate --queries 200 --rounds 2 --peer hnswlib)
  check_search(threads single "" --synthetic 2000,32 --queries 200 --rounds 2 --threads 2)
  check_search(flat single "" --index flat --synthetic 2000,32 --spectrum 0 --queries 200 --rounds 3 --peer hnswlib)
  check_search(flat-batch batch "" --index flat --synthetic 2000,32 --type u8 --queries 200 --rounds 3 --batch --peer hnswlib)
  set(every_type f32,f64,f16,bf16,i8,u8,bits)
  set(every_metric l2,ip,cosine,l1,chebyshev,hamming,jaccard)
  check("${build}/bench/alidade_bench" machine --rounds 3 --svg "${build}/roofline.svg" --json "${build}/machine.json")
  check("${build}/bench/alidade_bench" kernels --type ${every_type} --metric ${every_metric} --dim 100 --rounds 3
    --json "${build}/kernels.json")
  check("${build}/bench/alidade_bench" compare "${build}/kernels.json" "${build}/kernels.json" --at-least 0.99)
  check("${build}/bench/alidade_bench" ops --size 64 --rounds 2 --json "${build}/ops.json")
  check("${build}/bench/alidade_bench" cache --entries 1000 --rounds 2 --json "${build}/cache.json")
  check("${build}/bench/alidade_bench" pool --size 64 --synthetic 500,16 --rounds 1 --json "${build}/pool.json")
  check("${build}/bench/alidade_bench" qlearning --rounds 1 --json "${build}/qlearning.json")
  check("${build}/bench/alidade_bench" adaptive --synthetic 2000,16 --learning 2000 --measured 1000 --seeds 1 --json "${build}/adaptive.json")
  check("${build}/bench/alidade_bench" perf --rows 1000 --rounds 2 --json "${build}/perf.json")
  check("${build}/bench/alidade_bench" exact --rows 2000 --dim 32 --queries 100 --rounds 2 --json "${build}/exact.json")
endmacro()

macro(check_format)
  set(patterns "")
  foreach(folder include tests bench examples)
    list(APPEND patterns "${source_dir}/${folder}/*.hpp" "${source_dir}/${folder}/*.cpp" "${source_dir}/${folder}/*.inc")
  endforeach()
  file(GLOB_RECURSE sources RELATIVE "${source_dir}" ${patterns})
  set(unformatted "")
  execute_process(COMMAND clang-format --dry-run -Werror ${sources} WORKING_DIRECTORY "${source_dir}"
    RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
  if(NOT result EQUAL 0)
    foreach(source IN LISTS sources)
      execute_process(COMMAND clang-format --dry-run -Werror "${source}" WORKING_DIRECTORY "${source_dir}"
        RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
      if(NOT result EQUAL 0)
        string(APPEND unformatted " ${source}")
      endif()
    endforeach()
  endif()
  if(unformatted)
    set(failed 1)
    set(output "not as .clang-format says; to mend: clang-format -i${unformatted}\n")
  else()
    set(passed 1)
  endif()
endmacro()

macro(check_tidy)
  # The examples that use most of the library; a minute each.
  file(GLOB sources "${source_dir}/tests/consumer/main.cpp" "${source_dir}/examples/0[16]*.cpp")
  set(tidy_flags -std=c++20 "-I${source_dir}/include")
  if(ALIDADE_XSIMD_INCLUDE_DIR)
    list(APPEND tidy_flags -isystem "${ALIDADE_XSIMD_INCLUDE_DIR}")
  endif()
  list(JOIN tidy_flags "]==] [==[" tidy_flags)
  # A list of tests for ctest, which runs them side by side.
  set(tests "")
  foreach(source IN LISTS sources)
    get_filename_component(test "${source}" NAME_WE)
    string(APPEND tests "add_test(${test} clang-tidy --quiet [==[${source}]==] -- [==[${tidy_flags}]==])\n")
  endforeach()
  file(WRITE "${build}/CTestTestfile.cmake" "${tests}")
  execute_process(COMMAND "${CMAKE_CTEST_COMMAND}" --test-dir "${build}" --verbose --no-tests=error --parallel ${jobs}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(ok FALSE)
  if(result EQUAL 0)
    set(ok TRUE)
  endif()
  count_tests("${output}" tidy ${ok} passed failed)
endmacro()

# --- which of them ----------------------------------------------------------------------------------------------------

set(selected "")
if(ONLY STREQUAL "list")
  list(JOIN platforms "\n" text)
  say("${text}")
  return()
elseif(ONLY)
  string(REPLACE "," ";" wanted "${ONLY}")
  foreach(want IN LISTS wanted)
    if(want STREQUAL "native")
      list(APPEND selected ${quick})
      continue()
    endif()
    string(REPLACE "+" "\\+" pattern "${want}")
    string(REPLACE "*" ".*" pattern "${pattern}")
    set(matching ${platforms})
    list(FILTER matching INCLUDE REGEX "^${pattern}$")
    if(NOT matching)
      list(JOIN platforms ", " text)
      message(FATAL_ERROR "ONLY=${ONLY}: there is no platform \"${want}\". There are: native (the quick choice), ${text}")
    endif()
    list(APPEND selected ${matching})
  endforeach()
  list(REMOVE_DUPLICATES selected)
else()
  set(selected ${platforms})
  list(REMOVE_ITEM selected ${again})
endif()

# --- install what is missing ------------------------------------------------------------------------------------------

set(packages "")
set(needs "")
foreach(name IN LISTS selected)
  list(APPEND needs ${${name}_NEEDS})
endforeach()
if(in_ci)
  list(APPEND needs ccache)
endif()
list(REMOVE_DUPLICATES needs)
foreach(need IN LISTS needs)
  have_need(found ${need})
  if(NOT found)
    list(APPEND packages ${need_${need}})
  endif()
endforeach()
list(REMOVE_DUPLICATES packages)
install_packages(install_problem ${packages})
if(install_problem)
  say("${install_problem}")
endif()

set(common -G Ninja)
foreach(variable ALIDADE_XSIMD_INCLUDE_DIR ALIDADE_DOCTEST_INCLUDE_DIR)
  if(${variable})
    list(APPEND common "-D${variable}=${${variable}}")
  endif()
endforeach()
have_program(have_ccache ccache)
if(have_ccache)
  list(APPEND common -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  if(NOT DEFINED ENV{CCACHE_DIR})
    set(ENV{CCACHE_DIR} "${source_dir}/build/ccache")
  endif()
  # Headers are known from what the compiler lists, so what is not in the cache is not preprocessed first.
  set(ENV{CCACHE_DEPEND} true)
endif()

# Thread sanitizers cannot place their shadow memory where the kernel randomises addresses strongly.
set(fixed_addresses "")
find_program(setarch setarch NO_CACHE)
if(setarch)
  execute_process(COMMAND "${setarch}" -R true RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
  if(result EQUAL 0)
    set(fixed_addresses "${setarch}" -R)
  endif()
endif()

# --- run --------------------------------------------------------------------------------------------------------------

# One step of a platform: runs a command, adds what it says to the log, and sets `ok` and `output`.
macro(step)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${source_dir}"
    RESULT_VARIABLE step_result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  list(JOIN ARGN " " step_command)
  file(APPEND "${log}" "\n> ${step_command}\n${output}")
  if(step_result EQUAL 0)
    set(ok TRUE)
  else()
    set(ok FALSE)
  endif()
endmacro()

# Counts what ctest --verbose printed: doctest's cases under the label unit, tests under the others.
function(count_tests text label ok passed failed)
  set(sum_passed 0)
  set(sum_failed 0)
  string(REGEX MATCHALL "test cases: +[0-9]+ \\| +[0-9]+ passed \\| +[0-9]+ failed" summaries "${text}")
  foreach(summary IN LISTS summaries)
    string(REGEX MATCH "([0-9]+) passed \\| +([0-9]+) failed" ignored "${summary}")
    math(EXPR sum_passed "${sum_passed} + ${CMAKE_MATCH_1}")
    math(EXPR sum_failed "${sum_failed} + ${CMAKE_MATCH_2}")
  endforeach()
  string(REGEX MATCH "([0-9]+) tests failed out of ([0-9]+)" ctest_summary "${text}")
  set(tests "${CMAKE_MATCH_2}")
  set(tests_failed "${CMAKE_MATCH_1}")
  if(NOT ctest_summary)
    math(EXPR sum_failed "${sum_failed} + 1")
  elseif(label STREQUAL "unit")
    # A program that ended before its summary has at least one case that did not pass.
    list(LENGTH summaries complete)
    math(EXPR sum_failed "${sum_failed} + ${tests} - ${complete}")
  else()
    math(EXPR sum_passed "${tests} - ${tests_failed}")
    set(sum_failed "${tests_failed}")
  endif()
  if(sum_failed EQUAL 0 AND (NOT ok OR sum_passed EQUAL 0))
    set(sum_failed 1)
  endif()
  set(${passed} ${sum_passed} PARENT_SCOPE)
  set(${failed} ${sum_failed} PARENT_SCOPE)
endfunction()

# Runs one platform: sets passed, failed, and `during`, the step that failed.
function(run_platform name)
  set(passed 0)
  set(failed 0)
  set(during "")
  set(build "${test_dir}/${name}")
  set(ok TRUE)

  if(${name}_CONFIGURE)
    fresh_if_changed(fresh "${build}" "${source_dir}" Ninja)
    step("${CMAKE_COMMAND}" ${fresh} -S "${source_dir}" -B "${build}" ${common} ${${name}_CONFIGURE})
    if(NOT ok)
      set(during "configuring")
    endif()
  endif()
  if(ok AND ${name}_TARGETS)
    step("${CMAKE_COMMAND}" --build "${build}" --parallel ${jobs} --target ${${name}_TARGETS})
    if(NOT ok)
      set(during "building")
    endif()
  endif()

  if(NOT ok)
    set(failed 1)
  elseif(${name}_RUN)
    set(output "")
    cmake_language(CALL ${${name}_RUN})
    file(APPEND "${log}" "${output}")
  elseif(${name}_LABEL)
    set(prefix "")
    if(name STREQUAL "tsan")
      set(prefix ${fixed_addresses})
    endif()
    step(${prefix} "${CMAKE_CTEST_COMMAND}" --test-dir "${build}" --verbose --no-tests=error --parallel ${jobs}
      --label-regex "^${${name}_LABEL}$")
    count_tests("${output}" ${${name}_LABEL} ${ok} passed failed)
  else()
    set(passed 1)
  endif()
  if(failed AND NOT during)
    set(during "testing")
  endif()
  foreach(variable passed failed during)
    set(${variable} "${${variable}}" PARENT_SCOPE)
  endforeach()
endfunction()

# Prints the lines of a log that name an error, and its end.
function(say_failure log)
  file(READ "${log}" text)
  # Brackets and semicolons have a meaning in the lists of CMake.
  string(REPLACE "[" "(" plain "${text}")
  string(REPLACE "]" ")" plain "${plain}")
  string(REPLACE ";" "," plain "${plain}")
  string(REGEX MATCHALL "[^\n]*(error:|ERROR:|FAILED)[^\n]*" errors "${plain}")
  list(REMOVE_DUPLICATES errors)
  list(LENGTH errors count)
  if(count GREATER 12)
    list(SUBLIST errors 0 12 errors)
  endif()
  tail_of(text "${text}")
  if(errors)
    list(JOIN errors "\n" errors)
    string(APPEND text "\n\nerrors in it, the first:\n${errors}\n")
  endif()
  say("${text}\n(all of it: ${log})\n")
endfunction()

function(pad out text width)
  string(LENGTH "${text}" length)
  math(EXPR missing "${width} - ${length}")
  if(missing GREATER 0)
    string(REPEAT " " ${missing} spaces)
    string(APPEND text "${spaces}")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

list(LENGTH selected count)
string(LENGTH "${count}" count_width)
set(number 0)
set(all_passed 0)
set(all_failed 0)
set(not_run "")
set(broken "")
set(table "")
foreach(name IN LISTS selected)
  math(EXPR number "${number} + 1")
  set(shown "${number}")
  string(LENGTH "${shown}" width)
  if(width LESS count_width)
    string(PREPEND shown " ")
  endif()
  say_part("[${shown}/${count}] ${name} ... ")
  pad(row "${name}" 22)

  set(missing "")
  foreach(need IN LISTS ${name}_NEEDS)
    have_need(found ${need})
    if(NOT found)
      list(APPEND missing "${need} (package ${need_${need}})")
    endif()
  endforeach()
  set(reason "")
  if(missing)
    list(JOIN missing ", " missing)
    set(reason "not found: ${missing}")
  endif()
  if(reason)
    say("not run: ${reason}")
    list(APPEND not_run ${name})
    string(APPEND table "${row} not run   ${reason}\n")
    continue()
  endif()

  set(log "${test_dir}/${name}.log")
  file(WRITE "${log}" "platform ${name}\n")
  string(TIMESTAMP before "%s")
  run_platform(${name})
  string(TIMESTAMP after "%s")
  math(EXPR seconds "${after} - ${before}")
  math(EXPR all_passed "${all_passed} + ${passed}")
  math(EXPR all_failed "${all_failed} + ${failed}")
  if(failed)
    list(APPEND broken ${name})
    say("FAILED in ${during}: ${passed} passed, ${failed} failed (${seconds} s)")
    say_failure("${log}")
    string(APPEND table "${row} FAILED    ${passed} passed, ${failed} failed in ${during} (${seconds} s): ${log}\n")
  else()
    say("${passed} passed (${seconds} s)")
    string(APPEND table "${row} passed    ${passed} passed (${seconds} s)\n")
  endif()
endforeach()

# --- the result -------------------------------------------------------------------------------------------------------

string(TIMESTAMP ended "%s")
math(EXPR seconds "${ended} - ${started}")
say("\n${table}")
list(LENGTH not_run not_run_count)
list(JOIN not_run ", " not_run)
list(JOIN broken ", " broken)
say("${count} platforms in ${seconds} s, ${not_run_count} of them not run")
if(in_ci AND not_run_count)
  math(EXPR all_failed "${all_failed} + ${not_run_count}")
  say("not run, which counts as failed because CI is set: ${not_run}")
endif()
if(all_passed EQUAL 0 AND all_failed EQUAL 0)
  message(SEND_ERROR "test: nothing was run")
elseif(all_failed)
  message(SEND_ERROR "test: failed: ${broken} ${not_run}")
endif()
say("${all_passed} passed, ${all_failed} failed")
