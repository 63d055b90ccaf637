# Finds standalone Asio and defines the target Asio::Asio.
#
# Looked for in this order:
#   1. a root that the user names, in DGRAM_ASIO_ROOT, Asio_ROOT or ASIO_ROOT (the last two as
#      CMake or environment variables). It may be a source tree (headers in asio/include up to Asio
#      1.36, in include from 1.38 on), an install prefix, an unpacked distribution package
#      (usr/include) or the include directory itself. A root without Asio is an error: falling back
#      to another copy without a word would test or ship the wrong one;
#   2. a target asio::asio that the project has already;
#   3. a CMake package named asio, as Conan and vcpkg provide (target asio::asio);
#   4. the compiler's own include path, where the distributions' header-only packages are. They ship
#      no CMake file.
#
# Sets Asio_FOUND, Asio_VERSION (such as 1.22.1), Asio_INCLUDE_DIR (empty with 2 and 3) and, if Asio was
# not found, Asio_NOT_FOUND_MESSAGE. Asio_VERSION is empty if the target of 2 or 3 does not tell where its
# headers are, as with a generator expression. Such a target is taken, and dgram/config.hpp checks the version.

set(Asio_INCLUDE_DIR "")
set(Asio_VERSION "")
set(Asio_NOT_FOUND_MESSAGE "")
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
  # Not REQUIRED must not hide either error: what was asked for by name is not there.
  if(Asio_INCLUDE_DIR STREQUAL "")
    message(FATAL_ERROR "FindAsio: the given root ${_asio_root} holds no asio.hpp (looked in "
      "asio/include, include, usr/include and the root itself)")
  endif()
  _asio_read_version("${Asio_INCLUDE_DIR}" Asio_VERSION)
  if(Asio_FIND_VERSION AND Asio_VERSION VERSION_LESS Asio_FIND_VERSION)
    message(FATAL_ERROR "FindAsio: the given root ${_asio_root} holds Asio ${Asio_VERSION}, and "
      "${Asio_FIND_VERSION} or newer is needed")
  endif()
endif()

# 2. the project's own target, and 3. a CMake package
if(Asio_INCLUDE_DIR STREQUAL "")
  if(NOT TARGET asio::asio)
    find_package(asio CONFIG QUIET)
    if(TARGET asio::asio)
      set(Asio_VERSION "${asio_VERSION}")
    endif()
  endif()
  if(TARGET asio::asio)
    set(_asio_package_target asio::asio)
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

# 4. the compiler's include path and CMake's prefixes
if(Asio_INCLUDE_DIR STREQUAL "" AND _asio_package_target STREQUAL "")
  # Not a cache entry: a copy that was removed or replaced is looked for again at each configure.
  find_path(_asio_system_dir NAMES asio.hpp NO_CACHE)
  if(_asio_system_dir)
    string(REGEX REPLACE "/$" "" Asio_INCLUDE_DIR "${_asio_system_dir}")
    _asio_read_version("${Asio_INCLUDE_DIR}" Asio_VERSION)
  endif()
  unset(_asio_system_dir)
endif()

set(_asio_where "${Asio_INCLUDE_DIR}${_asio_package_target}")
set(_asio_version_of_find "${Asio_VERSION}")
if(_asio_package_target AND Asio_VERSION STREQUAL "")
  set(_asio_version_of_find "${Asio_FIND_VERSION}")
endif()

set(Asio_NOT_FOUND_MESSAGE "no Asio was found")
if(_asio_where AND Asio_VERSION)
  set(Asio_NOT_FOUND_MESSAGE "Asio ${Asio_VERSION} (${_asio_where}) is too old")
endif()
string(APPEND Asio_NOT_FOUND_MESSAGE ". Asio ${Asio_FIND_VERSION} or newer is needed: install it (package "
  "libasio-dev of Debian and Ubuntu, asio-devel of Fedora, asio of Homebrew, vcpkg and Conan), or name the "
  "directory of one with -DDGRAM_ASIO_ROOT=<directory>")

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Asio
  REQUIRED_VARS _asio_where
  VERSION_VAR _asio_version_of_find
  REASON_FAILURE_MESSAGE "${Asio_NOT_FOUND_MESSAGE}")

if(Asio_FOUND AND NOT TARGET Asio::Asio)
  add_library(Asio::Asio INTERFACE IMPORTED)
  target_compile_definitions(Asio::Asio INTERFACE ASIO_STANDALONE)
  if(Asio_VERSION VERSION_LESS 1.26)
    # These versions know only the coroutines of the time before Clang had the standard ones, and then
    # leave asio::awaitable out; told that they may, they use the standard ones. MSVC's front end of
    # Clang is another matter. An unknown version is less, and newer ones take it as what they find anyway.
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
unset(_asio_where)
unset(_asio_version_of_find)
unset(_asio_package_target)
