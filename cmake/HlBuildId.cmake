# generated/hl_build_id.h defines HL_BUILD_ID, a hash over the library's
# sources; libhl and libhl-codegen refuse each other when theirs differ.
# Include it in one file only, since it changes with every edit.

file(GLOB_RECURSE HL_ID_SOURCES CONFIGURE_DEPENDS
  "${CMAKE_SOURCE_DIR}/include/*.h"
  "${CMAKE_SOURCE_DIR}/src/*.[ch]" "${CMAKE_SOURCE_DIR}/src/*.def"
  "${CMAKE_SOURCE_DIR}/codegen/*.[ch]" "${CMAKE_SOURCE_DIR}/codegen/*.def"
  "${CMAKE_SOURCE_DIR}/codegen/*.cpp"
  "${CMAKE_SOURCE_DIR}/runtime/*.[ch]" "${CMAKE_SOURCE_DIR}/runtime/*.def")
list(FILTER HL_ID_SOURCES EXCLUDE REGEX "/src/cli/")
list(SORT HL_ID_SOURCES)
list(JOIN HL_ID_SOURCES "\n" text)
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/build_id_sources.txt" CONTENT "${text}\n" @ONLY)

set(HL_ID_HEADER "${CMAKE_BINARY_DIR}/generated/hl_build_id.h")
add_custom_command(OUTPUT ${HL_ID_HEADER}
  COMMAND ${CMAKE_COMMAND} -DLIST=${CMAKE_BINARY_DIR}/build_id_sources.txt -DROOT=${CMAKE_SOURCE_DIR}
    -DHEADER=${HL_ID_HEADER} -DVERSION=${PROJECT_VERSION} -DLLVM=${HL_LLVM_VERSION}
    -P ${CMAKE_SOURCE_DIR}/cmake/write_build_id.cmake
  DEPENDS ${HL_ID_SOURCES} "${CMAKE_BINARY_DIR}/build_id_sources.txt"
    "${CMAKE_SOURCE_DIR}/cmake/write_build_id.cmake"
  COMMENT "Hashing the sources into hl_build_id.h" VERBATIM)
add_custom_target(hl_build_id DEPENDS ${HL_ID_HEADER})

# The one file that reports the version.
set_source_files_properties("${CMAKE_SOURCE_DIR}/src/base/context.c" PROPERTIES
  COMPILE_OPTIONS "-include;hl_build_id.h" OBJECT_DEPENDS "${HL_ID_HEADER}")
