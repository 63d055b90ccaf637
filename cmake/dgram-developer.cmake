# Flags for dgram's own tests, examples and benchmarks. They are on a target of their own, never on
# dgram::dgram: a user's build keeps the user's flags.

set(DGRAM_SANITIZE "" CACHE STRING "Sanitizers of dgram's own programs: empty, \"address,undefined\" or \"thread\"")
set_property(CACHE DGRAM_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")
set(DGRAM_CATCH2_SOURCE "" CACHE FILEPATH "Catch2's catch_amalgamated.cpp, to build it from; else it is found or fetched")
set(DGRAM_CATCH2_HEADERS "" CACHE PATH "The directory catch2 with the headers of DGRAM_CATCH2_SOURCE")
set(DGRAM_FMT_HEADERS "" CACHE PATH "A directory with the headers of fmt, to use those alone; else it is found or fetched")
option(DGRAM_COVERAGE "Measure the coverage of dgram's own programs" OFF)

# dgram has no modules. Newer versions of CMake would run the compiler over each file once more to look for some.
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

add_library(dgram_developer_flags INTERFACE)
# What Asio has deprecated is gone in a later version: find out here, not at a user's.
target_compile_definitions(dgram_developer_flags INTERFACE ASIO_NO_DEPRECATED BOOST_ASIO_NO_DEPRECATED)
# The standard library checks what it is asked for: indices, empty containers, empty optionals.
target_compile_definitions(dgram_developer_flags INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)

if(WIN32)
  # Windows 10, with what Asio and dgram want of the system's headers.
  target_compile_definitions(dgram_developer_flags INTERFACE _WIN32_WINNT=0x0A00)
  if(MINGW)
    # An object file has 32,767 sections otherwise, and each function of a template takes some.
    target_compile_options(dgram_developer_flags INTERFACE -Wa,-mbig-obj)
  endif()
endif()

if(MSVC)
  target_compile_options(dgram_developer_flags INTERFACE /W4 /permissive- /utf-8)
  if(DGRAM_WARNINGS_AS_ERRORS)
    target_compile_options(dgram_developer_flags INTERFACE /WX)
  endif()
else()
  target_compile_options(dgram_developer_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 inlines a coroutine's operator new, but not its operator delete, and takes them for a mismatched pair.
    target_compile_options(dgram_developer_flags INTERFACE -Wno-mismatched-new-delete)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A sixth of GCC's time goes into the collection of its own memory. Without it, GCC takes an eighth more memory.
    target_compile_options(dgram_developer_flags INTERFACE "SHELL:--param ggc-min-heapsize=1000000")
  endif()
  if(DGRAM_WARNINGS_AS_ERRORS)
    target_compile_options(dgram_developer_flags INTERFACE -Werror)
  endif()
endif()

if(DGRAM_SANITIZE)
  if(NOT DGRAM_SANITIZE MATCHES "^(address,undefined|thread)$")
    message(FATAL_ERROR "DGRAM_SANITIZE is '${DGRAM_SANITIZE}', expected 'address,undefined' or 'thread'")
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # What a sanitizer adds leads GCC's flow analysis to variables of Asio's that it takes for uninitialised.
    target_compile_options(dgram_developer_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
  set(dgram_sanitize_flags "-fsanitize=${DGRAM_SANITIZE}" -fno-omit-frame-pointer)
  if(DGRAM_SANITIZE STREQUAL "thread")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # GCC warns that ThreadSanitizer does not follow the atomic fences which Asio uses.
      target_compile_options(dgram_developer_flags INTERFACE -Wno-tsan)
    endif()
  else()
    # Undefined behaviour ends the program, so that a test cannot pass over it.
    list(APPEND dgram_sanitize_flags -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(dgram_developer_flags INTERFACE ${dgram_sanitize_flags})
  target_link_options(dgram_developer_flags INTERFACE ${dgram_sanitize_flags})
endif()

if(DGRAM_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "DGRAM_COVERAGE needs Clang, which counts by the source: a branch is a condition there")
  endif()
  if(NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    message(FATAL_ERROR "DGRAM_COVERAGE needs CMAKE_DISABLE_PRECOMPILE_HEADERS: Clang counts nothing in precompiled headers")
  endif()
  # Threads count in the same places. With the counters elsewhere, a file can be mapped in their place: what a process that
  # is killed has counted is not lost.
  set(flags -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic
    "SHELL:-mllvm -runtime-counter-relocation")
  target_compile_options(dgram_developer_flags INTERFACE ${flags})
  target_link_options(dgram_developer_flags INTERFACE -fprofile-instr-generate)
endif()

# Links an executable of ours: the library, the flags, and what else is named.
function(dgram_developer_target name)
  target_link_libraries(${name} PRIVATE dgram::dgram dgram_developer_flags ${ARGN})
  set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

# PkgConfig::dgram_ngtcp2, for the QUIC server of the examples, if it is installed. From 1.0 on ngtcp2 has another
# interface.
function(dgram_find_ngtcp2)
  if(TARGET PkgConfig::dgram_ngtcp2 OR CMAKE_CROSSCOMPILING)
    return()
  endif()
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(dgram_ngtcp2 QUIET IMPORTED_TARGET GLOBAL
      "libngtcp2>=0.12" "libngtcp2<1" libngtcp2_crypto_gnutls gnutls)
  endif()
endfunction()

# fmt and Catch2 are found, or else fetched at a pinned version. These are macros: what find_package
# sets (Catch2's module path among it) must reach the caller.
macro(dgram_need_fmt)
  if(NOT TARGET fmt::fmt AND DGRAM_FMT_HEADERS)
    # Linked to, so that nothing else of the directory which they are in is found.
    file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/fmt-headers")
    file(CREATE_LINK "${DGRAM_FMT_HEADERS}" "${PROJECT_BINARY_DIR}/fmt-headers/fmt" SYMBOLIC)
    add_library(fmt::fmt INTERFACE IMPORTED GLOBAL)
    target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY=1)
    target_include_directories(fmt::fmt INTERFACE "${PROJECT_BINARY_DIR}/fmt-headers")
  endif()
  if(NOT TARGET fmt::fmt)
    find_package(fmt QUIET GLOBAL)
    if(NOT fmt_FOUND)
      include(FetchContent)
      FetchContent_Declare(fmt
        GIT_REPOSITORY https://github.com/fmtlib/fmt.git
        GIT_TAG 9.1.0
        GIT_SHALLOW TRUE
        SYSTEM)
      FetchContent_MakeAvailable(fmt)
    endif()
  endif()
endmacro()

macro(dgram_need_catch2)
  if(NOT TARGET Catch2::Catch2WithMain AND DGRAM_CATCH2_SOURCE)
    # As with fmt, nothing else of that directory may be found.
    file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/catch2-headers")
    file(CREATE_LINK "${DGRAM_CATCH2_HEADERS}" "${PROJECT_BINARY_DIR}/catch2-headers/catch2" SYMBOLIC)
    add_library(dgram_catch2 STATIC EXCLUDE_FROM_ALL "${DGRAM_CATCH2_SOURCE}")
    target_compile_features(dgram_catch2 PUBLIC cxx_std_20)
    target_include_directories(dgram_catch2 SYSTEM INTERFACE "${PROJECT_BINARY_DIR}/catch2-headers")
    add_library(Catch2::Catch2WithMain ALIAS dgram_catch2)
  endif()
  if(NOT TARGET Catch2::Catch2WithMain)
    find_package(Catch2 3 QUIET GLOBAL)
    if(NOT Catch2_FOUND)
      include(FetchContent)
      FetchContent_Declare(Catch2
        GIT_REPOSITORY https://github.com/catchorg/Catch2.git
        GIT_TAG v3.7.1
        GIT_SHALLOW TRUE
        SYSTEM)
      FetchContent_MakeAvailable(Catch2)
      list(APPEND CMAKE_MODULE_PATH "${Catch2_SOURCE_DIR}/extras")
    endif()
  endif()
endmacro()

# Sets DGRAM_BOOST_ROOT and DGRAM_BOOST_INCLUDE_DIR, the latter to nothing where no Boost is new enough.
macro(dgram_look_for_boost)
  set(DGRAM_BOOST_ROOT "${PROJECT_SOURCE_DIR}/build/deps/boost/usr" CACHE PATH
    "A Boost of 1.79 or newer; scripts/test brings one where the distribution has one")
  # CMake's own module would take the distribution's Boost, which may be too old.
  find_path(DGRAM_BOOST_INCLUDE_DIR boost/asio/version.hpp HINTS "${DGRAM_BOOST_ROOT}/include" NO_CACHE)
  set(dgram_boost_line "")
  if(DGRAM_BOOST_INCLUDE_DIR)
    file(STRINGS "${DGRAM_BOOST_INCLUDE_DIR}/boost/asio/version.hpp" dgram_boost_line
      REGEX "define[ \t]+BOOST_ASIO_VERSION[ \t]")
  endif()
  if(NOT dgram_boost_line MATCHES "BOOST_ASIO_VERSION[ \t]+([0-9]+)" OR CMAKE_MATCH_1 LESS 102201)
    set(DGRAM_BOOST_INCLUDE_DIR "")
  endif()
endmacro()
