# Runs a fuzzer on a copy of its kept corpus: a test run does not change the source tree. What it
# found stays in WORK_DIR until the next run: crash-* files beside corpus/, new inputs in it. What
# libFuzzer prints is in WORK_DIR/log, where scripts/test reads the coverage.

cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}/corpus")
if(EXISTS "${CORPUS}")
  file(COPY "${CORPUS}/" DESTINATION "${WORK_DIR}/corpus")
endif()
execute_process(
  COMMAND "${FUZZER}" "-max_total_time=${SECONDS}" -print_final_stats=1 -len_control=10 corpus
  WORKING_DIRECTORY "${WORK_DIR}"
  OUTPUT_FILE log
  ERROR_FILE log
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  file(READ "${WORK_DIR}/log" printed)
  message("${printed}")
  message(FATAL_ERROR "the fuzzer ended with ${result}; the input is in ${WORK_DIR}")
endif()
