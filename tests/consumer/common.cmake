# What the scripts of the consumer tests share.

function(run) # a command that must succeed
  list(JOIN ARGV " " line)
  message(STATUS "${line}")
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed (${result}): ${line}")
  endif()
endfunction()

function(refuse regex) # a command that must fail, and say why; sets "output"
  list(JOIN ARGN " " line)
  message(STATUS "${line}")
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(result EQUAL 0)
    message(FATAL_ERROR "was not refused: ${line}\n${output}")
  endif()
  # CMake breaks long lines.
  string(REGEX REPLACE "[ \n]+" " " text "${output}")
  if(NOT text MATCHES "${regex}")
    message(FATAL_ERROR "was refused without '${regex}': ${line}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# For the configuration of a consumer.
set(arguments
  -G "${GENERATOR}"
  "-DCMAKE_CXX_COMPILER=${COMPILER}"
  "-DCMAKE_BUILD_TYPE=${CONFIG}"
  "-DCMAKE_CXX_FLAGS_DEBUG=-g0"
  "-DCMAKE_PREFIX_PATH=${PREFIX}"
  "-DBoost_ROOT=${Boost_ROOT}"
  "-DDGRAM_ASIO_ROOT=${DGRAM_ASIO_ROOT}"
  "-DASIO_INCLUDE_DIR=${ASIO_INCLUDE_DIR}"
  "-DDGRAM_SOURCE_DIR=${DGRAM_SOURCE_DIR}"
  "-DDGRAM_EXPECTED_VERSION=${DGRAM_VERSION}"
  "-DDGRAM_USE_BOOST_ASIO=${DGRAM_USE_BOOST_ASIO}"
  # None of these may need a network, or hide that it would.
  "-DDGRAM_FETCH_ASIO=OFF")
