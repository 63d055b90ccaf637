# Conan's generated package includes this after it has made dgram::dgram.
set(dgram_cmake_dir "${CMAKE_CURRENT_LIST_DIR}")
include("${CMAKE_CURRENT_LIST_DIR}/dgram-compiled.cmake")
dgram_add_compiled_target(dgram::compiled dgram::dgram)
if(TARGET dgram::boost)
  dgram_add_compiled_target(dgram::boost_compiled dgram::boost)
endif()
