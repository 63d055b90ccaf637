# Finds standalone Asio and defines the target Asio::Asio.
#
# Looked for in this order:
#   1. a root that the user names, in DGRAM_ASIO_ROOT, Asio_ROOT or ASIO_ROOT (the last two as
#      CMake or environment variables). It may be a source tree (headers in asio/include up to Asio
#      1.36, in include from 1.38 on), an install prefix, an unpacked distribution package
#      (usr/include) or the include directory itself. A root without Asio is an error: falling back
#      to another copy in silence would test or ship the wrong one;
#   2. a CMake package named asio, as Conan and vcpkg provide (target asio::asio);
#   3. the compiler's own include path, where the distributions' header-only packages are. They ship
#      no CMake file.
#
# Sets Asio_FOUND, Asio_VERSION (such as 1.22.1) and Asio_INCLUDE_DIR (empty with 2).

set(Asio_INCLUDE_DIR "")
set(Asio_VERSION "")
set(_asio_reason "")
set(_asio_package_target "")

function(_asio_read_version include_dir result)
  set(${result} "" PARENT_SCOPE)
  if(EXISTS "${include_dir}/asio/version.hpp")
    file(STRINGS "${include_dir}/asio/version.hpp" line REGEX "#[ \t]*define[ \t]+ASIO_VERSION[ \t]")
    if(line MATCHES "ASIO_VERSION[ \t]+([0-9]+)")
      math(EXPR major "${CMAKE_MATCH_1} / 100000")
      math(EXPR minor "${CMAKE_MATCH_1} / 100 % 1000")
      math(EXPR patch "${CMAKE_MATCH_1} % 100")
      set(${result} "${major}.${minor}.${patch}" PARENT_SCOPE)
    endif()
  endif()
endfunction()

# 1. the user's root
set(_asio_root "")
foreach(_asio_candidate IN ITEMS
    "${DGRAM_ASIO_ROOT}" "${Asio_ROOT}" "${ASIO_ROOT}" "$ENV{Asio_ROOT}" "$ENV{ASIO_ROOT}")
  if(NOT _asio_candidate STREQUAL "")
    set(_asio_root "${_asio_candidate}")
    break()
  endif()
endforeach()
if(NOT _asio_root STREQUAL "")
  get_filename_component(_asio_root "${_asio_root}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}")
  foreach(_asio_layout IN ITEMS /asio/include /include /usr/include "")
    if(EXISTS "${_asio_root}${_asio_layout}/asio.hpp")
      set(Asio_INCLUDE_DIR "${_asio_root}${_asio_layout}")
      break()
    endif()
  endforeach()
  if(Asio_INCLUDE_DIR STREQUAL "")
    set(_asio_reason "the given root ${_asio_root} holds no asio.hpp (looked in asio/include, include, usr/include and the root itself)")
    # Not REQUIRED must not hide it either: what was asked for by name is not there.
    message(FATAL_ERROR "FindAsio: ${_asio_reason}")
  endif()
endif()

# 2. a CMake package
if(Asio_INCLUDE_DIR STREQUAL "")
  find_package(asio CONFIG QUIET)
  if(TARGET asio::asio)
    set(_asio_package_target asio::asio)
    set(Asio_VERSION "${asio_VERSION}")
    if(Asio_VERSION STREQUAL "")
      get_target_property(_asio_dirs asio::asio INTERFACE_INCLUDE_DIRECTORIES)
      foreach(_asio_dir IN LISTS _asio_dirs)
        string(REGEX REPLACE "\\$<\\$<CONFIG:[^>]*>:([^>]*)>" "\\1" _asio_dir "${_asio_dir}")
        _asio_read_version("${_asio_dir}" Asio_VERSION)
        if(NOT Asio_VERSION STREQUAL "")
          break()
        endif()
      endforeach()
    endif()
  endif()
endif()

# 3. the compiler's include path and CMake's prefixes
if(Asio_INCLUDE_DIR STREQUAL "" AND _asio_package_target STREQUAL "")
  # Not a cache entry: a copy that was removed or replaced is looked for again at each configure.
  find_path(_asio_system_dir NAMES asio.hpp NO_CACHE)
  if(_asio_system_dir)
    string(REGEX REPLACE "/$" "" Asio_INCLUDE_DIR "${_asio_system_dir}")
  endif()
  unset(_asio_system_dir)
endif()

if(NOT Asio_INCLUDE_DIR STREQUAL "")
  _asio_read_version("${Asio_INCLUDE_DIR}" Asio_VERSION)
endif()

set(_asio_where "${Asio_INCLUDE_DIR}${_asio_package_target}")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Asio
  REQUIRED_VARS _asio_where
  VERSION_VAR Asio_VERSION)

if(Asio_FOUND AND NOT TARGET Asio::Asio)
  add_library(Asio::Asio INTERFACE IMPORTED)
  target_compile_definitions(Asio::Asio INTERFACE ASIO_STANDALONE)
  if(Asio_VERSION VERSION_LESS 1.26)
    # These versions know only the coroutines of the time before Clang had the standard ones, and then
    # leave asio::awaitable out; told that they may, they use the standard ones. MSVC's front end of
    # Clang is another matter.
    target_compile_definitions(Asio::Asio INTERFACE
      "$<$<AND:$<COMPILE_LANG_AND_ID:CXX,Clang,AppleClang>,$<NOT:$<PLATFORM_ID:Windows>>>:ASIO_HAS_CO_AWAIT>")
  endif()
  if(_asio_package_target)
    target_link_libraries(Asio::Asio INTERFACE ${_asio_package_target})
  elseif(NOT Asio_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    # A directory that the compiler searches anyway is left out: naming /usr/include again changes
    # its place in the order, and the standard library's #include_next then finds nothing.
    target_include_directories(Asio::Asio INTERFACE "${Asio_INCLUDE_DIR}")
  endif()
endif()

unset(_asio_root)
unset(_asio_candidate)
unset(_asio_layout)
unset(_asio_dir)
unset(_asio_dirs)
unset(_asio_reason)
unset(_asio_where)
unset(_asio_package_target)
