# The registry fetches its sources, which cannot be reached from everywhere. The targets are those of the registry's port.
set(VCPKG_POLICY_MISMATCHED_NUMBER_OF_BINARIES enabled)
set(VCPKG_POLICY_SKIP_COPYRIGHT_CHECK enabled)
find_path(headers fmt/core.h PATHS /usr/local/include /usr/include REQUIRED)
file(INSTALL "${headers}/fmt" DESTINATION "${CURRENT_PACKAGES_DIR}/include")
file(WRITE "${CURRENT_PACKAGES_DIR}/share/fmt/fmt-config.cmake" [[
if(NOT TARGET fmt::fmt)
  get_filename_component(prefix "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
  foreach(target fmt fmt-header-only)
    add_library(fmt::${target} INTERFACE IMPORTED)
    set_target_properties(fmt::${target} PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${prefix}/include"
      INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY)
  endforeach()
endif()
]])
