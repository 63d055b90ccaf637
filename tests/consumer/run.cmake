# Configures, builds and runs one consumer project, each time from nothing: a file left from an
# earlier run must not make it pass.

cmake_minimum_required(VERSION 3.25)

function(run)
  list(JOIN ARGV " " line)
  message(STATUS "${line}")
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed (${result}): ${line}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")

set(arguments
  -G "${GENERATOR}"
  "-DCMAKE_CXX_COMPILER=${COMPILER}"
  "-DCMAKE_BUILD_TYPE=${CONFIG}"
  "-DBoost_ROOT=${Boost_ROOT}"
  "-DDGRAM_ASIO_ROOT=${DGRAM_ASIO_ROOT}")

if(KIND STREQUAL "find_package")
  set(prefix "${WORK_DIR}/prefix")
  run("${CMAKE_COMMAND}" --install "${DGRAM_BUILD_DIR}" --prefix "${prefix}" --component dgram
      --config "${CONFIG}")
  foreach(file IN ITEMS include/dgram.hpp include/dgram/config.hpp share/pkgconfig/dgram.pc
          share/cmake/dgram/dgram-config.cmake share/cmake/dgram/FindAsio.cmake)
    if(NOT EXISTS "${prefix}/${file}")
      message(FATAL_ERROR "not installed: ${file}")
    endif()
  endforeach()
  list(APPEND arguments
    "-DCMAKE_PREFIX_PATH=${prefix}"
    "-DDGRAM_EXPECTED_VERSION=${DGRAM_VERSION}")
else()
  list(APPEND arguments
    "-DDGRAM_SOURCE_DIR=${DGRAM_SOURCE_DIR}"
    "-DDGRAM_USE_BOOST_ASIO=${DGRAM_USE_BOOST_ASIO}"
    "-DDGRAM_FORCE_POSIX_BACKEND=${DGRAM_FORCE_POSIX_BACKEND}")
endif()

run("${CMAKE_COMMAND}" -S "${SOURCE_DIR}" -B "${WORK_DIR}/build" ${arguments})
run("${CMAKE_COMMAND}" --build "${WORK_DIR}/build" --config "${CONFIG}")
run("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK_DIR}/build" -C "${CONFIG}" --output-on-failure
    --no-tests=error)
