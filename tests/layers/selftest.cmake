# cmake -DCHECK=<check_layers.cmake> -DWORK_DIR=<dir> -P selftest.cmake
# Runs the check on small trees: a good one, and one for each way to break the rule.

cmake_minimum_required(VERSION 3.25)

# expect(<name> <regex of the output, or GOOD> <header> <text> [<header> <text>...])
function(expect name expected)
  set(tree "${WORK_DIR}/${name}")
  file(REMOVE_RECURSE "${tree}")
  set(head "// SPDX-License-Identifier: BSL-1.0\n// What it is for.\n")
  file(WRITE "${tree}/dgram/config.hpp" "${head}#ifdef _WIN32\n#endif\n#include <asio/io_context.hpp>\n")
  file(WRITE "${tree}/dgram/detail/platform/names.hpp"
    "${head}#include <dgram/config.hpp>\n#if defined(__linux__)\n#endif\n")
  file(WRITE "${tree}/dgram/udp.hpp"
    "${head}#include \"config.hpp\"\n#include <dgram/detail/platform/names.hpp>\n#include <vector>\n// __linux__, asio::detail\n")
  file(WRITE "${tree}/dgram/detail/batch/reader_state.hpp" "${head}#include <dgram/udp.hpp>\n")
  file(WRITE "${tree}/dgram/reader.hpp" "${head}#include <dgram/detail/batch/reader_state.hpp>\n")
  file(WRITE "${tree}/dgram.hpp" "${head}#include <dgram/reader.hpp>\n")
  set(rest ${ARGN})
  while(rest)
    list(POP_FRONT rest header text)
    if(NOT text MATCHES "^//")
      string(PREPEND text "${head}")
    endif()
    file(WRITE "${tree}/${header}" "${text}\n")
  endwhile()
  execute_process(COMMAND "${CMAKE_COMMAND}" "-DINCLUDE_DIR=${tree}" -P "${CHECK}"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(expected STREQUAL "GOOD")
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "${name}: a good tree was refused:\n${output}")
    endif()
  elseif(result EQUAL 0)
    message(FATAL_ERROR "${name}: the breach was not seen")
  else()
    # CMake breaks long messages into lines.
    string(REGEX REPLACE "[ \n]+" " " output "${output}")
    if(NOT output MATCHES "${expected}")
      message(FATAL_ERROR "${name}: refused, but for another reason:\n${output}")
    endif()
  endif()
endfunction()

expect(good GOOD)
expect(upwards "socket, layer 3.: reaches dgram/detail/batch/reader_state.hpp .batch, layer 4"
  dgram/detail/socket/state.hpp "#include <dgram/detail/batch/reader_state.hpp>")
expect(upwards_through_public "reaches dgram/detail/batch/reader_state.hpp .batch, layer 4., which dgram/reader.hpp includes"
  dgram/detail/socket/state.hpp "#include <dgram/reader.hpp>")
expect(upwards_relative "reaches dgram/detail/batch/reader_state.hpp"
  dgram/detail/socket/state.hpp "#include \"../../reader.hpp\"")
expect(circle "dgram/udp.hpp: includes itself by way of" dgram/udp.hpp "#include \"reader.hpp\"")
expect(umbrella "includes itself by way of" dgram/udp.hpp "#include <dgram.hpp>")
expect(unknown_layer "not a place for a header" dgram/detail/other/name.hpp "#pragma once")
expect(public_looking "not a place for a header" dgram/socket/name.hpp "#pragma once")
expect(no_layer "not a place for a header" dgram/detail/name.hpp "#pragma once")
expect(no_purpose "says what the header is for" dgram/other.hpp "// nothing")
expect(missing "which does not exist" dgram/udp.hpp "#include <dgram/nothing.hpp>")
expect(system "asks about the system" dgram/udp.hpp "#if defined(X) && \\\n  defined(__APPLE__)\n#endif")
expect(system_ifdef "asks about the system" dgram/udp.hpp "# ifdef _WIN32\n#endif")
expect(asio "only config.hpp includes Asio" dgram/udp.hpp "#include <asio/ip/udp.hpp>")
expect(boost_asio "only config.hpp includes Asio" dgram/udp.hpp "#include <boost/asio/ip/udp.hpp>")
expect(asio_detail "uses asio::detail" dgram/udp.hpp "using x = asio::detail::y")
expect(format_included "includes format.hpp" dgram/format.hpp "#pragma once" dgram.hpp "#include <dgram/format.hpp>")
