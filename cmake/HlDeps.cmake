# Everything from outside, as interface targets hl_dep_<name>.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# hl_dep(<name> <pkg-config module> <library>): a self-contained build takes
# the static archive where there is one.
function(hl_dep name module library)
  pkg_check_modules(HL_${name} ${ARGN} ${module})
  add_library(hl_dep_${name} INTERFACE)
  if(NOT HL_${name}_FOUND)
    return()
  endif()
  target_include_directories(hl_dep_${name} SYSTEM INTERFACE ${HL_${name}_INCLUDE_DIRS})
  target_link_directories(hl_dep_${name} INTERFACE ${HL_${name}_LIBRARY_DIRS})
  if(HL_SELF_CONTAINED)
    find_library(HL_${name}_ARCHIVE lib${library}.a HINTS ${HL_${name}_LIBRARY_DIRS})
    mark_as_advanced(HL_${name}_ARCHIVE)
  endif()
  if(HL_SELF_CONTAINED AND HL_${name}_ARCHIVE)
    target_link_libraries(hl_dep_${name} INTERFACE ${HL_${name}_ARCHIVE})
  else()
    target_link_libraries(hl_dep_${name} INTERFACE ${HL_${name}_LIBRARIES})
  endif()
endfunction()

hl_dep(ffi     libffi  ffi     REQUIRED)
hl_dep(jansson jansson jansson REQUIRED)
hl_dep(lmdb    lmdb    lmdb    REQUIRED)
if(HL_TESTS)
  hl_dep(cmocka cmocka cmocka REQUIRED)
  hl_dep(mpfr mpfr mpfr REQUIRED)
endif()

include(HlLlvm)
