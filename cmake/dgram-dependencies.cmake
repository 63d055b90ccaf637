# Finds what the components of this build need, or fetches Asio, and defines the targets.

include("${CMAKE_CURRENT_LIST_DIR}/dgram-components.cmake")

# A parent project must see what is found here: dgram::dgram, which is visible to it, names these targets.
set(dgram_global GLOBAL)
set(dgram_on_boost ${DGRAM_USE_BOOST_ASIO})
set(dgram_force_posix_backend ${DGRAM_FORCE_POSIX_BACKEND})

dgram_choose_components(${DGRAM_COMPONENTS})
if(dgram_component_problem)
  message(FATAL_ERROR "DGRAM_COMPONENTS is '${DGRAM_COMPONENTS}': ${dgram_component_problem}")
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED GLOBAL)

foreach(dgram_component IN LISTS dgram_components)
  dgram_find_component(${dgram_component})
  if(dgram_component STREQUAL "asio" AND dgram_component_problem AND DGRAM_FETCH_ASIO)
    message(STATUS "dgram: ${dgram_component_problem}. Fetching one (DGRAM_FETCH_ASIO)")
    include(FetchContent)
    # Asio has no CMakeLists.txt: fetching it only brings the sources, and the module finds them.
    FetchContent_Declare(asio
      GIT_REPOSITORY https://github.com/chriskohlhoff/asio.git
      GIT_TAG asio-1-38-2
      GIT_SHALLOW TRUE)
    FetchContent_MakeAvailable(asio)
    set(DGRAM_ASIO_ROOT "${asio_SOURCE_DIR}")
    dgram_find_component(asio)
    if(DGRAM_INSTALL)
      message(NOTICE "dgram: Asio was fetched for this build and will not be installed. "
        "A project that uses the installed dgram needs an Asio of its own.")
    endif()
  elseif(dgram_component STREQUAL "asio" AND dgram_component_problem)
    string(APPEND dgram_component_problem ", or let CMake fetch it with -DDGRAM_FETCH_ASIO=ON")
  endif()
  if(dgram_component_problem)
    message(FATAL_ERROR "dgram: ${dgram_component_problem}.")
  endif()
endforeach()

dgram_add_component_targets("${PROJECT_VERSION}" "${PROJECT_SOURCE_DIR}/include" ${dgram_components})
if("asio" IN_LIST dgram_components AND Asio_INCLUDE_DIR)
  message(STATUS "dgram: Asio ${Asio_VERSION} (${Asio_INCLUDE_DIR})")
elseif("asio" IN_LIST dgram_components AND TARGET asio::asio)
  message(STATUS "dgram: Asio of the target asio::asio")
endif()
if("boost" IN_LIST dgram_components)
  message(STATUS "dgram: Boost.Asio ${dgram_boost_asio_version}")
endif()
