# cmake --install: headers, libraries, programs and the package hl with the
# targets hl::hl, hl::rt and hl::rt-static.

include(CMakePackageConfigHelpers)

install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/hl" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(TARGETS hl hl-rt hl-rt-static EXPORT hl-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS hl-codegen LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(HL_PROGRAMS)
  install(TARGETS ${HL_PROGRAMS} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(HL_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/hl")
install(EXPORT hl-targets NAMESPACE hl:: DESTINATION ${HL_CMAKE_DIR})
configure_package_config_file("${CMAKE_SOURCE_DIR}/cmake/hl-config.cmake.in"
  "${CMAKE_BINARY_DIR}/hl-config.cmake" INSTALL_DESTINATION ${HL_CMAKE_DIR})
write_basic_package_version_file("${CMAKE_BINARY_DIR}/hl-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/hl-config.cmake" "${CMAKE_BINARY_DIR}/hl-config-version.cmake"
  DESTINATION ${HL_CMAKE_DIR})

# For pkg-config; written while installing, when the prefix is known.
install(CODE "
  set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
  set(CMAKE_INSTALL_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
  set(PROJECT_VERSION \"${PROJECT_VERSION}\")
  configure_file(\"${CMAKE_SOURCE_DIR}/cmake/hl.pc.in\" \"${CMAKE_BINARY_DIR}/hl.pc\" @ONLY)
  file(INSTALL \"${CMAKE_BINARY_DIR}/hl.pc\" DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig\")
")
