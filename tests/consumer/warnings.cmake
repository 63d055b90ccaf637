# A user who has the headers on the path with -I, where compilers also warn about what they find in headers, and who
# takes warnings for errors. One program uses every layer.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

if(NOT COMPILER_ID MATCHES "^(GNU|Clang)$" OR DGRAM_USE_BOOST_ASIO)
  message(STATUS "not tried with ${COMPILER_ID}, or with Boost.Asio")
  return()
endif()

set(warnings -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wdouble-promotion -Wfloat-equal -Wold-style-cast
  -Wcast-align -Wcast-qual -Wnon-virtual-dtor -Woverloaded-virtual -Wctor-dtor-privacy -Wshadow -Wredundant-decls
  -Wmissing-declarations -Wextra-semi -Wundef -Wunused-macros -Wformat=2)
if(COMPILER_ID STREQUAL "GNU")
  list(APPEND warnings -Wuseless-cast -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
else()
  list(APPEND warnings -Wshorten-64-to-32 -Wimplicit-fallthrough -Wthread-safety -Wunreachable-code -Wextra-semi-stmt
    -Wheader-hygiene -Wnewline-eof -Wdocumentation -Wmissing-noreturn -Wunused-template -Wrange-loop-construct)
endif()

set(asio)
if(DGRAM_ASIO_ROOT)
  set(asio -isystem "${DGRAM_ASIO_ROOT}")
endif()
run("${COMPILER}" -std=c++20 -DASIO_STANDALONE -DFMT_HEADER_ONLY -I "${DGRAM_SOURCE_DIR}/include" ${asio} ${warnings}
  -Werror -fsyntax-only "${DGRAM_SOURCE_DIR}/tests/configurations/program.cpp")

# With sanitizers, GCC optimizes and warns differently.
if(COMPILER_ID STREQUAL "GNU")
  file(MAKE_DIRECTORY "${WORK_DIR}")
  run("${COMPILER}" -std=c++20 -O1 -fsanitize=address,undefined -DASIO_STANDALONE
    -I "${DGRAM_SOURCE_DIR}/include" ${asio} -Wall -Wextra -Werror -c "${DGRAM_SOURCE_DIR}/tests/consumer/sanitized.cpp"
    -o "${WORK_DIR}/sanitized.o")
endif()

# The first call refuses what it is there for.
file(WRITE "${WORK_DIR}/header/careless.hpp"
  "struct careless { virtual void run() {} };\ninline unsigned sign(int value) { return value; }\n")
file(WRITE "${WORK_DIR}/careless.cpp" "#include <careless.hpp>\n")
refuse("non-virtual-dtor.*sign-conversion" "${COMPILER}" -std=c++20 -I "${WORK_DIR}/header" ${warnings} -Werror
  -fsyntax-only "${WORK_DIR}/careless.cpp")
