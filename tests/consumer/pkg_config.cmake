# Compiles and runs a program with what pkg-config says, with this build's compiler and with Clang if there is one.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

string(REGEX MATCH "PKG_CONFIG=([^|]*)" match "${DEFINITIONS}")
set(pkg_config "${CMAKE_MATCH_1}")
file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
set(ENV{PKG_CONFIG_PATH} "${PREFIX}/share/pkgconfig")

function(ask result)
  execute_process(COMMAND "${pkg_config}" ${ARGN} OUTPUT_VARIABLE text OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(text UNIX_COMMAND "${text}")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

ask(version --modversion dgram)
if(NOT version STREQUAL DGRAM_VERSION)
  message(FATAL_ERROR "pkg-config says version ${version}, not ${DGRAM_VERSION}")
endif()
ask(boost_flags --cflags dgram-boost)
if(NOT "-DDGRAM_USE_BOOST_ASIO=1" IN_LIST boost_flags)
  message(FATAL_ERROR "dgram-boost is not on Boost.Asio: ${boost_flags}")
endif()
foreach(name IN ITEMS dgram dgram-boost)
  file(READ "${PREFIX}/share/pkgconfig/${name}.pc" text)
  foreach(field IN ITEMS URL License Version Description)
    if(NOT text MATCHES "\n${field}: [^\n]+\n")
      message(FATAL_ERROR "${name}.pc has no ${field}")
    endif()
  endforeach()
endforeach()

ask(cflags --cflags dgram)
ask(libs --libs dgram)
if(NOT "-pthread" IN_LIST cflags OR NOT "-pthread" IN_LIST libs)
  message(FATAL_ERROR "no -pthread in '${cflags}' or '${libs}'")
endif()
if(DGRAM_ASIO_ROOT)
  list(APPEND cflags -isystem "${DGRAM_ASIO_ROOT}")
endif()

set(compilers "${COMPILER}")
find_program(clang NAMES clang++-19 clang++-18 clang++-17 clang++-16 NO_CACHE)
if(clang AND NOT COMPILER_ID STREQUAL "Clang")
  list(APPEND compilers "${clang}")
endif()
foreach(compiler IN LISTS compilers)
  # Asio comes first, and must have coroutines even so.
  run("${compiler}" -std=c++20 ${cflags} "${CMAKE_CURRENT_LIST_DIR}/coroutine.cpp" -o "${WORK_DIR}/program" ${libs})
  run("${WORK_DIR}/program")
endforeach()

# With an absolute directory, which CMake allows, the file names that one.
run("${CMAKE_COMMAND}" -S "${DGRAM_SOURCE_DIR}" -B "${WORK_DIR}/absolute" "-DCMAKE_INSTALL_INCLUDEDIR=${WORK_DIR}/headers"
  "-DCMAKE_INSTALL_PREFIX=${WORK_DIR}/prefix" "-DDGRAM_ASIO_ROOT=${DGRAM_ASIO_ROOT}" -DDGRAM_BUILD_TESTS=OFF)
run("${CMAKE_COMMAND}" --install "${WORK_DIR}/absolute")
set(ENV{PKG_CONFIG_PATH} "${WORK_DIR}/prefix/share/pkgconfig")
ask(cflags --cflags dgram)
if(NOT "-I${WORK_DIR}/headers" IN_LIST cflags OR NOT EXISTS "${WORK_DIR}/headers/dgram.hpp")
  message(FATAL_ERROR "the headers are in ${WORK_DIR}/headers, and pkg-config says ${cflags}")
endif()
