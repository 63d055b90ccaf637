# Pastes each CMake block of the README into a CMakeLists.txt, as a reader would, and builds what it describes.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/../snippets/extract.cmake")

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
dgram_extract_blocks("${DGRAM_SOURCE_DIR}/README.md" "```cmake\n" "```" blocks)
if(NOT blocks)
  message(FATAL_ERROR "README.md has no CMake block")
endif()

# The archive that the blocks name.
set(folder "dgram-${DGRAM_VERSION}")
file(COPY "${DGRAM_SOURCE_DIR}/CMakeLists.txt" "${DGRAM_SOURCE_DIR}/LICENSE" "${DGRAM_SOURCE_DIR}/cmake"
  "${DGRAM_SOURCE_DIR}/include" DESTINATION "${WORK_DIR}/${folder}")
execute_process(COMMAND "${CMAKE_COMMAND}" -E tar czf "${folder}.tar.gz" "${folder}"
  WORKING_DIRECTORY "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)

set(number 0)
foreach(block IN LISTS blocks)
  math(EXPR number "${number} + 1")
  dgram_block_text("${block}" text)
  set(directory "${WORK_DIR}/${number}")
  string(REPLACE "file:///path/to/" "file://${WORK_DIR}/" text "${text}")
  file(WRITE "${directory}/CMakeLists.txt" "${text}")
  file(CREATE_LINK "${DGRAM_SOURCE_DIR}" "${directory}/dgram" SYMBOLIC)
  if(text MATCHES "dgram::fmt")
    configure_file("${CMAKE_CURRENT_LIST_DIR}/fmt/main.cpp" "${directory}/server.cpp" COPYONLY)
  else()
    configure_file("${CMAKE_CURRENT_LIST_DIR}/small.cpp" "${directory}/server.cpp" COPYONLY)
  endif()
  if(text MATCHES "CPM\\.cmake")
    # A file of another project, which readers have by then. Name one in DGRAM_CPM_FILE to try this block too.
    if(NOT EXISTS "$ENV{DGRAM_CPM_FILE}")
      message(STATUS "block ${number} is skipped: it needs CPM.cmake")
      continue()
    endif()
    configure_file("$ENV{DGRAM_CPM_FILE}" "${directory}/cmake/CPM.cmake" COPYONLY)
  endif()
  run("${CMAKE_COMMAND}" -S "${directory}" -B "${directory}/build" ${arguments})
  run("${CMAKE_COMMAND}" --build "${directory}/build" --config "${CONFIG}" --target server)
  run("${directory}/build/server")
endforeach()
