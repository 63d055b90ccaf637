# The components of dgram, what each needs, and the targets that programs link. The installed package, the
# build tree as a package, and dgram as a subdirectory all use this file.
#
#   asio   dgram::dgram on standalone Asio (the default)
#   boost  dgram::boost on Boost.Asio
#   fmt    dgram::fmt, which dgram/format.hpp needs beside dgram::dgram or dgram::boost
#   compiled  dgram::compiled, see dgram-compiled.cmake; it is there in any case
#
# Without asio and boost in the list, the default is taken. With dgram_on_boost the default is boost, and
# dgram::dgram is dgram::boost.
#
# The targets are imported ones, also in a subdirectory: a library that links dgram::dgram and is installed with
# install(EXPORT) then names dgram::dgram, and its package finds dgram. dgram itself is in no export set.

set(dgram_cmake_dir "${CMAKE_CURRENT_LIST_DIR}")
include("${CMAKE_CURRENT_LIST_DIR}/dgram-compiled.cmake")
set(dgram_known_components asio boost fmt compiled)
set(dgram_asio_minimum 1.22.1)

# dgram_choose_components(COMPONENT...) sets dgram_components (with the default) and dgram_component_problem (empty
# if there is none).
macro(dgram_choose_components)
  set(dgram_components ${ARGN})
  set(dgram_component_problem "")
  foreach(dgram_component IN LISTS dgram_components)
    if(NOT dgram_component IN_LIST dgram_known_components)
      list(JOIN dgram_known_components ", " dgram_component_problem)
      set(dgram_component_problem
        "dgram has no component '${dgram_component}'; its components are ${dgram_component_problem}")
    elseif(dgram_component STREQUAL "asio" AND dgram_on_boost)
      set(dgram_component_problem
        "component 'asio': this dgram is configured with DGRAM_USE_BOOST_ASIO, and has dgram::dgram on Boost.Asio")
    endif()
  endforeach()
  if(NOT "asio" IN_LIST dgram_components AND NOT "boost" IN_LIST dgram_components)
    if(dgram_on_boost)
      list(APPEND dgram_components boost)
    else()
      list(APPEND dgram_components asio)
    endif()
  endif()
  unset(dgram_component)
endmacro()

# dgram_find_component(COMPONENT) finds what a component needs, and sets dgram_component_problem. With dgram_global
# the targets that it finds are global ones.
macro(dgram_find_component component)
  set(dgram_component_problem "")
  if("${component}" STREQUAL "asio")
    if(NOT TARGET Asio::Asio AND NOT TARGET dgram::dgram)
      # The module beside this file, before any other of that name: it knows where Asio may be.
      list(PREPEND CMAKE_MODULE_PATH "${dgram_cmake_dir}")
      find_package(Asio ${dgram_asio_minimum} QUIET ${dgram_global} MODULE)
      list(POP_FRONT CMAKE_MODULE_PATH)
      if(NOT Asio_FOUND)
        set(dgram_component_problem "${Asio_NOT_FOUND_MESSAGE}")
      endif()
    endif()
  elseif("${component}" STREQUAL "boost")
    # Asked for without a version: Boost's own number says less than Asio's, which is what counts.
    if(NOT TARGET Boost::headers)
      find_package(Boost QUIET ${dgram_global})
    endif()
    set(dgram_boost_asio_version 0)
    if(TARGET Boost::headers)
      get_target_property(dgram_boost_dirs Boost::headers INTERFACE_INCLUDE_DIRECTORIES)
      foreach(dgram_boost_dir IN LISTS dgram_boost_dirs Boost_INCLUDE_DIRS)
        if(EXISTS "${dgram_boost_dir}/boost/asio/version.hpp")
          file(STRINGS "${dgram_boost_dir}/boost/asio/version.hpp" dgram_boost_line
            REGEX "define[ \t]+BOOST_ASIO_VERSION[ \t]")
          if(dgram_boost_line MATCHES "BOOST_ASIO_VERSION[ \t]+([0-9]+)")
            set(dgram_boost_asio_version "${CMAKE_MATCH_1}")
            break()
          endif()
        endif()
      endforeach()
      # A target that does not tell where its headers are is taken; dgram/config.hpp checks the version.
      if(dgram_boost_asio_version AND dgram_boost_asio_version LESS 102201)
        set(dgram_component_problem "Boost ${Boost_VERSION_STRING} (BOOST_ASIO_VERSION ${dgram_boost_asio_version}) is too old")
      endif()
      unset(dgram_boost_dirs)
      unset(dgram_boost_dir)
      unset(dgram_boost_line)
    else()
      set(dgram_component_problem "no Boost was found")
    endif()
    if(dgram_component_problem)
      string(APPEND dgram_component_problem ". Boost 1.79 or newer is needed (Boost.Asio 1.22.1): install it "
        "(package libboost-dev of Debian and Ubuntu, boost of Homebrew and Conan, boost-asio of vcpkg), or name "
        "the directory of one with -DBoost_ROOT=<directory>")
    endif()
  elseif("${component}" STREQUAL "fmt")
    if(NOT TARGET fmt::fmt)
      find_package(fmt QUIET ${dgram_global})
      if(NOT TARGET fmt::fmt)
        string(CONCAT dgram_component_problem
          "no fmt was found. Install it (package libfmt-dev of Debian and Ubuntu, fmt of Homebrew, vcpkg and "
          "Conan), add it to the project before dgram, or name its directory with -Dfmt_ROOT=<directory>")
      endif()
    endif()
  endif()
endmacro()

# dgram_add_component_targets(VERSION INCLUDE_DIR COMPONENT...) defines the targets of components whose needs have
# been found. What is there already stays: several parts of a project may bring dgram.
function(dgram_add_component_targets version include_dir)
  if(TARGET dgram::headers)
    get_target_property(first_version dgram::headers DGRAM_VERSION)
    if(NOT first_version STREQUAL version)
      get_target_property(first_dir dgram::headers INTERFACE_INCLUDE_DIRECTORIES)
      message(WARNING "This project has dgram ${first_version} (${first_dir}) and dgram ${version} "
        "(${include_dir}). All of it uses dgram ${first_version}, which came first.")
    endif()
  else()
    add_library(dgram::headers INTERFACE IMPORTED ${dgram_global})
    set_target_properties(dgram::headers PROPERTIES DGRAM_VERSION "${version}")
    target_compile_features(dgram::headers INTERFACE cxx_std_20)
    target_include_directories(dgram::headers INTERFACE "${include_dir}")
    target_link_libraries(dgram::headers INTERFACE Threads::Threads)
    if(WIN32)
      target_link_libraries(dgram::headers INTERFACE ws2_32 mswsock iphlpapi)
    endif()
    if(dgram_force_posix_backend)
      target_compile_definitions(dgram::headers INTERFACE DGRAM_FORCE_POSIX_BACKEND=1)
    endif()
  endif()

  if("asio" IN_LIST ARGN AND NOT TARGET dgram::dgram)
    add_library(dgram::dgram INTERFACE IMPORTED ${dgram_global})
    target_link_libraries(dgram::dgram INTERFACE dgram::headers Asio::Asio)
    # CMake refuses a program that links both, which the linker would refuse later and less clearly.
    set_target_properties(dgram::dgram PROPERTIES
      INTERFACE_DGRAM_ASIO standalone COMPATIBLE_INTERFACE_STRING DGRAM_ASIO)
  endif()
  if("boost" IN_LIST ARGN AND NOT TARGET dgram::boost)
    add_library(dgram::boost INTERFACE IMPORTED ${dgram_global})
    target_link_libraries(dgram::boost INTERFACE dgram::headers Boost::headers)
    target_compile_definitions(dgram::boost INTERFACE DGRAM_USE_BOOST_ASIO=1)
    set_target_properties(dgram::boost PROPERTIES
      INTERFACE_DGRAM_ASIO boost COMPATIBLE_INTERFACE_STRING DGRAM_ASIO)
  endif()
  if("boost" IN_LIST ARGN AND dgram_on_boost AND NOT TARGET dgram::dgram)
    add_library(dgram::dgram INTERFACE IMPORTED ${dgram_global})
    target_link_libraries(dgram::dgram INTERFACE dgram::boost)
  endif()
  if("fmt" IN_LIST ARGN AND NOT TARGET dgram::fmt)
    add_library(dgram::fmt INTERFACE IMPORTED ${dgram_global})
    target_link_libraries(dgram::fmt INTERFACE fmt::fmt)
  endif()
  # They need nothing, and cost nothing if they are not linked.
  dgram_add_compiled_target(dgram::compiled dgram::dgram)
  dgram_add_compiled_target(dgram::boost_compiled dgram::boost)
endfunction()
