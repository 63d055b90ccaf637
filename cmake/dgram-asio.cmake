# Decides which Asio dgram is built on. Sets DGRAM_ASIO_TARGET.

set(dgram_asio_minimum 1.22.1)

if(DGRAM_USE_BOOST_ASIO)
  # Asked for without a version: Boost's own number says less than Asio's, which is what counts.
  find_package(Boost QUIET GLOBAL)
  if(NOT TARGET Boost::headers)
    message(FATAL_ERROR "DGRAM_USE_BOOST_ASIO is on, but Boost's headers were not found (set Boost_ROOT)")
  endif()
  get_target_property(dgram_boost_dirs Boost::headers INTERFACE_INCLUDE_DIRECTORIES)
  set(dgram_boost_asio_version 0)
  foreach(dir IN LISTS dgram_boost_dirs Boost_INCLUDE_DIRS)
    if(EXISTS "${dir}/boost/asio/version.hpp")
      file(STRINGS "${dir}/boost/asio/version.hpp" line REGEX "define[ \t]+BOOST_ASIO_VERSION[ \t]")
      if(line MATCHES "BOOST_ASIO_VERSION[ \t]+([0-9]+)")
        set(dgram_boost_asio_version "${CMAKE_MATCH_1}")
        break()
      endif()
    endif()
  endforeach()
  if(dgram_boost_asio_version LESS 102201)
    message(FATAL_ERROR
      "dgram needs Boost.Asio 1.22.1 (Boost 1.79) or newer; Boost ${Boost_VERSION_STRING} has "
      "BOOST_ASIO_VERSION ${dgram_boost_asio_version}. Set Boost_ROOT to a newer Boost, or turn "
      "DGRAM_USE_BOOST_ASIO off.")
  endif()
  message(STATUS "dgram: Boost.Asio ${dgram_boost_asio_version}")
  set(DGRAM_ASIO_TARGET Boost::headers)
  return()
endif()

find_package(Asio ${dgram_asio_minimum} QUIET GLOBAL MODULE)
if(NOT Asio_FOUND)
  if(Asio_VERSION)
    message(STATUS "dgram: Asio ${Asio_VERSION} is older than ${dgram_asio_minimum}, fetching a newer one")
  else()
    message(STATUS "dgram: no Asio found, fetching it")
  endif()
  include(FetchContent)
  # Asio has no CMakeLists.txt: fetching it only brings the sources, and the module finds them.
  FetchContent_Declare(asio
    GIT_REPOSITORY https://github.com/chriskohlhoff/asio.git
    GIT_TAG asio-1-38-2
    GIT_SHALLOW TRUE)
  FetchContent_MakeAvailable(asio)
  set(DGRAM_ASIO_ROOT "${asio_SOURCE_DIR}")
  find_package(Asio ${dgram_asio_minimum} REQUIRED GLOBAL MODULE)
endif()
message(STATUS "dgram: Asio ${Asio_VERSION} (${Asio_INCLUDE_DIR})")
set(DGRAM_ASIO_TARGET Asio::Asio)
