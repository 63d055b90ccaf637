# Windows programs from Linux, with the distribution's mingw-w64 (g++-mingw-w64-x86-64-posix). They hold the libraries
# of the compiler, and run under Wine where that is installed (wine64).

set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

# Of the two variants this one has the threads of C++.
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)

set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

find_program(DGRAM_WINE NAMES wine64 wine PATHS /usr/lib/wine DOC "What runs the programs")
if(DGRAM_WINE)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${DGRAM_WINE}")
endif()
