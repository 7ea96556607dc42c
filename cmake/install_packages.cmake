# Shared by the entry scripts quickstart.cmake and test.cmake: output, looking for tools, installing packages.

# Prints a line on stdout, where message() would write to stderr or put a prefix before it.
function(say text)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${text}")
endfunction()

# The same without the end of the line.
function(say_part text)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo_append "${text}")
endfunction()

# The last part of a text, from the start of a line.
function(tail_of out text)
  string(LENGTH "${text}" length)
  if(length GREATER 4000)
    math(EXPR start "${length} - 4000")
    string(SUBSTRING "${text}" ${start} -1 text)
    string(FIND "${text}" "\n" line)
    math(EXPR line "${line} + 1")
    string(SUBSTRING "${text}" ${line} -1 text)
    string(PREPEND text "[...]\n")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

function(have_program out)
  unset(found)  # the caller's, which find_program would take for the answer
  find_program(found NAMES ${ARGN} NO_CACHE)
  if(found)
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

# Whether a build will find the header `header` of a header-only library. `folder`: where the user says it is, or empty.
function(have_header out header folder)
  unset(found)
  find_path(found "${header}" NO_CACHE PATHS ${folder} ENV CMAKE_PREFIX_PATH ENV CMAKE_INCLUDE_PATH
    /usr/local /usr /opt/homebrew /opt/local PATH_SUFFIXES include)
  if(found)
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

# "--fresh" when the folder was configured by another generator or for another copy of the sources, else empty.
function(fresh_if_changed out build_dir source_dir generator)
  set(${out} "" PARENT_SCOPE)
  if(EXISTS "${build_dir}/CMakeCache.txt")
    load_cache("${build_dir}" READ_WITH_PREFIX cached_ CMAKE_HOME_DIRECTORY CMAKE_GENERATOR)
    if(NOT "${cached_CMAKE_HOME_DIRECTORY}" STREQUAL "${source_dir}" OR NOT "${cached_CMAKE_GENERATOR}" STREQUAL "${generator}")
      set(${out} --fresh PARENT_SCOPE)
    endif()
  endif()
endfunction()

# Installs Debian packages. What went wrong comes back in `problem`, with the command that the user can give instead;
# it is empty when all are installed. The package lists are fetched only when they lack something.
function(install_packages problem)
  set(${problem} "" PARENT_SCOPE)
  if(NOT ARGN)
    return()
  endif()
  list(JOIN ARGN " " names)

  find_program(apt_get apt-get NO_CACHE)
  if(NOT apt_get)
    set(${problem} "There is no apt-get here, so please install what these Debian packages contain: ${names}" PARENT_SCOPE)
    return()
  endif()
  set(as_root "")
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT user STREQUAL "0")
    find_program(sudo sudo NO_CACHE)
    set(may_sudo 1)
    if(sudo)
      execute_process(COMMAND "${sudo}" -n true RESULT_VARIABLE may_sudo OUTPUT_QUIET ERROR_QUIET)
    endif()
    if(NOT may_sudo EQUAL 0)
      set(${problem} "Installing packages needs root, which this script has neither itself nor by sudo without a password. Please run as \
root: apt-get install ${names}"
        PARENT_SCOPE)
      return()
    endif()
    set(as_root "${sudo}" -n)
  endif()

  set(apt ${as_root} env DEBIAN_FRONTEND=noninteractive "${apt_get}" -o DPkg::Lock::Timeout=300)
  set(install ${apt} install -y --no-install-recommends)
  say("installing: ${names}")
  execute_process(COMMAND ${install} ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    say("fetching the package lists (apt-get update)")
    execute_process(COMMAND ${apt} update RESULT_VARIABLE update_result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    execute_process(COMMAND ${install} ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  endif()
  if(NOT result EQUAL 0)
    # One package that this distribution lacks must not keep the others away.
    set(missing "")
    foreach(package IN LISTS ARGN)
      execute_process(COMMAND ${install} ${package} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
      if(NOT result EQUAL 0)
        string(APPEND missing " ${package}")
        tail_of(reason "${output}")
      endif()
    endforeach()
    if(missing)
      set(${problem} "apt-get install${missing} failed:\n${reason}" PARENT_SCOPE)
    endif()
  endif()
endfunction()
