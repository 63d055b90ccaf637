# Configures, builds and runs one consumer project, each time from nothing: a file left from an
# earlier run must not make it pass.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

file(REMOVE_RECURSE "${WORK_DIR}")
string(REPLACE "|" ";" definitions "${DEFINITIONS}")

if(REFUSED)
  refuse("${REFUSED}" "${CMAKE_COMMAND}" -S "${SOURCE_DIR}" -B "${WORK_DIR}/build" ${arguments} ${definitions})
  return()
endif()
run("${CMAKE_COMMAND}" -S "${SOURCE_DIR}" -B "${WORK_DIR}/build" ${arguments} ${definitions})
run("${CMAKE_COMMAND}" --build "${WORK_DIR}/build" --config "${CONFIG}")
run("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK_DIR}/build" -C "${CONFIG}" --output-on-failure
    --no-tests=error)
