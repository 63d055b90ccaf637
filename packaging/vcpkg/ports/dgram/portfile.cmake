# An overlay port: it takes the sources from the tree that it is part of. For a registry, replace SOURCE_PATH by
# what vcpkg_from_github or vcpkg_download_distfile gives.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)
if(NOT EXISTS "${SOURCE_PATH}/include/dgram/version.hpp")
  message(FATAL_ERROR "This port belongs into dgram's own tree: pass its place there to --overlay-ports, and do not copy it.")
endif()

# Headers only: there is nothing to build twice.
set(VCPKG_BUILD_TYPE release)

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DDGRAM_INSTALL=ON
    -DDGRAM_FETCH_ASIO=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/dgram)
# vcpkg allows share/pkgconfig only for packages that need no flag to link, and dgram needs -pthread.
file(MAKE_DIRECTORY "${CURRENT_PACKAGES_DIR}/lib")
file(RENAME "${CURRENT_PACKAGES_DIR}/share/pkgconfig" "${CURRENT_PACKAGES_DIR}/lib/pkgconfig")
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/licenses")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
