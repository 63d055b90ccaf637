# Headers, CMake package, pkg-config files and licence. Nothing of it depends on the architecture, so all goes
# below include and share. The build tree is a CMake package too, with dgram_DIR=<build tree>.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(dgram_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/dgram")
set(dgram_package_modules "${PROJECT_SOURCE_DIR}/cmake/dgram-components.cmake" "${PROJECT_SOURCE_DIR}/cmake/FindAsio.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/dgram-compiled.cmake" "${PROJECT_SOURCE_DIR}/cmake/dgram-compiled.cpp")

# One component, so that `cmake --install <dir> --component dgram` takes dgram alone even if the build
# tree holds fetched test libraries with install rules of their own.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dgram
  FILES_MATCHING PATTERN "*.hpp")

set(dgram_include_dir "${CMAKE_INSTALL_INCLUDEDIR}")
set(dgram_config_hint "")
configure_package_config_file(cmake/dgram-config.cmake.in
  "${PROJECT_BINARY_DIR}/package/dgram-config.cmake"
  INSTALL_DESTINATION "${dgram_package_dir}"
  PATH_VARS dgram_include_dir
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
configure_file(cmake/dgram-config-version.cmake.in "${PROJECT_BINARY_DIR}/package/dgram-config-version.cmake" @ONLY)
install(FILES
  "${PROJECT_BINARY_DIR}/package/dgram-config.cmake"
  "${PROJECT_BINARY_DIR}/package/dgram-config-version.cmake"
  ${dgram_package_modules}
  DESTINATION "${dgram_package_dir}" COMPONENT dgram)

# The same for the build tree, which also knows where its Asio is if it is no usual place (perhaps a fetched one).
set(dgram_include_dir "${PROJECT_SOURCE_DIR}/include")
if(Asio_INCLUDE_DIR AND NOT Asio_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
  string(CONCAT dgram_config_hint
    "if(NOT DGRAM_ASIO_ROOT AND NOT Asio_ROOT AND NOT TARGET asio::asio)\n"
    "  set(DGRAM_ASIO_ROOT \"${Asio_INCLUDE_DIR}\")\n"
    "endif()\n")
endif()
configure_package_config_file(cmake/dgram-config.cmake.in
  "${PROJECT_BINARY_DIR}/dgram-config.cmake"
  INSTALL_DESTINATION "${PROJECT_BINARY_DIR}"
  INSTALL_PREFIX "${PROJECT_BINARY_DIR}"
  PATH_VARS dgram_include_dir
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
configure_file(cmake/dgram-config-version.cmake.in "${PROJECT_BINARY_DIR}/dgram-config-version.cmake" @ONLY)
foreach(file IN LISTS dgram_package_modules)
  configure_file("${file}" "${PROJECT_BINARY_DIR}" COPYONLY)
endforeach()

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/dgram" COMPONENT dgram)

set(dgram_pc_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_DATADIR}")
  set(dgram_pc_prefix "${CMAKE_INSTALL_PREFIX}")
  set(dgram_pc_include_dir "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
else()
  # Written relative to the .pc file itself, so that an installed tree can be moved.
  file(RELATIVE_PATH dgram_pc_prefix "/prefix/${dgram_pc_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" dgram_pc_prefix "${dgram_pc_prefix}")
  string(PREPEND dgram_pc_prefix "\${pcfiledir}/")
  set(dgram_pc_include_dir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()

function(dgram_install_pc name description flags)
  if(DGRAM_FORCE_POSIX_BACKEND)
    string(APPEND flags " -DDGRAM_FORCE_POSIX_BACKEND=1")
  endif()
  configure_file(cmake/dgram.pc.in "${PROJECT_BINARY_DIR}/package/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/package/${name}.pc" DESTINATION "${dgram_pc_dir}" COMPONENT dgram)
endfunction()

set(dgram_pc_boost_flags "-DDGRAM_USE_BOOST_ASIO=1")
# Asio before 1.26 has coroutines with Clang only if told so. Others find the same by themselves.
set(dgram_pc_asio_flags "-DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1")
if(DGRAM_USE_BOOST_ASIO)
  set(dgram_pc_asio_flags "${dgram_pc_boost_flags}")
endif()
dgram_install_pc(dgram "${PROJECT_DESCRIPTION}" "${dgram_pc_asio_flags}")
dgram_install_pc(dgram-boost "${PROJECT_DESCRIPTION} (Boost.Asio)" "${dgram_pc_boost_flags}")
