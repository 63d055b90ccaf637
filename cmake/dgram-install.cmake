# Headers, CMake package and pkg-config file. Nothing of it depends on the architecture, so all goes
# below include and share.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(dgram_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/dgram")

# Said here and not beside the target: INSTALL_INTERFACE is what the exported target gets.
target_include_directories(dgram_dgram INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")

# One component, so that `cmake --install <dir> --component dgram` takes dgram alone even if the build
# tree holds fetched test libraries with install rules of their own.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dgram
  FILES_MATCHING PATTERN "*.hpp")
install(TARGETS dgram_dgram EXPORT dgram-targets)
install(EXPORT dgram-targets NAMESPACE dgram:: DESTINATION "${dgram_package_dir}" COMPONENT dgram)

configure_package_config_file(cmake/dgram-config.cmake.in
  "${PROJECT_BINARY_DIR}/package/dgram-config.cmake"
  INSTALL_DESTINATION "${dgram_package_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/dgram-config-version.cmake"
  COMPATIBILITY SameMinorVersion
  ARCH_INDEPENDENT)
install(FILES
  "${PROJECT_BINARY_DIR}/package/dgram-config.cmake"
  "${PROJECT_BINARY_DIR}/package/dgram-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindAsio.cmake"
  DESTINATION "${dgram_package_dir}" COMPONENT dgram)

# Written relative to the .pc file itself, so that an installed tree can be moved.
set(dgram_pc_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
file(RELATIVE_PATH dgram_pc_prefix "/prefix/${dgram_pc_dir}" "/prefix")
string(REGEX REPLACE "/$" "" dgram_pc_prefix "${dgram_pc_prefix}")
set(dgram_pc_cflags "-pthread")
if(DGRAM_USE_BOOST_ASIO)
  string(APPEND dgram_pc_cflags " -DDGRAM_USE_BOOST_ASIO=1")
else()
  string(APPEND dgram_pc_cflags " -DASIO_STANDALONE")
endif()
if(DGRAM_FORCE_POSIX_BACKEND)
  string(APPEND dgram_pc_cflags " -DDGRAM_FORCE_POSIX_BACKEND=1")
endif()
configure_file(cmake/dgram.pc.in "${PROJECT_BINARY_DIR}/package/dgram.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/dgram.pc" DESTINATION "${dgram_pc_dir}" COMPONENT dgram)
