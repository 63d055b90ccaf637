# Installs dgram where the consumers find it, and looks at what is there.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

file(REMOVE_RECURSE "${PREFIX}")
run("${CMAKE_COMMAND}" --install "${DGRAM_BUILD_DIR}" --prefix "${PREFIX}" --component dgram
    --config "${CONFIG}")

foreach(file IN ITEMS include/dgram.hpp include/dgram/config.hpp
    share/pkgconfig/dgram.pc share/pkgconfig/dgram-boost.pc share/licenses/dgram/LICENSE
    share/cmake/dgram/dgram-config.cmake share/cmake/dgram/FindAsio.cmake)
  if(NOT EXISTS "${PREFIX}/${file}")
    message(FATAL_ERROR "not installed: ${file}")
  endif()
endforeach()

# Every header, and nothing of an architecture or of this machine.
file(GLOB_RECURSE headers RELATIVE "${DGRAM_SOURCE_DIR}" "${DGRAM_SOURCE_DIR}/include/*.hpp")
foreach(header IN LISTS headers)
  if(NOT EXISTS "${PREFIX}/${header}")
    message(FATAL_ERROR "not installed: ${header}")
  endif()
endforeach()
file(GLOB_RECURSE files RELATIVE "${PREFIX}" "${PREFIX}/*")
foreach(file IN LISTS files)
  if(NOT file MATCHES "^(include|share)/")
    message(FATAL_ERROR "installed outside of include and share, which all architectures have in common: ${file}")
  endif()
  if(file MATCHES "^share/")
    file(READ "${PREFIX}/${file}" text)
    if(text MATCHES "SIZEOF_VOID_P")
      message(FATAL_ERROR "${file} asks for the architecture")
    endif()
    string(FIND "${text}" "${DGRAM_SOURCE_DIR}" source)
    string(FIND "${text}" "${PREFIX}" prefix)
    if(NOT source EQUAL -1 OR NOT prefix EQUAL -1)
      message(FATAL_ERROR "${file} names a directory of this machine, and cannot be moved")
    endif()
  endif()
endforeach()
