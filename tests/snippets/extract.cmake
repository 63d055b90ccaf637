# SPDX-License-Identifier: BSL-1.0
# Takes the code out of the documentation, so that what is printed there is compiled.
#
# dgram_extract_snippets(OUTPUT_DIRECTORY sources...) writes one .cpp file for each \code block of a header and
# each ```cpp block of a Markdown file, and sets `snippet_programs` (those with a main), which are as printed, and
# `snippet_sources` (the others), which are put into a coroutine that has the names of prelude.hpp.

# dgram_extract_blocks(FILE OPENING CLOSING RESULT) sets RESULT to the list of what stands between the two; each
# element is passed through dgram_block_text(ELEMENT RESULT) to become text again.

function(dgram_extract_blocks source opening closing result)
  file(READ "${source}" text)
  # A list would be cut at semicolons and glued at brackets.
  string(REPLACE ";" "<semicolon>" text "${text}")
  string(REPLACE "[" "<left>" text "${text}")
  string(REPLACE "]" "<right>" text "${text}")
  string(LENGTH "${opening}" opening_length)
  set(blocks "")
  while(TRUE)
    string(FIND "${text}" "${opening}" start)
    if(start EQUAL -1)
      break()
    endif()
    math(EXPR start "${start} + ${opening_length}")
    string(SUBSTRING "${text}" ${start} -1 text)
    string(FIND "${text}" "${closing}" end)
    string(SUBSTRING "${text}" 0 ${end} block)
    string(SUBSTRING "${text}" ${end} -1 text)
    list(APPEND blocks "${block}")
  endwhile()
  set(${result} "${blocks}" PARENT_SCOPE)
endfunction()

function(dgram_block_text block result)
  string(REPLACE "<semicolon>" ";" block "${block}")
  string(REPLACE "<left>" "[" block "${block}")
  string(REPLACE "<right>" "]" block "${block}")
  set(${result} "${block}" PARENT_SCOPE)
endfunction()

function(dgram_extract_snippets output_directory)
  set(parts "")
  set(programs "")
  foreach(source IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    if(source MATCHES "\\.md$")
      dgram_extract_blocks("${source}" "```cpp\n" "```" blocks)
    else()
      dgram_extract_blocks("${source}" "\\code\n" "\\endcode" blocks)
    endif()
    file(RELATIVE_PATH relative "${PROJECT_SOURCE_DIR}" "${source}")
    string(MAKE_C_IDENTIFIER "${relative}" identifier)
    set(number 0)
    foreach(block IN LISTS blocks)
      string(REGEX REPLACE "(^|\n) */// ?" "\\1" block "${block}")
      dgram_block_text("${block}" snippet)
      math(EXPR number "${number} + 1")
      set(file "${output_directory}/${identifier}_${number}.cpp")
      if(snippet MATCHES "int main\\(")
        file(CONFIGURE OUTPUT "${file}" CONTENT "@snippet@" @ONLY)
        list(APPEND programs "${file}")
      else()
        if(snippet MATCHES "(^|\n)asio::awaitable<")
          set(body "${snippet}")  # defines functions
        else()
          set(body "SNIPPET(${identifier}_${number})\n{\n{\n${snippet}\n}\n  co_return;\n}\n")
        endif()
        file(CONFIGURE OUTPUT "${file}" CONTENT
          "// from @relative@\n#include \"snippets/prelude.hpp\"\n\n@body@" @ONLY)
        list(APPEND parts "${file}")
      endif()
    endforeach()
  endforeach()
  set(snippet_sources "${parts}" PARENT_SCOPE)
  set(snippet_programs "${programs}" PARENT_SCOPE)
endfunction()
