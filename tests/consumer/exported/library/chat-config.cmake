include(CMakeFindDependencyMacro)
find_dependency(dgram)
include("${CMAKE_CURRENT_LIST_DIR}/chat-targets.cmake")
