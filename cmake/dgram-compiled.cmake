# Component "compiled": the usual instantiations are compiled once for each target that links dgram::compiled, and
# not by each of its source files. No library is built: a library would have to be compiled with the flags of all its
# users, and could not be exported by them.
#
#   dgram::compiled        dgram::dgram, one source file, and the macro that makes the others use it
#   dgram::boost_compiled  the same for dgram::boost

# dgram_add_compiled_target(NAME TARGET)
function(dgram_add_compiled_target name target)
  if(TARGET ${name} OR NOT TARGET ${target})
    return()
  endif()
  add_library(${name} INTERFACE IMPORTED ${dgram_global})
  target_link_libraries(${name} INTERFACE ${target})
  target_compile_definitions(${name} INTERFACE DGRAM_COMPILED=1)
  target_sources(${name} INTERFACE "${dgram_cmake_dir}/dgram-compiled.cpp")
endfunction()
