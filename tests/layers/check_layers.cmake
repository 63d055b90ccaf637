# cmake -DINCLUDE_DIR=<include> -P check_layers.cmake
#
# Fails, naming each breach, unless
#   - every header has a layer, and includes only headers of its own or a lower one;
#   - the system is asked about (#if on _WIN32, __linux__ ...) only in config.hpp and platform/;
#   - only config.hpp includes Asio;
#   - nobody uses asio::detail;
#   - nobody includes format.hpp, which needs fmt.

cmake_minimum_required(VERSION 3.25)

# The layer of each header below dgram/, without .hpp. A new header gets its layer here.
set(layer_0 config version fwd error)
set(layer_1 platform/.*)
set(layer_2 endpoint network_interface datagram control_message path_error send_options
            socket_statistics capabilities option multicast
            basic_socket udp unix_dgram failure format detail/.*)
set(layer_3 receive_batch send_batch reader writer)
set(layer_4 resolve block_list)
set(layer_5 diagnostics event_emitter emitter_socket coroutine_listener emitter/.*)
set(top_layer 5)

set(os_macros "_WIN32|_WIN64|__linux__|__linux|__APPLE__|__FreeBSD__|__NetBSD__|__OpenBSD__|__unix__|__unix")

set(breaches "")
macro(breach text)
  string(APPEND breaches "  ${text}\n")
endmacro()

# A macro for the umbrella above all layers; -1 for a header without a layer.
function(layer_of header result)
  if(header STREQUAL "dgram.hpp")
    math(EXPR layer "${top_layer} + 1")
    set(${result} ${layer} PARENT_SCOPE)
    return()
  endif()
  string(REGEX REPLACE "^dgram/(.*)\\.hpp$" "\\1" name "${header}")
  foreach(layer RANGE ${top_layer})
    foreach(pattern IN LISTS layer_${layer})
      if(name MATCHES "^${pattern}$")
        set(${result} ${layer} PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
  set(${result} -1 PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/*.hpp")
if(NOT headers)
  message(FATAL_ERROR "no headers in ${INCLUDE_DIR}")
endif()

foreach(header IN LISTS headers)
  layer_of("${header}" own_layer)
  if(own_layer EQUAL -1)
    breach("${header}: unknown header, give it a layer in check_layers.cmake")
    continue()
  endif()
  get_filename_component(directory "${header}" DIRECTORY)

  file(READ "${INCLUDE_DIR}/${header}" text)
  # What has a meaning in CMake lists goes first, then comments and line continuations.
  string(REGEX REPLACE "[][;]" " " text "${text}")
  string(REGEX REPLACE "\\\\\r?\n" " " text "${text}")
  string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" " " text "${text}")
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")

  if(text MATCHES "asio::detail|asio/detail/")
    breach("${header}: uses asio::detail, which may change in every version")
  endif()

  if(NOT header STREQUAL "dgram/config.hpp" AND NOT header MATCHES "^dgram/platform/")
    string(REGEX MATCHALL "#[ \t]*(if|ifdef|ifndef|elif|elifdef|elifndef)[^\n]*" conditions "${text}")
    foreach(condition IN LISTS conditions)
      if(condition MATCHES "(^|[^A-Za-z0-9_])(${os_macros})([^A-Za-z0-9_]|$)")
        breach("${header}: '${condition}' asks about the system outside config.hpp and platform/")
      endif()
    endforeach()
  endif()

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
    endif()
    if(NOT EXISTS "${INCLUDE_DIR}/${resolved}")
      breach("${header}: includes ${resolved}, which does not exist")
      continue()
    endif()
    layer_of("${resolved}" other_layer)
    if(other_layer GREATER own_layer)
      breach("${header} (layer ${own_layer}): includes ${resolved} of layer ${other_layer}")
    endif()
  endforeach()
endforeach()

list(LENGTH headers count)
if(breaches)
  message(FATAL_ERROR "the layer rule is broken:\n${breaches}")
endif()
message(STATUS "${count} headers keep the layer rule")
