# cmake --install: the package hl with the targets hl::hl, hl::rt and hl::rt-static, the same for pkg-config, the
# programs and their manual pages. DESTDIR and --prefix work as usual. Parts, for --component:
#
#   runtime      libhl-rt and libhl, all that a program needs that compiles nothing
#   compiler     libhl-codegen, which needs LLVM
#   development  headers, the static libhl-rt, CMake's and pkg-config's files
#   tools        hl and hl-bench with their manual pages

include(CMakePackageConfigHelpers)

install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/hl" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT development FILES_MATCHING PATTERN "*.h")
install(TARGETS hl hl-rt hl-rt-static EXPORT hl-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(TARGETS hl-codegen LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT compiler)
if(HL_PROGRAMS)
  install(TARGETS ${HL_PROGRAMS} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
  file(GLOB manuals CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/docs/man/*.1")
  install(FILES ${manuals} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
endif()
# An LLVM that the loader does not find by itself; libhl's own needs no search.
set_target_properties(hl-codegen PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)

set(HL_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/hl")
install(EXPORT hl-targets NAMESPACE hl:: DESTINATION ${HL_CMAKE_DIR} COMPONENT development)
configure_package_config_file("${CMAKE_SOURCE_DIR}/cmake/hl-config.cmake.in"
  "${CMAKE_BINARY_DIR}/hl-config.cmake" INSTALL_DESTINATION ${HL_CMAKE_DIR})
write_basic_package_version_file("${CMAKE_BINARY_DIR}/hl-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/hl-config.cmake" "${CMAKE_BINARY_DIR}/hl-config-version.cmake"
  DESTINATION ${HL_CMAKE_DIR} COMPONENT development)

# For pkg-config; written while installing, when the prefix is known.
foreach(module hl hl-rt)
  install(CODE "
    set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    set(CMAKE_INSTALL_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
    set(PROJECT_VERSION \"${PROJECT_VERSION}\")
    configure_file(\"${CMAKE_SOURCE_DIR}/cmake/${module}.pc.in\" \"${CMAKE_BINARY_DIR}/${module}.pc\" @ONLY)
    file(INSTALL \"${CMAKE_BINARY_DIR}/${module}.pc\"
      DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig\")
  " COMPONENT development)
endforeach()
