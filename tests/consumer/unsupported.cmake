# What cannot work is refused by the first line that the compiler prints, and is not followed by hundreds more.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

if(NOT COMPILER_ID MATCHES "^(GNU|Clang)$")
  message(STATUS "not tried with ${COMPILER_ID}")
  return()
endif()

file(REMOVE_RECURSE "${WORK_DIR}")
file(WRITE "${WORK_DIR}/old/asio/version.hpp" "#define ASIO_VERSION 101800\n")
file(WRITE "${WORK_DIR}/old/boost/asio/version.hpp" "#define BOOST_ASIO_VERSION 101800\n")

function(expect_few_lines regex)
  set(command "${COMPILER}" -fsyntax-only -I "${DGRAM_SOURCE_DIR}/include" -DASIO_STANDALONE ${ARGN})
  refuse("${regex}" ${command})
  string(REGEX MATCHALL "\n" lines "${output}")
  list(LENGTH lines count)
  if(count GREATER 30)
    message(FATAL_ERROR "${count} lines are printed for: ${regex}")
  endif()
endfunction()

function(expect text)
  expect_few_lines("error: (#error )?\"${text}" ${ARGN} "${CMAKE_CURRENT_LIST_DIR}/small.cpp")
endfunction()

expect("dgram needs C\\+\\+20: compile with -std=c\\+\\+20" -std=c++17)
expect("dgram needs Asio 1.22.1 or newer, and the Asio on the include path is older"
  -std=c++20 -isystem "${WORK_DIR}/old")
expect("dgram needs Boost 1.79 or newer, and the Boost on the include path is older"
  -std=c++20 -DDGRAM_USE_BOOST_ASIO -isystem "${WORK_DIR}/old")
expect("dgram needs Asio 1.22.1 or newer, and no asio.hpp is on the include path" -std=c++20 -nostdinc)
expect("dgram needs Boost 1.79 or newer for DGRAM_USE_BOOST_ASIO, and none is on the include path"
  -std=c++20 -DDGRAM_USE_BOOST_ASIO -nostdinc)
expect("dgram needs exceptions: compile without -fno-exceptions" -std=c++20 -fno-exceptions)
expect("dgram needs exceptions: compile without ASIO_NO_EXCEPTIONS" -std=c++20 -DASIO_NO_EXCEPTIONS)
expect("dgram needs a system with datagram sockets, and WASI has none" -std=c++20 -D__wasi__)
if(COMPILER_ID STREQUAL "GNU")
  expect("dgram needs GCC 12 or newer" -std=c++20 -U__GNUC__ -D__GNUC__=11)
else()
  expect("dgram needs Clang 16 or newer" -std=c++20 -U__clang_major__ -D__clang_major__=15)
endif()
# As if Asio had been included first.
expect("this Asio has coroutines for Clang if you compile with -DASIO_HAS_CO_AWAIT"
  -std=c++20 -DASIO_VERSION=102201 -DASIO_HEADER_ONLY -D__clang__ -D__clang_major__=19)

if(DGRAM_USE_BOOST_ASIO)
  return()
endif()

# Data that are no buffers, in every way to send or to receive one datagram.
set(asio)
if(DGRAM_ASIO_ROOT)
  set(asio -isystem "${DGRAM_ASIO_ROOT}")
endif()
set(calls "send(text)" "send_to(text, path)" "try_send_to(text, peer)" "async_send(text, done)"
  "async_send_to(text, path, done)" "receive(data)" "try_receive_from(data, info)" "async_receive_from(data, peer, done)")
foreach(call IN LISTS calls)
  foreach(good IN ITEMS 0 1)
    if(good)
      string(REGEX REPLACE "(text|data)" "asio::buffer(\\1)" call "${call}")
    endif()
    file(WRITE "${WORK_DIR}/call${good}.cpp" "#include <dgram/udp.hpp>\n"
      "void use(dgram::udp::socket& socket, asio::ip::udp::endpoint peer, dgram::reply_path path) {\n"
      "  [[maybe_unused]] dgram::send_options options; [[maybe_unused]] dgram::datagram_info info;\n"
      "  [[maybe_unused]] const char text[] = \"text\"; [[maybe_unused]] char data[9]{};\n"
      "  [[maybe_unused]] auto done = [](dgram::error_code, std::size_t) {};\n"
      "  socket.${call};\n}\n")
  endforeach()
  expect_few_lines("assertion.*takes buffers of Asio's: asio::buffer" -std=c++20 ${asio} "${WORK_DIR}/call0.cpp")
endforeach()
# Arguments of an emitter that are neither an address nor a completion token, or are in the wrong order.
foreach(rest IN ITEMS "\"127.0.0.1\", 3" "std::array<int, 2>{}")
  file(WRITE "${WORK_DIR}/emitter.cpp" "#include <dgram.hpp>\n#include <array>\n"
    "void use(dgram::emitter_socket& socket) { socket.send(\"text\", 9, ${rest}); }\n")
  expect_few_lines("assertion.*completion token" -std=c++20 ${asio} "${WORK_DIR}/emitter.cpp")
endforeach()
# The last one, as it should be.
run("${COMPILER}" -fsyntax-only -I "${DGRAM_SOURCE_DIR}/include" -DASIO_STANDALONE -std=c++20 ${asio}
  "${WORK_DIR}/call1.cpp")
