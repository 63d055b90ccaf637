# cmake -DINCLUDE_DIR=<include> -P check_layers.cmake
#
# Checks the layer rule from the paths of the headers alone:
#   - a header directly under dgram/ is public; a private header is detail/<layer>/<name>.hpp;
#   - a private header reaches, through any chain of includes, no header of a higher layer;
#   - no header includes itself through others;
#   - only config.hpp and detail/platform/ ask about the system (#if on _WIN32, __linux__ ...);
#   - only config.hpp includes Asio, and no header uses asio::detail;
#   - no header includes format.hpp, which needs fmt;
#   - the second line of a header says what the header is for.
# Fails with one line for each breach.

cmake_minimum_required(VERSION 3.25)

# The folders of detail/, from the lowest layer to the highest.
set(folders platform async socket batch sessions names emitter sim)
set(layer 0)
foreach(folder IN LISTS folders)
  math(EXPR layer "${layer} + 1")
  set(layer_of_${folder} ${layer})
endforeach()

set(os_macros "_WIN32|_WIN64|__linux__|__linux|__APPLE__|__FreeBSD__|__NetBSD__|__OpenBSD__|__unix__|__unix")

set(breaches "")
macro(breach text)
  string(APPEND breaches "  ${text}\n")
endmacro()

# `folder` gets the layer's folder of a private header, nothing for a public one, and NONE for a header
# in a place that the rule does not know.
function(place_of header folder)
  set(place NONE)
  if(header MATCHES "^dgram(\\.hpp|/[^/]+\\.hpp)$")
    set(place "")
  elseif(header MATCHES "^dgram/detail/([^/]+)/[^/]+\\.hpp$")
    if(DEFINED layer_of_${CMAKE_MATCH_1})
      set(place ${CMAKE_MATCH_1})
    endif()
  endif()
  set(${folder} "${place}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/*.hpp")
if(NOT headers)
  message(FATAL_ERROR "no headers in ${INCLUDE_DIR}")
endif()

foreach(header IN LISTS headers)
  place_of("${header}" folder)
  if(folder STREQUAL "NONE")
    breach("${header}: not a place for a header; public ones are dgram/<name>.hpp, private ones dgram/detail/<layer>/<name>.hpp")
  endif()
  get_filename_component(directory "${header}" DIRECTORY)

  file(READ "${INCLUDE_DIR}/${header}" text)
  # What has a meaning in CMake lists goes first, then comments and line continuations.
  string(REGEX REPLACE "[][;]" " " text "${text}")
  if(NOT text MATCHES "^// SPDX-License-Identifier: [^\n]+\n// [A-Z]")
    breach("${header}: starts without the licence line and a sentence that says what the header is for")
  endif()
  string(REGEX REPLACE "\\\\\r?\n" " " text "${text}")
  string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" " " text "${text}")
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")

  if(text MATCHES "asio::detail|asio/detail/")
    breach("${header}: uses asio::detail, which may change in every version")
  endif()

  if(NOT header STREQUAL "dgram/config.hpp" AND NOT folder STREQUAL "platform")
    string(REGEX MATCHALL "#[ \t]*(if|ifdef|ifndef|elif|elifdef|elifndef)[^\n]*" conditions "${text}")
    foreach(condition IN LISTS conditions)
      if(condition MATCHES "(^|[^A-Za-z0-9_])(${os_macros})([^A-Za-z0-9_]|$)")
        breach("${header}: '${condition}' asks about the system outside config.hpp and detail/platform/")
      endif()
    endforeach()
  endif()

  set(includes_of_${header} "")
  string(REGEX MATCHALL "#[ \t]*include[ \t]*[<\"][^>\"\n]*" includes "${text}")
  foreach(include IN LISTS includes)
    string(REGEX REPLACE "^#[ \t]*include[ \t]*[<\"]" "" target "${include}")

    if(target MATCHES "^(boost/)?asio(/|\\.hpp)" AND NOT header STREQUAL "dgram/config.hpp")
      breach("${header}: includes ${target}; only config.hpp includes Asio")
      continue()
    endif()

    # A name in quotes may be relative to the header; then as the compiler sees it, from the root.
    set(resolved "${target}")
    if(include MATCHES "\"")
      get_filename_component(absolute "${INCLUDE_DIR}/${directory}/${target}" ABSOLUTE)
      if(EXISTS "${absolute}")
        file(RELATIVE_PATH resolved "${INCLUDE_DIR}" "${absolute}")
      endif()
    endif()
    if(NOT resolved MATCHES "^dgram(/|\\.hpp$)")
      continue() # not ours
    endif()

    if(resolved STREQUAL "dgram/format.hpp")
      breach("${header}: includes format.hpp, which users include by themselves as it needs fmt")
    elseif(NOT EXISTS "${INCLUDE_DIR}/${resolved}")
      breach("${header}: includes ${resolved}, which does not exist")
    else()
      list(APPEND includes_of_${header} "${resolved}")
    endif()
  endforeach()
endforeach()

# Everything that a header reaches, each with the header that includes it.
foreach(header IN LISTS headers)
  place_of("${header}" folder)
  set(reached "")
  set(todo "${header}")
  while(todo)
    list(POP_FRONT todo next)
    foreach(target IN LISTS includes_of_${next})
      if(target STREQUAL header)
        breach("${header}: includes itself by way of ${next}")
      elseif(NOT target IN_LIST reached)
        list(APPEND reached "${target}")
        list(APPEND todo "${target}")
        place_of("${target}" other)
        if(DEFINED layer_of_${folder} AND DEFINED layer_of_${other})
          if(layer_of_${other} GREATER layer_of_${folder})
            breach("${header} (${folder}, layer ${layer_of_${folder}}): reaches ${target} (${other}, layer ${layer_of_${other}}), which ${next} includes")
          endif()
        endif()
      endif()
    endforeach()
  endwhile()
endforeach()

list(LENGTH headers count)
if(breaches)
  message(FATAL_ERROR "the layer rule is broken:\n${breaches}")
endif()
message(STATUS "${count} headers keep the layer rule")
